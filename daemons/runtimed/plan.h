/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.h - what to do next for one replica generation, and what to say about it.
 *
 * Pure: (memory, facts, now) -> one step, a state and its reason.  The acting half gathers the
 * facts, takes the step, and asks again when anything changes; asking twice is harmless.  Order of
 * a start: addresses, networks, image, container, ready gate, start - so that everything slow is
 * behind us when the firewall and DNS are ready, and no process runs before they are. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/runtimed/engine_types.h"
#include "daemons/runtimed/replica.h"
#include "libjaco/model/manifest/service.h"

enum plan_intent {
	PLAN_RUN,
	PLAN_DRAIN,  /* drain, then stop; the container stays until the record goes */
	PLAN_REMOVE, /* no record names it any more */
};

enum plan_image {
	PLAN_IMAGE_UNKNOWN,
	PLAN_IMAGE_ABSENT,
	PLAN_IMAGE_PRESENT,
};

/* What is true now.  Texts are borrowed; NULL means there is nothing to say. */
struct plan_facts {
	enum plan_intent intent;
	bool view_is_current; /* false: from the saved view; nothing is removed then */
	bool engine_is_up;
	const char *engine_error;
	const char *spec_error;  /* the manifest could not be read; NULL: it is here */
	bool has_spec;
	const char *unmet;       /* depends_on that does not hold yet: "db (service_healthy)" */

	bool needs_addresses;
	bool has_addresses;
	bool has_networks;
	const char *step_error; /* why the last lease, network or create step failed */
	const char *step_code;  /* static */

	enum plan_image image;
	enum jaco_pull_policy pull_policy;
	bool is_pulled;          /* since this generation was placed */
	const char *pull_error;
	const char *pull_progress;

	uint64_t gate_revision;     /* of the newest subnet record it uses; 0: no gate */
	uint64_t firewall_revision; /* applied on this node */
	uint64_t dns_revision;
	bool firewall_is_ready;

	bool has_container;
	bool is_spec_different; /* the container was made from another spec */
	enum engine_container_state container;
	bool is_inspected; /* exit code is known */
	int exit_code;
	bool oom_killed;
	const char *container_error;
	const char *last_words; /* what it wrote last, when it failed */

	bool is_one_shot;
	bool restarts_on_failure_only; /* exit 0 is an end, too */
	uint32_t restart_budget;
	bool is_drained;           /* nobody sends it anything any more */
	int64_t drain_deadline_ms; /* monotonic */
};

enum plan_step {
	PLAN_NOTHING,  /* wait */
	PLAN_LEASE,    /* addresses from ipamd */
	PLAN_NETWORKS, /* engine networks */
	PLAN_LOOK,     /* is the image here? */
	PLAN_PULL,
	PLAN_CREATE,
	PLAN_START,
	PLAN_RESTART, /* stop, then start again */
	PLAN_STOP,
	PLAN_DELETE,  /* the container */
	PLAN_FORGET,  /* nothing is left: release addresses, withdraw the record */
	PLAN_STEP_END
};

const char *plan_step_name(enum plan_step step);

struct plan_decision {
	enum plan_step step;
	enum jaco_replica_state state;
	struct replica_reason reason;
};

void plan_next(const struct replica *r, const struct plan_facts *facts, int64_t now_ms,
	       struct plan_decision *out_decision);

/* The budget of a service (spec/scheduling.md section 5). */
uint32_t plan_restart_budget(const struct jaco_service *service);

/* Whether an exit with @code ends the service for good. */
bool plan_is_final_exit(const struct plan_facts *facts, int exit_code);
