/* SPDX-License-Identifier: Apache-2.0
 *
 * auth.c - see auth.h.
 *
 * The memory of correct credentials is per thread: SHA-256 of (hash, user, password), so it holds
 * no password and a changed hash simply misses. */
#include "daemons/proxyd/auth.h"

#include <crypt.h>
#include <string.h>

#include "libjaco/base/buf.h"
#include "libjaco/base/digest.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

#define CREDENTIALS_MAX 512
#define REMEMBERED      64

static _Thread_local uint8_t remembered[REMEMBERED][JACO_SHA256_BYTES];

static void digest_of(const char *hash, const char *credentials, uint8_t out[JACO_SHA256_BYTES])
{
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_SECRET(0);

	jaco_buf_add(&buf, hash, strlen(hash) + 1);
	jaco_buf_add_str(&buf, credentials);
	jaco_sha256(buf.data, buf.n, out);
}

static bool is_password(const char *password, const char *hash)
{
	struct crypt_data *data = jaco_alloc(sizeof(*data));
	const char *got = crypt_rn(password, hash, data, sizeof(*data)); /* NULL when unusable */
	size_t n = strlen(hash);
	bool ok = got && strlen(got) == n && n > 3 && jaco_secret_eq(got, hash, n);

	jaco_wipe(data, sizeof(*data));
	jaco_free(data);
	return ok;
}

/* "Basic <base64>" to "user:password". */
static bool read_credentials(const struct http1_head *head, char out[CREDENTIALS_MAX])
{
	const struct http1_field *f = http1_find(head, HTTP1_F_AUTHORIZATION);
	char text[CREDENTIALS_MAX];
	size_t skip = 6;
	long n;

	if (!f || f->value_n < 7 || f->value_n >= sizeof(text))
		return false;
	memcpy(text, f->value, f->value_n);
	text[f->value_n] = '\0';
	for (int i = 0; i < 6; i++)
		if (jaco_ascii_lower(text[i]) != "basic "[i])
			return false;
	while (text[skip] == ' ')
		skip++;
	n = jaco_base64_decode(text + skip, (uint8_t *)out, CREDENTIALS_MAX - 1);
	if (n < 0)
		return false;
	out[n] = '\0';
	return !memchr(out, '\0', (size_t)n) && strchr(out, ':');
}

bool auth_check(const struct http1_head *head, const struct route *route)
{
	char credentials[CREDENTIALS_MAX];
	uint8_t digest[JACO_SHA256_BYTES];
	const struct route_user *user = NULL;
	const char *colon;
	uint8_t *memory;
	bool ok;

	if (!read_credentials(head, credentials))
		return false;
	colon = strchr(credentials, ':');
	for (size_t i = 0; i < route->n_users; i++) {
		size_t n = strlen(route->users[i].name);

		if (n == (size_t)(colon - credentials) &&
		    memcmp(route->users[i].name, credentials, n) == 0)
			user = &route->users[i];
	}
	digest_of(user ? user->hash : "", credentials, digest);
	memory = remembered[digest[0] % REMEMBERED];
	if (user && jaco_secret_eq(memory, digest, sizeof(digest))) {
		jaco_wipe(credentials, sizeof(credentials));
		return true;
	}
	/* An unknown user costs what a wrong password costs. */
	ok = is_password(colon + 1, user ? user->hash : route->users[0].hash) && user;
	if (ok)
		memcpy(memory, digest, sizeof(digest));
	jaco_wipe(credentials, sizeof(credentials));
	return ok;
}
