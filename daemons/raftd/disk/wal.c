/* SPDX-License-Identifier: Apache-2.0
 *
 * wal.c - segments as files: <sequence>.log, and "spare" while the next one is being zeroed.
 *
 * A segment gets its name only when its header is durable, so a bad header is damage and no crash
 * leaves one.  Each header says which entry came before it; a gap between that and what the
 * previous file yields is damage, not a torn write, because a segment is only begun after the one
 * before it was flushed. */
#include "daemons/raftd/disk/wal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/fault.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/random.h"
#include "libjaco/base/str.h"

#define NAME_BYTES    32
#define SPARE         "spare"
#define ZERO_BYTES    WAL_SEGMENT_LEAST /* at a time */
#define DISK_SHARE    64 /* a segment takes no more than one part in so many, if it can */
#define HEADROOM      (64u * 1024) /* for raft's own entries when clients are refused */
#define SEGMENTS_SANE 1000000

static const uint8_t zeros[ZERO_BYTES];

static void segment_name(char out[static NAME_BYTES], uint64_t sequence)
{
	(void)jaco_str_format(out, NAME_BYTES, "%020llu.log", (unsigned long long)sequence);
}

static struct wal_segment *active(struct wal *wal)
{
	return wal->n_segments ? &wal->segments[wal->n_segments - 1] : NULL;
}

/* At the end of the active segment. */
static void begin_writing(struct wal *wal)
{
	char name[NAME_BYTES];

	sink_close(&wal->sink);
	segment_name(name, active(wal)->sequence);
	sink_open(&wal->sink, wal->dir_fd, name, active(wal)->fd, wal->end);
}

/* --- places --- */

static void place(struct wal *wal, uint64_t index, const struct wal_place *at)
{
	size_t slot = (size_t)(index - wal->base_index - 1);

	wal->places = jaco_grow(wal->places, &wal->places_cap, slot + 1, sizeof(*wal->places));
	wal->places[slot] = *at;
	wal->last_index = index;
}

static const struct wal_place *find_place(const struct wal *wal, uint64_t index)
{
	if (index <= wal->base_index || index > wal->last_index)
		return NULL;
	return &wal->places[index - wal->base_index - 1];
}

uint64_t wal_term(const struct wal *wal, uint64_t index)
{
	const struct wal_place *at = find_place(wal, index);

	if (index == wal->base_index)
		return wal->base_term;
	return at ? at->term : 0;
}

/* --- opening --- */

struct scan {
	struct wal *wal;
	struct wal_segment *segment;
};

static void on_record(void *ctx, const struct segment_record *record)
{
	struct scan *scan = ctx;
	struct wal_place at = {.term = record->term,
			       .sequence = scan->segment->sequence,
			       .offset = record->offset,
			       .n = record->n,
			       .type = record->type};

	if (record->index <= scan->wal->base_index) {
		/* a later leader replaced entries from before the present base on */
		scan->wal->last_index = scan->wal->base_index;
		if (record->index == scan->wal->base_index)
			scan->wal->base_term = record->term;
		return;
	}
	place(scan->wal, record->index, &at);
	scan->segment->max_index = JACO_MAX(scan->segment->max_index, record->index);
}

static void begin_at(struct wal *wal, uint64_t index, uint64_t term)
{
	wal->base_index = wal->last_index = index;
	wal->base_term = term;
}

static int cut_torn(struct wal *wal, struct wal_segment *segment, size_t end, size_t n,
		    struct jaco_err *err)
{
	for (size_t at = end; at < n; at += ZERO_BYTES)
		if (sink_put(segment->fd, zeros, JACO_MIN(n - at, (size_t)ZERO_BYTES), at) < 0)
			return jaco_err_errno(err, "clearing the torn end of the log");
	if (fdatasync(segment->fd) < 0)
		return jaco_err_errno(err, "clearing the torn end of the log");
	wal->n_torn_bytes_cut += n - end;
	return 0;
}

