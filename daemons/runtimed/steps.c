/* SPDX-License-Identifier: Apache-2.0
 *
 * steps.c - carries out one step of one slot.  A step ends in succeed() or fail(): both free the
 * slot for the next one and ask for a pass. */
#include "daemons/runtimed/runtimed.h"

#include "daemons/runtimed/files.h"
#include "daemons/runtimed/tar.h"
#include "libjaco/base/fault.h"
#include "libjaco/base/str.h"

#define LEASE_DEADLINE_MS 5000
#define REFUSED_MAX_MS    30000

static bool is_start(enum plan_step step)
{
	return step == PLAN_CREATE || step == PLAN_START;
}

static void end(struct slot *slot)
{
	if (is_start(slot->busy))
		slot->rt->n_starting--;
	slot->busy = PLAN_NOTHING;
	slot->call = NULL;
	slot->rpc = NULL;
	runtimed_poke(slot->rt);
}

static void succeed(struct slot *slot)
{
	slot->step_error[0] = '\0';
	slot->step_code = NULL;
	end(slot);
}

static void fail(struct slot *slot, const struct jaco_err *err)
{
	JACO_LOG_FAILURE(JACO_LOG_WARNING, "step failed, trying again", err,
			 KV_STR(replica, slot->id), KV_STR(reason, plan_step_name(slot->busy)));
	jaco_str_copy(slot->step_error, sizeof(slot->step_error), err->text);
	slot->step_code = jaco_code_name(err->code);
	backoff_fail(&slot->r.engine, runtimed_now(slot->rt), REFUSED_MAX_MS);
	end(slot);
}

/* --- addresses --- */

static int take_lease(struct slot_lease *out, const struct wire_lease *in, struct jaco_err *err)
{
	*out = (struct slot_lease){.revision = in->revision};
	if (!jaco_str_copy(out->network, sizeof(out->network), in->network) ||
	    !jaco_ipv4_parse(in->address, &out->address) ||
	    !jaco_ipv4_parse(in->gateway, &out->gateway))
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "lease of network %.63s: not an address", in->network);
	jaco_str_copy(out->bridge, sizeof(out->bridge), in->bridge);
	return jaco_cidr_parse(in->cidr, &out->subnet, err);
}

static void on_leases(void *ctx, const void *reply, const struct jaco_err *why)
{
	struct slot *slot = ctx;
	const struct wire_leases *leases = reply;
	struct jaco_err err = JACO_ERR_INIT;

	slot->rpc = NULL;
	if (why) {
		fail(slot, why);
		return;
	}
	slot->n_leases = 0;
	for (size_t i = 0; i < leases->items.n && i < JACO_NETWORKS_PER_SERVICE; i++) {
		if (take_lease(&slot->leases[slot->n_leases], &leases->items.v[i], &err) < 0) {
			fail(slot, &err);
			return;
		}
		slot->n_leases++;
	}
	if (!slot->service || slot->n_leases != slot->service->n_attachments) {
		jaco_err_set(&err, JACO_UNAVAILABLE, "ipamd leased %zu addresses", slot->n_leases);
		fail(slot, &err);
		return;
	}
	slot->has_leases = true;
	slot->at = 0;
	succeed(slot);
}

static bool is_internal(const struct slot *slot, const char *network)
{
	const struct jaco_network *net = jaco_manifest_network(slot->spec->manifest, network);

	return net && net->is_internal;
}

static void begin_lease(struct slot *slot)
{
	const struct jaco_service *service = slot->service;
	struct wire_service_network networks[JACO_NETWORKS_PER_SERVICE] = {0};
	struct wire_lease_request req = {.deployment = slot->deployment,
					 .replica = slot->id,
					 .generation = slot->generation};

	for (size_t i = 0; i < service->n_attachments; i++) {
		networks[i].name = service->attachments[i].network;
		networks[i].internal = is_internal(slot, service->attachments[i].network);
	}
	req.networks.v = networks;
	req.networks.n = service->n_attachments;
	slot->rpc = jaco_client_call(&slot->rt->ipamd, &wire_ipamd_lease, &req, LEASE_DEADLINE_MS,
				     on_leases, slot);
}

