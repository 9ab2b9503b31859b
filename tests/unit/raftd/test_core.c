/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/raftd/core/core.h"

#include "tests/lib/test.h"

/* A core of member 1 of @n_voters that has a clean disk. */
static struct core *start(struct core_options opt, size_t n_voters)
{
	struct core_start start = {.term = 0};
	struct jaco_err err = JACO_ERR_INIT;
	struct core *core = NULL;

	for (uint64_t id = 1; id <= n_voters; id++)
		JT_OK(core_conf_set(&start.conf, id, true, &err), &err);
	opt.id = 1;
	JT_OK(core_new(&core, &opt, 0, &start, &err), &err);
	return core;
}

/* Collect and store until nothing is left; the number of writes. */
static size_t settle(struct core *core)
{
	struct core_actions todo;
	size_t n = 0;

	for (;;) {
		core_collect(core, &todo);
		if (!todo.n_messages && !todo.write.seq && !todo.n_apply && !todo.n_reads)
			return n;
		if (todo.n_apply)
			core_applied(core, todo.apply[todo.n_apply - 1]->index);
		if (todo.write.seq) {
			n++;
			core_durable(core, todo.write.seq);
		}
	}
}

static struct core *lone_leader(struct core_options opt)
{
	struct core *core = start(opt, 1);

	core_campaign(core);
	settle(core);
	return core;
}

JT_CASE(a_lone_voter_leads_when_its_vote_is_on_disk)
{
	struct core *core = start(CORE_OPTIONS_DEFAULT, 1);
	struct core_actions todo;
	struct core_status status;

	core_campaign(core);
	core_collect(core, &todo);
	JT_TRUE(todo.write.hard);
	JT_EQ(todo.write.vote, 1);
	core_status(core, &status);
	JT_EQ(status.role, CORE_CANDIDATE);
	core_durable(core, todo.write.seq);
	core_collect(core, &todo);
	core_status(core, &status);
	JT_EQ(status.role, CORE_LEADER);
	JT_EQ(todo.write.n_entries, 1);
	JT_EQ(todo.write.entries[0]->kind, CORE_ENTRY_NOOP);
	JT_EQ(status.commit, 0);
	core_free(core);
}

JT_CASE(many_proposals_are_one_write_and_one_apply)
{
	struct core *core = lone_leader(CORE_OPTIONS_DEFAULT);
	struct jaco_err err = JACO_ERR_INIT;
	struct core_actions todo;
	uint64_t index;

	for (uint64_t i = 0; i < 1000; i++) {
		JT_OK(core_propose(core, core_entry_new(100), &index, &err), &err);
		JT_EQ(index, i + 2);
	}
	core_collect(core, &todo);
	JT_EQ(todo.write.n_entries, 1000);
	JT_EQ(todo.n_apply, 0);
	core_durable(core, todo.write.seq);
	core_collect(core, &todo);
	JT_EQ(todo.n_apply, 1000);
	JT_EQ(todo.write.seq, 0);
	core_free(core);
}

JT_CASE(proposals_beyond_the_bound_are_refused_until_some_commit)
{
	struct core_options opt = CORE_OPTIONS_DEFAULT;
	struct jaco_err err = JACO_ERR_INIT;
	struct core *core;
	uint64_t index;

	opt.max_uncommitted_bytes = 1000;
	core = lone_leader(opt);
	JT_OK(core_propose(core, core_entry_new(900), &index, &err), &err);
	JT_FAILS_WITH(core_propose(core, core_entry_new(101), &index, &err), TOO_MANY_REQUESTS,
		      "900 bytes", &err);
	settle(core);
	JT_OK(core_propose(core, core_entry_new(5000), &index, &err), &err);
	settle(core);
	JT_OK(core_propose(core, core_entry_new(101), &index, &err), &err);
	core_free(core);
}

