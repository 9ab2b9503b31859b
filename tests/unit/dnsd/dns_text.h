/* SPDX-License-Identifier: Apache-2.0
 *
 * dns_text.h - queries from words, for the tests of dnsd. */
#pragma once

#include <string.h>

#include "daemons/dnsd/packet.h"

/* A query for @name as bytes; returns its length.  The case of @name is kept. */
static inline size_t dns_query(uint8_t *out, const char *name, unsigned type)
{
	size_t at = PACKET_HEADER_BYTES;

	memset(out, 0, PACKET_HEADER_BYTES);
	packet_put16(out, 0x1234);
	out[2] = PACKET_RD;
	out[5] = 1;
	while (*name != '\0') {
		size_t len = strcspn(name, ".");

		out[at++] = (uint8_t)len;
		memcpy(out + at, name, len);
		at += len;
		name += len + (name[len] == '.');
	}
	out[at++] = 0;
	packet_put16(out + at, type);
	packet_put16(out + at + 2, PACKET_CLASS_IN);
	return at + 4;
}

/* Add an OPT record to a query of @n bytes. */
static inline size_t dns_query_edns(uint8_t *msg, size_t n, unsigned udp_bytes, unsigned version,
				    bool dnssec_ok)
{
	memset(msg + n, 0, PACKET_OPT_BYTES);
	packet_put16(msg + n + 1, PACKET_TYPE_OPT);
	packet_put16(msg + n + 3, udp_bytes);
	msg[n + 6] = (uint8_t)version;
	packet_put16(msg + n + 7, dnssec_ok ? PACKET_EDNS_DO : 0);
	packet_put16(msg + 10, packet_get16(msg + 10) + 1u);
	return n + PACKET_OPT_BYTES;
}