static int scan_file(struct wal *wal, struct wal_segment *segment, const uint8_t *data, size_t n,
		     bool is_newest, struct jaco_err *err)
{
	struct scan scan = {.wal = wal, .segment = segment};
	size_t end = 0;
	bool is_torn = false;

	if (wal->n_segments == 1 || (segment->header.flags & SEGMENT_RESET))
		begin_at(wal, segment->header.base_index, segment->header.base_term);
	else if (segment->header.base_index > wal->last_index)
		return jaco_err_set(err, JACO_INTERNAL,
				    "begins after entry %llu but the file before it ends at %llu: "
				    "entries are missing or damaged",
				    (unsigned long long)segment->header.base_index,
				    (unsigned long long)wal->last_index);
	segment->max_index = segment->header.base_index;
	if (segment_scan(data, n, &segment->header, on_record, &scan, &end, &is_torn, err) < 0)
		return -(int)err->code;
	if (is_torn && !is_newest)
		return jaco_err_set(err, JACO_INTERNAL,
				    "damaged at byte %zu and not the newest file", end);
	wal->end = end;
	return is_torn ? cut_torn(wal, segment, end, n, err) : 0;
}

/* Map, check and scan one file. */
static int open_segment(struct wal *wal, uint64_t sequence, bool is_newest, struct jaco_err *err)
{
	char name[NAME_BYTES];
	struct wal_segment segment = {.sequence = sequence};
	struct stat st;
	uint8_t *data;
	int rc;

	segment_name(name, sequence);
	segment.fd = openat(wal->dir_fd, name, O_RDWR | O_CLOEXEC);
	if (segment.fd < 0)
		return jaco_err_errno(err, "%s", name);
	if (fstat(segment.fd, &st) < 0 || st.st_size > SEGMENT_BYTES) {
		close(segment.fd);
		return jaco_err_set(err, JACO_INTERNAL, "%s is not one of the log's files", name);
	}
	segment.bytes = (size_t)st.st_size;
	data = st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, segment.fd, 0)
			  : MAP_FAILED;
	if (data == MAP_FAILED ||
	    !segment_header_unpack(data, (size_t)st.st_size, &segment.header)) {
		rc = jaco_err_set(err, JACO_INTERNAL, "%s: its header is damaged", name);
		close(segment.fd);
	} else {
		wal->segments = jaco_grow(wal->segments, &wal->segments_cap, wal->n_segments + 1,
					  sizeof(*wal->segments));
		wal->segments[wal->n_segments++] = segment;
		rc = scan_file(wal, active(wal), data, (size_t)st.st_size, is_newest, err);
		if (rc < 0)
			jaco_err_wrap(err, "%s", name);
	}
	if (data != MAP_FAILED)
		munmap(data, (size_t)st.st_size);
	return rc;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static bool is_segment_name(const char *name, uint64_t *out_sequence)
{
	char digits[24];

	if (strlen(name) != 24 || !jaco_str_ends(name, ".log"))
		return false;
	(void)jaco_str_copy(digits, 21, name);
	return jaco_str_to_u64(digits, UINT64_MAX, out_sequence);
}

/* What cannot be listed to its end is refused: without its newest files the log would look whole
 * and be shorter than what was acknowledged. */
static int read_names(DIR *dir, uint64_t **list, size_t *n, struct jaco_err *err)
{
	struct dirent *entry;
	uint64_t sequence;
	size_t cap = 0;

	while (errno = 0, (entry = readdir(dir))) {
		if (!is_segment_name(entry->d_name, &sequence))
			continue;
		if (*n == SEGMENTS_SANE)
			return jaco_err_set(err, JACO_INTERNAL, "more than %d files of the log",
					    SEGMENTS_SANE);
		*list = jaco_grow(*list, &cap, *n + 1, sizeof(**list));
		(*list)[(*n)++] = sequence;
	}
	return errno ? jaco_err_errno(err, "reading the log's directory") : 0;
}

/* Sequences of all segments, ascending.  Release with jaco_free(), also after a failure. */
static int list_segments(struct wal *wal, uint64_t **out_list, size_t *out_n, struct jaco_err *err)
{
	int fd = openat(wal->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int rc;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return jaco_err_errno(err, "reading the log's directory");
	}
	rc = read_names(dir, out_list, out_n, err);
	closedir(dir);
	if (*out_n > 1)
		qsort(*out_list, *out_n, sizeof(**out_list), compare_u64);
	return rc;
}

static void drop_oldest(struct wal *wal)
{
	char name[NAME_BYTES];

	segment_name(name, wal->segments[0].sequence);
	close(wal->segments[0].fd);
	(void)unlinkat(wal->dir_fd, name, 0); /* a left-over is removed at the next chance */
	wal->n_segments--;
	memmove(wal->segments, wal->segments + 1, wal->n_segments * sizeof(*wal->segments));
}

