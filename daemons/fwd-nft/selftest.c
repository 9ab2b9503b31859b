/* SPDX-License-Identifier: Apache-2.0
 *
 * selftest.c - see selftest.h. */
#include "daemons/fwd-nft/selftest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_tun.h>
#include <linux/ip.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdalign.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "daemons/fwd-nft/batch.h"
#include "daemons/fwd-nft/readback.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/io/netlink.h"
#include "libjaco/io/sock.h"

#define ASK_ROOM   512
#define WAIT_MS    1000
#define STEP_MS    5
#define IP_SADDR   12 /* RFC 791 section 3.1 */
#define IP_DADDR   16
#define PORT       9  /* discard, RFC 863 */

enum end { SENDER, SAME, OTHER };

/* --- which subnets --- */

static bool overlaps(struct jaco_cidr a, struct jaco_cidr b)
{
	return jaco_cidr_covers(a, b) || jaco_cidr_covers(b, a);
}

static bool is_free(const struct ruleset_input *input, struct jaco_cidr block)
{
	for (size_t i = 0; i < input->n_subnets; i++)
		if (overlaps(input->subnets[i].cidr, block))
			return false;
	for (size_t i = 0; i < input->n_nodes; i++)
		if (jaco_cidr_contains(block, input->nodes[i]))
			return false;
	return true;
}

bool selftest_plan(struct selftest *test, const struct ruleset_input *input,
		   struct jaco_arena *arena)
{
	static const char *const networks[SELFTEST_ENDS] = {"one", "one", "two"};
	static const char *const devices[SELFTEST_ENDS] = {"jaco-selftest0", "jaco-selftest1",
							   "jaco-selftest2"};
	struct ruleset_subnet *subnets =
		jaco_arena_alloc_n(arena, input->n_subnets + SELFTEST_ENDS, sizeof(*subnets));
	uint32_t size = 1u << (32 - input->prefix);
	uint32_t first = jaco_cidr_network(input->pool).addr;
	uint32_t at = first + (1u << (32 - input->pool.bits));
	size_t n = 0;

	*test = (struct selftest){.input = *input};
	while (n < SELFTEST_ENDS && at - first >= size) {
		struct jaco_cidr block = {.addr = at - size, .bits = input->prefix};

		at -= size;
		if (!is_free(input, block))
			continue;
		test->ends[n] = (struct ruleset_subnet){.cidr = block, .deployment = "self-test",
							.network = networks[n], .host = "self-test",
							.bridge = devices[n]};
		n++;
	}
	if (n < SELFTEST_ENDS)
		return false;
	if (input->n_subnets)
		memcpy(subnets, input->subnets, input->n_subnets * sizeof(*subnets));
	memcpy(subnets + input->n_subnets, test->ends, sizeof(test->ends));
	test->input.subnets = subnets;
	test->input.n_subnets += SELFTEST_ENDS;
	return true;
}

uint32_t selftest_address(const struct ruleset_subnet *subnet)
{
	return subnet->cidr.addr + 2; /* the first is the gateway's */
}

/* --- devices --- */

static int open_tun(const char *name, struct jaco_err *err)
{
	jaco_auto(jaco_fd) int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};

	if (fd < 0)
		return jaco_err_errno(err, "/dev/net/tun");
	(void)jaco_str_copy(request.ifr_name, sizeof(request.ifr_name), name); /* ours, short */
	if (ioctl(fd, TUNSETIFF, &request) < 0)
		return jaco_err_errno(err, "device %s", name);
	return jaco_fd_take(&fd);
}

/* Up, and forwarding from it whatever the host's setting is: rtnetlink(7), IFLA_INET_CONF. */
static int set_up(struct jaco_netlink *nl, unsigned index, struct jaco_err *err)
{
	alignas(NLMSG_ALIGNTO) char room[ASK_ROOM];
	struct nlmsghdr *request = mnl_nlmsg_put_header(room);
	struct ifinfomsg *message = mnl_nlmsg_put_extra_header(request, sizeof(*message));
	struct nlattr *families, *family, *conf;

	request->nlmsg_type = RTM_NEWLINK;
	message->ifi_index = (int)index;
	message->ifi_flags = message->ifi_change = IFF_UP;
	families = mnl_attr_nest_start(request, IFLA_AF_SPEC);
	family = mnl_attr_nest_start(request, AF_INET);
	conf = mnl_attr_nest_start(request, IFLA_INET_CONF);
	mnl_attr_put_u32(request, IPV4_DEVCONF_FORWARDING, 1);
	mnl_attr_nest_end(request, conf);
	mnl_attr_nest_end(request, family);
	mnl_attr_nest_end(request, families);
	return jaco_netlink_ask(nl, request, NULL, NULL, err);
}

