/* SPDX-License-Identifier: Apache-2.0
 *
 * gossip.c - the observed plane of 3, 50 and 500 nodes under a virtual clock: what it costs per
 * node, how long until all agree, and that nothing withdrawn comes back.
 *
 * The rules are raftd's (gossip/record.c); the messages are those of raft.def, packed, with the
 * frame and the TLS record around them counted; the schedule is that of gossip/gossip.c: a push to
 * everybody, a number to one member every two seconds, a beat to everybody every second.  TCP and
 * IP headers are not counted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/raftd/gossip/record.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/buf.h"
#include "libjaco/base/mem.h"
#include "libjaco/wire/frame.h"
#include "libjaco/wire/wire.h"

#define STEP_MS      500
#define DIGEST_STEPS 4
#define BEAT_STEPS   2
#define TLS_BYTES    22 /* RFC 8446 section 5.2: head 5, kind 1, tag 16 */
#define TOPICS       6  /* one per daemon */
#define REPLICAS     10 /* a node; none with more than 100 nodes, for memory's sake */
#define OWNERS_MAX   512

struct node {
	struct records records;
	uint64_t sent, pushed;
	size_t turn;
};

struct world {
	struct node *nodes;
	size_t n;
	int64_t now_ms;
	bool is_cut;   /* the first third and the rest do not hear each other */
	uint64_t seed;
};

static uint64_t draw(struct world *world)
{
	world->seed ^= world->seed << 13;
	world->seed ^= world->seed >> 7;
	world->seed ^= world->seed << 17;
	return world->seed;
}

static bool hears(const struct world *world, size_t a, size_t b)
{
	return !world->is_cut || (a < world->n / 3) == (b < world->n / 3);
}

static size_t size_of(const char *method, const struct jaco_desc *desc, const void *msg)
{
	jaco_auto(jaco_buf) struct jaco_buf frame = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	jaco_frame_event(&frame, 0, method);
	JACO_ASSERT(jaco_pack(&frame, desc, msg, &err) >= 0);
	return frame.n + (frame.n / 16384 + 1) * TLS_BYTES;
}

/* --- what gossip.c does with a record that came --- */

static void take(struct world *world, size_t from, size_t to, const struct record *incoming);

/* Of one record in a message of many: the frame is counted once per message. */
static size_t bytes_of(const struct record *record)
{
	struct wire_raft_record one = {.key = record->key, .owner = record->owner,
				       .incarnation = record->incarnation,
				       .sequence = record->sequence};
	struct wire_raft_gossip msg = {.records = {.v = &one, .n = 1}};

	if (record->value.data)
		JACO_SET(&one, raft_record, value,
			 ((struct wire_bin){record->value.data, record->value.n}));
	return size_of("", &wire_raft_gossip_desc, &msg) - TLS_BYTES;
}

static void send_records(struct world *world, size_t from, size_t to, const char *owner)
{
	struct records *records = &world->nodes[from].records;
	size_t bytes = 0;

	for (size_t i = 0; i < records->n; i++) {
		struct record *record = records->items[i];

		if (strcmp(record->owner, owner) != 0)
			continue;
		bytes += bytes_of(record);
		if (hears(world, from, to))
			take(world, from, to, record);
	}
	if (bytes > 0)
		world->nodes[from].sent += bytes + TLS_BYTES + 16;
}

/* What this node said since the last push, to everybody. */
static void push(struct world *world, size_t from)
{
	struct node *node = &world->nodes[from];
	struct record *changed[64];
	size_t n = 0;

	for (size_t i = 0; i < node->records.n && n < JACO_ARRAY_SIZE(changed); i++)
		if (node->records.items[i]->change > node->pushed &&
		    strcmp(node->records.items[i]->owner, node->records.host) == 0)
			changed[n++] = node->records.items[i];
	for (size_t i = 0; i < n; i++) {
		node->sent += bytes_of(changed[i]) * (world->n - 1);
		for (size_t to = 0; to < world->n; to++)
			if (to != from && hears(world, from, to))
				take(world, from, to, changed[i]);
	}
	node->sent += n > 0 ? (TLS_BYTES + 16) * (world->n - 1) : 0;
	node->pushed = node->records.changes;
}

static size_t index_of(const char *owner)
{
	return (size_t)strtoul(owner + 1, NULL, 10);
}

