/* SPDX-License-Identifier: Apache-2.0
 *
 * live.c - see live.h. */
#include "daemons/dnsd/live.h"

#include <string.h>
#include <sys/stat.h>

#include "libjaco/base/str.h"
#include "libjaco/io/fs.h"

#define DNS_PORT        53
#define RESOLV_CONF     "/etc/resolv.conf"
#define RESOLV_BYTES    65536
#define CACHE_BYTES     (10u * 1024 * 1024)
#define TCP_CONNECTIONS 256
#define TCP_IDLE_MS     10000
#define ACKS_MAX        1024 /* obs_dns.draining */

static int64_t resolv_mtime_ns(void)
{
	struct stat st;

	return stat(RESOLV_CONF, &st) == 0 ? st.st_mtim.tv_sec * JACO_S + st.st_mtim.tv_nsec : 0;
}

/* The host's own resolvers, as texts in @out. */
static size_t host_resolvers(char out[][JACO_ADDR_TEXT_BYTES])
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;
	struct jaco_addr addrs[UPSTREAMS_MAX];
	size_t n;

	if (jaco_fs_read(RESOLV_CONF, RESOLV_BYTES, &text, NULL) < 0)
		return 0;
	n = upstreams_parse_resolv(jaco_buf_str(&text), addrs, UPSTREAMS_MAX);
	for (size_t i = 0; i < n; i++)
		jaco_addr_render(out[i], &addrs[i]);
	return n;
}

static void set_upstreams(struct live *live)
{
	const struct jaco_config *config = &live->daemon->config;
	char host[UPSTREAMS_MAX][JACO_ADDR_TEXT_BYTES];
	const char *texts[JACO_CONFIG_LIST + UPSTREAMS_MAX];
	struct jaco_cidr pool;
	size_t n = 0, n_pool = jaco_cidr_parse(config->ipam_pool, &pool, NULL) == 0 ? 1 : 0;

	for (; n < config->dns_forwarders.n; n++)
		texts[n] = config->dns_forwarders.v[n];
	live->resolv_mtime_ns = 0;
	if (n == 0) {
		live->resolv_mtime_ns = resolv_mtime_ns();
		n = host_resolvers(host);
		for (size_t i = 0; i < n; i++)
			texts[i] = host[i];
	}
	dnsd_set_upstreams(&live->dnsd, texts, n, &pool, n_pool, NULL, 0,
			   config->dns_forwarder_timeout, CACHE_BYTES);
}

static void on_hold(struct jaco_timer *timer, void *ctx)
{
	struct live *live = ctx;

	jaco_view_poke(&live->daemon->view);
}

int live_open(struct live *live, struct jaco_daemon *daemon, struct jaco_err *err)
{
	const char *port = jaco_daemon_option(daemon, "port");
	uint64_t number = DNS_PORT;

	if (port && !jaco_str_to_u64(port, UINT16_MAX, &number))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "--port %s: not a port", port);
	live->port = (uint16_t)number;
	live->daemon = daemon;
	dnsd_open(&live->dnsd, &daemon->loop);
	jaco_timer_init(&daemon->loop, &live->hold, on_hold, live);
	listen_configure(live->dnsd.listen, TCP_CONNECTIONS, TCP_IDLE_MS);
	set_upstreams(live);
	return 0;
}

void live_close(struct live *live)
{
	if (!live->daemon)
		return;
	dnsd_drain(&live->dnsd);
	dnsd_close(&live->dnsd);
	jaco_timer_fini(&live->hold);
	scopes_memory_fini(&live->memory);
	jaco_arena_fini(&live->arena);
	*live = LIVE_INIT;
}

static void apply(struct live *live, const struct scopes *scopes)
{
	const struct jaco_config *config = &live->daemon->config;
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_cidr pool;
	struct zone_table_spec spec = {
		.scopes = scopes->scopes,
		.n_scopes = scopes->n_scopes,
		.alias_zone = *config->dns_alias_zone ? config->dns_alias_zone : NULL,
		.pool = &pool,
		.n_pool = jaco_cidr_parse(config->ipam_pool, &pool, NULL) == 0 ? 1 : 0,
		.serial = ++live->serial,
	};
	struct listen_want *wants =
		jaco_arena_alloc_n(&live->arena, scopes->n_listeners + 1, sizeof(*wants));
	struct zone_table *table;

	if (zone_table_build(&spec, &table, &err) < 0) {
		JACO_LOG_FAILURE(JACO_LOG_ERR, "names not taken over", &err);
		return;
	}
	for (size_t i = 0; i < scopes->n_listeners; i++) {
		const struct scopes_listener *listener = &scopes->listeners[i];

		wants[i].addr = jaco_addr_ipv4(listener->gateway, live->port);
		wants[i].zone = zone_table_find(table, listener->deployment, listener->network);
	}
	dnsd_apply(&live->dnsd, table, wants, scopes->n_listeners);
	memcpy(live->digest, scopes->digest, sizeof(live->digest));
	live->has_table = true;
	jaco_log_debug("names applied", KV_INT(count, scopes->n_scopes),
		       KV_INT(revision, live->daemon->view.revision));
}

