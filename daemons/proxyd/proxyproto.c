/* SPDX-License-Identifier: Apache-2.0
 *
 * proxyproto.c - see proxyproto.h. */
#include "daemons/proxyd/proxyproto.h"

#include <string.h>

#include "libjaco/base/str.h"

static const char v2_signature[12] = "\r\n\r\n\0\r\nQUIT\n";

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21, V2_TCP4 = 0x11, V2_TCP6 = 0x21 };

static int none(struct proxyproto_peer *out)
{
	out->is_header = false;
	return 1;
}

static uint16_t be16(const char *p)
{
	return (uint16_t)((uint8_t)p[0] << 8 | (uint8_t)p[1]);
}

static int parse_v2(const char *data, size_t n, struct proxyproto_peer *out)
{
	size_t rest;

	if (n < 16)
		return 0;
	rest = be16(data + 14);
	if (16 + rest > PROXYPROTO_V2_MAX)
		return -1;
	if (n < 16 + rest)
		return 0;
	if ((uint8_t)data[12] == V2_LOCAL)
		return (int)(16 + rest);
	if ((uint8_t)data[12] != V2_PROXY)
		return -1;
	if (data[13] == V2_TCP4 && rest >= 12) {
		out->ip = (struct netmatch_ip){.b = {[10] = 0xff, [11] = 0xff}};
		memcpy(out->ip.b + 12, data + 16, 4);
		out->port = be16(data + 24);
		out->has_address = true;
	} else if (data[13] == V2_TCP6 && rest >= 36) {
		memcpy(out->ip.b, data + 16, 16);
		out->port = be16(data + 48);
		out->has_address = true;
	}
	return (int)(16 + rest);
}

/* "PROXY TCP4 1.2.3.4 5.6.7.8 1111 80\r\n" */
static int parse_v1(const char *data, size_t n, struct proxyproto_peer *out)
{
	const char *nl = memchr(data, '\n', n < PROXYPROTO_V1_MAX ? n : PROXYPROTO_V1_MAX);
	char line[PROXYPROTO_V1_MAX + 1];
	char *words[6], *save = NULL;
	struct netmatch_ip to;
	uint64_t port;
	size_t k = 0;

	if (!nl)
		return n < PROXYPROTO_V1_MAX ? 0 : -1;
	if (nl == data || nl[-1] != '\r')
		return -1;
	memcpy(line, data, (size_t)(nl - data - 1));
	line[nl - data - 1] = '\0';
	for (char *w = strtok_r(line, " ", &save); w && k < 6; w = strtok_r(NULL, " ", &save))
		words[k++] = w;
	if (k >= 2 && strcmp(words[1], "UNKNOWN") == 0)
		return (int)(nl - data + 1);
	if (k != 6 || (strcmp(words[1], "TCP4") != 0 && strcmp(words[1], "TCP6") != 0) ||
	    !netmatch_ip_parse(words[2], &out->ip) || !netmatch_ip_parse(words[3], &to) ||
	    !jaco_str_to_u64(words[4], 65535, &port))
		return -1;
	out->port = (uint16_t)port;
	out->has_address = true;
	return (int)(nl - data + 1);
}

int proxyproto_parse(const char *data, size_t n, struct proxyproto_peer *out)
{
	size_t k = n < sizeof(v2_signature) ? n : sizeof(v2_signature);

	*out = (struct proxyproto_peer){.is_header = true};
	if (n == 0)
		return 0;
	if (memcmp(data, v2_signature, k) == 0)
		return n < sizeof(v2_signature) ? 0 : parse_v2(data, n, out);
	k = n < 6 ? n : 6;
	if (memcmp(data, "PROXY ", k) == 0)
		return n < 6 ? 0 : parse_v1(data, n, out);
	return none(out);
}

size_t proxyproto_write(char out[static PROXYPROTO_WRITE_MAX], const struct netmatch_ip *from,
			uint16_t from_port, const struct netmatch_ip *to, uint16_t to_port)
{
	bool is_v4 = netmatch_ip_is_v4(from) && netmatch_ip_is_v4(to);
	size_t bytes = is_v4 ? 4 : 16;
	size_t skip = 16 - bytes;
	char *p = out + 16;

	memcpy(out, v2_signature, sizeof(v2_signature));
	out[12] = V2_PROXY;
	out[13] = is_v4 ? V2_TCP4 : V2_TCP6;
	out[14] = 0;
	out[15] = (char)(2 * bytes + 4);
	memcpy(p, from->b + skip, bytes);
	memcpy(p + bytes, to->b + skip, bytes);
	p += 2 * bytes;
	*p++ = (char)(from_port >> 8);
	*p++ = (char)from_port;
	*p++ = (char)(to_port >> 8);
	*p++ = (char)to_port;
	return (size_t)(p - out);
}
