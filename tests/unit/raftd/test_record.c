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

	return records_publish(records, key,
			       text ? KV_TEXT(text) : (struct kv_bytes){.data = NULL}, &record, &err);
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
	JT_EQ(records_drop_owner(&records, "n1"), 3);
	JT_NULL(records_next(&records, "/obs/", NULL));
}

JT_MAIN(JT_RUN(saying_the_same_again_is_no_change), JT_RUN(a_record_of_another_node_is_refused),
	JT_RUN(an_older_version_and_a_dead_run_never_come_back),
	JT_RUN(the_order_of_arrival_does_not_matter),
	JT_RUN(listing_is_in_order_and_leaves_tombstones_out))
