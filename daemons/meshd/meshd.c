/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/meshd/meshd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "daemons/meshd/key.h"
#include "daemons/meshd/link.h"
#include "daemons/meshd/rotate.h"
#include "daemons/meshd/source.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/io/sock.h"

#define SOON_MS         20
#define STARTING_MS     50
#define FAILED_MS       1000

#include "libjaco/wire/pass_methods.h"
#define METHOD(d, m, n, in, out, r, f) JACO_THUNK(struct meshd, d, m, in)
#include "libjaco/wire/def/meshd.def"
#undef METHOD
#define METHOD(d, m, n, in, out, r, f) JACO_ROW(d, m)
const struct jaco_service_row meshd_methods[] = {
#include "libjaco/wire/def/meshd.def"
	{NULL, NULL}};
#include "libjaco/wire/pass_end.h"

/* --- what the cluster wants --- */

static size_t count_below(const struct jaco_view *view, const char *prefix)
{
	size_t n = 0;

	for (size_t i = jaco_view_lower(view, prefix); jaco_view_below(view, i, prefix); i++)
		n++;
	return n;
}

static size_t fill_members(const struct meshd *meshd, struct jaco_arena *arena,
			   struct mesh_member **out)
{
	const struct jaco_view *view = &meshd->daemon->view;
	const struct jaco_view_entry *entry;
	struct mesh_member *members;
	size_t n = 0;

	members = jaco_arena_alloc_n(arena, count_below(view, "/node/") + 1, sizeof(*members));
	JACO_VIEW_FOREACH(view, "/node/", entry)
	{
		const struct wire_node *node = entry->msg;
		struct mesh_member *member = &members[n++];

		member->host = jaco_arena_strdup(arena, node->host);
		member->raft_id = node->raft_id;
		member->has_key =
			node->wg_public_key && key_parse(node->wg_public_key, member->key);
		member->n_endpoints = node->wg_endpoints.n;
		if (node->wg_endpoints.n) {
			const char **copy = jaco_arena_alloc_n(arena, node->wg_endpoints.n,
							       sizeof(*copy));

			for (size_t i = 0; i < node->wg_endpoints.n; i++)
				copy[i] = jaco_arena_strdup(arena, node->wg_endpoints.v[i]);
			member->endpoints = copy;
		}
	}
	*out = members;
	return n;
}

static size_t fill_subnets(const struct meshd *meshd, struct jaco_arena *arena,
			   struct mesh_subnet **out)
{
	const struct jaco_view *view = &meshd->daemon->view;
	const struct jaco_view_entry *entry;
	struct mesh_subnet *subnets;
	size_t n = 0;

	subnets = jaco_arena_alloc_n(arena, count_below(view, "/subnet/") + 1, sizeof(*subnets));
	JACO_VIEW_FOREACH(view, "/subnet/", entry)
	{
		const struct wire_subnet *subnet = entry->msg;
		struct jaco_err ignored = JACO_ERR_INIT;

		subnets[n].host = subnet->host; /* used within the pass only */
		if (jaco_cidr_parse(subnet->cidr, &subnets[n].cidr, &ignored) == 0)
			n++;
	}
	*out = subnets;
	return n;
}

static void fill_desired(struct meshd *meshd)
{
	struct jaco_daemon *daemon = meshd->daemon;
	struct mesh_member *members;
	struct mesh_subnet *subnets;
	size_t n_members = fill_members(meshd, &meshd->arena, &members);
	size_t n_subnets = fill_subnets(meshd, &meshd->arena, &subnets);

	meshd->mesh_addr = 0;
	for (size_t i = 0; i < n_members; i++)
		if (strcmp(members[i].host, daemon->host) == 0)
			meshd->mesh_addr = plan_mesh_addr(meshd->pool, members[i].raft_id, members,
							  n_members);
	meshd->desired.port = (uint16_t)daemon->config.wg_port;
	memcpy(meshd->desired.private_key, meshd->private_key, MESH_KEY_BYTES);
	plan_desired(&meshd->desired, daemon->host, meshd->pool, members, n_members, subnets,
		     n_subnets, &meshd->arena);
}