static void set_status(struct live *live, bool is_live, size_t n_wanted)
{
	size_t n_closed = live->dnsd.n_closed;

	if (n_closed > 0)
		jaco_daemon_set_status(live->daemon, "degraded", "%zu of %zu gateways not served",
				       n_closed, n_wanted);
	else if (is_live)
		jaco_daemon_set_status(live->daemon, "ready", "serving %zu gateways", n_wanted);
	else
		jaco_daemon_set_status(
			live->daemon, "waiting",
			"waiting for raftd, serving %zu gateways from the saved view", n_wanted);
}

/* The ready gate: a revision is told only after sockets and zones reflect it (architecture.md
 * section 5).  While a gateway cannot be served the last good one stays, with the reason. */
static void publish(struct live *live, const struct jaco_view *view, const struct scopes *scopes)
{
	struct jaco_err err = JACO_ERR_INIT;
	bool is_whole = live->dnsd.n_closed == 0;
	size_t n = is_whole ? JACO_MIN(scopes->n_draining, (size_t)ACKS_MAX) : 0;
	struct wire_drain_ack *acks = jaco_arena_alloc_n(&live->arena, n + 1, sizeof(*acks));
	struct wire_obs_dns out = {.listeners = (uint32_t)listen_open_count(live->dnsd.listen),
				   .draining = {acks, n}};

	if (is_whole)
		live->generation = view->revision;
	out.generation = live->generation;
	set_status(live, view->is_live, scopes->n_listeners);
	if (!is_whole)
		out.message = live->daemon->status;
	for (size_t i = 0; i < n; i++) {
		acks[i].replica = scopes->draining[i].replica;
		acks[i].generation = scopes->draining[i].generation;
	}
	if (jaco_daemon_publish_topic(live->daemon, "dns", &wire_obs_dns_desc, &out, &err) < 0)
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "not published", &err);
}

void live_on_view(struct jaco_view *view, void *ctx)
{
	struct live *live = ctx;
	struct scopes scopes;
	int64_t now_ms = jaco_loop_now(&live->daemon->loop).ns / JACO_MS;

	if (live->resolv_mtime_ns != 0 && live->resolv_mtime_ns != resolv_mtime_ns())
		set_upstreams(live);
	jaco_arena_reset(&live->arena);
	scopes_read(view, live->daemon->host, now_ms, &live->memory, &live->arena, &scopes);
	if (!live->has_table || memcmp(live->digest, scopes.digest, sizeof(live->digest)) != 0)
		apply(live, &scopes);
	publish(live, view, &scopes);
	if (live->dnsd.n_closed > 0)
		jaco_timer_arm(&live->hold, DNSD_RETRY_MS);
	else if (scopes.hold_ms > 0)
		jaco_timer_arm(&live->hold, scopes.hold_ms);
}

void live_metrics(void *self, struct jaco_buf *out)
{
	struct live *live = self;

	stats_render(&live->dnsd.stats, out);
}

void live_reloaded(void *self)
{
	struct live *live = self;

	set_upstreams(live);
	live->has_table = false; /* the alias zone may be another one */
	jaco_view_poke(&live->daemon->view);
}

void live_facts(void *self, struct jaco_arena *arena, struct wire_daemon_status *status)
{
	struct live *live = self;
	struct wire_pair *pairs = jaco_arena_alloc_n(arena, 3, sizeof(*pairs));

	pairs[0] = (struct wire_pair){
		"gateways", jaco_arena_printf(arena, "%zu", listen_open_count(live->dnsd.listen))};
	pairs[1] = (struct wire_pair){
		"scopes",
		jaco_arena_printf(arena, "%zu",
				  live->dnsd.table ? zone_table_scopes(live->dnsd.table) : 0)};
	pairs[2] = (struct wire_pair){
		"waiting", jaco_arena_printf(arena, "%zu", forward_waiting(live->dnsd.forward))};
	status->facts = (struct wire_dict){pairs, 3};
}
