/* SPDX-License-Identifier: Apache-2.0
 *
 * foresee.h - an apply that cannot get its addresses is refused when it is made, not when its last
 * container fails (spec/network.md section 1).
 *
 * Only what is certain counts: a service that may go anywhere needs one subnet, wherever that
 * is. */
#pragma once

#include "daemons/raftd/raftd.h"
#include "libjaco/model/cidr.h"

struct foresee_network {
	const char *name;
	size_t n_hosts;    /* it will be on at least that many */
	size_t n_claimed;  /* on as many it is already */
	uint64_t replicas; /* addresses wanted in the whole cluster */
};

struct foresee {
	struct jaco_cidr pool;
	unsigned bits;       /* ipam_prefix */
	uint64_t n_used;     /* blocks of that size that are taken */
	size_t n_members;
	const char *deployment;
	const struct foresee_network *networks;
	size_t n_networks;
};

/* Pure.  Errors: SUBNET_POOL_EXHAUSTED, ADDRESS_POOL_EXHAUSTED - with the numbers. */
int foresee_check(const struct foresee *foresee, struct jaco_err *err);

/* The same for @deployment as it would be stored, in the present state of the cluster. */
int foresee_apply(struct raftd *raftd, struct jaco_call *call,
		  const struct wire_deployment *deployment, struct jaco_err *err);