/* --- endpoints and MTU: what the pure files ask to be measured --- */

struct jaco_time meshd_heard(const struct meshd *meshd, const uint8_t *key, uint32_t mesh_addr)
{
	const struct probe_path *path = mesh_addr ? probe_find(&meshd->probe, mesh_addr) : NULL;
	struct jaco_time heard = memory_heard(&meshd->memory, key);

	return path && jaco_time_before(heard, path->heard_at) ? path->heard_at : heard;
}

static void choose_endpoints(struct meshd *meshd)
{
	struct memory_now now = {.time = jaco_loop_now(&meshd->daemon->loop),
				 .wall_ms = jaco_time_wall_ms(),
				 .stale_ms = meshd->daemon->config.wg_stale};
	uint32_t *moved = jaco_arena_alloc_n(&meshd->arena, meshd->desired.n_peers + 1,
					     sizeof(*moved));
	size_t n = memory_choose(&meshd->memory, &meshd->desired, &meshd->observed, now, moved);

	for (size_t i = 0; i < n; i++)
		probe_moved(&meshd->probe, moved[i]);
}

/* What the kernel knows of the path (ip(7), IP_MTU); 0 unknown. */
static uint32_t path_mtu(const char *endpoint)
{
	jaco_auto(jaco_fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct jaco_err ignored = JACO_ERR_INIT;
	struct jaco_addr addr;
	int mtu = 0;
	socklen_t n = sizeof(mtu);

	if (fd < 0 || jaco_addr_parse(&addr, endpoint, 0, &ignored) < 0 ||
	    connect(fd, &addr.sa, addr.n) < 0 ||
	    getsockopt(fd, IPPROTO_IP, IP_MTU, &mtu, &n) < 0 || mtu < 0)
		return 0;
	return (uint32_t)mtu;
}

/* Bridges keep theirs while a larger one is looked for. */
static uint32_t choose_mtu(struct meshd *meshd)
{
	struct mtu_shared shared = {.smallest = 0};

	if (meshd->daemon->config.wg_mtu)
		return (uint32_t)meshd->daemon->config.wg_mtu;
	for (size_t i = 0; i < meshd->desired.n_peers; i++) {
		struct mesh_peer *peer = &meshd->desired.peers[i];
		const struct mesh_peer *have = plan_find_peer(&meshd->observed, peer->key);
		const struct probe_path *path =
			peer->mesh_addr ? probe_find(&meshd->probe, peer->mesh_addr) : NULL;
		const char *endpoint = have && have->endpoint[0] ? have->endpoint
				       : peer->n_endpoints	 ? peer->endpoints[0]
								 : NULL;

		peer->ceiling = mtu_ceiling(endpoint ? path_mtu(endpoint) : 0);
		mtu_share(&shared, path ? &path->mtu : NULL, peer->ceiling);
	}
	return mtu_of_all(&shared);
}

/* --- one pass --- */

static const struct device_ops *by_config(const struct meshd *meshd, const struct link_info *link)
{
	const char *backend = meshd->daemon->config.wg_backend;

	if (strcmp(backend, "kernel") == 0)
		return &device_kernel_ops;
	if (strcmp(backend, "userspace") == 0)
		return &device_user_ops;
	/* auto: whoever has the interface already, else the kernel first */
	return link->index && strcmp(link->kind, "wireguard") != 0 ? &device_user_ops
								    : &device_kernel_ops;
}

/* 0: there; 1: being made. */
static int open_device(struct meshd *meshd, struct jaco_err *err)
{
	bool is_auto = strcmp(meshd->daemon->config.wg_backend, "auto") == 0;
	struct link_info link;
	int rc = link_find(meshd->device.name, &link, err);

	if (rc < 0)
		return rc;
	if (!meshd->device.ops)
		meshd->device.ops = by_config(meshd, &link);
	rc = meshd->device.ops->open(&meshd->device, err);
	if (rc == -JACO_UNAVAILABLE && is_auto && meshd->device.ops == &device_kernel_ops &&
	    device_user_exists()) {
		meshd->device.ops = &device_user_ops;
		rc = device_user_ops.open(&meshd->device, err);
	}
	if (rc == -JACO_UNAVAILABLE && is_auto)
		meshd->device.ops = NULL; /* look again the next time */
	return rc;
}

static int sync_link(struct meshd *meshd, struct link_info *out, struct jaco_err *err)
{
	int rc = link_find(meshd->device.name, out, err);

	if (rc < 0)
		return rc;
	if (!out->index)
		return jaco_err_set(err, JACO_UNAVAILABLE, "interface %s is gone",
				    meshd->device.name);
	meshd->mtu = choose_mtu(meshd);
	if (!out->is_up || out->mtu != meshd->mtu) {
		rc = link_set(out->index, meshd->mtu, err);
		if (rc < 0)
			return rc;
	}
	return link_set_address(out->index, meshd->mesh_addr, err);
}

static int sync_routes(struct meshd *meshd, unsigned index, struct jaco_err *err)
{
	struct mesh_route_step *steps;
	struct jaco_cidr *have = NULL;
	size_t n_have = 0, n;
	int rc = link_routes(index, &meshd->arena, &have, &n_have, err);

	if (rc < 0)
		return rc;
	n = plan_routes(&meshd->desired, have, n_have, &meshd->arena, &steps);
	for (size_t i = 0; i < n && rc >= 0; i++)
		rc = link_route(index, steps[i].cidr, steps[i].is_add, meshd->mesh_addr, err);
	meshd->n_changes += n;
	return rc;
}

/* The IPv4 address of "1.2.3.4:51820"; 0 when it has none. */
static uint32_t address_of(const char *endpoint)
{
	struct jaco_err ignored = JACO_ERR_INIT;
	struct jaco_addr addr;

	if (!endpoint[0] || jaco_addr_parse(&addr, endpoint, 0, &ignored) < 0 ||
	    addr.sa.sa_family != AF_INET)
		return 0;
	return ntohl(((const struct sockaddr_in *)&addr.sa)->sin_addr.s_addr);
}

/* The address that others are told, if it is this host's; behind NAT it is not. */
static uint32_t advertised(const struct meshd *meshd)
{
	const struct wire_node *node =
		jaco_view_getf(&meshd->daemon->view, "/node/%s", meshd->daemon->host);
	uint32_t address = node && node->wg_endpoints.n ? address_of(node->wg_endpoints.v[0]) : 0;

	return address && source_is_local(address) ? address : 0;
}

static int sync_source(struct meshd *meshd, struct jaco_err *err)
{
	uint32_t *peers =
		jaco_arena_alloc_n(&meshd->arena, meshd->observed.n_peers + 1, sizeof(*peers));
	size_t n = 0;

	for (size_t i = 0; i < meshd->observed.n_peers; i++) {
		peers[n] = address_of(meshd->observed.peers[i].endpoint);
		n += peers[n] != 0;
	}
	return source_sync(advertised(meshd), meshd->desired.port, peers, n, &meshd->arena, err);
}

static void log_steps(const struct mesh_plan *plan)
{
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_INIT;
	char *save = NULL;

	if (!jaco_log_enabled(JACO_LOG_DEBUG) || !plan->n)
		return;
	plan_mesh_render(plan, &buf);
	for (char *line = strtok_r(buf.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		jaco_log_debug("mesh", KV_STR(reason, line));
}

/* Steps although nothing was asked for: somebody else changed the device.  Another endpoint is our
 * own idea and does not count. */
static void note_repair(struct meshd *meshd, const struct mesh_plan *plan)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->n; i++)
		n += plan->steps[i].what != MESH_SET_PEER || plan->steps[i].set_keepalive ||
		     plan->steps[i].n_allowed || plan->steps[i].replace_allowed;
	if (!meshd->is_ready || n == 0 || plan_digest(&meshd->desired) != meshd->applied_digest)
		return;
	meshd->n_repairs++;
	jaco_log_notice("mesh repaired", KV_STR(iface, meshd->device.name), KV_INT(count, n));
}

static int sync_peers(struct meshd *meshd, struct jaco_err *err)
{
	struct mesh_plan plan;
	int rc = meshd->device.ops->get(&meshd->device, &meshd->arena, &meshd->observed, err);

	if (rc < 0)
		return rc;
	choose_endpoints(meshd);
	plan_peers(&plan, &meshd->desired, &meshd->observed, &meshd->arena);
	log_steps(&plan);
	if (plan.n == 0)
		return 0;
	note_repair(meshd, &plan);
	meshd->n_changes += plan.n;
	rc = meshd->device.ops->apply(&meshd->device, &plan, &meshd->desired, err);
	if (rc < 0)
		return rc;
	return meshd->device.ops->get(&meshd->device, &meshd->arena, &meshd->observed, err);
}

static int sync_all(struct meshd *meshd, struct jaco_err *err)
{
	struct link_info link;
	int rc;

	meshd->observed = (struct mesh_device){.n_peers = 0};
	jaco_arena_reset(&meshd->arena);
	fill_desired(meshd);
	rc = open_device(meshd, err);
	if (rc != 0)
		return rc;
	rc = sync_peers(meshd, err);
	if (rc >= 0)
		rc = sync_link(meshd, &link, err);
	if (rc >= 0)
		rc = sync_routes(meshd, link.index, err);
	if (rc >= 0)
		rc = sync_source(meshd, err);
	if (rc >= 0)
		rc = probe_bind(&meshd->probe, &meshd->daemon->loop, meshd->mesh_addr, err);
	return rc;
}

static void say_status(struct meshd *meshd)
{
	struct jaco_daemon *daemon = meshd->daemon;
	const char *note = daemon->view.is_live ? "" : ", waiting for raftd";

	if (meshd->is_ready)
		jaco_daemon_set_status(daemon, "ready", "%s WireGuard, %zu peers%s",
				       meshd->device.ops->name, meshd->desired.n_peers, note);
	else if (meshd->message[0])
		jaco_daemon_set_status(daemon, "degraded", "mesh unavailable: %s", meshd->message);
	else
		jaco_daemon_set_status(daemon, "waiting", "waiting for %s",
				       daemon->view.is_loaded ? "the cluster" : "raftd");
}

static void failed(struct meshd *meshd, const struct jaco_err *err)
{
	meshd->is_ready = false;
	if (strcmp(meshd->message, err->text) != 0)
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "mesh unavailable", err,
				 KV_STR(iface, meshd->device.name));
	(void)jaco_str_copy(meshd->message, sizeof(meshd->message), err->text);
	if (err->code != JACO_UNAVAILABLE)
		jaco_timer_arm(&meshd->soon, FAILED_MS);
}

