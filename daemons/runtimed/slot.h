/* SPDX-License-Identifier: Apache-2.0
 *
 * slot.h - one replica generation on this node: what is wanted, what is seen, what is under way. */
#pragma once

#include <sys/queue.h>

#include "daemons/runtimed/engine.h"
#include "daemons/runtimed/plan.h"
#include "daemons/runtimed/replica.h"
#include "daemons/runtimed/spec.h"
#include "daemons/runtimed/words.h"

struct runtimed;
struct probe;

struct slot_lease {
	char network[JACO_NAME_MAX + 1]; /* compose name */
	uint32_t address, gateway;       /* host byte order */
	struct jaco_cidr subnet;
	char bridge[JACO_BRIDGE_NAME_BYTES];
	uint64_t revision; /* of the subnet record */
};

struct slot {
	TAILQ_ENTRY(slot) entry;
	struct runtimed *rt;

	/* who it is */
	char id[JACO_REPLICA_ID_BYTES];
	uint32_t generation;
	char deployment[JACO_DEPLOYMENT_MAX + 1];
	char service_name[JACO_NAME_MAX + 1];
	bool has_index;
	uint64_t index;

	/* what is wanted */
	enum plan_intent intent;
	uint64_t revision;
	char spec_hash[JACO_HASH_MAX + 1];
	char image[JACO_IMAGE_MAX + 1];
	uint64_t drain_until_wall_ms; /* 0: by the service's own drain time */
	int64_t drain_since_ms;       /* monotonic; 0: not draining */
	const struct spec *spec;      /* refreshed in every pass */
	const struct jaco_service *service;

	/* what is seen */
	bool has_container;
	bool is_listed;    /* c.id is in the engine's list, and not inspected yet */
	bool is_seen;      /* in the listing under way */
	bool is_planned;   /* something is known of it: it may be published */
	bool is_made_here; /* created by this process: whole, not left half-made */
	struct engine_container c;
	struct engine_call *inspect;
	bool inspect_again;
	struct health_rule rule;
	bool is_healthy_run;   /* health was begun for the present run */
	bool is_bad_counted;   /* the present unhealthiness is in the budget */
	bool is_exit_expected; /* we stopped it */
	bool is_name_taken;    /* create once more, with the generation in the name */
	bool is_exit_counted;  /* the present exit is in the budget */
	char words[WORDS_BYTES]; /* its last lines, of the run that failed last */
	struct engine_call *words_call;
	int64_t up_since_ms;   /* monotonic: running since, as far as we saw */
	int64_t image_wanted_ms; /* monotonic: when this generation began to want its image */
	struct probe *probe;

	/* what is under way */
	enum plan_step busy;
	struct engine_call *call;
	struct jaco_pending *rpc;
	size_t at; /* network the step is at */
	char step_error[JACO_ERR_TEXT_MAX];
	const char *step_code;

	size_t n_leases;
	struct slot_lease leases[JACO_NETWORKS_PER_SERVICE];
	bool has_leases;

	struct replica r;
};

TAILQ_HEAD(slot_list, slot);

struct slot *slot_find(struct runtimed *rt, const char *id, uint32_t generation);
/* By its container, inspected or only listed. */
struct slot *slot_find_container(struct runtimed *rt, const char *container_id);
struct slot *slot_new(struct runtimed *rt, const char *id, uint32_t generation);

/* Cancels what is under way. */
void slot_free(struct slot *slot);

/* The engine lists @container_id as its container: not known to this process, or not as this
 * one.  What it is an inspection will tell; until then the slot is left alone. */
void slot_listed(struct slot *slot, const char *container_id);

/* The container is there, as inspected or started. */
void slot_saw(struct slot *slot, const struct engine_container *c);

/* The container is gone. */
void slot_lost(struct slot *slot);

/* Ask the engine about its container, once more if that is being done. */
void slot_inspect(struct slot *slot);

/* The address in the first network, 0 when it has none. */
uint32_t slot_address(const struct slot *slot);

/* It has addresses of its own (not host, none or another's network). */
bool slot_needs_addresses(const struct slot *slot);
