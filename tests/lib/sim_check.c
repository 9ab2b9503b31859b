/* SPDX-License-Identifier: Apache-2.0
 *
 * sim_check.c - what must hold after every step, told from what the nodes do, not from their words.
 *
 * election safety       one leader a term; one vote a term and node, as the disk saw it
 * log matching          an entry of one index and term has one content and one predecessor, in
 *                       every log it was ever written to; by induction whole prefixes agree
 * leader completeness   a new leader's log holds everything committed in terms before
 * state machine safety  at one index everyone applies the same entry; a snapshot is that prefix
 * acknowledged writes   are entries applied with the index and term they were given, and stay
 * reads                 answered at or after everything applied anywhere when they were asked
 * configuration         the one in force is the newest in the log */
#include <stdio.h>
#include <string.h>

#include "libjaco/base/mem.h"
#include "tests/lib/sim.h"

void sim_violated(struct sim *sim, const char *fmt, ...)
{
	va_list ap;

	if (sim->failed)
		return;
	sim->failed = true;
	va_start(ap, fmt);
	(void)vsnprintf(sim->failure, sizeof(sim->failure), fmt, ap); /* cut if it must be */
	va_end(ap);
	sim_trace(sim, "VIOLATED: %s", sim->failure);
}

/* FNV-1a. */
static uint64_t hash_of(const struct core_entry *entry)
{
	uint64_t hash = 0xcbf29ce484222325u ^ (uint64_t)entry->kind;

	for (uint32_t i = 0; i < entry->bytes; i++)
		hash = (hash ^ entry->data[i]) * 0x100000001b3u;
	return hash;
}

static bool same(const struct core_entry *a, const struct core_entry *b)
{
	return a == b || (a->index == b->index && a->term == b->term && a->kind == b->kind &&
			  a->bytes == b->bytes && !memcmp(a->data, b->data, a->bytes));
}

/* ---- log matching ---- */

static struct sim_seen *find_seen(struct sim *sim, uint64_t index, uint64_t term)
{
	size_t at = (size_t)(index * 0x9e3779b97f4a7c15u ^ term * 0xc2b2ae3d27d4eb4fu) &
		    (sim->cap_seen - 1);

	while (sim->seen[at].index &&
	       !(sim->seen[at].index == index && sim->seen[at].term == term))
		at = (at + 1) & (sim->cap_seen - 1);
	return &sim->seen[at];
}

static void grow_seen(struct sim *sim)
{
	struct sim_seen *old = sim->seen;
	size_t cap = sim->cap_seen;

	sim->cap_seen = cap ? cap * 2 : 1024;
	sim->seen = jaco_alloc_n(sim->cap_seen, sizeof(*sim->seen));
	for (size_t i = 0; i < cap; i++)
		if (old[i].index)
			*find_seen(sim, old[i].index, old[i].term) = old[i];
	jaco_free(old);
}

static void check_matching(struct sim *sim, const struct sim_node *node,
			   const struct core_entry *entry, uint64_t prev_term)
{
	struct sim_seen now = {.index = entry->index, .term = entry->term, .prev_term = prev_term,
			       .hash = hash_of(entry)};
	struct sim_seen *before;

	if (sim->n_seen * 2 >= sim->cap_seen)
		grow_seen(sim);
	before = find_seen(sim, entry->index, entry->term);
	if (!before->index) {
		*before = now;
		sim->n_seen++;
	} else if (before->prev_term != prev_term || before->hash != now.hash)
		sim_violated(sim, "log matching: n%llu has another entry %llu of term %llu",
			     (unsigned long long)node->id, (unsigned long long)entry->index,
			     (unsigned long long)entry->term);
}

static void check_configuration(struct sim *sim, const struct sim_node *node)
{
	struct core_status status;
	struct core_conf conf;
	uint64_t index;

	core_status(node->host.core, &status);
	for (index = status.last_index; index > status.base_index; index--)
		if (core_entry_at(node->host.core, index)->kind == CORE_ENTRY_CONF)
			break;
	if (core_conf_at(node->host.core, index, &conf, NULL) < 0)
		return;
	if (conf.n != status.conf->n ||
	    memcmp(conf.members, status.conf->members, conf.n * sizeof(conf.members[0])) != 0)
		sim_violated(sim, "configuration: n%llu uses one that is not in its log",
			     (unsigned long long)node->id);
}

