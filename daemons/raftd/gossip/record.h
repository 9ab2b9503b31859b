/* SPDX-License-Identifier: Apache-2.0
 *
 * record.h - the observed plane: what each node sees, merged without conflict.
 *
 * Pure.  Every record has one owner; of two versions the one with the higher (incarnation,
 * sequence) is newer, whatever way it came.  An incarnation is one run of the owner's raftd, so
 * that what a dead run said never beats the present one.
 *
 * A withdrawn record stays as a tombstone for a bounded time.  What is left of it then is its
 * owner's floor: nothing of that owner up to there that is not known is taken any more, so a node
 * that was away for longer brings no record back.  The owner is the authority: whatever it hears of
 * itself and does not hold so, it says again under a higher number. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/raftd/kv/space.h"
#include "libjaco/base/limits.h"

/* Replicas of a full node several times over, and its topics. */
#define RECORDS_MAX 40000

/* Numbers from here on are not taken from others: an owner has to be able to go above theirs. */
#define RECORDS_NUMBER_MAX (UINT64_C(1) << 62)

struct record {
	const char *key;
	char owner[JACO_HOST_MAX + 1];
	uint64_t incarnation;
	uint64_t sequence;
	struct kv_bytes value; /* .data NULL: a tombstone */
	int64_t withdrawn_ms;  /* a tombstone since; 0: not looked at yet */
	uint64_t change; /* local count, raised by each change: what the watch calls a revision */
};

/* What one owner may make every node hold: one that is mad must not keep the others' records
 * out. */
#define RECORDS_OWNER_MAX   10000
#define RECORDS_OWNER_BYTES (32u << 20)

/* What is known of an owner apart from its records: how much they are, and the highest version
 * among its tombstones that were forgotten. */
struct records_owner {
	char owner[JACO_HOST_MAX + 1];
	uint64_t incarnation; /* the floor; 0: none */
	uint64_t sequence;
	size_t n;
	size_t bytes; /* of keys and values */
};

struct records {
	struct records_owner *owners;
	size_t n_owners;
	size_t owners_cap;
	struct record **items; /* by key */
	size_t n;
	size_t cap;
	char host[JACO_HOST_MAX + 1];
	uint64_t incarnation;
	uint64_t sequence;
	uint64_t changes;
	uint64_t bytes; /* of keys and values */
};

void records_init(struct records *records, const char *host, uint64_t incarnation);
void records_fini(struct records *records);
#define records_cleanup records_fini

/*
 * Publish (or, with .data NULL, withdraw) a record of this node.
 * 1 changed, 0 it said the same already.
 * Errors: PERMISSION_DENIED - it belongs to another node; LIMIT_EXCEEDED.
 */
int records_publish(struct records *records, const char *key, struct kv_bytes value,
		    const struct record **out_record, struct jaco_err *err);

/* Take in what another node sent.  1 newer and taken, 0 known or older.
 * Errors: LIMIT_EXCEEDED; VALIDATION_FAILED - a number that no owner could outdo. */
int records_merge(struct records *records, const struct record *incoming,
		  const struct record **out_record, struct jaco_err *err);

/* NULL when unknown or withdrawn.  Borrowed until the next change. */
const struct record *records_find(const struct records *records, const char *key);

/* The first record, tombstones left out, that begins with @prefix and is > @after (NULL: any). */
const struct record *records_next(const struct records *records, const char *prefix,
				  const char *after);

/* Withdraw what node @owner, no member any more, said under @key - here only: it is left without a
 * version, so whatever that node says as a member again counts.  NULL: nothing stands there. */
const struct record *records_disown(struct records *records, const char *key);

/* This node begins anew, as after a join: everything it holds of its own is said again under an
 * incarnation that is @incarnation or later, since others may have disowned it. */
void records_begin_anew(struct records *records, uint64_t incarnation);

/* Is @incoming, whose key is not known, something that was withdrawn and forgotten?  The floor it
 * lies under, or NULL. */
const struct records_owner *records_floor_of(const struct records *records,
					     const struct record *incoming);

/* Forget tombstones older than @life_ms at @now_ms (any clock that does not go back); how many. */
size_t records_expire(struct records *records, int64_t now_ms, int64_t life_ms);

/* @incoming claims to be of this node.  When it is not what this node holds, say what it holds
 * under a higher number.  How many records have to be sent out again: more than one when the claim
 * is of a run that began after this one (the clock was set back): then all. */
size_t records_refute(struct records *records, const struct record *incoming);

/* --- digests: live records only, so that tombstones may be forgotten at different times --- */

struct records_summary {
	const char *owner; /* borrowed until the next change */
	uint64_t count;
	uint64_t sum; /* independent of the order */
};

/* Per owner, at most @max of them; how many.  Keys for which @skip answers true are left out. */
size_t records_summarise(const struct records *records, bool (*skip)(const char *key),
			 struct records_summary *out, size_t max);

/* One number for all of them. */
uint64_t records_sum(const struct records *records, bool (*skip)(const char *key));
