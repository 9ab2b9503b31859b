/* SPDX-License-Identifier: Apache-2.0
 *
 * sim.c - clock, network, disks and processes of a simulated cluster. */
#include "tests/lib/sim.h"

#include <stdio.h>
#include <string.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/random.h"

#define SIM_NEVER UINT64_MAX
/* A crash of the world's making is not a reason to simulate forever. */
enum { SIM_IN_FLIGHT_MAX = 20000 };

uint64_t sim_below(struct sim *sim, uint64_t bound)
{
	return jaco_prng_next(&sim->prng) % bound;
}

bool sim_chance(struct sim *sim, unsigned permille)
{
	return sim_below(sim, 1000) < permille;
}

void sim_trace(struct sim *sim, const char *fmt, ...)
{
	char line[320];
	va_list ap;

	if (!sim->tracing)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap); /* a cut line is still a line */
	va_end(ap);
	jaco_buf_printf(&sim->trace, "t=%llu.%03llums %s\n", (unsigned long long)sim->now / 1000,
			(unsigned long long)sim->now % 1000, line);
}

/* ---- messages in flight: a heap by time ---- */

static bool earlier(const struct sim_message *a, const struct sim_message *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void heap_push(struct sim *sim, const struct sim_message *message)
{
	size_t i = sim->n_heap++;

	sim->heap = jaco_grow(sim->heap, &sim->cap_heap, sim->n_heap, sizeof(*sim->heap));
	while (i && earlier(message, &sim->heap[(i - 1) / 2])) {
		sim->heap[i] = sim->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	sim->heap[i] = *message;
}

static struct sim_message heap_pop(struct sim *sim)
{
	struct sim_message first = sim->heap[0];
	struct sim_message last = sim->heap[--sim->n_heap];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= sim->n_heap)
			break;
		if (child + 1 < sim->n_heap && earlier(&sim->heap[child + 1], &sim->heap[child]))
			child++;
		if (!earlier(&sim->heap[child], &last))
			break;
		sim->heap[i] = sim->heap[child];
		i = child;
	}
	if (sim->n_heap)
		sim->heap[i] = last;
	return first;
}

static void put_on_wire(struct sim *sim, const struct core_message *msg)
{
	struct sim_message entry = {.order = sim->order++};
	uint64_t *last = &sim->last_at[msg->from - 1][msg->to - 1];
	uint64_t delay = 100 + sim_below(sim, sim->profile.delay);

	if (sim_chance(sim, sim->profile.late)) {
		delay += sim_below(sim, sim->profile.delay_late);
		sim->stats.late++;
		entry.at = sim->now + delay;
	} else
		entry.at = *last = JACO_MAX(*last, sim->now + delay);
	host_message_copy(&entry.message, msg);
	heap_push(sim, &entry);
}

static void show_message(struct sim *sim, const char *what, const struct core_message *msg)
{
	if (sim->tracing)
		sim_trace(sim, "n%llu %s n%llu %s term %llu at %llu:%llu +%zu commit %llu ok %d "
			  "hint %llu round %llu", (unsigned long long)msg->from, what,
			  (unsigned long long)msg->to, core_message_name(msg->type),
			  (unsigned long long)msg->term, (unsigned long long)msg->index,
			  (unsigned long long)msg->log_term, msg->n_entries,
			  (unsigned long long)msg->commit, msg->ok, (unsigned long long)msg->hint,
			  (unsigned long long)msg->round);
}

static void post(void *ctx, const struct core_message *msg)
{
	struct sim *sim = ctx;

	sim->stats.messages++;
	if (msg->to > sim->profile.n_nodes)
		return;
	if (sim->cut[msg->from - 1][msg->to - 1]) {
		sim->stats.cut++;
		return;
	}
	if (sim->n_heap >= SIM_IN_FLIGHT_MAX || sim_chance(sim, sim->profile.lose)) {
		sim->stats.lost++;
		show_message(sim, "-/->", msg);
		return;
	}
	show_message(sim, "--->", msg);
	put_on_wire(sim, msg);
	if (sim_chance(sim, sim->profile.duplicate)) {
		sim->stats.duplicated++;
		put_on_wire(sim, msg);
	}
}

/* ---- clocks ---- */

static uint64_t local_now(const struct sim *sim, const struct sim_node *node)
{
	return node->clock_local + (sim->now - node->clock_global) * node->rate / 1000;
}

/* When @node's clock shows @local. */
static uint64_t global_at(const struct sim *sim, const struct sim_node *node, uint64_t local)
{
	uint64_t now = local_now(sim, node);

	if (local == UINT64_MAX)
		return SIM_NEVER;
	return local <= now ? sim->now : sim->now + (local - now) * 1000 / node->rate + 1;
}

