/* SPDX-License-Identifier: Apache-2.0
 *
 * create_network.c - rows of how the container is reached, and the engine networks it is in. */
#include "daemons/runtimed/create_row.h"

#include <string.h>

#include "daemons/runtimed/json_out.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/str.h"

static void put_extra_hosts(struct create_out *o)
{
	const struct jaco_pairs *hosts = &o->service->extra_hosts;
	json_t *list = json_array();

	for (size_t i = 0; i < hosts->n; i++) {
		const char *at = hosts->items[i].value;

		while (*at) { /* several addresses are joined by commas */
			size_t n = strcspn(at, ",");

			json_array_append_new(list, json_sprintf("%s:%.*s", hosts->items[i].key,
								 (int)n, at));
			at += n + (at[n] == ',');
		}
	}
	json_out_list(o->host, "ExtraHosts", list);
}

static json_t *address_text(uint32_t address)
{
	char text[JACO_IPV4_TEXT_BYTES];

	jaco_ipv4_render(text, address);
	return json_string(text);
}

/* In our networks dnsd answers at the gateways, and asks a service's own servers for it.  Anywhere
 * else there is nobody between. */
static void put_dns(struct create_out *o)
{
	json_t *list = json_array();

	if (o->service->network_mode != JACO_NETMODE_NETWORKS)
		json_out_set_strings(o->host, "Dns", &o->service->dns);
	for (size_t i = 0; i < o->in->n_networks; i++)
		json_array_append_new(list, address_text(o->in->networks[i].gateway));
	json_out_list(o->host, "Dns", list);
}

static void put_dns_search(struct create_out *o)
{
	json_out_set_strings(o->host, "DnsSearch", &o->service->dns_search);
}

static void put_dns_opt(struct create_out *o)
{
	json_out_set_strings(o->host, "DnsOptions", &o->service->dns_opt);
}

static json_t *endpoint(const struct create_input *in, size_t index)
{
	const struct jaco_service *service = in->service;
	const struct jaco_attachment *a =
		index < service->n_attachments ? &service->attachments[index] : NULL;
	const char *mac = a ? a->mac_address : NULL;
	json_t *config = json_object();

	json_object_set_new(config, "IPAMConfig",
			    json_pack("{s:o}", "IPv4Address",
				      address_text(in->networks[index].address)));
	if (!mac && index == 0)
		mac = service->mac_address;
	if (create_has_api(in->engine, JACO_API_ENDPOINT_MAC))
		json_out_str(config, "MacAddress", mac);
	if (a)
		json_out_set_pairs(config, "DriverOpts", &a->driver_opts);
	if (a && a->gw_priority && create_has_api(in->engine, JACO_API_GW_PRIORITY))
		json_object_set_new(config, "GwPriority", json_integer(a->gw_priority));
	return config;
}

static void put_networks(struct create_out *o)
{
	const struct create_network *first = o->in->networks;

	switch (o->service->network_mode) {
	case JACO_NETMODE_NONE:
		json_out_str(o->host, "NetworkMode", "none");
		return;
	case JACO_NETMODE_HOST:
		json_out_str(o->host, "NetworkMode", "host");
		return;
	case JACO_NETMODE_SERVICE: {
		char mode[JACO_NAME_MAX + 16];

		jaco_str_format(mode, sizeof(mode), "service:%s", o->service->network_service);
		create_set_namespace(o, "NetworkMode", mode);
		return;
	}
	case JACO_NETMODE_NETWORKS:
		break;
	}
	JACO_ASSERT(o->in->n_networks > 0);
	json_out_str(o->host, "NetworkMode", first->engine_name);
	json_object_set_new(o->root, "NetworkingConfig",
			    json_pack("{s:{s:o}}", "EndpointsConfig", first->engine_name,
				      endpoint(o->in, 0)));
}

static void put_mac_address(struct create_out *o)
{
	if (!create_has_api(o->in->engine, JACO_API_ENDPOINT_MAC))
		json_out_str(o->root, "MacAddress", o->service->mac_address);
}

const struct create_row create_network_rows[] = {
	{"extra_hosts", put_extra_hosts},
	{"dns", put_dns},
	{"dns_search", put_dns_search},
	{"dns_opt", put_dns_opt},
	{"networks", put_networks},
	{"network_mode", NULL},
	{"mac_address", put_mac_address},
	{NULL, NULL},
};

void create_connect_json(const struct create_input *in, size_t index, const char *container_id,
			 struct jaco_buf *out)
{
	json_t *root = json_pack("{s:s, s:o}", "Container", container_id, "EndpointConfig",
				 endpoint(in, index));

	json_out_dump(root, false, out);
	json_decref(root);
}

static json_t *network_labels(const struct create_network_spec *spec, const char *subnet)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "jaco.cluster_id", spec->cluster_id,
			 "jaco.deployment", spec->deployment, "jaco.network", spec->network,
			 "jaco.subnet", subnet);
}

/* "internal" is never asked of the engine: its rules would also drop what comes over the mesh;
 * fwd-nft keeps such a network in (spec/network.md section 3). */
void create_network_json(const struct create_network_spec *spec, const struct engine_info *engine,
			 struct jaco_buf *out)
{
	char subnet[JACO_CIDR_TEXT_BYTES];
	json_t *options = json_pack("{s:s, s:s, s:s}", "com.docker.network.bridge.name",
				    spec->bridge, "com.docker.network.bridge.enable_ip_masquerade",
				    "false", "com.docker.network.bridge.enable_icc", "true");
	json_t *root;

	jaco_cidr_render(subnet, spec->subnet);
	if (spec->mtu)
		json_object_set_new(options, "com.docker.network.driver.mtu",
				    json_sprintf("%u", spec->mtu));
	if (create_has_api(engine, CREATE_API_UNPROTECTED))
		json_out_str(options, "com.docker.network.bridge.gateway_mode_ipv4",
			     "nat-unprotected");
	root = json_pack("{s:s, s:s, s:b, s:o, s:o, s:{s:s, s:[{s:s, s:o}]}}", "Name",
			 spec->engine_name, "Driver", "bridge", "CheckDuplicate", 1, "Labels",
			 network_labels(spec, subnet), "Options", options, "IPAM", "Driver",
			 "default", "Config", "Subnet", subnet, "Gateway",
			 address_text(spec->gateway));
	JACO_ASSERT(root);
	json_out_dump(root, false, out);
	json_decref(root);
}

bool create_network_matches(const struct create_network_spec *spec,
			    const struct engine_network *net, const char **out_what)
{
	char subnet[JACO_CIDR_TEXT_BYTES], gateway[JACO_IPV4_TEXT_BYTES];

	jaco_cidr_render(subnet, spec->subnet);
	jaco_ipv4_render(gateway, spec->gateway);
	*out_what = !jaco_str_eq(net->cluster_id, spec->cluster_id) ? "cluster"
		    : !jaco_str_eq(net->subnet, subnet)             ? "subnet"
		    : !jaco_str_eq(net->gateway, gateway)           ? "gateway"
		    : !jaco_str_eq(net->bridge, spec->bridge)       ? "bridge name"
		    : net->has_masquerade                           ? "masquerading"
		    : spec->mtu && net->mtu != spec->mtu            ? "mtu"
								    : NULL;
	return !*out_what;
}
