/* SPDX-License-Identifier: Apache-2.0
 *
 * proxyproto.h - the PROXY protocol, versions 1 and 2.
 *
 * Pure.  Read from load balancers that `trusted_proxies` names; written (version 2) to replicas
 * that ask for it.  Obeys "The PROXY protocol", HAProxy Technologies, 2020-03-05. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/proxyd/netmatch.h"

#define PROXYPROTO_V1_MAX 107
#define PROXYPROTO_V2_MAX 536 /* header, addresses and the TLVs we are willing to skip */
#define PROXYPROTO_WRITE_MAX 52

struct proxyproto_peer {
	bool is_header;    /* false: the connection does not begin with a PROXY header */
	bool has_address;  /* false: LOCAL or UNKNOWN */
	struct netmatch_ip ip;
	uint16_t port;
};

/*
 * Returns bytes of the header (or 1 with is_header false when there is none), 0 when more must
 * arrive to know, -1 when it is malformed.
 */
int proxyproto_parse(const char *data, size_t n, struct proxyproto_peer *out);

/* Version 2 header for a TCP connection.  Returns its length. */
size_t proxyproto_write(char out[static PROXYPROTO_WRITE_MAX], const struct netmatch_ip *from,
			uint16_t from_port, const struct netmatch_ip *to, uint16_t to_port);
