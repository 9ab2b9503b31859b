/* SPDX-License-Identifier: Apache-2.0
 *
 * gossip.c - push, digests, and the opinion of the others that follows from silence. */
#include "daemons/raftd/gossip/gossip.h"

#include <string.h>

#include "daemons/raftd/gossip/probe.h"
#include "daemons/raftd/kv/access.h"
#include "daemons/raftd/raftd.h"
#include "libjaco/base/fault.h"
#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"

#define PUSH_MS     5
#define ROUND_MS    500
#define DIGEST_EVERY 4 /* rounds */
#define GONE_EVERY   10
#define BATCH_BYTES (256u * 1024)
#define BATCH_MAX   1024
#define OWNERS_MAX  128 /* more than JACO_NODES_MAX */
/* An answer to a digest is at most so much; the next digest brings the rest. */
#define ANSWER_BYTES (1u << 20)
/* Own changes leave for all peers together at most at this rate: what changes faster is sent in its
 * latest form only. */
#define PUSH_BYTES_PER_S (4u << 20)
#define TOMBSTONE_MS     (10 * 60 * 1000ll)

static bool is_opinion(const char *key)
{
	return jaco_str_starts(key, "/obs/node/") && jaco_str_ends(key, "/liveness");
}

/* --- sending --- */

struct batch {
	struct link_peer *peer; /* NULL: all */
	struct gossip *gossip;
	struct wire_raft_record records[BATCH_MAX];
	size_t n;
	size_t bytes;
	size_t sent;
};

static void batch_send(struct batch *batch)
{
	struct wire_raft_gossip msg = {.has = 0};
	struct link_peer *peer;

	msg.records.v = batch->records;
	msg.records.n = batch->n;
	if (batch->n > 0 && batch->peer)
		link_send(batch->peer, "raft.gossip", &wire_raft_gossip_desc, &msg);
	else if (batch->n > 0)
		TAILQ_FOREACH (peer, &batch->gossip->raftd->link.peers, next)
			link_send(peer, "raft.gossip", &wire_raft_gossip_desc, &msg);
	batch->sent += batch->bytes;
	batch->n = batch->bytes = 0;
}

static void batch_add(struct batch *batch, const struct record *record)
{
	struct wire_raft_record *out;

	if (is_opinion(record->key) || record->incarnation == 0) /* disowned: nobody said that */
		return;
	if (batch->n == BATCH_MAX || batch->bytes + record->value.n > BATCH_BYTES)
		batch_send(batch);
	out = &batch->records[batch->n++];
	*out = (struct wire_raft_record){.key = record->key,
					 .owner = record->owner,
					 .incarnation = record->incarnation,
					 .sequence = record->sequence};
	if (record->value.data)
		JACO_SET(out, raft_record, value,
			 ((struct wire_bin){record->value.data, record->value.n}));
	batch->bytes += record->value.n + strlen(record->key) + 64;
}

/* Records of @owner that changed here after @since, to @peer or everybody; how many bytes to
 * each. */
static size_t send_records(struct gossip *gossip, struct link_peer *peer, const char *owner,
			 uint64_t since)
{
	const struct records *records = &gossip->raftd->records;
	struct batch *batch = jaco_alloc(sizeof(*batch));
	size_t sent;

	batch->gossip = gossip;
	batch->peer = peer;
	for (size_t i = 0; i < records->n; i++)
		if (records->items[i]->change > since &&
		    strcmp(records->items[i]->owner, owner) == 0)
			batch_add(batch, records->items[i]);
	batch_send(batch);
	sent = batch->sent;
	jaco_free(batch);
	return sent;
}

static void on_push(struct jaco_timer *timer, void *ctx)
{
	struct gossip *gossip = ctx;
	struct link_peer *peer;
	size_t n_peers = 0, sent;

	(void)timer;
	TAILQ_FOREACH (peer, &gossip->raftd->link.peers, next)
		n_peers++;
	sent = send_records(gossip, NULL, gossip->raftd->host, gossip->pushed) * n_peers;
	gossip->pushed = gossip->raftd->records.changes;
	gossip->push_rest_ms = (int64_t)(sent * 1000 / PUSH_BYTES_PER_S);
	gossip->pushed_at = jaco_loop_now(&gossip->raftd->daemon->loop);
}

void gossip_published(struct gossip *gossip)
{
	struct jaco_time now = jaco_loop_now(&gossip->raftd->daemon->loop);
	int64_t rest = gossip->push_rest_ms - jaco_time_diff_ms(now, gossip->pushed_at);

	jaco_timer_arm_if_idle(&gossip->push, JACO_MAX(rest, PUSH_MS));
}

