/* SPDX-License-Identifier: Apache-2.0
 *
 * admit.c - a manifest against the cluster: hosts, owners of ports and routes, rights, limits. */
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/model/engine_api.h"
#include "libjaco/model/manifest/manifest.h"

struct admit {
	const struct jaco_manifest *manifest;
	const struct jaco_cluster_facts *facts;
	struct jaco_findings *findings;
};

static const char *path_of(struct admit *admit, const char *service, const char *key)
{
	return jaco_arena_printf(admit->findings->arena, "services.%s.%s", service, key);
}

static void report(struct admit *admit, enum jaco_code code, struct jaco_pos pos, const char *path,
		   const char *message, const char *remedy, const char *key, const char *value)
{
	jaco_findings_add(admit->findings, &(struct jaco_finding){.code = code,
								  .severity = JACO_SEVERITY_ERROR,
								  .pos = pos,
								  .path = path,
								  .message = message,
								  .remedy = remedy,
								  .detail_key = key,
								  .detail_value = value});
}

static bool is_member(const struct jaco_cluster_facts *facts, const char *host)
{
	for (size_t i = 0; i < facts->n_hosts; i++)
		if (strcmp(facts->hosts[i], host) == 0)
			return true;
	return false;
}

static void check_hosts(struct admit *admit, const struct jaco_service *s)
{
	if (!admit->facts->hosts)
		return;
	for (size_t i = 0; i < s->hosts.n; i++)
		if (!is_member(admit->facts, s->hosts.items[i]))
			report(admit, JACO_UNKNOWN_HOST, s->hosts_pos,
			       path_of(admit, s->name, "hosts"),
			       jaco_arena_printf(admit->findings->arena,
						 "host \"%.63s\" is not a member of the cluster",
						 s->hosts.items[i]),
			       "join it first, or name another (jaco node list)", "host",
			       s->hosts.items[i]);
}

/* dnsd would be the way into another scope. */
static void check_dns(struct admit *admit, const struct jaco_service *s)
{
	uint32_t addr;

	if (!admit->facts->pool || s->network_mode != JACO_NETMODE_NETWORKS)
		return;
	for (size_t i = 0; i < s->dns.n; i++)
		if (jaco_ipv4_parse(s->dns.items[i], &addr) &&
		    jaco_cidr_contains(*admit->facts->pool, addr))
			report(admit, JACO_VALIDATION_FAILED, s->pos,
			       path_of(admit, s->name, "dns"),
			       jaco_arena_printf(admit->findings->arena,
						 "%s is in JACO's address pool, where "
						 "containers come and go",
						 s->dns.items[i]),
			       "publish that server's port 53 and name the node", NULL, NULL);
}

/* @key is left out where the engine is older than @minor; the first such member is named. */
static void check_engine(struct admit *admit, const struct jaco_service *s, const char *key,
			 unsigned minor, bool podman_knows)
{
	for (size_t i = 0; i < admit->facts->n_engines; i++) {
		const struct jaco_engine_fact *engine = &admit->facts->engines[i];

		if (engine->api_minor >= minor || (engine->is_podman && podman_knows))
			continue;
		jaco_findings_warn(admit->findings, s->pos, path_of(admit, s->name, key),
				   "upgrade the engine, or leave the key out",
				   "left out on %.63s, whose engine speaks API 1.%u: it is known "
				   "from 1.%u on",
				   engine->host, engine->api_minor, minor);
		return;
	}
}

static void check_engines(struct admit *admit, const struct jaco_service *s)
{
	if (s->annotations.n > 0)
		check_engine(admit, s, "annotations", JACO_API_ANNOTATIONS, true);
	if (s->healthcheck.start_interval_ms.is_set)
		check_engine(admit, s, "healthcheck.start_interval", JACO_API_START_INTERVAL,
			     false);
	for (size_t i = 0; i < s->n_attachments; i++)
		if (s->attachments[i].gw_priority != 0) {
			check_engine(admit, s, "networks.gw_priority", JACO_API_GW_PRIORITY, false);
			return;
		}
}

static void check_gates(struct admit *admit, const struct jaco_service *s)
{
	for (size_t i = 0; i < s->n_gates && !admit->facts->may_privileged; i++)
		report(admit, JACO_PERMISSION_DENIED, s->gates[i].pos,
		       path_of(admit, s->name, s->gates[i].key),
		       jaco_arena_printf(
			       admit->findings->arena,
			       "service \"%.63s\" uses %s, which needs a privileged token", s->name,
			       s->gates[i].why),
		       "use a token issued with --allow-privileged, or apply on a node", "key",
		       s->gates[i].key);
	if (s->n_gates && admit->facts->may_privileged && admit->facts->require_privileged_label &&
	    !s->has_privileged_label)
		report(admit, JACO_PERMISSION_DENIED, s->gates[0].pos,
		       path_of(admit, s->name, s->gates[0].key),
		       jaco_arena_printf(admit->findings->arena,
					 "service \"%.63s\" uses %s and lacks the "
					 "label " JACO_PRIVILEGED_LABEL,
					 s->name, s->gates[0].why),
		       "add the label " JACO_PRIVILEGED_LABEL ": \"true\"", "key", s->gates[0].key);
}