JT_CASE(who_does_not_lead_says_so)
{
	struct core *core = start(CORE_OPTIONS_DEFAULT, 3);
	struct jaco_err err = JACO_ERR_INIT;
	uint64_t index;

	JT_FAILS_WITH(core_propose(core, core_entry_new(1), &index, &err), NO_LEADER,
		      "does not lead", &err);
	JT_FAILS_WITH(core_read(core, 1, &err), NO_LEADER, "does not lead", &err);
	JT_FAILS_WITH(core_transfer(core, 2, &err), NO_LEADER, "does not lead", &err);
	JT_FAILS_WITH(core_change(core, CORE_REMOVE, 2, &index, &err), NO_LEADER, "does not lead",
		      &err);
	core_free(core);
}

JT_CASE(a_disk_that_cannot_be_is_refused)
{
	struct core_options opt = CORE_OPTIONS_DEFAULT;
	struct jaco_err err = JACO_ERR_INIT;
	struct core_entry *entries[2] = {core_entry_load(CORE_ENTRY_DATA, 1, 1, "a", 1),
					 core_entry_load(CORE_ENTRY_DATA, 3, 1, "b", 1)};
	struct core_start start = {.term = 1, .entries = entries, .n_entries = 2};
	struct core *core = NULL;

	JT_FAILS_WITH(core_new(&core, &opt, 0, &start, &err), VALIDATION_FAILED, "must be set",
		      &err);
	opt.id = 1;
	JT_FAILS_WITH(core_new(&core, &opt, 0, &start, &err), VALIDATION_FAILED,
		      "has 3 where 2 belongs", &err);
	start.n_entries = 1;
	start.term = 0;
	JT_FAILS_WITH(core_new(&core, &opt, 0, &start, &err), VALIDATION_FAILED, "term that cannot",
		      &err);
	start.term = 1;
	start.applied = 2;
	JT_FAILS_WITH(core_new(&core, &opt, 0, &start, &err), VALIDATION_FAILED,
		      "the state is at 2", &err);
	opt.max_reads = 0;
	JT_FAILS_WITH(core_new(&core, &opt, 0, &start, &err), VALIDATION_FAILED, "limit is zero",
		      &err);
	JT_NULL(core);
	core_entry_unref(entries[0]);
	core_entry_unref(entries[1]);
}

JT_CASE(impossible_messages_change_nothing)
{
	struct core *core = start(CORE_OPTIONS_DEFAULT, 3);
	struct core_entry *gap = core_entry_load(CORE_ENTRY_DATA, 5, 1, "x", 1);
	struct core_entry *conf = core_entry_load(CORE_ENTRY_CONF, 1, 1, "junk", 4);
	const struct core_message msgs[] = {
		{.type = CORE_APP_REQ, .from = 2, .to = 1, .term = 1, .entries = &gap,
		 .n_entries = 1},
		{.type = CORE_APP_REQ, .from = 2, .to = 1, .term = 1, .entries = &conf,
		 .n_entries = 1},
		{.type = CORE_APP_REQ, .from = 2, .to = 3, .term = 1},
		{.type = CORE_APP_REQ, .from = 1, .to = 1, .term = 1},
		{.type = CORE_APP_RESP, .from = 2, .to = 1, .term = 1, .ok = true, .index = 99},
		{.type = CORE_SNAP_REQ, .from = 2, .to = 1, .term = 1, .index = 5, .done = true},
		{.type = CORE_VOTE_REQ, .from = 2, .to = 1, .term = UINT64_MAX, .index = 9},
	};
	struct core_actions todo;
	struct core_status status;

	for (size_t i = 0; i < JACO_ARRAY_SIZE(msgs); i++)
		core_receive(core, &msgs[i]);
	core_collect(core, &todo);
	core_status(core, &status);
	JT_EQ(status.last_index, 0);
	JT_EQ(status.term, 1);
	JT_EQ(todo.n_messages, 0);
	core_free(core);
	core_entry_unref(gap);
	core_entry_unref(conf);
}