/* --- new segments --- */

size_t wal_segment_bytes(uint64_t disk_bytes)
{
	size_t n = SEGMENT_BYTES;

	while (n > WAL_SEGMENT_LEAST && n > disk_bytes / DISK_SHARE)
		n /= 2;
	return n;
}

/* What the next segment needs to hold @bytes of data, in whole pieces. */
static size_t next_bytes(const struct wal *wal, size_t bytes)
{
	size_t least = SEGMENT_HEADER_BYTES + segment_record_size(bytes);

	least = (least + ZERO_BYTES - 1) / ZERO_BYTES * ZERO_BYTES;
	return JACO_MIN(JACO_MAX(least, wal->segment_bytes), (size_t)SEGMENT_BYTES);
}

static void close_spare(struct wal *wal)
{
	close(wal->spare_fd);
	wal->spare_fd = -1;
	wal->spare_bytes = wal->spare_n = 0;
}

bool wal_drop_spare(struct wal *wal)
{
	if (wal->spare_fd < 0)
		return false;
	close_spare(wal);
	(void)unlinkat(wal->dir_fd, SPARE, 0); /* or it is begun again, which truncates it */
	return true;
}

static int open_spare(struct wal *wal)
{
	if (wal->spare_fd < 0)
		wal->spare_fd = openat(wal->dir_fd, SPARE, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
				       0600);
	return wal->spare_fd;
}

/* All of it is taken at once: a part would only keep others from the last of a full disk. */
static int take_spare(struct wal *wal, size_t bytes)
{
	if (wal->spare_bytes >= bytes)
		return 0;
	if (fallocate(wal->spare_fd, 0, 0, (off_t)bytes) < 0 && errno != EOPNOTSUPP)
		return -1;
	wal->spare_bytes = bytes;
	return 0;
}

/* A spare of @bytes at least, zeroed as far as @until. */
static int zero_spare(struct wal *wal, size_t bytes, size_t until, struct jaco_err *err)
{
	if (open_spare(wal) < 0)
		return jaco_err_errno(err, "making the next log file");
	if (take_spare(wal, bytes) < 0) {
		jaco_err_errno(err, "making the next log file");
		(void)wal_drop_spare(wal);
		return -(int)err->code;
	}
	if (wal->spare_n >= until)
		return 0;
	while (wal->spare_n < until) {
		if (CHAOS_FAIL(log_append)) {
			errno = ENOSPC;
			return jaco_err_errno(err, "making the next log file");
		}
		if (sink_put(wal->spare_fd, zeros, ZERO_BYTES, wal->spare_n) < 0) {
			jaco_err_errno(err, "making the next log file");
			(void)wal_drop_spare(wal);
			return -(int)err->code;
		}
		wal->spare_n += ZERO_BYTES;
	}
	if (fdatasync(wal->spare_fd) < 0) {
		jaco_err_errno(err, "making the next log file");
		close_spare(wal); /* what was written may be gone: begin again */
		return -(int)err->code;
	}
	return 0;
}

/* All of a spare that has @bytes at least. */
static int finish_spare(struct wal *wal, size_t bytes, struct jaco_err *err)
{
	return zero_spare(wal, bytes, JACO_MAX(bytes, wal->spare_bytes), err);
}

static bool has_spare(const struct wal *wal, size_t bytes)
{
	return wal->spare_fd >= 0 && wal->spare_n >= bytes && wal->spare_n == wal->spare_bytes;
}

/* Turn the spare, which has @bytes at least, into the active segment. */
static int add_segment(struct wal *wal, size_t bytes, uint32_t flags, uint64_t index, uint64_t term,
		       struct jaco_err *err)
{
	struct wal_segment segment = {
		.sequence = wal->n_segments ? active(wal)->sequence + 1 : 1,
		.header = {.flags = flags, .base_index = index, .base_term = term},
		.max_index = index};
	uint8_t header[SEGMENT_HEADER_BYTES];
	char name[NAME_BYTES];

