/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules that do not depend on what the pass has placed are judged once per service; only load is
 * looked at per replica.  So placing 20,000 replicas on 1,000 nodes is 20 million integer compares,
 * not 20 million constraint evaluations.  Ties fall to rendezvous hashing (highest random weight,
 * Thaler and Ravishankar 1998): the same choice on any node, little movement when nodes change. */
#include "daemons/schedd/placement.h"

#include <string.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/buf.h"
#include "libjaco/base/str.h"

/* FNV-1a, 64 bit: a spread for names, not for trust. */
static uint64_t hash_text(uint64_t h, const char *text)
{
	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3ull;
	return (h ^ 0xff) * 0x100000001b3ull; /* ends the field: "ab","c" is not "a","bc" */
}

/* The finaliser of MurmurHash3, 64 bit: in the innermost loop of placement. */
static inline uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t h = a ^ b * 0x9e3779b97f4a7c15ull;

	h = (h ^ h >> 33) * 0xff51afd7ed558ccdull;
	h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53ull;
	return h ^ h >> 33;
}

static size_t index_of(const struct placement *p, const char *host)
{
	const struct world_node *node = host[0] ? world_node(p->world, host) : NULL;

	return node ? (size_t)(node - p->world->nodes) : PLACEMENT_NONE;
}

static void take_ports(struct placement *p, const struct world_service *service, size_t node)
{
	for (size_t i = 0; i < service->n_host_ports; i++) {
		p->ports = jaco_arena_grow(p->arena, p->ports, &p->cap_ports, p->n_ports + 1,
					   sizeof(*p->ports));
		p->ports[p->n_ports++] = (struct placement_port){node, service->host_ports[i]};
	}
}

static void drop_ports(struct placement *p, const struct world_service *service, size_t node)
{
	for (size_t i = 0; i < service->n_host_ports; i++)
		for (size_t j = 0; j < p->n_ports; j++)
			if (p->ports[j].node == node &&
			    strcmp(p->ports[j].port, service->host_ports[i]) == 0) {
				p->ports[j] = p->ports[--p->n_ports];
				break;
			}
}

static void load_add(struct placement *p, const struct world_service *service, size_t node)
{
	struct placement_load *load = &p->loads[node];

	load->n_replicas++;
	if (!service)
		return;
	load->cpu_milli += service->cpu_milli;
	load->memory_bytes += service->memory_bytes;
	take_ports(p, service, node);
}

void placement_init(struct placement *p, const struct world *world, struct jaco_arena *arena)
{
	size_t n = world->n_nodes;
	const struct world_service *service = NULL;

	*p = (struct placement){.world = world, .arena = arena};
	p->loads = jaco_arena_alloc_n(arena, n + 1, sizeof(*p->loads));
	p->name_hash = jaco_arena_alloc_n(arena, n + 1, sizeof(*p->name_hash));
	p->verdict = jaco_arena_alloc_n(arena, n + 1, sizeof(*p->verdict));
	for (size_t i = 0; i < n; i++)
		p->name_hash[i] = hash_text(0xcbf29ce484222325ull, world->nodes[i].name);
	for (size_t i = 0; i < world->n_replicas; i++) {
		const struct world_replica *replica = &world->replicas[i];
		size_t node = index_of(p, replica->now.host);

		if (!service || strcmp(service->name, replica->service) != 0 ||
		    strcmp(service->deployment, replica->deployment) != 0)
			service = world_service(world, replica->deployment, replica->service);
		if (node != PLACEMENT_NONE)
			load_add(p, service, node);
	}
}

static bool has_label(const struct world_node *node, const char *name, const char *value)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < node->n_labels; i++)
		if (strncmp(node->labels[i], name, n) == 0 && node->labels[i][n] == '=' &&
		    strcmp(node->labels[i] + n + 1, value) == 0)
			return true;
	return false;
}

/* "node.hostname", "node.labels.<l>" or "node.platform.arch" against @value; admission refuses any
 * other subject, so an unknown one holds nowhere. */
static bool subject_is(const struct world_node *node, const char *subject, const char *value)
{
	if (strcmp(subject, "node.hostname") == 0)
		return strcmp(node->name, value) == 0;
	if (strcmp(subject, "node.platform.arch") == 0)
		return strcmp(node->arch, value) == 0;
	if (jaco_str_starts(subject, "node.labels."))
		return has_label(node, subject + strlen("node.labels."), value);
	return false;
}

static void trim_copy(char *out, size_t out_bytes, const char *from, size_t n)
{
	while (n && jaco_ascii_is_space(*from))
		from++, n--;
	while (n && jaco_ascii_is_space(from[n - 1]))
		n--;
	n = JACO_MIN(n, out_bytes - 1);
	memcpy(out, from, n);
	out[n] = '\0';
}