static void set_clock(struct sim *sim, struct sim_node *node, uint64_t local, uint64_t rate)
{
	node->clock_local = local;
	node->clock_global = sim->now;
	node->rate = rate;
}

/* ---- a node's step ---- */

static bool is_up(const struct sim_node *node)
{
	return node->host.core != NULL;
}

static void schedule_disk(struct sim *sim, struct sim_node *node)
{
	uint64_t speed = node->slow_until > sim->now ? 100 : 1;

	for (struct host_write *write = node->host.writes; write; write = write->next)
		if (!write->due)
			write->due = sim->now + 10 + sim_below(sim, sim->profile.disk) * speed;
}

/* Before every event: the owner always tells the time first. */
static void tell_time(struct sim *sim, struct sim_node *node)
{
	node->host.now = local_now(sim, node);
	core_tick(node->host.core, node->host.now);
}

static void finish_step(struct sim *sim, struct sim_node *node)
{
	host_run(&node->host, post, sim);
	schedule_disk(sim, node);
	node->tick_at = global_at(sim, node, core_deadline(node->host.core));
	if (node->tick_at <= sim->now)
		node->tick_at = sim->now + 1;
	sim->stats.steps++;
	sim_check(sim, node);
}

/* Connections are made to and by a node that starts; sometimes nobody gets to hear of one. */
static void make_connections(struct sim *sim, struct sim_node *born)
{
	for (size_t i = 0; i < sim->profile.n_nodes; i++) {
		struct sim_node *node = &sim->nodes[i];

		if (node == born || !is_up(node) || node->paused_until > sim->now ||
		    sim_chance(sim, 400))
			continue;
		core_peer_found(born->host.core, node->id);
		core_peer_found(node->host.core, born->id);
		node->tick_at = JACO_MAX(global_at(sim, node, core_deadline(node->host.core)),
					 sim->now + 1);
	}
}

void sim_restart(struct sim *sim, struct sim_node *node)
{
	struct jaco_err err = JACO_ERR_INIT;

	if (is_up(node))
		return;
	node->restart_at = 0;
	node->paused_until = 0;
	node->life++;
	node->role = CORE_FOLLOWER;
	node->commit = 0;
	node->hard_term = node->host.disk.term;
	node->hard_vote = node->host.disk.vote;
	node->host.now = local_now(sim, node);
	node->host.options.seed = sim_below(sim, UINT32_MAX);
	if (host_start(&node->host, &err) < 0) {
		sim_violated(sim, "n%llu cannot start: %s", (unsigned long long)node->id, err.text);
		return;
	}
	sim_trace(sim, "n%llu starts: term %llu vote %llu log %llu..%llu",
		  (unsigned long long)node->id, (unsigned long long)node->host.disk.term,
		  (unsigned long long)node->host.disk.vote,
		  (unsigned long long)node->host.disk.base_index + 1,
		  (unsigned long long)node->host.disk.base_index + node->host.disk.n_log);
	make_connections(sim, node);
	finish_step(sim, node);
}

/* The kernel of a dead process resets its connections; sometimes nobody gets to hear of it. */
static void tell_connections(struct sim *sim, const struct sim_node *dead)
{
	for (size_t i = 0; i < sim->profile.n_nodes; i++) {
		struct sim_node *node = &sim->nodes[i];

		if (node == dead || !is_up(node) || node->paused_until > sim->now ||
		    sim_chance(sim, 400))
			continue;
		core_peer_lost(node->host.core, dead->id);
		node->tick_at = JACO_MAX(global_at(sim, node, core_deadline(node->host.core)),
					 sim->now + 1);
	}
}

void sim_crash(struct sim *sim, struct sim_node *node, uint64_t down_us)
{
	size_t n_writes, kept, torn = 0;

	if (!is_up(node))
		return;
	n_writes = host_n_writes(&node->host);
	/* Most often nothing that was under way is there; sometimes it is, unacknowledged. */
	kept = n_writes && sim_chance(sim, 300) ? (size_t)sim_below(sim, n_writes + 1) : 0;
	if (kept < n_writes && sim_chance(sim, 400)) {
		const struct host_write *write = node->host.writes;

		for (size_t i = 0; i < kept; i++)
			write = write->next;
		torn = (size_t)sim_below(sim, write->n_entries + 1);
		sim->stats.torn += torn > 0;
	}
	sim->stats.crashes++;
	sim_trace(sim, "n%llu crashes: %zu of %zu writes kept, %zu entries of the next",
		  (unsigned long long)node->id, kept, n_writes, torn);
	host_crash(&node->host, kept, torn);
	node->restart_at = sim->now + down_us;
	node->disk_fails = false;
	node->tick_at = SIM_NEVER;
	tell_connections(sim, node);
}

static void flush(struct sim *sim, struct sim_node *node)
{
	if (node->disk_fails) {
		sim->stats.disk_failures++;
		sim_crash(sim, node, 1000 + sim_below(sim, 300000));
		return;
	}
	tell_time(sim, node);
	host_flush_one(&node->host);
	finish_step(sim, node);
}