static void check_ports(struct admit *admit)
{
	const struct jaco_cluster_facts *facts = admit->facts;

	for (size_t i = 0; i < admit->manifest->n_published; i++) {
		const struct jaco_published *p = &admit->manifest->published[i];
		const char *path = path_of(admit, p->service, "ports");
		const char *owner;

		for (size_t j = 0; j < facts->n_reserved_ports; j++)
			if (facts->reserved_ports[j] == p->port.published)
				report(admit, JACO_RESERVED_PORT, p->port.pos, path,
				       jaco_arena_printf(admit->findings->arena,
							 "port %u belongs to JACO itself",
							 p->port.published),
				       "choose another port", NULL, NULL);
		if (!facts->port_owner)
			continue;
		owner = facts->port_owner(facts->ctx, p->port.proto, p->port.published);
		if (owner && strcmp(owner, admit->manifest->deployment) != 0)
			report(admit, JACO_PORT_CONFLICT, p->port.pos, path,
			       jaco_arena_printf(admit->findings->arena,
						 "port %u/%s is published already by deployment "
						 "\"%.40s\"",
						 p->port.published, jaco_proto_name(p->port.proto),
						 owner),
			       "choose another port", "owner",
			       jaco_arena_strdup(admit->findings->arena, owner));
	}
}

static void check_routes(struct admit *admit)
{
	const struct jaco_cluster_facts *facts = admit->facts;

	for (size_t i = 0; i < admit->manifest->n_routes; i++) {
		const struct jaco_route *route = &admit->manifest->routes[i];
		const enum jaco_tls_mode *tls =
			facts->domain_tls ? facts->domain_tls(facts->ctx, route->domain) : NULL;
		const char *owner =
			facts->route_owner
				? facts->route_owner(facts->ctx, route->domain, route->path)
				: NULL;

		if (owner && strcmp(owner, admit->manifest->deployment) != 0)
			report(admit, JACO_ROUTE_CONFLICT, route->pos, "routes",
			       jaco_arena_printf(admit->findings->arena,
						 "%.120s%.120s is routed already by deployment "
						 "\"%.40s\"",
						 route->domain, route->path, owner),
			       "choose another domain or path", "owner",
			       jaco_arena_strdup(admit->findings->arena, owner));
		if (tls && *tls != route->tls)
			report(admit, JACO_ROUTE_TLS_MIXED, route->pos, "routes",
			       jaco_arena_printf(admit->findings->arena,
						 "domain %.120s has tls %s in another deployment, "
						 "%s here",
						 route->domain, jaco_tls_mode_name(*tls),
						 jaco_tls_mode_name(route->tls)),
			       "use the same tls mode everywhere", NULL, NULL);
	}
}

static void check_limits(struct admit *admit)
{
	const struct jaco_manifest *manifest = admit->manifest;
	struct jaco_pos pos =
		manifest->n_services ? manifest->services[0].pos : (struct jaco_pos){0};
	size_t services = admit->facts->other_services + manifest->n_services;
	uint64_t replicas = admit->facts->other_replicas;

	for (size_t i = 0; i < manifest->n_services; i++)
		replicas += manifest->services[i].placement == JACO_PLACE_GLOBAL
				    ? admit->facts->n_hosts
				    : manifest->services[i].replicas;
	if (services > JACO_SERVICES_MAX)
		report(admit, JACO_LIMIT_EXCEEDED, pos, "services",
		       jaco_arena_printf(admit->findings->arena,
					 "the cluster would have %zu services, at most %d fit",
					 services, JACO_SERVICES_MAX),
		       "remove another deployment first", NULL, NULL);
	if (replicas > JACO_REPLICAS_MAX)
		report(admit, JACO_LIMIT_EXCEEDED, pos, "services",
		       jaco_arena_printf(admit->findings->arena,
					 "the cluster would have %llu replicas, at most %d fit",
					 (unsigned long long)replicas, JACO_REPLICAS_MAX),
		       "use fewer replicas", NULL, NULL);
}

int jaco_manifest_admit(const struct jaco_manifest *manifest,
			const struct jaco_cluster_facts *facts, struct jaco_findings *findings,
			struct jaco_err *err)
{
	struct admit admit = {.manifest = manifest, .facts = facts, .findings = findings};

	for (size_t i = 0; i < manifest->n_services; i++) {
		check_hosts(&admit, &manifest->services[i]);
		check_gates(&admit, &manifest->services[i]);
		check_dns(&admit, &manifest->services[i]);
		check_engines(&admit, &manifest->services[i]);
	}
	check_ports(&admit);
	check_routes(&admit);
	check_limits(&admit);
	jaco_findings_sort(findings);
	return jaco_findings_to_err(findings, err);
}
