/* SPDX-License-Identifier: Apache-2.0
 *
 * compose_dns.c - dns: the servers a service has of its own for names of the outside.
 *
 * They are not written into the container: its resolver is dnsd, which knows the names of services
 * and asks these for the rest (spec/network.md section 4). */
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/model/cidr.h"
#include "libjaco/model/manifest/compose.h"
#include "libjaco/model/manifest/resolve.h"

void jaco_compose_fill_dns(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct compose_service *service = out;
	struct jaco_strings items;
	size_t kept = 0;

	if (!jaco_read_strings(read, node, &items) || items.n == 0)
		return;
	service->dns_pos = node->pos;
	if (!jaco_compose_check_count(read, node, JACO_DNS_PER_SERVICE, "DNS servers"))
		return;
	for (size_t i = 0; i < items.n; i++) {
		struct jaco_pos pos =
			node->kind == JACO_YAML_SEQ ? node->entries[i].value->pos : node->pos;
		uint32_t addr;

		if (!*items.items[i])
			jaco_read_warn(read, pos, "an empty address is left out");
		else if (!jaco_ipv4_parse(items.items[i], &addr) && !jaco_ipv6_is(items.items[i]))
			jaco_read_error(read, pos, "write the address of a DNS server",
					"\"%.60s\" is not an IP address", items.items[i]);
		else
			items.items[kept++] = items.items[i];
	}
	items.n = kept;
	service->s.dns = items;
}

static bool is_loopback(const char *text)
{
	uint32_t addr;

	if (jaco_ipv4_parse(text, &addr))
		return addr >> 24 == 127 || addr == 0;
	return jaco_str_eq(text, "::1") || jaco_str_eq(text, "::");
}

void jaco_resolve_dns(struct resolve *resolve, struct compose_service *service)
{
	struct jaco_strings *dns = &service->s.dns;
	size_t kept = 0;

	if (dns->n == 0)
		return;
	if (service->s.network_mode == JACO_NETMODE_SERVICE) {
		jaco_resolve_warn(resolve, service->dns_pos, service->s.name, "dns",
				  "dns is ignored: the service whose network is shared decides");
		dns->n = 0;
	}
	if (service->s.network_mode != JACO_NETMODE_NETWORKS)
		return;
	for (size_t i = 0; i < dns->n; i++) {
		if (!is_loopback(dns->items[i]))
			dns->items[kept++] = dns->items[i];
		else
			jaco_resolve_warn(resolve, service->dns_pos, service->s.name, "dns",
					  "%.60s is the container itself, which JACO's resolver "
					  "does not ask: left out",
					  dns->items[i]);
	}
	dns->n = kept;
}
