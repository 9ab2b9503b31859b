/* SPDX-License-Identifier: Apache-2.0
 *
 * digest.c - the sum of the hashes of all pairs.
 *
 * The digest object and its context are made once: looking SHA-256 up in the provider on every call
 * costs more than hashing a small pair does. */
#include "daemons/raftd/kv/digest.h"

#include <openssl/evp.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/str.h"

static EVP_MD *sha256;
static EVP_MD_CTX *context;

static void hash_pair(struct kv_bytes key, struct kv_bytes stored, uint64_t out_lanes[static 4])
{
	uint8_t out[DIGEST_BYTES], key_n[4];
	struct digest digest;

	if (!context) {
		sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
		context = EVP_MD_CTX_new();
		JACO_ASSERT(sha256 && context);
	}
	for (size_t i = 0; i < sizeof(key_n); i++)
		key_n[i] = (uint8_t)(key.n >> (8 * i));
	JACO_ASSERT(EVP_DigestInit_ex2(context, sha256, NULL) == 1 &&
		    EVP_DigestUpdate(context, key_n, sizeof(key_n)) == 1 &&
		    EVP_DigestUpdate(context, key.data, key.n) == 1 &&
		    EVP_DigestUpdate(context, stored.data, stored.n) == 1 &&
		    EVP_DigestFinal_ex(context, out, NULL) == 1);
	digest_unpack(&digest, out);
	for (size_t i = 0; i < 4; i++)
		out_lanes[i] = digest.lanes[i];
}

void digest_add(struct digest *digest, struct kv_bytes key, struct kv_bytes stored)
{
	uint64_t lanes[4];

	hash_pair(key, stored, lanes);
	for (size_t i = 0; i < 4; i++)
		digest->lanes[i] += lanes[i];
}

void digest_remove(struct digest *digest, struct kv_bytes key, struct kv_bytes stored)
{
	uint64_t lanes[4];

	hash_pair(key, stored, lanes);
	for (size_t i = 0; i < 4; i++)
		digest->lanes[i] -= lanes[i];
}

void digest_pack(const struct digest *digest, uint8_t out[static DIGEST_BYTES])
{
	for (size_t i = 0; i < DIGEST_BYTES; i++)
		out[i] = (uint8_t)(digest->lanes[i / 8] >> (8 * (i % 8)));
}

void digest_unpack(struct digest *digest, const uint8_t bytes[static DIGEST_BYTES])
{
	*digest = (struct digest){.lanes = {0}};
	for (size_t i = 0; i < DIGEST_BYTES; i++)
		digest->lanes[i / 8] |= (uint64_t)bytes[i] << (8 * (i % 8));
}

void digest_text(const struct digest *digest, char out_text[static DIGEST_TEXT_BYTES])
{
	uint8_t bytes[DIGEST_BYTES];

	digest_pack(digest, bytes);
	jaco_hex_encode(out_text, bytes, sizeof(bytes));
}