static void succeeded(struct meshd *meshd)
{
	if (!meshd->is_ready)
		jaco_log_notice("mesh ready", KV_STR(iface, meshd->device.name),
				KV_STR(state, meshd->device.ops->name));
	meshd->is_ready = true;
	meshd->message[0] = '\0';
	meshd->generation = meshd->daemon->view.revision;
	meshd->applied_digest = plan_digest(&meshd->desired);
}

/* Nothing is touched before this node is known to be a member: an adopted device keeps its peers
 * while there is nothing to compare them with. */
static void pass(struct meshd *meshd)
{
	struct jaco_view *view = &meshd->daemon->view;
	struct jaco_err err = JACO_ERR_INIT;
	int rc;

	if (!view->is_loaded || !jaco_view_getf(view, "/node/%s", meshd->daemon->host)) {
		say_status(meshd);
		return;
	}
	rotate_follow(meshd);
	rc = sync_all(meshd, &err);
	if (rc < 0)
		failed(meshd, &err);
	else if (rc > 0)
		jaco_timer_arm(&meshd->soon, STARTING_MS);
	else
		succeeded(meshd);
	publish_node(meshd);
	if (rc <= 0)
		publish_mesh(meshd);
	say_status(meshd);
}

void meshd_on_view(JACO_UNUSED struct jaco_view *view, void *ctx)
{
	pass(ctx);
}

