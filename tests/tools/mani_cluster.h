/* SPDX-License-Identifier: Apache-2.0
 *
 * mani_cluster.h - a cluster as a few lines of text, for what only admission can refuse:
 *
 *   host NAME            a member            reserve PORT           a port of the nodes' own
 *   port OWNER PORT/PROTO  published already  route OWNER DOMAIN PATH  routed already
 *   tls DOMAIN MODE      used elsewhere      others SERVICES REPLICAS  of other deployments
 *   unprivileged         the caller may not  fenced                 the label is required
 *   pool CIDR            containers' addresses
 *   engine HOST KIND MINOR  its API is 1.MINOR */
#pragma once

#include "libjaco/model/manifest/manifest.h"

/* Check @manifest against the cluster of @text; findings and result as jaco_manifest_admit(). */
int mani_admit(const struct jaco_manifest *manifest, const char *text,
	       struct jaco_findings *findings, struct jaco_err *err);
