/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/wire/codec.h"
#include "libjaco/wire/frame.h"
#include "libjaco/wire/wire.h"

#include "tests/lib/test.h"

static void sample(struct wire_obs_replica *out)
{
	static struct wire_replica_address addresses[2] = {
		{.network = "front", .address = "10.244.0.2"},
		{.network = "back", .address = "10.244.1.2"},
	};
	static struct wire_obs_gen gens[1];

	gens[0] = (struct wire_obs_gen){.generation = 3,
					.state = JACO_REPLICA_RUNNING,
					.healthy = true,
					.since = 1700000000000,
					.exit_code = -9};
	gens[0].addresses.v = addresses;
	gens[0].addresses.n = 2;
	*out = (struct wire_obs_replica){
		.id = "shop-web-0", .deployment = "shop", .service = "web", .host = "n1"};
	JACO_SET(out, obs_replica, index, 0);
	out->generations.v = gens;
	out->generations.n = 1;
}

JT_CASE(nested_lists_round_trip_byte_for_byte)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	jaco_auto(jaco_buf) struct jaco_buf first = JACO_BUF_INIT;
	jaco_auto(jaco_buf) struct jaco_buf again = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct wire_obs_replica in;
	struct wire_obs_replica out;

	sample(&in);
	JT_OK(jaco_pack(&first, &wire_obs_replica_desc, &in, &err), &err);
	JT_OK(jaco_unpack(&wire_obs_replica_desc, first.data, first.n, &arena, &out, &err), &err);
	JT_OK(jaco_pack(&again, &wire_obs_replica_desc, &out, &err), &err);
	JT_EQ(first.n, again.n);
	JT_MEM(first.data, again.data, first.n);
	JT_STR(out.generations.v[0].addresses.v[1].network, "back");
	JT_EQ(out.generations.v[0].exit_code, -9);
	JT_TRUE(JACO_HAS(&out, obs_replica, index));
}

/* A sentence of 512 bytes quotes an engine, and ends inside a character. */
JT_CASE(a_sentence_that_was_cut_inside_a_character_is_still_taken)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	const char *prefixes[] = {"/node/\xff"};
	struct wire_watch watch = {.prefixes = {prefixes, 1}}, got;
	struct wire_obs_replica in, out;

	sample(&in);
	in.generations.v[0].message = "no such file: gr\xc3\xbc\xc3";
	JT_OK(jaco_pack(&buf, &wire_obs_replica_desc, &in, &err), &err);
	JT_OK(jaco_unpack(&wire_obs_replica_desc, buf.data, buf.n, &arena, &out, &err), &err);
	JT_STR(out.generations.v[0].message, "no such file: gr\xc3\xbc?");
	jaco_buf_reset(&buf);
	JT_OK(jaco_pack(&buf, &wire_watch_desc, &watch, &err), &err);
	JT_OK(jaco_unpack(&wire_watch_desc, buf.data, buf.n, &arena, &got, &err), &err);
	JT_STR(got.prefixes.v[0], "/node/?");
}

JT_CASE(every_truncation_is_refused)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct wire_obs_replica in;
	struct wire_obs_replica out;

	sample(&in);
	JT_OK(jaco_pack(&buf, &wire_obs_replica_desc, &in, &err), &err);
	for (size_t n = 0; n < buf.n; n++)
		JT_EQ(jaco_unpack(&wire_obs_replica_desc, buf.data, n, &arena, &out, &err),
		      -JACO_VALIDATION_FAILED);
}

JT_CASE(every_message_survives_its_empty_form_or_names_what_is_missing)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;

	for (size_t i = 0; i < jaco_n_messages; i++) {
		const struct jaco_desc *desc = jaco_messages[i];
		void *msg = jaco_arena_alloc(&arena, desc->size);
		struct jaco_err err = JACO_ERR_INIT;
		int rc = jaco_unpack(desc, "\x80", 1, &arena, msg, &err);

		if (rc < 0)
			JT_FAILS_WITH(rc, VALIDATION_FAILED, "required and missing", &err);
	}
}

