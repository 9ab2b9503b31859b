/* SPDX-License-Identifier: Apache-2.0
 *
 * digest.c - digests by OpenSSL's EVP interface. */
#include "libjaco/base/digest.h"

#include <openssl/evp.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/str.h"

void jaco_sha256(const void *data, size_t n, uint8_t out[static JACO_SHA256_BYTES])
{
	JACO_ASSERT(EVP_Digest(data, n, out, NULL, EVP_sha256(), NULL) == 1);
}

void jaco_sha256_text(const void *data, size_t n, char out_text[static JACO_SHA256_TEXT_BYTES])
{
	uint8_t digest[JACO_SHA256_BYTES];

	jaco_sha256(data, n, digest);
	jaco_hex_encode(out_text, digest, sizeof(digest));
}

void jaco_sha1(const void *data, size_t n, uint8_t out[static JACO_SHA1_BYTES])
{
	JACO_ASSERT(EVP_Digest(data, n, out, NULL, EVP_sha1(), NULL) == 1);
}

struct jaco_sha256_run *jaco_sha256_begin(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	JACO_ASSERT(ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1);
	return (struct jaco_sha256_run *)ctx;
}

void jaco_sha256_add(struct jaco_sha256_run *run, const void *data, size_t n)
{
	JACO_ASSERT(EVP_DigestUpdate((EVP_MD_CTX *)run, data, n) == 1);
}

void jaco_sha256_end(struct jaco_sha256_run *take_run, char out_text[static JACO_SHA256_TEXT_BYTES])
{
	uint8_t digest[JACO_SHA256_BYTES];

	JACO_ASSERT(EVP_DigestFinal_ex((EVP_MD_CTX *)take_run, digest, NULL) == 1);
	EVP_MD_CTX_free((EVP_MD_CTX *)take_run);
	jaco_hex_encode(out_text, digest, sizeof(digest));
}
