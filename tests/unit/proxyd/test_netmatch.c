/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/proxyd/netmatch.h"

#include "tests/lib/test.h"

static bool is_in(const char *net, const char *ip)
{
	struct jaco_err err = JACO_ERR_INIT;
	struct netmatch m;
	struct netmatch_ip a;

	JT_OK(netmatch_parse(net, &m, &err), &err);
	JT_TRUE(netmatch_ip_parse(ip, &a));
	return netmatch_contains(&m, &a);
}

JT_CASE(networks_of_both_families_contain_what_they_should)
{
	JT_TRUE(is_in("10.0.0.0/8", "10.255.0.1"));
	JT_FALSE(is_in("10.0.0.0/8", "11.0.0.1"));
	JT_TRUE(is_in("192.0.2.128/25", "192.0.2.200"));
	JT_FALSE(is_in("192.0.2.128/25", "192.0.2.100"));
	JT_TRUE(is_in("10.1.2.3", "10.1.2.3"));
	JT_FALSE(is_in("10.1.2.3", "10.1.2.4"));
	JT_TRUE(is_in("0.0.0.0/0", "1.2.3.4"));
	JT_FALSE(is_in("0.0.0.0/0", "::1"));
	JT_TRUE(is_in("::/0", "1.2.3.4"));
	JT_TRUE(is_in("fd00::/8", "fdff::1"));
	JT_FALSE(is_in("fd00::/9", "fdff::1"));
	JT_TRUE(is_in("10.0.0.0/8", "::ffff:10.0.0.1"));
}

JT_CASE(nonsense_is_refused)
{
	const char *bad[] = {"",
			     "10",
			     "10.0.0.0/33",
			     "fd00::/129",
			     "10.0.0.0/",
			     "10.0.0.0/-1",
			     "a/8",
			     "1111111111111111111111111111111111111111111111111111111/8"};
	struct jaco_err err = JACO_ERR_INIT;
	struct netmatch m;

	for (size_t i = 0; i < JACO_ARRAY_SIZE(bad); i++)
		JT_FAILS_WITH(netmatch_parse(bad[i], &m, &err), VALIDATION_FAILED, "no network",
			      &err);
}

JT_CASE(text_comes_back)
{
	const char *texts[] = {"0.0.0.0", "255.255.255.255", "10.20.103.4", "::1", "2001:db8::5"};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(texts); i++) {
		char out[NETMATCH_TEXT_BYTES];
		struct netmatch_ip ip;

		JT_TRUE(netmatch_ip_parse(texts[i], &ip));
		JT_EQ(netmatch_ip_render(out, &ip), strlen(texts[i]));
		JT_STR(out, texts[i]);
	}
}

JT_MAIN(JT_RUN(networks_of_both_families_contain_what_they_should), JT_RUN(nonsense_is_refused),
	JT_RUN(text_comes_back))
