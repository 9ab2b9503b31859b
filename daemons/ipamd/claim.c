/* SPDX-License-Identifier: Apache-2.0
 *
 * Claiming and freeing subnets through raftd.
 *
 * Any node may claim, none may claim twice, and no two subnets may overlap whatever their sizes.
 * A compare of "absent" on the subnet's own key cannot promise the last, so every claim also
 * compares and moves one key, /scope/next: it orders all claims of the cluster, and is where the
 * next scope number comes from.  Losing the race costs one more round trip; all subnets this host
 * wants are claimed in one transaction, so races are few. */
#include <inttypes.h>
#include <string.h>

#include "daemons/ipamd/ipamd.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/fault.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/model/ids.h"

#define NEXT_KEY         "/scope/next"
#define CLAIMS_PER_TXN   256
#define RETRY_MS         50
#define TXN_DEADLINE_MS  5000
#define BRIDGE_TRIES     64 /* names that collide: 2^-32 each */

/* --- one transaction being built --- */

struct builder {
	struct wire_txn txn;
	struct jaco_arena arena;
	size_t cap_compares, cap_puts, cap_deletes, n_claims;
};

static void compare(struct builder *b, const char *key, uint64_t revision)
{
	b->txn.compares.v = jaco_arena_grow(&b->arena, b->txn.compares.v, &b->cap_compares,
					    b->txn.compares.n + 1, sizeof(*b->txn.compares.v));
	b->txn.compares.v[b->txn.compares.n++] =
		(struct wire_compare){.key = key, .revision = revision};
}

static void put(struct builder *b, const char *key, const struct jaco_desc *desc, const void *msg)
{
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	if (jaco_pack(&buf, desc, msg, &err) < 0)
		JACO_UNREACHABLE(); /* our own bounded record */
	b->txn.puts.v = jaco_arena_grow(&b->arena, b->txn.puts.v, &b->cap_puts,
					b->txn.puts.n + 1, sizeof(*b->txn.puts.v));
	b->txn.puts.v[b->txn.puts.n++] = (struct wire_put){
		.key = key,
		.value = {.data = jaco_arena_memdup(&b->arena, buf.data, buf.n), .n = buf.n}};
}

static void delete_at(struct builder *b, const char *key, uint64_t revision)
{
	compare(b, key, revision);
	b->txn.deletes.v = jaco_arena_grow(&b->arena, b->txn.deletes.v, &b->cap_deletes,
					   b->txn.deletes.n + 1, sizeof(*b->txn.deletes.v));
	b->txn.deletes.v[b->txn.deletes.n++] = key;
}

static uint64_t revision_of(const struct ipamd *ipamd, const char *key)
{
	const struct jaco_view_entry *entry = jaco_view_entry(&ipamd->daemon->view, key);

	return entry ? entry->revision : 0;
}

/* --- sending it --- */

static void finish(struct ipamd *ipamd, const struct wire_txn_result *result,
		   const struct jaco_err *err)
{
	ipamd->txn = NULL;
	ipamd->is_freeing = false;
	if (result && result->succeeded) {
		ipamd->min_revision = result->revision;
		return; /* the view brings it and calls back */
	}
	if (result) {
		ipamd->n_conflicts++;
		jaco_log_debug("subnet claim lost a race", KV_STR(key, result->failed_key));
	} else {
		JACO_LOG_FAILURE(JACO_LOG_INFO, "subnets not written", err);
	}
	jaco_timer_arm(&ipamd->retry, RETRY_MS);
}

static void on_claimed(void *ctx, const void *out, const struct jaco_err *err)
{
	struct ipamd *ipamd = ctx;

	CHAOS(ipamd_claimed);
	finish(ipamd, out, err);
}

static void on_freed(void *ctx, const void *out, const struct jaco_err *err)
{
	finish(ctx, out, err);
}

static void send_txn(struct ipamd *ipamd, struct builder *b, jaco_reply_fn *on_reply)
{
	ipamd->txn = jaco_client_call(&ipamd->daemon->raftd, &wire_raftd_kv_txn, &b->txn,
				      TXN_DEADLINE_MS, on_reply, ipamd);
}

/* --- claiming --- */