static void take(struct world *world, size_t from, size_t to, const struct record *incoming)
{
	struct records *records = &world->nodes[to].records;
	const struct records_owner *floor;
	const struct record *out;
	struct jaco_err err = JACO_ERR_INIT;
	struct record gone = *incoming;

	if (index_of(incoming->owner) == to) {
		(void)records_refute(records, incoming);
		return;
	}
	floor = index_of(incoming->owner) != from ? records_floor_of(records, incoming) : NULL;
	if (!floor) {
		JACO_ASSERT(records_merge(records, incoming, &out, &err) >= 0);
		return;
	}
	if (!incoming->value.data)
		return;
	gone.value.data = NULL;
	gone.incarnation = floor->incarnation;
	gone.sequence = floor->sequence;
	world->nodes[to].sent += 150;
	if (hears(world, to, from))
		take(world, to, from, &gone);
}

/* --- digests --- */

static size_t owners_of(struct node *node, struct records_summary *out)
{
	size_t n = records_summarise(&node->records, NULL, out, OWNERS_MAX);
	static struct wire_raft_owner owners[OWNERS_MAX];
	struct wire_raft_digest msg = {.owners = {.v = owners, .n = JACO_MIN(n, (size_t)128)}};

	for (size_t i = 0; i < n; i++)
		owners[i] = (struct wire_raft_owner){
			.owner = out[i].owner, .count = out[i].count, .sum = out[i].sum};
	/* the message is bounded at 128; what 500 would need is counted in full */
	node->sent += size_of("raft.digest", &wire_raft_digest_desc, &msg) *
		      JACO_MAX(n, (size_t)1) / JACO_MAX(JACO_MIN(n, (size_t)128), (size_t)1);
	return n;
}

static void send_differing(struct world *world, size_t from, size_t to,
			   const struct records_summary *own, size_t n_own,
			   const struct records_summary *theirs, size_t n_theirs)
{
	for (size_t i = 0; i < n_own; i++) {
		bool is_same = false;

		for (size_t k = 0; k < n_theirs && !is_same; k++)
			is_same = strcmp(own[i].owner, theirs[k].owner) == 0 &&
				  own[i].sum == theirs[k].sum && own[i].count == theirs[k].count;
		if (!is_same)
			send_records(world, from, to, own[i].owner);
	}
}

static void digest(struct world *world, size_t from, size_t to)
{
	static struct records_summary a[OWNERS_MAX], b[OWNERS_MAX];
	struct node *one = &world->nodes[from], *other = &world->nodes[to];
	struct wire_raft_digest number = {.has = 0};
	size_t n_a, n_b;

	JACO_SET(&number, raft_digest, sum, records_sum(&one->records, NULL));
	one->sent += size_of("raft.digest", &wire_raft_digest_desc, &number);
	if (!hears(world, from, to) || number.sum == records_sum(&other->records, NULL))
		return;
	n_b = owners_of(other, b); /* the full digest goes back, then one more the other way */
	n_a = owners_of(one, a);
	send_differing(world, from, to, a, n_a, b, n_b);
	n_a = records_summarise(&one->records, NULL, a, OWNERS_MAX);
	n_b = records_summarise(&other->records, NULL, b, OWNERS_MAX);
	send_differing(world, to, from, b, n_b, a, n_a);
}

/* --- time --- */

static void say(struct world *world, size_t i, size_t which, bool is_there)
{
	struct records *records = &world->nodes[i].records;
	const struct record *out;
	struct jaco_err err = JACO_ERR_INIT;
	char key[128], value[300];

	(void)snprintf(key, sizeof(key), which < TOPICS ? "/obs/node/n%zu/topic%zu"
							 : "/obs/replica/shop.web.%zu.%zu@n%zu",
		       i, which, i);
	memset(value, 'v', sizeof(value));
	(void)snprintf(value, sizeof(value), "%llu", (unsigned long long)draw(world));
	JACO_ASSERT(records_publish(records, key,
				    is_there ? (struct kv_bytes){value, sizeof(value)}
					     : (struct kv_bytes){.data = NULL}, &out, &err) >= 0);
}

static size_t topics_of(size_t n_nodes)
{
	return n_nodes > 100 ? TOPICS : TOPICS + REPLICAS;
}

