/* SPDX-License-Identifier: Apache-2.0
 *
 * upstreams.c - see upstreams.h. */
#include "daemons/dnsd/upstreams.h"

#include <netinet/in.h>
#include <string.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

#define DNS_PORT      53
#define LOOP_RESOLVER 0x7f00000b /* 127.0.0.11 */

struct upstreams *upstreams_new(uint64_t id, const struct jaco_addr *addrs, size_t n)
{
	struct upstreams *upstreams = jaco_alloc(sizeof(*upstreams));

	JACO_ASSERT(n <= UPSTREAMS_MAX);
	upstreams->refs = 1;
	upstreams->id = id;
	upstreams->n = n;
	if (n > 0)
		memcpy(upstreams->addrs, addrs, n * sizeof(*addrs));
	return upstreams;
}

struct upstreams *upstreams_ref(struct upstreams *upstreams)
{
	upstreams->refs++;
	return upstreams;
}

void upstreams_unref(struct upstreams *upstreams)
{
	if (upstreams && --upstreams->refs == 0)
		jaco_free(upstreams);
}

static bool is_same(const struct jaco_addr *a, const struct jaco_addr *b)
{
	return a->n == b->n && memcmp(&a->storage, &b->storage, a->n) == 0;
}

bool upstreams_equal(const struct upstreams *upstreams, const struct jaco_addr *addrs, size_t n)
{
	if (upstreams->n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_same(&upstreams->addrs[i], &addrs[i]))
			return false;
	return true;
}

bool upstreams_is_loopback(const struct jaco_addr *addr)
{
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)&addr->storage;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&addr->storage;

	if (addr->sa.sa_family == AF_INET)
		return ntohl(in4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET ||
		       in4->sin_addr.s_addr == INADDR_ANY;
	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		return in6->sin6_addr.s6_addr[12] == IN_LOOPBACKNET ||
		       in6->sin6_addr.s6_addr[12] == 0;
	return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
}

bool upstreams_is_loop(const struct jaco_addr *addr, const struct jaco_cidr *pool, size_t n_pool,
		       const struct jaco_addr *own, size_t n_own)
{
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)&addr->storage;
	uint32_t host;
	char a[JACO_ADDR_TEXT_BYTES], b[JACO_ADDR_TEXT_BYTES];

	jaco_addr_render(a, addr);
	for (size_t i = 0; i < n_own; i++) {
		jaco_addr_render(b, &own[i]);
		if (jaco_str_eq(a, b))
			return true;
	}
	if (addr->sa.sa_family != AF_INET)
		return false;
	host = ntohl(in4->sin_addr.s_addr);
	for (size_t i = 0; i < n_pool; i++)
		if (jaco_cidr_contains(pool[i], host))
			return true;
	return host == LOOP_RESOLVER;
}

size_t upstreams_parse_resolv(const char *text, struct jaco_addr *out, size_t cap)
{
	size_t n = 0;

	for (const char *line = text; *line && n < cap;
	     line += strcspn(line, "\n"), line += *line == '\n') {
		size_t skip = strspn(line, " \t");
		char host[JACO_ADDR_TEXT_BYTES], addr[JACO_ADDR_TEXT_BYTES + 4];
		size_t len;

		if (strncmp(line + skip, "nameserver", 10) != 0 || !strchr(" \t", line[skip + 10]))
			continue;
		skip += 10 + strspn(line + skip + 10, " \t");
		len = strcspn(line + skip, " \t\r\n#;");
		if (len == 0 || len >= sizeof(host))
			continue;
		memcpy(host, line + skip, len);
		host[len] = '\0';
		(void)jaco_str_format(addr, sizeof(addr), strchr(host, ':') ? "[%s]" : "%s", host);
		if (jaco_addr_parse(&out[n], addr, DNS_PORT, NULL) == 0)
			n++;
	}
	return n;
}
