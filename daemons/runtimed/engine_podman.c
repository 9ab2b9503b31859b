/* SPDX-License-Identifier: Apache-2.0
 *
 * engine_podman.c - where Podman's API differs from Docker's.  Reference: Podman 4 and 5 API,
 * "libpod/networks/create".  Its bridge always masquerades; fwd-nft's own rule comes first for what
 * leaves the pool, and inside the pool netavark does not translate. */
#include "daemons/runtimed/engine.h"

#include <jansson.h>

#include "daemons/runtimed/json_out.h"
#include "libjaco/base/assert.h"

void engine_podman_network_json(const struct create_network_spec *spec, struct jaco_buf *out)
{
	char subnet[JACO_CIDR_TEXT_BYTES], gateway[JACO_IPV4_TEXT_BYTES];
	json_t *options = json_object();
	json_t *root;

	jaco_cidr_render(subnet, spec->subnet);
	jaco_ipv4_render(gateway, spec->gateway);
	if (spec->mtu)
		json_object_set_new(options, "mtu", json_sprintf("%u", spec->mtu));
	root = json_pack("{s:s, s:s, s:s, s:b, s:b, s:o, s:[{s:s, s:s}], s:{s:s, s:s, s:s, s:s}}",
			 "name", spec->engine_name, "driver", "bridge", "network_interface",
			 spec->bridge, "dns_enabled", 0, "internal", 0, "options", options, "subnets",
			 "subnet", subnet, "gateway", gateway, "labels", "jaco.cluster_id",
			 spec->cluster_id, "jaco.deployment", spec->deployment, "jaco.network",
			 spec->network, "jaco.subnet", subnet);
	JACO_ASSERT(root);
	json_out_dump(root, false, out);
	json_decref(root);
}
