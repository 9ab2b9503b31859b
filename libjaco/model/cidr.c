/* SPDX-License-Identifier: Apache-2.0
 *
 * cidr.c - IPv4 addresses and networks as values. */
#include "libjaco/model/cidr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "libjaco/base/str.h"

/* One decimal number without leading zeros, at most @max; advances @cursor past it. */
static bool read_number(const char **cursor, unsigned max, unsigned *out_value)
{
	const char *text = *cursor;
	unsigned value = 0;
	size_t n = 0;

	while (jaco_ascii_is_digit(text[n])) {
		if (n == 3 || (n == 1 && text[0] == '0'))
			return false;
		value = value * 10 + (unsigned)(text[n++] - '0');
	}
	if (n == 0 || value > max)
		return false;
	*cursor = text + n;
	*out_value = value;
	return true;
}

static bool read_ipv4(const char **cursor, uint32_t *out_addr)
{
	uint32_t addr = 0;

	for (unsigned i = 0; i < 4; i++) {
		unsigned octet;

		if (i > 0 && *(*cursor)++ != '.')
			return false;
		if (!read_number(cursor, 255, &octet))
			return false;
		addr = addr << 8 | octet;
	}
	*out_addr = addr;
	return true;
}

bool jaco_ipv4_parse(const char *text, uint32_t *out_addr)
{
	uint32_t addr;

	if (!read_ipv4(&text, &addr) || *text)
		return false;
	*out_addr = addr;
	return true;
}

void jaco_ipv4_render(char out[static JACO_IPV4_TEXT_BYTES], uint32_t addr)
{
	(void)jaco_str_format(out, JACO_IPV4_TEXT_BYTES, "%u.%u.%u.%u", addr >> 24,
			      addr >> 16 & 255, addr >> 8 & 255, addr & 255);
}

int jaco_cidr_parse(const char *text, struct jaco_cidr *out_cidr, struct jaco_err *err)
{
	const char *cursor = text;
	uint32_t addr;
	unsigned bits;

	if (!read_ipv4(&cursor, &addr) || *cursor++ != '/' || !read_number(&cursor, 32, &bits) ||
	    *cursor)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "\"%.60s\" is not an IPv4 network such as 10.0.0.0/8", text);
	*out_cidr = (struct jaco_cidr){.addr = addr, .bits = (uint8_t)bits};
	return 0;
}

void jaco_cidr_render(char out[static JACO_CIDR_TEXT_BYTES], struct jaco_cidr cidr)
{
	char addr[JACO_IPV4_TEXT_BYTES];

	jaco_ipv4_render(addr, cidr.addr);
	(void)jaco_str_format(out, JACO_CIDR_TEXT_BYTES, "%s/%u", addr, cidr.bits);
}

uint32_t jaco_cidr_mask(uint8_t bits)
{
	return bits == 0 ? 0 : UINT32_MAX << (32 - (bits > 32 ? 32 : bits));
}

struct jaco_cidr jaco_cidr_network(struct jaco_cidr cidr)
{
	cidr.addr &= jaco_cidr_mask(cidr.bits);
	return cidr;
}

uint32_t jaco_cidr_first(struct jaco_cidr cidr)
{
	return cidr.addr & jaco_cidr_mask(cidr.bits);
}

uint32_t jaco_cidr_last(struct jaco_cidr cidr)
{
	return cidr.addr | ~jaco_cidr_mask(cidr.bits);
}

bool jaco_cidr_contains(struct jaco_cidr cidr, uint32_t addr)
{
	return ((cidr.addr ^ addr) & jaco_cidr_mask(cidr.bits)) == 0;
}

bool jaco_cidr_covers(struct jaco_cidr outer, struct jaco_cidr inner)
{
	return inner.bits >= outer.bits && jaco_cidr_contains(outer, inner.addr);
}

bool jaco_cidr_overlaps(struct jaco_cidr a, struct jaco_cidr b)
{
	return jaco_cidr_covers(a, b) || jaco_cidr_covers(b, a);
}

bool jaco_cidr_eq(struct jaco_cidr a, struct jaco_cidr b)
{
	return a.bits == b.bits && jaco_cidr_first(a) == jaco_cidr_first(b);
}

int jaco_cidr_cmp(struct jaco_cidr a, struct jaco_cidr b)
{
	uint32_t first_a = jaco_cidr_first(a);
	uint32_t first_b = jaco_cidr_first(b);

	if (first_a != first_b)
		return first_a < first_b ? -1 : 1;
	return (int)a.bits - (int)b.bits;
}

bool jaco_ipv6_is(const char *text)
{
	struct in6_addr addr;

	return inet_pton(AF_INET6, text, &addr) == 1;
}
