/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_nft.c - nftables messages into the read-back and the monitor, and what came out of them into
 * everything that walks a ruleset: printing, comparing, asking. */
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include "daemons/fwd-nft/drift.h"
#include "daemons/fwd-nft/engine.h"
#include "daemons/fwd-nft/eval.h"
#include "daemons/fwd-nft/message.h"
#include "daemons/fwd-nft/render.h"
#include "daemons/fwd-nft/watch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct ruleset *ruleset)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_BOUND(1 << 20);
	struct eval_packet packet = {.family = NFPROTO_IPV4, .source = 10u << 24, .in = "b"};

	render_ruleset(&text, ruleset);
	(void)drift_describe(&text, ruleset, ruleset);
	for (size_t i = 0; i < ruleset->n_chains; i++) {
		(void)eval_chain(ruleset, &ruleset->chains[i], &packet);
		(void)engine_drops_ours(&ruleset->chains[i], (struct jaco_cidr){10u << 24, 8});
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	jaco_auto(ruleset) struct ruleset ruleset = RULESET_INIT;
	static _Alignas(8) char room[1 << 16];
	const struct nlmsghdr *msg = (const struct nlmsghdr *)room;
	struct watch_news news = {0};
	struct jaco_err err = JACO_ERR_INIT;
	int left = (int)size;

	if (size > sizeof(room))
		return 0;
	memcpy(room, data, size);
	for (; jaco_netlink_fits(msg, left); msg = mnl_nlmsg_next(msg, &left)) {
		if (message_take(&ruleset, msg, &err) < 0)
			jaco_err_clear(&err);
		watch_take(&news, msg);
	}
	for (size_t i = 0; i < ruleset.n_sets; i++)
		ruleset_sort_elems(&ruleset.sets[i]);
	walk(&ruleset);
	return 0;
}
