/* SPDX-License-Identifier: Apache-2.0
 *
 * power-cut.c - LD_PRELOAD: records what a process asks of its disk, so that every state in which a
 * power cut may leave that disk can be made afterwards (tests/integration/power_cut.py reads it).
 *
 *   POWER_CUT_ROOT   files below this directory are recorded
 *   POWER_CUT_LOG    a file of POWER_CUT_BYTES that the record is mapped to
 *
 * The record is a shared mapping: it survives kill -9, and no further system call is needed.  It
 * begins with the bytes used (u64); then records of
 *
 *   u64 monotonic ns, u32 kind, u32 handle, u64 offset, u64 n, n bytes padded to 8
 *
 * A write is recorded before it is made: from then on any part of it may be on the disk.  A flush
 * is recorded when it begins and when it is done: it covers the writes before its beginning.
 * Writes and changes of names are made one at a time, so the record has them in the order of the
 * kernel. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FDS_MAX   4096
#define PATHS_MAX 4096

enum kind {
	OPENED = 1, /* offset: flags; bytes: path */
	WRITTEN,    /* bytes at offset */
	SIZED,      /* offset: the size it has now at least (n = 0) or exactly (n = 1) */
	FLUSHING,
	FLUSHED, /* offset: where in the record that flush began, or the write that it covers */
	RENAMED, /* bytes: from, NUL, to */
	REMOVED, /* bytes: path */
	MADE,    /* a directory; bytes: path */
};

struct head {
	uint64_t time;
	uint32_t kind;
	uint32_t handle;
	uint64_t offset;
	uint64_t n;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t *record;
static uint64_t record_bytes;
static const char *root;
static uint32_t handles[FDS_MAX]; /* of a descriptor; 0: not recorded */
static bool is_sync[FDS_MAX];	  /* opened with O_DSYNC */
static uint32_t last_handle;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("POWER_CUT_LOG"), *bytes = getenv("POWER_CUT_BYTES");
	int fd;

