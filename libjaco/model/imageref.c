/* SPDX-License-Identifier: Apache-2.0
 *
 * imageref.c - image references and registry credentials. */
#include "libjaco/model/imageref.h"

#include <string.h>

#include "libjaco/base/str.h"

static bool is_component(const char *text, size_t n)
{
	if (n == 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = text[i];

		if (!((c >= 'a' && c <= 'z') || jaco_ascii_is_digit(c)) &&
		    (i == 0 || i + 1 == n || !strchr("._-", c)))
			return false;
	}
	return true;
}

/* Is the first segment of @text (of @n characters) a host? */
static bool is_host(const char *text, size_t n)
{
	return memchr(text, '.', n) || memchr(text, ':', n) ||
	       (n == 9 && strncmp(text, "localhost", 9) == 0);
}

static bool is_host_text(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!jaco_ascii_is_alnum(text[i]) && !strchr(".-:[]_", text[i]))
			return false;
	return n > 0;
}

struct parts {
	const char *host;
	size_t n_host;
	const char *path;
	size_t n_path;
	const char *tag; /* NULL: none */
	size_t n_tag;
	const char *digest;
};

static bool split(const char *image, struct parts *out)
{
	const char *at = strchr(image, '@');
	size_t n = at ? (size_t)(at - image) : strlen(image);
	const char *slash = memchr(image, '/', n);
	size_t colon = n;

	*out = (struct parts){.path = image, .n_path = n, .digest = at ? at + 1 : NULL};
	if (slash && is_host(image, (size_t)(slash - image))) {
		out->host = image;
		out->n_host = (size_t)(slash - image);
		out->path = slash + 1;
		out->n_path = n - out->n_host - 1;
	}
	while (colon > 0 && image[colon - 1] != ':' && image[colon - 1] != '/')
		colon--;
	if (colon > 0 && image[colon - 1] == ':' && image + colon > out->path) {
		out->tag = image + colon;
		out->n_tag = n - colon;
		out->n_path = (size_t)(image + colon - 1 - out->path);
	}
	return out->n_path > 0;
}

static bool is_path(const char *path, size_t n)
{
	while (n > 0) {
		const char *slash = memchr(path, '/', n);
		size_t part = slash ? (size_t)(slash - path) : n;

		if (!is_component(path, part))
			return false;
		if (!slash)
			return true;
		path += part + 1;
		n -= part + 1;
	}
	return false;
}

static bool is_tag(const char *tag, size_t n)
{
	if (n == 0 || n > 128 || !(jaco_ascii_is_alnum(*tag) || *tag == '_'))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!jaco_ascii_is_alnum(tag[i]) && !strchr("._-", tag[i]))
			return false;
	return true;
}

bool jaco_imageref_is_valid(const char *image)
{
	struct parts parts;

	if (strlen(image) > JACO_IMAGE_MAX || !split(image, &parts))
		return false;
	if (parts.host && !is_host_text(parts.host, parts.n_host))
		return false;
	if (!is_path(parts.path, parts.n_path) || (parts.tag && !is_tag(parts.tag, parts.n_tag)))
		return false;
	return !parts.digest || (strchr(parts.digest, ':') && strlen(parts.digest) >= 32);
}

static bool is_docker_hub(const char *host)
{
	return strcmp(host, "index.docker.io") == 0 || strcmp(host, "registry-1.docker.io") == 0 ||
	       strcmp(host, "registry.hub.docker.com") == 0 || strcmp(host, "docker.io") == 0;
}

