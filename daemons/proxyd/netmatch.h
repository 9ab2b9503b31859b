/* SPDX-License-Identifier: Apache-2.0
 *
 * netmatch.h - addresses and networks of both families, compared as 128 bits.
 *
 * Pure.  IPv4 is held in its mapped form (RFC 4291 section 2.5.5.2), so that a list may mix
 * families and a client of a dual-stack socket matches an IPv4 network. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/err.h"

struct netmatch_ip {
	uint8_t b[16];
};

struct netmatch {
	struct netmatch_ip ip;
	uint8_t bits; /* 0..128, of the mapped form */
};

#define NETMATCH_TEXT_BYTES 46

/* "10.0.0.1" or "fe80::1"; false otherwise. */
bool netmatch_ip_parse(const char *text, struct netmatch_ip *out);
/* Mapped addresses print as IPv4.  Returns the length. */
size_t netmatch_ip_render(char out[static NETMATCH_TEXT_BYTES], const struct netmatch_ip *ip);
bool netmatch_ip_is_v4(const struct netmatch_ip *ip);

/* "10.0.0.0/8", "fd00::/8", or a bare address.  Errors: VALIDATION_FAILED. */
int netmatch_parse(const char *text, struct netmatch *out, struct jaco_err *err);
bool netmatch_contains(const struct netmatch *net, const struct netmatch_ip *ip);
bool netmatch_any(const struct netmatch *nets, size_t n, const struct netmatch_ip *ip);
