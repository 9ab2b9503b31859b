/* SPDX-License-Identifier: Apache-2.0
 *
 * cidr.h - IPv4 addresses and networks as values.
 *
 * Pure.  Addresses are in host byte order everywhere in the model; only sockets and netlink see
 * network order.  Text is strict: four decimal octets without leading zeros (no inet_aton forms).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "libjaco/base/err.h"

#define JACO_IPV4_TEXT_BYTES 16 /* "255.255.255.255" and its NUL */
#define JACO_CIDR_TEXT_BYTES 19 /* "255.255.255.255/32" and its NUL */

/* Host bits may be set ("10.0.0.1/24" names an address in its network); jaco_cidr_network() clears
 * them. */
struct jaco_cidr {
	uint32_t addr; /* host byte order */
	uint8_t bits;  /* 0..32 */
};

/* "10.1.2.3"; false otherwise, @out_addr then untouched. */
bool jaco_ipv4_parse(const char *text, uint32_t *out_addr);
void jaco_ipv4_render(char out[static JACO_IPV4_TEXT_BYTES], uint32_t addr);

/* "10.1.2.0/24".  Host bits are kept.
 * Errors: VALIDATION_FAILED - not an IPv4 network in CIDR notation (RFC 4632 section 3.1). */
int jaco_cidr_parse(const char *text, struct jaco_cidr *out_cidr, struct jaco_err *err);
void jaco_cidr_render(char out[static JACO_CIDR_TEXT_BYTES], struct jaco_cidr cidr);

/* The mask of a prefix length 0..32: 24 -> 0xffffff00. */
uint32_t jaco_cidr_mask(uint8_t bits);

/* The same network with host bits cleared. */
struct jaco_cidr jaco_cidr_network(struct jaco_cidr cidr);

/* First and last address (the broadcast address for bits < 31). */
uint32_t jaco_cidr_first(struct jaco_cidr cidr);
uint32_t jaco_cidr_last(struct jaco_cidr cidr);

bool jaco_cidr_contains(struct jaco_cidr cidr, uint32_t addr);

/* @inner lies wholly inside @outer (equal counts). */
bool jaco_cidr_covers(struct jaco_cidr outer, struct jaco_cidr inner);

/* Some address is in both. */
bool jaco_cidr_overlaps(struct jaco_cidr a, struct jaco_cidr b);

/* Same network and length, host bits ignored. */
bool jaco_cidr_eq(struct jaco_cidr a, struct jaco_cidr b);

/* Order by first address, then shorter prefix first: <0, 0, >0. */
int jaco_cidr_cmp(struct jaco_cidr a, struct jaco_cidr b);

/* True when @text is an IPv6 address (RFC 4291 section 2.2); JACO routes IPv4 only, but people
 * write IPv6 in host ports, extra_hosts and dns. */
bool jaco_ipv6_is(const char *text);