/* --- networks --- */

/* Not a call of its own: networks are shared, net.c pokes when one is ready. */
static void begin_networks(struct slot *slot)
{
	struct jaco_err err = JACO_ERR_INIT;

	for (; slot->at < slot->n_leases; slot->at++) {
		const struct slot_lease *lease = &slot->leases[slot->at];
		int rc = net_ensure(slot->rt, slot->deployment, lease,
				    is_internal(slot, lease->network), &err);

		if (rc < 0) {
			slot->busy = PLAN_NETWORKS;
			fail(slot, &err);
			return;
		}
		if (rc == 0)
			return;
	}
	runtimed_poke(slot->rt);
}

/* --- create --- */

static const char *container_of(void *ctx, const char *service)
{
	const struct slot *self = ctx;
	struct slot *slot;

	TAILQ_FOREACH(slot, &self->rt->slots, entry)
		if (slot->has_container && engine_container_is_up(&slot->c) &&
		    jaco_str_eq(slot->deployment, self->deployment) &&
		    jaco_str_eq(slot->service_name, service))
			return slot->c.id;
	return NULL;
}

static void fill_input(struct slot *slot, struct create_network *networks, struct create_input *in)
{
	const char *suffix = "";

	(void)jaco_replica_id_suffix(slot->id, slot->deployment, slot->service_name, &suffix);
	for (size_t i = 0; i < slot->n_leases; i++)
		networks[i] = (struct create_network){
			.engine_name = net_engine_name(slot->rt, slot->deployment,
						       slot->leases[i].network),
			.address = slot->leases[i].address,
			.gateway = slot->leases[i].gateway};
	*in = (struct create_input){.cluster_id = slot->rt->cluster_id,
				    .deployment = slot->deployment,
				    .replica_id = slot->id,
				    .replica_index = suffix,
				    .revision = slot->revision,
				    .generation = slot->generation,
				    .spec_hash = slot->spec_hash,
				    .service = slot->service,
				    .manifest = slot->spec->manifest,
				    .networks = networks,
				    .n_networks = slot_needs_addresses(slot) ? slot->n_leases : 0,
				    .engine = engine_info(slot->rt->engine),
				    .container_of = container_of,
				    .ctx = slot};
}

static void on_made(void *ctx, const struct jaco_err *err);

/* After the container exists: the other networks, then files; @slot->at counts. */
static void complete_container(struct slot *slot)
{
	struct create_network networks[JACO_NETWORKS_PER_SERVICE];
	struct create_input in;
	jaco_auto(jaco_buf) struct jaco_buf body = JACO_BUF_INIT;

	if (!slot->service) { /* the manifest went while the engine worked: made anew, or removed */
		slot->is_made_here = false;
		end(slot);
		return;
	}
	fill_input(slot, networks, &in);
	if (slot->at < in.n_networks) {
		create_connect_json(&in, slot->at, slot->c.id, &body);
		slot->call = engine_network_connect(slot->rt->engine,
						    networks[slot->at].engine_name, &body, on_made,
						    slot);
		slot->at++;
		return;
	}
	if (slot->at == in.n_networks && tar_files(slot->service, &body)) {
		slot->call =
			engine_container_put(slot->rt->engine, slot->c.id, &body, on_made, slot);
		slot->at++;
		return;
	}
	slot->at = slot->n_leases;
	slot->r.engine = BACKOFF_INIT;
	succeed(slot);
}

static void on_dropped(void *ctx, const struct jaco_err *err)
{
	struct slot *slot = ctx;

	(void)err; /* what is left is found by the next listing */
	slot_lost(slot);
	end(slot);
}

