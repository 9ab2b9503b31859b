/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/runtimed/net.h"

#include "daemons/runtimed/runtimed.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

static struct net *find(struct runtimed *rt, const char *deployment, const char *network)
{
	struct net *net;

	TAILQ_FOREACH(net, &rt->nets, entry)
		if (jaco_str_eq(net->deployment, deployment) && jaco_str_eq(net->network, network))
			return net;
	return NULL;
}

static struct net *get(struct runtimed *rt, const char *deployment, const char *network,
		       const char *engine_name)
{
	struct net *net = find(rt, deployment, network);

	if (net)
		return net;
	net = jaco_alloc(sizeof(*net));
	net->rt = rt;
	jaco_str_copy(net->deployment, sizeof(net->deployment), deployment);
	jaco_str_copy(net->network, sizeof(net->network), network);
	jaco_str_copy(net->engine_name, sizeof(net->engine_name), engine_name);
	TAILQ_INSERT_TAIL(&rt->nets, net, entry);
	return net;
}

static void drop(struct net *net)
{
	engine_cancel(net->call);
	TAILQ_REMOVE(&net->rt->nets, net, entry);
	jaco_free(net);
}

static struct create_network_spec spec_of(const struct net *net)
{
	const struct wire_obs_mesh *mesh =
		jaco_view_getf(net->rt->view, "/obs/node/%s/mesh", net->rt->daemon->host);

	return (struct create_network_spec){.cluster_id = net->rt->cluster_id,
					    .deployment = net->deployment,
					    .network = net->network,
					    .engine_name = net->engine_name,
					    .bridge = net->bridge,
					    .subnet = net->subnet,
					    .gateway = net->gateway,
					    .mtu = mesh ? mesh->mtu : 0};
}

static void give_up(struct net *net, const struct jaco_err *err)
{
	jaco_str_copy(net->error, sizeof(net->error), err->text);
	runtimed_poke(net->rt);
}

static void on_created(void *ctx, const struct jaco_err *err)
{
	struct net *net = ctx;

	net->call = NULL;
	if (err) {
		give_up(net, err);
		return;
	}
	jaco_log_info("network created", KV_STR(network, net->engine_name),
		      KV_STR(iface, net->bridge));
	net->is_ready = true;
	runtimed_poke(net->rt);
}

static void create(struct net *net)
{
	struct create_network_spec spec = spec_of(net);

	net->call = engine_network_create(net->rt->engine, &spec, on_created, net);
}

static void on_wrong_removed(void *ctx, const struct jaco_err *err)
{
	struct net *net = ctx;

	net->call = NULL;
	if (err)
		give_up(net, err);
	else
		create(net);
}

static void on_inspected(void *ctx, const struct engine_network *found, const struct jaco_err *err)
{
	struct net *net = ctx;
	struct create_network_spec spec = spec_of(net);
	struct jaco_err why = JACO_ERR_INIT;
	const char *what;

	net->call = NULL;
	if (err) {
		give_up(net, err);
		return;
	}
	if (!found) {
		create(net);
		return;
	}
	/* A bridge keeps the MTU it was made with: no reason to stop a start. */
	if (create_network_matches(&spec, found, &what) ||
	    (jaco_str_eq(what, "mtu") && found->n_containers > 0)) {
		net->is_ready = true;
		runtimed_poke(net->rt);
		return;
	}
	if (found->n_containers == 0 && jaco_str_eq(found->cluster_id, spec.cluster_id)) {
		jaco_log_notice("network made anew", KV_STR(network, net->engine_name),
				KV_STR(reason, what));
		net->call = engine_network_remove(net->rt->engine, net->engine_name,
						  on_wrong_removed, net);
		return;
	}
	jaco_err_set(&why, JACO_DOCKER_ERROR,
		     "engine network %s exists with another %s and is in use: remove it",
		     net->engine_name, what);
	give_up(net, &why);
}