/* Below the commit index nothing is compared, so the first new entry may come with any term. */
JT_CASE(a_log_whose_terms_would_fall_is_not_built)
{
	struct core_options opt = CORE_OPTIONS_DEFAULT;
	struct jaco_err err = JACO_ERR_INIT;
	struct core_entry *mine = core_entry_load(CORE_ENTRY_DATA, 1, 5, "a", 1);
	struct core_entry *theirs[] = {core_entry_load(CORE_ENTRY_DATA, 1, 1, "x", 1),
				       core_entry_load(CORE_ENTRY_DATA, 2, 2, "y", 1)};
	struct core_start start = {.term = 5, .entries = &mine, .n_entries = 1, .commit = 1};
	const struct core_message msg = {.type = CORE_APP_REQ, .from = 2, .to = 1, .term = 6,
					 .entries = theirs, .n_entries = 2};
	struct core_status status;
	struct core *core = NULL;

	opt.id = 1;
	JT_OK(core_new(&core, &opt, 0, &start, &err), &err);
	core_receive(core, &msg);
	core_status(core, &status);
	JT_EQ(status.last_index, 1);
	JT_EQ(status.last_term, 5);
	core_free(core);
	core_entry_unref(mine);
	core_entry_unref(theirs[0]);
	core_entry_unref(theirs[1]);
}

JT_CASE(one_acknowledgement_covers_a_stream_of_appends)
{
	struct core *core = start(CORE_OPTIONS_DEFAULT, 3);
	struct core_actions todo;

	for (uint64_t i = 1; i <= 20; i++) {
		struct core_entry *entry = core_entry_load(CORE_ENTRY_DATA, i, 1, "x", 1);
		struct core_message msg = {.type = CORE_APP_REQ, .from = 2, .to = 1, .term = 1,
					   .index = i - 1, .log_term = i > 1, .entries = &entry,
					   .n_entries = 1};

		core_receive(core, &msg);
		core_entry_unref(entry);
	}
	core_collect(core, &todo);
	JT_EQ(todo.n_messages, 0);
	JT_EQ(todo.write.n_entries, 20);
	core_durable(core, todo.write.seq);
	core_collect(core, &todo);
	JT_EQ(todo.n_messages, 1);
	JT_EQ(todo.messages[0].index, 20);
	core_free(core);
}

JT_CASE(the_deadline_is_when_something_happens)
{
	struct core *core = start(CORE_OPTIONS_DEFAULT, 3);
	struct core_actions todo;
	uint64_t at = core_deadline(core);

	JT_TRUE(at >= 150 && at < 300);
	core_tick(core, at - 1);
	core_collect(core, &todo);
	JT_EQ(todo.n_messages, 0);
	core_tick(core, at);
	core_collect(core, &todo);
	JT_EQ(todo.n_messages, 2);
	JT_EQ(todo.messages[0].type, CORE_PREVOTE_REQ);
	core_free(core);
}

/* A follower that heard its leader @heard ms after the start. */
static struct core *follower(struct core_options opt, uint64_t heard)
{
	struct core *core = start(opt, 3);
	struct core_message beat = {.type = CORE_APP_REQ, .from = 2, .to = 1, .term = 1};

	core_tick(core, heard);
	core_receive(core, &beat);
	settle(core);
	return core;
}

JT_CASE(a_leader_whose_connection_broke_is_suspected_at_once)
{
	struct core *core = follower(CORE_OPTIONS_DEFAULT, 1000);
	struct core_message ask = {.type = CORE_PREVOTE_REQ, .from = 3, .to = 1, .term = 2};
	struct core_actions todo;

	JT_TRUE(core_deadline(core) >= 1150);
	core_peer_lost(core, 3); /* who does not lead is not missed */
	JT_TRUE(core_deadline(core) >= 1150);
	core_receive(core, &ask);
	core_collect(core, &todo);
	JT_FALSE(todo.messages[0].ok);

	core_peer_lost(core, 2);
	JT_TRUE(core_deadline(core) < 1050);
	core_receive(core, &ask);
	core_collect(core, &todo);
	JT_TRUE(todo.messages[0].ok);
	core_tick(core, core_deadline(core));
	core_collect(core, &todo);
	JT_EQ(todo.n_messages, 2); /* the others are asked, nobody is disturbed */
	JT_EQ(todo.messages[0].type, CORE_PREVOTE_REQ);
	core_free(core);
}

