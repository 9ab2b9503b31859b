/* SPDX-License-Identifier: Apache-2.0
 *
 * live.c - see live.h. */
#include "daemons/proxyd/live.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libjaco/base/log.h"
#include "libjaco/base/str.h"
#include "libjaco/io/fs.h"

#define RETRY_MS        2000
#define DRAIN_POLL_MS   200
#define STOP_MAX_MS     5000
#define STOP_POLL_US    20000
#define PEM_BYTES_MAX   (256 * 1024)
#define ACKS_MAX        1024  /* obs_ingress.draining */
#define SERVING_MAX     10000 /* obs_ingress.serving */
#define LISTENERS_MAX   64    /* obs_ingress.listeners */

static void on_again(struct jaco_timer *timer, void *ctx)
{
	struct live *live = ctx;

	(void)timer;
	jaco_view_poke(&live->daemon->view);
}

int live_open(struct live *live, struct jaco_daemon *daemon, struct jaco_err *err)
{
	(void)err;
	live->daemon = daemon;
	live->arena = JACO_ARENA_INIT;
	jaco_timer_init(&daemon->loop, &live->again, on_again, live);
	return 0;
}

int live_start(struct live *live, struct jaco_err *err)
{
	if (proxy_open(&live->proxy, 0, &proxy_default_limits, err) < 0)
		return -(int)err->code;
	live->is_started = true;
	return 0;
}

void live_close(struct live *live)
{
	if (!live->daemon)
		return;
	if (live->is_started) {
		struct jaco_time until = jaco_time_add_ms(jaco_time_now(), STOP_MAX_MS);

		proxy_drain(&live->proxy);
		while (!proxy_is_idle(&live->proxy) && jaco_time_before(jaco_time_now(), until))
			usleep(STOP_POLL_US);
	}
	proxy_close(&live->proxy);
	jaco_timer_fini(&live->again);
	jaco_arena_fini(&live->arena);
	*live = LIVE_INIT;
}

/* --- certificates --- */

static int64_t newest_mtime_ns(const struct tables *tables)
{
	int64_t newest = 0;

	for (size_t i = 0; i < tables->n_certificates; i++) {
		struct stat st;

		if (stat(tables->certificates[i].cert, &st) == 0)
			newest = JACO_MAX(newest, st.st_mtim.tv_sec * JACO_S + st.st_mtim.tv_nsec);
	}
	return newest;
}

static struct tls_store *load_certificates(const struct tables *tables)
{
	struct tls_store *store = tables->n_certificates ? tls_store_new() : NULL;

	for (size_t i = 0; i < tables->n_certificates; i++) {
		const struct tables_certificate *c = &tables->certificates[i];
		jaco_auto(jaco_buf) struct jaco_buf chain = JACO_BUF_INIT;
		jaco_auto(jaco_buf) struct jaco_buf key = JACO_BUF_SECRET(0);
		struct jaco_err err = JACO_ERR_INIT;

		if (jaco_fs_read(c->cert, PEM_BYTES_MAX, &chain, &err) < 0 ||
		    jaco_fs_read(c->key, PEM_BYTES_MAX, &key, &err) < 0 ||
		    tls_store_add(store, jaco_buf_str(&chain), jaco_buf_str(&key), &err) < 0)
			JACO_LOG_FAILURE(JACO_LOG_ERR, "certificate not taken over", &err,
					 KV_STR(path, c->cert));
	}
	return store;
}

/* --- listeners --- */

static uint64_t name_port(enum tables_protocol protocol, const char *address)
{
	return proxy_listener_id(protocol == TABLES_UDP ? LISTEN_UDP : LISTEN_TCP, address);
}

static void add_listener(struct proxy_plan *plan, enum listen_kind kind, const char *address)
{
	struct proxy_listener *l;

	if (strcmp(address, "off") == 0)
		return;
	l = &plan->listeners[plan->n_listeners++];
	l->kind = kind;
	(void)jaco_str_copy(l->address, sizeof(l->address), address);
	l->id = proxy_listener_id(kind, address);
}

