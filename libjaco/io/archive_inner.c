/* SPDX-License-Identifier: Apache-2.0
 *
 * archive_inner.c - pieces and heads, no I/O. */
#include "libjaco/io/archive_inner.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "libjaco/base/mem.h"
#include "libjaco/base/random.h"
#include "libjaco/base/str.h"

/* scrypt as RFC 7914 section 2 advises for files: 128 MiB, about half a second. */
#define SCRYPT_LOG_N   17
#define SCRYPT_R       8
#define SCRYPT_P       1
#define SCRYPT_MEMORY  (256u * 1024 * 1024)
#define KEY_BYTES      32
#define NONCE_BYTES    12
#define SIZE_MAX_TAR   077777777777ull /* eleven octal digits */

struct archive_cipher {
	EVP_CIPHER_CTX *ctx;
	uint8_t key[KEY_BYTES];
	uint8_t aad[ARCHIVE_HEAD + 1]; /* the head, and whether a piece is the last */
	uint64_t n_pieces;
};

void archive_head_make(uint8_t out_head[static ARCHIVE_HEAD])
{
	memcpy(out_head, ARCHIVE_MAGIC, ARCHIVE_MAGIC_BYTES);
	out_head[ARCHIVE_MAGIC_BYTES] = SCRYPT_LOG_N;
	out_head[ARCHIVE_MAGIC_BYTES + 1] = SCRYPT_R;
	out_head[ARCHIVE_MAGIC_BYTES + 2] = SCRYPT_P;
	jaco_random_bytes(out_head + ARCHIVE_MAGIC_BYTES + 3, 16);
}

struct archive_cipher *archive_cipher_new(const char *passphrase,
					  const uint8_t head[static ARCHIVE_HEAD],
					  struct jaco_err *err)
{
	const uint8_t *cost = head + ARCHIVE_MAGIC_BYTES;
	struct archive_cipher *cipher;

	/* one set of costs is written; a head that asks for others asks for our memory */
	if (cost[0] != SCRYPT_LOG_N || cost[1] != SCRYPT_R || cost[2] != SCRYPT_P) {
		jaco_err_set(err, JACO_VALIDATION_FAILED, "the head of the backup is damaged");
		return NULL;
	}
	cipher = jaco_alloc(sizeof(*cipher));
	memcpy(cipher->aad, head, ARCHIVE_HEAD);
	cipher->ctx = EVP_CIPHER_CTX_new();
	if (cipher->ctx && EVP_PBE_scrypt(passphrase, strlen(passphrase), cost + 3, 16,
					  1ull << SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P, SCRYPT_MEMORY,
					  cipher->key, sizeof(cipher->key)) == 1)
		return cipher;
	archive_cipher_free(cipher);
	jaco_err_set(err, JACO_INTERNAL, "scrypt failed");
	return NULL;
}

void archive_cipher_free(struct archive_cipher *cipher)
{
	if (!cipher)
		return;
	EVP_CIPHER_CTX_free(cipher->ctx);
	jaco_wipe(cipher, sizeof(*cipher));
	jaco_free(cipher);
}

static void next_nonce(struct archive_cipher *cipher, bool is_last, uint8_t out[static NONCE_BYTES])
{
	uint64_t number = cipher->n_pieces++;

	memset(out, 0, NONCE_BYTES);
	for (size_t i = 0; i < 8; i++)
		out[NONCE_BYTES - 1 - i] = (uint8_t)(number >> (8 * i));
	cipher->aad[ARCHIVE_HEAD] = is_last;
}

