/* SPDX-License-Identifier: Apache-2.0
 *
 * unarchive.c - reads the container: pieces, gzip, tar, one inside the other, each of them strict:
 * what archive.c would not have written is refused. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include "libjaco/base/mem.h"
#include "libjaco/io/archive_inner.h"
#include "libjaco/io/sock.h"

#define GZIP_HEAD      10
#define INFLATED_BYTES 16384 /* at a time */

enum tar_state { TAR_HEAD, TAR_CONTENT, TAR_PADDING, TAR_END };

struct jaco_unarchive {
	const char *passphrase;
	jaco_unarchive_fn *fn;
	void *ctx;
	/* the container */
	uint8_t head[ARCHIVE_HEAD];
	size_t n_head; /* bytes of it that are here */
	bool is_known; /* sealed or not is decided */
	struct archive_cipher *cipher;
	uint8_t piece[ARCHIVE_PIECE + ARCHIVE_TAG];
	size_t n_piece;
	/* gzip */
	z_stream inflate;
	bool is_inflated; /* its end was seen */
	size_t n_gzip;    /* bytes of its head checked */
	/* tar */
	enum tar_state state;
	uint8_t block[TAR_BLOCK];
	size_t n_block;
	char name[JACO_ARCHIVE_NAME_MAX];
	uint64_t size, left;
	unsigned n_empty;
};

static int foreign(struct jaco_err *err)
{
	return jaco_err_set(err, JACO_VALIDATION_FAILED, "this is no backup of JACO");
}

static int damaged(struct jaco_err *err)
{
	return jaco_err_set(err, JACO_VALIDATION_FAILED, "the backup is damaged");
}

static int truncated(struct jaco_err *err)
{
	return jaco_err_set(err, JACO_VALIDATION_FAILED, "the backup is truncated");
}

/* --- tar --- */

static int take_block(struct jaco_unarchive *un, struct jaco_err *err)
{
	int rc = tar_head_read(un->block, un->name, &un->size, err);

	if (rc < 0)
		return rc;
	if (rc == 0) {
		un->state = ++un->n_empty == 2 ? TAR_END : TAR_HEAD;
		return 0;
	}
	if (un->n_empty > 0)
		return foreign(err);
	un->left = un->size;
	un->state = un->size > 0 ? TAR_CONTENT : TAR_HEAD;
	return un->fn(un->ctx, un->name, un->size, NULL, 0, err);
}

static int take_tar(struct jaco_unarchive *un, const uint8_t *data, size_t n, struct jaco_err *err)
{
	while (n > 0) {
		size_t taken = n;

		switch (un->state) {
		case TAR_HEAD:
		case TAR_PADDING:
			taken = JACO_MIN(n, un->state == TAR_HEAD ? TAR_BLOCK - un->n_block
								  : (size_t)un->left);
			if (un->state == TAR_PADDING) {
				for (size_t i = 0; i < taken; i++)
					if (data[i] != 0)
						return damaged(err);
				un->left -= taken;
				un->state = un->left ? TAR_PADDING : TAR_HEAD;
				break;
			}
			memcpy(un->block + un->n_block, data, taken);
			un->n_block += taken;
			if (un->n_block < TAR_BLOCK)
				break;
			un->n_block = 0;
			if (take_block(un, err) < 0)
				return -(int)err->code;
			break;
		case TAR_CONTENT:
			taken = un->left < n ? (size_t)un->left : n;
			if (un->fn(un->ctx, un->name, un->size, data, taken, err) < 0)
				return -(int)err->code;
			un->left -= taken;
			if (un->left > 0)
				break;
			un->left = (TAR_BLOCK - un->size % TAR_BLOCK) % TAR_BLOCK;
			un->state = un->left ? TAR_PADDING : TAR_HEAD;
			break;
		case TAR_END:
			return damaged(err);
		}
		data += taken;
		n -= taken;
	}
	return 0;
}

/* --- gzip --- */

/* Its head has bytes that no checksum covers: time, flags, system. */
static int check_gzip_head(struct jaco_unarchive *un, const uint8_t *data, size_t n,
			   struct jaco_err *err)
{
	static const uint8_t head[GZIP_HEAD] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};

	for (size_t i = 0; i < n && un->n_gzip < GZIP_HEAD; i++, un->n_gzip++)
		if (data[i] != head[un->n_gzip])
			return foreign(err);
	return 0;
}

static int inflate_all(struct jaco_unarchive *un, const uint8_t *data, size_t n,
		       uint8_t out[static INFLATED_BYTES], struct jaco_err *err)
{
	un->inflate.next_in = (Bytef *)(uintptr_t)data;
	un->inflate.avail_in = (uInt)n;
	while (un->inflate.avail_in > 0 || un->inflate.avail_out == 0) {
		int rc;

		if (un->is_inflated)
			return un->inflate.avail_in > 0 ? damaged(err) : 0;
		un->inflate.next_out = out;
		un->inflate.avail_out = INFLATED_BYTES;
		rc = inflate(&un->inflate, Z_NO_FLUSH);
		if (rc == Z_BUF_ERROR)
			break;
		if (rc != Z_OK && rc != Z_STREAM_END)
			return damaged(err);
		un->is_inflated = rc == Z_STREAM_END;
		if (take_tar(un, out, INFLATED_BYTES - un->inflate.avail_out, err) < 0)
			return -(int)err->code;
	}
	return 0;
}