	if (finish_spare(wal, bytes, err) < 0)
		return -(int)err->code;
	jaco_random_bytes(&segment.header.salt, sizeof(segment.header.salt));
	segment_header_pack(&segment.header, header);
	segment_name(name, segment.sequence);
	if (sink_put(wal->spare_fd, header, sizeof(header), 0) < 0 || fsync(wal->spare_fd) < 0)
		return jaco_err_errno(err, "beginning a log file");
	CHAOS(rename);
	if (renameat(wal->dir_fd, SPARE, wal->dir_fd, name) < 0 || fsync(wal->dir_fd) < 0)
		return jaco_err_errno(err, "beginning a log file");
	CHAOS(rename);
	segment.fd = wal->spare_fd;
	segment.bytes = wal->spare_bytes;
	wal->spare_fd = -1;
	wal->spare_bytes = wal->spare_n = 0;
	wal->segments = jaco_grow(wal->segments, &wal->segments_cap, wal->n_segments + 1,
				  sizeof(*wal->segments));
	wal->segments[wal->n_segments++] = segment;
	wal->end = SEGMENT_HEADER_BYTES;
	begin_writing(wal);
	return 0;
}

void wal_leave_room(struct wal *wal, uint64_t bytes, uint64_t index)
{
	wal->state_bytes = bytes;
	wal->saved_index = index;
}

/* Bytes of the files that hold entries the state does not, and of the active one. */
static uint64_t unsaved_bytes(const struct wal *wal)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < wal->n_segments; i++)
		if (i + 1 == wal->n_segments || wal->segments[i].max_index > wal->saved_index)
			bytes += wal->segments[i].bytes;
	return bytes;
}

/* May the next segment take @bytes of the disk? */
static int is_left(const struct wal *wal, size_t bytes, struct jaco_err *err)
{
	uint64_t needed = bytes + wal->state_bytes + 2 * (unsaved_bytes(wal) + bytes), left;
	struct statvfs disk;

	if (wal->spare_bytes >= bytes || fstatvfs(wal->dir_fd, &disk) < 0)
		return 0;
	left = (uint64_t)disk.f_bavail * disk.f_frsize + wal->spare_bytes;
	if (left >= needed)
		return 0;
	return jaco_err_set(
		err, JACO_UNAVAILABLE,
		"no room to write: %llu KiB of the disk are left, %llu are needed to save "
		"the state and for the next log file",
		(unsigned long long)left / 1024, (unsigned long long)needed / 1024);
}

void wal_prepare(struct wal *wal)
{
	struct jaco_err err = JACO_ERR_INIT;

	if (wal->is_failed || has_spare(wal, wal->segment_bytes) ||
	    wal->end < active(wal)->bytes / 4 || is_left(wal, wal->segment_bytes, &err) < 0)
		return;
	/* a full disk shows again, with its text, in has_room() */
	(void)zero_spare(wal, wal->segment_bytes, wal->spare_n + ZERO_BYTES, &err);
}

static bool is_at_end(const struct wal *wal, size_t bytes)
{
	return wal->end + wal->batch.n + segment_record_size(bytes) >
	       wal->segments[wal->n_segments - 1].bytes;
}

/* Will the next segment have to be made for @bytes more? */
static bool is_short(const struct wal *wal, size_t bytes)
{
	return is_at_end(wal, bytes) && !has_spare(wal, next_bytes(wal, bytes));
}

int wal_has_room(struct wal *wal, size_t bytes, struct jaco_err *err)
{
	if (wal->is_failed)
		return jaco_err_set(err, JACO_UNAVAILABLE,
				    "the log has failed and must be reopened");
	return wal_make_room(wal, bytes + HEADROOM, err);
}

int wal_make_room(struct wal *wal, size_t bytes, struct jaco_err *err)
{
	struct jaco_err why = JACO_ERR_INIT;

	if (wal->is_failed || !is_short(wal, bytes))
		return 0; /* what has failed says so when it is written */
	if (is_left(wal, next_bytes(wal, bytes), err) < 0)
		return -(int)err->code;
	if (finish_spare(wal, next_bytes(wal, bytes), &why) < 0)
		return jaco_err_set(err, JACO_UNAVAILABLE, "no room to write: %s", why.text);
	return 0;
}

