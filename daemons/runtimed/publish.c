/* SPDX-License-Identifier: Apache-2.0
 *
 * publish.c - observed records of this node: one per replica, one for the engine.  The skeleton
 * sends equal content only once and everything again when raftd comes back. */
#include <string.h>

#include "daemons/runtimed/runtimed.h"
#include "libjaco/base/str.h"

#define GENERATIONS_MAX 4

struct addresses {
	struct wire_replica_address v[JACO_NETWORKS_PER_SERVICE];
	char text[JACO_NETWORKS_PER_SERVICE][JACO_IPV4_TEXT_BYTES];
};

static void add_address(struct addresses *a, struct wire_obs_gen *gen, const char *network,
			uint32_t address)
{
	size_t i = gen->addresses.n++;

	jaco_ipv4_render(a->text[i], address);
	a->v[i] = (struct wire_replica_address){.network = network, .address = a->text[i]};
}

/* What the engine calls @engine_name as the manifest calls it; NULL: it is none of the
 * deployment's. */
static const char *network_of(const struct slot *slot, const char *engine_name)
{
	char prefix[JACO_ENGINE_NAME_BYTES];

	for (int is_internal = 0; is_internal < 2; is_internal++) {
		(void)jaco_engine_network_name_render(prefix, slot->deployment, "", is_internal);
		if (jaco_str_starts(engine_name, prefix))
			return engine_name + strlen(prefix);
	}
	return NULL;
}

/* Leased addresses; of an adopted container whose leases were not asked for, the engine's. */
static void fill_addresses(const struct slot *slot, struct addresses *a, struct wire_obs_gen *gen)
{
	gen->addresses.v = a->v;
	gen->addresses.n = 0;
	if (slot->has_leases) {
		for (size_t i = 0; i < slot->n_leases; i++)
			add_address(a, gen, slot->leases[i].network, slot->leases[i].address);
		return;
	}
	if (!slot->has_container)
		return;
	for (size_t i = 0; i < slot->c.n_networks; i++) {
		const char *network = network_of(slot, slot->c.networks[i].network);

		if (network && slot->c.networks[i].address)
			add_address(a, gen, network, slot->c.networks[i].address);
	}
}

static void fill_gen(const struct slot *slot, struct addresses *a, struct wire_obs_gen *gen)
{
	const struct replica *r = &slot->r;
	bool is_up = slot->has_container && engine_container_is_up(&slot->c);
	int64_t now = runtimed_now(slot->rt);

	*gen = (struct wire_obs_gen){.generation = slot->generation,
				     .state = r->state,
				     .healthy = r->state == JACO_REPLICA_RUNNING && is_up &&
						r->health.verdict == HEALTH_GOOD,
				     .code = *r->reason.code ? r->reason.code : NULL,
				     .message = *r->reason.message ? r->reason.message : NULL,
				     .waits_for = *r->reason.waits_for ? r->reason.waits_for : NULL,
				     .since = (uint64_t)r->since_wall_ms,
				     .image = *slot->image ? slot->image : NULL,
				     .spec_hash = *slot->spec_hash ? slot->spec_hash : NULL,
				     .revision = slot->revision,
				     .restarts = r->restarts};
	/* To the second: the offset between the two clocks must not make every pass a change. */
	if (r->reason.retry_ms > now)
		gen->retry_at = (uint64_t)(jaco_time_wall_ms() + r->reason.retry_ms - now + 500) /
				1000 * 1000;
	fill_addresses(slot, a, gen);
	if (!slot->has_container)
		return;
	gen->container_id = slot->c.id;
	if (is_up && slot->c.is_inspected)
		gen->started = (uint64_t)slot->c.started_ms;
	if (!is_up && slot->c.is_inspected && slot->c.finished_ms > 0)
		JACO_SET(gen, obs_gen, exit_code, slot->c.exit_code);
}

static void set_status(struct runtimed *rt)
{
	const struct engine_info *info = engine_info(rt->engine);

	if (rt->is_engine_up)
		jaco_daemon_set_status(rt->daemon, "ready", "%s %s, %zu replicas",
				       info->is_podman ? "podman" : "docker", info->server_version,
				       rt->n_slots);
	else
		jaco_daemon_set_status(rt->daemon, "waiting", "waiting for the engine at %.150s",
				       engine_socket(rt->engine));
}

void publish_replica(struct runtimed *rt, const char *id)
{
	struct wire_obs_gen gens[GENERATIONS_MAX];
	struct addresses addresses[GENERATIONS_MAX];
	struct wire_obs_replica record = {.id = id, .host = rt->daemon->host};
	struct jaco_err err = JACO_ERR_INIT;
	char key[JACO_KEY_MAX];
	const struct slot *slot;

	set_status(rt);
	record.generations.v = gens;
	TAILQ_FOREACH(slot, &rt->slots, entry)
	{
		size_t n = record.generations.n;

		if (!jaco_str_eq(slot->id, id) || n == GENERATIONS_MAX)
			continue;
		if (!slot->is_planned)
			return; /* its container is being inspected: what was told still stands */
		record.deployment = slot->deployment;
		record.service = slot->service_name;
		if (slot->has_index)
			JACO_SET(&record, obs_replica, index, slot->index);
		fill_gen(slot, &addresses[n], &gens[n]);
		record.generations.n++;
	}
	for (size_t i = 1; i < record.generations.n; i++) /* oldest first: at most four */
		for (size_t j = i; j > 0 && gens[j].generation < gens[j - 1].generation; j--) {
			struct wire_obs_gen swap = gens[j];

			gens[j] = gens[j - 1];
			gens[j - 1] = swap;
		}
	jaco_str_format(key, sizeof(key), "/obs/replica/%s@%s", id, rt->daemon->host);
	if (record.generations.n == 0)
		jaco_daemon_withdraw(rt->daemon, key);
	else if (jaco_daemon_publish(rt->daemon, key, &wire_obs_replica_desc, &record, &err) < 0)
		JACO_LOG_FAILURE(JACO_LOG_ERR, "record not published", &err, KV_STR(replica, id));
}

void publish_engine(struct runtimed *rt)
{
	const struct engine_info *info = engine_info(rt->engine);
	struct jaco_err err = JACO_ERR_INIT;
	char api[16];
	struct wire_obs_engine record = {
		.state = rt->is_engine_up ? "ready" : "engine_unavailable",
		.message = !rt->is_engine_up && rt->engine_error[0] ? rt->engine_error : NULL};

	if (rt->is_engine_up) {
		jaco_str_format(api, sizeof(api), "%u.%u", info->api_major, info->api_minor);
		record.kind = info->is_podman ? "podman" : "docker";
		record.version = info->server_version;
		record.api_version = api;
	}
	if (jaco_daemon_publish_topic(rt->daemon, "engine", &wire_obs_engine_desc, &record, &err) <
	    0)
		JACO_LOG_FAILURE(JACO_LOG_ERR, "record not published", &err);
	set_status(rt);
}

/* Records of replicas that went while we were away. */
void publish_sweep(struct runtimed *rt)
{
	const struct jaco_view_entry *seen;
	const struct slot *slot;

	JACO_VIEW_FOREACH(rt->view, "/obs/replica/", seen)
	{
		const struct wire_obs_replica *record = seen->msg;
		bool is_known = false;

		if (!jaco_str_eq(record->host, rt->daemon->host))
			continue;
		TAILQ_FOREACH(slot, &rt->slots, entry)
			is_known |= jaco_str_eq(slot->id, record->id);
		if (!is_known)
			jaco_daemon_withdraw(rt->daemon, seen->key);
	}
}
