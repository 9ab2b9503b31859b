/* SPDX-License-Identifier: Apache-2.0
 *
 * Handlers, and the waiting list between them and claim.c.  An address is written to the book
 * before it is told, and told only when its subnet is committed. */
#include "daemons/ipamd/ipamd.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/ipamd/route.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

#include "libjaco/wire/pass_methods.h"
#define METHOD(d, m, n, in, out, r, f) JACO_THUNK(struct ipamd, d, m, in)
#include "libjaco/wire/def/ipamd.def"
#undef METHOD
#define METHOD(d, m, n, in, out, r, f) JACO_ROW(d, m)
const struct jaco_service_row ipamd_methods[] = {
#include "libjaco/wire/def/ipamd.def"
	{NULL, NULL}};
#include "libjaco/wire/pass_end.h"

/* --- the pool and the host --- */

void ipamd_refill(struct ipamd *ipamd)
{
	const struct jaco_view_entry *entry;

	pool_reset(&ipamd->pool);
	JACO_VIEW_FOREACH(&ipamd->daemon->view, "/subnet/", entry)
	{
		const struct wire_subnet *subnet = entry->msg;
		struct jaco_err ignored = JACO_ERR_INIT;
		struct pool_claim claim = {.scope = subnet->scope};

		/* bounded by the descriptors; a CIDR that is none occupies nothing */
		if (jaco_cidr_parse(subnet->cidr, &claim.cidr, &ignored) < 0 ||
		    !jaco_str_copy(claim.deployment, sizeof(claim.deployment),
				   subnet->deployment) ||
		    !jaco_str_copy(claim.network, sizeof(claim.network), subnet->network) ||
		    !jaco_str_copy(claim.host, sizeof(claim.host), subnet->host))
			continue;
		pool_add(&ipamd->pool, &claim);
	}
}

static void check_host(struct ipamd *ipamd)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct pool_route *routes = NULL;
	size_t n = 0;

	if (route_list(&arena, &routes, &n, &err) < 0) {
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "routes cannot be read", &err);
		return;
	}
	if (pool_check_routes(ipamd->pool.range, routes, n, ipamd->daemon->config.wg_interface,
			      &err) == 0) {
		ipamd->overlap[0] = '\0';
		return;
	}
	if (strcmp(ipamd->overlap, err.text) != 0)
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "address pool overlaps", &err);
	(void)jaco_str_copy(ipamd->overlap, sizeof(ipamd->overlap), err.text);
}

static void say_status(struct ipamd *ipamd)
{
	struct jaco_daemon *daemon = ipamd->daemon;

	if (!daemon->view.is_loaded)
		jaco_daemon_set_status(daemon, "waiting", "waiting for raftd");
	else if (ipamd->overlap[0])
		jaco_daemon_set_status(daemon, "degraded", "%s", ipamd->overlap);
	else
		jaco_daemon_set_status(daemon, "ready", "%zu leases, %zu subnets in the cluster%s",
				       ipamd->leases.n, ipamd->pool.n,
				       daemon->view.is_live ? "" : ", waiting for raftd");
}

/* --- waiting calls --- */

static void unlink_waiter(struct ipamd *ipamd, struct ipamd_waiter *waiter)
{
	struct ipamd_waiter **at = &ipamd->waiters;

	while (*at != waiter)
		at = &(*at)->next;
	*at = waiter->next;
	ipamd->n_waiters--;
	jaco_free(waiter);
}

static void forget_call(struct jaco_call *call, void *ctx)
{
	struct ipamd *ipamd = ctx;

	for (struct ipamd_waiter *waiter = ipamd->waiters; waiter; waiter = waiter->next)
		if (waiter->call == call) {
			unlink_waiter(ipamd, waiter);
			return;
		}
}

static int enqueue(struct ipamd *ipamd, struct jaco_call *call,
		   const struct wire_lease_request *req, struct jaco_err *err)
{
	struct ipamd_waiter **end = &ipamd->waiters, *waiter;

	if (ipamd->n_waiters >= IPAMD_WAITERS_MAX)
		return jaco_err_set(err, JACO_TOO_MANY_REQUESTS, "%d lease calls wait already",
				    IPAMD_WAITERS_MAX);
	waiter = jaco_alloc(sizeof(*waiter));
	waiter->call = call;
	waiter->req = req;
	waiter->deadline = jaco_time_add_ms(jaco_loop_now(&ipamd->daemon->loop), IPAMD_WAIT_MS);
	while (*end)
		end = &(*end)->next;
	*end = waiter;
	ipamd->n_waiters++;
	jaco_timer_arm_if_idle(&ipamd->patience, IPAMD_WAIT_MS);
	jaco_call_on_cancel(call, forget_call, ipamd);
	return 0;
}