static void on_write(void *ctx, const struct core_write *write)
{
	struct sim_node *node = ctx;
	struct sim *sim = node->sim;
	bool conf = write->truncate_from || write->reset;

	if (write->term < node->hard_term)
		sim_violated(sim, "election safety: the term of n%llu falls",
			     (unsigned long long)node->id);
	if (write->term == node->hard_term && node->hard_vote && write->vote != node->hard_vote)
		sim_violated(sim, "election safety: n%llu votes for %llu after %llu in term %llu",
			     (unsigned long long)node->id, (unsigned long long)write->vote,
			     (unsigned long long)node->hard_vote, (unsigned long long)write->term);
	node->hard_term = write->term;
	node->hard_vote = write->vote;
	for (size_t i = 0; i < write->n_entries; i++) {
		const struct core_entry *entry = write->entries[i];
		const struct core_entry *prev =
			i ? write->entries[i - 1]
			  : core_entry_at(node->host.core, entry->index - 1);
		struct core_status status;

		core_status(node->host.core, &status);
		check_matching(sim, node, entry, prev ? prev->term : status.base_term);
		conf |= entry->kind == CORE_ENTRY_CONF;
	}
	if (conf)
		check_configuration(sim, node);
}

/* ---- state machine ---- */

static void add_golden(struct sim *sim, const struct sim_node *node,
		       const struct core_entry *entry)
{
	struct core_status status;
	size_t n_data = sim->n_golden ? sim->golden[sim->n_golden - 1].n_data : 0;

	core_status(node->host.core, &status);
	if (!sim->n_golden)
		sim->n_golden = 1;
	sim->golden = jaco_grow(sim->golden, &sim->cap_golden, sim->n_golden + 1,
				sizeof(*sim->golden));
	if (sim->n_golden == 1)
		sim->golden[0] = (struct sim_golden){.entry = NULL};
	sim->golden[sim->n_golden++] = (struct sim_golden){
		.entry = core_entry_ref((struct core_entry *)entry), .known_by = status.term,
		.n_data = n_data + (entry->kind == CORE_ENTRY_DATA)};
}

static void acknowledge(struct sim *sim, const struct sim_node *node,
			const struct core_entry *entry)
{
	for (size_t i = sim->first_open_write; i < sim->n_writes; i++) {
		struct sim_call *call = &sim->writes[i];

		if (call->life != sim->nodes[call->node - 1].life)
			call->done = true; /* its client lost the connection and knows nothing */
		if (call->done || call->node != node->id || call->life != node->life ||
		    call->index != entry->index)
			continue;
		call->done = true;
		if (call->term != entry->term)
			continue; /* somebody else's entry took the place: the client is told no */
		sim->stats.acked++;
		sim->last_acked = JACO_MAX(sim->last_acked, entry->index);
	}
	while (sim->first_open_write < sim->n_writes && sim->writes[sim->first_open_write].done)
		sim->first_open_write++;
}

static void on_apply(void *ctx, const struct core_entry *entry)
{
	struct sim_node *node = ctx;
	struct sim *sim = node->sim;
	size_t next = sim->n_golden ? sim->n_golden : 1;

	if (entry->index > next)
		sim_violated(sim, "state machine: n%llu applies %llu, nobody applied %zu yet",
			     (unsigned long long)node->id, (unsigned long long)entry->index, next);
	else if (entry->index == next)
		add_golden(sim, node, entry);
	else if (!same(sim->golden[entry->index].entry, entry))
		sim_violated(sim,
			     "state machine: n%llu applies %llu of term %llu where term %llu was "
			     "applied before",
			     (unsigned long long)node->id, (unsigned long long)entry->index,
			     (unsigned long long)entry->term,
			     (unsigned long long)sim->golden[entry->index].entry->term);
	acknowledge(sim, node, entry);
}

/* @node's state is exactly the ordinary entries agreed on up to @index. */
static void check_state(struct sim *sim, const struct sim_node *node, uint64_t index)
{
	size_t at = 0;

	if (index >= JACO_MAX(sim->n_golden, 1)) {
		sim_violated(sim, "snapshot: n%llu has a state at %llu that nobody applied",
			     (unsigned long long)node->id, (unsigned long long)index);
		return;
	}
	for (uint64_t i = 1; i <= index; i++) {
		const struct core_entry *entry = sim->golden[i].entry;

		if (entry->kind != CORE_ENTRY_DATA)
			continue;
		if (at == node->host.state.n || !same(node->host.state.items[at], entry)) {
			sim_violated(sim, "state machine: n%llu lacks or differs at %llu",
				     (unsigned long long)node->id, (unsigned long long)i);
			return;
		}
		at++;
	}
	if (at != node->host.state.n)
		sim_violated(sim, "state machine: n%llu holds more than was agreed on",
			     (unsigned long long)node->id);
}