	root = getenv("POWER_CUT_ROOT");
	if (!path || !bytes || !root)
		return;
	record_bytes = strtoull(bytes, NULL, 10);
	fd = REAL(open)(path, O_RDWR | O_CLOEXEC);
	record = fd < 0 ? MAP_FAILED
			: mmap(NULL, record_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (record == MAP_FAILED) {
		perror("power-cut: POWER_CUT_LOG");
		_exit(97);
	}
	(void)REAL(close)(fd);
}

/* Under the lock.  Where the record is. */
static uint64_t put(enum kind kind, uint32_t handle, uint64_t offset, const struct iovec *parts,
		    int n_parts)
{
	struct head head = {.kind = kind, .handle = handle, .offset = offset};
	uint64_t at = __atomic_load_n((uint64_t *)record, __ATOMIC_RELAXED), to;
	struct timespec now;

	at = at ? at : 8;
	for (int i = 0; i < n_parts; i++)
		head.n += parts[i].iov_len;
	if (at + sizeof(head) + head.n + 8 > record_bytes) {
		(void)!REAL(write)(2, "power-cut: POWER_CUT_LOG is full\n", 33);
		_exit(97);
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	head.time = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	memcpy(record + at, &head, sizeof(head));
	to = at + sizeof(head);
	for (int i = 0; i < n_parts; i++) {
		memcpy(record + to, parts[i].iov_base, parts[i].iov_len);
		to += parts[i].iov_len;
	}
	__atomic_store_n((uint64_t *)record, (to + 7) / 8 * 8, __ATOMIC_RELEASE);
	return at;
}

static uint64_t put_text(enum kind kind, uint32_t handle, uint64_t offset, const char *text,
			 size_t n)
{
	struct iovec part = {(void *)(uintptr_t)text, n};

	return put(kind, handle, offset, &part, 1);
}

static uint32_t handle_of(int fd)
{
	return record && fd >= 0 && fd < FDS_MAX ? handles[fd] : 0;
}

/* The path of @name below the directory @dir_fd; false when it is not below the root. */
static bool path_of(int dir_fd, const char *name, char out[static PATHS_MAX])
{
	char link[64];
	ssize_t n = 0;

	if (!record)
		return false;
	if (name[0] != '/') {
		if (dir_fd == AT_FDCWD)
			(void)snprintf(link, sizeof(link), "/proc/self/cwd");
		else
			(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", dir_fd);
		n = readlink(link, out, PATHS_MAX - 1);
		if (n < 0 || n + 1 >= PATHS_MAX)
			return false;
		if (strcmp(name, ".") != 0)
			out[n++] = '/';
	}
	(void)snprintf(out + n, (size_t)(PATHS_MAX - n), "%s",
		       n > 0 && strcmp(name, ".") == 0 ? "" : name);
	return strncmp(out, root, strlen(root)) == 0;
}

/* --- opening --- */

static int opened(int dir_fd, const char *name, int flags, int fd)
{
	char path[PATHS_MAX];

	if (fd < 0 || fd >= FDS_MAX || !record)
		return fd;
	handles[fd] = 0;
	if (!path_of(dir_fd, name, path))
		return fd;
	handles[fd] = ++last_handle;
	is_sync[fd] = (flags & O_DSYNC) != 0;
	(void)put_text(OPENED, handles[fd], (uint64_t)(uint32_t)flags, path, strlen(path));
	return fd;
}

static int open_it(int dir_fd, const char *name, int flags, mode_t mode)
{
	int fd, saved;

	pthread_mutex_lock(&lock);
	fd = REAL(openat)(dir_fd, name, flags, mode);
	saved = errno;
	fd = opened(dir_fd, name, flags, fd);
	errno = saved;
	pthread_mutex_unlock(&lock);
	return fd;
}

#define MODE(flags)                                                                                \
	({                                                                                         \
		mode_t mode_ = 0;                                                                  \
		va_list args_;                                                                     \
		va_start(args_, flags);                                                            \
		if ((flags) & (O_CREAT | __O_TMPFILE))                                             \
			mode_ = (mode_t)va_arg(args_, int);                                        \
		va_end(args_);                                                                     \
		mode_;                                                                             \
	})

int open(const char *name, int flags, ...)
{
	return open_it(AT_FDCWD, name, flags, MODE(flags));
}

int open64(const char *name, int flags, ...)
{
	return open_it(AT_FDCWD, name, flags, MODE(flags));
}

int openat(int dir_fd, const char *name, int flags, ...)
{
	return open_it(dir_fd, name, flags, MODE(flags));
}

int openat64(int dir_fd, const char *name, int flags, ...)
{
	return open_it(dir_fd, name, flags, MODE(flags));
}

int close(int fd)
{
	int rc;

	pthread_mutex_lock(&lock);
	if (record && fd >= 0 && fd < FDS_MAX)
		handles[fd] = 0;
	rc = REAL(close)(fd);
	pthread_mutex_unlock(&lock);
	return rc;
}

/* --- writing --- */

/* Under the lock; a write is as synchronous as its descriptor. */
static void done(int fd, uint64_t at)
{
	if (is_sync[fd])
		(void)put(FLUSHED, handles[fd], at, NULL, 0);
}

static ssize_t write_it(int fd, const struct iovec *parts, int n, off_t offset, bool has_offset)
{
	ssize_t rc;
	uint64_t at;

	pthread_mutex_lock(&lock);
	at = put(WRITTEN, handles[fd], (uint64_t)(has_offset ? offset : lseek(fd, 0, SEEK_CUR)),
		 parts, n);
	rc = has_offset ? REAL(pwritev)(fd, parts, n, offset) : REAL(writev)(fd, parts, n);
	if (rc >= 0)
		done(fd, at);
	pthread_mutex_unlock(&lock);
	return rc;
}

ssize_t write(int fd, const void *data, size_t n)
{
	struct iovec part = {(void *)(uintptr_t)data, n};

	return handle_of(fd) ? write_it(fd, &part, 1, 0, false) : REAL(write)(fd, data, n);
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
	return handle_of(fd) ? write_it(fd, parts, n, 0, false) : REAL(writev)(fd, parts, n);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t offset)
{
	struct iovec part = {(void *)(uintptr_t)data, n};

	return handle_of(fd) ? write_it(fd, &part, 1, offset, true)
			     : REAL(pwrite)(fd, data, n, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t offset)
{
	return pwrite(fd, data, n, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t offset)
{
	return handle_of(fd) ? write_it(fd, parts, n, offset, true)
			     : REAL(pwritev)(fd, parts, n, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int n, off64_t offset)
{
	return pwritev(fd, parts, n, offset);
}

static int size_it(int fd, int rc, uint64_t size, bool is_exact)
{
	struct iovec nothing = {(void *)(uintptr_t) "", is_exact ? 1 : 0};

	if (rc == 0 && handle_of(fd)) {
		pthread_mutex_lock(&lock);
		(void)put(SIZED, handles[fd], size, &nothing, 1);
		pthread_mutex_unlock(&lock);
	}
	return rc;
}

int ftruncate(int fd, off_t size)
{
	return size_it(fd, REAL(ftruncate)(fd, size), (uint64_t)size, true);
}

int ftruncate64(int fd, off64_t size)
{
	return ftruncate(fd, size);
}

int fallocate(int fd, int mode, off_t offset, off_t n)
{
	return size_it(fd, REAL(fallocate)(fd, mode, offset, n), (uint64_t)(offset + n), false);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t n)
{
	return fallocate(fd, mode, offset, n);
}

/* --- flushing --- */

static int flush_it(int fd, int (*real)(int fd))
{
	uint32_t handle = handle_of(fd);
	uint64_t at = 0;
	int rc, saved;

	if (!handle)
		return real(fd);
	pthread_mutex_lock(&lock);
	at = put(FLUSHING, handle, 0, NULL, 0);
	pthread_mutex_unlock(&lock);
	rc = real(fd);
	saved = errno;
	if (rc == 0) {
		pthread_mutex_lock(&lock);
		(void)put(FLUSHED, handle, at, NULL, 0);
		pthread_mutex_unlock(&lock);
	}
	errno = saved;
	return rc;
}

int fsync(int fd)
{
	return flush_it(fd, REAL(fsync));
}

int fdatasync(int fd)
{
	return flush_it(fd, REAL(fdatasync));
}

/* --- names --- */

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	char paths[2 * PATHS_MAX], other[PATHS_MAX];
	bool is_ours = path_of(from_fd, from, paths) && path_of(to_fd, to, other);
	size_t n = is_ours ? strlen(paths) + 1 : 0;
	int rc;

	if (!is_ours)
		return REAL(renameat)(from_fd, from, to_fd, to);
	memcpy(paths + n, other, strlen(other));
	pthread_mutex_lock(&lock);
	(void)put_text(RENAMED, 0, 0, paths, n + strlen(other));
	rc = REAL(renameat)(from_fd, from, to_fd, to);
	pthread_mutex_unlock(&lock);
	return rc;
}

int rename(const char *from, const char *to)
{
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int unlinkat(int dir_fd, const char *name, int flags)
{
	char path[PATHS_MAX];
	int rc, saved;

	if (!path_of(dir_fd, name, path))
		return REAL(unlinkat)(dir_fd, name, flags);
	pthread_mutex_lock(&lock);
	rc = REAL(unlinkat)(dir_fd, name, flags);
	saved = errno;
	if (rc == 0)
		(void)put_text(REMOVED, 0, 0, path, strlen(path));
	errno = saved;
	pthread_mutex_unlock(&lock);
	return rc;
}

int unlink(const char *name)
{
	return unlinkat(AT_FDCWD, name, 0);
}

int mkdir(const char *name, mode_t mode)
{
	char path[PATHS_MAX];
	bool is_ours = path_of(AT_FDCWD, name, path);
	int rc, saved;

	pthread_mutex_lock(&lock);
	rc = REAL(mkdir)(name, mode);
	saved = errno;
	if (rc == 0 && is_ours)
		(void)put_text(MADE, 0, 0, path, strlen(path));
	errno = saved;
	pthread_mutex_unlock(&lock);
	return rc;
}
