/* SPDX-License-Identifier: Apache-2.0
 *
 * facts.c - reads the store on behalf of admission. */
#include "daemons/raftd/api/facts.h"

#include <string.h>

#include "daemons/raftd/api/api.h"
#include "libjaco/base/str.h"
#include "libjaco/wire/records.h"

#define RESERVED_MAX 4

struct facts {
	struct raftd *raftd;
	struct jaco_arena *arena;
	const char *deployment;
	enum jaco_tls_mode tls; /* last answer of domain_tls() */
	uint16_t reserved[RESERVED_MAX];
	struct jaco_cidr pool;
};

static const char *other(const struct facts *facts, const char *owner)
{
	return strcmp(owner, facts->deployment) == 0 ? NULL : owner;
}

/* Whoever has the port at any address has it: deployments do not share one. */
static const char *port_owner(void *ctx, enum jaco_proto proto, uint16_t port)
{
	struct facts *facts = ctx;
	const char *prefix = jaco_records_tcproute_prefix(proto, port, facts->arena);
	char key[JACO_KEY_MAX + 1] = "";
	struct wire_tcproute route;
	struct jaco_err err = JACO_ERR_INIT;

	if (api_next(facts->raftd, prefix, key, &wire_tcproute_desc, facts->arena, &route, NULL,
		     &err) <= 0)
		return NULL;
	return other(facts, route.deployment);
}

static const char *route_owner(void *ctx, const char *domain, const char *path)
{
	struct facts *facts = ctx;
	struct wire_route route;
	struct jaco_err err = JACO_ERR_INIT;

	if (api_get(facts->raftd, jaco_records_route_key(domain, path, facts->arena),
		    &wire_route_desc, facts->arena, &route, NULL, &err) <= 0)
		return NULL;
	return other(facts, route.deployment);
}

static const enum jaco_tls_mode *domain_tls(void *ctx, const char *domain)
{
	struct facts *facts = ctx;
	const char *prefix = jaco_arena_printf(facts->arena, "/route/%s/", domain);
	char key[JACO_KEY_MAX + 1] = "";
	struct wire_route route;
	struct jaco_err err = JACO_ERR_INIT;

	while (api_next(facts->raftd, prefix, key, &wire_route_desc, facts->arena, &route, NULL,
			&err) > 0) {
		if (!other(facts, route.deployment))
			continue;
		facts->tls = route.tls;
		return &facts->tls;
	}
	return NULL;
}

static void add_port(struct jaco_cluster_facts *out, struct facts *facts, const char *addr)
{
	const char *colon = strrchr(addr, ':');
	uint64_t port;

	if (colon && jaco_str_to_u64(colon + 1, UINT16_MAX, &port))
		facts->reserved[out->n_reserved_ports++] = (uint16_t)port;
}

static int gather_hosts(struct raftd *raftd, struct jaco_arena *arena,
			struct jaco_cluster_facts *out, struct jaco_err *err)
{
	const char **hosts = jaco_arena_alloc_n(arena, JACO_NODES_MAX, sizeof(*hosts));
	char key[JACO_KEY_MAX + 1] = "";
	struct wire_node node;
	int rc = 0;

	while (out->n_hosts < JACO_NODES_MAX &&
	       (rc = api_next(raftd, "/node/", key, &wire_node_desc, arena, &node, NULL, err)) > 0)
		hosts[out->n_hosts++] = node.host;
	out->hosts = hosts;
	return rc;
}

static void add_engine(struct raftd *raftd, struct jaco_arena *arena, const char *host,
		       struct jaco_engine_fact *engines, size_t *n)
{
	const char *key = jaco_arena_printf(arena, "/obs/node/%s/engine", host);
	const struct record *record = records_find(&raftd->records, key);
	struct wire_obs_engine engine;
	uint64_t minor;

	if (!record ||
	    jaco_unpack(&wire_obs_engine_desc, record->value.data, record->value.n, arena, &engine,
			NULL) < 0 ||
	    !engine.api_version || !jaco_str_starts(engine.api_version, "1.") ||
	    !jaco_str_to_u64(engine.api_version + 2, UINT16_MAX, &minor))
		return;
	engines[(*n)++] = (struct jaco_engine_fact){host, jaco_str_eq(engine.kind, "podman"),
						    (unsigned)minor};
}

static void gather_engines(struct raftd *raftd, struct jaco_arena *arena,
			   struct jaco_cluster_facts *out)
{
	struct jaco_engine_fact *engines =
		jaco_arena_alloc_n(arena, JACO_NODES_MAX, sizeof(*engines));

	for (size_t i = 0; i < out->n_hosts; i++)
		add_engine(raftd, arena, out->hosts[i], engines, &out->n_engines);
	out->engines = engines;
}

static int gather_totals(struct raftd *raftd, struct facts *facts, struct jaco_cluster_facts *out,
			 struct jaco_err *err)
{
	char key[JACO_KEY_MAX + 1] = "";
	struct wire_deployment deployment;
	int rc;

	while ((rc = api_next(raftd, "/deployment/", key, &wire_deployment_desc, facts->arena,
			      &deployment, NULL, err)) > 0) {
		if (!other(facts, deployment.name))
			continue;
		out->other_services += deployment.services.n;
		for (size_t i = 0; i < deployment.services.n; i++)
			out->other_replicas +=
				deployment.services.v[i].placement == JACO_PLACE_GLOBAL
					? out->n_hosts
					: deployment.services.v[i].replicas;
	}
	return rc;
}

int facts_gather(struct raftd *raftd, struct jaco_call *call, const char *deployment,
		 struct jaco_cluster_facts *out_facts, struct jaco_err *err)
{
	const struct jaco_config *config = &raftd->daemon->config;
	struct facts *facts = jaco_arena_alloc(call->arena, sizeof(*facts));

	*facts = (struct facts){.raftd = raftd, .arena = call->arena, .deployment = deployment};
	*out_facts = (struct jaco_cluster_facts){
		.reserved_ports = facts->reserved,
		.port_owner = port_owner,
		.route_owner = route_owner,
		.domain_tls = domain_tls,
		.ctx = facts,
		.may_privileged = call->allow_privileged,
		.require_privileged_label = config->require_privileged_label,
	};
	if (jaco_cidr_parse(config->ipam_pool, &facts->pool, NULL) == 0)
		out_facts->pool = &facts->pool;
	add_port(out_facts, facts, config->listen_addr);
	add_port(out_facts, facts, config->cluster_addr);
	facts->reserved[out_facts->n_reserved_ports++] = (uint16_t)config->wg_port;
	if (gather_hosts(raftd, call->arena, out_facts, err) < 0 ||
	    gather_totals(raftd, facts, out_facts, err) < 0)
		return -(int)err->code;
	gather_engines(raftd, call->arena, out_facts);
	return 0;
}
