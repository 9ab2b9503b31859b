/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of the forwarder that need no socket: which upstreams there are, which would be a
 * loop. */
#include "daemons/dnsd/forward.h"

#include "tests/lib/test.h"

static struct jaco_addr addr(const char *text)
{
	struct jaco_addr out = {.n = 0};
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(jaco_addr_parse(&out, text, 53, &err), &err);
	return out;
}

JT_CASE(docker_the_pool_and_ourselves_are_loops)
{
	const struct jaco_cidr pool = {0x0a800000, 9};
	const struct jaco_addr own[] = {addr("127.0.0.1:5353")};
	struct jaco_addr asked;

	asked = addr("127.0.0.11");
	JT_TRUE(upstreams_is_loop(&asked, NULL, 0, NULL, 0));
	asked = addr("10.128.3.1");
	JT_TRUE(upstreams_is_loop(&asked, &pool, 1, NULL, 0));
	JT_FALSE(upstreams_is_loop(&asked, NULL, 0, NULL, 0));
	asked = addr("127.0.0.1:5353");
	JT_TRUE(upstreams_is_loop(&asked, &pool, 1, own, 1));
	asked = addr("127.0.0.1");
	JT_FALSE(upstreams_is_loop(&asked, &pool, 1, own, 1));
	asked = addr("[2001:db8::1]:53");
	JT_FALSE(upstreams_is_loop(&asked, &pool, 1, own, 1));
}

JT_CASE(resolv_conf_gives_its_nameservers)
{
	static const char text[] = "# made by hand\n"
				   "search example.com\n"
				   "nameserver 192.0.2.53\n"
				   "  nameserver\t2001:db8::53 # second\n"
				   "nameserver not-an-address\n"
				   "nameserverx 192.0.2.99\n"
				   "nameserver\n"
				   "options ndots:1\n"
				   "nameserver 192.0.2.54";
	struct jaco_addr out[8];
	char name[JACO_ADDR_TEXT_BYTES];

	JT_EQ(upstreams_parse_resolv(text, out, 8), 3);
	jaco_addr_render(name, &out[0]);
	JT_STR(name, "192.0.2.53:53");
	jaco_addr_render(name, &out[1]);
	JT_STR(name, "[2001:db8::53]:53");
	jaco_addr_render(name, &out[2]);
	JT_STR(name, "192.0.2.54:53");
	JT_EQ(upstreams_parse_resolv(text, out, 2), 2);
	JT_EQ(upstreams_parse_resolv("", out, 8), 0);
}

JT_MAIN(JT_RUN(docker_the_pool_and_ourselves_are_loops), JT_RUN(resolv_conf_gives_its_nameservers))
