/* SPDX-License-Identifier: Apache-2.0
 *
 * fwd.c - one pass: collect, build, apply, read back, publish.
 *
 * The generation published is the store revision the view was true at, and only after the kernel
 * was read back: runtimed's ready gate waits for it, so no container starts before its rules.  A
 * failure withdraws nothing from the kernel - what is loaded goes on protecting - and is tried
 * again. */
#include "daemons/fwd-nft/fwd.h"

#include <stdlib.h>
#include <string.h>

#include "daemons/fwd-nft/drift.h"
#include "daemons/fwd-nft/engine.h"
#include "daemons/fwd-nft/selftest.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/daemon/metrics.h"

#define RETRY_MIN_MS  200
#define RETRY_MAX_MS  10000
#define CHECK_MS      20    /* gather the events of one foreign transaction; repair is due in 1 s */
#define ENGINE_MS     50    /* an engine rewrites its chains in many small steps */
#define FULL_CHECK_MS 25000 /* less than the view's pass of 30 s */
#define BUSY_MS       100   /* nftables did not stand still long enough to be read */
#define BUSY_MAX      50    /* then it is a failure */
#define LOST_MAX      256   /* addresses flushed in one pass */
#define AUDIT_MS      10000 /* deadline of the audit record */
#define DIFF_MAX      480

static void on_retry(struct jaco_timer *timer, void *ctx);
static void on_check(struct jaco_timer *timer, void *ctx);
static void on_keep(struct jaco_timer *timer, void *ctx);

/* ---- what is told ---- */

static void publish(struct fwd *fwd)
{
	struct wire_obs_firewall out = {
		.generation = fwd->generation,
		.ready = fwd->is_applied,
		.code = fwd->is_applied ? NULL : jaco_code_name(fwd->code),
		.message = fwd->is_applied ? NULL : fwd->message,
		.repairs = fwd->repairs,
		.since = fwd->since,
	};
	struct jaco_err err = JACO_ERR_INIT;

	JACO_SET(&out, obs_firewall, ready, fwd->is_applied);
	if (jaco_daemon_publish_topic(fwd->daemon, "firewall", &wire_obs_firewall_desc, &out,
				      &err) < 0)
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "not published", &err);
}

static void on_audited(void *ctx, const void *out, const struct jaco_err *err)
{
	(void)ctx;
	(void)out;
	if (err)
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "not in the audit log", err);
}

static void audit(struct fwd *fwd, enum jaco_audit_type type, const char *what)
{
	char diff[DIFF_MAX];
	struct wire_pair payload[] = {{"host", fwd->daemon->host}, {"diff", diff}};
	struct wire_audit event = {
		.type = type,
		.identity = "system:fwd-nft", /* raftd knows better */
		.time = (uint64_t)jaco_time_wall_ms(),
		.payload = {payload, JACO_ARRAY_SIZE(payload)},
	};
	struct wire_txn txn = {.audit = &event};

	(void)jaco_str_copy(diff, sizeof(diff), what); /* cut, for people */
	if (fwd->daemon->has_client)
		(void)jaco_client_call(&fwd->daemon->raftd, &wire_raftd_kv_txn, &txn, AUDIT_MS,
				       on_audited, NULL);
}

static void succeeded(struct fwd *fwd, uint64_t revision)
{
	if (!fwd->is_applied) {
		fwd->since = (uint64_t)jaco_time_wall_ms();
		jaco_log_info("firewall is in force", KV_INT(generation, revision),
			      KV_INT(count, fwd->n_subnets));
	}
	fwd->is_applied = true;
	fwd->has_failed = false;
	fwd->generation = revision;
	fwd->retry_ms = RETRY_MIN_MS;
	jaco_timer_disarm(&fwd->retry);
	jaco_daemon_set_status(fwd->daemon, "ready",
			       "%zu subnets, %zu on this host, generation %llu", fwd->n_subnets,
			       fwd->n_local, (unsigned long long)revision);
	publish(fwd);
}

static void failed(struct fwd *fwd, const struct jaco_err *err)
{
	enum jaco_code code = err->code == JACO_ISOLATION_SELF_TEST_FAILED ?
				      err->code : JACO_ISOLATION_UNAVAILABLE;

	if (!fwd->has_failed || fwd->code != code) {
		fwd->since = (uint64_t)jaco_time_wall_ms();
		JACO_LOG_FAILURE(JACO_LOG_ERR, "isolation is unavailable, no container starts here",
				 err);
		audit(fwd, JACO_AUDIT_ISOLATION_UNAVAILABLE, err->text);
	}
	fwd->is_applied = false;
	fwd->has_failed = true;
	fwd->code = code;
	(void)jaco_str_copy(fwd->message, sizeof(fwd->message), err->text); /* same size */
	jaco_daemon_set_status(fwd->daemon, "degraded", "%s: %s", jaco_code_name(code), err->text);
	publish(fwd);
	jaco_timer_arm(&fwd->retry, fwd->retry_ms);
	fwd->retry_ms = JACO_MIN(2 * fwd->retry_ms, RETRY_MAX_MS);
}

