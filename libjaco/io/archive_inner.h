/* SPDX-License-Identifier: Apache-2.0
 *
 * archive_inner.h - inside archive: the cipher of pieces and the head of a tar member. */
#pragma once

#include "libjaco/io/archive.h"

#define ARCHIVE_MAGIC       "JACOBAK1"
#define ARCHIVE_MAGIC_BYTES 8
#define ARCHIVE_HEAD        (ARCHIVE_MAGIC_BYTES + 3 + 16)
#define ARCHIVE_PIECE       65536
#define ARCHIVE_TAG         16
#define TAR_BLOCK           512

struct archive_cipher;

/* A head with a fresh salt. */
void archive_head_make(uint8_t out_head[static ARCHIVE_HEAD]);

/* NULL: the head is none of ours or asks for too much. */
struct archive_cipher *archive_cipher_new(const char *passphrase,
					  const uint8_t head[static ARCHIVE_HEAD],
					  struct jaco_err *err);
void archive_cipher_free(struct archive_cipher *cipher);

/* @out gets @n + ARCHIVE_TAG bytes. */
int archive_seal(struct archive_cipher *cipher, const void *data, size_t n, bool is_last,
		 uint8_t *out, struct jaco_err *err);

/* @n bytes with their tag; @out gets @n - ARCHIVE_TAG. */
int archive_unseal(struct archive_cipher *cipher, const uint8_t *data, size_t n, bool is_last,
		   uint8_t *out, struct jaco_err *err);

/* POSIX.1 ustar: a plain file of @size bytes that only its owner may read. */
void tar_head_make(uint8_t out_block[static TAR_BLOCK], const char *name, uint64_t size);

/* 1 a member, 0 an empty block.  Errors: VALIDATION_FAILED - anything tar_head_make() would not
 * write. */
int tar_head_read(const uint8_t block[static TAR_BLOCK],
		  char out_name[static JACO_ARCHIVE_NAME_MAX], uint64_t *out_size,
		  struct jaco_err *err);
