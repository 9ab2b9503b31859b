/* SPDX-License-Identifier: Apache-2.0
 *
 * tmpdir.h - a directory of its own for one test case, removed at the end of the block. */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/lib/test.h"

struct tmpdir {
	char path[64];
};

static inline void tmpdir_init(struct tmpdir *dir)
{
	strcpy(dir->path, "/tmp/jaco-test-XXXXXX");
	JT_NOT_NULL(mkdtemp(dir->path));
}

static inline void tmpdir_cleanup(struct tmpdir *dir)
{
	DIR *at = opendir(dir->path);
	struct dirent *entry;
	char path[512];

	while (at && (entry = readdir(at))) {
		snprintf(path, sizeof(path), "%s/%s", dir->path, entry->d_name);
		unlink(path);
	}
	if (at)
		closedir(at);
	rmdir(dir->path);
}
