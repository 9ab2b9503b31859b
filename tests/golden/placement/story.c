/* SPDX-License-Identifier: Apache-2.0
 *
 * story - plays a scheduling story: lines change the world, `plan` prints what schedd would write
 * and writes it, so that the next `plan` sees it.
 *
 *   now 10s                                 set or advance (+5s) the clock
 *   node n1 intent=draining labels=disk=ssd,zone=a arch=amd64 cpu=2000 unreachable no-engine ...
 *   drop node n1
 *   service shop/web replicas=3 hash=a revision=1 stop-first ...
 *   drop service shop/web
 *   observed shop-web-0 1 n1 running [code message]
 *   observed all running                    every desired generation runs
 *   acks shop-web-0 missing=1 in_flight=2 uses=1
 *   plan */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/schedd/plan.h"
#include "libjaco/base/limits.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"

#define MAX 4096

static struct jaco_arena store; /* lives as long as the story */
static struct world world;
static struct world_node nodes[MAX];
static struct world_service services[MAX];
static struct world_replica replicas[MAX];
static struct world_observed observed[MAX];
static struct world_rollout rollouts[MAX];
static struct world_counter counters[MAX];
static struct world_restart restarts[MAX];
static uint64_t revision = 100;

static void die(const char *what, const char *text)
{
	fprintf(stderr, "story: %s: %s\n", what, text);
	exit(2);
}

static uint64_t number(const char *text)
{
	uint64_t value;

	if (!jaco_str_to_u64(text, UINT64_MAX, &value))
		die("number", text);
	return value;
}

static int64_t duration(const char *text)
{
	int64_t ms;

	if (!jaco_duration_parse(text, &ms))
		die("duration", text);
	return ms;
}

static const char *const *list(char *text, size_t *out_n)
{
	const char **items = jaco_arena_alloc_n(&store, 64, sizeof(*items));
	char *save = NULL;

	*out_n = 0;
	for (char *item = strtok_r(text, ",", &save); item; item = strtok_r(NULL, ",", &save))
		items[(*out_n)++] = jaco_arena_strdup(&store, item);
	return items;
}

static void split_name(const char *text, const char **out_deployment, const char **out_name)
{
	const char *slash = strchr(text, '/');

	if (!slash)
		die("deployment/service", text);
	*out_deployment = jaco_arena_strndup(&store, text, (size_t)(slash - text));
	*out_name = jaco_arena_strdup(&store, slash + 1);
}

static void node_option(struct world_node *node, char *word)
{
	char *value = strchr(word, '=');

	if (value)
		*value++ = '\0';
	if (strcmp(word, "unreachable") == 0) {
		node->is_reachable = false;
		node->unreachable_since_ms = world.now_ms;
	} else if (strcmp(word, "reachable") == 0) {
		node->is_reachable = true;
	} else if (strcmp(word, "no-engine") == 0) {
		node->has_engine = false;
	} else if (strcmp(word, "no-isolation") == 0) {
		node->has_isolation = false;
	} else if (strcmp(word, "force") == 0) {
		node->drain_force = true;
	} else if (!value) {
		die("node option", word);
	} else if (strcmp(word, "arch") == 0) {
		node->arch = jaco_arena_strdup(&store, value);
	} else if (strcmp(word, "labels") == 0) {
		node->labels = list(value, &node->n_labels);
	} else if (strcmp(word, "intent") == 0) {
		node->intent = strcmp(value, "draining") == 0 ? WORLD_DRAINING
			       : strcmp(value, "cordoned") == 0 ? WORLD_CORDONED
								: WORLD_ACTIVE;
		node->drain_started_ms = world.now_ms;
		node->drain_progress_ms = 0;
		node->drain_left = 0;
		node->drain_code = node->drain_message = "";
	} else if (strcmp(word, "limit") == 0) {
		node->drain_limit_ms = duration(value);
	} else if (strcmp(word, "cpu") == 0) {
		node->cpu_milli = number(value);
	} else if (strcmp(word, "memory") == 0) {
		node->memory_bytes = number(value);
	} else {
		die("node option", word);
	}
}