/* The interface name of (deployment, network) on this host, apart from every other's. */
static bool pick_bridge(const struct ipamd *ipamd, const struct builder *b, const char *deployment,
			const char *network, char out[static JACO_BRIDGE_NAME_BYTES])
{
	const struct jaco_view *view = &ipamd->daemon->view;
	const struct jaco_view_entry *entry;

	for (unsigned extra = 0; extra < BRIDGE_TRIES; extra++) {
		bool is_taken = false;

		jaco_bridge_name_render(out, deployment, network, extra);
		JACO_VIEW_FOREACH(view, "/subnet/", entry)
		{
			const struct wire_subnet *other = entry->msg;

			is_taken |= strcmp(other->host, ipamd->daemon->host) == 0 &&
				    strcmp(other->bridge, out) == 0;
		}
		for (size_t i = 0; i < b->txn.puts.n; i++) /* packed records hold the bytes */
			is_taken |= memmem(b->txn.puts.v[i].value.data, b->txn.puts.v[i].value.n,
					   out, strlen(out)) != NULL;
		if (!is_taken)
			return true;
	}
	return false;
}

static uint32_t scope_of(struct ipamd *ipamd, struct builder *b, const char *deployment,
			 const char *network, uint32_t *next)
{
	const char *key = jaco_arena_printf(&b->arena, "/scope/%s/%s", deployment, network);
	const struct wire_scope *stored = jaco_view_get(&ipamd->daemon->view, key);
	uint32_t scope = pool_scope(&ipamd->pool, deployment, network, stored ? stored->id : 0);
	struct wire_scope record;

	if (scope == 0)
		scope = (*next)++;
	record.has = 0;
	record.id = scope;
	if (!stored) {
		compare(b, key, 0);
		put(b, key, &wire_scope_desc, &record);
	}
	return scope;
}

static int claim_one(struct ipamd *ipamd, struct builder *b, const char *deployment,
		     const struct wire_service_network *network, uint32_t *next,
		     struct jaco_err *err)
{
	const char *host = ipamd->daemon->host;
	char cidr[JACO_CIDR_TEXT_BYTES], gateway[JACO_IPV4_TEXT_BYTES];
	char bridge[JACO_BRIDGE_NAME_BYTES];
	struct pool_claim claim = {.scope = 0};
	struct wire_subnet record;
	const char *key;
	int rc = pool_pick(&ipamd->pool, deployment, network->name, host, ipamd->bits, &claim.cidr,
			   err);

	if (rc < 0)
		return jaco_err_wrap(err, "network %s/%s", deployment, network->name);
	if (!pick_bridge(ipamd, b, deployment, network->name, bridge))
		return jaco_err_set(err, JACO_INTERNAL, "no bridge name is left for %s/%s",
				    deployment, network->name);
	claim.scope = scope_of(ipamd, b, deployment, network->name, next);
	JACO_ASSERT(jaco_str_copy(claim.deployment, sizeof(claim.deployment), deployment) &&
		    jaco_str_copy(claim.network, sizeof(claim.network), network->name) &&
		    jaco_str_copy(claim.host, sizeof(claim.host), host));
	pool_add(&ipamd->pool, &claim);

	jaco_cidr_render(cidr, claim.cidr);
	jaco_ipv4_render(gateway, lease_gateway(claim.cidr));
	record = (struct wire_subnet){
		.deployment = deployment,
		.network = network->name,
		.host = host,
		.cidr = cidr,
		.gateway = gateway,
		.bridge = bridge,
		.scope = claim.scope,
		.internal = network->internal,
		.created = (uint64_t)jaco_time_wall_ms(),
	};
	key = jaco_arena_printf(&b->arena, "/subnet/%s/%s/%s", deployment, network->name, host);
	compare(b, key, 0);
	put(b, key, &wire_subnet_desc, &record);
	b->n_claims++;
	jaco_log_info("subnet claimed", KV_STR(deployment, deployment),
		      KV_STR(network, network->name), KV_STR(subnet, &cidr[0]));
	return 0;
}