static int64_t tombstone_ms(size_t n_nodes)
{
	return n_nodes > 100 ? 2000 : 60000; /* the simulation of a long cut of many takes hours */
}

static void step(struct world *world, unsigned per_thousand)
{
	static uint64_t steps;

	world->now_ms += STEP_MS;
	steps++;
	for (size_t i = 0; i < world->n; i++) {
		struct node *node = &world->nodes[i];

		if (draw(world) % 1000 < per_thousand)
			say(world, i, draw(world) % topics_of(world->n), draw(world) % 5 != 0);
		if (node->records.changes != node->pushed)
			push(world, i);
		if ((steps + i) % DIGEST_STEPS == 0) {
			size_t to = (i + 1 + node->turn++ % (world->n - 1)) % world->n;

			digest(world, i, to);
		}
		if (steps % BEAT_STEPS == 0) {
			struct wire_raft_beat beat = {.clock = 1800000000000};

			JACO_SET(&beat, raft_beat, applied, 1000000);
			JACO_SET(&beat, raft_beat, commit, 1000000);
			node->sent += (world->n - 1) *
				      size_of("raft.beat", &wire_raft_beat_desc, &beat);
		}
		(void)records_expire(&node->records, world->now_ms, tombstone_ms(world->n));
	}
}

static bool agree(const struct world *world)
{
	uint64_t sum = records_sum(&world->nodes[0].records, NULL);

	for (size_t i = 1; i < world->n; i++)
		if (records_sum(&world->nodes[i].records, NULL) != sum)
			return false;
	return true;
}

static double until_all_agree(struct world *world)
{
	int64_t begun = world->now_ms;

	while (!agree(world)) {
		JACO_ASSERT(world->now_ms - begun < 600000);
		step(world, 0);
	}
	return (double)(world->now_ms - begun) / 1000;
}

static double rate(struct world *world, unsigned per_thousand, unsigned seconds)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < world->n; i++)
		world->nodes[i].sent = 0;
	for (unsigned s = 0; s < seconds * 1000 / STEP_MS; s++)
		step(world, per_thousand);
	for (size_t i = 0; i < world->n; i++)
		sum += world->nodes[i].sent;
	return (double)sum / (double)world->n / seconds;
}

static void run(size_t n, unsigned seconds)
{
	struct world world = {
		.nodes = jaco_alloc_n(n, sizeof(struct node)), .n = n, .seed = 88172645};
	double start, idle, busy, after;
	size_t left = 0;

	for (size_t i = 0; i < n; i++) {
		char host[32];

		(void)snprintf(host, sizeof(host), "n%zu", i);
		records_init(&world.nodes[i].records, host, 1000 + i);
		for (size_t k = 0; k < topics_of(n); k++)
			say(&world, i, k, true);
	}
	step(&world, 0);
	start = until_all_agree(&world);
	idle = rate(&world, 0, seconds);
	busy = rate(&world, 50, seconds);
	(void)until_all_agree(&world);

	/* Cut.  Something of the larger side is withdrawn, and forgotten before the cut is
	 * mended. */
	world.is_cut = true;
	say(&world, n - 1, 0, false);
	for (int64_t end = world.now_ms + 2 * tombstone_ms(n); world.now_ms < end;)
		step(&world, n > 100 ? 2 : 20);
	world.is_cut = false;
	after = until_all_agree(&world);
	for (size_t i = 0; i < n; i++) {
		char key[64];

		(void)snprintf(key, sizeof(key), "/obs/node/n%zu/topic0", n - 1);
		left += records_find(&world.nodes[i].records, key) != NULL;
	}
	/* it may have been said anew by its owner, then all have it */
	JACO_ASSERT(left == 0 || left == n);
	printf("%zu nodes: idle %.1f KB/s per node, with a change per node every 10 s %.1f KB/s; "
	       "all "
	       "agree after %.1f s at the start, %.1f s after a partition\n",
	       n, idle / 1e3, busy / 1e3, start, after);
	(void)fflush(stdout);
	for (size_t i = 0; i < n; i++)
		records_fini(&world.nodes[i].records);
	jaco_free(world.nodes);
}

int main(int argc, char **argv)
{
	size_t largest = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 50;

	run(3, 60);
	run(50, 20);
	if (largest > 50)
		run(largest, 4);
	return 0;
}
