/* SPDX-License-Identifier: Apache-2.0
 *
 * watch.h - sees at once when somebody else changes nftables (NFNLGRP_NFTABLES).
 *
 * What our own acting socket causes is filtered out in the kernel, so a change of ours never looks
 * like drift and a large load never floods this socket. */
#pragma once

#include <stdbool.h>

#include "libjaco/io/netlink.h"

struct watch {
	struct jaco_netlink nl;
};

#define WATCH_INIT ((struct watch){.nl = JACO_NETLINK_INIT})

struct watch_news {
	bool ours;   /* table inet jaco */
	bool engine; /* a table in which engine.h keeps a rule */
	bool lost;   /* notifications were dropped: look at everything */
};

/* @own_port: the acting socket's. */
int watch_open(struct watch *watch, uint32_t own_port, struct jaco_err *err);
void watch_close(struct watch *watch);
#define watch_cleanup watch_close

/* Read all that waits; flags are added to @news. */
int watch_drain(struct watch *watch, struct watch_news *news, struct jaco_err *err);

/* One notification into @news. */
struct nlmsghdr;
void watch_take(struct watch_news *news, const struct nlmsghdr *msg);
