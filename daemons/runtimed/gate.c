/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/runtimed/gate.h"

#include "daemons/runtimed/runtimed.h"
#include "libjaco/base/str.h"

static void on_status(void *ctx, const void *reply, const struct jaco_err *err)
{
	struct gate_peer *peer = ctx;
	const struct wire_daemon_status *status = reply;
	uint64_t before = peer->revision;

	peer->rpc = NULL;
	peer->revision = !err && jaco_str_eq(status->state, "ready") ? status->revision : 0;
	if (peer->revision != before)
		runtimed_poke(peer->rt);
}

static void ask(struct gate_peer *peer, const char *name)
{
	static const struct wire_nothing nothing;

	if (!peer->is_open) {
		char path[108];

		jaco_daemon_peer_path(peer->rt->daemon, name, path);
		jaco_client_open(&peer->client, peer->rt->loop, path, NULL, NULL);
		peer->is_open = true;
	}
	if (!peer->rpc)
		peer->rpc = jaco_client_call(&peer->client, &wire_daemon_status, &nothing,
					     GATE_ASK_MS, on_status, peer);
}

static void leave(struct gate_peer *peer)
{
	if (peer->rpc)
		jaco_client_cancel(peer->rpc);
	if (peer->is_open)
		jaco_client_close(&peer->client);
	peer->rpc = NULL;
	peer->is_open = false;
	peer->revision = 0;
}

static void on_timer(struct jaco_timer *timer, void *ctx)
{
	struct runtimed *rt = ctx;

	ask(&rt->gate.firewall, "fwd-nft");
	ask(&rt->gate.dns, "dnsd");
	jaco_timer_arm(timer, GATE_ASK_MS);
}

void gate_open(struct runtimed *rt)
{
	rt->gate.firewall.rt = rt->gate.dns.rt = rt;
	jaco_timer_init(rt->loop, &rt->gate.timer, on_timer, rt);
}

void gate_close(struct runtimed *rt)
{
	leave(&rt->gate.firewall);
	leave(&rt->gate.dns);
	jaco_timer_fini(&rt->gate.timer);
}

static struct gate_state from_records(const struct runtimed *rt)
{
	const struct wire_obs_firewall *firewall =
		jaco_view_getf(rt->view, "/obs/node/%s/firewall", rt->daemon->host);
	const struct wire_obs_dns *dns =
		jaco_view_getf(rt->view, "/obs/node/%s/dns", rt->daemon->host);

	return (struct gate_state){.firewall_revision = firewall ? firewall->generation : 0,
				   .firewall_is_ready = firewall && firewall->ready,
				   .firewall_message = firewall ? firewall->message : NULL,
				   .dns_revision = dns ? dns->generation : 0};
}

struct gate_state gate_read(struct runtimed *rt)
{
	if (rt->view->is_live) {
		if (rt->gate.is_asking) {
			jaco_timer_disarm(&rt->gate.timer);
			leave(&rt->gate.firewall);
			leave(&rt->gate.dns);
			rt->gate.is_asking = false;
		}
		return from_records(rt);
	}
	if (!rt->gate.is_asking) {
		rt->gate.is_asking = true;
		jaco_timer_arm(&rt->gate.timer, 0);
	}
	return (struct gate_state){.firewall_revision = rt->gate.firewall.revision,
				   .firewall_is_ready = rt->gate.firewall.revision > 0,
				   .dns_revision = rt->gate.dns.revision};
}