static void on_soon(JACO_UNUSED struct jaco_timer *timer, void *ctx)
{
	pass(ctx);
}

static void on_tick(struct jaco_timer *timer, void *ctx)
{
	struct meshd *meshd = ctx;

	jaco_timer_arm(timer, MESHD_TICK_MS);
	pass(meshd);
	probe_send(&meshd->probe, &meshd->desired);
}

static void on_device_lost(void *ctx)
{
	struct meshd *meshd = ctx;

	meshd->n_restarts++;
	jaco_log_warning("userspace WireGuard ended", KV_STR(iface, meshd->device.name));
	jaco_timer_arm(&meshd->soon, SOON_MS);
}

static void on_network_event(JACO_UNUSED struct jaco_io *io, JACO_UNUSED unsigned events, void *ctx)
{
	struct meshd *meshd = ctx;

	if (link_monitor_drain(meshd->monitor_fd, meshd->device.name) && meshd->is_ready)
		jaco_timer_arm_if_idle(&meshd->soon, SOON_MS);
}

/* --- methods --- */

int meshd_on_status(struct meshd *meshd, struct jaco_call *call,
		    JACO_UNUSED const struct wire_nothing *req, JACO_UNUSED struct jaco_err *err)
{
	struct wire_obs_mesh mesh;

	publish_fill(meshd, &mesh, call->arena);
	jaco_call_reply(call, &mesh);
	return 0;
}

