/* SPDX-License-Identifier: Apache-2.0
 *
 * mani_cluster.c - admission against a cluster that is written down. */
#include "tests/tools/mani_cluster.h"

#include <stdio.h>
#include <string.h>

#include "libjaco/base/str.h"

#define MEMBERS_MAX 16
#define LINE_BYTES  256

/* One line with up to three words after its verb. */
struct line {
	char verb[32];
	char a[64], b[64], c[64];
};

struct cluster {
	const char *text;
	const char *hosts[MEMBERS_MAX];
	uint16_t reserved[MEMBERS_MAX];
	struct jaco_cidr pool;
	struct jaco_engine_fact engines[MEMBERS_MAX];
	char found[64]; /* what a callback returned last */
	enum jaco_tls_mode tls;
	struct jaco_cluster_facts facts;
};

/* The next line of *@cursor; false at the end. */
static bool next_line(const char **cursor, struct line *out)
{
	char text[LINE_BYTES];
	size_t n = strcspn(*cursor, "\n");

	if (!**cursor || n >= sizeof(text))
		return false;
	memcpy(text, *cursor, n);
	text[n] = '\0';
	*cursor += n + ((*cursor)[n] == '\n');
	*out = (struct line){0};
	(void)sscanf(text, "%31s %63s %63s %63s", out->verb, out->a, out->b, out->c);
	return true;
}

static const char *find(struct cluster *cluster, const char *verb, const char *b, const char *c)
{
	const char *cursor = cluster->text;
	struct line line;

	while (next_line(&cursor, &line))
		if (strcmp(line.verb, verb) == 0 && strcmp(line.b, b) == 0 &&
		    strcmp(line.c, c) == 0) {
			(void)jaco_str_copy(cluster->found, sizeof(cluster->found), line.a);
			return cluster->found;
		}
	return NULL;
}

static const char *port_owner(void *ctx, enum jaco_proto proto, uint16_t port)
{
	char key[32];

	(void)jaco_str_format(key, sizeof(key), "%u/%s", port, jaco_proto_name(proto));
	return find(ctx, "port", key, "");
}

static const char *route_owner(void *ctx, const char *domain, const char *path)
{
	return find(ctx, "route", domain, path);
}

static const enum jaco_tls_mode *domain_tls(void *ctx, const char *domain)
{
	struct cluster *cluster = ctx;
	const char *cursor = cluster->text;
	struct line line;

	while (next_line(&cursor, &line)) {
		if (strcmp(line.verb, "tls") != 0 || strcmp(line.a, domain) != 0)
			continue;
		cluster->tls = strcmp(line.b, "off") == 0    ? JACO_TLS_OFF
			       : strcmp(line.b, "cert") == 0 ? JACO_TLS_CERT
							     : JACO_TLS_AUTO;
		return &cluster->tls;
	}
	return NULL;
}

static void read_line(struct cluster *cluster, const struct line *line, struct jaco_arena *arena)
{
	struct jaco_cluster_facts *facts = &cluster->facts;
	uint64_t number = 0;

	(void)jaco_str_to_u64(line->a, UINT32_MAX, &number);
	if (strcmp(line->verb, "host") == 0 && facts->n_hosts < MEMBERS_MAX)
		cluster->hosts[facts->n_hosts++] = jaco_arena_strdup(arena, line->a);
	else if (strcmp(line->verb, "reserve") == 0 && facts->n_reserved_ports < MEMBERS_MAX)
		cluster->reserved[facts->n_reserved_ports++] = (uint16_t)number;
	else if (strcmp(line->verb, "pool") == 0 &&
		 jaco_cidr_parse(line->a, &cluster->pool, NULL) == 0)
		facts->pool = &cluster->pool;
	else if (strcmp(line->verb, "engine") == 0 && facts->n_engines < MEMBERS_MAX) {
		(void)jaco_str_to_u64(line->c, UINT32_MAX, &number);
		cluster->engines[facts->n_engines++] = (struct jaco_engine_fact){
			jaco_arena_strdup(arena, line->a), strcmp(line->b, "podman") == 0,
			(unsigned)number};
	} else if (strcmp(line->verb, "unprivileged") == 0)
		facts->may_privileged = false;
	else if (strcmp(line->verb, "fenced") == 0)
		facts->require_privileged_label = true;
	else if (strcmp(line->verb, "others") == 0) {
		facts->other_services = number;
		(void)jaco_str_to_u64(line->b, UINT32_MAX, &number);
		facts->other_replicas = number;
	}
}

int mani_admit(const struct jaco_manifest *manifest, const char *text,
	       struct jaco_findings *findings, struct jaco_err *err)
{
	struct cluster cluster = {.text = text, .facts = {.may_privileged = true}};
	const char *cursor = text;
	struct line line;

	while (next_line(&cursor, &line))
		read_line(&cluster, &line, findings->arena);
	if (cluster.facts.n_hosts)
		cluster.facts.hosts = cluster.hosts;
	cluster.facts.reserved_ports = cluster.reserved;
	cluster.facts.engines = cluster.engines;
	cluster.facts.port_owner = port_owner;
	cluster.facts.route_owner = route_owner;
	cluster.facts.domain_tls = domain_tls;
	cluster.facts.ctx = &cluster;
	return jaco_manifest_admit(manifest, &cluster.facts, findings, err);
}