static int add_route(struct jaco_netlink *nl, unsigned index, uint32_t address,
		     struct jaco_err *err)
{
	alignas(NLMSG_ALIGNTO) char room[ASK_ROOM];
	struct nlmsghdr *request = mnl_nlmsg_put_header(room);
	struct rtmsg *message = mnl_nlmsg_put_extra_header(request, sizeof(*message));

	request->nlmsg_type = RTM_NEWROUTE;
	request->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	message->rtm_family = AF_INET;
	message->rtm_dst_len = 32;
	message->rtm_table = RT_TABLE_MAIN;
	message->rtm_protocol = RTPROT_STATIC;
	message->rtm_scope = RT_SCOPE_LINK;
	message->rtm_type = RTN_UNICAST;
	mnl_attr_put_u32(request, RTA_DST, htonl(address));
	mnl_attr_put_u32(request, RTA_OIF, index);
	return jaco_netlink_ask(nl, request, NULL, NULL, err);
}

/* The descriptor of a device behind which @subnet lies. */
static int open_end(const struct ruleset_subnet *subnet, struct jaco_err *err)
{
	jaco_auto(jaco_netlink) struct jaco_netlink nl = JACO_NETLINK_INIT;
	jaco_auto(jaco_fd) int fd = open_tun(subnet->bridge, err);
	unsigned index = if_nametoindex(subnet->bridge);

	if (fd < 0 || jaco_netlink_open(&nl, NETLINK_ROUTE, err) < 0 ||
	    set_up(&nl, index, err) < 0 || add_route(&nl, index, selftest_address(subnet), err) < 0)
		return -(int)err->code;
	return jaco_fd_take(&fd);
}

/* --- counters --- */

static const struct witness {
	const char *chain;
	int32_t priority; /* ours is filter - 5 (rules.c) */
} witnesses[] = {{"before", -6}, {"after", -4}};

enum witness_at { BEFORE, AFTER };

static struct ruleset_expr *add_expr(struct ruleset_rule *rule, enum ruleset_op op, uint8_t len)
{
	struct ruleset_expr *expr = &rule->exprs[rule->n_exprs++];

	*expr = (struct ruleset_expr){.op = op, .len = len};
	return expr;
}

static void add_address(struct ruleset_rule *rule, uint32_t offset, uint32_t address)
{
	uint32_t net_order = htonl(address);

	add_expr(rule, RULESET_PAYLOAD, 4)->key = offset;
	memcpy(add_expr(rule, RULESET_CMP, 4)->data, &net_order, 4);
}

/* "ip saddr <sender> ip daddr <end> counter" for both ends, in that order. */
static void add_counters(struct ruleset_chain *chain, const struct selftest *test)
{
	static const uint8_t ipv4 = NFPROTO_IPV4;

	for (enum end end = SAME; end <= OTHER; end++) {
		struct ruleset_rule *rule = ruleset_add_rule(chain);

		add_expr(rule, RULESET_META, 1)->key = NFT_META_NFPROTO;
		add_expr(rule, RULESET_CMP, 1)->data[0] = ipv4;
		add_address(rule, IP_SADDR, selftest_address(&test->ends[SENDER]));
		add_address(rule, IP_DADDR, selftest_address(&test->ends[end]));
		add_expr(rule, RULESET_COUNTER, 0);
	}
}

static int load_witnesses(struct jaco_netlink *nl, const struct selftest *test,
			  struct jaco_err *err)
{
	jaco_auto(ruleset) struct ruleset ruleset = RULESET_INIT;
	jaco_auto(batch) struct batch batch = BATCH_INIT;

	for (size_t i = 0; i < JACO_ARRAY_SIZE(witnesses); i++) {
		struct ruleset_chain *chain = ruleset_add_chain(&ruleset, witnesses[i].chain);

		(void)jaco_str_copy(chain->type, sizeof(chain->type), "filter");
		chain->hook = NF_INET_FORWARD;
		chain->priority = witnesses[i].priority;
		chain->policy = NF_ACCEPT;
		add_counters(chain, test);
	}
	batch_begin(&batch, nl->seq + 1);
	batch_add_owned(&batch, SELFTEST_TABLE, &ruleset);
	batch_end(&batch);
	nl->seq = batch.seq;
	if (jaco_netlink_transact(nl, batch.bytes.data, batch.bytes.n, NULL, err) < 0)
		return jaco_err_wrap(err, "loading table inet %s", SELFTEST_TABLE);
	return 0;
}

struct seen {
	uint64_t packets[JACO_ARRAY_SIZE(witnesses)][SELFTEST_ENDS];
};

static uint64_t count_of(const struct ruleset_rule *rule)
{
	for (size_t i = 0; i < rule->n_exprs; i++)
		if (rule->exprs[i].op == RULESET_COUNTER)
			return rule->exprs[i].packets;
	return 0;
}

