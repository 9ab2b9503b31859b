/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/raftd/gossip/record.h"

#include <stdio.h>

#include "daemons/raftd/kv/machine.h"
#include "libjaco/base/random.h"
#include "tests/lib/test.h"

static int publish(struct records *records, const char *key, const char *text)
{
	struct jaco_err err = JACO_ERR_INIT;
	const struct record *record;

	return records_publish(records, key, text ? KV_TEXT(text) : (struct kv_bytes){.data = NULL},
			       &record, &err);
}

static int merge(struct records *records, const char *key, const char *owner, uint64_t incarnation,
		 uint64_t sequence, const char *text)
{
	struct jaco_err err = JACO_ERR_INIT;
	const struct record *out;
	struct record incoming = {.key = key, .incarnation = incarnation, .sequence = sequence};

	snprintf(incoming.owner, sizeof(incoming.owner), "%s", owner);
	if (text)
		incoming.value = KV_TEXT(text);
	return records_merge(records, &incoming, &out, &err);
}

JT_CASE(saying_the_same_again_is_no_change)
{
	jaco_auto(records) struct records records;

	records_init(&records, "n1", 100);
	JT_EQ(publish(&records, "/obs/node/n1/dns", "a"), 1);
	JT_EQ(publish(&records, "/obs/node/n1/dns", "a"), 0);
	JT_EQ(publish(&records, "/obs/node/n1/dns", "b"), 1);
	JT_EQ(records.changes, 2);
	JT_EQ(publish(&records, "/obs/node/n1/dns", NULL), 1);
	JT_EQ(publish(&records, "/obs/node/n1/dns", NULL), 0);
	JT_NULL(records_find(&records, "/obs/node/n1/dns"));
	JT_EQ(records.n, 1); /* the tombstone */
	JT_EQ(publish(&records, "/obs/node/n1/never", NULL), 0);
	JT_EQ(records.n, 1);
}

JT_CASE(a_record_of_another_node_is_refused)
{
	jaco_auto(records) struct records records;
	struct jaco_err err = JACO_ERR_INIT;
	const struct record *record;

	records_init(&records, "n1", 100);
	JT_EQ(merge(&records, "/obs/node/n2/dns", "n2", 5, 1, "x"), 1);
	JT_FAILS_WITH(records_publish(&records, "/obs/node/n2/dns", KV_TEXT("y"), &record, &err),
		      PERMISSION_DENIED, "n2", &err);
}

JT_CASE(an_older_version_and_a_dead_run_never_come_back)
{
	jaco_auto(records) struct records records;

	records_init(&records, "n1", 100);
	JT_EQ(merge(&records, "/obs/node/n2/dns", "n2", 5, 7, "new"), 1);
	JT_EQ(merge(&records, "/obs/node/n2/dns", "n2", 5, 7, "same place"), 0);
	JT_EQ(merge(&records, "/obs/node/n2/dns", "n2", 5, 6, "older"), 0);
	JT_EQ(merge(&records, "/obs/node/n2/dns", "n2", 4, 900, "an earlier run"), 0);
	JT_EQ(merge(&records, "/obs/node/n2/dns", "n2", 6, 1, NULL), 1);
	JT_EQ(merge(&records, "/obs/node/n2/dns", "n2", 5, 901, "before the withdrawal"), 0);
	JT_NULL(records_find(&records, "/obs/node/n2/dns"));
}

/* The same set of versions in any order gives the same table. */
JT_CASE(the_order_of_arrival_does_not_matter)
{
	struct {
		uint64_t incarnation, sequence;
		const char *text;
	} versions[24];
	uint64_t seed = 7;
	char first[8] = "";

	for (size_t i = 0; i < JACO_ARRAY_SIZE(versions); i++) {
		static char texts[24][4];

		snprintf(texts[i], sizeof(texts[i]), "%zu", i);
		versions[i].incarnation = 1 + i / 8;
		versions[i].sequence = 1 + i % 8;
		versions[i].text = texts[i];
	}
	for (int round = 0; round < 50; round++) {
		jaco_auto(records) struct records records;
		const struct record *record;

		records_init(&records, "n1", 1);
		for (size_t i = 0; i < JACO_ARRAY_SIZE(versions) * 3; i++) {
			size_t k = jaco_prng_next(&seed) % JACO_ARRAY_SIZE(versions);

			merge(&records, "/obs/node/n2/dns", "n2", versions[k].incarnation,
			      versions[k].sequence, versions[k].text);
		}
		merge(&records, "/obs/node/n2/dns", "n2", versions[23].incarnation,
		      versions[23].sequence, versions[23].text);
		record = records_find(&records, "/obs/node/n2/dns");
		JT_NOT_NULL(record);
		snprintf(first, sizeof(first), "%.*s", (int)record->value.n,
			 (const char *)record->value.data);
		JT_STR(first, "23");
	}
}