void gossip_peer_up(struct gossip *gossip, struct link_peer *peer)
{
	send_records(gossip, peer, gossip->raftd->host, 0);
}

/* --- digests --- */

static bool is_same(const struct wire_raft_digest *theirs, const struct records_summary *own)
{
	for (size_t i = 0; i < theirs->owners.n; i++)
		if (strcmp(theirs->owners.v[i].owner, own->owner) == 0)
			return theirs->owners.v[i].count == own->count &&
			       theirs->owners.v[i].sum == own->sum;
	return false;
}

/* One number most of the time; all owners when the other end holds something else. */
static void send_digest(struct gossip *gossip, struct link_peer *peer, bool is_full, bool is_answer)
{
	const struct records *records = &gossip->raftd->records;
	struct records_summary own[OWNERS_MAX];
	struct wire_raft_owner owners[OWNERS_MAX];
	struct wire_raft_digest msg = {.answer = is_answer};
	size_t n = is_full ? records_summarise(records, is_opinion, own, OWNERS_MAX) : 0;

	for (size_t i = 0; i < n; i++)
		owners[i] = (struct wire_raft_owner){
			.owner = own[i].owner, .count = own[i].count, .sum = own[i].sum};
	msg.owners.v = owners;
	msg.owners.n = n;
	if (!is_full)
		JACO_SET(&msg, raft_digest, sum, records_sum(records, is_opinion));
	link_send(peer, "raft.digest", &wire_raft_digest_desc, &msg);
}

void gossip_on_digest(struct gossip *gossip, struct link_peer *peer,
		      const struct wire_raft_digest *msg)
{
	struct records *records = &gossip->raftd->records;
	struct records_summary own[OWNERS_MAX];
	size_t n, sent = 0;

	if (JACO_HAS(msg, raft_digest, sum)) {
		if (msg->sum != records_sum(records, is_opinion))
			send_digest(gossip, peer, true, false);
		return;
	}
	n = records_summarise(records, is_opinion, own, OWNERS_MAX);
	for (size_t i = 0; i < n && sent < ANSWER_BYTES; i++)
		if (!is_same(msg, &own[i]))
			sent += send_records(gossip, peer, own[i].owner, 0);
	if (!msg->answer)
		send_digest(gossip, peer, true, true);
}

/* --- receiving --- */

static bool is_member(struct raftd *raftd, const char *host)
{
	return strcmp(host, raftd->host) == 0 || link_find(&raftd->link, host) != NULL;
}

/* A record may come by way of any member, but only its owner's node can have made it. */
static bool is_credible(struct raftd *raftd, const struct wire_raft_record *record)
{
	struct jaco_err err = JACO_ERR_INIT;

	return is_member(raftd, record->owner) && !is_opinion(record->key) &&
	       access_owner(record->key, record->owner, &err) == 0;
}

/* It was away while that was withdrawn and forgotten. */
static void say_withdrawn(struct link_peer *peer, const struct wire_raft_record *record,
			  const struct records_owner *floor)
{
	struct wire_raft_record gone = {.key = record->key, .owner = record->owner,
					.incarnation = floor->incarnation,
					.sequence = floor->sequence};
	struct wire_raft_gossip msg = {.records = {.v = &gone, .n = 1}};

	link_send(peer, "raft.gossip", &wire_raft_gossip_desc, &msg);
}

static int merge_one(struct raftd *raftd, struct link_peer *peer,
		     const struct wire_raft_record *record, struct jaco_err *err)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct record incoming = {.key = record->key,
				  .incarnation = record->incarnation,
				  .sequence = record->sequence};
	const struct records_owner *floor;
	const struct record *merged = NULL;
	int rc;

	(void)jaco_str_copy(incoming.owner, sizeof(incoming.owner), record->owner);
	if (JACO_HAS(record, raft_record, value)) {
		incoming.value = (struct kv_bytes){record->value.data ? record->value.data : "",
						   record->value.n};
		if (access_check_value(record->key, record->value.data, record->value.n, &arena,
				       err) < 0)
			return -(int)err->code;
	}
	if (strcmp(incoming.owner, raftd->host) == 0) { /* nobody knows that better than we */
		if (records_refute(&raftd->records, &incoming) > 0)
			gossip_published(&raftd->gossip);
		return 0;
	}
	floor = strcmp(incoming.owner, peer->host) != 0
			? records_floor_of(&raftd->records, &incoming)
			: NULL;
	if (floor) {
		if (incoming.value.data)
			say_withdrawn(peer, record, floor);
		return 0;
	}
	rc = records_merge(&raftd->records, &incoming, &merged, err);
	if (rc > 0)
		watch_note_record(&raftd->hub, merged);
	return rc;
}