JT_CASE(bounds_types_and_duplicates_are_located)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct wire_get out;
	struct wire_compare compare;

	JT_FAILS_WITH(jaco_unpack(&wire_get_desc, "\x81\xa3key\x01", 6, &arena, &out, &err),
		      VALIDATION_FAILED, "get.key: wrong type", &err);
	JT_FAILS_WITH(
		jaco_unpack(&wire_get_desc, "\x82\xa3key\xa1x\xa3key\xa1y", 13, &arena, &out, &err),
		VALIDATION_FAILED, "get.key: given twice", &err);
	JT_FAILS_WITH(jaco_unpack(&wire_get_desc, "\x81\xa3key\xa2\xff\xfe", 8, &arena, &out, &err),
		      VALIDATION_FAILED, "get.key", &err);
	JT_FAILS_WITH(jaco_unpack(&wire_get_desc, "\x81\xa3key\xa3"
						  "a\0b",
				  9, &arena, &out, &err),
		      VALIDATION_FAILED, "get.key", &err);
	JT_FAILS_WITH(jaco_unpack(&wire_get_desc, "\x81\xa3key\xa1x\x00", 8, &arena, &out, &err),
		      VALIDATION_FAILED, "1 bytes too many", &err);
	JT_FAILS_WITH(jaco_unpack(&wire_compare_desc, "\x82\xa3key\xa1x\xa8revision\xff", 16,
				  &arena, &compare, &err),
		      VALIDATION_FAILED, "compare.revision", &err);
}

JT_CASE(unknown_fields_are_skipped)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct wire_get out;

	JT_OK(jaco_unpack(&wire_get_desc, "\x82\xa3new\x93\x01\x02\x81\xa1z\xc0\xa3key\xa1x", 18,
			  &arena, &out, &err),
	      &err);
	JT_STR(out.key, "x");
}

JT_CASE(frames_ask_for_more_until_they_are_whole)
{
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_frame frame;

	jaco_frame_request(&buf, 7, "kv.get");
	jaco_pack_map(&buf, 0);
	for (size_t n = 0; n < buf.n; n++)
		JT_EQ(jaco_frame_read(buf.data, n, &frame, &err), 0);
	JT_EQ(jaco_frame_read(buf.data, buf.n, &frame, &err), 1);
	JT_EQ(frame.id, 7);
	JT_STR(frame.method, "kv.get");
	JT_EQ(frame.bytes, buf.n);
	JT_FAILS_WITH(jaco_frame_read("\xc1", 1, &frame, &err), PARSE_FAILED, "not an array", &err);
	JT_FAILS_WITH(jaco_frame_read("\x93\x00\x01\xa1x", 5, &frame, &err), PARSE_FAILED,
		      "elements", &err);
}

JT_CASE(errors_travel_with_their_details)
{
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_INIT;
	struct jaco_err in = JACO_ERR_INIT;
	struct jaco_err out = JACO_ERR_INIT;
	struct jaco_frame frame;

	jaco_err_set(&in, JACO_PORT_CONFLICT, "port %d belongs to \xff", 80);
	jaco_err_detail(&in, "owner", "shop");
	jaco_frame_error(&buf, 3, &in);
	JT_EQ(jaco_frame_read(buf.data, buf.n, &frame, &out), 1);
	jaco_frame_unpack_error(frame.error, frame.error_bytes, &out);
	JT_EQ(out.code, JACO_PORT_CONFLICT);
	JT_STR(out.text, "port 80 belongs to ?");
	JT_STR(jaco_err_get_detail(&out, "owner"), "shop");
}

JT_CASE(keys_find_their_records)
{
	JT_STR(jaco_keyspace_find("/subnet/shop/front/n1")->desc->name, "subnet");
	JT_STR(jaco_keyspace_find("/obs/node/n1/firewall")->desc->name, "obs_firewall");
	JT_EQ(jaco_keyspace_find("/obs/node/n1/firewall")->write_roles, ROLE_FWD);
	JT_STR(jaco_keyspace_find("/obs/replica/a@n1")->desc->name, "obs_replica");
	JT_NULL(jaco_keyspace_find("/obs/node/n1"));
	JT_NULL(jaco_keyspace_find("/nothing/x"));
}

JT_MAIN(JT_RUN(a_sentence_that_was_cut_inside_a_character_is_still_taken),
	JT_RUN(nested_lists_round_trip_byte_for_byte), JT_RUN(every_truncation_is_refused),
	JT_RUN(every_message_survives_its_empty_form_or_names_what_is_missing),
	JT_RUN(bounds_types_and_duplicates_are_located), JT_RUN(unknown_fields_are_skipped),
	JT_RUN(frames_ask_for_more_until_they_are_whole), JT_RUN(errors_travel_with_their_details),
	JT_RUN(keys_find_their_records))
