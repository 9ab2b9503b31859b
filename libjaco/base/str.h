/* SPDX-License-Identifier: Apache-2.0
 *
 * str.h - small, bounded text helpers: copying, comparing, numbers, hex, base64. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/auto.h"

/* Copy @text into @out (of @out_bytes > 0), always NUL-terminated.  False when it was cut. */
bool jaco_str_copy(char *out, size_t out_bytes, const char *text);

/* Format into @out, always NUL-terminated.  False when it was cut. */
bool jaco_str_format(char *out, size_t out_bytes, const char *fmt, ...) JACO_PRINTF(3, 4);

bool jaco_str_eq(const char *a, const char *b); /* NULL equals NULL only */
bool jaco_str_starts(const char *text, const char *prefix);
bool jaco_str_ends(const char *text, const char *suffix);

/* ASCII case-insensitive, locale-free. */
bool jaco_str_eq_nocase(const char *a, const char *b);
char jaco_ascii_lower(char c);
bool jaco_ascii_is_alnum(char c);
bool jaco_ascii_is_digit(char c);
bool jaco_ascii_is_space(char c);

/* Decimal digits only, the whole text, no sign or blanks; false on anything else or overflow past
 * @max.  @out_value untouched on failure. */
bool jaco_str_to_u64(const char *text, uint64_t max, uint64_t *out_value);

/* Sizes: "123", "64k", "64m", "1g", with an optional trailing "b", either case; powers of 1024. */
bool jaco_str_to_bytes(const char *text, uint64_t *out_bytes);

/* Well-formed UTF-8 by RFC 3629 section 4 (no surrogates, no overlong forms). */
bool jaco_str_is_utf8(const char *text, size_t n);

/* Put '?' in the place of every byte that belongs to no character. */
void jaco_str_make_utf8(char *text);

/* Levenshtein distance capped at @max + 1; texts longer than 64 count as far away. */
unsigned jaco_str_distance(const char *a, const char *b, unsigned max);

/* The nearest of @names (NULL-terminated) within distance 3 and half the word, or NULL. */
const char *jaco_str_nearest(const char *word, const char *const *names);

/* Lower-case hex; @out has room for 2 * n + 1. */
void jaco_hex_encode(char *out, const uint8_t *data, size_t n);

/* Exactly 2 * @n hex digits; false otherwise. */
bool jaco_hex_decode(const char *text, uint8_t *out, size_t n);

/* Base64 with padding (RFC 4648 section 4); @out has room for JACO_BASE64_BYTES(n). */
#define JACO_BASE64_BYTES(n) (((n) + 2) / 3 * 4 + 1)
void jaco_base64_encode(char *out, const uint8_t *data, size_t n);

/* Strict decoding; returns bytes written, or -1 when malformed or more than @cap. */
long jaco_base64_decode(const char *text, uint8_t *out, size_t cap);

/* Base64url without padding (RFC 4648 section 5): tokens, JOSE. */
void jaco_base64url_encode(char *out, const uint8_t *data, size_t n);
long jaco_base64url_decode(const char *text, uint8_t *out, size_t cap);

/* Compare secrets in time that depends on @n only. */
bool jaco_secret_eq(const void *a, const void *b, size_t n);