/* ---- a pass ---- */

static void keep_engine(struct fwd *fwd, const struct input *input)
{
	struct engine_want want = {.pool = input->ruleset.pool,
				   .mesh = fwd->daemon->config.wg_interface};
	struct jaco_err err = JACO_ERR_INIT;
	unsigned changed = 0;

	if (engine_assert(&fwd->nft.nl, &want, &changed, &err) < 0) {
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "engine's filter not accommodated", &err);
		jaco_timer_arm_if_idle(&fwd->keep, RETRY_MAX_MS);
		return;
	}
	fwd->engine_repairs += changed;
	if (changed)
		jaco_log_notice("engine's filter accommodated", KV_INT(count, changed));
}

static void forget_lost(struct fwd *fwd, const struct input *input)
{
	uint32_t lost[LOST_MAX];
	size_t n = input_lost(fwd->addresses, fwd->n_addresses, input->addresses,
			      input->n_addresses, lost, LOST_MAX);
	struct jaco_err err = JACO_ERR_INIT;

	if (n > 0 && fwd_forget(fwd, lost, n, &err) < 0)
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "old connections not forgotten", &err);
	jaco_free(fwd->addresses);
	fwd->n_addresses = input->n_addresses;
	fwd->addresses = input->n_addresses == 0 ? NULL :
		jaco_memdup(input->addresses, input->n_addresses * sizeof(fwd->addresses[0]));
}

/* Compare the kernel with @meant, which is what was applied already: any difference is somebody
 * else's. */
static int look_for_drift(struct fwd *fwd, const struct ruleset *meant, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf why = JACO_BUF_BOUND(4 * DIFF_MAX);
	size_t n = 0;

	if (nft_check(&fwd->nft, meant, &why, &n, err) < 0)
		return -(int)err->code;
	if (n == 0)
		return 0;
	fwd->repairs++;
	jaco_log_warning("somebody changed table inet jaco, putting it right",
			 KV_STR(reason, jaco_buf_str(&why)));
	audit(fwd, JACO_AUDIT_ISOLATION_RULESET_RECONCILED, jaco_buf_str(&why));
	return 0;
}

static int apply(struct fwd *fwd, const struct input *input, uint64_t revision, bool look,
		 struct jaco_err *err)
{
	jaco_auto(ruleset) struct ruleset desired = RULESET_INIT;
	bool was_known = fwd->nft.has_table;

	if (!was_known && nft_refresh(&fwd->nft, err) < 0)
		return -(int)err->code;
	if (ruleset_build(&desired, &input->ruleset, fwd->nft.has_table ? &fwd->nft.present : NULL,
			  err) < 0)
		return -(int)err->code;
	if (look) {
		fwd->checked = jaco_loop_now(&fwd->daemon->loop);
		if (fwd->is_applied && fwd->generation == revision) {
			if (look_for_drift(fwd, &desired, err) < 0)
				return -(int)err->code;
		} else if (nft_refresh(&fwd->nft, err) < 0) {
			return -(int)err->code;
		}
	}
	return nft_apply(&fwd->nft, &desired, err);
}

static int load(struct fwd *fwd, const struct ruleset_input *input, struct jaco_err *err)
{
	jaco_auto(ruleset) struct ruleset desired = RULESET_INIT;

	if (ruleset_build(&desired, input, &fwd->nft.present, err) < 0)
		return -(int)err->code;
	return nft_apply(&fwd->nft, &desired, err);
}

/* Once after a start, with what is loaded and two scopes of the test beside it. */
static int test_packets(struct fwd *fwd, const struct input *input, struct jaco_arena *arena,
			struct jaco_err *err)
{
	struct jaco_err undo = JACO_ERR_INIT;
	struct selftest test;
	int rc;

	if (!selftest_plan(&test, &input->ruleset, arena)) {
		jaco_log_warning("no self-test: the pool has no room for it");
		return 0;
	}
	rc = load(fwd, &test.input, err);
	if (rc >= 0)
		rc = selftest_run(&test, err);
	if (load(fwd, &input->ruleset, &undo) < 0 && rc >= 0) {
		*err = undo;
		return -(int)err->code;
	}
	if (rc >= 0)
		jaco_log_info("self-test passed");
	return rc;
}

