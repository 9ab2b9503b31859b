/* SPDX-License-Identifier: Apache-2.0
 *
 * facts.h - what only the cluster knows about a manifest: members, owners of ports and routes,
 * totals, the caller's rights. */
#pragma once

#include "daemons/raftd/raftd.h"
#include "libjaco/model/manifest/manifest.h"

/* Fill @out_facts for an apply of @deployment by @call; memory from the call's arena. */
int facts_gather(struct raftd *raftd, struct jaco_call *call, const char *deployment,
		 struct jaco_cluster_facts *out_facts, struct jaco_err *err);
