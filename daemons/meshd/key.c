/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/meshd/key.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "libjaco/base/buf.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/random.h"
#include "libjaco/io/fs.h"

#define FILE_MAX 128

bool key_parse(const char *text, uint8_t out[static MESH_KEY_BYTES])
{
	return jaco_base64_decode(text, out, MESH_KEY_BYTES) == MESH_KEY_BYTES;
}

void key_render(char out_text[static KEY_TEXT_BYTES], const uint8_t key[static MESH_KEY_BYTES])
{
	jaco_base64_encode(out_text, key, MESH_KEY_BYTES);
}

/* Clamping as RFC 7748 section 5 does it, so that other tools print the same key. */
static int make(const char *path, uint8_t out[static MESH_KEY_BYTES], struct jaco_err *err)
{
	char text[KEY_TEXT_BYTES + 1];
	size_t n;
	int rc;

	jaco_random_bytes(out, MESH_KEY_BYTES);
	out[0] &= 248;
	out[31] = (uint8_t)((out[31] & 127) | 64);
	key_render(text, out);
	n = strlen(text);
	text[n++] = '\n';
	rc = jaco_fs_replace(path, text, n, 0600, err);
	jaco_wipe(text, sizeof(text));
	return rc;
}

int key_load(const char *path, uint8_t out_private[static MESH_KEY_BYTES], struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_SECRET(0);
	bool is_key;
	int rc = jaco_fs_read(path, FILE_MAX, &buf, err);

	if (rc < 0)
		return err->sys_errno == ENOENT ? make(path, out_private, err) : rc;
	while (buf.n && jaco_ascii_is_space(buf.data[buf.n - 1]))
		buf.data[--buf.n] = '\0';
	is_key = key_parse(jaco_buf_str(&buf), out_private);
	if (!is_key)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "%s is not a WireGuard key", path);
	return 0;
}

int key_public(const uint8_t private_key[static MESH_KEY_BYTES],
	       uint8_t out_public[static MESH_KEY_BYTES], struct jaco_err *err)
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private_key,
						     MESH_KEY_BYTES);
	size_t n = MESH_KEY_BYTES;
	int ok = key && EVP_PKEY_get_raw_public_key(key, out_public, &n) == 1;

	EVP_PKEY_free(key);
	if (!ok || n != MESH_KEY_BYTES)
		return jaco_err_set(err, JACO_INTERNAL, "OpenSSL refuses X25519");
	return 0;
}
