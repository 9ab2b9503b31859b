/* SPDX-License-Identifier: Apache-2.0
 *
 * seal.c - AES-256-GCM by OpenSSL. */
#include "daemons/raftd/api/seal.h"

#include <limits.h>
#include <string.h>

#include <openssl/evp.h>

#include "libjaco/base/random.h"

int seal_close(const uint8_t key[static SEAL_KEY_BYTES], const char *name, const void *data,
	       size_t n, struct jaco_buf *out, struct jaco_err *err)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t *room = n < INT_MAX / 2 ? (uint8_t *)jaco_buf_reserve(
						  out, n + SEAL_NONCE_BYTES + SEAL_TAG_BYTES)
					: NULL;
	int done = 0, tail = 0;
	bool is_done = false;

	if (ctx && room) {
		uint8_t *body = room + SEAL_NONCE_BYTES;

		jaco_random_bytes(room, SEAL_NONCE_BYTES);
		is_done = EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, room) == 1 &&
			  EVP_EncryptUpdate(ctx, NULL, &tail, (const uint8_t *)name,
					    (int)strlen(name)) == 1 &&
			  EVP_EncryptUpdate(ctx, body, &done, data, (int)n) == 1 &&
			  EVP_EncryptFinal_ex(ctx, body + done, &tail) == 1 &&
			  EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, SEAL_TAG_BYTES,
					      body + n) == 1;
	}
	EVP_CIPHER_CTX_free(ctx);
	if (!is_done)
		return jaco_err_set(err, JACO_INTERNAL, "sealing a secret failed");
	out->n += n + SEAL_NONCE_BYTES + SEAL_TAG_BYTES;
	return 0;
}

int seal_open(const uint8_t key[static SEAL_KEY_BYTES], const char *name, const void *data,
	      size_t n, struct jaco_buf *out, struct jaco_err *err)
{
	const uint8_t *sealed = data;
	size_t body_n = n - SEAL_NONCE_BYTES - SEAL_TAG_BYTES;
	EVP_CIPHER_CTX *ctx = NULL;
	uint8_t *room = NULL;
	int done = 0, tail = 0;
	bool is_done = false;

	if (n >= SEAL_NONCE_BYTES + SEAL_TAG_BYTES && n < INT_MAX / 2) {
		ctx = EVP_CIPHER_CTX_new();
		room = (uint8_t *)jaco_buf_reserve(out, body_n + 1);
	}
	if (ctx && room)
		is_done = EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, sealed) == 1 &&
			  EVP_DecryptUpdate(ctx, NULL, &tail, (const uint8_t *)name,
					    (int)strlen(name)) == 1 &&
			  EVP_DecryptUpdate(ctx, room, &done, sealed + SEAL_NONCE_BYTES,
					    (int)body_n) == 1 &&
			  EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, SEAL_TAG_BYTES,
					      (void *)(uintptr_t)(sealed + SEAL_NONCE_BYTES +
								  body_n)) == 1 &&
			  EVP_DecryptFinal_ex(ctx, room + done, &tail) == 1;
	EVP_CIPHER_CTX_free(ctx);
	if (!is_done)
		return jaco_err_set(err, JACO_INTERNAL, "the sealed secret %s cannot be opened",
				    name);
	out->n += body_n;
	return 0;
}