int archive_seal(struct archive_cipher *cipher, const void *data, size_t n, bool is_last,
		 uint8_t *out, struct jaco_err *err)
{
	uint8_t nonce[NONCE_BYTES];
	int got;

	next_nonce(cipher, is_last, nonce);
	if (EVP_EncryptInit_ex(cipher->ctx, EVP_aes_256_gcm(), NULL, cipher->key, nonce) != 1 ||
	    EVP_EncryptUpdate(cipher->ctx, NULL, &got, cipher->aad, sizeof(cipher->aad)) != 1 ||
	    EVP_EncryptUpdate(cipher->ctx, out, &got, data, (int)n) != 1 ||
	    EVP_EncryptFinal_ex(cipher->ctx, out + n, &got) != 1 ||
	    EVP_CIPHER_CTX_ctrl(cipher->ctx, EVP_CTRL_GCM_GET_TAG, ARCHIVE_TAG, out + n) != 1)
		return jaco_err_set(err, JACO_INTERNAL, "sealing a piece failed");
	return 0;
}

int archive_unseal(struct archive_cipher *cipher, const uint8_t *data, size_t n, bool is_last,
		   uint8_t *out, struct jaco_err *err)
{
	uint8_t nonce[NONCE_BYTES], tag[ARCHIVE_TAG];
	int got;

	if (n < ARCHIVE_TAG)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "the backup is truncated");
	next_nonce(cipher, is_last, nonce);
	n -= ARCHIVE_TAG;
	memcpy(tag, data + n, sizeof(tag));
	if (EVP_DecryptInit_ex(cipher->ctx, EVP_aes_256_gcm(), NULL, cipher->key, nonce) != 1 ||
	    EVP_DecryptUpdate(cipher->ctx, NULL, &got, cipher->aad, sizeof(cipher->aad)) != 1 ||
	    EVP_DecryptUpdate(cipher->ctx, out, &got, data, (int)n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(cipher->ctx, EVP_CTRL_GCM_SET_TAG, ARCHIVE_TAG, tag) != 1 ||
	    EVP_DecryptFinal_ex(cipher->ctx, out + n, &got) != 1)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "the backup is damaged, or the passphrase is another");
	return 0;
}

/* --- tar --- */

static unsigned checksum(const uint8_t block[static TAR_BLOCK])
{
	unsigned sum = 0;

	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : block[i];
	return sum;
}

static void put_octal(uint8_t *at, size_t digits, uint64_t value)
{
	for (size_t i = digits; i > 0; i--, value >>= 3)
		at[i - 1] = (uint8_t)('0' + (value & 7));
}

void tar_head_make(uint8_t out_block[static TAR_BLOCK], const char *name, uint64_t size)
{
	memset(out_block, 0, TAR_BLOCK);
	memcpy(out_block, name, strnlen(name, JACO_ARCHIVE_NAME_MAX - 1));
	put_octal(out_block + 100, 7, 0600);
	put_octal(out_block + 108, 7, 0);
	put_octal(out_block + 116, 7, 0);
	put_octal(out_block + 124, 11, size);
	put_octal(out_block + 136, 11, 0);
	out_block[156] = '0';
	memcpy(out_block + 257, "ustar\00000", 8);
	put_octal(out_block + 148, 6, checksum(out_block));
	out_block[155] = ' ';
}

int tar_head_read(const uint8_t block[static TAR_BLOCK],
		  char out_name[static JACO_ARCHIVE_NAME_MAX], uint64_t *out_size,
		  struct jaco_err *err)
{
	static const uint8_t empty[TAR_BLOCK];
	uint8_t again[TAR_BLOCK];
	uint64_t size = 0;

	if (memcmp(block, empty, TAR_BLOCK) == 0)
		return 0;
	memcpy(out_name, block, JACO_ARCHIVE_NAME_MAX);
	for (size_t i = 124; i < 135; i++)
		size = size << 3 | (uint64_t)(block[i] & 7);
	if (!memchr(out_name, 0, JACO_ARCHIVE_NAME_MAX) || size > SIZE_MAX_TAR)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "this is no backup of JACO");
	tar_head_make(again, out_name, size);
	if (memcmp(again, block, TAR_BLOCK) != 0)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "this is no backup of JACO");
	*out_size = size;
	return 1;
}
