/* SPDX-License-Identifier: Apache-2.0
 *
 * Queries as bytes: what is read, what is a format error, what is met with silence. */
#include "daemons/dnsd/packet.h"

#include "tests/lib/test.h"
#include "tests/unit/dnsd/dns_text.h"

static uint8_t msg[2048];
static struct packet_query query;

JT_CASE(reads_a_plain_question)
{
	size_t n = dns_query(msg, "Web.shop", PACKET_TYPE_A);

	JT_EQ(packet_parse(msg, n, &query), PACKET_OK);
	JT_EQ(query.id, 0x1234);
	JT_EQ(query.type, PACKET_TYPE_A);
	JT_EQ(query.class, PACKET_CLASS_IN);
	JT_EQ(query.n_labels, 2);
	JT_EQ(query.name_n, 10);
	JT_EQ(query.question_end, n);
	JT_EQ(query.udp_bytes, 512);
	JT_FALSE(query.has_edns);
}

JT_CASE(reads_edns_and_raises_a_size_below_512)
{
	size_t n = dns_query_edns(msg, dns_query(msg, "web", PACKET_TYPE_A), 4096, 0, true);

	JT_EQ(packet_parse(msg, n, &query), PACKET_OK);
	JT_TRUE(query.has_edns && query.dnssec_ok);
	JT_EQ(query.udp_bytes, 4096);
	n = dns_query_edns(msg, dns_query(msg, "web", PACKET_TYPE_A), 100, 1, false);
	JT_EQ(packet_parse(msg, n, &query), PACKET_OK);
	JT_EQ(query.udp_bytes, 512);
	JT_EQ(query.edns_version, 1);
}

JT_CASE(every_truncation_of_a_query_is_silent_or_a_format_error)
{
	size_t n = dns_query_edns(msg, dns_query(msg, "web.shop", PACKET_TYPE_A), 1232, 0, false);

	for (size_t cut = 0; cut < n; cut++)
		JT_EQ(packet_parse(msg, cut, &query),
		      cut < PACKET_HEADER_BYTES ? PACKET_SILENT : PACKET_IS_FORMERR);
	JT_EQ(packet_parse(msg, n, &query), PACKET_OK);
}

JT_CASE(a_response_is_never_answered)
{
	size_t n = dns_query(msg, "web", PACKET_TYPE_A);

	msg[2] |= PACKET_QR;
	JT_EQ(packet_parse(msg, n, &query), PACKET_SILENT);
}

JT_CASE(another_opcode_is_not_implemented_even_when_the_rest_is_nonsense)
{
	size_t n = dns_query(msg, "web", PACKET_TYPE_A);

	msg[2] |= 5 << 3;
	JT_EQ(packet_parse(msg, n, &query), PACKET_IS_NOTIMP);
	JT_EQ(packet_parse(msg, PACKET_HEADER_BYTES, &query), PACKET_IS_NOTIMP);
}

JT_CASE(refuses_none_and_two_questions)
{
	size_t n = dns_query(msg, "web", PACKET_TYPE_A);

	msg[5] = 0;
	JT_EQ(packet_parse(msg, n, &query), PACKET_IS_FORMERR);
	msg[5] = 2;
	JT_EQ(packet_parse(msg, n, &query), PACKET_IS_FORMERR);
}

JT_CASE(refuses_a_pointer_or_a_bad_label_in_the_question)
{
	size_t n = dns_query(msg, "web", PACKET_TYPE_A);

	msg[PACKET_HEADER_BYTES] = 0xc0;
	JT_EQ(packet_parse(msg, n, &query), PACKET_IS_FORMERR);
	msg[PACKET_HEADER_BYTES] = 0x40;
	JT_EQ(packet_parse(msg, n, &query), PACKET_IS_FORMERR);
}

JT_CASE(refuses_trailing_bytes_two_opts_and_an_opt_that_is_not_the_roots)
{
	size_t n = dns_query(msg, "web", PACKET_TYPE_A);

	msg[n] = 0;
	JT_EQ(packet_parse(msg, n + 1, &query), PACKET_IS_FORMERR);
	n = dns_query_edns(msg, n, 1232, 0, false);
	n = dns_query_edns(msg, n, 1232, 0, false);
	JT_EQ(packet_parse(msg, n, &query), PACKET_IS_FORMERR);
	n = dns_query(msg, "web", PACKET_TYPE_A);
	memcpy(msg + n, "\1x\0\0\51\4\320\0\0\0\0\0\0", 13);
	msg[11] = 1;
	JT_EQ(packet_parse(msg, n + 13, &query), PACKET_IS_FORMERR);
}

JT_CASE(refuses_options_that_do_not_fill_their_record)
{
	size_t n = dns_query_edns(msg, dns_query(msg, "web", PACKET_TYPE_A), 1232, 0, false);

	msg[n - 1] = 5; /* option 10 of two bytes, of which one is there */
	memcpy(msg + n, "\0\12\0\2x", 5);
	JT_EQ(packet_parse(msg, n + 5, &query), PACKET_IS_FORMERR);
	msg[n + 3] = 1;
	JT_EQ(packet_parse(msg, n + 5, &query), PACKET_OK);
	JT_EQ(query.options_n, 5);
}

JT_CASE(a_name_of_255_bytes_is_read_and_one_of_256_is_not)
{
	size_t at = PACKET_HEADER_BYTES;

	dns_query(msg, "x", PACKET_TYPE_A);
	for (int i = 0; i < 3; i++, at += 64) {
		msg[at] = 63;
		memset(msg + at + 1, 'a', 63);
	}
	msg[at] = 61;
	memset(msg + at + 1, 'b', 61);
	at += 62;
	memcpy(msg + at, "\0\0\1\0\1", 5);
	JT_EQ(packet_parse(msg, at + 5, &query), PACKET_OK);
	JT_EQ(query.name_n, 255);
	msg[at - 62] = 62;
	memcpy(msg + at, "b\0\0\1\0\1", 6);
	JT_EQ(packet_parse(msg, at + 6, &query), PACKET_IS_FORMERR);
}