static void do_node(char *name, char **save)
{
	struct world_node *node = world_node(&world, name);

	if (!node) {
		node = &nodes[world.n_nodes++];
		*node = (struct world_node){.name = jaco_arena_strdup(&store, name),
					    .arch = "amd64",
					    .drain_code = "",
					    .drain_message = "",
					    .drain_limit_ms = JACO_DRAIN_LIMIT_MS,
					    .has_isolation = true,
					    .has_engine = true,
					    .is_reachable = true};
	}
	for (char *word; (word = strtok_r(NULL, " ", save));)
		node_option(node, word);
}

static void rollout_option(struct world_service *service, const char *word, const char *value)
{
	if (strcmp(word, "parallel") == 0)
		service->parallel = (unsigned)number(value);
	else if (strcmp(word, "timeout") == 0)
		service->timeout_ms = duration(value);
	else if (strcmp(word, "drain") == 0)
		service->drain_ms = duration(value);
	else if (strcmp(word, "monitor") == 0)
		service->monitor_ms = duration(value);
	else if (strcmp(word, "delay") == 0)
		service->delay_ms = duration(value);
	else if (strcmp(word, "max_failure") == 0)
		service->max_failure_permille = (unsigned)number(value);
	else if (strcmp(word, "on_failure") == 0)
		service->on_failure = strcmp(value, "pause") == 0	? WORLD_PAUSE
				      : strcmp(value, "continue") == 0 ? WORLD_CONTINUE
									: WORLD_ROLLBACK;
	else
		die("service option", word);
}

static void service_option(struct world_service *service, char *word)
{
	char *value = strchr(word, '=');

	if (value)
		*value++ = '\0';
	if (strcmp(word, "stateful") == 0) {
		service->is_stateful = service->is_stop_first = true;
	} else if (strcmp(word, "reschedule") == 0) {
		service->is_rescheduled = true;
	} else if (strcmp(word, "stop-first") == 0) {
		service->is_stop_first = true;
	} else if (strcmp(word, "one-shot") == 0) {
		service->is_one_shot = true;
	} else if (!value) {
		die("service option", word);
	} else if (strcmp(word, "replicas") == 0) {
		service->replicas = (unsigned)number(value);
	} else if (strcmp(word, "per_host") == 0) {
		service->per_host = (unsigned)number(value);
	} else if (strcmp(word, "placement") == 0) {
		if (!world_placement_parse(value, &service->placement))
			die("placement", value);
	} else if (strcmp(word, "hosts") == 0) {
		service->hosts = list(value, &service->n_hosts);
	} else if (strcmp(word, "constraints") == 0) {
		service->constraints = list(value, &service->n_constraints);
	} else if (strcmp(word, "host_ports") == 0) {
		service->host_ports = list(value, &service->n_host_ports);
	} else if (strcmp(word, "platform") == 0) {
		service->platform = jaco_arena_strdup(&store, value);
	} else if (strcmp(word, "max_per_node") == 0) {
		service->max_per_node = (unsigned)number(value);
	} else if (strcmp(word, "cpu") == 0) {
		service->cpu_milli = number(value);
	} else if (strcmp(word, "memory") == 0) {
		service->memory_bytes = number(value);
	} else if (strcmp(word, "hash") == 0) {
		service->spec_hash = jaco_arena_strdup(&store, value);
	} else if (strcmp(word, "revision") == 0) {
		service->previous_revision = service->revision;
		service->revision = number(value);
	} else if (strcmp(word, "nonce") == 0) {
		service->nonce = number(value);
	} else {
		rollout_option(service, word, value);
	}
}

static void do_service(char *name, char **save)
{
	const char *deployment, *service_name;
	struct world_service *service;

	split_name(name, &deployment, &service_name);
	service = (struct world_service *)world_service(&world, deployment, service_name);
	if (!service) {
		service = &services[world.n_services++];
		*service = (struct world_service){.deployment = deployment,
						  .name = service_name,
						  .revision = 1,
						  .spec_hash = "a",
						  .image = "img",
						  .platform = "",
						  .replicas = 1,
						  .parallel = 1,
						  .timeout_ms = 60000,
						  .drain_ms = 10000,
						  .monitor_ms = 5000};
		service->previous_revision = 0;
	}
	for (char *word; (word = strtok_r(NULL, " ", save));)
		service_option(service, word);
}

