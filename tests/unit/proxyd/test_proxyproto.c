/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/proxyd/proxyproto.h"

#include "tests/lib/test.h"

static int parse(const char *text, size_t n, struct proxyproto_peer *out)
{
	return proxyproto_parse(text, n, out);
}

JT_CASE(version_1_names_the_client)
{
	const char *line = "PROXY TCP4 192.0.2.7 10.0.0.1 5678 80\r\nGET";
	struct proxyproto_peer peer;
	char text[NETMATCH_TEXT_BYTES];

	JT_EQ(parse(line, strlen(line), &peer), strlen(line) - 3);
	JT_TRUE(peer.is_header && peer.has_address);
	(void)netmatch_ip_render(text, &peer.ip);
	JT_STR(text, "192.0.2.7");
	JT_EQ(peer.port, 5678);
	for (size_t n = 0; n < strlen(line) - 3; n++)
		JT_EQ(parse(line, n, &peer), 0);
}

JT_CASE(version_1_unknown_has_no_address)
{
	struct proxyproto_peer peer;

	JT_EQ(parse("PROXY UNKNOWN\r\n", 15, &peer), 15);
	JT_TRUE(peer.is_header);
	JT_FALSE(peer.has_address);
}

JT_CASE(malformed_version_1_is_refused)
{
	const char *bad[] = {"PROXY TCP4 x 10.0.0.1 1 2\r\n", "PROXY TCP4 1.2.3.4\r\n",
			     "PROXY TCP4 1.2.3.4 1.2.3.4 99999 1\r\n",
			     "PROXY TCP5 1.2.3.4 1.2.3.4 1 1\r\n",
			     "PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n"};
	char endless[200];
	struct proxyproto_peer peer;

	for (size_t i = 0; i < JACO_ARRAY_SIZE(bad); i++)
		JT_EQ(parse(bad[i], strlen(bad[i]), &peer), -1);
	memset(endless, 'a', sizeof(endless));
	memcpy(endless, "PROXY ", 6);
	JT_EQ(parse(endless, sizeof(endless), &peer), -1);
}

JT_CASE(what_is_written_is_read_back)
{
	const char *pairs[][2] = {{"192.0.2.7", "10.0.0.1"}, {"2001:db8::7", "2001:db8::1"},
				  {"192.0.2.7", "2001:db8::1"}};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(pairs); i++) {
		struct netmatch_ip from, to;
		struct proxyproto_peer peer;
		char out[PROXYPROTO_WRITE_MAX + 3];
		size_t n;

		JT_TRUE(netmatch_ip_parse(pairs[i][0], &from) &&
			netmatch_ip_parse(pairs[i][1], &to));
		n = proxyproto_write(out, &from, 4711, &to, 80);
		for (size_t k = 0; k < n; k++)
			JT_EQ(parse(out, k, &peer), 0);
		JT_EQ(parse(out, n, &peer), n);
		JT_TRUE(peer.has_address);
		JT_MEM(&peer.ip, &from, sizeof(from));
		JT_EQ(peer.port, 4711);
	}
}

JT_CASE(other_protocols_are_left_alone)
{
	struct proxyproto_peer peer;

	JT_EQ(parse("GET / HTTP/1.1\r\n", 16, &peer), 1);
	JT_FALSE(peer.is_header);
	JT_EQ(parse("\x16\x03\x01", 3, &peer), 1);
	JT_FALSE(peer.is_header);
}

JT_CASE(a_version_2_header_with_too_much_is_refused)
{
	char out[PROXYPROTO_WRITE_MAX];
	struct netmatch_ip ip;
	struct proxyproto_peer peer;
	size_t n;

	JT_TRUE(netmatch_ip_parse("1.2.3.4", &ip));
	n = proxyproto_write(out, &ip, 1, &ip, 2);
	out[14] = 0x7f;
	JT_EQ(parse(out, n, &peer), -1);
	out[14] = 0;
	out[12] = 0x31;
	JT_EQ(parse(out, n, &peer), -1);
}

JT_MAIN(JT_RUN(version_1_names_the_client), JT_RUN(version_1_unknown_has_no_address),
	JT_RUN(malformed_version_1_is_refused), JT_RUN(what_is_written_is_read_back),
	JT_RUN(other_protocols_are_left_alone), JT_RUN(a_version_2_header_with_too_much_is_refused))
