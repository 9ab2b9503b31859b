/* SPDX-License-Identifier: Apache-2.0
 *
 * mesh_story - a cluster, a device and its routes as text; prints what meshd would change.
 *
 *   self n1 / pool 10.244.0.0/16 / port 51820 / key a
 *   member n2 id=2 key=b endpoints=192.0.2.2:51820,10.0.0.2:51820     (a key is its letter, 32
 *   times) subnet n2 10.244.3.0/24
 *   endpoint n2 192.0.2.2:51820         chosen by endpoint_pick()
 *   peer b endpoint=... keepalive=25 allowed=10.244.3.0/24,...        what the device has
 *   device a 51820                      key and port the device has
 *   route 10.244.3.0/24                 what the interface routes */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/meshd/plan.h"
#include "libjaco/base/str.h"

#define MAX 64

static struct jaco_arena arena;
static struct mesh_member members[MAX];
static struct mesh_subnet subnets[MAX];
static struct mesh_peer peers[MAX];
static struct jaco_cidr routes[MAX];
static struct {
	const char *host, *endpoint;
} chosen[MAX];
static size_t n_members, n_subnets, n_routes, n_chosen;
static struct mesh_device desired, observed = {.peers = peers};
static const char *self = "";
static struct jaco_cidr pool;

static void die(const char *what, const char *text)
{
	fprintf(stderr, "mesh_story: %s: %s\n", what, text);
	exit(2);
}

static struct jaco_cidr cidr(const char *text)
{
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_cidr out;

	if (jaco_cidr_parse(text, &out, &err) < 0)
		die("cidr", err.text);
	return out;
}

static uint64_t number(const char *text)
{
	uint64_t value;

	if (!jaco_str_to_u64(text, UINT64_MAX, &value))
		die("number", text);
	return value;
}

static char *copy(const char *text)
{
	return jaco_arena_strdup(&arena, text);
}

static void do_member(char **save)
{
	struct mesh_member *member = &members[n_members++];

	member->host = copy(strtok_r(NULL, " ", save));
	for (char *word; (word = strtok_r(NULL, " ", save));) {
		char *value = strchr(word, '=') + 1, *inner = NULL;
		const char **list = jaco_arena_alloc_n(&arena, 8, sizeof(*list));

		if (jaco_str_starts(word, "id=")) {
			member->raft_id = number(value);
		} else if (jaco_str_starts(word, "key=")) {
			member->has_key = true;
			memset(member->key, *value, MESH_KEY_BYTES);
		} else {
			for (char *e = strtok_r(value, ",", &inner); e;
			     e = strtok_r(NULL, ",", &inner))
				list[member->n_endpoints++] = copy(e);
			member->endpoints = list;
		}
	}
}

static void do_peer(char **save)
{
	struct mesh_peer *peer = &peers[observed.n_peers++];
	char *inner = NULL;

	memset(peer->key, *strtok_r(NULL, " ", save), MESH_KEY_BYTES);
	peer->allowed = jaco_arena_alloc_n(&arena, MAX, sizeof(*peer->allowed));
	for (char *word; (word = strtok_r(NULL, " ", save));) {
		char *value = strchr(word, '=') + 1;

		if (jaco_str_starts(word, "endpoint="))
			(void)jaco_str_copy(peer->endpoint, sizeof(peer->endpoint), value);
		else if (jaco_str_starts(word, "keepalive="))
			peer->keepalive_s = (unsigned)number(value);
		else
			for (char *c = strtok_r(value, ",", &inner); c;
			     c = strtok_r(NULL, ",", &inner))
				peer->allowed[peer->n_allowed++] = cidr(c);
	}
}

static void read_line(char *line)
{
	char *save = NULL, *verb = strtok_r(line, " ", &save);

	if (!verb || *verb == '#')
		return;
	if (strcmp(verb, "self") == 0) {
		self = copy(strtok_r(NULL, " ", &save));
	} else if (strcmp(verb, "pool") == 0) {
		pool = cidr(strtok_r(NULL, " ", &save));
	} else if (strcmp(verb, "port") == 0) {
		desired.port = (uint16_t)number(strtok_r(NULL, " ", &save));
	} else if (strcmp(verb, "key") == 0) {
		memset(desired.private_key, *strtok_r(NULL, " ", &save), MESH_KEY_BYTES);
	} else if (strcmp(verb, "device") == 0) {
		memset(observed.private_key, *strtok_r(NULL, " ", &save), MESH_KEY_BYTES);
		observed.port = (uint16_t)number(strtok_r(NULL, " ", &save));
	} else if (strcmp(verb, "member") == 0) {
		do_member(&save);
	} else if (strcmp(verb, "peer") == 0) {
		do_peer(&save);
	} else if (strcmp(verb, "subnet") == 0) {
		subnets[n_subnets].host = copy(strtok_r(NULL, " ", &save));
		subnets[n_subnets++].cidr = cidr(strtok_r(NULL, " ", &save));
	} else if (strcmp(verb, "endpoint") == 0) {
		chosen[n_chosen].host = copy(strtok_r(NULL, " ", &save));
		chosen[n_chosen++].endpoint = copy(strtok_r(NULL, " ", &save));
	} else if (strcmp(verb, "route") == 0) {
		routes[n_routes++] = cidr(strtok_r(NULL, " ", &save));
	} else {
		die("unknown verb", verb);
	}
}

static void print_plan(void)
{
	struct jaco_buf buf = JACO_BUF_INIT;
	struct mesh_route_step *steps;
	struct mesh_plan plan;
	size_t n;

	plan_desired(&desired, self, pool, members, n_members, subnets, n_subnets, &arena);
	for (size_t i = 0; i < desired.n_peers; i++)
		for (size_t j = 0; j < n_chosen; j++)
			if (strcmp(desired.peers[i].host, chosen[j].host) == 0)
				(void)jaco_str_copy(desired.peers[i].endpoint,
						    sizeof(desired.peers[i].endpoint),
						    chosen[j].endpoint);
	plan_peers(&plan, &desired, &observed, &arena);
	plan_mesh_render(&plan, &buf);
	n = plan_routes(&desired, routes, n_routes, &arena, &steps);
	for (size_t i = 0; i < n; i++) {
		char text[JACO_CIDR_TEXT_BYTES];

		jaco_cidr_render(text, steps[i].cidr);
		jaco_buf_printf(&buf, "%s route %s\n", steps[i].is_add ? "add" : "drop", text);
	}
	printf("%s", buf.n ? jaco_buf_str(&buf) : "nothing to do\n");
	jaco_buf_fini(&buf);
}

int main(int argc, char **argv)
{
	FILE *file = argc == 2 ? fopen(argv[1], "re") : NULL;
	char line[4096];

	if (!file)
		die("usage", "mesh_story FILE");
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		read_line(line);
	}
	fclose(file);
	print_plan();
	jaco_arena_fini(&arena);
	return 0;
}
