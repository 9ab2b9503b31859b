/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/runtimed/credential.h"

#include <string.h>

#include <jansson.h>

#include "daemons/runtimed/json_out.h"
#include "libjaco/base/str.h"

#define REPOSITORY_BYTES (JACO_IMAGE_MAX + 32)

bool credential_repository(const char *image, char *out, size_t bytes)
{
	size_t n = strcspn(image, "@");
	const char *slash = memchr(image, '/', n);
	size_t first = slash ? (size_t)(slash - image) : n;
	/* The first part is a host when it looks like one (distribution reference grammar). */
	bool has_host = slash && (memchr(image, '.', first) || memchr(image, ':', first) ||
				  (first == 9 && !strncmp(image, "localhost", 9)));

	for (size_t i = n; i > 0 && image[i - 1] != '/'; i--)
		if (image[i - 1] == ':') {
			n = i - 1;
			break;
		}
	return jaco_str_format(out, bytes, "%s%.*s",
			       has_host ? "" : slash ? "docker.io/" : "docker.io/library/", (int)n,
			       image);
}

static bool is_prefix(const char *key, const char *repository)
{
	size_t n = strlen(key);

	return !strncmp(key, repository, n) && (repository[n] == '\0' || repository[n] == '/');
}

static bool is_same_host(const char *a, const char *b)
{
	size_t n = strcspn(a, "/");

	return n == strcspn(b, "/") && !strncmp(a, b, n);
}

const struct wire_registry_secret *credential_choose(const struct wire_registry_secrets *secrets,
						     const char *image)
{
	const struct wire_registry_secret *best = NULL, *only = NULL;
	char repository[REPOSITORY_BYTES];
	size_t n_host = 0;

	if (!credential_repository(image, repository, sizeof(repository)))
		return NULL;
	for (size_t i = 0; i < secrets->items.n; i++) {
		const struct wire_registry_secret *s = &secrets->items.v[i];

		if (is_same_host(s->registry, repository)) {
			n_host++;
			only = s;
		}
		if (is_prefix(s->registry, repository) &&
		    (!best || strlen(s->registry) > strlen(best->registry)))
			best = s;
	}
	return best ? best : n_host == 1 ? only : NULL;
}

void credential_header(const struct wire_registry_secret *secret, struct jaco_buf *out)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_SECRET(0);
	size_t host = strcspn(secret->registry, "/");
	bool is_hub = host == 9 && !strncmp(secret->registry, "docker.io", 9);
	json_t *auth = json_pack("{s:s, s:s, s:o}", "username", secret->user, "password",
				 secret->password, "serveraddress",
				 is_hub ? json_string("https://index.docker.io/v1/")
					: json_stringn(secret->registry, host));
	char *encoded;

	json_out_dump(auth, false, &text);
	json_decref(auth);
	encoded = jaco_buf_reserve(out, JACO_BASE64_BYTES(text.n));
	jaco_base64url_encode(encoded, (const uint8_t *)text.data, text.n);
	out->n += strlen(encoded);
	/* The engine wants RFC 4648 section 5 with its padding. */
	while (out->n % 4)
		jaco_buf_add_char(out, '=');
}