/* A network that exists keeps the name it was made with, whatever it has become since. */
static struct net *get_or_name(struct runtimed *rt, const char *deployment, const char *network,
			       bool is_internal)
{
	char name[JACO_ENGINE_NAME_BYTES];

	(void)jaco_engine_network_name_render(name, deployment, network, is_internal);
	return get(rt, deployment, network, name);
}

int net_ensure(struct runtimed *rt, const char *deployment, const struct slot_lease *lease,
	       bool is_internal, struct jaco_err *err)
{
	struct net *net = get_or_name(rt, deployment, lease->network, is_internal);
	bool is_same = net->has_spec && jaco_cidr_eq(net->subnet, lease->subnet) &&
		       net->gateway == lease->gateway && jaco_str_eq(net->bridge, lease->bridge);

	if (net->call)
		return 0;
	if (is_same && net->is_ready)
		return 1;
	if (net->error[0]) {
		jaco_err_set(err, JACO_DOCKER_ERROR, "%s", net->error);
		net->error[0] = '\0'; /* told once; the caller's back-off leads to another try */
		return -(int)err->code;
	}
	net->subnet = lease->subnet;
	net->gateway = lease->gateway;
	jaco_str_copy(net->bridge, sizeof(net->bridge), lease->bridge);
	net->has_spec = true;
	net->is_ready = false;
	net->call = engine_network_inspect(rt->engine, net->engine_name, on_inspected, net);
	return 0;
}

const char *net_engine_name(struct runtimed *rt, const char *deployment, const char *network)
{
	return get_or_name(rt, deployment, network, false)->engine_name;
}

void net_use(struct runtimed *rt, const char *deployment, const char *network)
{
	struct net *net = find(rt, deployment, network);

	if (net)
		net->is_used = true;
}

void net_saw(struct runtimed *rt, const struct engine_network *network)
{
	if (network->deployment[0] && network->network[0])
		(void)get(rt, network->deployment, network->network, network->name);
}

void net_forget_ready(struct runtimed *rt)
{
	struct net *net;

	TAILQ_FOREACH(net, &rt->nets, entry)
		net->is_ready = false;
}

static void on_removed(void *ctx, const struct jaco_err *err)
{
	struct net *net = ctx;

	net->call = NULL;
	if (err && err->code != JACO_CONFLICT)
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "network not removed", err,
				 KV_STR(network, net->engine_name));
	if (err) { /* or somebody attached a container of theirs to it: once more in a minute */
		net->idle_since_ms = runtimed_now(net->rt);
		net->is_stuck = true;
		return;
	}
	jaco_log_info("network removed", KV_STR(network, net->engine_name));
	drop(net);
}

static bool has_subnet(const struct net *net)
{
	const struct runtimed *rt = net->rt;

	return !rt->is_put_out && jaco_view_getf(rt->view, "/subnet/%s/%s/%s", net->deployment,
						 net->network, rt->daemon->host);
}

int64_t net_sweep(struct runtimed *rt, bool view_is_current, int64_t now_ms)
{
	int64_t wake = INT64_MAX;
	struct net *net, *next;

	for (net = TAILQ_FIRST(&rt->nets); net; net = next) {
		int64_t due;

		next = TAILQ_NEXT(net, entry);
		if (net->is_used || net->call)
			net->idle_since_ms = 0;
		else if (net->idle_since_ms == 0)
			net->idle_since_ms = now_ms;
		net->is_used = false;
		if (net->idle_since_ms == 0 || !view_is_current || !rt->is_engine_up)
			continue;
		due = net->idle_since_ms + (has_subnet(net) || net->is_stuck ? NET_LINGER_MS : 0);
		if (now_ms >= due) {
			net->is_ready = false;
			net->call = engine_network_remove(rt->engine, net->engine_name, on_removed,
							  net);
		} else {
			wake = JACO_MIN(wake, due);
		}
	}
	return wake;
}

void net_fini(struct runtimed *rt)
{
	struct net *net;

	while ((net = TAILQ_FIRST(&rt->nets)))
		drop(net);
}