int meshd_on_rotate_key(struct meshd *meshd, struct jaco_call *call,
			JACO_UNUSED const struct wire_nothing *req, struct jaco_err *err)
{
	struct wire_nothing nothing = {.has = 0};

	if (rotate_begin(meshd, err) < 0)
		return -(int)err->code;
	jaco_log_notice("key rotation asked for", KV_STR(identity, call->identity));
	pass(meshd);
	jaco_call_reply(call, &nothing);
	return 0;
}

/* --- life --- */

int meshd_open(struct meshd *meshd, struct jaco_daemon *daemon, struct jaco_err *err)
{
	int rc;

	meshd->daemon = daemon;
	meshd->probe = PROBE_INIT;
	meshd->device = (struct device){.loop = &daemon->loop, .on_lost = on_device_lost,
					.ctx = meshd, .child = JACO_PROC_INIT};
	if (!jaco_str_copy(meshd->device.name, sizeof(meshd->device.name),
			   daemon->config.wg_interface))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "wg_interface: name too long");
	rc = jaco_cidr_parse(daemon->config.ipam_pool, &meshd->pool, err);
	if (rc < 0)
		return jaco_err_wrap(err, "ipam_pool");
	if (meshd->pool.bits > 20)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "ipam_pool %s: /8 to /20",
				    daemon->config.ipam_pool);
	(void)jaco_str_format(meshd->key_path, sizeof(meshd->key_path), "%s/private.key",
			      daemon->state_dir);
	rc = key_load(meshd->key_path, meshd->private_key, err);
	if (rc < 0)
		return rc;
	rc = key_public(meshd->private_key, meshd->public_key, err);
	if (rc < 0)
		return rc;
	rc = rotate_open(meshd, err);
	if (rc < 0)
		return rc;
	meshd->monitor_fd = link_monitor_open(err);
	if (meshd->monitor_fd < 0)
		return meshd->monitor_fd;
	jaco_io_start(&daemon->loop, &meshd->monitor, meshd->monitor_fd, JACO_IO_READ,
		      on_network_event, meshd);
	jaco_timer_init(&daemon->loop, &meshd->soon, on_soon, meshd);
	jaco_timer_init(&daemon->loop, &meshd->tick, on_tick, meshd);
	jaco_timer_arm(&meshd->tick, MESHD_TICK_MS);
	say_status(meshd);
	return 0;
}