static void deliver(struct sim *sim)
{
	struct sim_message entry = heap_pop(sim);
	const struct core_message *msg = host_message_get(&entry.message);
	struct sim_node *node = &sim->nodes[msg->to - 1];

	if (is_up(node) && node->paused_until > sim->now) {
		/* A stopped process reads its socket later. */
		entry.at = node->paused_until;
		heap_push(sim, &entry);
		return;
	}
	if (is_up(node) && !sim->cut[msg->from - 1][msg->to - 1]) {
		tell_time(sim, node);
		show_message(sim, ">--->", msg);
		host_receive(&node->host, msg);
		finish_step(sim, node);
	}
	host_message_fini(&entry.message);
}

/* ---- the loop ---- */

static uint64_t later_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* When @node has something to do by itself, and what: a write, its timer or its restart. */
static uint64_t next_of(const struct sim *sim, const struct sim_node *node, bool *out_disk)
{
	uint64_t disk = node->host.writes ? node->host.writes->due : SIM_NEVER;

	*out_disk = false;
	if (!is_up(node))
		return node->restart_at ? later_of(node->restart_at, sim->now) : SIM_NEVER;
	*out_disk = disk <= node->tick_at;
	return later_of(later_of(JACO_MIN(disk, node->tick_at), node->paused_until), sim->now);
}

static void act(struct sim *sim, struct sim_node *node, bool disk)
{
	if (!is_up(node))
		sim_restart(sim, node);
	else if (disk)
		flush(sim, node);
	else {
		tell_time(sim, node);
		finish_step(sim, node);
	}
}

static bool step(struct sim *sim, uint64_t until)
{
	uint64_t at = sim->n_heap ? later_of(sim->heap[0].at, sim->now) : SIM_NEVER;
	struct sim_node *who = NULL;
	bool disk = false;

	for (size_t i = 0; i < sim->profile.n_nodes; i++) {
		bool is_disk;
		uint64_t next = next_of(sim, &sim->nodes[i], &is_disk);

		if (next < at) {
			at = next;
			who = &sim->nodes[i];
			disk = is_disk;
		}
	}
	if (at > until) {
		sim->now = until;
		return false;
	}
	sim->now = at;
	if (who)
		act(sim, who, disk);
	else
		deliver(sim);
	return true;
}

void sim_run(struct sim *sim, uint64_t until)
{
	while (!sim->failed && step(sim, until))
		;
	sim->stats.virtual_us = sim->now;
}

/* ---- people ---- */

bool sim_write(struct sim *sim, struct sim_node *node, uint64_t value)
{
	struct core_entry *entry;
	struct core_status status;
	uint64_t index;

	if (!is_up(node) || node->paused_until > sim->now)
		return false;
	entry = core_entry_new((uint32_t)(sizeof(value) + sim_below(sim, 24)));
	memcpy(entry->data, &value, sizeof(value));
	tell_time(sim, node);
	core_status(node->host.core, &status);
	sim->stats.writes++;
	if (core_propose(node->host.core, entry, &index, NULL) < 0) {
		finish_step(sim, node);
		return false;
	}
	sim->writes = jaco_grow(sim->writes, &sim->cap_writes, sim->n_writes + 1,
				sizeof(*sim->writes));
	sim->writes[sim->n_writes++] = (struct sim_call){
		.node = node->id, .life = node->life, .index = index, .term = status.term};
	sim_trace(sim, "n%llu takes write %llu as %llu:%llu", (unsigned long long)node->id,
		  (unsigned long long)value, (unsigned long long)index,
		  (unsigned long long)status.term);
	finish_step(sim, node);
	return true;
}

bool sim_read(struct sim *sim, struct sim_node *node)
{
	bool ok;

	if (!is_up(node) || node->paused_until > sim->now)
		return false;
	sim->reads = jaco_grow(sim->reads, &sim->cap_reads, sim->n_reads + 1, sizeof(*sim->reads));
	sim->reads[sim->n_reads] = (struct sim_call){
		.node = node->id, .life = node->life,
		.floor = sim->n_golden ? sim->n_golden - 1 : 0};
	tell_time(sim, node);
	ok = core_read(node->host.core, sim->n_reads, NULL) >= 0;
	if (ok) {
		sim_trace(sim, "n%llu is asked to read %zu, %llu is applied somewhere",
			  (unsigned long long)node->id, sim->n_reads,
			  (unsigned long long)sim->reads[sim->n_reads].floor);
		sim->n_reads++;
		sim->stats.reads++;
	}
	finish_step(sim, node);
	return ok;
}