static void add_listeners(struct live *live, const struct tables *tables, struct proxy_plan *plan)
{
	const struct jaco_config *config = &live->daemon->config;

	plan->listeners = jaco_arena_alloc_n(&live->arena,
					     tables->n_ports + 2 * (size_t)JACO_CONFIG_LIST,
					     sizeof(*plan->listeners));
	for (size_t i = 0; i < config->ingress_http_addr.n; i++)
		add_listener(plan, LISTEN_HTTP, config->ingress_http_addr.v[i]);
	for (size_t i = 0; plan->tls && i < config->ingress_https_addr.n; i++)
		add_listener(plan, LISTEN_HTTPS, config->ingress_https_addr.v[i]);
	for (size_t i = 0; i < tables->n_ports; i++)
		add_listener(plan,
			     tables->ports[i].protocol == TABLES_UDP ? LISTEN_UDP : LISTEN_TCP,
			     tables->ports[i].address);
}

/* --- applying --- */

static size_t read_trusted(struct live *live, struct netmatch *out)
{
	const struct jaco_config_list *list = &live->daemon->config.ingress_trusted_proxies;
	struct jaco_err err = JACO_ERR_INIT;
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		if (netmatch_parse(list->v[i], &out[n], &err) == 0)
			n++;
	return n;
}

static void attach_stats(struct live *live, struct route_table *table)
{
	for (uint32_t i = 0; i < table->n_routes; i++) {
		struct route *route = (struct route *)table->routes[i]; /* not published yet */

		route->stats = stats_route(live->proxy.stats, route->domain, route->path,
					   table->generation);
	}
	stats_prune(live->proxy.stats, proxy_oldest_generation(&live->proxy));
}

static void apply(struct live *live, const struct jaco_view *view, const struct tables *tables)
{
	struct netmatch trusted[JACO_CONFIG_LIST];
	size_t n_trusted = read_trusted(live, trusted);
	struct jaco_err err = JACO_ERR_INIT;
	struct proxy_plan plan = {.tls = load_certificates(tables)};

	plan.table = tables_build(view, tables, live->daemon->host, trusted, n_trusted,
				  ++live->generation, name_port, &live->n_rejected, &err);
	if (live->n_rejected)
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "routes not taken over", &err,
				 KV_INT(count, live->n_rejected));
	attach_stats(live, plan.table);
	add_listeners(live, tables, &plan);
	jaco_log_debug("tables applied", KV_INT(generation, live->generation),
		       KV_INT(count, plan.table->n_routes), KV_INT(revision, view->revision));
	(void)proxy_apply(&live->proxy, &plan);
	memcpy(live->digest, tables->digest, sizeof(live->digest));
	live->certificates_mtime_ns = newest_mtime_ns(tables);
	live->has_table = true;
}

/* --- telling --- */

static size_t list_problems(struct live *live, struct wire_port_problem *out)
{
	size_t n = 0;

	for (size_t i = 0; i < live->proxy.n_problems && n < ACKS_MAX; i++) {
		const struct proxy_problem *p = &live->proxy.problems[i];
		struct jaco_addr addr;

		if (jaco_addr_parse(&addr, p->listener.address, 0, NULL) < 0)
			continue;
		out[n++] = (struct wire_port_problem){
			.port = jaco_addr_port(&addr),
			.protocol = p->listener.kind == LISTEN_UDP ? JACO_PROTOCOL_UDP
								   : JACO_PROTOCOL_TCP,
			.code = p->sys_errno == EADDRINUSE ? "port_in_use" : "port_unavailable",
			.message = p->text,
		};
	}
	return n;
}

static void set_status(struct live *live, bool is_live)
{
	size_t n_routes = live->proxy.n_routes;

	if (live->proxy.n_problems)
		jaco_daemon_set_status(live->daemon, "degraded", "%zu routes; %s", n_routes,
				       live->proxy.problems[0].text);
	else if (is_live)
		jaco_daemon_set_status(live->daemon, "ready", "serving %zu routes", n_routes);
	else
		jaco_daemon_set_status(live->daemon, "waiting",
				       "waiting for raftd, serving %zu routes from the saved view",
				       n_routes);
}

