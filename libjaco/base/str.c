/* SPDX-License-Identifier: Apache-2.0
 *
 * str.c - bounded text helpers. */
#include "libjaco/base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "libjaco/base/assert.h"

bool jaco_str_copy(char *out, size_t out_bytes, const char *text)
{
	size_t n = strnlen(text, out_bytes);
	bool fits = n < out_bytes;

	if (!fits)
		n = out_bytes - 1;
	memcpy(out, text, n);
	out[n] = '\0';
	return fits;
}

bool jaco_str_format(char *out, size_t out_bytes, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(out, out_bytes, fmt, ap);
	va_end(ap);
	return n >= 0 && (size_t)n < out_bytes;
}

bool jaco_str_eq(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	return strcmp(a, b) == 0;
}

bool jaco_str_starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool jaco_str_ends(const char *text, const char *suffix)
{
	size_t n = strlen(text);
	size_t m = strlen(suffix);

	return n >= m && memcmp(text + n - m, suffix, m) == 0;
}

char jaco_ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool jaco_ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool jaco_ascii_is_alnum(char c)
{
	char low = jaco_ascii_lower(c);

	return (low >= 'a' && low <= 'z') || jaco_ascii_is_digit(c);
}

bool jaco_ascii_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

bool jaco_str_eq_nocase(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if (jaco_ascii_lower(*a) != jaco_ascii_lower(*b))
			return false;
	return *a == *b;
}

bool jaco_str_to_u64(const char *text, uint64_t max, uint64_t *out_value)
{
	uint64_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		unsigned digit;

		if (!jaco_ascii_is_digit(*text))
			return false;
		digit = (unsigned)(*text - '0');
		if (value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	if (value > max)
		return false;
	*out_value = value;
	return true;
}

bool jaco_str_to_bytes(const char *text, uint64_t *out_bytes)
{
	char digits[24];
	size_t n = strspn(text, "0123456789");
	uint64_t value;
	unsigned shift = 0;

	if (n == 0 || n >= sizeof(digits))
		return false;
	memcpy(digits, text, n);
	digits[n] = '\0';
	if (!jaco_str_to_u64(digits, UINT64_MAX, &value))
		return false;
	text += n;
	switch (jaco_ascii_lower(*text)) {
	case 'k':
		shift = 10;
		break;
	case 'm':
		shift = 20;
		break;
	case 'g':
		shift = 30;
		break;
	case 't':
		shift = 40;
		break;
	default:
		break;
	}
	if (shift)
		text++;
	if (jaco_ascii_lower(*text) == 'b')
		text++;
	if (*text || value > UINT64_MAX >> shift)
		return false;
	*out_bytes = value << shift;
	return true;
}

/* Bytes of the character at @p, RFC 3629 section 4; 0 when there is none. */
static size_t utf8_bytes(const uint8_t *p, const uint8_t *end)
{
	uint8_t first = *p, low = 0x80, high = 0xbf;
	size_t n;

	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	n = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	if ((size_t)(end - p) < n)
		return 0;
	if (first == 0xe0)
		low = 0xa0;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return n;
}

bool jaco_str_is_utf8(const char *text, size_t n)
{
	const uint8_t *p = (const uint8_t *)text;
	const uint8_t *end = p + n;

	while (p < end) {
		size_t bytes = utf8_bytes(p, end);

		if (bytes == 0)
			return false;
		p += bytes;
	}
	return true;
}

void jaco_str_make_utf8(char *text)
{
	uint8_t *p = (uint8_t *)text;
	const uint8_t *end = p + strlen(text);

	while (p < end) {
		size_t bytes = utf8_bytes(p, end);

		if (bytes == 0)
			*p = '?';
		p += JACO_MAX(bytes, (size_t)1);
	}
}

#define DISTANCE_TEXT_MAX 64

unsigned jaco_str_distance(const char *a, const char *b, unsigned max)
{
	unsigned row[DISTANCE_TEXT_MAX + 1];
	size_t n = strlen(a);
	size_t m = strlen(b);

	if (n > DISTANCE_TEXT_MAX || m > DISTANCE_TEXT_MAX)
		return max + 1;
	for (size_t j = 0; j <= m; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned change = diagonal + (a[i - 1] != b[j - 1]);
			unsigned step = JACO_MIN(row[j], row[j - 1]) + 1;

			diagonal = row[j];
			row[j] = JACO_MIN(change, step);
		}
	}
	return JACO_MIN(row[m], max + 1);
}