static int look(struct jaco_netlink *nl, struct seen *out, struct jaco_err *err)
{
	*out = (struct seen){0};
	for (size_t i = 0; i < JACO_ARRAY_SIZE(witnesses); i++) {
		struct ruleset_chain chain = {.rules = NULL};
		int rc;

		(void)jaco_str_copy(chain.name, sizeof(chain.name), witnesses[i].chain);
		rc = readback_chain(nl, NFPROTO_INET, SELFTEST_TABLE, &chain, NULL, err);
		for (size_t k = 0; rc == 0 && k < chain.n_rules && SAME + k <= OTHER; k++)
			out->packets[i][SAME + k] = count_of(&chain.rules[k]);
		jaco_free(chain.rules);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* --- packets --- */

static uint16_t checksum(const void *data, size_t n) /* RFC 1071 */
{
	const uint8_t *at = data;
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)at[i] << 8 | at[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static int send_probe(int fd, const struct selftest *test, enum end to, struct jaco_err *err)
{
	struct {
		struct iphdr ip;
		struct udphdr udp;
	} packet = {
		.ip = {.version = 4,
		       .ihl = 5,
		       .ttl = 8,
		       .protocol = IPPROTO_UDP,
		       .tot_len = htons(sizeof(packet)),
		       .saddr = htonl(selftest_address(&test->ends[SENDER])),
		       .daddr = htonl(selftest_address(&test->ends[to]))},
		.udp = {.source = htons(PORT),
			.dest = htons(PORT),
			.len = htons(sizeof(packet.udp))},
	};

	packet.ip.check = checksum(&packet.ip, sizeof(packet.ip));
	return write(fd, &packet, sizeof(packet)) == sizeof(packet) ?
		       0 : jaco_err_errno(err, "sending a packet of the self-test");
}

static int judge(const struct seen *seen, struct jaco_err *err)
{
	if (seen->packets[AFTER][OTHER])
		return jaco_err_set(err, JACO_ISOLATION_SELF_TEST_FAILED,
				    "a packet between two scopes passed table inet " RULESET_TABLE);
	if (!seen->packets[BEFORE][SAME] || !seen->packets[BEFORE][OTHER])
		return jaco_err_set(
			err, JACO_ISOLATION_SELF_TEST_FAILED,
			"a packet between containers never came to table inet " RULESET_TABLE
			": another rule or hook of this host takes it first");
	if (!seen->packets[AFTER][SAME])
		return jaco_err_set(
			err, JACO_ISOLATION_SELF_TEST_FAILED,
			"a packet within one scope did not pass table inet " RULESET_TABLE);
	return 0;
}

/* The forbidden one first: it has been judged when the other has passed. */
static int exchange(struct jaco_netlink *nl, int fd, const struct selftest *test,
		    struct jaco_err *err)
{
	struct seen seen;

	if (send_probe(fd, test, OTHER, err) < 0 || send_probe(fd, test, SAME, err) < 0)
		return -(int)err->code;
	for (int waited = 0;; waited += STEP_MS) {
		if (look(nl, &seen, err) < 0)
			return -(int)err->code;
		if (seen.packets[AFTER][SAME] || waited >= WAIT_MS)
			return judge(&seen, err);
		(void)poll(NULL, 0,
			   STEP_MS); /* steered to another processor (RPS) it takes a moment */
	}
}

static int run(const struct selftest *test, int fds[static SELFTEST_ENDS], struct jaco_err *err)
{
	jaco_auto(jaco_netlink) struct jaco_netlink nl = JACO_NETLINK_INIT;

	for (size_t i = 0; i < SELFTEST_ENDS; i++) {
		fds[i] = open_end(&test->ends[i], err);
		if (fds[i] < 0)
			return fds[i];
	}
	if (jaco_netlink_open(&nl, NETLINK_NETFILTER, err) < 0 ||
	    load_witnesses(&nl, test, err) < 0)
		return -(int)err->code;
	return exchange(&nl, fds[SENDER], test, err);
}

int selftest_run(const struct selftest *test, struct jaco_err *err)
{
	int fds[SELFTEST_ENDS] = {-1, -1, -1};
	int rc = run(test, fds, err);

	for (size_t i = 0; i < SELFTEST_ENDS; i++)
		jaco_fd_close(&fds[i]);
	if (rc < 0 && err->code != JACO_ISOLATION_SELF_TEST_FAILED) {
		jaco_err_wrap(err, "the self-test could not be made");
		err->code = JACO_ISOLATION_SELF_TEST_FAILED;
		return -JACO_ISOLATION_SELF_TEST_FAILED;
	}
	return rc;
}