#define DROP(array, n, ptr)                                                                        \
	do {                                                                                       \
		__typeof__(&(array)[0]) gone_ = (ptr);                                             \
		if (gone_)                                                                         \
			*gone_ = (array)[--(n)];                                                   \
	} while (0)

static void do_drop(char **save)
{
	const char *what = strtok_r(NULL, " ", save), *name = strtok_r(NULL, " ", save);
	const char *deployment, *service_name;

	if (strcmp(what, "node") == 0) {
		DROP(nodes, world.n_nodes, world_node(&world, name));
		return;
	}
	split_name(name, &deployment, &service_name);
	DROP(services, world.n_services,
	     (struct world_service *)world_service(&world, deployment, service_name));
}

static void observe(const char *id, uint64_t generation, const char *host, const char *state,
		    const char *code, const char *message)
{
	struct world_observed *o =
		(struct world_observed *)world_observed(&world, id, generation);

	if (!o)
		o = &observed[world.n_observed++];
	if (o->state != world_state_parse(state))
		o->since_ms = world.now_ms;
	o->id = jaco_arena_strdup(&store, id);
	o->generation = generation;
	o->host = jaco_arena_strdup(&store, host);
	o->state = world_state_parse(state);
	o->code = jaco_arena_strdup(&store, code ? code : "");
	o->message = jaco_arena_strdup(&store, message ? message : "");
	world_sort(&world, &store);
}

static void do_observed(char **save)
{
	const char *id = strtok_r(NULL, " ", save), *generation = strtok_r(NULL, " ", save);
	const char *host, *state, *code;

	if (strcmp(id, "all") == 0) {
		for (size_t i = 0; i < world.n_replicas; i++)
			if (replicas[i].now.generation)
				observe(replicas[i].id, replicas[i].now.generation,
					replicas[i].now.host, generation, NULL, NULL);
		return;
	}
	host = strtok_r(NULL, " ", save);
	state = strtok_r(NULL, " ", save);
	code = strtok_r(NULL, " ", save);
	observe(id, number(generation), host, state, code, strtok_r(NULL, "", save));
}

static void do_acks(char **save)
{
	const char *id = strtok_r(NULL, " ", save);

	for (char *word; (word = strtok_r(NULL, " ", save));) {
		char *value = strchr(word, '=');

		*value++ = '\0';
		for (size_t i = 0; i < world.n_replicas; i++) {
			if (strcmp(replicas[i].id, id) != 0)
				continue;
			if (strcmp(word, "missing") == 0)
				replicas[i].acks_missing = (unsigned)number(value);
			else if (strcmp(word, "in_flight") == 0)
				replicas[i].in_flight = (unsigned)number(value);
			else
				replicas[i].uses_missing = (unsigned)number(value);
		}
	}
}

static struct world_shape keep_shape(struct world_shape shape)
{
	shape.host = jaco_arena_strdup(&store, shape.host ? shape.host : "");
	shape.spec_hash = jaco_arena_strdup(&store, shape.spec_hash ? shape.spec_hash : "");
	shape.image = jaco_arena_strdup(&store, shape.image ? shape.image : "");
	return shape;
}

static struct world_replica *find_replica(const char *id)
{
	for (size_t i = 0; i < world.n_replicas; i++)
		if (strcmp(replicas[i].id, id) == 0)
			return &replicas[i];
	return NULL;
}

static void keep_replica(const struct world_replica *from)
{
	struct world_replica *to = find_replica(from->id);
	unsigned uses = to ? to->uses_missing : 0, acks = to ? to->acks_missing : 0;

	if (!to)
		to = &replicas[world.n_replicas++];
	*to = *from;
	to->id = jaco_arena_strdup(&store, from->id);
	to->now = keep_shape(from->now);
	to->old = keep_shape(from->old);
	to->code = jaco_arena_strdup(&store, from->code);
	to->message = jaco_arena_strdup(&store, from->message);
	to->mod = ++revision;
	to->uses_missing = uses;
	to->acks_missing = acks;
	world_sort(&world, &store);
}

static void keep_node(const struct world_node *from)
{
	struct world_node *to = world_node(&world, from->name);

	*to = *from;
	to->drain_code = jaco_arena_strdup(&store, from->drain_code);
	to->drain_message = jaco_arena_strdup(&store, from->drain_message);
}