const char *jaco_str_nearest(const char *word, const char *const *names)
{
	unsigned best = 4;
	const char *found = NULL;

	for (; *names; names++) {
		unsigned distance = jaco_str_distance(word, *names, 3);

		if (distance < best && distance * 2 <= strlen(word)) {
			best = distance;
			found = *names;
		}
	}
	return found;
}

void jaco_hex_encode(char *out, const uint8_t *data, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[data[i] >> 4];
		out[2 * i + 1] = digits[data[i] & 15];
	}
	out[2 * n] = '\0';
}

static int hex_value(char c)
{
	c = jaco_ascii_lower(c);
	if (jaco_ascii_is_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool jaco_hex_decode(const char *text, uint8_t *out, size_t n)
{
	if (strlen(text) != 2 * n)
		return false;
	for (size_t i = 0; i < 2 * n; i++)
		if (hex_value(text[i]) < 0)
			return false;
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(hex_value(text[2 * i]) << 4 | hex_value(text[2 * i + 1]));
	return true;
}

static const char alphabet_std[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode64(char *out, const uint8_t *data, size_t n, const char *alphabet, bool pad)
{
	while (n > 0) {
		uint32_t group = (uint32_t)data[0] << 16;

		if (n > 1)
			group |= (uint32_t)data[1] << 8;
		if (n > 2)
			group |= data[2];
		*out++ = alphabet[group >> 18];
		*out++ = alphabet[group >> 12 & 63];
		if (n > 1)
			*out++ = alphabet[group >> 6 & 63];
		else if (pad)
			*out++ = '=';
		if (n > 2)
			*out++ = alphabet[group & 63];
		else if (pad)
			*out++ = '=';
		data += JACO_MIN(n, (size_t)3);
		n -= JACO_MIN(n, (size_t)3);
	}
	*out = '\0';
}

static long decode64(const char *text, size_t n, uint8_t *out, size_t cap, const char *alphabet)
{
	uint32_t group = 0;
	unsigned bits = 0;
	size_t used = 0;

	if (n % 4 == 1)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const char *at = text[i] ? strchr(alphabet, text[i]) : NULL;

		if (!at)
			return -1;
		group = group << 6 | (uint32_t)(at - alphabet);
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		if (used == cap)
			return -1;
		out[used++] = (uint8_t)(group >> bits);
		group &= (1u << bits) - 1;
	}
	return group == 0 ? (long)used
			  : -1; /* left-over bits must be zero: one spelling per value */
}

void jaco_base64_encode(char *out, const uint8_t *data, size_t n)
{
	encode64(out, data, n, alphabet_std, true);
}

long jaco_base64_decode(const char *text, uint8_t *out, size_t cap)
{
	size_t n = strlen(text);

	if (n % 4 != 0)
		return -1;
	for (int pad = 0; pad < 2 && n > 0 && text[n - 1] == '='; pad++)
		n--;
	return decode64(text, n, out, cap, alphabet_std);
}

void jaco_base64url_encode(char *out, const uint8_t *data, size_t n)
{
	encode64(out, data, n, alphabet_url, false);
}

long jaco_base64url_decode(const char *text, uint8_t *out, size_t cap)
{
	return decode64(text, strlen(text), out, cap, alphabet_url);
}

bool jaco_secret_eq(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a;
	const volatile uint8_t *y = b;
	uint8_t diff = 0;

	for (size_t i = 0; i < n; i++)
		diff |= x[i] ^ y[i];
	return diff == 0;
}