/* --- leases --- */

static bool has_subnets(const struct ipamd *ipamd, const struct wire_lease_request *req)
{
	if (ipamd->is_freeing)
		return false;
	for (size_t i = 0; i < req->networks.n; i++)
		if (!jaco_view_getf(&ipamd->daemon->view, "/subnet/%s/%s/%s", req->deployment,
				    req->networks.v[i].name, ipamd->daemon->host))
			return false;
	return true;
}

static int lease_one(struct ipamd *ipamd, struct jaco_call *call,
		     const struct wire_lease_request *req, const char *network,
		     struct wire_lease *out, struct jaco_err *err)
{
	const struct jaco_view *view = &ipamd->daemon->view;
	const char *key = jaco_arena_printf(call->arena, "/subnet/%s/%s/%s", req->deployment,
					    network, ipamd->daemon->host);
	const struct jaco_view_entry *entry = jaco_view_entry(view, key);
	const struct wire_subnet *subnet = entry->msg;
	struct lease_want want = {.replica = req->replica,
				  .deployment = req->deployment,
				  .network = network,
				  .generation = req->generation};
	char text[JACO_IPV4_TEXT_BYTES];
	uint32_t addr;
	int rc;

	rc = jaco_cidr_parse(subnet->cidr, &want.subnet, err);
	if (rc < 0)
		return rc;
	if (want.subnet.bits < POOL_BITS_MIN || want.subnet.bits > POOL_BITS_MAX)
		return jaco_err_set(err, JACO_INTERNAL, "subnet %s has an impossible size",
				    subnet->cidr);
	rc = lease_take(&ipamd->leases, &want, jaco_time_wall_ms(), book_change, &ipamd->book,
			&addr, err);
	if (rc < 0)
		return jaco_err_wrap(err, "network %s/%s", req->deployment, network);
	jaco_ipv4_render(text, addr);
	*out = (struct wire_lease){
		.network = network,
		.address = jaco_arena_strdup(call->arena, text),
		.cidr = jaco_arena_strdup(call->arena, subnet->cidr),
		.gateway = jaco_arena_strdup(call->arena, subnet->gateway),
		.bridge = jaco_arena_strdup(call->arena, subnet->bridge),
		.revision = entry->revision,
	};
	return 0;
}

/* A failure halfway keeps what was given: the next try gets the same addresses, and the release of
 * the generation frees them. */
static int answer(struct ipamd *ipamd, struct jaco_call *call, const struct wire_lease_request *req,
		  struct jaco_err *err)
{
	struct wire_leases leases = {.has = 0};

	leases.items.v = jaco_arena_alloc_n(call->arena, req->networks.n + 1,
					    sizeof(*leases.items.v));
	for (size_t i = 0; i < req->networks.n; i++) {
		int rc = lease_one(ipamd, call, req, req->networks.v[i].name, &leases.items.v[i],
				   err);

		if (rc < 0)
			return rc;
		leases.items.n++;
	}
	ipamd->n_leased++;
	jaco_log_debug("addresses leased", KV_STR(replica, req->replica),
		       KV_INT(generation, req->generation), KV_INT(count, leases.items.n));
	jaco_call_reply(call, &leases);
	return 0;
}

static void serve_waiters(struct ipamd *ipamd)
{
	struct jaco_time now = jaco_loop_now(&ipamd->daemon->loop);

	for (struct ipamd_waiter *waiter = ipamd->waiters, *next; waiter; waiter = next) {
		const struct wire_lease_request *req = waiter->req;
		struct jaco_call *call = waiter->call;
		struct jaco_err err = JACO_ERR_INIT;
		int rc = 0;

		next = waiter->next;
		if (has_subnets(ipamd, req)) {
			unlink_waiter(ipamd, waiter);
			rc = answer(ipamd, call, req, &err);
		} else if (!jaco_time_before(now, waiter->deadline)) {
			unlink_waiter(ipamd, waiter);
			rc = jaco_err_set(&err, JACO_UNAVAILABLE,
					  "no subnet for %s on this host could be claimed yet: %s",
					  req->deployment,
					  ipamd->daemon->view.is_live ? "the cluster is busy"
								      : "raftd is away");
		}
		if (rc < 0)
			jaco_call_fail(call, &err);
	}
}

