/* SPDX-License-Identifier: Apache-2.0
 *
 * snapfile.c - sequential reading and writing; a pair is held at a time, never the state. */
#include "daemons/raftd/disk/snapfile.h"

#include <stdio.h>
#include <string.h>

#include "daemons/raftd/disk/crc32c.h"
#include "daemons/raftd/kv/machine.h"
#include "libjaco/base/buf.h"
#include "libjaco/base/fault.h"
#include "libjaco/base/le.h"
#include "libjaco/base/limits.h"
#include "libjaco/base/mem.h"

#define MAGIC       "JSN1"
#define MAGIC_BYTES 4
#define HEAD_BYTES  7
#define END_TABLE   255
#define TAIL_BYTES  5 /* end mark, CRC */
#define PIECE       65536

static int damaged(struct jaco_err *err)
{
	return jaco_err_set(err, JACO_VALIDATION_FAILED, "the snapshot is damaged");
}

/* --- writing --- */

static void put(struct snapfile_source *source, struct jaco_buf *out, const void *data, size_t n)
{
	source->crc = crc32c(source->crc, data, n);
	jaco_buf_add(out, data, n);
}

/* 1 a pair was put, or passed over; 0 there is none. */
static int put_pair(struct snapfile_source *source, struct jaco_buf *out, struct jaco_err *err)
{
	struct kv_bytes key, stored;
	uint8_t head[HEAD_BYTES];
	enum kv_table table;
	int rc = state_snapshot_next(&source->snapshot, &table, &key, &stored, err);

	if (rc <= 0 || (table == KV_TABLE_META && key.n == 4 && memcmp(key.data, "base", 4) == 0))
		return rc;
	head[0] = (uint8_t)table;
	jaco_le_put(head + 1, key.n, 2);
	jaco_le_put(head + 3, stored.n, 4);
	put(source, out, head, sizeof(head));
	put(source, out, key.data, key.n);
	put(source, out, stored.data, stored.n);
	return 1;
}

int snapfile_source_open(struct snapfile_source *source, struct state *state, struct jaco_err *err)
{
	*source = (struct snapfile_source){.crc = 0};
	return state_snapshot_open(state, &source->snapshot, err);
}

int snapfile_next(struct snapfile_source *source, struct jaco_buf *out, size_t about,
		  struct jaco_err *err)
{
	uint8_t tail[TAIL_BYTES] = {END_TABLE};
	size_t from = out->n;
	int rc = 1;

	if (source->is_over)
		return 0;
	if (!source->is_begun)
		put(source, out, MAGIC, MAGIC_BYTES);
	source->is_begun = true;
	while (rc > 0 && out->n - from < about)
		rc = put_pair(source, out, err);
	if (rc != 0)
		return rc;
	put(source, out, tail, 1);
	jaco_le_put(tail + 1, source->crc, 4);
	put(source, out, tail + 1, 4);
	source->is_over = true;
	return 0;
}

void snapfile_source_close(struct snapfile_source *source)
{
	state_snapshot_close(&source->snapshot);
}

int snapfile_write(struct state *state, const char *path, uint64_t *out_bytes,
		   struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf piece = JACO_BUF_INIT;
	struct snapfile_source source = {.crc = 0};
	FILE *file = fopen(path, "we");
	int rc;

	if (!file)
		return jaco_err_errno(err, "%s", path);
	CHAOS(snapshot_write);
	*out_bytes = 0;
	rc = snapfile_source_open(&source, state, err) < 0 ? -(int)err->code : 1;
	while (rc > 0) {
		jaco_buf_reset(&piece);
		rc = snapfile_next(&source, &piece, PIECE, err);
		(void)fwrite(piece.data, 1, piece.n, file); /* ferror() tells at the end */
		*out_bytes += piece.n;
	}
	snapfile_source_close(&source);
	if ((fflush(file) != 0 || ferror(file)) && rc >= 0)
		rc = jaco_err_errno(err, "%s", path);
	(void)fclose(file);
	CHAOS(snapshot_write);
	return rc;
}

/* --- reading --- */

int snapfile_verify(const char *path, const void *tail, size_t n, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf piece = JACO_BUF_INIT;
	FILE *file = fopen(path, "re");
	uint8_t held[4] = {0}; /* the last four bytes seen: the CRC, when it is the end */
	size_t n_held = 0, got;
	uint32_t crc = 0;
	bool is_tail = false;

	while (!is_tail) {
		jaco_buf_reset(&piece);
		jaco_buf_add(&piece, held, n_held);
		if (file) {
			char *at = jaco_buf_reserve(&piece, PIECE);

			got = fread(at, 1, PIECE, file);
			piece.n += got;
			if (got < PIECE) {
				(void)fclose(file);
				file = NULL;
			}
		} else {
			jaco_buf_add(&piece, tail, n);
			is_tail = true;
		}
		n_held = piece.n < 4 ? piece.n : 4;
		crc = crc32c(crc, piece.data, piece.n - n_held);
		if (n_held)
			memcpy(held, piece.data + piece.n - n_held, n_held);
	}
	return n_held == 4 && jaco_le_get(held, 4) == crc ? 0 : damaged(err);
}

/* 1 a pair was put, 0 the end mark. */
static int load_pair(FILE *file, struct state *state, struct jaco_buf *pair, struct jaco_err *err)
{
	uint8_t head[HEAD_BYTES];
	size_t key_n, value_n;
	char *at;

	if (fread(head, 1, 1, file) != 1)
		return damaged(err);
	if (head[0] == END_TABLE)
		return 0;
	if (head[0] >= KV_TABLE_END || fread(head + 1, 1, HEAD_BYTES - 1, file) != HEAD_BYTES - 1)
		return damaged(err);
	key_n = jaco_le_get(head + 1, 2);
	value_n = jaco_le_get(head + 3, 4);
	if (value_n > JACO_VALUE_MAX + 64)
		return damaged(err);
	jaco_buf_reset(pair);
	at = jaco_buf_reserve(pair, key_n + value_n + 1);
	if (fread(at, 1, key_n + value_n, file) != key_n + value_n)
		return damaged(err);
	if (machine_load_pair(&state->space, (enum kv_table)head[0], (struct kv_bytes){at, key_n},
			      (struct kv_bytes){at + key_n, value_n}, err) < 0)
		return -(int)err->code;
	return 1;
}

int snapfile_load(const char *path, struct state *state, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf pair = JACO_BUF_INIT;
	FILE *file = fopen(path, "re");
	char magic[MAGIC_BYTES];
	int rc = 1;

	if (!file)
		return jaco_err_errno(err, "%s", path);
	if (fread(magic, 1, MAGIC_BYTES, file) != MAGIC_BYTES ||
	    memcmp(magic, MAGIC, MAGIC_BYTES) != 0)
		rc = damaged(err);
	if (rc > 0)
		rc = state_clear(state, err) < 0 ? -(int)err->code : 1;
	while (rc > 0)
		rc = load_pair(file, state, &pair, err);
	(void)fclose(file);
	return rc;
}