bool jaco_imageref_repository(const char *image, char out[static JACO_REGKEY_BYTES])
{
	struct parts parts;
	char host[256] = "docker.io";

	if (!split(image, &parts) || parts.n_host >= sizeof(host) || parts.n_path > JACO_IMAGE_MAX)
		return false;
	if (parts.host) {
		memcpy(host, parts.host, parts.n_host);
		host[parts.n_host] = '\0';
		for (char *c = host; *c; c++)
			*c = jaco_ascii_lower(*c);
		if (is_docker_hub(host))
			(void)jaco_str_copy(host, sizeof(host), "docker.io");
	}
	return jaco_str_format(out, JACO_REGKEY_BYTES, "%s/%s%.*s", host,
			       strcmp(host, "docker.io") == 0 &&
					       !memchr(parts.path, '/', parts.n_path)
				       ? "library/"
				       : "",
			       (int)parts.n_path, parts.path);
}

bool jaco_imageref_registry_key(const char *text, char out[static JACO_REGKEY_BYTES])
{
	char key[JACO_REGKEY_BYTES];
	bool is_http = false;
	char *start = key;
	char *slash;
	char *colon;
	char host[256];
	size_t n;

	while (jaco_ascii_is_space(*text))
		text++;
	if (!jaco_str_copy(key, sizeof(key), text))
		return false;
	for (char *c = key; *c; c++)
		*c = jaco_ascii_lower(*c);
	n = strlen(key);
	while (n > 0 && jaco_ascii_is_space(key[n - 1]))
		key[--n] = '\0';
	if (jaco_str_starts(start, "http://")) {
		is_http = true;
		start += 7;
	} else if (jaco_str_starts(start, "https://")) {
		start += 8;
	} else if (strstr(start, "://")) {
		start = strstr(start, "://") + 3;
	}
	start[strcspn(start, "?#")] = '\0';
	n = strlen(start);
	while (n > 0 && start[n - 1] == '/')
		start[--n] = '\0';
	slash = strchr(start, '/');
	if (slash && (strcmp(slash, "/v1") == 0 || strcmp(slash, "/v2") == 0))
		*slash = '\0';
	slash = strchr(start, '/');
	n = slash ? (size_t)(slash - start) : strlen(start);
	if (n == 0 || n >= sizeof(host))
		return false;
	memcpy(host, start, n);
	host[n] = '\0';
	if (strchr(host, '@'))
		memmove(host, strchr(host, '@') + 1, strlen(strchr(host, '@')));
	colon = strrchr(host, ':');
	if (colon && (strcmp(colon, ":443") == 0 || (is_http && strcmp(colon, ":80") == 0)))
		*colon = '\0';
	if (!*host)
		return false;
	if (is_docker_hub(host))
		(void)jaco_str_copy(host, sizeof(host), "docker.io");
	return jaco_str_format(out, JACO_REGKEY_BYTES, "%s%s", host, slash ? slash : "");
}

static size_t host_length(const char *key)
{
	return strcspn(key, "/");
}

long jaco_imageref_match(const char *image, const char *const *keys, size_t n_keys)
{
	char repository[JACO_REGKEY_BYTES];
	char canonical[JACO_REGKEY_BYTES];
	long best = -1;
	size_t best_length = 0;
	long only = -1;
	size_t n_of_host = 0;

	if (!jaco_imageref_repository(image, repository))
		return -1;
	for (size_t i = 0; i < n_keys; i++) {
		size_t n;

		if (!jaco_imageref_registry_key(keys[i], canonical))
			continue;
		n = strlen(canonical);
		if (host_length(canonical) == host_length(repository) &&
		    strncmp(canonical, repository, host_length(repository)) == 0) {
			n_of_host++;
			only = (long)i;
		}
		if (n > best_length && strncmp(canonical, repository, n) == 0 &&
		    (repository[n] == '/' || repository[n] == '\0')) {
			best = (long)i;
			best_length = n;
		}
	}
	if (best >= 0)
		return best;
	return n_of_host == 1 ? only : -1;
}

bool jaco_imageref_server(const char *text, char out[static JACO_REGKEY_BYTES])
{
	char key[JACO_REGKEY_BYTES];

	if (!jaco_imageref_registry_key(text, key))
		return false;
	key[host_length(key)] = '\0';
	return jaco_str_copy(out, JACO_REGKEY_BYTES, key);
}
