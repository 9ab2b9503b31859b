/* SPDX-License-Identifier: Apache-2.0
 *
 * What a child finds when it starts: the descriptors it is passed, and whose they are. */
#include "libjaco/io/proc.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/test.h"

static struct jaco_loop loop;
static int exit_status;

static void on_exit_of_child(struct jaco_proc *proc, int status, void *ctx)
{
	(void)proc;
	(void)ctx;
	exit_status = WEXITSTATUS(status);
	jaco_loop_stop(&loop);
}

static int run(const struct jaco_proc_options *options)
{
	struct jaco_proc proc = JACO_PROC_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(jaco_loop_open(&loop, NULL, &err), &err);
	exit_status = -1;
	JT_OK(jaco_proc_start(&loop, &proc, options, on_exit_of_child, NULL, &err), &err);
	JT_OK(jaco_loop_run(&loop, &err), &err);
	jaco_loop_close(&loop);
	return exit_status;
}

JT_CASE(passed_descriptors_arrive_from_three_on_with_their_names)
{
	static const char *const argv[] = {
		"sh", "-c",
		"[ $LISTEN_FDS = 2 ] && [ $LISTEN_PID = $$ ] && [ $LISTEN_FDNAMES = udp:tcp ] && "
		"echo one >&3 && echo two >&4",
		NULL};
	int first[2], second[2];
	char text[8] = "";

	JT_EQ(pipe(first), 0);
	JT_EQ(pipe(second), 0);
	JT_EQ(run(&(struct jaco_proc_options){.argv = argv,
					      .out_fd = -1,
					      .n_fds = 2,
					      .fd_names = "udp:tcp",
					      .fds = (const int[]){first[1], second[1]}}),
	      0);
	JT_EQ(read(first[0], text, sizeof(text)), 4);
	JT_EQ(memcmp(text, "one\n", 4), 0);
	JT_EQ(read(second[0], text, sizeof(text)), 4);
	JT_EQ(memcmp(text, "two\n", 4), 0);
	for (int i = 0; i < 2; i++) {
		close(first[i]);
		close(second[i]);
	}
}

JT_CASE(without_descriptors_nothing_is_said_of_them)
{
	static const char *const argv[] = {"sh", "-c", "[ -z \"$LISTEN_FDS$LISTEN_PID\" ]", NULL};

	JT_EQ(run(&(struct jaco_proc_options){.argv = argv, .out_fd = -1}), 0);
}

JT_MAIN(JT_RUN(passed_descriptors_arrive_from_three_on_with_their_names),
	JT_RUN(without_descriptors_nothing_is_said_of_them))
