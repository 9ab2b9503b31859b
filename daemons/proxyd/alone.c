/* SPDX-License-Identifier: Apache-2.0
 *
 * alone.c - see alone.h. */
#include "daemons/proxyd/alone.h"

#include <signal.h>

#include "daemons/proxyd/config.h"
#include "daemons/proxyd/proxy.h"
#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/io/fs.h"
#include "libjaco/io/loop.h"
#include "libjaco/io/notify.h"

#define PEM_BYTES_MAX  (256 * 1024)
#define DRAIN_POLL_MS  100
#define DRAIN_MAX_MS   (3600 * 1000LL) /* spec/ingress.md section 6 */
#define REBIND_MS      2000

struct alone {
	const char *path;
	uint64_t generation;
	struct jaco_loop *loop;
	struct proxy proxy;
	struct jaco_signal hup, term, interrupt;
	struct jaco_timer drain, rebind;
	struct jaco_time drain_until;
	bool is_draining;
};

static uint64_t name_listener(enum config_kind kind, const char *address)
{
	return proxy_listener_id((enum listen_kind)kind, address);
}

static int read_config(const char *path, uint64_t generation, struct config *out,
		       struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;

	if (jaco_fs_read(path, CONFIG_BYTES_MAX, &text, err) < 0)
		return -(int)err->code;
	if (config_parse(jaco_buf_str(&text), text.n, generation, name_listener, out, err) < 0)
		return jaco_err_wrap(err, "%s", path);
	return 0;
}

static int load_certificates(const struct config *config, struct tls_store **out,
			     struct jaco_err *err)
{
	struct tls_store *store = config->n_certificates ? tls_store_new() : NULL;

	for (size_t i = 0; i < config->n_certificates; i++) {
		const struct config_certificate *c = &config->certificates[i];
		jaco_auto(jaco_buf) struct jaco_buf chain = JACO_BUF_INIT;
		jaco_auto(jaco_buf) struct jaco_buf key = JACO_BUF_SECRET(0);

		if (jaco_fs_read(c->cert, PEM_BYTES_MAX, &chain, err) < 0 ||
		    jaco_fs_read(c->key, PEM_BYTES_MAX, &key, err) < 0 ||
		    tls_store_add(store, jaco_buf_str(&chain), jaco_buf_str(&key), err) < 0) {
			tls_store_unref(store);
			return jaco_err_wrap(err, "certificates[%zu]", i);
		}
	}
	*out = store;
	return 0;
}

static struct worker_limits limits_of(const struct config *config)
{
	const struct config_limits *l = &config->limits;

	return (struct worker_limits){
		.client_head_ms = (uint32_t)l->head_ms, .client_idle_ms = (uint32_t)l->keepalive_ms,
		.client_body_ms = (uint32_t)l->body_ms,
		.upstream_idle_ms = (uint32_t)l->upstream_idle_ms,
		.linger_ms = (uint32_t)l->linger_ms,
	};
}

static void attach_stats(struct alone *a, struct route_table *table)
{
	for (uint32_t i = 0; i < table->n_routes; i++) {
		struct route *route = (struct route *)table->routes[i]; /* not published yet */

		route->stats = stats_route(a->proxy.stats, route->domain, route->path,
					   table->generation);
	}
	stats_prune(a->proxy.stats, proxy_oldest_generation(&a->proxy));
}

/* Make the proxy follow @config, which is consumed. */
static int follow(struct alone *a, struct config *take_config, struct jaco_err *err)
{
	struct proxy_plan plan = {.n_listeners = take_config->n_listeners};
	size_t problems;

	if (load_certificates(take_config, &plan.tls, err) < 0) {
		config_fini(take_config);
		return -(int)err->code;
	}
	plan.table = take_config->table;
	take_config->table = NULL;
	attach_stats(a, plan.table);
	plan.listeners = jaco_arena_alloc_n(&take_config->arena, plan.n_listeners + 1,
					    sizeof(*plan.listeners));
	for (size_t i = 0; i < plan.n_listeners; i++) {
		const struct config_listener *l = &take_config->listeners[i];

		plan.listeners[i].kind = (enum listen_kind)l->kind;
		(void)jaco_str_copy(plan.listeners[i].address, sizeof(plan.listeners[i].address),
				    l->address);
		plan.listeners[i].id = name_listener(l->kind, l->address);
	}
	problems = proxy_apply(&a->proxy, &plan);
	config_fini(take_config);
	jaco_notify("STATUS=generation %llu, %zu listeners failed",
		    (unsigned long long)a->generation, problems);
	if (problems)
		jaco_timer_arm(&a->rebind, REBIND_MS);
	return 0;
}