/* Claims for one waiting call; a subnet another call wants too is in the pool by then. */
static int claim_for(struct ipamd *ipamd, struct builder *b, const struct wire_lease_request *req,
		     uint32_t *next, struct jaco_err *err)
{
	for (size_t i = 0; i < req->networks.n && b->n_claims < CLAIMS_PER_TXN; i++) {
		int rc = 0;

		if (!pool_find(&ipamd->pool, req->deployment, req->networks.v[i].name,
			       ipamd->daemon->host))
			rc = claim_one(ipamd, b, req->deployment, &req->networks.v[i], next, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void refuse(struct ipamd *ipamd, struct ipamd_waiter *waiter, const struct jaco_err *err)
{
	struct ipamd_waiter **at = &ipamd->waiters;
	struct jaco_call *call = waiter->call;

	while (*at != waiter)
		at = &(*at)->next;
	*at = waiter->next;
	ipamd->n_waiters--;
	jaco_free(waiter);
	jaco_call_fail(call, err);
}

void claim_wanted(struct ipamd *ipamd)
{
	struct builder b = {.n_claims = 0};
	const struct wire_scope *stored = jaco_view_get(&ipamd->daemon->view, NEXT_KEY);
	uint32_t next = stored ? stored->id : 1;
	struct wire_scope record;

	if (ipamd->txn || !ipamd->waiters || !ipamd->daemon->view.is_live)
		return;
	for (struct ipamd_waiter *waiter = ipamd->waiters, *after; waiter; waiter = after) {
		struct jaco_err err = JACO_ERR_INIT;

		after = waiter->next;
		if (claim_for(ipamd, &b, waiter->req, &next, &err) < 0)
			refuse(ipamd, waiter, &err);
	}
	if (b.n_claims) {
		record = (struct wire_scope){.id = next};
		compare(&b, NEXT_KEY, revision_of(ipamd, NEXT_KEY));
		put(&b, NEXT_KEY, &wire_scope_desc, &record);
		ipamd->n_claimed += b.n_claims;
		send_txn(ipamd, &b, on_claimed);
	}
	jaco_arena_fini(&b.arena);
}

/* --- freeing --- */

/* Does a desired replica on this host use the network? */
static bool is_used_here(const struct ipamd *ipamd, const struct wire_subnet *subnet)
{
	const struct jaco_view *view = &ipamd->daemon->view;
	const struct jaco_view_entry *entry;
	char prefix[JACO_DEPLOYMENT_MAX + 16];

	(void)jaco_str_format(prefix, sizeof(prefix), "/replica/%s/", subnet->deployment);
	JACO_VIEW_FOREACH(view, prefix, entry)
	{
		const struct wire_replica *replica = entry->msg;

		for (size_t i = 0; i < replica->generations.n; i++)
			if (strcmp(replica->generations.v[i].host, subnet->host) == 0)
				return true;
	}
	return false;
}

static bool is_network_known(const struct ipamd *ipamd, const struct wire_subnet *subnet)
{
	const struct wire_deployment *deployment =
		jaco_view_getf(&ipamd->daemon->view, "/deployment/%s", subnet->deployment);

	if (!deployment || deployment->deleting)
		return false;
	for (size_t i = 0; i < deployment->networks.n; i++)
		if (strcmp(deployment->networks.v[i].name, subnet->network) == 0)
			return true;
	for (size_t i = 0; i < deployment->services.n; i++)
		for (size_t j = 0; j < deployment->services.v[i].networks.n; j++)
			if (strcmp(deployment->services.v[i].networks.v[j].name,
				   subnet->network) == 0)
				return true;
	return false;
}

/* How long @key has been idle; begins counting at the first call. */
static int64_t idle_ms(struct ipamd *ipamd, const char *key)
{
	struct jaco_time now = jaco_loop_now(&ipamd->daemon->loop);
	struct ipamd_idle *idle;

	for (size_t i = 0; i < ipamd->n_idle; i++)
		if (strcmp(ipamd->idle[i].key, key) == 0) {
			ipamd->idle[i].is_seen = true;
			return jaco_time_diff_ms(now, ipamd->idle[i].since);
		}
	ipamd->idle = jaco_grow(ipamd->idle, &ipamd->cap_idle, ipamd->n_idle + 1,
				sizeof(*ipamd->idle));
	idle = &ipamd->idle[ipamd->n_idle++];
	*idle = (struct ipamd_idle){.since = now, .is_seen = true};
	(void)jaco_str_copy(idle->key, sizeof(idle->key), key);
	return 0;
}

/* What is used again starts from zero the next time. */
static void forget_busy(struct ipamd *ipamd)
{
	for (size_t i = 0; i < ipamd->n_idle;) {
		if (ipamd->idle[i].is_seen)
			ipamd->idle[i++].is_seen = false;
		else
			ipamd->idle[i] = ipamd->idle[--ipamd->n_idle];
	}
}

static bool may_free(struct ipamd *ipamd, const char *key, const struct wire_subnet *subnet)
{
	bool is_ours = strcmp(subnet->host, ipamd->daemon->host) == 0;

	if (!is_ours) /* a member that is gone cannot free its own */
		return !jaco_view_getf(&ipamd->daemon->view, "/node/%s", subnet->host);
	if (lease_count(&ipamd->leases, subnet->deployment, subnet->network) > 0 ||
	    is_used_here(ipamd, subnet))
		return false;
	if (idle_ms(ipamd, key) >= IPAMD_IDLE_MS)
		return true;
	return !is_network_known(ipamd, subnet);
}

static bool has_other_subnet(const struct ipamd *ipamd, const struct wire_subnet *subnet)
{
	for (size_t i = 0; i < ipamd->pool.n; i++) {
		const struct pool_claim *claim = &ipamd->pool.claims[i];

		if (strcmp(claim->deployment, subnet->deployment) == 0 &&
		    strcmp(claim->network, subnet->network) == 0 &&
		    strcmp(claim->host, subnet->host) != 0)
			return true;
	}
	return false;
}

static void free_one(struct ipamd *ipamd, struct builder *b, const struct jaco_view_entry *entry)
{
	const struct wire_subnet *subnet = entry->msg;
	const char *scope_key =
		jaco_arena_printf(&b->arena, "/scope/%s/%s", subnet->deployment, subnet->network);
	uint64_t scope_revision = revision_of(ipamd, scope_key);

	delete_at(b, jaco_arena_strdup(&b->arena, entry->key), entry->revision);
	b->n_claims++;
	if (scope_revision && !is_network_known(ipamd, subnet) &&
	    !has_other_subnet(ipamd, subnet))
		delete_at(b, scope_key, scope_revision);
	jaco_log_info("subnet freed", KV_STR(deployment, subnet->deployment),
		      KV_STR(network, subnet->network), KV_STR(host, subnet->host),
		      KV_STR(subnet, subnet->cidr));
}

void claim_free_unused(struct ipamd *ipamd)
{
	const struct jaco_view *view = &ipamd->daemon->view;
	struct builder b = {.n_claims = 0};
	const struct jaco_view_entry *entry;

	/* never from a saved view, and never before this node is known to be a member: an empty
	 * store must not read as "everything is gone" */
	if (ipamd->txn || ipamd->waiters || !view->is_live || !view->is_current ||
	    !jaco_view_getf(view, "/node/%s", ipamd->daemon->host))
		return;
	JACO_VIEW_FOREACH(view, "/subnet/", entry)
	{
		if (b.n_claims < CLAIMS_PER_TXN && may_free(ipamd, entry->key, entry->msg))
			free_one(ipamd, &b, entry);
	}
	forget_busy(ipamd);
	if (b.n_claims) {
		ipamd->n_freed += b.n_claims;
		ipamd->is_freeing = true;
		send_txn(ipamd, &b, on_freed);
	}
	jaco_arena_fini(&b.arena);
}

/* What the deployment says of the network now; the record keeps what it said when it was
 * claimed. */
static bool is_internal(const struct ipamd *ipamd, const struct wire_subnet *subnet)
{
	const struct wire_deployment *deployment =
		jaco_view_getf(&ipamd->daemon->view, "/deployment/%s", subnet->deployment);

	for (size_t i = 0; deployment && i < deployment->networks.n; i++)
		if (strcmp(deployment->networks.v[i].name, subnet->network) == 0)
			return deployment->networks.v[i].internal;
	return subnet->internal;
}

void claim_follow(struct ipamd *ipamd)
{
	const struct jaco_view *view = &ipamd->daemon->view;
	struct builder b = {.n_claims = 0};
	const struct jaco_view_entry *entry;

	if (ipamd->txn || !view->is_live || !view->is_current)
		return;
	JACO_VIEW_FOREACH(view, "/subnet/", entry)
	{
		struct wire_subnet record = *(const struct wire_subnet *)entry->msg;
		bool internal = is_internal(ipamd, &record);

		if (strcmp(record.host, ipamd->daemon->host) != 0 || record.internal == internal ||
		    b.n_claims == CLAIMS_PER_TXN)
			continue;
		JACO_SET(&record, subnet, internal, internal);
		compare(&b, jaco_arena_strdup(&b.arena, entry->key), entry->revision);
		put(&b, jaco_arena_strdup(&b.arena, entry->key), &wire_subnet_desc, &record);
		b.n_claims++;
	}
	if (b.n_claims)
		send_txn(ipamd, &b, on_claimed);
	jaco_arena_fini(&b.arena);
}