static void on_made(void *ctx, const struct jaco_err *err)
{
	struct slot *slot = ctx;

	slot->call = NULL;
	if (!err) {
		complete_container(slot);
		return;
	}
	/* Half a container is worse than none: away with it, and again from the networks on. */
	JACO_LOG_FAILURE(JACO_LOG_WARNING, "container cannot be completed", err,
			 KV_STR(replica, slot->id));
	jaco_str_copy(slot->step_error, sizeof(slot->step_error), err->text);
	slot->step_code = jaco_code_name(err->code);
	backoff_fail(&slot->r.engine, runtimed_now(slot->rt), REFUSED_MAX_MS);
	net_forget_ready(slot->rt);
	slot->at = 0;
	slot->call = engine_container_remove(slot->rt->engine, slot->c.id, on_dropped, slot);
}

static void begin_create(struct slot *slot, bool with_generation);

static void on_created(void *ctx, const char *id, const struct jaco_err *err)
{
	struct slot *slot = ctx;

	slot->call = NULL;
	if (err && err->code == JACO_CONFLICT && !slot->is_name_taken) {
		/* The plain name is taken by another generation, or by somebody else's
		 * container. */
		slot->is_name_taken = true;
		begin_create(slot, true);
		return;
	}
	slot->is_name_taken = false;
	if (err) {
		if (err->code == JACO_IMAGE_NOT_FOUND)
			image_is_gone(slot->rt, slot->service ? slot->service->image : "");
		slot->at = 0; /* a network may be what was not found */
		net_forget_ready(slot->rt);
		fail(slot, err);
		return;
	}
	if (!slot->service) { /* the manifest went while the engine worked */
		end(slot);
		return;
	}
	slot->c = (struct engine_container){.state = ENGINE_CREATED};
	jaco_str_copy(slot->c.id, sizeof(slot->c.id), id);
	jaco_str_copy(slot->c.labels.spec_hash, sizeof(slot->c.labels.spec_hash), slot->spec_hash);
	slot->has_container = slot->is_made_here = slot->is_seen = true;
	slot->is_listed = false;
	slot->at = slot_needs_addresses(slot) ? 1 : 0;
	complete_container(slot);
}

static bool has_sibling_container(struct slot *slot)
{
	struct slot *other;

	TAILQ_FOREACH(other, &slot->rt->slots, entry)
		if (other != slot && other->has_container && jaco_str_eq(other->id, slot->id))
			return true;
	return false;
}

static void begin_create(struct slot *slot, bool with_generation)
{
	struct create_network networks[JACO_NETWORKS_PER_SERVICE];
	char name[JACO_CONTAINER_NAME_BYTES];
	char files[FILES_DIR_BYTES];
	struct create_input in;
	struct jaco_err err = JACO_ERR_INIT;
	jaco_auto(jaco_buf) struct jaco_buf body = JACO_BUF_INIT;

	fill_input(slot, networks, &in);
	files_dir(slot, files);
	in.files_dir = files;
	if (files_write(slot, &err) < 0 || create_container_json(&in, false, &body, &err) < 0) {
		fail(slot, &err);
		return;
	}
	(void)jaco_container_name_render(name, slot->id, slot->generation,
					 with_generation || has_sibling_container(slot));
	slot->call = engine_container_create(slot->rt->engine, name, slot->service->platform, &body,
					     on_created, slot);
}

/* --- the rest of a life --- */

static void on_started(void *ctx, const struct jaco_err *err)
{
	struct slot *slot = ctx;
	struct engine_container c;

	slot->call = NULL;
	if (err) {
		/* The engine keeps its reason in the container; a taken address or a missing
		 * network is cured by making the container anew. */
		slot->is_made_here = false;
		slot->at = 0;
		net_forget_ready(slot->rt);
		slot_inspect(slot);
		fail(slot, err);
		return;
	}
	if (slot->c.state == ENGINE_EXITED) {
		slot->rt->n_restarts++;
		slot->r.restarts++;
	}
	slot->rt->n_starts++;
	slot->r.engine = BACKOFF_INIT;
	c = slot->c;
	c.state = ENGINE_RUNNING;
	c.health = ENGINE_HEALTH_STARTING;
	c.started_ms = jaco_time_wall_ms();
	c.finished_ms = 0;
	c.is_inspected = false;
	slot_saw(slot, &c);
	slot_inspect(slot);
	succeed(slot);
}

