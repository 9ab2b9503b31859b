/* SPDX-License-Identifier: Apache-2.0
 *
 * wal.h - the write-ahead log of raft on disk: a directory of segments and one flush per batch.
 *
 * append() gathers, flush() makes everything gathered durable by one write (disk/sink.h); only then
 * may it be acknowledged.  Segments are preallocated and zeroed, so a flush changes no file
 * metadata.  A failed flush is final: the kernel may have dropped the dirty pages, so the process
 * must stop and read the disk again.
 *
 * A segment takes a small part of the disk it is on, so that on a small one the state has room
 * beside the log; an entry that is larger gets a segment of its size.
 *
 * Full disks are met before raft is involved: has_room() says whether entries of that size will fit
 * and makes the next segment when the present one runs out.  The log never takes what saving the
 * state may need: old segments go when the state is saved, so a log that took the last room would
 * keep it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/raftd/disk/segment.h"
#include "daemons/raftd/disk/sink.h"
#include "libjaco/base/buf.h"
#include "libjaco/base/err.h"

struct wal_entry {
	uint64_t index;
	uint64_t term;
	uint8_t type;     /* raftd's own; kept, never looked at */
	const void *data; /* borrowed */
	size_t n;
};

struct wal_segment {
	uint64_t sequence; /* the file's name */
	struct segment_header header;
	int fd;
	size_t bytes;       /* of the file */
	uint64_t max_index; /* highest index ever written in it */
};

struct wal_place {
	uint64_t term;
	uint64_t sequence; /* segment */
	uint32_t offset;   /* of the data */
	uint32_t n;
	uint8_t type;
};

struct wal {
	int dir_fd;
	uint64_t base_index; /* entries up to here are gone (in the state, or a snapshot) */
	uint64_t base_term;
	uint64_t last_index;  /* of what was appended */
	uint64_t flushed;     /* last index known durable */
	struct wal_place *places; /* of base_index + 1 .. last_index */
	size_t places_cap;
	struct wal_segment *segments; /* oldest first; the last one is written */
	size_t n_segments;
	size_t segments_cap;
	size_t end;           /* flushed bytes of the active segment */
	struct sink sink;     /* writes it */
	struct jaco_buf batch; /* gathered records, which go to `end` */
	size_t segment_bytes; /* of the next segment, unless an entry needs more */
	int spare_fd;         /* the next segment while it is zeroed, -1 */
	size_t spare_bytes;   /* of the disk it has taken */
	size_t spare_n;       /* bytes of it that are ready */
	uint64_t state_bytes; /* of the disk that saving the state may take */
	uint64_t saved_index; /* the last entry it holds */
	bool is_failed;
	uint64_t n_flushes;
	uint64_t n_torn_bytes_cut; /* found at open */
};

#define WAL_SEGMENT_LEAST (256u * 1024)

/* The size of a segment on a disk of @disk_bytes: WAL_SEGMENT_LEAST..SEGMENT_BYTES, a power of
 * two. */
size_t wal_segment_bytes(uint64_t disk_bytes);

/*
 * Open or create the log in directory @path.  A torn end is cut.
 * Errors: INTERNAL - flushed data is damaged or a file is missing; the text names file and place.
 */
int wal_open(struct wal *wal, const char *path, struct jaco_err *err);
void wal_close(struct wal *wal);
#define wal_cleanup wal_close

/* Gather one entry.  Its index is at most last_index + 1; a lower one replaces all from there
 * on. */
int wal_append(struct wal *wal, const struct wal_entry *entry, struct jaco_err *err);

/* One durable write.  After a failure every later call fails. */
int wal_flush(struct wal *wal, struct jaco_err *err);

/* Copy the data of entry @index to the end of @out.  Errors: NOT one of ours: INTERNAL. */
int wal_read(struct wal *wal, uint64_t index, struct wal_entry *out_entry, struct jaco_buf *out,
	     struct jaco_err *err);

/* The term of an entry; base_term for base_index; 0 when it is not there. */
uint64_t wal_term(const struct wal *wal, uint64_t index);

/* Is there room for one entry of @bytes?  Makes the next segment when the present one runs out.
 * Errors: UNAVAILABLE - the disk is full, or what is left is the state's; nothing changed and a
 * later call may succeed. */
int wal_make_room(struct wal *wal, size_t bytes, struct jaco_err *err);

/* The same for clients' entries, which leave some to raft's own. */
int wal_has_room(struct wal *wal, size_t bytes, struct jaco_err *err);

/* Saving the state may take @bytes of the disk, and twice the bytes of what is newer than its last
 * entry, @index: the log leaves it that. */
void wal_leave_room(struct wal *wal, uint64_t bytes, uint64_t index);

/* Give the room of the next segment back to a full disk.  False when it has not been begun. */
bool wal_drop_spare(struct wal *wal);

/* Idle work: zero a further piece of the next segment. */
void wal_prepare(struct wal *wal);

/* The highest base wal_compact() could move to so that entries above @index stay, and of the files
 * before the active one the newest with @keep_bytes in all; base_index when nothing can go. */
uint64_t wal_compactable(const struct wal *wal, uint64_t index, uint64_t keep_bytes);

/* Forget entries up to @index as far as whole segments allow. */
int wal_compact(struct wal *wal, uint64_t index, struct jaco_err *err);

/* Take the room that the next wal_reset() needs, which then cannot fail for want of it.
 * Errors: UNAVAILABLE - the disk is full; nothing changed and a later call may succeed. */
int wal_prepare_reset(struct wal *wal, struct jaco_err *err);

/* Everything is replaced by a snapshot that ends at @index: an empty log behind it. */
int wal_reset(struct wal *wal, uint64_t index, uint64_t term, struct jaco_err *err);

/* Bytes on disk, spare included. */
uint64_t wal_bytes(const struct wal *wal);
