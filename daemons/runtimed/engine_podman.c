/* SPDX-License-Identifier: Apache-2.0
 *
 * engine_podman.c - where Podman's API differs from Docker's.  Reference: Podman 4 and 5 API,
 * "libpod/networks/create".
 *
 * Its bridge always masquerades and it cannot be told not to; fwd-nft's own chain comes first and
 * keeps the source of what stays in the pool.  What Docker's API calls a bridge's name is never
 * answered, so a label tells it again. */
#include "daemons/runtimed/engine.h"

#include <jansson.h>

#include "daemons/runtimed/json_out.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

void engine_podman_network_json(const struct create_network_spec *spec, struct jaco_buf *out)
{
	char subnet[JACO_CIDR_TEXT_BYTES], gateway[JACO_IPV4_TEXT_BYTES];
	json_t *options = json_object();
	json_t *root;

	jaco_cidr_render(subnet, spec->subnet);
	jaco_ipv4_render(gateway, spec->gateway);
	if (spec->mtu)
		json_object_set_new(options, "mtu", json_sprintf("%u", spec->mtu));
	root = json_pack(
		"{s:s, s:s, s:s, s:b, s:b, s:o, s:[{s:s, s:s}], s:{s:s, s:s, s:s, s:s, s:s}}",
		"name", spec->engine_name, "driver", "bridge", "network_interface", spec->bridge,
		"dns_enabled", 0, "internal", 0, "options", options, "subnets", "subnet", subnet,
		"gateway", gateway, "labels", "jaco.cluster_id", spec->cluster_id,
		"jaco.deployment", spec->deployment, "jaco.network", spec->network, "jaco.subnet",
		subnet, ENGINE_PODMAN_BRIDGE, spec->bridge);
	JACO_ASSERT(root);
	json_out_dump(root, false, out);
	json_decref(root);
}

/* The body of a volume's creation for one of a container's mounts; NULL when it needs none. */
static char *volume_body(const json_t *mount)
{
	const json_t *options = json_object_get(mount, "VolumeOptions");
	const json_t *driver = json_object_get(options, "DriverConfig");
	json_t *labels = json_object_get(options, "Labels");
	const char *name = json_string_value(json_object_get(mount, "Source"));
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;
	json_t *body;

	if (!jaco_str_eq(json_string_value(json_object_get(mount, "Type")), "volume") || !name ||
	    !labels)
		return NULL;
	body = json_pack("{s:s, s:s, s:O}", "Name", name, "Driver", "local", "Labels", labels);
	if (driver)
		json_object_set(body, "DriverOpts", json_object_get(driver, "Options"));
	json_out_dump(body, false, &text);
	json_decref(body);
	return jaco_strdup(jaco_buf_str(&text));
}

void engine_podman_volumes(const struct jaco_buf *container, struct jaco_strings *out)
{
	json_t *root = json_loadb(container->data, container->n, 0, NULL);
	const json_t *mounts = json_object_get(json_object_get(root, "HostConfig"), "Mounts");
	const json_t *mount;
	size_t i, cap = 0;

	json_array_foreach(mounts, i, mount)
	{
		char *body = volume_body(mount);

		if (!body)
			continue;
		out->items = jaco_grow(out->items, &cap, out->n + 1, sizeof(*out->items));
		out->items[out->n++] = body;
	}
	json_decref(root);
}

int engine_podman_status(int status, const char *message)
{
	static const struct {
		const char *cause;
		int status;
	} causes[] = {
		{"no such container", 404},
		{"network not found", 404},
		{"network is being used", 409},
	};

	for (size_t i = 0; status == 500 && i < JACO_ARRAY_SIZE(causes); i++)
		if (jaco_str_ends(message, causes[i].cause))
			return causes[i].status;
	return status;
}