static void begin_start(struct slot *slot)
{
	struct jaco_err err = JACO_ERR_INIT;

	CHAOS(container_start);
	if (slot->service && files_write(slot, &err) < 0) {
		fail(slot, &err);
		return;
	}
	slot->call = engine_container_start(slot->rt->engine, slot->c.id, on_started, slot);
}

static void on_stopped(void *ctx, const struct jaco_err *err)
{
	struct slot *slot = ctx;

	slot->call = NULL;
	if (err) {
		fail(slot, err);
		return;
	}
	slot->c.state = ENGINE_EXITED;
	slot->c.is_inspected = false;
	slot_inspect(slot);
	succeed(slot);
}

static void begin_stop(struct slot *slot)
{
	slot->is_exit_expected = true;
	probe_cancel(slot);
	/* Its own stop_signal and stop_grace_period were given at creation. */
	slot->call = engine_container_stop(slot->rt->engine, slot->c.id, -1, on_stopped, slot);
}

static void on_deleted(void *ctx, const struct jaco_err *err)
{
	struct slot *slot = ctx;

	slot->call = NULL;
	if (err) {
		fail(slot, err);
		return;
	}
	slot->is_exit_expected = true;
	files_remove(slot);
	slot_lost(slot);
	slot->at = 0;
	slot->is_exit_expected = false;
	succeed(slot);
}

static void on_released(void *ctx, const void *reply, const struct jaco_err *err)
{
	(void)reply;
	/* ipamd's own sweep finds leases of replicas that are gone, should this have been lost. */
	if (err)
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "addresses not released", err);
	(void)ctx;
}

static void forget(struct slot *slot)
{
	struct runtimed *rt = slot->rt;
	struct wire_lease_ref ref = {.replica = slot->id, .generation = slot->generation};
	char copy[JACO_REPLICA_ID_BYTES];
	const char *id = copy;

	if (rt->has_ipamd)
		jaco_client_call(&rt->ipamd, &wire_ipamd_release, &ref, LEASE_DEADLINE_MS,
				 on_released, NULL);
	files_remove(slot);
	jaco_str_copy(copy, sizeof(copy), slot->id);
	jaco_log_info("replica removed", KV_STR(replica, id), KV_INT(generation, slot->generation));
	slot_free(slot);
	publish_replica(rt, id);
	memory_poke(rt);
}

bool steps_begin(struct slot *slot, enum plan_step step)
{
	struct runtimed *rt = slot->rt;

	if (is_start(step)) {
		if (rt->n_starting >= RUNTIMED_STARTS_MAX)
			return false;
		rt->n_starting++;
	}
	jaco_log_debug("step", KV_STR(replica, slot->id), KV_STR(reason, plan_step_name(step)));
	slot->busy = step;
	switch (step) {
	case PLAN_LEASE:
		begin_lease(slot);
		break;
	case PLAN_NETWORKS:
		slot->busy = PLAN_NOTHING;
		begin_networks(slot);
		break;
	case PLAN_LOOK:
		slot->busy = PLAN_NOTHING;
		image_look(image_get(rt, slot->service->image,
				     slot->service->platform ? slot->service->platform : ""));
		break;
	case PLAN_PULL:
		slot->busy = PLAN_NOTHING;
		image_pull(image_get(rt, slot->service->image,
				     slot->service->platform ? slot->service->platform : ""));
		break;
	case PLAN_CREATE:
		begin_create(slot, false);
		break;
	case PLAN_START:
		begin_start(slot);
		break;
	case PLAN_RESTART:
	case PLAN_STOP:
		begin_stop(slot);
		break;
	case PLAN_DELETE:
		slot->call = engine_container_remove(rt->engine, slot->c.id, on_deleted, slot);
		break;
	case PLAN_FORGET:
		slot->busy = PLAN_NOTHING;
		forget(slot);
		return true;
	case PLAN_NOTHING:
	case PLAN_STEP_END:
		slot->busy = PLAN_NOTHING;
		break;
	}
	return false;
}