static bool constraint_holds(const char *constraint, const struct world_node *node)
{
	const char *op = strstr(constraint, "=="), *not_op = strstr(constraint, "!=");
	char subject[160], value[160];

	if (not_op && (!op || not_op < op))
		op = not_op;
	if (!op)
		return false;
	trim_copy(subject, sizeof(subject), constraint, (size_t)(op - constraint));
	trim_copy(value, sizeof(value), op + 2, strlen(op + 2));
	return subject_is(node, subject, value) == (op != not_op);
}

/* "linux/arm64/v8" against "arm64"; names of the same thing differ between uname and images. */
static bool platform_fits(const char *platform, const char *arch)
{
	static const struct {
		const char *uname, *image;
	} same[] = {{"x86_64", "amd64"}, {"aarch64", "arm64"}, {"armv7l", "arm"}, {"i686", "386"}};
	const char *want = strchr(platform, '/');
	size_t n;

	if (!platform[0] || !arch[0])
		return true;
	want = want ? want + 1 : platform;
	n = strcspn(want, "/");
	for (size_t i = 0; i < JACO_ARRAY_SIZE(same); i++)
		if (strcmp(arch, same[i].uname) == 0)
			arch = same[i].image;
	return strlen(arch) == n && strncmp(want, arch, n) == 0;
}

static bool is_listed(const struct world_service *service, const char *host)
{
	for (size_t i = 0; i < service->n_hosts; i++)
		if (strcmp(service->hosts[i], host) == 0)
			return true;
	return false;
}

/* What was written, first rule that rejects; N_RULES when none does. */
static enum placement_rule judge_written(const struct world_service *service,
					 const struct world_node *node)
{
	if (service->placement == WORLD_HOSTS && !is_listed(service, node->name))
		return PLACEMENT_HOSTS;
	for (size_t i = 0; i < service->n_constraints; i++)
		if (!constraint_holds(service->constraints[i], node))
			return PLACEMENT_CONSTRAINT;
	if (!platform_fits(service->platform, node->arch))
		return PLACEMENT_PLATFORM;
	return PLACEMENT_N_RULES;
}

static enum placement_rule judge_state(const struct world_node *node)
{
	if (!node->is_reachable)
		return PLACEMENT_UNREACHABLE;
	if (!node->has_isolation)
		return PLACEMENT_ISOLATION;
	if (!node->has_engine)
		return PLACEMENT_ENGINE;
	if (node->intent == WORLD_DRAINING)
		return PLACEMENT_DRAINING;
	if (node->intent == WORLD_CORDONED)
		return PLACEMENT_CORDONED;
	return PLACEMENT_N_RULES;
}

void placement_begin(struct placement *p, const struct world_service *service,
		     const struct world_replica *replicas, size_t n)
{
	p->service = service;
	p->replicas = replicas;
	p->n_replicas = n;
	p->is_prepared = false;
}

/* Judging every node is put off until somebody must be placed: mostly nobody must. */
static void prepare(struct placement *p)
{
	if (p->is_prepared)
		return;
	p->is_prepared = true;
	for (size_t i = 0; i < p->world->n_nodes; i++) {
		const struct world_node *node = &p->world->nodes[i];

		p->loads[i].n_of_service = 0;
		p->verdict[i] = judge_written(p->service, node);
		if (p->verdict[i] == PLACEMENT_N_RULES)
			p->verdict[i] = judge_state(node);
	}
	for (size_t i = 0; i < p->n_replicas; i++) {
		size_t node = index_of(p, p->replicas[i].now.host);

		if (node != PLACEMENT_NONE)
			p->loads[node].n_of_service++;
	}
}

/* One port at two addresses is two; at all addresses it is every one of them. */
static bool is_same_port(const char *a, const char *b)
{
	size_t n = strcspn(a, "@");

	if (n != strcspn(b, "@") || strncmp(a, b, n) != 0)
		return false;
	return a[n] == '\0' || b[n] == '\0' || strcmp(a + n, b + n) == 0;
}

static bool is_port_taken(const struct placement *p, size_t node)
{
	for (size_t i = 0; i < p->service->n_host_ports; i++)
		for (size_t j = 0; j < p->n_ports; j++)
			if (p->ports[j].node == node &&
			    is_same_port(p->ports[j].port, p->service->host_ports[i]))
				return true;
	return false;
}

/* How many replicas of the service one node may hold; 0: no bound. */
static unsigned bound_per_node(const struct world_service *service)
{
	unsigned bound = service->max_per_node, own = 0;

	if (service->placement == WORLD_GLOBAL)
		own = 1;
	else if (service->placement == WORLD_HOSTS)
		own = service->per_host ? service->per_host : 1;
	if (bound && own)
		return JACO_MIN(bound, own);
	return bound ? bound : own;
}

static enum placement_rule judge_load(const struct placement *p, size_t i)
{
	const struct world_service *service = p->service;
	const struct world_node *node = &p->world->nodes[i];
	const struct placement_load *load = &p->loads[i];
	unsigned bound = bound_per_node(service);

