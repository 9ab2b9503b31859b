/* SPDX-License-Identifier: Apache-2.0
 *
 * join_token.c - rendering and strict parsing. */
#include "daemons/raftd/api/join_token.h"

#include <string.h>

#include "libjaco/base/buf.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

#define PREFIX    "jaco1."
#define PLAIN_MAX 2048

void join_token_render(const struct join_token *token, char out_text[static JOIN_TOKEN_MAX + 1])
{
	jaco_auto(jaco_buf) struct jaco_buf plain = JACO_BUF_SECRET(PLAIN_MAX);

	jaco_buf_printf(&plain, "%s,%s", token->ca_fingerprint, token->secret);
	for (size_t i = 0; i < token->n_addresses; i++)
		jaco_buf_printf(&plain, ",%s", token->addresses[i]);
	memcpy(out_text, PREFIX, sizeof(PREFIX));
	jaco_base64url_encode(out_text + sizeof(PREFIX) - 1, (const uint8_t *)plain.data, plain.n);
}

static int malformed(struct jaco_err *err, const char *why)
{
	return jaco_err_set(err, JACO_TOKEN_INVALID,
			    "this is not a whole join token (%s): copy the line that jaco node "
			    "issue-join-token printed", why);
}

/* The text up to the next comma; false when it does not fit or is empty. */
static bool take(const char **at, char *out, size_t n)
{
	size_t length = strcspn(*at, ",");

	if (length == 0 || length >= n)
		return false;
	memcpy(out, *at, length);
	out[length] = '\0';
	*at += length + ((*at)[length] == ',');
	return true;
}

/* Of JOIN_SECRET_BYTES, as a fingerprint has them too. */
static bool is_hex(const char *text)
{
	uint8_t bytes[JOIN_SECRET_BYTES];
	bool is_whole = jaco_hex_decode(text, bytes, sizeof(bytes));

	jaco_wipe(bytes, sizeof(bytes));
	return is_whole;
}

static int take_parts(const char *at, struct join_token *out_token, struct jaco_err *err)
{
	if (!take(&at, out_token->ca_fingerprint, sizeof(out_token->ca_fingerprint)) ||
	    !take(&at, out_token->secret, sizeof(out_token->secret)) ||
	    !is_hex(out_token->ca_fingerprint) || !is_hex(out_token->secret))
		return malformed(err, "the end is missing");
	while (*at && out_token->n_addresses < JOIN_ADDRESSES_MAX &&
	       take(&at, out_token->addresses[out_token->n_addresses],
		    sizeof(out_token->addresses[0])))
		out_token->n_addresses++;
	return *at || out_token->n_addresses == 0 ? malformed(err, "no address in it") : 0;
}

int join_token_parse(const char *text, struct join_token *out_token, struct jaco_err *err)
{
	char plain[PLAIN_MAX + 1];
	long n;
	int rc;

	*out_token = (struct join_token){.n_addresses = 0};
	if (!jaco_str_starts(text, PREFIX))
		return malformed(err, "it does not begin with " PREFIX);
	n = jaco_base64url_decode(text + sizeof(PREFIX) - 1, (uint8_t *)plain, PLAIN_MAX);
	if (n < 0 || memchr(plain, 0, (size_t)n)) {
		rc = malformed(err, "characters are missing or wrong");
	} else {
		plain[n] = '\0';
		rc = take_parts(plain, out_token, err);
	}
	jaco_wipe(plain, sizeof(plain));
	return rc;
}

int join_token_compose(const char *ca_fingerprint, const char *secret, const char *address,
		       struct join_token *out_token, struct jaco_err *err)
{
	*out_token = (struct join_token){.n_addresses = 1};
	if (!is_hex(secret) ||
	    !jaco_str_copy(out_token->secret, sizeof(out_token->secret), secret))
		return jaco_err_set(err, JACO_TOKEN_INVALID,
				    "the token is not %d hexadecimal characters",
				    2 * JOIN_SECRET_BYTES);
	if (!jaco_str_copy(out_token->ca_fingerprint, sizeof(out_token->ca_fingerprint),
			   ca_fingerprint) ||
	    !jaco_str_copy(out_token->addresses[0], sizeof(out_token->addresses[0]), address))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "peer: not an address");
	return 0;
}

/* The number at *@at, which moves behind it and a dot; UINT64_MAX: it is none. */
static uint64_t take_number(const char **at)
{
	size_t n = strspn(*at, "0123456789");
	uint64_t number = 0;
	char digits[10];

	if (n == 0 || n >= sizeof(digits))
		return UINT64_MAX;
	(void)jaco_str_format(digits, sizeof(digits), "%.*s", (int)n, *at);
	(void)jaco_str_to_u64(digits, UINT32_MAX, &number);
	*at += n + ((*at)[n] == '.');
	return number;
}

bool join_version_is_older(const char *version, const char *oldest)
{
	for (size_t i = 0; i < 3; i++) {
		uint64_t a = take_number(&version), b = take_number(&oldest);

		if (a == UINT64_MAX || a != b)
			return a == UINT64_MAX || a < b;
	}
	return false;
}