int wal_open(struct wal *wal, const char *path, struct jaco_err *err)
{
	jaco_auto(jaco_ptr) uint64_t *list = NULL;
	struct statvfs disk;
	size_t n = 0;
	int rc;

	*wal = (struct wal){.spare_fd = -1};
	wal->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (wal->dir_fd < 0)
		return jaco_err_errno(err, "%s", path);
	wal->segment_bytes = fstatvfs(wal->dir_fd, &disk) < 0
				     ? SEGMENT_BYTES
				     : wal_segment_bytes((uint64_t)disk.f_blocks * disk.f_frsize);
	(void)unlinkat(wal->dir_fd, SPARE, 0); /* half made; there may be none */
	rc = list_segments(wal, &list, &n, err);
	for (size_t i = 0; rc >= 0 && i < n; i++)
		rc = open_segment(wal, list[i], i + 1 == n, err);
	if (rc >= 0 && n > 0)
		begin_writing(wal);
	if (rc >= 0 && n == 0)
		rc = add_segment(wal, wal->segment_bytes, 0, 0, 0, err);
	/* a crash during wal_reset() left what the snapshot replaced */
	while (rc >= 0 && wal->n_segments > 1 && (active(wal)->header.flags & SEGMENT_RESET) != 0)
		drop_oldest(wal);
	if (rc < 0) {
		jaco_err_wrap(err, "log %s", path);
		wal_close(wal);
		return -(int)err->code;
	}
	wal->flushed = wal->last_index;
	return 0;
}

void wal_close(struct wal *wal)
{
	sink_close(&wal->sink);
	for (size_t i = 0; i < wal->n_segments; i++)
		close(wal->segments[i].fd);
	if (wal->spare_fd >= 0)
		close(wal->spare_fd);
	if (wal->dir_fd > 0)
		close(wal->dir_fd);
	jaco_free(wal->segments);
	jaco_free(wal->places);
	jaco_buf_fini(&wal->batch);
	*wal = (struct wal){.spare_fd = -1, .dir_fd = -1};
}

/* --- writing --- */

static int fail(struct wal *wal, struct jaco_err *err, const char *what)
{
	wal->is_failed = true;
	return jaco_err_errno(err, "%s", what);
}

int wal_append(struct wal *wal, const struct wal_entry *entry, struct jaco_err *err)
{
	struct segment_record record = {.index = entry->index,
					.term = entry->term,
					.type = entry->type,
					.n = (uint32_t)entry->n};
	struct wal_place at = {.term = entry->term, .type = entry->type, .n = record.n};

	JACO_ASSERT(entry->index > wal->base_index && entry->index <= wal->last_index + 1);
	JACO_ASSERT(entry->n <= SEGMENT_DATA_MAX);
	if (is_at_end(wal, entry->n)) {
		if (wal_flush(wal, err) < 0)
			return -(int)err->code;
		if (add_segment(wal, next_bytes(wal, entry->n), 0, entry->index - 1,
				wal_term(wal, entry->index - 1), err) < 0) {
			wal->is_failed = true;
			return -(int)err->code;
		}
		wal->last_index = entry->index - 1;
	}
	record.batch = (uint32_t)wal->end;
	at.sequence = active(wal)->sequence;
	at.offset = (uint32_t)(wal->end + wal->batch.n + SEGMENT_RECORD_BYTES);
	segment_record_pack(&wal->batch, &active(wal)->header, &record, entry->data);
	place(wal, entry->index, &at);
	active(wal)->max_index = JACO_MAX(active(wal)->max_index, entry->index);
	wal->flushed = JACO_MIN(wal->flushed, entry->index - 1);
	return 0;
}

int wal_flush(struct wal *wal, struct jaco_err *err)
{
	if (wal->is_failed)
		return jaco_err_set(err, JACO_INTERNAL, "the log failed before");
	if (wal->batch.n == 0)
		return 0;
	CHAOS(log_append);
	CHAOS(log_flush);
	if (CHAOS_FAIL(log_flush)) {
		errno = EIO;
		return fail(wal, err, "flushing the log");
	}
	if (sink_write(&wal->sink, wal->batch.data, wal->batch.n, wal->end) < 0)
		return fail(wal, err, "flushing the log");
	CHAOS(log_append);
	CHAOS(log_flush);
	wal->end += wal->batch.n;
	jaco_buf_reset(&wal->batch);
	wal->flushed = wal->last_index;
	wal->n_flushes++;
	return 0;
}

/* --- reading --- */