/* The workers have the table once they answer a call: tasks run in order. */
static bool publish(struct live *live, const struct jaco_view *view, const struct tables *tables)
{
	struct jaco_err err = JACO_ERR_INIT;
	size_t n_draining = JACO_MIN(tables->n_draining, (size_t)ACKS_MAX);
	size_t n_serving = JACO_MIN(tables->n_serving, (size_t)SERVING_MAX);
	struct wire_drain_ack *draining =
		jaco_arena_alloc_n(&live->arena, n_draining + 1, sizeof(*draining));
	struct wire_drain_ack *serving =
		jaco_arena_alloc_n(&live->arena, n_serving + 1, sizeof(*serving));
	struct wire_port_problem *problems = jaco_arena_alloc_n(
		&live->arena, JACO_MIN(live->proxy.n_problems, (size_t)ACKS_MAX) + 1,
		sizeof(*problems));
	const char **listeners =
		jaco_arena_alloc_n(&live->arena, LISTENERS_MAX, sizeof(*listeners));
	struct wire_obs_ingress out = {.generation = view->revision};
	bool is_draining = false;

	proxy_sync(&live->proxy);
	for (size_t i = 0; i < n_draining; i++) {
		const struct tables_replica *r = &tables->draining[i];

		draining[i].replica = r->id;
		draining[i].generation = r->generation;
		draining[i].in_flight =
			r->has_ip ? (uint32_t)proxy_in_flight(&live->proxy, &r->ip) : 0;
		is_draining |= draining[i].in_flight > 0;
	}
	for (size_t i = 0; i < n_serving; i++) {
		serving[i].replica = tables->serving[i].id;
		serving[i].generation = tables->serving[i].generation;
	}
	out.draining.v = draining;
	out.draining.n = n_draining;
	out.serving.v = serving;
	out.serving.n = n_serving;
	out.problems.v = problems;
	out.problems.n = list_problems(live, problems);
	out.listeners.v = listeners;
	out.listeners.n = proxy_addresses(&live->proxy, listeners, LISTENERS_MAX);
	live->applied_revision = view->revision;
	set_status(live, view->is_live);
	if (jaco_daemon_publish_topic(live->daemon, "ingress", &wire_obs_ingress_desc, &out, &err) <
	    0)
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "not published", &err);
	return is_draining;
}

void live_on_view(struct jaco_view *view, void *ctx)
{
	struct live *live = ctx;
	struct tables tables;

	if (!live->is_started)
		return;
	jaco_arena_reset(&live->arena);
	tables_read(view, live->daemon->host, &live->arena, &tables);
	if (!live->has_table || live->proxy.n_problems ||
	    memcmp(live->digest, tables.digest, sizeof(live->digest)) != 0 ||
	    newest_mtime_ns(&tables) != live->certificates_mtime_ns)
		apply(live, view, &tables);
	if (publish(live, view, &tables))
		jaco_timer_arm(&live->again, DRAIN_POLL_MS);
	else if (live->proxy.n_problems)
		jaco_timer_arm(&live->again, RETRY_MS);
}

void live_metrics(void *self, struct jaco_buf *out)
{
	struct live *live = self;

	if (live->is_started)
		proxy_metrics(&live->proxy, out);
}

void live_facts(void *self, struct jaco_arena *arena, struct wire_daemon_status *status)
{
	struct live *live = self;
	struct wire_pair *pairs = jaco_arena_alloc_n(arena, 4, sizeof(*pairs));

	pairs[0] =
		(struct wire_pair){"routes", jaco_arena_printf(arena, "%zu", live->proxy.n_routes)};
	pairs[1] = (struct wire_pair){"workers",
				      jaco_arena_printf(arena, "%u", live->proxy.n_workers)};
	pairs[2] = (struct wire_pair){"port_problems",
				      jaco_arena_printf(arena, "%zu", live->proxy.n_problems)};
	pairs[3] = (struct wire_pair){"routes_rejected",
				      jaco_arena_printf(arena, "%zu", live->n_rejected)};
	status->facts = (struct wire_dict){pairs, 4};
}
