/* SPDX-License-Identifier: Apache-2.0
 *
 * tables.h - raftd's view as the proxy's tables: which replicas may get traffic, which routes lead
 * to them, which ports are published.
 *
 * Pure: reads the view, asks nobody.  Eligible: observed running and healthy, desired and not
 * draining, its node not unreachable.  spec/ingress.md section 2. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "daemons/proxyd/route.h"
#include "libjaco/base/arena.h"
#include "libjaco/base/digest.h"
#include "libjaco/daemon/view.h"

/* One container that may get traffic, or one that drains. */
struct tables_replica {
	const char *id, *deployment, *service, *host;
	uint32_t generation;
	struct netmatch_ip ip;
	bool has_ip;
};

enum tables_protocol { TABLES_TCP, TABLES_UDP };

struct tables_port {
	enum tables_protocol protocol;
	uint16_t port;
	char address[72];     /* "0.0.0.0:6379" */
	const char *deployment, *service;
	uint16_t target_port;
	bool local_only;      /* host mode: replicas of this node only */
};

struct tables_certificate {
	const char *cert, *key; /* absolute paths */
};

struct tables {
	struct tables_replica *serving;  /* by (deployment, service) */
	size_t n_serving;
	struct tables_replica *draining;
	size_t n_draining;
	struct tables_port *ports;       /* one per address: IPv4 and IPv6 */
	size_t n_ports;
	struct tables_certificate *certificates; /* without duplicates */
	size_t n_certificates;
	uint8_t digest[JACO_SHA256_BYTES]; /* equal: equal tables */
};

typedef uint64_t tables_id_fn(enum tables_protocol protocol, const char *address);

/* Everything in @out lives in @arena and borrows from the view. */
void tables_read(const struct jaco_view *view, const char *host, struct jaco_arena *arena,
		 struct tables *out);

/* The route table of it.  Routes that cannot be taken over are left out; @out_rejected counts them
 * and @err says why for the last. */
struct route_table *tables_build(const struct jaco_view *view, const struct tables *tables,
				 const char *host, const struct netmatch *trusted, size_t n_trusted,
				 uint64_t generation, tables_id_fn *id, size_t *out_rejected,
				 struct jaco_err *err);