static void keep_rollout(const struct world_rollout *from)
{
	struct world_rollout *to =
		(struct world_rollout *)world_rollout(&world, from->deployment, from->service);

	if (!to)
		to = &rollouts[world.n_rollouts++];
	*to = *from;
	to->code = jaco_arena_strdup(&store, from->code);
	to->message = jaco_arena_strdup(&store, from->message);
	to->mod = ++revision;
	world_sort(&world, &store);
}

static void write_op(const struct plan_op *op)
{
	switch (op->what) {
	case PLAN_PUT_REPLICA:
		keep_replica(&op->replica);
		break;
	case PLAN_DROP_REPLICA:
		DROP(replicas, world.n_replicas, find_replica(op->replica.id));
		break;
	case PLAN_PUT_COUNTER: {
		struct world_counter *to = (struct world_counter *)world_counter(
			&world, op->counter.deployment, op->counter.service);

		if (!to)
			to = &counters[world.n_counters++];
		*to = op->counter;
		break;
	}
	case PLAN_PUT_ROLLOUT:
		keep_rollout(&op->rollout);
		break;
	case PLAN_DROP_ROLLOUT:
		DROP(rollouts, world.n_rollouts,
		     (struct world_rollout *)world_rollout(&world, op->rollout.deployment,
							   op->rollout.service));
		break;
	case PLAN_PUT_RESTART:
		restarts[world.n_restarts++] = op->restart;
		break;
	case PLAN_DROP_RESTART:
		DROP(restarts, world.n_restarts,
		     (struct world_restart *)world_restart(&world, op->restart.replica));
		break;
	case PLAN_PUT_NODE:
		keep_node(&op->node);
		break;
	case PLAN_ROLLBACK:
	case PLAN_AUDIT:
		break;
	}
	world_sort(&world, &store);
}

static void do_plan(void)
{
	struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_buf buf = JACO_BUF_INIT;
	struct plan plan;

	plan_make(&plan, &world, &arena);
	plan_render(&plan, &buf);
	printf("t=%" PRId64 "ms%s\n%s", world.now_ms, plan.n ? "" : " nothing to do",
	       jaco_buf_str(&buf));
	for (size_t i = 0; i < plan.n; i++)
		write_op(&plan.ops[i]);
	jaco_buf_fini(&buf);
	jaco_arena_fini(&arena);
}

static void play(char *line)
{
	char *save = NULL, *verb = strtok_r(line, " ", &save);

	if (!verb || verb[0] == '#')
		return;
	if (strcmp(verb, "now") == 0) {
		char *when = strtok_r(NULL, " ", &save);

		world.now_ms = when[0] == '+' ? world.now_ms + duration(when + 1) : duration(when);
	} else if (strcmp(verb, "reschedule_after") == 0) {
		world.reschedule_after_ms = duration(strtok_r(NULL, " ", &save));
	} else if (strcmp(verb, "node") == 0) {
		do_node(strtok_r(NULL, " ", &save), &save);
	} else if (strcmp(verb, "service") == 0) {
		do_service(strtok_r(NULL, " ", &save), &save);
	} else if (strcmp(verb, "drop") == 0) {
		do_drop(&save);
	} else if (strcmp(verb, "observed") == 0) {
		do_observed(&save);
	} else if (strcmp(verb, "acks") == 0) {
		do_acks(&save);
	} else if (strcmp(verb, "plan") == 0) {
		do_plan();
	} else {
		die("unknown verb", verb);
	}
	world_sort(&world, &store);
}

int main(int argc, char **argv)
{
	FILE *file = argc == 2 ? fopen(argv[1], "re") : NULL;
	char line[4096];

	if (!file)
		die("usage", "story FILE");
	world = (struct world){.now_ms = 1000,
			       .reschedule_after_ms = 60000,
			       .nodes = nodes,
			       .services = services,
			       .replicas = replicas,
			       .observed = observed,
			       .rollouts = rollouts,
			       .counters = counters,
			       .restarts = restarts};
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		play(line);
	}
	fclose(file);
	jaco_arena_fini(&store);
	return 0;
}
