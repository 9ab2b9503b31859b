/* SPDX-License-Identifier: Apache-2.0
 *
 * gossip.c - push, digests, and the failure detector. */
#include "daemons/raftd/gossip/gossip.h"

#include <string.h>

#include "daemons/raftd/kv/access.h"
#include "daemons/raftd/raftd.h"
#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"

#define PUSH_MS     5
#define ROUND_MS    500
#define DIGEST_EVERY 4 /* rounds */
#define BATCH_BYTES (256u * 1024)
#define BATCH_MAX   1024
/* What a run of raftd said is kept this long after the next run began: its daemons say it again. */
#define OLD_RUN_MS 30000

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
	batch->n = batch->bytes = 0;
}

static void batch_add(struct batch *batch, const struct record *record)
{
	struct wire_raft_record *out;

	if (is_opinion(record->key))
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

/* Records of @owner that changed here after @since, to @peer or everybody. */
static void send_records(struct gossip *gossip, struct link_peer *peer, const char *owner,
			 uint64_t since)
{
	const struct records *records = &gossip->raftd->records;
	struct batch *batch = jaco_alloc(sizeof(*batch));

	batch->gossip = gossip;
	batch->peer = peer;
	for (size_t i = 0; i < records->n; i++)
		if (records->items[i]->change > since &&
		    strcmp(records->items[i]->owner, owner) == 0)
			batch_add(batch, records->items[i]);
	batch_send(batch);
	jaco_free(batch);
}

static void on_push(struct jaco_timer *timer, void *ctx)
{
	struct gossip *gossip = ctx;

	(void)timer;
	send_records(gossip, NULL, gossip->raftd->host, gossip->pushed);
	gossip->pushed = gossip->raftd->records.changes;
}

void gossip_published(struct gossip *gossip)
{
	jaco_timer_arm_if_idle(&gossip->push, PUSH_MS);
}

void gossip_peer_up(struct gossip *gossip, struct link_peer *peer)
{
	send_records(gossip, peer, gossip->raftd->host, 0);
}

/* --- digests --- */

/* A hash that does not depend on the order, so that nothing has to be sorted (splitmix64). */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static uint64_t hash_of(const struct record *record)
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a, 64 bits */

	for (const char *at = record->key; *at; at++)
		hash = (hash ^ (uint8_t)*at) * 1099511628211u;
	return mix(hash ^ mix(record->incarnation ^ mix(record->sequence)));
}

/* Answers the number of owners. */
static size_t summarise(const struct records *records, struct wire_raft_owner *out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < records->n; i++) {
		const struct record *record = records->items[i];
		size_t at = 0;

		if (is_opinion(record->key))
			continue;
		while (at < n && strcmp(out[at].owner, record->owner) != 0)
			at++;
		if (at == max)
			continue; /* more owners than a cluster has nodes: left to pushes */
		if (at == n)
			out[n++] = (struct wire_raft_owner){.owner = record->owner};
		out[at].count++;
		out[at].sum += hash_of(record);
	}
	return n;
}

static void send_digest(struct gossip *gossip, struct link_peer *peer)
{
	struct wire_raft_owner owners[128];
	struct wire_raft_digest msg = {.has = 0};

	msg.owners.v = owners;
	msg.owners.n = summarise(&gossip->raftd->records, owners, JACO_ARRAY_SIZE(owners));
	link_send(peer, "raft.digest", &wire_raft_digest_desc, &msg);
}

void gossip_on_digest(struct gossip *gossip, struct link_peer *peer,
		      const struct wire_raft_digest *msg)
{
	struct wire_raft_owner owners[128];
	size_t n = summarise(&gossip->raftd->records, owners, JACO_ARRAY_SIZE(owners));

	for (size_t i = 0; i < n; i++) {
		bool is_same = false;

		for (size_t k = 0; k < msg->owners.n; k++)
			is_same |= strcmp(msg->owners.v[k].owner, owners[i].owner) == 0 &&
				   msg->owners.v[k].count == owners[i].count &&
				   msg->owners.v[k].sum == owners[i].sum;
		if (!is_same)
			send_records(gossip, peer, owners[i].owner, 0);
	}
}