void gossip_on_records(struct gossip *gossip, struct link_peer *peer,
		       const struct wire_raft_gossip *msg)
{
	struct raftd *raftd = gossip->raftd;
	struct jaco_err err = JACO_ERR_INIT;
	size_t n = 0;

	for (size_t i = 0; i < msg->records.n; i++) {
		int rc;

		if (!is_credible(raftd, &msg->records.v[i]))
			continue;
		rc = merge_one(raftd, peer, &msg->records.v[i], &err);
		if (rc < 0)
			JACO_LOG_FAILURE(JACO_LOG_WARNING, "an observed record is not taken", &err,
					 KV_STR(peer, peer->host));
		n += rc > 0;
	}
	gossip->n_merged += n;
	if (n > 0)
		watch_pump(&raftd->hub);
}

/* --- who is there --- */

static void publish_opinion(struct gossip *gossip, struct link_peer *peer)
{
	struct raftd *raftd = gossip->raftd;
	jaco_auto(jaco_buf) struct jaco_buf packed = JACO_BUF_INIT;
	struct wire_obs_liveness liveness = {.state = peer->liveness,
					     .boot_id = peer->boot_id[0] ? peer->boot_id : NULL,
					     .incarnation = peer->incarnation,
					     .version = peer->version[0] ? peer->version : NULL,
					     .since = (uint64_t)peer->since_ms,
					     .skew_ms = peer->skew_ms,
					     .indirect = peer->is_indirect};
	struct record opinion = {.incarnation = raftd->records.incarnation,
				 .sequence = ++raftd->records.sequence};
	const struct record *taken = NULL;
	struct jaco_err err = JACO_ERR_INIT;
	char key[JACO_KEY_MAX];

	(void)jaco_str_format(key, sizeof(key), "/obs/node/%s/liveness", peer->host);
	(void)jaco_str_copy(opinion.owner, sizeof(opinion.owner), raftd->host);
	opinion.key = key;
	if (jaco_pack(&packed, &wire_obs_liveness_desc, &liveness, &err) < 0)
		return;
	opinion.value = (struct kv_bytes){packed.data, packed.n};
	if (records_merge(&raftd->records, &opinion, &taken, &err) > 0) {
		watch_note_record(&raftd->hub, taken);
		watch_pump(&raftd->hub);
	}
	peer->is_published = true;
}

static enum jaco_liveness judge(const struct link_peer *peer, int64_t unreachable_after)
{
	bool is_vouched = peer->vouched.ns != 0 &&
			  jaco_time_diff_ms(jaco_loop_now(peer->link->loop), peer->vouched) <=
				  unreachable_after;

	if (link_is_heard(peer, unreachable_after / 2))
		return JACO_LIVENESS_ALIVE;
	return link_is_heard(peer, unreachable_after) || is_vouched ? JACO_LIVENESS_SUSPECT
								     : JACO_LIVENESS_UNREACHABLE;
}

static void look_at(struct gossip *gossip, struct link_peer *peer)
{
	int64_t unreachable_after = gossip->raftd->daemon->config.unreachable_after;
	enum jaco_liveness now = judge(peer, unreachable_after);
	bool is_indirect = now == JACO_LIVENESS_SUSPECT && !link_is_heard(peer, unreachable_after);

	/* rarely of one that is known to be gone: its answers would only pile up */
	if (now == JACO_LIVENESS_SUSPECT ||
	    (now == JACO_LIVENESS_UNREACHABLE && gossip->turn % GONE_EVERY == 0))
		probe_others(gossip->raftd, peer);
	if (now == peer->liveness && is_indirect == peer->is_indirect && peer->is_published)
		return;
	if (now != peer->liveness) {
		if (now == JACO_LIVENESS_UNREACHABLE || peer->liveness == JACO_LIVENESS_UNREACHABLE)
			jaco_log_notice(
				"a member's liveness changed", KV_STR(peer, peer->host),
				KV_STR(state, jaco_enum_word(&jaco_liveness_enum, (int)now)));
		peer->liveness = now;
		peer->since_ms = jaco_time_wall_ms();
	}
	peer->is_indirect = is_indirect;
	publish_opinion(gossip, peer);
}

