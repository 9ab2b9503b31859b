/* SPDX-License-Identifier: Apache-2.0
 *
 * chunked.c - the chunked transfer coding, RFC 9112 section 7.1.
 *
 * Sizes of at most 15 digits cannot overflow; extensions are understood only as far as needed to
 * find the end of the line, and bounded over the whole body because they carry no payload. */
#include "daemons/proxyd/http1.h"

#define SIZE_DIGITS_MAX 15
#define EXT_BYTES_MAX   (16 * 1024)
#define BLANKS_MAX      16

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_ext_char(char c)
{
	return c == '\t' || ((uint8_t)c >= 0x20 && (uint8_t)c != 0x7f);
}

/* One byte of a size line.  False: malformed. */
static bool size_line_byte(struct http1_chunked *dec, char c)
{
	int digit;

	switch (dec->state) {
	case HTTP1_CHUNK_SIZE:
		digit = hex_value(c);
		if (digit >= 0) {
			dec->left = dec->left << 4 | (unsigned)digit;
			return ++dec->digits <= SIZE_DIGITS_MAX;
		}
		if (dec->digits == 0)
			return false;
		dec->blanks = 0;
		dec->state = c == '\r' ? HTTP1_CHUNK_SIZE_LF :
			     c == ';' ? HTTP1_CHUNK_EXT : HTTP1_CHUNK_BLANK;
		return c == '\r' || c == ';' || c == ' ' || c == '\t';
	case HTTP1_CHUNK_BLANK:
		if (c == ';') {
			dec->state = HTTP1_CHUNK_EXT;
			return true;
		}
		return (c == ' ' || c == '\t') && ++dec->blanks < BLANKS_MAX;
	case HTTP1_CHUNK_EXT:
		if (c == '\r') {
			dec->state = HTTP1_CHUNK_SIZE_LF;
			return true;
		}
		return is_ext_char(c) && ++dec->ext_bytes <= EXT_BYTES_MAX;
	case HTTP1_CHUNK_SIZE_LF:
		dec->state = dec->left ? HTTP1_CHUNK_DATA : HTTP1_CHUNK_TRAILERS;
		dec->digits = 0;
		return c == '\n';
	case HTTP1_CHUNK_DATA_CR:
		dec->state = HTTP1_CHUNK_DATA_LF;
		return c == '\r';
	case HTTP1_CHUNK_DATA_LF:
		dec->state = HTTP1_CHUNK_SIZE;
		return c == '\n';
	case HTTP1_CHUNK_DATA:
	case HTTP1_CHUNK_TRAILERS:
	case HTTP1_CHUNK_DONE:
		break;
	}
	return false;
}

static enum http1_chunk_event trailers(struct http1_chunked *dec, const char *data, size_t n,
				       size_t *payload)
{
	int end = http1_scan(&dec->scan, data, n);

	if (end < 0)
		return HTTP1_CHUNK_BAD;
	if (end == 0)
		return HTTP1_CHUNK_MORE;
	*payload = (size_t)end - 2;
	dec->state = HTTP1_CHUNK_DONE;
	return HTTP1_CHUNK_END;
}

enum http1_chunk_event http1_chunked_step(struct http1_chunked *dec, const char *data, size_t n,
					  size_t *used, size_t *payload)
{
	size_t i = 0;

	*payload = 0;
	while (i < n && dec->state != HTTP1_CHUNK_DATA && dec->state != HTTP1_CHUNK_TRAILERS)
		if (!size_line_byte(dec, data[i++]))
			return HTTP1_CHUNK_BAD;
	*used = i;
	if (dec->state == HTTP1_CHUNK_DATA && i < n) {
		*payload = dec->left < n - i ? (size_t)dec->left : n - i;
		return HTTP1_CHUNK_PAYLOAD;
	}
	if (dec->state == HTTP1_CHUNK_TRAILERS)
		return trailers(dec, data + i, n - i, payload);
	return HTTP1_CHUNK_MORE;
}

void http1_chunked_took(struct http1_chunked *dec, size_t n)
{
	dec->left -= n;
	if (dec->left == 0)
		dec->state = HTTP1_CHUNK_DATA_CR;
}