JT_CASE(hash_and_equality_ignore_case_and_what_stands_behind)
{
	uint8_t a[64] = "\3WEB\4sHoP\0garbage.", b[64] = "\3web\4shop";
	uint8_t c[64] = "\3web\4shoq";

	JT_TRUE(packet_name_hash(a, 10) == packet_name_hash(b, 10));
	JT_TRUE(packet_name_equals(b, a, 10));
	JT_FALSE(packet_name_equals(c, a, 10));
	JT_TRUE(packet_name_hash(a, 10) != packet_name_hash(c, 10));
}

JT_CASE(folding_touches_letters_only)
{
	uint8_t all[256 + PACKET_SLACK] = {0}, low[256 + PACKET_SLACK] = {0};

	for (int i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	packet_name_lower(low, all, 256);
	for (int i = 0; i < 256; i++)
		JT_EQ(low[i], i >= 'A' && i <= 'Z' ? i + 32 : i);
	JT_TRUE(packet_name_equals(low, all, 256));
	low['['] = '{';
	JT_FALSE(packet_name_equals(low, all, 256));
}

JT_CASE(text_becomes_a_name_or_is_refused)
{
	uint8_t name[PACKET_NAME_MAX + PACKET_SLACK];
	char longest[300];

	JT_EQ(packet_name_from_text("Web.Shop.", name), 10);
	JT_MEM(name, "\3web\4shop", 10);
	JT_EQ(packet_name_from_text("", name), 0);
	JT_EQ(packet_name_from_text("a..b", name), 0);
	memset(longest, 'a', sizeof(longest));
	longest[64] = '\0';
	JT_EQ(packet_name_from_text(longest, name), 0);
	for (int i = 1; i < 300; i += 2)
		longest[i] = '.';
	for (int i = 0; i < 300; i += 2)
		longest[i] = 'a';
	longest[253] = '\0';
	JT_EQ(packet_name_from_text(longest, name), 255);
	longest[253] = '.';
	longest[255] = '\0';
	JT_EQ(packet_name_from_text(longest, name), 0);
}

JT_CASE(a_walk_over_records_ends_bad_when_they_run_out)
{
	static const uint8_t record[] = "\300\14\0\1\0\1\0\0\0\5\0\4\12\1\0\2";
	struct packet_record seen;
	struct packet_walk walk;
	size_t n = dns_query(msg, "web", PACKET_TYPE_A);

	memcpy(msg + n, record, 16);
	msg[7] = 1;
	packet_walk_begin(&walk, msg, n + 16);
	JT_TRUE(packet_walk_next(&walk, &seen));
	JT_EQ(seen.type, PACKET_TYPE_A);
	JT_EQ(seen.ttl, 5);
	JT_EQ(seen.data_n, 4);
	JT_FALSE(packet_walk_next(&walk, &seen));
	JT_FALSE(walk.bad);
	msg[7] = 2;
	packet_walk_begin(&walk, msg, n + 16);
	JT_TRUE(packet_walk_next(&walk, &seen));
	JT_FALSE(packet_walk_next(&walk, &seen));
	JT_TRUE(walk.bad);
	JT_FALSE(packet_walk_next(&walk, &seen));
	JT_TRUE(walk.bad);
}

JT_CASE(an_error_reply_keeps_what_was_understood)
{
	size_t n = dns_query_edns(msg, dns_query(msg, "web", PACKET_TYPE_A), 1232, 9, true);

	msg[3] = PACKET_CD | PACKET_AD;
	JT_EQ(packet_parse(msg, n, &query), PACKET_OK);
	JT_EQ(packet_error(msg, &query, PACKET_BADVERS), n);
	JT_EQ(msg[2], PACKET_QR | PACKET_RD);
	JT_EQ(msg[3], PACKET_RA | PACKET_CD);
	JT_EQ(msg[n - 6], 1); /* upper bits of the extended code */
	JT_EQ(packet_get16(msg + 10), 1);
	query = (struct packet_query){.id = 1};
	JT_EQ(packet_error(msg, &query, PACKET_FORMERR), PACKET_HEADER_BYTES);
	JT_EQ(msg[3] & PACKET_RCODE, PACKET_FORMERR);
	JT_EQ(packet_get16(msg + 4), 0);
}

JT_MAIN(JT_RUN(reads_a_plain_question), JT_RUN(reads_edns_and_raises_a_size_below_512),
	JT_RUN(every_truncation_of_a_query_is_silent_or_a_format_error),
	JT_RUN(a_response_is_never_answered),
	JT_RUN(another_opcode_is_not_implemented_even_when_the_rest_is_nonsense),
	JT_RUN(refuses_none_and_two_questions),
	JT_RUN(refuses_a_pointer_or_a_bad_label_in_the_question),
	JT_RUN(refuses_trailing_bytes_two_opts_and_an_opt_that_is_not_the_roots),
	JT_RUN(refuses_options_that_do_not_fill_their_record),
	JT_RUN(a_name_of_255_bytes_is_read_and_one_of_256_is_not),
	JT_RUN(hash_and_equality_ignore_case_and_what_stands_behind),
	JT_RUN(folding_touches_letters_only), JT_RUN(text_becomes_a_name_or_is_refused),
	JT_RUN(a_walk_over_records_ends_bad_when_they_run_out),
	JT_RUN(an_error_reply_keeps_what_was_understood))