/* Of an owner whose present run is @incarnation, what earlier runs said and nobody said again. */
static void drop_old_run(struct gossip *gossip, const struct link_peer *peer)
{
	struct raftd *raftd = gossip->raftd;
	struct records *records = &raftd->records;

	if (peer->incarnation == 0 ||
	    peer->incarnation + WATCH_OLD_RUN_MS > (uint64_t)jaco_time_wall_ms())
		return;
	for (size_t i = 0; i < records->n; i++) {
		const struct record *old = records->items[i], *dropped = NULL;
		struct record gone = {.key = old->key, .incarnation = old->incarnation,
				      .sequence = old->sequence + 1};
		struct jaco_err err = JACO_ERR_INIT;

		if (!old->value.data || old->incarnation >= peer->incarnation ||
		    strcmp(old->owner, peer->host) != 0)
			continue;
		(void)jaco_str_copy(gone.owner, sizeof(gone.owner), old->owner);
		if (records_merge(records, &gone, &dropped, &err) > 0)
			watch_note_record(&raftd->hub, dropped);
	}
	watch_pump(&raftd->hub);
}

static void make_later(struct jaco_time *when, int64_t ms, struct jaco_time now)
{
	if (when->ns != 0)
		when->ns = JACO_MIN(when->ns + ms * JACO_MS, now.ns);
}

/* A round that comes late: we stood still (a machine that was paused, or had too much to do) and
 * could hear nobody.  Where all stood still, the first to run again must not accuse the others. */
static void forgive_own_pause(struct gossip *gossip)
{
	struct jaco_time now = jaco_loop_now(&gossip->raftd->daemon->loop);
	struct jaco_time then = gossip->rounded_at;
	int64_t late = then.ns == 0 ? 0 : jaco_time_diff_ms(now, then) - ROUND_MS;
	struct link_peer *peer;

	gossip->rounded_at = now;
	if (late < ROUND_MS)
		return;
	jaco_log_info("stood still", KV_INT(ms, late));
	TAILQ_FOREACH (peer, &gossip->raftd->link.peers, next) {
		make_later(&peer->heard, late, now);
		make_later(&peer->vouched, late, now);
	}
}

static void on_round(struct jaco_timer *timer, void *ctx)
{
	struct gossip *gossip = ctx;
	struct link_peer *peer;
	size_t n = 0, turn = gossip->turn++;

	jaco_timer_arm(timer, ROUND_MS);
	forgive_own_pause(gossip);
	TAILQ_FOREACH (peer, &gossip->raftd->link.peers, next) {
		look_at(gossip, peer);
		n++;
	}
	if (n == 0 || turn % DIGEST_EVERY != 0)
		return;
	turn = turn / DIGEST_EVERY % n;
	TAILQ_FOREACH (peer, &gossip->raftd->link.peers, next) {
		drop_old_run(gossip, peer);
		if (turn-- == 0)
			send_digest(gossip, peer, false, false);
	}
	(void)records_expire(&gossip->raftd->records,
			     jaco_loop_now(&gossip->raftd->daemon->loop).ns / JACO_MS,
			     CHAOS_NUMBER(tombstone_ms, TOMBSTONE_MS));
}

void gossip_members_changed(struct gossip *gossip)
{
	struct raftd *raftd = gossip->raftd;
	struct records *records = &raftd->records;
	size_t n = 0;

	/* on a node that was put out they are the last it knew */
	if (!raftd->is_initialised || raftd->removed[0])
		return;
	for (size_t i = 0; i < records->n; i++) {
		const struct record *record = records->items[i];
		char host[JACO_HOST_MAX + 1];

		(void)jaco_str_copy(host, sizeof(host), record->owner);
		if (is_opinion(record->key))
			(void)jaco_str_format(host, sizeof(host), "%.*s",
					      (int)strcspn(record->key + 10, "/"),
					      record->key + 10);
		if (!record->value.data || is_member(raftd, host))
			continue;
		watch_note_record(&raftd->hub, records_disown(records, record->key));
		n++;
	}
	if (n > 0)
		watch_pump(&raftd->hub);
}

void gossip_init(struct gossip *gossip, struct raftd *raftd)
{
	*gossip = (struct gossip){.raftd = raftd};
	jaco_timer_init(&raftd->daemon->loop, &gossip->push, on_push, gossip);
	jaco_timer_init(&raftd->daemon->loop, &gossip->round, on_round, gossip);
	jaco_timer_arm(&gossip->round, ROUND_MS);
}

void gossip_fini(struct gossip *gossip)
{
	jaco_timer_fini(&gossip->push);
	jaco_timer_fini(&gossip->round);
}