JT_CASE(after_a_start_the_others_are_asked_as_soon_as_they_are_there)
{
	struct core_options opt = CORE_OPTIONS_DEFAULT;
	struct core_actions todo;
	struct core *core = start(opt, 3);

	JT_TRUE(core_deadline(core) >= 150);
	core_tick(core, 10);
	core_peer_found(core, 4); /* a stranger */
	JT_TRUE(core_deadline(core) >= 150);
	core_peer_found(core, 2);
	JT_TRUE(core_deadline(core) >= 60 && core_deadline(core) < 110);
	core_tick(core, core_deadline(core));
	core_collect(core, &todo);
	JT_EQ(todo.n_messages, 2);
	JT_EQ(todo.messages[0].type, CORE_PREVOTE_REQ);
	core_receive(core,
		     &(struct core_message){.type = CORE_APP_REQ, .from = 2, .to = 1, .term = 1});
	settle(core);
	core_peer_found(core, 3); /* only once */
	JT_TRUE(core_deadline(core) >= 200);
	core_free(core);

	/* whoever leads has told this node meanwhile */
	core = follower(opt, 1000);
	core_peer_found(core, 3);
	JT_TRUE(core_deadline(core) >= 1150);
	core_free(core);

	opt.lease_reads = true;
	core = start(opt, 3);
	core_peer_found(core, 2);
	JT_TRUE(core_deadline(core) >= 150);
	core_free(core);
}

JT_CASE(a_lease_is_not_cut_short_by_a_broken_connection)
{
	struct core_options opt = CORE_OPTIONS_DEFAULT;
	struct core *core;

	opt.lease_reads = true;
	core = follower(opt, 1000);
	core_peer_lost(core, 2);
	JT_TRUE(core_deadline(core) >= 1150);
	core_free(core);
}

JT_CASE(compaction_stops_at_what_is_applied)
{
	struct core *core = lone_leader(CORE_OPTIONS_DEFAULT);
	struct jaco_err err = JACO_ERR_INIT;
	struct core_conf conf;

	JT_FAILS_WITH(core_compact(core, 2, &err), VALIDATION_FAILED, "1 is applied", &err);
	JT_FAILS_WITH(core_offer(core, 2, &err), VALIDATION_FAILED, "cannot be sent", &err);
	JT_OK(core_compact(core, 1, &err), &err);
	JT_OK(core_offer(core, 1, &err), &err);
	JT_FAILS_WITH(core_compact(core, 1, &err), VALIDATION_FAILED, "starts after 1", &err);
	JT_FAILS_WITH(core_conf_at(core, 0, &conf, &err), VALIDATION_FAILED, "not in the log",
		      &err);
	core_free(core);
}

/* Member 1 of 3 leads with its no-op stored by all and known by all to be committed. */
static struct core *leader_of_three(struct core_options opt)
{
	struct core *core = start(opt, 3);

	core_campaign(core);
	settle(core);
	for (enum core_message_type type = CORE_PREVOTE_RESP; type <= CORE_VOTE_RESP; type += 2) {
		core_receive(core,
			     &(struct core_message){
				     .type = type, .from = 2, .to = 1, .term = 1, .ok = true});
		settle(core);
	}
	for (uint64_t from = 2; from <= 3; from++) {
		core_receive(core, &(struct core_message){.type = CORE_APP_RESP,
							  .from = from,
							  .to = 1,
							  .term = 1,
							  .index = 1,
							  .ok = true});
		settle(core);
	}
	core_tick(core, opt.linger);
	settle(core);
	return core;
}

/* A write that follower 2 has stored, at time @now: it is committed. */
static void commit_one(struct core *core, uint64_t now)
{
	struct core_message stored = {
		.type = CORE_APP_RESP, .from = 2, .to = 1, .term = 1, .ok = true};
	struct jaco_err err = JACO_ERR_INIT;
	struct core_actions todo;
	struct core_status status;

	core_tick(core, now);
	JT_OK(core_propose(core, core_entry_new(1), &stored.index, &err), &err);
	core_collect(core, &todo);
	JT_EQ(todo.n_messages, 2);
	JT_EQ(todo.messages[0].n_entries, 1);
	JT_EQ(todo.messages[0].commit, stored.index - 1);
	core_durable(core, todo.write.seq);
	core_receive(core, &stored);
	core_collect(core, &todo);
	JT_EQ(todo.n_apply, 1);
	JT_EQ(todo.n_messages, 0);
	core_applied(core, stored.index);
	core_status(core, &status);
	JT_EQ(status.commit, stored.index);
}

