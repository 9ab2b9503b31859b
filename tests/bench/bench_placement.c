/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_placement [nodes services replicas] - time of one plan: everything new, then nothing to do.
 * Recorded, never asserted (spec/scheduling.md section 8: 200 ms and 5 ms at 1000 nodes, 20,000
 * replicas). */
#include <stdio.h>
#include <string.h>

#include "daemons/schedd/plan.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"

static double ms_since(struct jaco_time start)
{
	return (double)(jaco_time_now().ns - start.ns) / JACO_MS;
}

static uint64_t arg(int argc, char **argv, int i, uint64_t fallback)
{
	uint64_t value = fallback;

	if (i < argc && !jaco_str_to_u64(argv[i], 1000000, &value))
		fprintf(stderr, "%s: not a number, %llu taken\n", argv[i],
			(unsigned long long)fallback);
	return value;
}

static void build(struct world *world, struct jaco_arena *arena, size_t n_nodes,
		  size_t n_services, size_t per_service)
{
	static const char *const labels[] = {"disk=ssd", "zone=a"};

	*world = (struct world){.now_ms = 1000, .reschedule_after_ms = 60000};
	world->nodes = jaco_arena_alloc_n(arena, n_nodes, sizeof(*world->nodes));
	world->services = jaco_arena_alloc_n(arena, n_services, sizeof(*world->services));
	for (size_t i = 0; i < n_nodes; i++)
		world->nodes[world->n_nodes++] = (struct world_node){
			.name = jaco_arena_printf(arena, "node-%04zu", i),
			.arch = "amd64",
			.labels = labels,
			.n_labels = 2,
			.has_isolation = true,
			.has_engine = true,
			.is_reachable = true,
			.cpu_milli = 64000,
			.memory_bytes = 256ull << 30};
	for (size_t i = 0; i < n_services; i++)
		world->services[world->n_services++] = (struct world_service){
			.deployment = jaco_arena_printf(arena, "d%03zu", i / 10),
			.name = jaco_arena_printf(arena, "service%zu", i % 10),
			.revision = 1,
			.spec_hash = "0123456789abcdef",
			.image = "registry.example.com/team/image:1.2.3",
			.platform = "",
			.replicas = (unsigned)per_service,
			.cpu_milli = 100,
			.memory_bytes = 64 << 20,
			.parallel = 1};
	world_sort(world, arena);
}

/* What the plan wrote becomes the world, observed running. */
static void take(struct world *world, const struct plan *plan, struct jaco_arena *arena)
{
	world->replicas = jaco_arena_alloc_n(arena, plan->n + 1, sizeof(*world->replicas));
	world->counters = jaco_arena_alloc_n(arena, plan->n + 1, sizeof(*world->counters));
	world->observed = jaco_arena_alloc_n(arena, plan->n + 1, sizeof(*world->observed));
	for (size_t i = 0; i < plan->n; i++) {
		const struct plan_op *op = &plan->ops[i];

		if (op->what == PLAN_PUT_COUNTER)
			world->counters[world->n_counters++] = op->counter;
		if (op->what != PLAN_PUT_REPLICA)
			continue;
		world->replicas[world->n_replicas] = op->replica;
		world->replicas[world->n_replicas++].mod = 1;
		world->observed[world->n_observed++] = (struct world_observed){
			.id = op->replica.id, .host = op->replica.now.host, .generation = 1,
			.state = WORLD_S_RUNNING, .code = "", .message = ""};
	}
	world_sort(world, arena);
}

int main(int argc, char **argv)
{
	size_t n_nodes = arg(argc, argv, 1, 1000), n_services = arg(argc, argv, 2, 200);
	size_t per_service = arg(argc, argv, 3, 20000) / n_services;
	struct jaco_arena store = JACO_ARENA_INIT, arena = JACO_ARENA_INIT;
	struct jaco_time start;
	struct world world;
	struct plan plan;
	double placed, rest = 1e9;

	build(&world, &store, n_nodes, n_services, per_service);
	start = jaco_time_now();
	plan_make(&plan, &world, &store);
	placed = ms_since(start);
	printf("nodes=%zu replicas=%zu\n", n_nodes, n_services * per_service);
	printf("place_all_ms=%.2f ops=%zu\n", placed, plan.n);
	take(&world, &plan, &store);
	for (int i = 0; i < 10; i++) {
		start = jaco_time_now();
		plan_make(&plan, &world, &arena);
		rest = JACO_MIN(rest, ms_since(start));
		if (plan.n)
			fprintf(stderr, "the world is not at rest: %zu operations\n", plan.n);
		jaco_arena_reset(&arena);
	}
	printf("no_change_ms=%.2f\n", rest);
	jaco_arena_fini(&arena);
	jaco_arena_fini(&store);
	return 0;
}
