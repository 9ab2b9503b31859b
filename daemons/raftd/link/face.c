/* SPDX-License-Identifier: Apache-2.0
 *
 * face.c - looks at the interfaces; what is public is never chosen. */
#include "daemons/raftd/link/face.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "libjaco/base/str.h"

/* RFC 1918, RFC 6598, RFC 3927. */
static bool is_private(uint32_t ip)
{
	return ip >> 24 == 10 || ip >> 20 == 0xac1 || ip >> 16 == 0xc0a8 ||
	       ip >> 22 == (100u << 24 | 64u << 16) >> 22 ||
	       ip >> 16 == 0xa9fe;
}

/* The private face of this machine, the engine's bridges left out. */
static bool private_face(struct jaco_addr *addr)
{
	struct ifaddrs *list, *at;
	uint16_t port = jaco_addr_port(addr);
	bool is_found = false;

	if (getifaddrs(&list) < 0)
		return false;
	for (at = list; at && !is_found; at = at->ifa_next) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(void *)at->ifa_addr;

		if (!in || in->sin_family != AF_INET || !(at->ifa_flags & IFF_UP) ||
		    (at->ifa_flags & IFF_LOOPBACK) || strncmp(at->ifa_name, "docker", 6) == 0 ||
		    strncmp(at->ifa_name, "br-", 3) == 0 || strncmp(at->ifa_name, "jaco", 4) == 0 ||
		    strncmp(at->ifa_name, "podman", 6) == 0)
			continue;
		if (!is_private(ntohl(in->sin_addr.s_addr)))
			continue;
		*addr = jaco_addr_ipv4(ntohl(in->sin_addr.s_addr), port);
		is_found = true;
	}
	freeifaddrs(list);
	return is_found;
}

int face_resolve(const char *key, const char *text, struct jaco_addr *out, struct jaco_err *err)
{
	struct jaco_addr addr;

	if (jaco_addr_parse(&addr, text, 0, err) < 0)
		return jaco_err_wrap(err, "%s", key);
	if (jaco_str_starts(text, "0.0.0.0:") && !private_face(&addr))
		return jaco_err_set(
			err, JACO_VALIDATION_FAILED,
			"%s: this machine has no private address: set %s to the one that "
			"shall be used",
			key, key);
	*out = addr;
	return 0;
}