int ipamd_on_lease(struct ipamd *ipamd, struct jaco_call *call,
		   const struct wire_lease_request *req, struct jaco_err *err)
{
	int rc;

	if (has_subnets(ipamd, req))
		return answer(ipamd, call, req, err);
	rc = enqueue(ipamd, call, req, err);
	if (rc < 0)
		return rc;
	/* several containers start at once: one claim for all that asked in this turn of the
	 * loop */
	jaco_timer_arm_if_idle(&ipamd->retry, 0);
	return 0;
}

int ipamd_on_release(struct ipamd *ipamd, struct jaco_call *call, const struct wire_lease_ref *req,
		     struct jaco_err *err)
{
	struct wire_nothing nothing = {.has = 0};
	int rc = lease_release(&ipamd->leases, req->replica, req->generation, jaco_time_wall_ms(),
			       book_change, &ipamd->book, err);

	if (rc < 0)
		return rc;
	if (rc > 0) {
		ipamd->n_released++;
		jaco_log_debug("addresses released", KV_STR(replica, req->replica),
			       KV_INT(generation, req->generation), KV_INT(count, rc));
	}
	jaco_call_reply(call, &nothing);
	return 0;
}

static int by_address(const void *a, const void *b)
{
	const struct lease *const *x = a, *const *y = b;

	return ((*x)->addr > (*y)->addr) - ((*x)->addr < (*y)->addr);
}

int ipamd_on_list(struct ipamd *ipamd, struct jaco_call *call,
		  JACO_UNUSED const struct wire_nothing *req, JACO_UNUSED struct jaco_err *err)
{
	const struct lease_table *table = &ipamd->leases;
	const struct lease **sorted =
		jaco_arena_alloc_n(call->arena, table->n + 1, sizeof(*sorted));
	struct wire_lease_list list = {.has = 0};

	for (size_t i = 0; i < table->n; i++)
		sorted[i] = &table->leases[i];
	if (table->n > 1)
		qsort(sorted, table->n, sizeof(*sorted), by_address);
	list.items.v = jaco_arena_alloc_n(call->arena, table->n + 1, sizeof(*list.items.v));
	for (size_t i = 0; i < table->n; i++) {
		struct wire_lease_item *item = &list.items.v[list.items.n++];
		char text[JACO_IPV4_TEXT_BYTES];

		jaco_ipv4_render(text, sorted[i]->addr);
		item->replica = sorted[i]->replica;
		item->generation = (uint32_t)sorted[i]->generation;
		item->deployment = sorted[i]->deployment;
		item->network = sorted[i]->network;
		item->address = jaco_arena_strdup(call->arena, text);
		if (sorted[i]->released_ms)
			item->quarantined_until =
				(uint64_t)(sorted[i]->released_ms + LEASE_QUARANTINE_MS);
	}
	jaco_call_reply(call, &list);
	return 0;
}

int ipamd_on_preflight(struct ipamd *ipamd, struct jaco_call *call,
		       JACO_UNUSED const struct wire_nothing *req,
		       JACO_UNUSED struct jaco_err *err)
{
	struct wire_preflight answer_ = {.pool = ipamd->daemon->config.ipam_pool};

	check_host(ipamd);
	answer_.ok = ipamd->overlap[0] == '\0';
	answer_.message = ipamd->overlap[0] ? ipamd->overlap : NULL;
	jaco_call_reply(call, &answer_);
	return 0;
}

/* --- the loop's calls --- */

static void decide(struct ipamd *ipamd)
{
	serve_waiters(ipamd);
	claim_wanted(ipamd);
	claim_free_unused(ipamd);
	claim_follow(ipamd);
	say_status(ipamd);
}

void ipamd_on_view(struct jaco_view *view, void *ctx)
{
	struct ipamd *ipamd = ctx;

	if (ipamd->txn || view->revision < ipamd->min_revision) {
		serve_waiters(ipamd);
		return;
	}
	ipamd_refill(ipamd);
	decide(ipamd);
}

static void on_retry(JACO_UNUSED struct jaco_timer *timer, void *ctx)
{
	struct ipamd *ipamd = ctx;

	ipamd_on_view(&ipamd->daemon->view, ipamd);
}

static void on_patience(struct jaco_timer *timer, void *ctx)
{
	struct ipamd *ipamd = ctx;

	serve_waiters(ipamd);
	if (ipamd->waiters)
		jaco_timer_arm(timer, IPAMD_WAIT_MS);
}

