/* SPDX-License-Identifier: Apache-2.0
 *
 * chaos - a raft cluster under everything that can go wrong, one world per seed.
 *
 *	chaos -n 1000 [-from 1]     many seeds, figures at the end
 *	chaos -seed N [-v]          one seed; -v tells everything that happens
 *	chaos -bug B -n 1000        with a broken rule (builds with rules_broken.c): must be noticed
 *
 * A seed that violates something is run again with its tale, the end of which is printed with the
 * line that repeats it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "tests/lib/sim.h"
#include "tests/sim/raft/rules_broken.h"

#define MS 1000ull

enum {
	TROUBLE_MS = 8000,   /* of virtual time with faults */
	HEALING_MS = 6000,   /* then without, until all must agree */
	PATIENCE_MS = 60000, /* for a leader, where only luck ends a draw */
	TALE_BYTES = 24000,  /* of a violated seed that are shown */
};

static uint64_t current_seed;

/* ---- worlds ---- */

static struct sim_profile draw_profile(uint64_t seed)
{
	struct sim draw = {.prng = seed * 0x2545f4914f6cdd1du + 1};
	struct sim_profile p = {.options = CORE_OPTIONS_DEFAULT};

	p.n_voters = 1 + sim_below(&draw, 5);
	if (p.n_voters < 3 && sim_chance(&draw, 800))
		p.n_voters = 3;
	p.n_nodes = JACO_MIN(p.n_voters + sim_below(&draw, 3), SIM_NODES_MAX);
	p.options.election = 150 * MS;
	p.options.heartbeat = 50 * MS;
	p.options.prevote = sim_chance(&draw, 500);
	p.options.check_quorum = sim_chance(&draw, 500);
	p.options.lease_reads = p.options.check_quorum && sim_chance(&draw, 300);
	p.options.apply_early = sim_chance(&draw, 300);
	p.options.max_inflight = sim_chance(&draw, 300) ? 1 + (uint32_t)sim_below(&draw, 4) : 256;
	p.options.max_batch_bytes = sim_chance(&draw, 500) ? 1 : 4096;
	p.options.max_inflight_bytes = sim_chance(&draw, 200) ? 64 : 1 << 20;
	p.options.max_uncommitted_bytes = 16384;
	p.chunk_bytes = sim_chance(&draw, 500) ? 40 + sim_below(&draw, 200) : 1 << 20;
	p.lose = sim_chance(&draw, 700) ? (unsigned)sim_below(&draw, 200) : 0;
	p.duplicate = (unsigned)sim_below(&draw, 100);
	p.late = (unsigned)sim_below(&draw, 100);
	p.delay = 200 + sim_below(&draw, 10 * MS);
	p.delay_late = 20 * MS + sim_below(&draw, 600 * MS);
	p.disk = 50 + sim_below(&draw, 5 * MS);
	p.drift = p.options.lease_reads ? 50 : (unsigned)sim_below(&draw, 200);
	p.options.linger = sim_chance(&draw, 500) ? (uint32_t)sim_below(&draw, 20 * MS) : 0;
	return p;
}

/* One world in four is about leaders that do not live long enough to replicate what they took over:
 * one entry a message, one message at a time, elections all the time (thesis figure 3.7). */
static bool is_churning(uint64_t seed)
{
	return seed % 4 == 0;
}

static void make_churning(struct sim_profile *p)
{
	p->n_voters = p->n_nodes = 5;
	p->options.prevote = p->options.check_quorum = p->options.lease_reads = false;
	p->options.max_inflight = 1;
	p->options.max_batch_bytes = 1;
	p->lose = 150;
	p->delay = 15 * MS;
	p->disk = 500;
}

/* ---- trouble ---- */

static struct sim_node *any_node(struct sim *sim)
{
	return &sim->nodes[sim_below(sim, sim->profile.n_nodes)];
}

static uint64_t any_time(struct sim *sim)
{
	return 20 * MS + sim_below(sim, 600 * MS);
}

static void heal_network(struct sim *sim)
{
	memset(sim->cut, 0, sizeof(sim->cut));
}

static void cut_some(struct sim *sim)
{
	size_t n = sim->profile.n_nodes;
	unsigned side = (unsigned)sim_below(sim, 1u << n);
	bool split = sim_chance(sim, 600);

	sim->stats.partitions++;
	for (size_t a = 0; a < n; a++)
		for (size_t b = 0; b < n; b++)
			sim->cut[a][b] = a != b && (split ? (side >> a & 1) != (side >> b & 1)
							  : sim_chance(sim, 300));
	sim_trace(sim, "the network is cut (%s)", split ? "in two" : "some links, one way");
}

static void power_cut(struct sim *sim)
{
	for (size_t i = 0; i < sim->profile.n_nodes; i++)
		if (sim_chance(sim, 800))
			sim_crash(sim, &sim->nodes[i], any_time(sim));
}

static void change_someone(struct sim *sim)
{
	struct sim_node *leader = sim_chance(sim, 900) ? sim_leader(sim) : any_node(sim);
	enum core_change change = (enum core_change)sim_below(sim, 3);

	if (leader)
		(void)sim_change(sim, leader, change, any_node(sim)->id); /* refusals are fine */
}

