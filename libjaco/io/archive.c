/* SPDX-License-Identifier: Apache-2.0
 *
 * archive.c - writes the container: tar inside gzip inside pieces. */
#include "libjaco/io/archive.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#include "libjaco/base/mem.h"
#include "libjaco/base/random.h"
#include "libjaco/base/str.h"
#include "libjaco/io/archive_inner.h"
#include "libjaco/io/fs.h"

#define PASSPHRASE_MAX 1024

int jaco_archive_passphrase(const char *path, struct jaco_buf *out, struct jaco_err *err)
{
	if (!path)
		return 0;
	if (jaco_fs_read(path, PASSPHRASE_MAX, out, err) < 0)
		return -(int)err->code;
	while (out->n > 0 && (out->data[out->n - 1] == '\n' || out->data[out->n - 1] == '\r'))
		out->data[--out->n] = '\0';
	return out->n > 0 ? 1 : jaco_err_set(err, JACO_VALIDATION_FAILED, "%s is empty", path);
}

/* --- writing --- */

struct jaco_archive {
	FILE *file;
	char path[1024];
	char temporary[1040];
	z_stream deflate;
	struct archive_cipher *cipher; /* NULL: not sealed */
	uint8_t piece[ARCHIVE_PIECE];
	size_t n_piece;
	uint64_t left; /* of the member */
	uint64_t size;
};

static int put_out(struct jaco_archive *archive, const void *data, size_t n, struct jaco_err *err)
{
	if (fwrite(data, 1, n, archive->file) != n)
		return jaco_err_errno(err, "%s", archive->temporary);
	return 0;
}

static int put_piece(struct jaco_archive *archive, bool is_last, struct jaco_err *err)
{
	uint8_t sealed[ARCHIVE_PIECE + ARCHIVE_TAG];
	size_t n = archive->n_piece;

	archive->n_piece = 0;
	if (archive_seal(archive->cipher, archive->piece, n, is_last, sealed, err) < 0)
		return -(int)err->code;
	return put_out(archive, sealed, n + ARCHIVE_TAG, err);
}

/* A full piece waits for what follows: only then it is known not to be the last. */
static int put_packed(struct jaco_archive *archive, const uint8_t *data, size_t n,
		      struct jaco_err *err)
{
	if (!archive->cipher)
		return put_out(archive, data, n, err);
	while (n > 0) {
		size_t room = ARCHIVE_PIECE - archive->n_piece;
		size_t taken = JACO_MIN(room, n);

		if (room == 0) {
			if (put_piece(archive, false, err) < 0)
				return -(int)err->code;
			continue;
		}
		memcpy(archive->piece + archive->n_piece, data, taken);
		archive->n_piece += taken;
		data += taken;
		n -= taken;
	}
	return 0;
}

static int deflate_all(struct jaco_archive *archive, const void *data, size_t n, int flush,
		       struct jaco_err *err)
{
	uint8_t out[16384];

	archive->deflate.next_in = (Bytef *)(uintptr_t)data;
	archive->deflate.avail_in = (uInt)n;
	do {
		archive->deflate.next_out = out;
		archive->deflate.avail_out = sizeof(out);
		if (deflate(&archive->deflate, flush) == Z_STREAM_ERROR)
			return jaco_err_set(err, JACO_INTERNAL, "deflate failed");
		if (put_packed(archive, out, sizeof(out) - archive->deflate.avail_out, err) < 0)
			return -(int)err->code;
	} while (archive->deflate.avail_out == 0);
	return 0;
}

/* The rest of the last 512 bytes. */
static int pad(struct jaco_archive *archive, struct jaco_err *err)
{
	static const uint8_t zeros[TAR_BLOCK];
	size_t over = archive->size % TAR_BLOCK;

	return over ? deflate_all(archive, zeros, TAR_BLOCK - over, Z_NO_FLUSH, err) : 0;
}

int jaco_archive_create(const char *path, const char *passphrase, struct jaco_archive **out_archive,
			struct jaco_err *err)
{
	struct jaco_archive *archive = jaco_alloc(sizeof(*archive));
	uint8_t head[ARCHIVE_HEAD];
	int fd = -1, rc = 0;

	if (!jaco_str_copy(archive->path, sizeof(archive->path), path))
		rc = jaco_err_set(err, JACO_VALIDATION_FAILED, "the path is too long");
	(void)jaco_str_format(archive->temporary, sizeof(archive->temporary), "%s.%ld.part",
			      archive->path, (long)getpid());
	if (rc == 0)
		fd = open(archive->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	archive->file = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (rc == 0 && !archive->file)
		rc = jaco_err_errno(err, "%s", archive->temporary);
	if (rc == 0 && deflateInit2(&archive->deflate, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
				    MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		rc = jaco_err_set(err, JACO_INTERNAL, "deflate cannot begin");
	if (rc == 0 && passphrase) {
		archive_head_make(head);
		archive->cipher = archive_cipher_new(passphrase, head, err);
		rc = archive->cipher ? put_out(archive, head, sizeof(head), err) : -(int)err->code;
	}
	if (rc < 0) {
		jaco_archive_discard(archive);
		return rc;
	}
	*out_archive = archive;
	return 0;
}

int jaco_archive_member(struct jaco_archive *archive, const char *name, uint64_t size,
			struct jaco_err *err)
{
	uint8_t block[TAR_BLOCK];

	tar_head_make(block, name, size);
	archive->size = archive->left = size;
	return deflate_all(archive, block, sizeof(block), Z_NO_FLUSH, err);
}

int jaco_archive_add(struct jaco_archive *archive, const void *data, size_t n, struct jaco_err *err)
{
	if (n > archive->left)
		return jaco_err_set(err, JACO_INTERNAL, "more bytes than were announced");
	archive->left -= n;
	if (deflate_all(archive, data, n, Z_NO_FLUSH, err) < 0)
		return -(int)err->code;
	return archive->left == 0 ? pad(archive, err) : 0;
}

static int finish(struct jaco_archive *archive, struct jaco_err *err)
{
	static const uint8_t end[2 * TAR_BLOCK];
	char *slash;

	if (deflate_all(archive, end, sizeof(end), Z_FINISH, err) < 0 ||
	    (archive->cipher && put_piece(archive, true, err) < 0))
		return -(int)err->code;
	if (fflush(archive->file) != 0 || fsync(fileno(archive->file)) != 0)
		return jaco_err_errno(err, "%s", archive->temporary);
	if (rename(archive->temporary, archive->path) != 0)
		return jaco_err_errno(err, "%s", archive->path);
	archive->temporary[0] = '\0';
	slash = strrchr(archive->path, '/');
	if (slash)
		slash[slash == archive->path] = '\0';
	return jaco_fs_sync_dir(slash ? archive->path : ".", err);
}

int jaco_archive_finish(struct jaco_archive *take_archive, struct jaco_err *err)
{
	int rc = finish(take_archive, err);

	jaco_archive_discard(take_archive);
	return rc;
}

void jaco_archive_discard(struct jaco_archive *take_archive)
{
	if (!take_archive)
		return;
	if (take_archive->file) {
		(void)fclose(take_archive->file);
		if (take_archive->temporary[0])
			(void)unlink(take_archive->temporary);
	}
	(void)deflateEnd(&take_archive->deflate);
	archive_cipher_free(take_archive->cipher);
	jaco_wipe(take_archive->piece, sizeof(take_archive->piece));
	jaco_free(take_archive);
}