static void on_tick(struct jaco_timer *timer, void *ctx)
{
	struct ipamd *ipamd = ctx;
	struct jaco_err err = JACO_ERR_INIT;

	jaco_timer_arm(timer, IPAMD_TICK_MS);
	if (lease_expire(&ipamd->leases, jaco_time_wall_ms(), book_change, &ipamd->book, &err) < 0)
		JACO_LOG_FAILURE(JACO_LOG_ERR, "lease book cannot be written", &err);
	check_host(ipamd);
	say_status(ipamd);
}

int ipamd_open(struct ipamd *ipamd, struct jaco_daemon *daemon, struct jaco_err *err)
{
	struct jaco_cidr range;
	size_t n_bad;
	int rc;

	ipamd->daemon = daemon;
	ipamd->bits = (unsigned)daemon->config.ipam_prefix;
	rc = jaco_cidr_parse(daemon->config.ipam_pool, &range, err);
	if (rc < 0)
		return jaco_err_wrap(err, "ipam_pool");
	rc = pool_check(range, ipamd->bits, err);
	if (rc < 0)
		return rc;
	pool_init(&ipamd->pool, range);
	rc = book_open(&ipamd->book, daemon->state_dir, err);
	if (rc < 0)
		return rc;
	rc = book_load(&ipamd->book, &ipamd->leases, &n_bad, err);
	if (rc < 0)
		return rc;
	if (n_bad)
		jaco_log_err("unreadable leases left out", KV_INT(count, n_bad),
			     KV_STR(path, daemon->state_dir));
	jaco_log_info("leases adopted", KV_INT(count, ipamd->leases.n));
	check_host(ipamd);
	jaco_timer_init(&daemon->loop, &ipamd->tick, on_tick, ipamd);
	jaco_timer_init(&daemon->loop, &ipamd->retry, on_retry, ipamd);
	jaco_timer_init(&daemon->loop, &ipamd->patience, on_patience, ipamd);
	jaco_timer_arm(&ipamd->tick, IPAMD_TICK_MS);
	say_status(ipamd);
	return 0;
}

void ipamd_cleanup(struct ipamd *ipamd)
{
	if (!ipamd->daemon)
		return;
	if (ipamd->txn)
		jaco_client_cancel(ipamd->txn);
	while (ipamd->waiters)
		unlink_waiter(ipamd, ipamd->waiters);
	jaco_timer_fini(&ipamd->tick);
	jaco_timer_fini(&ipamd->retry);
	jaco_timer_fini(&ipamd->patience);
	jaco_free(ipamd->idle);
	book_close(&ipamd->book);
	lease_fini(&ipamd->leases);
	pool_fini(&ipamd->pool);
	*ipamd = IPAMD_INIT;
}

void ipamd_metrics(void *self, struct jaco_buf *out)
{
	const struct ipamd *ipamd = self;

	jaco_metrics_value(out, "jaco_ipamd_leases", "gauge", "addresses held or in quarantine",
		    (double)ipamd->leases.n);
	jaco_metrics_value(out, "jaco_ipamd_subnets", "gauge", "subnets of the cluster",
		    (double)ipamd->pool.n);
	jaco_metrics_value(out, "jaco_ipamd_claims_total", "counter", "subnets claimed",
		    (double)ipamd->n_claimed);
	jaco_metrics_value(out, "jaco_ipamd_frees_total", "counter", "subnets freed",
		    (double)ipamd->n_freed);
	jaco_metrics_value(out, "jaco_ipamd_conflicts_total", "counter", "claims that lost a race",
		    (double)ipamd->n_conflicts);
	jaco_metrics_value(out, "jaco_ipamd_waiting_calls", "gauge",
			   "lease calls without a subnet yet", (double)ipamd->n_waiters);
}

void ipamd_facts(void *self, struct jaco_arena *arena, struct wire_daemon_status *status)
{
	const struct ipamd *ipamd = self;
	struct wire_pair *pairs = jaco_arena_alloc_n(arena, 4, sizeof(*pairs));

	pairs[0] = (struct wire_pair){"pool", ipamd->daemon->config.ipam_pool};
	pairs[1] = (struct wire_pair){"leases", jaco_arena_printf(arena, "%zu", ipamd->leases.n)};
	pairs[2] = (struct wire_pair){"subnets", jaco_arena_printf(arena, "%zu", ipamd->pool.n)};
	status->facts.v = pairs;
	status->facts.n = 3;
	if (ipamd->overlap[0])
		pairs[status->facts.n++] =
			(struct wire_pair){"overlap", jaco_arena_strdup(arena, ipamd->overlap)};
}
