/* SPDX-License-Identifier: Apache-2.0
 *
 * name.c - which texts may name what. */
#include "libjaco/model/name.h"

#include <string.h>

#include "libjaco/base/str.h"

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || jaco_ascii_is_digit(c);
}

int jaco_name_check_deployment(const char *name, struct jaco_err *err)
{
	size_t n = strlen(name);
	bool ok = n > 0 && is_lower_alnum(name[0]) && is_lower_alnum(name[n - 1]);

	for (size_t i = 0; i < n && ok; i++)
		ok = is_lower_alnum(name[i]) || name[i] == '-';
	if (!ok)
		return jaco_err_set(
			err, JACO_VALIDATION_FAILED,
			"\"%.80s\" is not a deployment name: lower-case letters, digits "
			"and inner hyphens only",
			name);
	if (n > JACO_DEPLOYMENT_MAX)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "deployment name \"%.80s\" has %zu characters, at most %d fit",
				    name, n, JACO_DEPLOYMENT_MAX);
	return 0;
}

static int check_word(const char *name, const char *kind, struct jaco_err *err)
{
	size_t n = strlen(name);
	bool ok = n > 0 && (jaco_ascii_is_alnum(name[0]) || name[0] == '_');

	for (size_t i = 0; i < n && ok; i++)
		ok = jaco_ascii_is_alnum(name[i]) || strchr("._-", name[i]);
	if (!ok)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "\"%.80s\" is not a %s name: letters, digits, \".\", \"_\" and "
				    "\"-\" only, not beginning with \".\" or \"-\"",
				    name, kind);
	if (n > JACO_NAME_MAX)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "%s name \"%.80s\" has %zu characters, at most %d fit", kind,
				    name, n, JACO_NAME_MAX);
	return 0;
}

int jaco_name_check_service(const char *name, struct jaco_err *err)
{
	return check_word(name, "service", err);
}

int jaco_name_check_network(const char *name, struct jaco_err *err)
{
	return check_word(name, "network", err);
}

int jaco_name_check_volume(const char *name, struct jaco_err *err)
{
	return check_word(name, "volume", err);
}

int jaco_name_check_host(const char *name, struct jaco_err *err)
{
	size_t n = strlen(name);
	bool ok = n > 0 && n <= JACO_HOST_MAX && jaco_ascii_is_alnum(name[0]) &&
		  jaco_ascii_is_alnum(name[n - 1]);

	for (size_t i = 0; i < n && ok; i++)
		ok = jaco_ascii_is_alnum(name[i]) || strchr("._-", name[i]);
	if (!ok)
		return jaco_err_set(
			err, JACO_VALIDATION_FAILED,
			"\"%.80s\" is not a host name: letters, digits and inner \".\", "
			"\"_\", \"-\", at most %d characters",
			name, JACO_HOST_MAX);
	return 0;
}

/* One label at @text; its length, 0 when it is not one. */
static size_t label_length(const char *text, bool allow_underscore)
{
	size_t n = 0;

	while (jaco_ascii_is_alnum(text[n]) || text[n] == '-' ||
	       (allow_underscore && text[n] == '_'))
		n++;
	if (n == 0 || n > 63 || text[0] == '-' || text[n - 1] == '-')
		return 0;
	return n;
}

static bool is_labels(const char *name, bool allow_underscore, unsigned *out_labels)
{
	unsigned labels = 0;

	if (strlen(name) > JACO_DOMAIN_MAX)
		return false;
	for (;;) {
		size_t n = label_length(name, allow_underscore);

		if (n == 0)
			return false;
		labels++;
		name += n;
		if (!*name)
			break;
		if (*name++ != '.')
			return false;
	}
	*out_labels = labels;
	return true;
}

int jaco_name_check_domain(const char *name, bool allow_wildcard, struct jaco_err *err)
{
	bool is_wildcard = allow_wildcard && jaco_str_starts(name, "*.");
	unsigned labels;
	uint64_t number;

	if (!is_labels(is_wildcard ? name + 2 : name, false, &labels) || labels < 2 ||
	    jaco_str_to_u64(strrchr(name, '.') + 1, UINT64_MAX, &number))
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "\"%.120s\" is not a fully qualified domain name such as "
				    "shop.example.com",
				    name);
	return 0;
}

bool jaco_name_is_dns(const char *name)
{
	unsigned labels;

	return is_labels(name, true, &labels);
}

bool jaco_name_is_env(const char *name)
{
	return *name && !strchr(name, '=');
}

void jaco_name_fold_domain(char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++)
		name[i] = jaco_ascii_lower(name[i]);
	if (n > 1 && name[n - 1] == '.')
		name[n - 1] = '\0';
}