bool sim_change(struct sim *sim, struct sim_node *node, enum core_change change, uint64_t id)
{
	uint64_t index;
	bool ok;

	if (!is_up(node))
		return false;
	tell_time(sim, node);
	ok = core_change(node->host.core, change, id, &index, NULL) >= 0;
	if (ok) {
		sim->stats.changes++;
		sim_trace(sim, "n%llu changes member %llu (%d) at %llu",
			  (unsigned long long)node->id, (unsigned long long)id, (int)change,
			  (unsigned long long)index);
	}
	finish_step(sim, node);
	return ok;
}

void sim_transfer(struct sim *sim, struct sim_node *node, uint64_t to)
{
	if (!is_up(node))
		return;
	tell_time(sim, node);
	if (core_transfer(node->host.core, to, NULL) >= 0)
		sim->stats.transfers++;
	finish_step(sim, node);
}

void sim_campaign(struct sim *sim, struct sim_node *node)
{
	if (!is_up(node))
		return;
	tell_time(sim, node);
	core_campaign(node->host.core);
	finish_step(sim, node);
}

void sim_compact(struct sim *sim, struct sim_node *node, uint64_t keep)
{
	struct core_status status;

	if (!is_up(node))
		return;
	core_status(node->host.core, &status);
	if (status.applied <= keep)
		return;
	if (host_compact(&node->host, status.applied - keep, NULL) >= 0)
		sim->stats.compactions++;
	finish_step(sim, node);
}

void sim_clock_jump(struct sim *sim, struct sim_node *node, uint64_t ahead_us)
{
	sim->stats.clock_jumps++;
	set_clock(sim, node, local_now(sim, node) + ahead_us, node->rate);
	if (is_up(node))
		node->tick_at = global_at(sim, node, core_deadline(node->host.core));
}

void sim_clock_rate(struct sim *sim, struct sim_node *node, uint64_t permille)
{
	set_clock(sim, node, local_now(sim, node), permille);
	if (is_up(node))
		node->tick_at = global_at(sim, node, core_deadline(node->host.core));
}

void sim_pause(struct sim *sim, struct sim_node *node, uint64_t us)
{
	if (!is_up(node))
		return;
	sim->stats.pauses++;
	node->paused_until = sim->now + us;
	sim_trace(sim, "n%llu is stopped for %llu us", (unsigned long long)node->id,
		  (unsigned long long)us);
}

struct sim_node *sim_leader(struct sim *sim)
{
	struct sim_node *best = NULL;
	uint64_t best_term = 0;

	for (size_t i = 0; i < sim->profile.n_nodes; i++) {
		struct core_status status;

		if (!is_up(&sim->nodes[i]))
			continue;
		core_status(sim->nodes[i].host.core, &status);
		if (status.role == CORE_LEADER && status.term >= best_term) {
			best = &sim->nodes[i];
			best_term = status.term;
		}
	}
	return best;
}

/* ---- life ---- */

void sim_init(struct sim *sim, uint64_t seed, const struct sim_profile *profile, bool tracing)
{
	struct core_conf conf = {.n = 0};

	*sim = (struct sim){.seed = seed, .prng = seed * 0x9e3779b97f4a7c15u, .profile = *profile,
			    .tracing = tracing};
	for (uint64_t id = 1; id <= profile->n_voters; id++)
		JACO_ASSERT(core_conf_set(&conf, id, true, NULL) == 0);
	for (size_t i = 0; i < profile->n_nodes; i++) {
		struct sim_node *node = &sim->nodes[i];
		struct core_options options = profile->options;

		options.id = i + 1;
		node->sim = sim;
		node->id = i + 1;
		host_init(&node->host, &options);
		node->host.auto_flush = false;
		node->host.chunk_bytes = profile->chunk_bytes;
		node->host.hooks = sim_hooks;
		node->host.hooks_ctx = node;
		node->tick_at = SIM_NEVER;
		if (i < profile->n_voters)
			node->host.disk.conf = conf;
		set_clock(sim, node, sim_below(sim, 1000000),
			  1000 - profile->drift + sim_below(sim, 2 * profile->drift + 1));
	}
	for (size_t i = 0; i < profile->n_nodes; i++)
		sim_restart(sim, &sim->nodes[i]);
}

void sim_fini(struct sim *sim)
{
	while (sim->n_heap) {
		struct sim_message entry = heap_pop(sim);

		host_message_fini(&entry.message);
	}
	for (size_t i = 0; i < sim->profile.n_nodes; i++)
		host_fini(&sim->nodes[i].host);
	for (size_t i = 1; i < sim->n_golden; i++)
		core_entry_unref(sim->golden[i].entry);
	jaco_free(sim->heap);
	jaco_free(sim->writes);
	jaco_free(sim->reads);
	jaco_free(sim->golden);
	jaco_free(sim->seen);
	jaco_free(sim->leaders);
	jaco_buf_fini(&sim->trace);
}
