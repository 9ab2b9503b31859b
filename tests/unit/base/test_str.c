/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/base/str.h"

#include "tests/lib/test.h"

JT_CASE(numbers_are_strict)
{
	static const char *const bad[] = {
		"", "-1", "+1", " 1", "1 ", "0x1", "18446744073709551616"};
	uint64_t value = 7;

	JT_TRUE(jaco_str_to_u64("18446744073709551615", UINT64_MAX, &value));
	JT_TRUE(value == UINT64_MAX);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(bad); i++)
		JT_FALSE(jaco_str_to_u64(bad[i], UINT64_MAX, &value));
	JT_FALSE(jaco_str_to_u64("65536", 65535, &value));
}

JT_CASE(sizes_know_their_units)
{
	uint64_t bytes = 0;

	JT_TRUE(jaco_str_to_bytes("64m", &bytes) && bytes == 64u << 20);
	JT_TRUE(jaco_str_to_bytes("1GB", &bytes) && bytes == 1u << 30);
	JT_TRUE(jaco_str_to_bytes("100", &bytes) && bytes == 100);
	JT_TRUE(jaco_str_to_bytes("100b", &bytes) && bytes == 100);
	JT_FALSE(jaco_str_to_bytes("99999999999g", &bytes));
	JT_FALSE(jaco_str_to_bytes("1x", &bytes));
	JT_FALSE(jaco_str_to_bytes("m", &bytes));
}

JT_CASE(base64_round_trips_and_refuses_second_spellings)
{
	uint8_t data[64];
	uint8_t back[64];
	char text[JACO_BASE64_BYTES(64)];

	for (size_t n = 0; n <= sizeof(data); n++) {
		for (size_t i = 0; i < n; i++)
			data[i] = (uint8_t)(i * 37 + n);
		jaco_base64_encode(text, data, n);
		JT_EQ(jaco_base64_decode(text, back, sizeof(back)), (long)n);
		JT_MEM(data, back, n);
		jaco_base64url_encode(text, data, n);
		JT_EQ(jaco_base64url_decode(text, back, sizeof(back)), (long)n);
		JT_MEM(data, back, n);
	}
	JT_EQ(jaco_base64_decode("Zh==", back, sizeof(back)), -1);
	JT_EQ(jaco_base64_decode("Zg=", back, sizeof(back)), -1);
	JT_EQ(jaco_base64_decode("Z===", back, sizeof(back)), -1);
	JT_EQ(jaco_base64_decode("Zm9v", back, 2), -1);
}

JT_CASE(utf8_refuses_surrogates_overlong_and_cut_forms)
{
	JT_TRUE(jaco_str_is_utf8("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", 15));
	JT_FALSE(jaco_str_is_utf8("\xc0\x80", 2));
	JT_FALSE(jaco_str_is_utf8("\xed\xa0\x80", 3));
	JT_FALSE(jaco_str_is_utf8("\xf4\x90\x80\x80", 4));
	JT_FALSE(jaco_str_is_utf8("\xe2\x82", 2));
	JT_FALSE(jaco_str_is_utf8("\xff", 1));
}

JT_CASE(what_belongs_to_no_character_is_replaced_and_the_rest_stays)
{
	char cut[] = "gr\xc3\xbc\xc3\x9f \xe2\x82", bad[] = "a\xff\xed\xa0\x80z",
	     good[] = "\xe2\x82\xac";

	jaco_str_make_utf8(cut);
	JT_STR(cut, "gr\xc3\xbc\xc3\x9f ??");
	jaco_str_make_utf8(bad);
	JT_STR(bad, "a????z");
	jaco_str_make_utf8(good);
	JT_STR(good, "\xe2\x82\xac");
}

JT_CASE(the_nearest_word_is_suggested_only_when_near)
{
	static const char *const names[] = {"services", "networks", "volumes", NULL};

	JT_STR(jaco_str_nearest("servces", names), "services");
	JT_STR(jaco_str_nearest("network", names), "networks");
	JT_NULL(jaco_str_nearest("zzz", names));
}

JT_CASE(copies_are_cut_and_say_so)
{
	char out[4];

	JT_TRUE(jaco_str_copy(out, sizeof(out), "abc"));
	JT_FALSE(jaco_str_copy(out, sizeof(out), "abcd"));
	JT_STR(out, "abc");
	JT_TRUE(jaco_secret_eq("abc", "abc", 3));
	JT_FALSE(jaco_secret_eq("abc", "abd", 3));
}

JT_MAIN(JT_RUN(what_belongs_to_no_character_is_replaced_and_the_rest_stays),
	JT_RUN(numbers_are_strict), JT_RUN(sizes_know_their_units),
	JT_RUN(base64_round_trips_and_refuses_second_spellings),
	JT_RUN(utf8_refuses_surrogates_overlong_and_cut_forms),
	JT_RUN(the_nearest_word_is_suggested_only_when_near), JT_RUN(copies_are_cut_and_say_so))
