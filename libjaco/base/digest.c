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