/* @look: read the whole table first instead of trusting what we know of it. */
static void pass(struct fwd *fwd, bool look)
{
	struct jaco_view *view = &fwd->daemon->view;
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	uint64_t revision = view->revision;
	struct input input;

	if (!view->is_loaded)
		return;
	if (input_collect(&input, view, fwd->daemon->host, &fwd->daemon->config, &arena, &err) <
		    0 ||
	    apply(fwd, &input, revision, look, &err) < 0 ||
	    (fwd->is_test_due && test_packets(fwd, &input, &arena, &err) < 0)) {
		/* an engine that starts containers changes nftables all the time; what is in force
		 * stays in force, and a new generation is published only once it was read back */
		if (err.code == JACO_CONFLICT && fwd->n_busy++ < BUSY_MAX)
			jaco_timer_arm(&fwd->retry, BUSY_MS);
		else
			failed(fwd, &err);
		return;
	}
	fwd->n_busy = 0;
	fwd->is_test_due = false;
	fwd->n_subnets = input.ruleset.n_subnets;
	fwd->n_local = input.n_local;
	keep_engine(fwd, &input);
	forget_lost(fwd, &input);
	succeeded(fwd, revision);
}

void fwd_on_view(struct jaco_view *view, void *ctx)
{
	struct fwd *fwd = ctx;
	struct jaco_time now = jaco_loop_now(&fwd->daemon->loop);

	(void)view;
	pass(fwd, jaco_time_diff_ms(now, fwd->checked) >= FULL_CHECK_MS);
}

static void on_retry(struct jaco_timer *timer, void *ctx)
{
	(void)timer;
	pass(ctx, true);
}

static void on_check(struct jaco_timer *timer, void *ctx)
{
	(void)timer;
	pass(ctx, true);
}

static void on_keep(struct jaco_timer *timer, void *ctx)
{
	(void)timer;
	pass(ctx, false);
}

/* ---- foreign changes ---- */

static void on_news(struct jaco_io *io, unsigned events, void *ctx)
{
	struct fwd *fwd = ctx;
	struct watch_news news = {0};
	struct jaco_err err = JACO_ERR_INIT;

	(void)io;
	(void)events;
	if (watch_drain(&fwd->watch, &news, &err) < 0)
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "nftables monitor", &err);
	fwd->lost_notifications += news.lost;
	if (news.ours || news.lost)
		jaco_timer_arm_if_idle(&fwd->check, CHECK_MS);
	if (news.engine || news.lost)
		jaco_timer_arm_if_idle(&fwd->keep, ENGINE_MS);
}

int fwd_open(struct fwd *fwd, struct jaco_daemon *daemon, struct jaco_err *err)
{
	const char *selftest = jaco_daemon_option(daemon, "selftest");

	if (selftest && !jaco_str_eq(selftest, "packets") && !jaco_str_eq(selftest, "table"))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "--selftest=%s: table or packets",
				    selftest);
	fwd->daemon = daemon;
	fwd->is_test_due = jaco_str_eq(selftest, "packets");
	fwd->retry_ms = RETRY_MIN_MS;
	fwd->checked = jaco_loop_now(&daemon->loop);
	jaco_timer_init(&daemon->loop, &fwd->retry, on_retry, fwd);
	jaco_timer_init(&daemon->loop, &fwd->check, on_check, fwd);
	jaco_timer_init(&daemon->loop, &fwd->keep, on_keep, fwd);
	if (nft_open(&fwd->nft, err) < 0 || watch_open(&fwd->watch, fwd->nft.nl.port, err) < 0)
		return jaco_err_wrap(err, "nftables");
	jaco_io_start(&daemon->loop, &fwd->watch_io, fwd->watch.nl.fd, JACO_IO_READ, on_news, fwd);
	return 0;
}

void fwd_cleanup(struct fwd *fwd)
{
	if (!fwd)
		return;
	jaco_io_stop(&fwd->watch_io);
	jaco_timer_fini(&fwd->retry);
	jaco_timer_fini(&fwd->check);
	jaco_timer_fini(&fwd->keep);
	watch_close(&fwd->watch);
	nft_close(&fwd->nft);
	jaco_free(fwd->addresses);
	*fwd = FWD_INIT;
}

int fwd_remove(struct fwd *fwd, struct jaco_err *err)
{
	struct engine_want want = {.mesh = NULL};
	unsigned changed = 0;

	if (jaco_cidr_parse(fwd->daemon->config.ipam_pool, &want.pool, err) < 0 ||
	    engine_assert(&fwd->nft.nl, &want, &changed, err) < 0)
		return -(int)err->code;
	return nft_remove(&fwd->nft, err);
}
