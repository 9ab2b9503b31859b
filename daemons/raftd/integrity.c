/* SPDX-License-Identifier: Apache-2.0
 *
 * integrity.c - says, compares, reads. */
#include "daemons/raftd/integrity.h"

#include <string.h>

#include "daemons/raftd/api/leave.h"
#include "daemons/raftd/doubt.h"
#include "daemons/raftd/raftd.h"
#include "libjaco/base/fault.h"
#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"

#define TELL_MS     30000
#define READ_MS     (60 * 60 * 1000ll)
#define READ_SOON   60000 /* after a start */
#define PIECE_KEYS  2000  /* read in one go: about a millisecond */
#define PIECE_BYTES (256u * 1024)
#define PIECE_MS    10
#define REMEDY      "no snapshot is made of it; jaco node remove and jaco node join give it another"

/* --- what members say --- */

static bool read_said(struct raftd *raftd, struct jaco_arena *arena, const char *host,
		      struct wire_obs_state *out)
{
	struct jaco_err err = JACO_ERR_INIT;
	const struct record *record;
	char key[JACO_KEY_MAX];

	(void)jaco_str_format(key, sizeof(key), "/obs/node/%s/state", host);
	record = records_find(&raftd->records, key);
	return record && jaco_unpack(&wire_obs_state_desc, record->value.data, record->value.n,
				     arena, out, &err) >= 0;
}

static void say(struct raftd *raftd)
{
	struct integrity *integrity = &raftd->integrity;
	jaco_auto(jaco_buf) struct jaco_buf packed = JACO_BUF_INIT;
	struct wire_obs_state state = {.applied = integrity->trail.last,
				       .damage = integrity->damage[0] ? integrity->damage : NULL};
	uint64_t mark = trail_mark(&integrity->trail);
	const struct record *record = NULL;
	struct jaco_err err = JACO_ERR_INIT;
	char key[JACO_KEY_MAX];

	(void)trail_find(&integrity->trail, state.applied, &state.hash);
	if (mark > 0 && trail_find(&integrity->trail, mark, &state.mark_hash)) {
		JACO_SET(&state, obs_state, mark_hash, state.mark_hash);
		JACO_SET(&state, obs_state, mark, mark);
	}
	if (integrity->checked)
		JACO_SET(&state, obs_state, checked, integrity->checked);
	(void)jaco_str_format(key, sizeof(key), "/obs/node/%s/state", raftd->host);
	if (jaco_pack(&packed, &wire_obs_state_desc, &state, &err) < 0 ||
	    records_publish(&raftd->records, key, (struct kv_bytes){packed.data, packed.n}, &record,
			    &err) <= 0)
		return;
	watch_note_record(&raftd->hub, record);
	watch_pump(&raftd->hub);
	gossip_published(&raftd->gossip);
}

/* @old stands when none of the two indexes is known here. */
static enum doubt_verdict compare(const struct trail *trail, const struct wire_obs_state *said,
				  enum doubt_verdict old)
{
	uint64_t own;

	if (trail_find(trail, said->applied, &own))
		return own == said->hash ? DOUBT_SAME : DOUBT_DIFFERS;
	if (said->mark && trail_find(trail, said->mark, &own))
		return own == said->mark_hash ? DOUBT_SAME : DOUBT_DIFFERS;
	return old;
}

/* --- judging --- */

static struct doubt_fact fact_of(struct raftd *raftd, const char *host,
				 enum doubt_verdict *verdict)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct doubt_fact fact = {.verdict = *verdict};
	struct wire_obs_state said;

	if (!read_said(raftd, &arena, host, &said))
		return fact;
	if (strcmp(host, raftd->host) != 0)
		*verdict = fact.verdict = compare(&raftd->integrity.trail, &said, *verdict);
	fact.is_damaged = said.damage != NULL;
	return fact;
}

/* This node first, then the peers in their order; how many. */
static size_t judge(struct raftd *raftd, struct doubt_fact facts[static JACO_NODES_MAX + 1])
{
	enum doubt_verdict own = DOUBT_SAME;
	struct link_peer *peer;
	size_t n = 0;

	facts[n++] = fact_of(raftd, raftd->host, &own);
	TAILQ_FOREACH (peer, &raftd->link.peers, next)
		if (n <= JACO_NODES_MAX)
			facts[n++] = fact_of(raftd, peer->host, &peer->verdict);
	doubt_judge(facts, n);
	return n;
}

const char *integrity_doubt(struct raftd *raftd, struct jaco_arena *arena, const char *host)
{
	struct doubt_fact facts[JACO_NODES_MAX + 1];
	const struct doubt_fact *fact = facts;
	struct wire_obs_state said;
	struct link_peer *peer;
	size_t n = judge(raftd, facts), at = 1;

	if (strcmp(host, raftd->host) != 0) {
		fact = NULL;
		TAILQ_FOREACH (peer, &raftd->link.peers, next) {
			if (at < n && strcmp(peer->host, host) == 0)
				fact = &facts[at];
			at++;
		}
	}
	if (!fact || !fact->is_doubted)
		return NULL;
	if (fact->is_damaged && read_said(raftd, arena, host, &said))
		return said.damage;
	return "its state is not the one that most members hold: " REMEDY;
}

