/* SPDX-License-Identifier: Apache-2.0
 *
 * fs.c - whole-file reading and atomic replacement (rename(2), fsync(2) of the directory). */
#include "libjaco/io/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "libjaco/base/fault.h"
#include "libjaco/base/str.h"
#include "libjaco/io/sock.h"

#define PATH_BYTES 4096
#define CHUNK      65536
#define LOCK_STEP_MS 20

int jaco_fs_sync_dir(const char *path, struct jaco_err *err)
{
	jaco_auto(jaco_fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return jaco_err_errno(err, "fsync directory %s", path);
	return 0;
}

static int sync_parent(const char *path, struct jaco_err *err)
{
	char dir[PATH_BYTES];
	char *slash;

	if (!jaco_str_copy(dir, sizeof(dir), path))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "path too long");
	slash = strrchr(dir, '/');
	if (!slash)
		return jaco_fs_sync_dir(".", err);
	slash[slash == dir] = '\0';
	return jaco_fs_sync_dir(dir, err);
}

int jaco_fs_mkdirs(const char *path, mode_t mode, struct jaco_err *err)
{
	char copy[PATH_BYTES];

	if (!jaco_str_copy(copy, sizeof(copy), path))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "path too long");
	for (char *at = copy + 1;; at++) {
		bool last = *at == '\0';

		if (*at != '/' && !last)
			continue;
		*at = '\0';
		if (mkdir(copy, mode) < 0) {
			if (errno != EEXIST)
				return jaco_err_errno(err, "mkdir %s", copy);
		} else if (sync_parent(copy, err) < 0) {
			return -(int)err->code;
		}
		if (last)
			return 0;
		*at = '/';
	}
}

int jaco_fs_read(const char *path, size_t max, struct jaco_buf *out, struct jaco_err *err)
{
	jaco_auto(jaco_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t got = 0;

	if (fd < 0)
		return jaco_err_errno(err, "open %s", path);
	for (;;) {
		char *at = jaco_buf_reserve(out, CHUNK);
		ssize_t n;

		if (!at)
			return jaco_err_set(err, JACO_LIMIT_EXCEEDED, "%s is too large", path);
		n = read(fd, at, CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return jaco_err_errno(err, "read %s", path);
		if (n == 0)
			return 0;
		got += (size_t)n;
		out->n += (size_t)n;
		out->data[out->n] = '\0';
		if (got > max)
			return jaco_err_set(err, JACO_LIMIT_EXCEEDED, "%s is larger than %zu bytes",
					    path, max);
	}
}

static int write_all(int fd, const char *data, size_t n, const char *path, struct jaco_err *err)
{
	while (n > 0) {
		ssize_t done = write(fd, data, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return jaco_err_errno(err, "write %s", path);
		data += done;
		n -= (size_t)done;
	}
	return 0;
}

static int write_temporary(const char *temporary, const void *data, size_t n, mode_t mode,
			   bool durable, struct jaco_err *err)
{
	jaco_auto(jaco_fd) int fd =
		open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd < 0)
		return jaco_err_errno(err, "create %s", temporary);
	if (write_all(fd, data, n, temporary, err) < 0)
		return -(int)err->code;
	if (durable && fsync(fd) < 0)
		return jaco_err_errno(err, "fsync %s", temporary);
	return 0;
}

static int replace(const char *path, const void *data, size_t n, mode_t mode, bool durable,
		   struct jaco_err *err)
{
	char temporary[PATH_BYTES];

	if (!jaco_str_format(temporary, sizeof(temporary), "%s.%d.tmp", path, (int)getpid()))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "path too long");
	if (write_temporary(temporary, data, n, mode, durable, err) < 0) {
		(void)unlink(temporary);
		return -(int)err->code;
	}
	CHAOS(rename);
	if (rename(temporary, path) < 0) {
		int rc = jaco_err_errno(err, "rename %s", path);

		(void)unlink(temporary);
		return rc;
	}
	CHAOS(rename);
	return durable ? sync_parent(path, err) : 0;
}

int jaco_fs_replace(const char *path, const void *data, size_t n, mode_t mode, struct jaco_err *err)
{
	return replace(path, data, n, mode, true, err);
}

int jaco_fs_replace_cache(const char *path, const void *data, size_t n, mode_t mode,
			  struct jaco_err *err)
{
	return replace(path, data, n, mode, false, err);
}

/* "<name>.<pid>.tmp" of a process that is no more. */
static bool is_left_behind(const char *name)
{
	size_t n = strlen(name);
	size_t at = n - JACO_MIN(n, strlen(".tmp"));
	char digits[12];
	uint64_t pid;

	if (strcmp(name + at, ".tmp") != 0)
		return false;
	for (n = at; n > 0 && name[n - 1] != '.'; n--)
		;
	if (n < 2 || at - n >= sizeof(digits))
		return false;
	memcpy(digits, name + n, at - n);
	digits[at - n] = '\0';
	return jaco_str_to_u64(digits, INT32_MAX, &pid) && pid > 0 && pid != (uint64_t)getpid() &&
	       kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

void jaco_fs_sweep(const char *dir)
{
	DIR *list = opendir(dir);
	struct dirent *entry;

	if (!list)
		return;
	while ((entry = readdir(list)))
		if (is_left_behind(entry->d_name))
			(void)unlinkat(dirfd(list), entry->d_name, 0);
	(void)closedir(list);
}

bool jaco_fs_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

int jaco_fs_lock(const char *path, int64_t wait_ms, struct jaco_err *err)
{
	jaco_auto(jaco_fd) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	const struct timespec step = {.tv_nsec = LOCK_STEP_MS * 1000000L};

	if (fd < 0)
		return jaco_err_errno(err, "open %s", path);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return jaco_err_errno(err, "lock %s", path);
		if (wait_ms <= 0)
			return jaco_err_set(err, JACO_CONFLICT, "%s is held by another process",
					    path);
		(void)nanosleep(&step, NULL);
		wait_ms -= LOCK_STEP_MS;
	}
	return jaco_fd_take(&fd);
}