JT_CASE(listing_is_in_order_and_leaves_tombstones_out)
{
	jaco_auto(records) struct records records;
	const struct record *record = NULL;
	char seen[128] = "";

	records_init(&records, "n1", 100);
	publish(&records, "/obs/replica/b@n1", "x");
	publish(&records, "/obs/replica/a@n1", "x");
	publish(&records, "/obs/node/n1/dns", "x");
	publish(&records, "/obs/replica/c@n1", "x");
	publish(&records, "/obs/replica/b@n1", NULL);
	while ((record = records_next(&records, "/obs/replica/", record ? record->key : NULL))) {
		strcat(seen, record->key);
		strcat(seen, " ");
	}
	JT_STR(seen, "/obs/replica/a@n1 /obs/replica/c@n1 ");
}

JT_CASE(what_was_disowned_counts_again_when_its_owner_is_back)
{
	jaco_auto(records) struct records here, owner;
	const struct record *record;

	records_init(&here, "n1", 100);
	records_init(&owner, "n2", 5);
	JT_EQ(publish(&owner, "/obs/node/n2/dns", "x"), 1);
	JT_EQ(merge(&here, "/obs/node/n2/dns", "n2", 5, 1, "x"), 1);
	JT_NULL(records_disown(&here, "/obs/node/n2/mesh"));
	record = records_disown(&here, "/obs/node/n2/dns");
	JT_TRUE(record && !record->value.data && record->incarnation == 0);
	JT_NULL(records_find(&here, "/obs/node/n2/dns"));
	JT_NULL(records_disown(&here, "/obs/node/n2/dns"));
	JT_EQ(records_sum(&here, NULL), 0);
	/* the very same version: it was a member all along, only not in the state that was read */
	JT_EQ(merge(&here, "/obs/node/n2/dns", "n2", 5, 1, "x"), 1);
	records_disown(&here, "/obs/node/n2/dns");
	JT_EQ(records_expire(&here, 1, 0), 1);
	JT_EQ(here.owners[0].incarnation, 0); /* no floor: nothing was withdrawn by its owner */
	/* others may hold a withdrawal of it: a new life is above that */
	JT_EQ(merge(&here, "/obs/node/n2/dns", "n2", 5, 2, NULL), 1);
	records_begin_anew(&owner, 3);
	JT_EQ(owner.incarnation, 6);
	record = records_find(&owner, "/obs/node/n2/dns");
	JT_EQ(merge(&here, record->key, "n2", record->incarnation, record->sequence, "x"), 1);
	records_begin_anew(&owner, 9000);
	JT_EQ(records_find(&owner, "/obs/node/n2/dns")->incarnation, 9000);
}

JT_CASE(one_owner_leaves_room_for_the_others)
{
	jaco_auto(records) struct records records;
	static char big[700 * 1024];
	char key[64];
	size_t n = 0;

	memset(big, 'x', sizeof(big) - 1);
	records_init(&records, "n1", 100);
	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "/obs/replica/%d@n2", i);
		n += merge(&records, key, "n2", 5, (uint64_t)i + 1, big) > 0;
	}
	JT_EQ(n, RECORDS_OWNER_BYTES / sizeof(big)); /* all that fit, and no more */
	JT_EQ(merge(&records, "/obs/replica/0@n2", "n2", 5, 200, "less"), 1);
	JT_EQ(merge(&records, "/obs/replica/99@n2", "n2", 5, 201, big), 1); /* in its place */
	JT_EQ(merge(&records, "/obs/replica/0@n3", "n3", 5, 1, big), 1);
	n = 0;
	for (int i = 0; i < RECORDS_OWNER_MAX + 10; i++) {
		snprintf(key, sizeof(key), "/obs/replica/%d@n4", i);
		n += merge(&records, key, "n4", 5, (uint64_t)i + 1, NULL) > 0;
	}
	JT_EQ(n, RECORDS_OWNER_MAX);
	JT_EQ(publish(&records, "/obs/node/n1/dns", "a"), 1);
	JT_EQ(records_expire(&records, 1, 0), RECORDS_OWNER_MAX);
	JT_EQ(merge(&records, "/obs/replica/again@n4", "n4", 6, 1, "x"), 1);
}

JT_CASE(no_claim_drives_the_numbers_of_an_owner_to_their_end)
{
	jaco_auto(records) struct records records;
	struct record claim = {.key = "/obs/node/n1/dns", .owner = "n1", .incarnation = UINT64_MAX,
			       .sequence = 1, .value = KV_TEXT("stale")};

	records_init(&records, "n1", 100);
	JT_EQ(publish(&records, "/obs/node/n1/dns", "a"), 1);
	JT_EQ(records_refute(&records, &claim), 0);
	claim.incarnation = 100;
	claim.sequence = UINT64_MAX;
	JT_EQ(records_refute(&records, &claim), 0);
	JT_EQ(records.incarnation, 100);
	JT_EQ(publish(&records, "/obs/node/n1/dns", "b"), 1);
	JT_EQ(records_find(&records, claim.key)->sequence, 2);
	JT_EQ(merge(&records, "/obs/node/n2/dns", "n2", UINT64_MAX, 1, "x"),
	      -JACO_VALIDATION_FAILED);
	JT_EQ(merge(&records, "/obs/node/n2/dns", "n2", 1, UINT64_MAX, "x"),
	      -JACO_VALIDATION_FAILED);
}

