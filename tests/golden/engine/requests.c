/* SPDX-License-Identifier: Apache-2.0
 *
 * engine-requests COMPOSE - what runtimed asks the engine for each service of a compose document.
 *
 * The first line may be "# api 1.NN" (default 1.41) or "# podman"; a line "# jaco: <text>" is added
 * to the jaco.yaml. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/runtimed/create.h"
#include "daemons/runtimed/engine.h"
#include "libjaco/base/str.h"
#include "libjaco/model/ids.h"

#define NETWORKS_MAX 8

struct ask {
	struct engine_info engine;
	struct jaco_buf jaco, compose;
};

static void read_line(struct ask *ask, const char *line)
{
	unsigned minor;

	if (sscanf(line, "# api 1.%u", &minor) == 1)
		ask->engine.api_minor = minor;
	else if (jaco_str_starts(line, "# podman"))
		ask->engine.is_podman = true;
	else if (jaco_str_starts(line, "# jaco: "))
		jaco_buf_add_str(&ask->jaco, line + 8);
	jaco_buf_add_str(&ask->compose, line);
}

static const char *container_of(void *ctx, const char *service)
{
	(void)ctx;
	return jaco_str_eq(service, "absent") ? NULL : "c0ffee";
}

static void print_network(const struct ask *ask, const char *network, const char *name,
			  uint32_t gateway)
{
	char bridge[JACO_BRIDGE_NAME_BYTES];
	struct jaco_buf out = JACO_BUF_INIT;
	struct create_network_spec spec = {.cluster_id = "c1",
					   .deployment = "shop",
					   .network = network,
					   .engine_name = name,
					   .bridge = bridge,
					   .subnet = {.addr = gateway - 1, .bits = 24},
					   .gateway = gateway,
					   .mtu = 1420};

	jaco_bridge_name_render(bridge, "shop", network, 0);
	if (ask->engine.is_podman)
		engine_podman_network_json(&spec, &out);
	else
		create_network_json(&spec, &ask->engine, &out);
	printf("network %s %s\n", network, jaco_buf_str(&out));
	jaco_buf_fini(&out);
}

static bool is_internal(const struct jaco_manifest *manifest, const char *network)
{
	const struct jaco_network *net = jaco_manifest_network(manifest, network);

	return net && net->is_internal;
}

static int print_service(const struct ask *ask, const struct jaco_manifest *manifest,
			 const struct jaco_service *service)
{
	char names[NETWORKS_MAX][JACO_ENGINE_NAME_BYTES];
	struct create_network networks[NETWORKS_MAX];
	struct create_input in = {.cluster_id = "c1",
				  .deployment = "shop",
				  .replica_index = "3",
				  .revision = 7,
				  .generation = 2,
				  .spec_hash = "5bec4a54",
				  .service = service,
				  .manifest = manifest,
				  .networks = networks,
				  .engine = &ask->engine,
				  .files_dir = "/run/jaco/runtimed/files/x",
				  .container_of = container_of};
	char id[JACO_REPLICA_ID_BYTES];
	struct jaco_buf out = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	(void)jaco_replica_id_render(id, "shop", service->name, 3);
	in.replica_id = id;
	for (size_t i = 0; i < service->n_attachments && i < NETWORKS_MAX; i++) {
		uint32_t gateway = 0x0acb0001 + ((uint32_t)i << 8);
		const char *network = service->attachments[i].network;

		(void)jaco_engine_network_name_render(names[i], "shop", network,
						      is_internal(manifest, network));
		networks[i] = (struct create_network){names[i], gateway + 4, gateway};
		in.n_networks++;
		print_network(ask, network, names[i], gateway);
	}
	printf("service %s\n", service->name);
	if (create_container_json(&in, true, &out, &err) < 0)
		printf("refused: %s: %s\n", jaco_code_name(err.code), err.text);
	fputs(jaco_buf_str(&out), stdout);
	for (size_t i = 1; i < in.n_networks; i++) {
		jaco_buf_reset(&out);
		create_connect_json(&in, i, "c0ffee", &out);
		printf("connect %s\n", jaco_buf_str(&out));
	}
	jaco_buf_fini(&out);
	return 0;
}

int main(int argc, char **argv)
{
	FILE *file = argc == 2 ? fopen(argv[1], "re") : NULL;
	struct ask ask = {.engine = {.api_major = 1, .api_minor = 41}};
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_findings findings = JACO_FINDINGS_INIT(&arena);
	const struct jaco_manifest *manifest;
	struct jaco_err err = JACO_ERR_INIT;
	char line[4096];

	if (!file)
		return 64;
	jaco_buf_add_str(&ask.jaco, "deployment: shop\n");
	while (fgets(line, sizeof(line), file))
		read_line(&ask, line);
	fclose(file);
	if (jaco_manifest_load(
		    &(struct jaco_document){"jaco.yaml", ask.jaco.data, ask.jaco.n},
		    &(struct jaco_document){"compose.yaml", ask.compose.data, ask.compose.n},
		    &findings, &manifest, &err) < 0) {
		printf("%s\n", err.text);
		return 1;
	}
	for (size_t i = 0; i < manifest->n_services; i++)
		print_service(&ask, manifest, &manifest->services[i]);
	jaco_buf_fini(&ask.jaco);
	jaco_buf_fini(&ask.compose);
	return 0;
}