static void act(struct raftd *raftd)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct integrity *integrity = &raftd->integrity;
	const char *doubt = integrity_doubt(raftd, &arena, raftd->host);
	struct jaco_err err = JACO_ERR_INIT;

	if (doubt && !integrity->is_doubted)
		jaco_log_err("the state of this node is doubted", KV_STR(reason, doubt));
	else if (!doubt && integrity->is_doubted)
		jaco_log_notice("the state of this node is as the others'");
	integrity->is_doubted = doubt != NULL;
	(void)jaco_str_format(raftd->store.doubt, sizeof(raftd->store.doubt), "%s",
			      doubt ? doubt : "");
	/* nobody to take over is no reason to stop */
	if (doubt && store_is_leader(&raftd->store))
		(void)leave_hand_over(raftd, NULL, &err);
}

static void on_tell(struct jaco_timer *timer, void *ctx)
{
	struct raftd *raftd = ctx;

	jaco_timer_arm(timer, CHAOS_NUMBER(integrity_ms, TELL_MS));
	if (!raftd->is_initialised || raftd->removed[0])
		return;
	say(raftd);
	act(raftd);
}

/* --- reading all of it --- */

static void found(struct raftd *raftd, const char *what)
{
	struct integrity *integrity = &raftd->integrity;

	if (integrity->damage[0])
		return;
	(void)jaco_str_format(integrity->damage, sizeof(integrity->damage), "%s: " REMEDY, what);
	jaco_log_err("the state on this disk is damaged", KV_STR(reason, what));
	jaco_timer_arm(&integrity->tell, 0);
}

/* @stored is what the machine saved beside the pairs that were read. */
static void conclude(struct raftd *raftd, struct kv_bytes stored)
{
	struct integrity *integrity = &raftd->integrity;
	struct machine saved = {.space = NULL};
	struct jaco_err err = JACO_ERR_INIT;

	if (machine_load(&saved, stored, &err) < 0)
		found(raftd, err.text);
	else if (saved.n_keys != integrity->n_keys ||
		 memcmp(&saved.digest, &integrity->sum, sizeof(saved.digest)) != 0)
		found(raftd, "its disk does not hold what was written");
	integrity->checked = (uint64_t)jaco_time_wall_ms();
}

/* 1: there is more; 0: that was all. */
static int read_piece(struct raftd *raftd, struct jaco_err *err)
{
	struct integrity *integrity = &raftd->integrity;
	struct kv_bytes key, stored;
	enum kv_table table;
	size_t bytes = 0;
	int rc = 1;

	for (size_t n = 0; n < PIECE_KEYS && bytes < PIECE_BYTES; n++) {
		rc = state_snapshot_next(&integrity->snapshot, &table, &key, &stored, err);
		if (rc <= 0)
			return rc;
		bytes += key.n + stored.n;
		if (table == KV_TABLE_DATA) {
			digest_add(&integrity->sum, key, stored);
			integrity->n_keys++;
		} else if (table == KV_TABLE_META && machine_is_header(key)) {
			conclude(raftd, stored);
			return 0;
		}
	}
	return 1;
}

static void on_read(struct jaco_timer *timer, void *ctx)
{
	struct raftd *raftd = ctx;
	struct integrity *integrity = &raftd->integrity;
	struct jaco_err err = JACO_ERR_INIT;
	int rc = 1;

	if (!integrity->snapshot.txn) {
		integrity->sum = (struct digest){.lanes = {0}};
		integrity->n_keys = 0;
		rc = state_snapshot_open(&raftd->store.state, &integrity->snapshot, &err);
	}
	if (rc < 0) { /* no room for one more reader says nothing about the disk */
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "the state cannot be read through now", &err);
		jaco_timer_arm(timer, CHAOS_NUMBER(integrity_ms, READ_SOON));
		return;
	}
	rc = read_piece(raftd, &err);
	if (rc < 0)
		found(raftd, err.text);
	if (rc <= 0)
		state_snapshot_close(&integrity->snapshot);
	jaco_timer_arm(timer, rc > 0 ? PIECE_MS : CHAOS_NUMBER(integrity_ms, READ_MS));
}

/* --- life --- */

void integrity_begin(struct raftd *raftd)
{
	struct integrity *integrity = &raftd->integrity;

	integrity->damage[0] = '\0';
	integrity->checked = 0;
	raftd->store.machine.trail = &integrity->trail;
	trail_reset(&integrity->trail, raftd->store.machine.applied,
		    raftd->store.machine.digest.lanes[0]);
	jaco_timer_arm(&integrity->tell, CHAOS_NUMBER(integrity_ms, TELL_MS));
	jaco_timer_arm(&integrity->read, CHAOS_NUMBER(integrity_ms, READ_SOON));
}

void integrity_end(struct raftd *raftd)
{
	struct integrity *integrity = &raftd->integrity;

	state_snapshot_close(&integrity->snapshot);
	jaco_timer_disarm(&integrity->tell);
	jaco_timer_disarm(&integrity->read);
}

void integrity_init(struct raftd *raftd)
{
	struct integrity *integrity = &raftd->integrity;

	integrity->raftd = raftd;
	jaco_timer_init(&raftd->daemon->loop, &integrity->tell, on_tell, raftd);
	jaco_timer_init(&raftd->daemon->loop, &integrity->read, on_read, raftd);
}

void integrity_fini(struct raftd *raftd)
{
	integrity_end(raftd);
	jaco_timer_fini(&raftd->integrity.tell);
	jaco_timer_fini(&raftd->integrity.read);
}