static void on_install(void *ctx, uint64_t index)
{
	struct sim_node *node = ctx;

	node->sim->stats.installs++;
	check_state(node->sim, node, index);
}

const struct host_hooks sim_hooks = {
	.on_apply = on_apply, .on_write = on_write, .on_install = on_install};

/* ---- after every step ---- */

static void check_leader(struct sim *sim, struct sim_node *node, const struct core_status *status)
{
	size_t cap = sim->cap_leaders;

	sim->stats.elections++;
	sim_trace(sim, "n%llu leads term %llu with log to %llu:%llu", (unsigned long long)node->id,
		  (unsigned long long)status->term, (unsigned long long)status->last_index,
		  (unsigned long long)status->last_term);
	sim->leaders = jaco_grow(sim->leaders, &sim->cap_leaders, (size_t)status->term + 1,
				 sizeof(*sim->leaders));
	if (sim->cap_leaders > cap)
		memset(sim->leaders + cap, 0, (sim->cap_leaders - cap) * sizeof(*sim->leaders));
	if (sim->leaders[status->term] && sim->leaders[status->term] != node->id) {
		sim_violated(sim, "election safety: n%llu and n%llu lead term %llu",
			     (unsigned long long)sim->leaders[status->term],
			     (unsigned long long)node->id, (unsigned long long)status->term);
		return;
	}
	sim->leaders[status->term] = node->id;
	for (uint64_t i = status->base_index + 1; i < sim->n_golden; i++) {
		const struct core_entry *mine = core_entry_at(node->host.core, i);

		if (sim->golden[i].known_by >= status->term)
			continue;
		if (!mine || !same(mine, sim->golden[i].entry)) {
			sim_violated(sim, "leader completeness: n%llu leads term %llu without the "
				     "committed entry %llu", (unsigned long long)node->id,
				     (unsigned long long)status->term, (unsigned long long)i);
			return;
		}
	}
}

static void check_reads(struct sim *sim, struct sim_node *node, const struct core_status *status)
{
	for (size_t i = 0; i < node->host.n_reads; i++) {
		const struct core_read_answer *answer = &node->host.reads[i];
		const struct sim_call *call = &sim->reads[answer->token];

		if (!answer->ok)
			continue;
		sim->stats.reads_answered++;
		if (answer->index < call->floor || status->applied < answer->index)
			sim_violated(sim,
				     "read: n%llu answers read %llu at %llu with %llu applied, "
				     "%llu was visible when it was asked",
				     (unsigned long long)node->id,
				     (unsigned long long)answer->token,
				     (unsigned long long)answer->index,
				     (unsigned long long)status->applied,
				     (unsigned long long)call->floor);
	}
	node->host.n_reads = 0;
}

void sim_check(struct sim *sim, struct sim_node *node)
{
	struct core_status status;

	core_status(node->host.core, &status);
	if (status.role == CORE_LEADER && node->role != CORE_LEADER)
		check_leader(sim, node, &status);
	node->role = status.role;
	if (status.commit < node->commit)
		sim_violated(sim, "commit: that of n%llu falls", (unsigned long long)node->id);
	node->commit = status.commit;
	check_reads(sim, node, &status);
}

void sim_check_healed(struct sim *sim)
{
	struct sim_node *leader = sim_leader(sim);
	struct core_status status;
	uint64_t last = sim->n_golden ? sim->n_golden - 1 : 0;

	if (!leader) {
		sim_violated(sim, "liveness: nobody leads after everything was repaired");
		return;
	}
	core_status(leader->host.core, &status);
	if (status.commit != status.last_index || last != status.last_index ||
	    last < sim->last_acked)
		sim_violated(sim, "liveness: the leader's log ends at %llu, committed is %llu, "
			     "applied %llu, acknowledged %llu",
			     (unsigned long long)status.last_index,
			     (unsigned long long)status.commit, (unsigned long long)last,
			     (unsigned long long)sim->last_acked);
	for (size_t i = 0; i < status.conf->n && !sim->failed; i++) {
		const struct sim_node *node = &sim->nodes[status.conf->members[i].id - 1];
		struct core_status theirs;

		core_status(node->host.core, &theirs);
		if (theirs.applied != last)
			sim_violated(sim, "liveness: n%llu has applied %llu of %llu",
				     (unsigned long long)node->id,
				     (unsigned long long)theirs.applied, (unsigned long long)last);
		check_state(sim, node, last);
	}
}
