/* SPDX-License-Identifier: Apache-2.0
 *
 * limits.h - everything a peer, a file or a person can make grow, with the reason for its bound. */
#pragma once

#include <assert.h>

/* Names: a DNS label (RFC 1035 section 2.3.4), because service and network names become labels. */
#define JACO_NAME_MAX       63
#define JACO_DEPLOYMENT_MAX 40  /* leaves room for "-<service>-<index>" in engine names */
#define JACO_HOST_MAX       63  /* a host name is one label here */
#define JACO_DOMAIN_MAX     253 /* RFC 1035 section 2.3.4 */
#define JACO_REPLICA_ID_MAX 180 /* <deployment>-<service>-<index or host> */
#define JACO_IMAGE_MAX      512
#define JACO_PATH_MAX       1024 /* route path or file path in a manifest */
#define JACO_ADDR_MAX       64   /* "[v6]:port" or host:port with a short host */
#define JACO_CIDR_MAX       50
#define JACO_TEXT_MAX       1024 /* one human sentence on the wire */
#define JACO_HASH_MAX       64   /* SHA-256 in hex */

/* The cluster (spec/manifests.md section 4). */
#define JACO_NODES_MAX              64
#define JACO_DRAIN_LIMIT_MS         300000 /* per replica; --drain-timeout overrides */
#define JACO_SERVICES_MAX           500
#define JACO_REPLICAS_MAX           10000
#define JACO_ROUTES_PER_DEPLOYMENT  200
#define JACO_NETWORKS_PER_SERVICE   32
#define JACO_PORTS_PER_SERVICE      256
#define JACO_DNS_PER_SERVICE        16
#define JACO_NETWORKS_PER_DEPLOYMENT 64 /* each costs a subnet on every node */
/* Published: the ports of the old revision leave and those of the new come in one transaction. */
#define JACO_PORTS_PER_DEPLOYMENT 1800

/* Store. */
#define JACO_KEY_MAX        512
#define JACO_VALUE_MAX      (768 * 1024) /* a revision holds two documents; fits one message */
#define JACO_DOCUMENT_MAX   (512 * 1024) /* jaco.yaml, and the resolved compose document */
#define JACO_DOCUMENTS_MAX  (JACO_VALUE_MAX - 2048) /* both, beside author and message */
#define JACO_TXN_OPS_MAX    4096         /* one scheduler pass over a large deployment */
#define JACO_TXN_BYTES_MAX  (2 * 1024 * 1024)
#define JACO_TXN_VALUES_MAX (JACO_TXN_BYTES_MAX - 512 * 1024) /* of an apply; the rest is keys */
#define JACO_WATCH_HISTORY  8192         /* changes kept for a watcher that reconnects */
#define JACO_RANGE_PAGE_MAX 4096

/* Wire. */
#define JACO_MESSAGE_MAX         (1024 * 1024) /* one msgpack message while it arrives */
#define JACO_SNAPSHOT_BATCH_MAX  (256 * 1024)  /* bytes of values per watch notification */
#define JACO_DEPTH_MAX           16            /* nesting of a message */
#define JACO_CALLS_PER_CONN      256           /* requests in flight */
#define JACO_WATCHES_PER_CONN    64
#define JACO_CONNS_PER_SOCKET    512

/* Remote callers (spec/cluster.md section 3): strangers have not said who they are yet. */
#define JACO_STRANGERS_MAX         64
#define JACO_STRANGERS_PER_ADDRESS 16
#define JACO_STRANGER_MESSAGE_MAX  4096
#define JACO_STRANGER_MS           10000 /* handshake and token */
#define JACO_CONNS_PER_IDENTITY    64
#define JACO_CALLS_PER_IDENTITY    512
#define JACO_WATCHES_PER_IDENTITY  128
#define JACO_OUTPUT_PER_IDENTITY   (32 * 1024 * 1024)
#define JACO_OUTPUT_HIGH_WATER   (8 * 1024 * 1024) /* bytes queued to one slow reader */
#define JACO_UNKNOWN_FIELDS_MAX  64

/* Manifests (spec/manifests.md section 2). */
#define JACO_YAML_BYTES_MAX (1024 * 1024)
#define JACO_YAML_DEPTH_MAX 64
#define JACO_YAML_NODES_MAX 100000

static_assert(JACO_VALUE_MAX < JACO_MESSAGE_MAX, "a value travels inside a message");
static_assert(2 * (JACO_ROUTES_PER_DEPLOYMENT + JACO_PORTS_PER_DEPLOYMENT) + 16 <=
		      JACO_TXN_OPS_MAX,
	      "an apply is one transaction");
static_assert(JACO_SNAPSHOT_BATCH_MAX < JACO_MESSAGE_MAX, "a batch travels inside a message");
