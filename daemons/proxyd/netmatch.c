/* SPDX-License-Identifier: Apache-2.0
 *
 * netmatch.c - see netmatch.h. */
#include "daemons/proxyd/netmatch.h"

#include <arpa/inet.h>
#include <string.h>

#include "libjaco/base/str.h"

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

bool netmatch_ip_parse(const char *text, struct netmatch_ip *out)
{
	struct netmatch_ip ip;

	memcpy(ip.b, mapped, sizeof(mapped));
	if (inet_pton(AF_INET, text, ip.b + 12) != 1 && inet_pton(AF_INET6, text, ip.b) != 1)
		return false;
	*out = ip;
	return true;
}

bool netmatch_ip_is_v4(const struct netmatch_ip *ip)
{
	return memcmp(ip->b, mapped, sizeof(mapped)) == 0;
}

static size_t render_octet(char *out, unsigned value)
{
	size_t n = 0;

	if (value >= 100)
		out[n++] = (char)('0' + value / 100);
	if (value >= 10)
		out[n++] = (char)('0' + value / 10 % 10);
	out[n++] = (char)('0' + value % 10);
	return n;
}

size_t netmatch_ip_render(char out[static NETMATCH_TEXT_BYTES], const struct netmatch_ip *ip)
{
	size_t n = 0;

	if (!netmatch_ip_is_v4(ip)) {
		inet_ntop(AF_INET6, ip->b, out, NETMATCH_TEXT_BYTES);
		return strlen(out);
	}
	for (int i = 12; i < 16; i++) { /* per request: inet_ntop's printf would show */
		n += render_octet(out + n, ip->b[i]);
		out[n++] = i < 15 ? '.' : '\0';
	}
	return n - 1;
}

int netmatch_parse(const char *text, struct netmatch *out, struct jaco_err *err)
{
	char host[NETMATCH_TEXT_BYTES];
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	struct netmatch net = {.bits = 128};
	uint64_t bits = 128;

	if (n >= sizeof(host))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "\"%s\" is no network", text);
	memcpy(host, text, n);
	host[n] = '\0';
	if (!netmatch_ip_parse(host, &net.ip))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "\"%s\" is no network", text);
	if (slash) {
		bool is_v4 = !strchr(host, ':');

		if (!jaco_str_to_u64(slash + 1, is_v4 ? 32 : 128, &bits))
			return jaco_err_set(err, JACO_VALIDATION_FAILED, "\"%s\" is no network",
					    text);
		net.bits = (uint8_t)(is_v4 ? bits + 96 : bits);
	}
	*out = net;
	return 0;
}

bool netmatch_contains(const struct netmatch *net, const struct netmatch_ip *ip)
{
	unsigned bytes = net->bits / 8;
	unsigned rest = net->bits % 8;

	if (memcmp(net->ip.b, ip->b, bytes) != 0)
		return false;
	return rest == 0 || (net->ip.b[bytes] ^ ip->b[bytes]) >> (8 - rest) == 0;
}

bool netmatch_any(const struct netmatch *nets, size_t n, const struct netmatch_ip *ip)
{
	for (size_t i = 0; i < n; i++)
		if (netmatch_contains(&nets[i], ip))
			return true;
	return false;
}
