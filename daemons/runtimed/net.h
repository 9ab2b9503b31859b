/* SPDX-License-Identifier: Apache-2.0
 *
 * net.h - the engine networks of this node's replicas: made as spec/runtime.md section 2.4 says,
 * removed 60 s after their last replica - at once when the subnet is not this node's any more: it
 * may be given to another network or node by then. */
#pragma once

#include <sys/queue.h>

#include "daemons/runtimed/engine.h"

#define NET_LINGER_MS (60 * 1000)

struct runtimed;
struct slot;
struct slot_lease;

struct net {
	TAILQ_ENTRY(net) entry;
	struct runtimed *rt;
	char deployment[JACO_DEPLOYMENT_MAX + 1];
	char network[JACO_NAME_MAX + 1];
	char engine_name[JACO_ENGINE_NAME_BYTES];
	char bridge[JACO_BRIDGE_NAME_BYTES];
	struct jaco_cidr subnet;
	uint32_t gateway;
	bool has_spec;  /* subnet and gateway are known */
	bool is_ready;  /* the engine has it as meant */
	bool is_used;   /* by a slot in this pass */
	int64_t idle_since_ms; /* 0: in use */
	bool is_stuck;         /* the engine did not remove it when asked */
	struct engine_call *call;
	char error[JACO_ERR_TEXT_MAX]; /* why it is not ready; "" while being made */
};

TAILQ_HEAD(net_list, net);

/* 1: ready; 0: being made, a pass follows; negative: DOCKER_ERROR with @err. */
int net_ensure(struct runtimed *rt, const char *deployment, const struct slot_lease *lease,
	       bool is_internal, struct jaco_err *err);

/* The engine's name of a network that was ensured; borrowed until the pass ends. */
const char *net_engine_name(struct runtimed *rt, const char *deployment, const char *network);

/* It is in use. */
void net_use(struct runtimed *rt, const char *deployment, const char *network);

/* Known to the engine from an earlier life. */
void net_saw(struct runtimed *rt, const struct engine_network *network);

/* The engine came back or complained: look again before the next use. */
void net_forget_ready(struct runtimed *rt);

/* End of a pass: start the linger of what nobody uses, remove what has lingered.  Returns when to
 * look again (monotonic), INT64_MAX for never. */
int64_t net_sweep(struct runtimed *rt, bool view_is_current, int64_t now_ms);
void net_fini(struct runtimed *rt);