static int take_gzip(struct jaco_unarchive *un, const uint8_t *data, size_t n,
		     struct jaco_err *err)
{
	uint8_t out[INFLATED_BYTES];
	int rc = check_gzip_head(un, data, n, err);

	if (rc >= 0)
		rc = inflate_all(un, data, n, out, err);
	jaco_wipe(out, sizeof(out)); /* the seal key passes here */
	return rc;
}

/* --- pieces --- */

static int take_piece(struct jaco_unarchive *un, bool is_last, struct jaco_err *err)
{
	uint8_t *plain = jaco_alloc(ARCHIVE_PIECE);
	size_t n = un->n_piece;
	int rc = archive_unseal(un->cipher, un->piece, n, is_last, plain, err);

	un->n_piece = 0;
	if (rc >= 0)
		rc = take_gzip(un, plain, n - ARCHIVE_TAG, err);
	jaco_wipe(plain, ARCHIVE_PIECE);
	jaco_free(plain);
	return rc;
}

static int take_pieces(struct jaco_unarchive *un, const uint8_t *data, size_t n,
		       struct jaco_err *err)
{
	while (n > 0) {
		size_t taken = JACO_MIN(n, sizeof(un->piece) - un->n_piece);

		if (taken == 0) {
			if (take_piece(un, false, err) < 0)
				return -(int)err->code;
			continue;
		}
		memcpy(un->piece + un->n_piece, data, taken);
		un->n_piece += taken;
		data += taken;
		n -= taken;
	}
	return 0;
}

static int decide(struct jaco_unarchive *un, struct jaco_err *err)
{
	un->is_known = true;
	if (memcmp(un->head, ARCHIVE_MAGIC, ARCHIVE_MAGIC_BYTES) != 0)
		return take_gzip(un, un->head, un->n_head, err);
	if (!un->passphrase)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "the backup is sealed: --passphrase-file FILE opens it");
	un->cipher = archive_cipher_new(un->passphrase, un->head, err);
	return un->cipher ? 0 : -(int)err->code;
}

int jaco_unarchive_feed(struct jaco_unarchive *unarchive, const void *data, size_t n,
			struct jaco_err *err)
{
	const uint8_t *at = data;

	if (!unarchive->is_known) {
		size_t taken = JACO_MIN(n, ARCHIVE_HEAD - unarchive->n_head);

		memcpy(unarchive->head + unarchive->n_head, at, taken);
		unarchive->n_head += taken;
		at += taken;
		n -= taken;
		if (unarchive->n_head < ARCHIVE_HEAD)
			return 0;
		if (decide(unarchive, err) < 0)
			return -(int)err->code;
	}
	return unarchive->cipher ? take_pieces(unarchive, at, n, err)
				 : take_gzip(unarchive, at, n, err);
}

int jaco_unarchive_end(struct jaco_unarchive *unarchive, struct jaco_err *err)
{
	if (!unarchive->is_known)
		return unarchive->n_head >= 2 && unarchive->head[0] == 0x1f ? truncated(err)
									  : foreign(err);
	if (unarchive->cipher && take_piece(unarchive, true, err) < 0)
		return -(int)err->code;
	return unarchive->is_inflated && unarchive->state == TAR_END ? 0 : truncated(err);
}

struct jaco_unarchive *jaco_unarchive_new(const char *passphrase, jaco_unarchive_fn *fn, void *ctx)
{
	struct jaco_unarchive *un = jaco_alloc(sizeof(*un));

	un->passphrase = passphrase;
	un->fn = fn;
	un->ctx = ctx;
	un->inflate.avail_out = 1;
	(void)inflateInit2(&un->inflate, MAX_WBITS + 16); /* a failure shows at the first byte */
	return un;
}

void jaco_unarchive_free(struct jaco_unarchive *unarchive)
{
	if (!unarchive)
		return;
	(void)inflateEnd(&unarchive->inflate);
	archive_cipher_free(unarchive->cipher);
	jaco_wipe(unarchive->piece, sizeof(unarchive->piece));
	jaco_free(unarchive);
}

int jaco_unarchive_file(const char *path, const char *passphrase, jaco_unarchive_fn *fn, void *ctx,
			struct jaco_err *err)
{
	jaco_auto(jaco_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct jaco_unarchive *un;
	uint8_t data[65536];
	ssize_t n = 1;
	int rc = 0;

	if (fd < 0)
		return jaco_err_errno(err, "%s", path);
	un = jaco_unarchive_new(passphrase, fn, ctx);
	while (rc >= 0 && n > 0) {
		n = read(fd, data, sizeof(data));
		if (n < 0)
			rc = jaco_err_errno(err, "%s", path);
		else if (n > 0)
			rc = jaco_unarchive_feed(un, data, (size_t)n, err);
	}
	if (rc >= 0)
		rc = jaco_unarchive_end(un, err);
	jaco_unarchive_free(un);
	return rc < 0 ? jaco_err_wrap(err, "%s", path) : 0;
}
