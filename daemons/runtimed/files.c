/* SPDX-License-Identifier: Apache-2.0
 *
 * The names of the files are their numbers, as create_files.c binds them. */
#include "daemons/runtimed/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemons/runtimed/runtimed.h"
#include "daemons/runtimed/tar.h"
#include "libjaco/base/str.h"
#include "libjaco/io/fs.h"
#include "libjaco/io/sock.h"

#define PATH_BYTES (FILES_DIR_BYTES + 288) /* and a name of a directory entry */

static void base_dir(const struct runtimed *rt, char out[static FILES_DIR_BYTES])
{
	jaco_str_format(out, FILES_DIR_BYTES, "%s/runtimed/files", rt->daemon->run_dir);
}

void files_dir(const struct slot *slot, char out[static FILES_DIR_BYTES])
{
	char base[FILES_DIR_BYTES];

	base_dir(slot->rt, base);
	jaco_str_format(out, FILES_DIR_BYTES, "%.300s/%s.%u", base, slot->id, slot->generation);
}

/* A new file every time: a container that still has the old one keeps reading the old one. */
static int write_one(const char *path, const struct jaco_file *file, struct jaco_err *err)
{
	jaco_auto(jaco_fd) int fd = -1;

	if (unlink(path) < 0 && errno != ENOENT)
		return jaco_err_errno(err, "unlink");
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return jaco_err_errno(err, "open");
	if (file->content_bytes > 0 &&
	    write(fd, file->content, file->content_bytes) != (ssize_t)file->content_bytes)
		return jaco_err_errno(err, "write");
	/* mode first: afterwards the file is somebody else's */
	if (fchmod(fd, file->mode & 07777) < 0 ||
	    fchown(fd, tar_number(file->uid), tar_number(file->gid)) < 0)
		return jaco_err_errno(err, "owner and mode");
	return 0;
}

int files_write(const struct slot *slot, struct jaco_err *err)
{
	char dir[FILES_DIR_BYTES], path[PATH_BYTES];
	bool is_made = false;

	files_dir(slot, dir);
	for (size_t i = 0; i < slot->service->n_files; i++) {
		const struct jaco_file *file = &slot->service->files[i];

		if (!file->content || tar_reaches(slot->service, file))
			continue;
		if (!is_made && jaco_fs_mkdirs(dir, 0700, err) < 0)
			return -(int)err->code;
		is_made = true;
		jaco_str_format(path, sizeof(path), "%s/%zu", dir, i);
		if (write_one(path, file, err) < 0)
			return jaco_err_wrap(err, file->is_secret ? "secret" : "config");
	}
	return 0;
}

static void remove_dir(const char *dir)
{
	DIR *list = opendir(dir);
	char path[PATH_BYTES];
	struct dirent *entry;

	if (!list)
		return;
	while ((entry = readdir(list))) {
		if (entry->d_name[0] == '.')
			continue;
		jaco_str_format(path, sizeof(path), "%s/%s", dir, entry->d_name);
		(void)unlink(path);
	}
	(void)closedir(list);
	(void)rmdir(dir);
}

void files_remove(const struct slot *slot)
{
	char dir[FILES_DIR_BYTES];

	files_dir(slot, dir);
	remove_dir(dir);
}

static bool is_of_slot(const struct runtimed *rt, const char *path)
{
	char dir[FILES_DIR_BYTES];
	const struct slot *slot;

	TAILQ_FOREACH(slot, &rt->slots, entry) {
		files_dir(slot, dir);
		if (jaco_str_eq(dir, path))
			return true;
	}
	return false;
}

void files_sweep(struct runtimed *rt)
{
	char base[FILES_DIR_BYTES], path[PATH_BYTES];
	struct dirent *entry;
	DIR *list;

	if (rt->is_files_swept || !rt->is_engine_up || !rt->view->is_current)
		return;
	rt->is_files_swept = true;
	base_dir(rt, base);
	list = opendir(base);
	if (!list)
		return;
	while ((entry = readdir(list))) {
		if (entry->d_name[0] == '.')
			continue;
		jaco_str_format(path, sizeof(path), "%s/%s", base, entry->d_name);
		if (!is_of_slot(rt, path))
			remove_dir(path);
	}
	(void)closedir(list);
}