/* --- receiving --- */

static bool is_member(struct raftd *raftd, const char *host)
{
	return strcmp(host, raftd->host) == 0 || link_find(&raftd->link, host) != NULL;
}

/* A record may come by way of any member, but only its owner's node can have made it; of our own,
 * nobody knows better than we. */
static bool is_credible(struct raftd *raftd, const struct wire_raft_record *record)
{
	struct jaco_err err = JACO_ERR_INIT;

	return strcmp(record->owner, raftd->host) != 0 && is_member(raftd, record->owner) &&
	       !is_opinion(record->key) && access_owner(record->key, record->owner, &err) == 0;
}

static int merge_one(struct raftd *raftd, const struct wire_raft_record *record,
		     struct jaco_err *err)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct record incoming = {.key = record->key,
				  .incarnation = record->incarnation,
				  .sequence = record->sequence};
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
		rc = merge_one(raftd, &msg->records.v[i], &err);
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
					     .skew_ms = peer->skew_ms};
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
	if (link_is_heard(peer, unreachable_after / 2))
		return JACO_LIVENESS_ALIVE;
	return link_is_heard(peer, unreachable_after) ? JACO_LIVENESS_SUSPECT
						      : JACO_LIVENESS_UNREACHABLE;
}

static void look_at(struct gossip *gossip, struct link_peer *peer)
{
	enum jaco_liveness now = judge(peer, gossip->raftd->daemon->config.unreachable_after);

	if (now == peer->liveness && peer->is_published)
		return;
	if (now != peer->liveness) {
		if (now == JACO_LIVENESS_UNREACHABLE || peer->liveness == JACO_LIVENESS_UNREACHABLE)
			jaco_log_notice("a member's liveness changed", KV_STR(peer, peer->host),
					KV_STR(state, jaco_enum_word(&jaco_liveness_enum, (int)now)));
		peer->liveness = now;
		peer->since_ms = jaco_time_wall_ms();
	}
	publish_opinion(gossip, peer);
}

/* Of an owner whose present run is @incarnation, what earlier runs said and nobody said again. */
static void drop_old_run(struct gossip *gossip, const struct link_peer *peer)
{
	struct raftd *raftd = gossip->raftd;
	struct records *records = &raftd->records;

	if (peer->incarnation == 0 || peer->incarnation + OLD_RUN_MS > (uint64_t)jaco_time_wall_ms())
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

static void on_round(struct jaco_timer *timer, void *ctx)
{
	struct gossip *gossip = ctx;
	struct link_peer *peer;
	size_t n = 0, turn = gossip->turn++;

	jaco_timer_arm(timer, ROUND_MS);
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
			send_digest(gossip, peer);
	}
}

void gossip_members_changed(struct gossip *gossip)
{
	struct raftd *raftd = gossip->raftd;
	struct records *records = &raftd->records;
	size_t n = 0;

	if (!raftd->is_initialised)
		return;
	for (size_t i = 0; i < records->n; i++) {
		const struct record *record = records->items[i], *dropped = NULL;
		struct record gone = {.key = record->key, .incarnation = record->incarnation,
				      .sequence = record->sequence + 1};
		struct jaco_err err = JACO_ERR_INIT;
		char host[JACO_HOST_MAX + 1];

		(void)jaco_str_copy(host, sizeof(host), record->owner);
		if (is_opinion(record->key))
			(void)jaco_str_format(host, sizeof(host), "%.*s",
					      (int)strcspn(record->key + 10, "/"), record->key + 10);
		if (!record->value.data || is_member(raftd, host))
			continue;
		(void)jaco_str_copy(gone.owner, sizeof(gone.owner), record->owner);
		if (records_merge(records, &gone, &dropped, &err) > 0) {
			watch_note_record(&raftd->hub, dropped);
			n++;
		}
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