static void slow_disk(struct sim *sim)
{
	sim->stats.slow_disks++;
	any_node(sim)->slow_until = sim->now + any_time(sim);
}

static void bend_clock(struct sim *sim)
{
	struct sim_node *node = any_node(sim);

	if (sim->profile.options.lease_reads)
		sim_clock_rate(sim, node, 950 + sim_below(sim, 101));
	else if (sim_chance(sim, 500))
		sim_clock_jump(sim, node, any_time(sim));
	else
		sim_clock_rate(sim, node, 500 + sim_below(sim, 1500));
}

static void churn(struct sim *sim)
{
	struct sim_node *leader = sim_leader(sim);

	switch (sim_below(sim, 6)) {
	case 0:
	case 1:
		sim_campaign(sim, any_node(sim));
		break;
	case 2:
		if (leader)
			sim_crash(sim, leader, any_time(sim));
		break;
	case 3:
		cut_some(sim);
		break;
	case 4:
		heal_network(sim);
		break;
	case 5:
		sim_crash(sim, any_node(sim), any_time(sim));
		break;
	}
}

static void trouble(struct sim *sim)
{
	struct sim_node *leader = sim_leader(sim);

	switch (sim_below(sim, 14)) {
	case 0:
		sim_crash(sim, any_node(sim), any_time(sim));
		break;
	case 1:
		if (leader)
			sim_crash(sim, leader, any_time(sim));
		break;
	case 2:
		power_cut(sim);
		break;
	case 3:
	case 4:
		cut_some(sim);
		break;
	case 5:
	case 6:
		heal_network(sim);
		break;
	case 7:
		slow_disk(sim);
		break;
	case 8:
		any_node(sim)->disk_fails = true;
		break;
	case 9:
		bend_clock(sim);
		break;
	case 10:
		sim_pause(sim, any_node(sim), any_time(sim));
		break;
	case 11:
		if (leader)
			sim_transfer(sim, leader, any_node(sim)->id);
		break;
	case 12:
		sim_campaign(sim, any_node(sim));
		break;
	case 13:
		change_someone(sim);
		break;
	}
}

/* ---- clients ---- */

static void some_calls(struct sim *sim, uint64_t *value)
{
	size_t n = 1 + sim_below(sim, 4);

	for (size_t i = 0; i < n && !sim->failed; i++) {
		struct sim_node *node = sim_chance(sim, 800) ? sim_leader(sim) : any_node(sim);

		if (!node)
			node = any_node(sim);
		if (sim_chance(sim, 650))
			(void)sim_write(sim, node,
					++*value); /* not the leader: tries again later */
		else
			(void)sim_read(sim, node);
	}
	if (sim_chance(sim, 60))
		sim_compact(sim, any_node(sim), sim_below(sim, 6));
	if (sim_chance(sim, 80))
		change_someone(sim);
}

/* ---- one world ---- */

static void repair_all(struct sim *sim)
{
	heal_network(sim);
	sim->profile.lose = sim->profile.late = 0;
	for (size_t i = 0; i < sim->profile.n_nodes; i++) {
		struct sim_node *node = &sim->nodes[i];

		node->disk_fails = false;
		node->slow_until = 0;
		sim_clock_rate(sim, node, 1000);
		if (!node->host.core)
			sim_restart(sim, node);
	}
	sim_trace(sim, "everything is repaired");
}

/* Write until the end: what was acknowledged then shows that it goes on.
 *
 * Without pre-vote a member that cannot win raises the term again and again before the one that can
 * has stood (seed 3719: two voters, 12 s): healing begins when somebody leads. */
static void prove_progress(struct sim *sim, uint64_t *value)
{
	uint64_t end = sim->now + HEALING_MS * MS, last = sim->now + PATIENCE_MS * MS;

	while (!sim->failed && sim->now < end) {
		struct sim_node *leader;
		struct core_status status;

		leader = sim_leader(sim);
		if (!leader && !sim->profile.options.prevote)
			end = JACO_MAX(end, JACO_MIN(sim->now + HEALING_MS * MS, last));
		sim_run(sim, sim->now + 200 * MS);
		if (!leader || !leader->host.core)
			continue;
		core_status(leader->host.core, &status);
		if (status.role == CORE_LEADER && sim->now + 2000 * MS < end)
			(void)sim_write(sim, leader,
					++*value); /* lost with its leader: next round */
	}
}