static struct wal_segment *find_segment(struct wal *wal, uint64_t sequence)
{
	for (size_t i = wal->n_segments; i-- > 0;)
		if (wal->segments[i].sequence == sequence)
			return &wal->segments[i];
	return NULL;
}

int wal_read(struct wal *wal, uint64_t index, struct wal_entry *out_entry, struct jaco_buf *out,
	     struct jaco_err *err)
{
	const struct wal_place *at = find_place(wal, index);
	struct wal_segment *segment = at ? find_segment(wal, at->sequence) : NULL;
	size_t start = out->n;
	char *room;

	if (!segment)
		return jaco_err_set(err, JACO_INTERNAL, "entry %llu is not in the log",
				    (unsigned long long)index);
	room = jaco_buf_reserve(out, (size_t)at->n + 1);
	if (!room)
		return jaco_err_set(err, JACO_LIMIT_EXCEEDED, "entry %llu does not fit",
				    (unsigned long long)index);
	if (at->n > 0 && segment == active(wal) && at->offset >= wal->end) {
		memcpy(room, wal->batch.data + (at->offset - wal->end), at->n);
	} else if (at->n > 0) {
		ssize_t got = pread(segment->fd, room, at->n, at->offset);

		if (got < 0)
			return jaco_err_errno(err, "reading entry %llu", (unsigned long long)index);
		if (got != (ssize_t)at->n)
			return jaco_err_set(err, JACO_INTERNAL, "entry %llu is cut short on disk",
					    (unsigned long long)index);
	}
	out->n += at->n;
	*out_entry = (struct wal_entry){.index = index,
					.term = at->term,
					.type = at->type,
					.data = out->data + start,
					.n = at->n};
	return 0;
}

/* --- compaction --- */

uint64_t wal_compactable(const struct wal *wal, uint64_t index, uint64_t keep_bytes)
{
	uint64_t base = wal->base_index, older = 0;

	for (size_t i = 0; i + 1 < wal->n_segments; i++)
		older += wal->segments[i].bytes;
	for (size_t i = 0; older > keep_bytes && wal->segments[i].max_index <= index; i++) {
		base = JACO_MAX(base, wal->segments[i + 1].header.base_index);
		older -= wal->segments[i].bytes;
	}
	return base <= index ? base : wal->base_index;
}

int wal_compact(struct wal *wal, uint64_t index, struct jaco_err *err)
{
	uint64_t base = wal->base_index, term = wal->base_term;
	size_t n_drop = 0;

	JACO_ASSERT(index <= wal->last_index);
	for (; n_drop + 1 < wal->n_segments && wal->segments[n_drop].max_index <= index; n_drop++) {
		base = wal->segments[n_drop + 1].header.base_index;
		term = wal_term(wal, base);
	}
	if (n_drop == 0 || base > index || base < wal->base_index)
		return 0;
	CHAOS(compaction);
	memmove(wal->places, wal->places + (base - wal->base_index),
		(size_t)(wal->last_index - base) * sizeof(*wal->places));
	wal->base_index = base;
	wal->base_term = term;
	while (n_drop-- > 0)
		drop_oldest(wal);
	if (fsync(wal->dir_fd) < 0)
		return jaco_err_errno(err, "compacting the log");
	CHAOS(compaction);
	return 0;
}

int wal_prepare_reset(struct wal *wal, struct jaco_err *err)
{
	struct jaco_err why = JACO_ERR_INIT;

	if (has_spare(wal, wal->segment_bytes) || finish_spare(wal, wal->segment_bytes, &why) == 0)
		return 0;
	return jaco_err_set(err, JACO_UNAVAILABLE, "no room to begin the log anew: %s", why.text);
}

int wal_reset(struct wal *wal, uint64_t index, uint64_t term, struct jaco_err *err)
{
	jaco_buf_reset(&wal->batch);
	if (add_segment(wal, wal->segment_bytes, SEGMENT_RESET, index, term, err) < 0) {
		wal->is_failed = true;
		return -(int)err->code;
	}
	while (wal->n_segments > 1)
		drop_oldest(wal);
	begin_at(wal, index, term);
	wal->flushed = index;
	return 0;
}

uint64_t wal_bytes(const struct wal *wal)
{
	uint64_t bytes = wal->spare_bytes;

	for (size_t i = 0; i < wal->n_segments; i++)
		bytes += wal->segments[i].bytes;
	return bytes;
}