	if (bound && load->n_of_service >= bound)
		return PLACEMENT_MAX_PER_NODE;
	if (service->cpu_milli && node->cpu_milli &&
	    load->cpu_milli + service->cpu_milli > node->cpu_milli)
		return PLACEMENT_RESERVATION;
	if (service->memory_bytes && node->memory_bytes &&
	    load->memory_bytes + service->memory_bytes > node->memory_bytes)
		return PLACEMENT_RESERVATION;
	if (service->n_host_ports && is_port_taken(p, i))
		return PLACEMENT_HOST_PORT;
	return PLACEMENT_N_RULES;
}

static enum placement_rule judge(const struct placement *p, size_t node)
{
	enum placement_rule rule = p->verdict[node];

	return rule == PLACEMENT_N_RULES ? judge_load(p, node) : rule;
}

bool placement_is_eligible(struct placement *p, size_t node)
{
	prepare(p);
	return judge(p, node) == PLACEMENT_N_RULES;
}

bool placement_may_stay(const struct placement *p, const struct world_node *node)
{
	return judge_written(p->service, node) == PLACEMENT_N_RULES;
}

/* Fullness for pack: the reserved share of the scarcer resource in 1/1000, or the replica count. */
static uint64_t fullness(const struct placement *p, size_t i)
{
	const struct world_node *node = &p->world->nodes[i];
	const struct placement_load *load = &p->loads[i];
	uint64_t cpu = node->cpu_milli ? load->cpu_milli * 1000 / node->cpu_milli : 0;
	uint64_t memory = node->memory_bytes ? load->memory_bytes / (node->memory_bytes / 1000 + 1)
					     : 0;

	if (!p->service->cpu_milli && !p->service->memory_bytes)
		return load->n_replicas;
	return JACO_MAX(cpu, memory);
}

/* What the policy compares first; smaller is better. */
static uint64_t rank(const struct placement *p, size_t i)
{
	const struct placement_load *load = &p->loads[i];

	if (p->service->placement == WORLD_PACK)
		return UINT64_MAX - fullness(p, i);
	return (uint64_t)load->n_of_service << 32 | load->n_replicas;
}

/* Then: by name for pack, else the rendezvous weight; smaller is better. */
static uint64_t tie(const struct placement *p, size_t i, uint64_t seed)
{
	return p->service->placement == WORLD_PACK ? 0 : mix(seed, p->name_hash[i]);
}

static void count_reasons(const struct placement *p, struct placement_reasons *out)
{
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < p->world->n_nodes; i++)
		if (judge(p, i) != PLACEMENT_N_RULES)
			out->rejected[judge(p, i)]++;
}

/* The rank is looked at first, because it is one comparison and rules out most nodes. */
size_t placement_choose(struct placement *p, uint64_t index, struct placement_reasons *out_reasons)
{
	uint64_t seed = hash_text(hash_text(index, p->service->deployment), p->service->name);
	uint64_t best_rank = UINT64_MAX, best_tie = UINT64_MAX;
	size_t best = PLACEMENT_NONE;

	prepare(p);
	for (size_t i = 0; i < p->world->n_nodes; i++) {
		uint64_t r = rank(p, i), t;

		if (p->verdict[i] != PLACEMENT_N_RULES || r > best_rank)
			continue;
		t = tie(p, i, seed);
		if ((r == best_rank && best != PLACEMENT_NONE && t >= best_tie) ||
		    judge_load(p, i) != PLACEMENT_N_RULES)
			continue;
		best = i;
		best_rank = r;
		best_tie = t;
	}
	if (best == PLACEMENT_NONE)
		count_reasons(p, out_reasons);
	return best;
}

void placement_add(struct placement *p, size_t node)
{
	JACO_ASSERT(node < p->world->n_nodes);
	prepare(p);
	load_add(p, p->service, node);
	p->loads[node].n_of_service++;
}

void placement_remove(struct placement *p, size_t node)
{
	struct placement_load *load = &p->loads[node];

	prepare(p);
	JACO_ASSERT(node < p->world->n_nodes && load->n_replicas && load->n_of_service);
	load->n_replicas--;
	load->n_of_service--;
	load->cpu_milli -= JACO_MIN(load->cpu_milli, p->service->cpu_milli);
	load->memory_bytes -= JACO_MIN(load->memory_bytes, p->service->memory_bytes);
	drop_ports(p, p->service, node);
}

const char *placement_explain(const struct placement *p, const struct placement_reasons *reasons)
{
	static const char *const words[] = {
#define X(name, text) [PLACEMENT_##name] = text,
		PLACEMENT_RULES(X)
#undef X
	};
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_INIT;
	const char *separator = ": ";

	jaco_buf_printf(&buf, "no eligible node of %zu", p->world->n_nodes);
	for (unsigned i = 0; i < PLACEMENT_N_RULES; i++) {
		if (!reasons->rejected[i])
			continue;
		jaco_buf_printf(&buf, "%s%u %s", separator, reasons->rejected[i], words[i]);
		separator = ", ";
	}
	return jaco_arena_strdup(p->arena, jaco_buf_str(&buf));
}