bool meshd_down(struct meshd *meshd)
{
	struct jaco_err ignored = JACO_ERR_INIT;

	if (!jaco_daemon_option(meshd->daemon, "down"))
		return false;
	device_user_ops.remove(&meshd->device);
	(void)source_sync(0, (uint16_t)meshd->daemon->config.wg_port, NULL, 0, &meshd->arena,
			  &ignored);
	(void)link_delete(meshd->device.name, &ignored); /* the child took it away already */
	return true;
}

void meshd_cleanup(struct meshd *meshd)
{
	if (!meshd->daemon)
		return;
	if (meshd->txn)
		jaco_client_cancel(meshd->txn);
	if (meshd->device.ops)
		meshd->device.ops->leave(&meshd->device);
	probe_close(&meshd->probe);
	jaco_io_stop(&meshd->monitor);
	jaco_fd_close(&meshd->monitor_fd);
	jaco_timer_fini(&meshd->soon);
	jaco_timer_fini(&meshd->tick);
	memory_fini(&meshd->memory);
	jaco_arena_fini(&meshd->arena);
	jaco_wipe(meshd->private_key, sizeof(meshd->private_key));
	jaco_wipe(meshd->next_private, sizeof(meshd->next_private));
	jaco_wipe(meshd->desired.private_key, sizeof(meshd->desired.private_key));
	jaco_wipe(meshd->observed.private_key, sizeof(meshd->observed.private_key));
	*meshd = MESHD_INIT;
}

void meshd_metrics(void *self, struct jaco_buf *out)
{
	const struct meshd *meshd = self;

	jaco_metrics_value(out, "jaco_meshd_ready", "gauge", "1 while the device is as wanted",
			   meshd->is_ready);
	jaco_metrics_value(out, "jaco_meshd_peers", "gauge", "other members with a key",
			   (double)meshd->desired.n_peers);
	jaco_metrics_value(out, "jaco_meshd_changes_total", "counter", "peers and routes changed",
			   (double)meshd->n_changes);
	jaco_metrics_value(out, "jaco_meshd_repairs_total", "counter",
			   "foreign changes of the device undone", (double)meshd->n_repairs);
	jaco_metrics_value(out, "jaco_meshd_restarts_total", "counter",
			   "ends of the userspace implementation", (double)meshd->n_restarts);
}

void meshd_facts(void *self, struct jaco_arena *arena, struct wire_daemon_status *status)
{
	const struct meshd *meshd = self;
	struct wire_pair *pairs = jaco_arena_alloc_n(arena, 5, sizeof(*pairs));
	char public_text[KEY_TEXT_BYTES];
	size_t n = 0;

	key_render(public_text, meshd->public_key);
	pairs[n++] = (struct wire_pair){"interface",
					jaco_arena_strdup(arena, meshd->device.name)};
	pairs[n++] = (struct wire_pair){"public_key", jaco_arena_strdup(arena, public_text)};
	pairs[n++] = (struct wire_pair){"peers",
					jaco_arena_printf(arena, "%zu", meshd->desired.n_peers)};
	pairs[n++] = (struct wire_pair){"mtu", jaco_arena_printf(arena, "%u", meshd->mtu)};
	if (meshd->device.ops)
		pairs[n++] = (struct wire_pair){"backend", meshd->device.ops->name};
	status->facts.v = pairs;
	status->facts.n = n;
}