JT_CASE(a_forgotten_tombstone_leaves_a_floor)
{
	jaco_auto(records) struct records records;
	struct record old = {.key = "/obs/node/n2/dns",
			     .owner = "n2",
			     .incarnation = 5,
			     .sequence = 1,
			     .value = KV_TEXT("x")};
	const struct records_owner *floor;

	records_init(&records, "n1", 100);
	JT_EQ(merge(&records, "/obs/node/n2/dns", "n2", 5, 1, "x"), 1);
	JT_EQ(merge(&records, "/obs/node/n2/dns", "n2", 5, 3, NULL), 1);
	JT_EQ(records_expire(&records, 1000, 500), 0); /* looked at for the first time */
	JT_EQ(records_expire(&records, 1499, 500), 0);
	JT_NULL(records_floor_of(&records, &old)); /* the tombstone says it */
	JT_EQ(records_expire(&records, 1500, 500), 1);
	JT_EQ(records.n, 0);
	floor = records_floor_of(&records, &old);
	JT_TRUE(floor != NULL && floor->incarnation == 5 && floor->sequence == 3);
	old.sequence = 4; /* said after it */
	JT_NULL(records_floor_of(&records, &old));
	old.incarnation = 4;
	JT_TRUE(records_floor_of(&records, &old) != NULL);
	snprintf(old.owner, sizeof(old.owner), "n3");
	JT_NULL(records_floor_of(&records, &old));
}

JT_CASE(the_owner_says_again_what_others_hold_wrong)
{
	jaco_auto(records) struct records records;
	struct record claim = {.key = "/obs/node/n1/dns", .owner = "n1", .incarnation = 100,
			       .sequence = 9, .value = KV_TEXT("stale")};

	records_init(&records, "n1", 100);
	JT_EQ(publish(&records, "/obs/node/n1/dns", "a"), 1);
	JT_EQ(publish(&records, "/obs/node/n1/mesh", "b"), 1);
	JT_EQ(records_refute(&records, &claim), 1); /* higher than ours: ours goes above it */
	JT_EQ(records_find(&records, claim.key)->sequence, 10);
	JT_EQ(memcmp(records_find(&records, claim.key)->value.data, "a", 1), 0);
	JT_EQ(records_refute(&records, &claim), 0); /* lower now: what we sent will be heard */
	claim.key = "/obs/node/n1/ghost"; /* we never said that in this run */
	JT_EQ(records_refute(&records, &claim), 1);
	JT_NULL(records_find(&records, claim.key));
	claim.incarnation = 99; /* of an earlier run: others let it go */
	claim.key = "/obs/node/n1/other";
	JT_EQ(records_refute(&records, &claim), 0);
	claim.incarnation = 500; /* the clock was set back: everything is said again */
	JT_EQ(records_refute(&records, &claim), records.n);
	JT_EQ(records.incarnation, 501);
	JT_EQ(records_find(&records, "/obs/node/n1/mesh")->incarnation, 501);
}

JT_CASE(digests_do_not_depend_on_order_or_tombstones)
{
	jaco_auto(records) struct records a, b;
	struct records_summary sums[4];

	records_init(&a, "n1", 1);
	records_init(&b, "n9", 1);
	JT_EQ(merge(&a, "/obs/node/n2/dns", "n2", 5, 1, "x"), 1);
	JT_EQ(merge(&a, "/obs/node/n3/dns", "n3", 5, 1, "y"), 1);
	JT_EQ(merge(&b, "/obs/node/n3/dns", "n3", 5, 1, "y"), 1);
	JT_NE(records_sum(&a, NULL), records_sum(&b, NULL));
	JT_EQ(merge(&b, "/obs/node/n2/dns", "n2", 5, 1, "x"), 1);
	JT_EQ(records_sum(&a, NULL), records_sum(&b, NULL));
	JT_EQ(merge(&b, "/obs/node/n2/mesh", "n2", 5, 2, NULL), 1);
	JT_EQ(records_sum(&a, NULL), records_sum(&b, NULL));
	JT_EQ(records_summarise(&b, NULL, sums, 4), 2);
	JT_EQ(sums[0].count, 1);
	JT_EQ(records_summarise(&b, NULL, sums, 1), 1);
}

JT_MAIN(JT_RUN(what_was_disowned_counts_again_when_its_owner_is_back),
	JT_RUN(one_owner_leaves_room_for_the_others),
	JT_RUN(no_claim_drives_the_numbers_of_an_owner_to_their_end),
	JT_RUN(a_forgotten_tombstone_leaves_a_floor),
	JT_RUN(the_owner_says_again_what_others_hold_wrong),
	JT_RUN(digests_do_not_depend_on_order_or_tombstones),
	JT_RUN(saying_the_same_again_is_no_change), JT_RUN(a_record_of_another_node_is_refused),
	JT_RUN(an_older_version_and_a_dead_run_never_come_back),
	JT_RUN(the_order_of_arrival_does_not_matter),
	JT_RUN(listing_is_in_order_and_leaves_tombstones_out))
