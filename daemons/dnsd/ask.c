/* SPDX-License-Identifier: Apache-2.0
 *
 * ask.c - see ask.h. */
#include "daemons/dnsd/ask.h"

#include <string.h>

#include "libjaco/base/str.h"

/* Options that concern one hop: RFC 7873 cookie, RFC 7828 keepalive, RFC 7830 padding. */
enum { OPTION_COOKIE = 10, OPTION_KEEPALIVE = 11, OPTION_PADDING = 12 };

static bool is_hop_option(unsigned code)
{
	return code == OPTION_COOKIE || code == OPTION_KEEPALIVE || code == OPTION_PADDING;
}

/* Copy the options that travel; returns their bytes.  packet_parse() has checked their frame. */
static size_t copy_options(uint8_t *out, const uint8_t *options, size_t n)
{
	size_t kept = 0;

	for (size_t at = 0; at < n;) {
		size_t len = 4u + packet_get16(options + at + 2);

		if (!is_hop_option(packet_get16(options + at))) {
			memcpy(out + kept, options + at, len);
			kept += len;
		}
		at += len;
	}
	return kept;
}

size_t ask_make(uint8_t *out, const uint8_t *msg, const struct packet_query *query,
		size_t *out_n_options)
{
	size_t n = query->question_end;

	memset(out, 0, PACKET_HEADER_BYTES);
	out[2] = msg[2] & PACKET_RD;
	out[3] = msg[3] & (PACKET_CD | PACKET_AD);
	out[5] = 1;
	memcpy(out + PACKET_HEADER_BYTES, msg + PACKET_HEADER_BYTES, n - PACKET_HEADER_BYTES);
	*out_n_options = 0;
	if (!query->has_edns)
		return n;
	n = packet_put_opt(out, n, query->dnssec_ok, PACKET_NOERROR);
	packet_put16(out + n - 8, JACO_MIN(query->udp_bytes, PACKET_UDP_LIMIT));
	*out_n_options = copy_options(out + n, msg + query->options_at, query->options_n);
	packet_put16(out + n - 2, (unsigned)*out_n_options);
	return n + *out_n_options;
}

bool ask_has_options(const uint8_t *msg, const struct packet_query *query)
{
	for (size_t at = 0; at < query->options_n;) {
		const uint8_t *option = msg + query->options_at + at;

		if (!is_hop_option(packet_get16(option)))
			return true;
		at += 4u + packet_get16(option + 2);
	}
	return false;
}

size_t ask_key(uint8_t out[static CACHE_KEY_MAX], const uint8_t *msg,
	       const struct packet_query *query, uint64_t upstreams_id)
{
	size_t n = query->name_n;

	packet_name_lower(out, msg + PACKET_HEADER_BYTES, n);
	packet_put16(out + n, query->type);
	packet_put16(out + n + 2, query->class);
	out[n + 4] = (uint8_t)((msg[2] & PACKET_RD) | (msg[3] & (PACKET_CD | PACKET_AD)) |
			       (query->has_edns ? 2 : 0) | (query->dnssec_ok ? 4 : 0));
	n += 5;
	if (upstreams_id != 0) { /* the name ends itself, so this is no part of a longer one */
		memcpy(out + n, &upstreams_id, sizeof(upstreams_id));
		n += sizeof(upstreams_id);
	}
	return n;
}

void ask_count_opt(uint8_t *asked, bool has_opt)
{
	packet_put16(asked + 10, has_opt); /* ARCOUNT, RFC 1035 section 4.1.1 */
}
