/* SPDX-License-Identifier: Apache-2.0
 *
 * archive.h - the container of a backup: a gzip tar (RFC 1952, POSIX ustar), sealed when there is a
 * passphrase.
 *
 * Sealed: "JACOBAK1", log2 N, r, p, a salt of 16 bytes, then pieces of 64 KiB under AES-256-GCM
 * (NIST SP 800-38D) with a key from scrypt (RFC 7914).  The nonce counts pieces; the head and
 * whether a piece is the last are authenticated with each, so none can be changed, moved, dropped
 * or added.
 *
 * Reading is push: bytes in, contents out, memory bounded whatever the bytes are. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/buf.h"
#include "libjaco/base/err.h"

#define JACO_ARCHIVE_NAME_MAX 64

/* The passphrase in the file @path, the end of its line left out.  1; 0: @path is NULL.
 * Errors: VALIDATION_FAILED - empty; those of jaco_fs_read(). */
int jaco_archive_passphrase(const char *path, struct jaco_buf *out, struct jaco_err *err);

/* --- writing --- */

struct jaco_archive;

/* Write to a temporary name beside @path.  @passphrase NULL: not sealed. */
int jaco_archive_create(const char *path, const char *passphrase, struct jaco_archive **out_archive,
			struct jaco_err *err);

/* A member of exactly @size bytes, which jaco_archive_add() brings. */
int jaco_archive_member(struct jaco_archive *archive, const char *name, uint64_t size,
			struct jaco_err *err);
int jaco_archive_add(struct jaco_archive *archive, const void *data, size_t n,
		     struct jaco_err *err);

/* Flush and rename; the archive is released either way. */
int jaco_archive_finish(struct jaco_archive *take_archive, struct jaco_err *err);

/* Remove what was written.  NULL is fine. */
void jaco_archive_discard(struct jaco_archive *take_archive);

/* --- reading --- */

/* Contents of member @name; @n 0: it begins, @size bytes long.  Negative: reading ends with
 * @err. */
typedef int jaco_unarchive_fn(void *ctx, const char *name, uint64_t size, const void *data,
			      size_t n, struct jaco_err *err);

struct jaco_unarchive;

/* @passphrase is kept by reference, NULL: none. */
struct jaco_unarchive *jaco_unarchive_new(const char *passphrase, jaco_unarchive_fn *fn, void *ctx);
void jaco_unarchive_free(struct jaco_unarchive *unarchive);

/* Errors: VALIDATION_FAILED - not a backup, damaged, sealed under another passphrase. */
int jaco_unarchive_feed(struct jaco_unarchive *unarchive, const void *data, size_t n,
			struct jaco_err *err);

/* No more bytes.  Errors: VALIDATION_FAILED - truncated. */
int jaco_unarchive_end(struct jaco_unarchive *unarchive, struct jaco_err *err);

/* All of that for a file. */
int jaco_unarchive_file(const char *path, const char *passphrase, jaco_unarchive_fn *fn, void *ctx,
			struct jaco_err *err);