static void run_seed(struct sim *sim, uint64_t seed, bool tracing)
{
	struct sim_profile profile = draw_profile(seed);
	uint64_t value = 0;
	uint64_t next_trouble = 300 * MS;

	if (is_churning(seed))
		make_churning(&profile);
	current_seed = seed;
	sim_init(sim, seed, &profile, tracing);
	while (!sim->failed && sim->now < TROUBLE_MS * MS) {
		sim_run(sim, sim->now + 1 + sim_below(sim, 40 * MS));
		if (!sim->failed)
			some_calls(sim, &value);
		if (!sim->failed && sim->now >= next_trouble) {
			if (is_churning(seed))
				churn(sim);
			else
				trouble(sim);
			next_trouble = sim->now + 5 * MS +
				       sim_below(sim, (is_churning(seed) ? 100 : 500) * MS);
		}
	}
	if (!sim->failed)
		repair_all(sim);
	prove_progress(sim, &value);
	/* Without pre-vote and loyal followers a server that was removed may disturb the others for
	 * ever (thesis 4.2.3): such worlds are only held to safety. */
	if (!sim->failed && (profile.options.prevote || profile.options.check_quorum))
		sim_check_healed(sim);
}

/* ---- many ---- */

#define SIM_STATS(X)                                                                               \
	X(virtual_us) X(steps) X(messages) X(lost) X(duplicated) X(cut) X(late) X(crashes) X(torn) \
	X(disk_failures) X(slow_disks) X(clock_jumps) X(pauses) X(partitions) X(elections)         \
	X(transfers) X(changes) X(compactions) X(installs) X(writes) X(acked) X(reads)             \
	X(reads_answered)

static void add_stats(struct sim_stats *total, const struct sim_stats *one)
{
#define ADD(name) total->name += one->name;
	SIM_STATS(ADD)
#undef ADD
}

static void print_stats(const struct sim_stats *total, uint64_t n)
{
	printf("%llu seeds, %.1f simulated hours", (unsigned long long)n,
	       (double)total->virtual_us / 3.6e9);
#define PRINT(name) printf(", %llu " #name, (unsigned long long)total->name);
	SIM_STATS(PRINT)
#undef PRINT
	printf("\n");
}

static void print_repeat(uint64_t seed)
{
	char line[128];
	int n = snprintf(line, sizeof(line), "repeat with: chaos -seed %llu -bug %d -v\n",
			 (unsigned long long)seed, (int)core_bug);

	(void)!write(STDOUT_FILENO, line, (size_t)n); /* nothing else can be done about it */
}

static void tell(uint64_t seed)
{
	struct sim sim;
	const char *tale;
	size_t n;

	run_seed(&sim, seed, true);
	tale = jaco_buf_str(&sim.trace);
	n = strlen(tale);
	if (n > TALE_BYTES)
		tale = strchr(tale + n - TALE_BYTES, '\n') + 1;
	printf("%s\nseed %llu: %s\n", tale, (unsigned long long)seed, sim.failure);
	(void)fflush(stdout);
	print_repeat(seed);
	sim_fini(&sim);
}

static void on_abort(int signal_number)
{
	(void)signal_number;
	print_repeat(current_seed);
	if (core_bug)
		_exit(0); /* an assertion of the core noticed it first: as good */
}

/* The number of the first violated seed, 0: none. */
static uint64_t run_many(uint64_t from, uint64_t n, struct sim_stats *total)
{
	for (uint64_t seed = from; seed < from + n; seed++) {
		struct sim sim;
		bool failed;

		run_seed(&sim, seed, false);
		add_stats(total, &sim.stats);
		failed = sim.failed;
		sim_fini(&sim);
		if (failed)
			return seed;
	}
	return 0;
}

static int run_one_loud(uint64_t seed)
{
	struct sim sim;
	bool failed;

	run_seed(&sim, seed, true);
	(void)fputs(jaco_buf_str(&sim.trace), stdout);
	print_stats(&sim.stats, 1);
	failed = sim.failed;
	sim_fini(&sim);
	return failed;
}

static bool number_option(int argc, char **argv, const char *name, uint64_t *out)
{
	for (int i = 1; i + 1 < argc; i++)
		if (jaco_str_eq(argv[i], name))
			return jaco_str_to_u64(argv[i + 1], UINT64_MAX, out);
	return false;
}

static bool has_flag(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++)
		if (jaco_str_eq(argv[i], name))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	struct sim_stats total = {.steps = 0};
	uint64_t n = 1, from = 1, bug = 0, bad;
	struct sigaction action = {.sa_handler = on_abort, .sa_flags = (int)SA_RESETHAND};

	(void)number_option(argc, argv, "-n", &n);
	(void)number_option(argc, argv, "-from", &from);
	(void)number_option(argc, argv, "-bug", &bug);
	if (number_option(argc, argv, "-seed", &from))
		n = 1;
	if (bug >= CORE_BUGS) {
		(void)fprintf(stderr, "no such bug\n");
		return 2;
	}
	core_bug = (enum core_bug)bug;
	(void)sigaction(SIGABRT, &action, NULL);
	if (n == 1 && has_flag(argc, argv, "-v"))
		return run_one_loud(from);
	bad = run_many(from, n, &total);
	print_stats(&total, bad ? bad - from + 1 : n);
	if (bad && (!bug || has_flag(argc, argv, "-v")))
		tell(bad);
	else if (bad)
		printf("bug %llu is noticed at seed %llu\n", (unsigned long long)bug,
		       (unsigned long long)bad);
	/* A broken rule that is not noticed is the failure. */
	return bug ? !bad : bad != 0;
}