static int reload(struct alone *a, struct jaco_err *err)
{
	struct config config = CONFIG_INIT;

	if (read_config(a->path, a->generation + 1, &config, err) < 0)
		return -(int)err->code;
	a->generation++;
	return follow(a, &config, err);
}

static void on_hup(struct jaco_signal *sig, int signo, void *ctx)
{
	struct alone *a = ctx;
	struct jaco_err err = JACO_ERR_INIT;

	(void)sig;
	(void)signo;
	if (a->is_draining)
		return;
	if (reload(a, &err) < 0)
		JACO_LOG_FAILURE(JACO_LOG_ERR, "old tables kept", &err, KV_STR(path, a->path));
	else
		jaco_log_info("tables read", KV_STR(path, a->path),
			      KV_INT(generation, a->generation));
}

static void on_rebind(struct jaco_timer *timer, void *ctx)
{
	struct alone *a = ctx;
	struct jaco_err err = JACO_ERR_INIT;

	(void)timer;
	if (!a->is_draining && reload(a, &err) < 0)
		JACO_LOG_FAILURE(JACO_LOG_ERR, "old tables kept", &err, KV_STR(path, a->path));
}

static void on_drain(struct jaco_timer *timer, void *ctx)
{
	struct alone *a = ctx;

	if (proxy_is_idle(&a->proxy) || jaco_time_before(a->drain_until, jaco_time_now()))
		jaco_loop_stop(a->loop);
	else
		jaco_timer_arm(timer, DRAIN_POLL_MS);
}

/* First: finish what is under way.  Again: end now. */
static void on_term(struct jaco_signal *sig, int signo, void *ctx)
{
	struct alone *a = ctx;

	(void)sig;
	(void)signo;
	if (a->is_draining) {
		jaco_loop_stop(a->loop);
		return;
	}
	a->is_draining = true;
	a->drain_until = jaco_time_add_ms(jaco_time_now(), DRAIN_MAX_MS);
	jaco_notify("STOPPING=1");
	proxy_drain(&a->proxy);
	jaco_timer_arm(&a->drain, 0);
}

int alone_check(const char *path, struct jaco_err *err)
{
	struct config config = CONFIG_INIT;
	struct tls_store *store = NULL;
	int rc;

	if (read_config(path, 1, &config, err) < 0)
		return -(int)err->code;
	rc = load_certificates(&config, &store, err);
	tls_store_unref(store);
	config_fini(&config);
	return rc;
}

static int start(struct alone *a, struct jaco_err *err)
{
	struct config config = CONFIG_INIT;
	struct worker_limits limits;

	if (read_config(a->path, ++a->generation, &config, err) < 0)
		return -(int)err->code;
	limits = limits_of(&config);
	if (proxy_open(&a->proxy, (unsigned)config.workers, &limits, err) < 0) {
		config_fini(&config);
		return -(int)err->code;
	}
	if (follow(a, &config, err) < 0)
		return -(int)err->code;
	if (a->proxy.n_problems)
		return jaco_err_set(err, JACO_UNAVAILABLE, "%s", a->proxy.problems[0].text);
	return 0;
}

int alone_run(struct jaco_loop *loop, const char *path, struct jaco_err *err)
{
	struct alone *a = jaco_alloc(sizeof(*a));
	int rc;

	a->path = path;
	a->loop = loop;
	jaco_timer_init(loop, &a->drain, on_drain, a);
	jaco_timer_init(loop, &a->rebind, on_rebind, a);
	jaco_signal_start(loop, &a->hup, SIGHUP, on_hup, a);
	jaco_signal_start(loop, &a->term, SIGTERM, on_term, a);
	jaco_signal_start(loop, &a->interrupt, SIGINT, on_term, a);
	rc = start(a, err);
	if (rc == 0) {
		jaco_log_info("serving", KV_STR(path, path), KV_INT(count, a->proxy.n_workers));
		jaco_notify("READY=1");
		rc = jaco_loop_run(a->loop, err);
	}
	proxy_close(&a->proxy);
	jaco_timer_fini(&a->drain);
	jaco_timer_fini(&a->rebind);
	jaco_signal_stop(&a->hup);
	jaco_signal_stop(&a->term);
	jaco_signal_stop(&a->interrupt);
	jaco_free(a);
	return rc;
}
