/* SPDX-License-Identifier: Apache-2.0
 *
 * runtimed.c - ties the parts together: opens and closes them, and turns pokes into passes. */
#include "daemons/runtimed/runtimed.h"

#include "libjaco/base/str.h"

#define DOCKER_SOCKET "/var/run/docker.sock"
#define PODMAN_SOCKET "/run/podman/podman.sock"

#include "libjaco/wire/pass_methods.h"
#define METHOD(d, m, n, in, out, r, f) JACO_THUNK(struct runtimed, d, m, in)
#include "libjaco/wire/def/runtimed.def"
#undef METHOD
#define METHOD(d, m, n, in, out, r, f) JACO_ROW(d, m)
const struct jaco_service_row runtimed_methods[] = {
#include "libjaco/wire/def/runtimed.def"
	{NULL, NULL}};
#include "libjaco/wire/pass_end.h"

const char *const runtimed_topics[] = {
	"/cluster/meta", "/node/", "/revision/", "/replica/", "/subnet/", "/obs/node/",
	"/obs/replica/", NULL,
};

int64_t runtimed_now(const struct runtimed *rt)
{
	return jaco_loop_now(rt->loop).ns / JACO_MS;
}

void runtimed_poke(struct runtimed *rt)
{
	jaco_timer_arm(&rt->pass, 0);
}

static void on_pass(struct jaco_timer *timer, void *ctx)
{
	(void)timer;
	reconcile(ctx);
}

static void on_wake(struct jaco_timer *timer, void *ctx)
{
	(void)timer;
	reconcile(ctx);
}

void runtimed_on_view(struct jaco_view *view, void *ctx)
{
	struct runtimed *rt = ctx;
	const struct wire_cluster_meta *meta = jaco_view_get(view, "/cluster/meta");

	if (meta && !jaco_str_eq(meta->id, rt->cluster_id)) {
		/* Another cluster's containers are not ours any more: forget without touching
		 * them. */
		while (!TAILQ_EMPTY(&rt->slots))
			slot_free(TAILQ_FIRST(&rt->slots));
		jaco_str_copy(rt->cluster_id, sizeof(rt->cluster_id), meta->id);
		observe_stop(rt);
		observe_start(rt);
	}
	reconcile(rt);
}

static const char *socket_path(const struct jaco_config *config)
{
	if (config->engine_socket[0])
		return config->engine_socket;
	return jaco_str_eq(config->engine, "podman") ? PODMAN_SOCKET : DOCKER_SOCKET;
}

int runtimed_open(struct runtimed *rt, struct jaco_daemon *daemon, struct jaco_err *err)
{
	char path[108];

	(void)err;
	rt->daemon = daemon;
	rt->loop = &daemon->loop;
	rt->view = &daemon->view;
	rt->opened_ms = runtimed_now(rt);
	TAILQ_INIT(&rt->slots);
	TAILQ_INIT(&rt->nets);
	TAILQ_INIT(&rt->images);
	TAILQ_INIT(&rt->specs);
	TAILQ_INIT(&rt->streams);
	jaco_timer_init(rt->loop, &rt->pass, on_pass, rt);
	jaco_timer_init(rt->loop, &rt->wake, on_wake, rt);
	rt->engine = engine_new(rt->loop, socket_path(&daemon->config));
	rt->http = jaco_http_new(rt->loop);
	jaco_daemon_peer_path(daemon, "ipamd", path);
	jaco_client_open(&rt->ipamd, rt->loop, path, NULL, NULL);
	rt->has_ipamd = true;
	gate_open(rt);
	memory_open(rt);
	jaco_str_copy(rt->engine_error, sizeof(rt->engine_error), "not asked yet");
	jaco_daemon_set_status(daemon, "waiting", "waiting for the cluster's state");
	return 0;
}

void runtimed_cleanup(struct runtimed *rt)
{
	if (!rt->daemon)
		return;
	memory_close(rt);
	logs_stop_all(rt);
	observe_stop(rt);
	while (!TAILQ_EMPTY(&rt->slots))
		slot_free(TAILQ_FIRST(&rt->slots));
	net_fini(rt);
	image_fini(rt);
	spec_fini(&rt->specs);
	gate_close(rt);
	if (rt->has_ipamd)
		jaco_client_close(&rt->ipamd);
	jaco_http_free(rt->http);
	engine_free(rt->engine);
	jaco_timer_fini(&rt->pass);
	jaco_timer_fini(&rt->wake);
	rt->daemon = NULL;
}

void runtimed_facts(void *self, struct jaco_arena *arena, struct wire_daemon_status *status)
{
	struct runtimed *rt = self;
	const struct engine_info *info = engine_info(rt->engine);
	struct wire_pair *facts = jaco_arena_alloc_n(arena, 4, sizeof(*facts));

	facts[0] = (struct wire_pair){
		"engine",
		rt->is_engine_up
			? jaco_arena_printf(arena, "%s %s, API %u.%u",
					    info->is_podman ? "podman" : "docker",
					    info->server_version, info->api_major, info->api_minor)
			: "unavailable"};
	facts[1] = (struct wire_pair){"replicas", jaco_arena_printf(arena, "%zu", rt->n_slots)};
	facts[2] = (struct wire_pair){
		"starts", jaco_arena_printf(arena, "%llu", (unsigned long long)rt->n_starts)};
	facts[3] = (struct wire_pair){"socket", engine_socket(rt->engine)};
	status->facts.v = facts;
	status->facts.n = 4;
}

void runtimed_metrics(void *self, struct jaco_buf *out)
{
	const struct runtimed *rt = self;
	double counts[JACO_REPLICA_END] = {0};
	const struct slot *slot;

	TAILQ_FOREACH(slot, &rt->slots, entry)
		counts[slot->r.state]++;
	jaco_metrics_family(out, "jaco_runtimed_replicas", "gauge",
			    "Replicas of this node by state.");
	for (int i = 0; i < JACO_REPLICA_END; i++) {
		char label[64];

		jaco_str_format(label, sizeof(label), "state=\"%s\"",
				jaco_enum_word(&jaco_replica_state_enum, i));
		jaco_metrics_sample(out, "jaco_runtimed_replicas", label, counts[i]);
	}
	jaco_metrics_value(out, "jaco_runtimed_engine_up", "gauge",
			   "1 while the container engine answers.", rt->is_engine_up);
	jaco_metrics_value(out, "jaco_runtimed_starts_total", "counter", "Containers started.",
			   (double)rt->n_starts);
	jaco_metrics_value(out, "jaco_runtimed_restarts_total", "counter",
			   "Containers started again after they ended.", (double)rt->n_restarts);
	jaco_metrics_value(out, "jaco_runtimed_pulls_total", "counter",
			   "Image pulls, failed ones too.", (double)rt->n_pulls);
}
