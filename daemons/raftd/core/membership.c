/* SPDX-License-Identifier: Apache-2.0
 *
 * membership.c - which configuration is in force, and changing it one member at a time.
 *
 * Thesis 4.1: a server uses the newest configuration in its log, committed or not, so a truncated
 * entry takes its configuration with it.  The next change waits for the commit of the previous one
 * and for an entry of the leader's own term (the correction of 2015 to single-server changes). */
#include "daemons/raftd/core/internal.h"
#include "daemons/raftd/core/rules.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"

#include <string.h>

static void fresh_peer(struct core *core, const struct core_member *member,
		       struct peer *out_peer)
{
	*out_peer = (struct peer){.id = member->id, .heard = core->now};
	replication_probe(core, out_peer, JACO_MAX(log_last(&core->log), 1));
}

/* Make the peers those of core->conf, keeping what is known of the ones that stay. */
static void match_peers(struct core *core)
{
	struct peer old[JACO_NODES_MAX];
	size_t n_old = core->n_peers;
	size_t at = 0;

	memcpy(old, core->peers, n_old * sizeof(old[0]));
	core->n_peers = 0;
	core->self_votes = false;
	for (size_t i = 0; i < core->conf.n; i++) {
		const struct core_member *member = &core->conf.members[i];
		struct peer *peer = &core->peers[core->n_peers];

		if (member->id == core->opt.id) {
			core->self_votes = member->is_voter;
			continue;
		}
		while (at < n_old && old[at].id < member->id)
			replication_forget(&old[at++]);
		if (at < n_old && old[at].id == member->id)
			*peer = old[at++];
		else
			fresh_peer(core, member, peer);
		peer->is_voter = member->is_voter;
		core->n_peers++;
	}
	while (at < n_old)
		replication_forget(&old[at++]);
}

static void use(struct core *core, const struct core_conf *conf)
{
	core->conf = *conf;
	match_peers(core);
	core->changed = true;
	core->commit_due = core->role == CORE_LEADER; /* the majority may be another one */
	if (core->transfer && !core_find_peer(core, core->transfer))
		core->transfer = 0;
}

static void read_conf(const struct core *core, uint64_t index, struct core_conf *out_conf)
{
	const struct core_entry *entry = log_at(&core->log, index);

	JACO_ASSERT(entry && entry->kind == CORE_ENTRY_CONF);
	JACO_ASSERT(core_conf_unpack(out_conf, entry->data, entry->bytes, NULL) == 0);
}

void membership_init(struct core *core, const struct core_conf *conf)
{
	core->base_conf = *conf;
	use(core, conf);
}

void membership_appended(struct core *core, const struct core_entry *entry)
{
	struct core_conf conf;

	core->conf_at = jaco_grow(core->conf_at, &core->cap_conf_at, core->n_conf_at + 1,
				  sizeof(*core->conf_at));
	core->conf_at[core->n_conf_at++] = entry->index;
	read_conf(core, entry->index, &conf);
	use(core, &conf);
}

void membership_truncated(struct core *core, uint64_t from)
{
	struct core_conf conf;
	size_t n = core->n_conf_at;

	while (core->n_conf_at && core->conf_at[core->n_conf_at - 1] >= from)
		core->n_conf_at--;
	if (core->n_conf_at == n || !rules_conf_rolls_back())
		return;
	membership_at(core, from - 1, &conf);
	use(core, &conf);
}

void membership_at(const struct core *core, uint64_t index, struct core_conf *out_conf)
{
	size_t i = core->n_conf_at;

	while (i && core->conf_at[i - 1] > index)
		i--;
	if (i)
		read_conf(core, core->conf_at[i - 1], out_conf);
	else
		*out_conf = core->base_conf;
}

/* To be called while the entries up to @index are still in the log. */
void membership_compacted(struct core *core, uint64_t index)
{
	struct core_conf conf;
	size_t gone = 0;

	membership_at(core, index, &conf);
	core->base_conf = conf;
	while (gone < core->n_conf_at && core->conf_at[gone] <= index)
		gone++;
	core->n_conf_at -= gone;
	if (gone)
		memmove(core->conf_at, core->conf_at + gone,
			core->n_conf_at * sizeof(*core->conf_at));
}

void membership_reset(struct core *core, const struct core_conf *conf)
{
	core->n_conf_at = 0;
	membership_init(core, conf);
}

bool membership_is_committed(const struct core *core)
{
	return !core->n_conf_at || core->conf_at[core->n_conf_at - 1] <= core->commit;
}

static bool votes_in(const struct core *core, const struct core_conf *conf)
{
	const struct core_member *self = core_conf_find(conf, core->opt.id);

	return self && self->is_voter;
}

bool membership_may_vote(const struct core *core)
{
	struct core_conf conf;

	if (membership_is_committed(core))
		return core->self_votes;
	membership_at(core, core->commit, &conf);
	if (votes_in(core, &conf))
		return true;
	for (size_t i = core->n_conf_at; i && core->conf_at[i - 1] > core->commit; i--) {
		read_conf(core, core->conf_at[i - 1], &conf);
		if (votes_in(core, &conf))
			return true;
	}
	return false;
}

/* Thesis 4.2.2: a leader outside the new configuration manages it until it is committed. */
void membership_committed(struct core *core)
{
	if (core->role == CORE_LEADER && !core->self_votes && membership_is_committed(core))
		election_follow(core, core->term, 0);
}

static int check_change(const struct core *core, enum core_change change, uint64_t id,
			struct jaco_err *err)
{
	const struct core_member *member = core_conf_find(&core->conf, id);

	if (core->role != CORE_LEADER)
		return jaco_err_set(err, JACO_NO_LEADER, "node %llu does not lead",
				    (unsigned long long)core->opt.id);
	if (core->transfer)
		return jaco_err_set(err, JACO_UNAVAILABLE, "leadership is being handed over");
	if (!membership_is_committed(core))
		return jaco_err_set(err, JACO_CONFLICT, "the previous change is not committed yet");
	if (core->commit < core->term_start)
		return jaco_err_set(err, JACO_UNAVAILABLE, "nothing of this term is committed yet");
	if (!member && change == CORE_REMOVE)
		return jaco_err_set(err, JACO_NODE_NOT_FOUND, "no member has id %llu",
				    (unsigned long long)id);
	if (!id || (member && change != CORE_REMOVE &&
		    member->is_voter == (change == CORE_SET_VOTER)))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "nothing would change");
	return 0;
}

int core_change(struct core *core, enum core_change change, uint64_t id, uint64_t *out_index,
		struct jaco_err *err)
{
	struct core_conf conf = core->conf;
	uint8_t packed[CORE_CONF_PACKED_MAX];
	struct core_entry *entry;
	int rc = check_change(core, change, id, err);

	core_begin(core);
	if (rc < 0)
		return rc;
	if (change == CORE_REMOVE)
		core_conf_remove(&conf, id);
	else
		rc = core_conf_set(&conf, id, change == CORE_SET_VOTER, err);
	if (rc < 0)
		return rc;
	if (!core_conf_voters(&conf))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "no voter would be left");
	entry = core_entry_load(CORE_ENTRY_CONF, log_last(&core->log) + 1, core->term, packed,
				(uint32_t)core_conf_pack(&conf, packed));
	*out_index = entry->index;
	replication_append(core, entry);
	return 0;
}

int core_conf_at(const struct core *core, uint64_t index, struct core_conf *out_conf,
		 struct jaco_err *err)
{
	if (index < core->log.base_index || index > log_last(&core->log))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "index %llu is not in the log",
				    (unsigned long long)index);
	membership_at(core, index, out_conf);
	return 0;
}
