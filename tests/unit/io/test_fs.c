/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/io/fs.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/test.h"

static void touch(const char *path)
{
	FILE *f = fopen(path, "we");

	JT_NOT_NULL(f);
	(void)fclose(f);
}

JT_CASE(a_sweep_takes_temporaries_of_the_dead_and_nothing_else)
{
	char dir[] = "/tmp/jaco-test-fs-XXXXXX";
	char dead[128], living[128];
	static const char *const kept[] = {"a.tmp", "a.12x.tmp", "12.tmp", ".tmp",
					   "a.99999999999999.tmp"};
	pid_t pid;

	JT_NOT_NULL(mkdtemp(dir));
	JT_EQ(chdir(dir), 0);
	pid = fork();
	if (pid == 0)
		_exit(0);
	JT_EQ(waitpid(pid, NULL, 0), pid);
	(void)snprintf(dead, sizeof(dead), "view.%d.tmp", (int)pid);
	(void)snprintf(living, sizeof(living), "view.%d.tmp", (int)getppid());
	touch(dead);
	touch(living);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(kept); i++)
		touch(kept[i]);
	jaco_fs_sweep(dir);
	jaco_fs_sweep("/nonexistent");
	JT_FALSE(jaco_fs_exists(dead));
	JT_TRUE(jaco_fs_exists(living));
	JT_EQ(unlink(living), 0);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(kept); i++)
		JT_EQ(unlink(kept[i]), 0);
	JT_EQ(rmdir(dir), 0);
}

JT_MAIN(JT_RUN(a_sweep_takes_temporaries_of_the_dead_and_nothing_else))
