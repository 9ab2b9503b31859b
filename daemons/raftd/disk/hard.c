/* SPDX-License-Identifier: Apache-2.0
 *
 * hard.c - slot n of the file is n * 4096: "JACOHARD" u32 crc, u32 0, u64 sequence, term, vote. */
#include "daemons/raftd/disk/hard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemons/raftd/disk/crc32c.h"
#include "libjaco/base/fault.h"
#include "libjaco/base/le.h"
#include "libjaco/base/str.h"

#define SLOT_BYTES   4096
#define RECORD_BYTES 40

static const char magic[8] = "JACOHARD";

static bool read_slot(int fd, size_t slot, struct hard *hard)
{
	uint8_t record[RECORD_BYTES];

	if (pread(fd, record, sizeof(record), (off_t)(slot * SLOT_BYTES)) != sizeof(record) ||
	    memcmp(record, magic, sizeof(magic)) != 0 ||
	    jaco_le_get(record + 8, 4) != crc32c(0, record + 12, sizeof(record) - 12) ||
	    jaco_le_get(record + 16, 8) <= hard->sequence)
		return false;
	hard->sequence = jaco_le_get(record + 16, 8);
	hard->term = jaco_le_get(record + 24, 8);
	hard->vote = jaco_le_get(record + 32, 8);
	return true;
}

int hard_save(struct hard *hard, uint64_t term, uint64_t vote, struct jaco_err *err)
{
	uint8_t slot[SLOT_BYTES] = {0};
	uint64_t sequence = hard->sequence + 1;

	memcpy(slot, magic, sizeof(magic));
	jaco_le_put(slot + 16, sequence, 8);
	jaco_le_put(slot + 24, term, 8);
	jaco_le_put(slot + 32, vote, 8);
	jaco_le_put(slot + 8, crc32c(0, slot + 12, RECORD_BYTES - 12), 4);
	CHAOS(vote_save);
	if (CHAOS_FAIL(vote_save)) {
		errno = EIO;
		return jaco_err_errno(err, "saving the vote");
	}
	if (pwrite(hard->fd, slot, sizeof(slot), (off_t)(sequence % 2 * SLOT_BYTES)) !=
		    sizeof(slot) ||
	    fdatasync(hard->fd) < 0)
		return jaco_err_errno(err, "saving the vote");
	CHAOS(vote_save);
	hard->sequence = sequence;
	hard->term = term;
	hard->vote = vote;
	return 0;
}

static int make(struct hard *hard, const char *path, struct jaco_err *err)
{
	char dir[4096];
	char *slash;
	int fd, rc;

	/* both slots written once, so that later saves change no metadata */
	if (hard_save(hard, 0, 0, err) < 0 || hard_save(hard, 0, 0, err) < 0)
		return -(int)err->code;
	(void)jaco_str_copy(dir, sizeof(dir), path);
	slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = fd < 0 || fsync(fd) < 0 ? jaco_err_errno(err, "%s", dir) : 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

int hard_open(struct hard *hard, const char *path, struct jaco_err *err)
{
	struct stat st;
	bool is_read;

	*hard = (struct hard){.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
	if (hard->fd < 0 || fstat(hard->fd, &st) < 0) {
		jaco_err_errno(err, "%s", path);
		hard_close(hard);
		return -(int)err->code;
	}
	is_read = read_slot(hard->fd, 0, hard);
	is_read = read_slot(hard->fd, 1, hard) || is_read;
	/* one slot, or none, is a crash during make(): nothing was voted yet */
	if (!is_read && st.st_size < 2 * SLOT_BYTES) {
		if (make(hard, path, err) < 0) {
			jaco_err_wrap(err, "%s", path);
			hard_close(hard);
			return -(int)err->code;
		}
	} else if (!is_read) {
		hard_close(hard);
		return jaco_err_set(
			err, JACO_INTERNAL,
			"%s: both copies of the vote are damaged; without them this node "
			"could vote twice",
			path);
	}
	return 0;
}

void hard_close(struct hard *hard)
{
	if (hard->fd > 0)
		close(hard->fd);
	hard->fd = -1;
}
