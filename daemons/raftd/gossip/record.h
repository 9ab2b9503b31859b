/* SPDX-License-Identifier: Apache-2.0
 *
 * record.h - the observed plane: what each node sees, merged without conflict.
 *
 * Pure.  Every record has one owner; of two versions the one with the higher (incarnation, sequence)
 * is newer, whatever way it came.  An incarnation is one run of the owner's raftd, so that what a
 * dead run said never beats the present one.  A withdrawn record stays as a tombstone until the
 * caller forgets it (every live member has seen it). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/raftd/kv/space.h"
#include "libjaco/base/limits.h"

/* Replicas of a full node several times over, and its topics. */
#define RECORDS_MAX 40000

struct record {
	const char *key;
	char owner[JACO_HOST_MAX + 1];
	uint64_t incarnation;
	uint64_t sequence;
	struct kv_bytes value; /* .data NULL: a tombstone */
	uint64_t change;       /* local count, raised by each change: what the watch calls a revision */
};

struct records {
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
 * Errors: LIMIT_EXCEEDED. */
int records_merge(struct records *records, const struct record *incoming,
		  const struct record **out_record, struct jaco_err *err);

/* NULL when unknown or withdrawn.  Borrowed until the next change. */
const struct record *records_find(const struct records *records, const char *key);

/* The first record, tombstones left out, that begins with @prefix and is > @after (NULL: any). */
const struct record *records_next(const struct records *records, const char *prefix,
				  const char *after);

/* Withdraw everything of @owner (a node that was removed); returns how many. */
size_t records_drop_owner(struct records *records, const char *owner);