JT_CASE(a_commit_lingers_for_the_entries_that_tell_it)
{
	struct core_options opt = CORE_OPTIONS_DEFAULT;
	struct core_actions todo;
	struct core *core;

	opt.linger = 3;
	core = leader_of_three(opt);
	commit_one(core, 10);
	JT_EQ(core_deadline(core), 13);
	commit_one(core, 12);
	JT_EQ(core_deadline(core), 15);
	core_tick(core, 14);
	core_collect(core, &todo);
	JT_EQ(todo.n_messages, 0);
	core_tick(core, 15);
	core_collect(core, &todo);
	JT_EQ(todo.n_messages, 1); /* 3 has not stored it */
	JT_EQ(todo.messages[0].to, 2);
	JT_EQ(todo.messages[0].n_entries, 0);
	JT_EQ(todo.messages[0].commit, 3);
	JT_EQ(core_deadline(core), 50);
	core_free(core);
}

JT_CASE(who_waits_for_a_commit_is_told_at_once)
{
	struct core_options opt = CORE_OPTIONS_DEFAULT;
	struct core_actions todo;
	struct core *core;

	opt.linger = 3;
	core = leader_of_three(opt);
	commit_one(core, 10);
	core_tell(core, 3); /* it has not stored it: nothing to be told */
	core_tell(core, 2);
	core_collect(core, &todo);
	JT_EQ(todo.n_messages, 1);
	JT_EQ(todo.messages[0].to, 2);
	JT_EQ(todo.messages[0].commit, 2);
	core_tell(core, 2);
	core_collect(core, &todo);
	JT_EQ(todo.n_messages, 0);
	core_free(core);
}

JT_CASE(a_committed_change_of_members_does_not_linger)
{
	struct core_message stored = {
		.type = CORE_APP_RESP, .from = 2, .to = 1, .term = 1, .ok = true};
	struct core_options opt = CORE_OPTIONS_DEFAULT;
	struct jaco_err err = JACO_ERR_INIT;
	struct core_actions todo;
	struct core *core;

	opt.linger = 3;
	core = leader_of_three(opt);
	JT_OK(core_change(core, CORE_REMOVE, 3, &stored.index, &err), &err);
	settle(core);
	core_receive(core, &stored);
	core_collect(core, &todo);
	JT_EQ(todo.n_messages, 1);
	JT_EQ(todo.messages[0].commit, stored.index);
	core_free(core);
}

JT_MAIN(JT_RUN(a_commit_lingers_for_the_entries_that_tell_it),
	JT_RUN(who_waits_for_a_commit_is_told_at_once),
	JT_RUN(a_committed_change_of_members_does_not_linger),
	JT_RUN(after_a_start_the_others_are_asked_as_soon_as_they_are_there),
	JT_RUN(a_leader_whose_connection_broke_is_suspected_at_once),
	JT_RUN(a_lease_is_not_cut_short_by_a_broken_connection),
	JT_RUN(a_lone_voter_leads_when_its_vote_is_on_disk),
	JT_RUN(many_proposals_are_one_write_and_one_apply),
	JT_RUN(proposals_beyond_the_bound_are_refused_until_some_commit),
	JT_RUN(who_does_not_lead_says_so), JT_RUN(a_disk_that_cannot_be_is_refused),
	JT_RUN(impossible_messages_change_nothing),
	JT_RUN(a_log_whose_terms_would_fall_is_not_built),
	JT_RUN(one_acknowledgement_covers_a_stream_of_appends),
	JT_RUN(the_deadline_is_when_something_happens), JT_RUN(compaction_stops_at_what_is_applied))
