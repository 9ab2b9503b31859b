/* SPDX-License-Identifier: Apache-2.0
 *
 * service.h - one service of a deployment, typed: the compose keys that shape its container and the
 * overlay keys that shape its place.
 *
 * All memory belongs to the arena given to jaco_manifest_load().  Texts are NUL-terminated UTF-8;
 * a NULL text, an `is_set` of false, JACO_TRI_UNSET and an empty list all mean "not written: leave
 * it to the image or the engine".  Lists whose order means nothing are sorted, so equal manifests
 * give equal structs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/limits.h"
#include "libjaco/model/manifest/finding.h"
#include "libjaco/model/enums.h"

struct jaco_strings {
	const char **items;
	size_t n;
};

/* command and entrypoint: not written (image's own), or a list that may be empty ("clear it"). */
struct jaco_argv {
	bool is_set;
	const char **items;
	size_t n;
};

struct jaco_pair {
	const char *key;
	const char *value; /* "" for an empty value; NULL never appears in a loaded manifest */
};

/* Sorted by key, keys unique. */
struct jaco_pairs {
	struct jaco_pair *items;
	size_t n;
};

struct jaco_opt_i64 {
	bool is_set;
	int64_t value;
};

enum jaco_tri { JACO_TRI_UNSET, JACO_TRI_FALSE, JACO_TRI_TRUE };

enum jaco_proto { JACO_PROTO_TCP, JACO_PROTO_UDP };
const char *jaco_proto_name(enum jaco_proto proto); /* "tcp", "udp" */

/* One port; ranges are already expanded, one struct per pair. */
enum jaco_port_mode {
	JACO_PORT_EXPOSED, /* "80": documents a container port, publishes nothing */
	JACO_PORT_CLUSTER, /* "8080:80", mode ingress: a listener on every node */
	JACO_PORT_HOST,    /* "IP:8080:80", mode host: on the replica's own node only */
};
struct jaco_port {
	enum jaco_port_mode mode;
	enum jaco_proto proto;
	uint16_t target;     /* in the container */
	uint16_t published;  /* on nodes; 0 for JACO_PORT_EXPOSED */
	uint16_t last;       /* "8000-8005:80": until resolved, any up to this one; else 0 */
	const char *host_ip; /* JACO_PORT_HOST only: address to bind, NULL = all */
	struct jaco_pos pos;
};

enum jaco_mount_type {
	JACO_MOUNT_BIND,
	JACO_MOUNT_VOLUME, /* named; anonymous when source is NULL */
	JACO_MOUNT_TMPFS,
};
struct jaco_mount {
	enum jaco_mount_type type;
	const char *source; /* bind: absolute host path; volume: compose key; NULL: anonymous */
	const char *engine_name; /* volume: the engine's name ("jaco_shop_data"); else NULL */
	const char *target;      /* absolute path in the container, cleaned */
	bool is_external;        /* volume: must exist already */
	bool read_only;
	bool no_copy;            /* volume.nocopy */
	const char *subpath;     /* volume.subpath */
	const char *propagation; /* bind.propagation: rprivate, rslave, ... */
	const char *selinux;     /* "z" or "Z" */
	bool create_host_path;   /* bind: make a missing source directory (short form: true) */
	struct jaco_opt_i64 tmpfs_bytes;
	struct jaco_opt_i64 tmpfs_mode; /* permission bits */
	struct jaco_pos pos;
};

/* `tmpfs:` key: target and the engine's option text ("size=64m,mode=1777"), "" for none. */
struct jaco_tmpfs {
	const char *target;
	const char *options;
};

struct jaco_device {
	const char *source; /* on the host; CDI names ("nvidia.com/gpu=all") have no target */
	const char *target;
	const char *permissions; /* "rwm" unless written */
	bool is_cdi;
};

/* Docker's HostConfig.DeviceRequests (gpus, deploy.resources.reservations.devices). */
struct jaco_device_request {
	const char *driver; /* NULL: engine's choice */
	int64_t count;      /* -1 all; 0 when device_ids are given */
	struct jaco_strings device_ids;
	struct jaco_strings capabilities;
	struct jaco_pairs options;
};

struct jaco_ulimit {
	const char *name;
	int64_t soft; /* -1 unlimited */
	int64_t hard;
};

struct jaco_blkio_device {
	const char *path;
	uint64_t value; /* bytes/s, operations/s or weight */
};
struct jaco_blkio_list {
	struct jaco_blkio_device *items;
	size_t n;
};
struct jaco_blkio {
	uint16_t weight; /* 0 = unset */
	struct jaco_blkio_list weight_device;
	struct jaco_blkio_list read_bps, write_bps, read_iops, write_iops;
};

/* healthcheck: of compose, run by the engine. */
enum jaco_health_kind {
	JACO_HEALTHCHECK_INHERIT,  /* not written, or only timings: the image's test */
	JACO_HEALTHCHECK_DISABLED, /* disable: true, or test NONE */
	JACO_HEALTHCHECK_CMD,      /* argv */
	JACO_HEALTHCHECK_SHELL,    /* argv[0] is a command line for the container's shell */
};
struct jaco_healthcheck {
	bool is_set;
	enum jaco_health_kind kind;
	struct jaco_strings test; /* without the leading CMD, CMD-SHELL */
	struct jaco_opt_i64 interval_ms, timeout_ms, start_period_ms, start_interval_ms;
	struct jaco_opt_i64 retries;
};

/* health: of jaco.yaml, run by runtimed; absent: spec/runtime.md section 3 decides. */
enum jaco_probe_kind { JACO_PROBE_NONE, JACO_PROBE_HTTP, JACO_PROBE_TCP, JACO_PROBE_CMD };
struct jaco_probe {
	enum jaco_probe_kind kind;
	const char *path;                /* http */
	uint16_t port;                   /* http, tcp; 0: first routed, published or exposed port */
	uint16_t expect_min, expect_max; /* http status, 200..399 unless written */
	struct jaco_strings command;     /* cmd */
	int64_t interval_ms, timeout_ms; /* 2000 and 5000 unless written */
	uint32_t retries;                /* failures in a row until degraded; 3 unless written */
};

enum jaco_condition {
	JACO_CONDITION_STARTED,
	JACO_CONDITION_HEALTHY,
	JACO_CONDITION_COMPLETED,
};
const char *jaco_condition_name(enum jaco_condition condition); /* "service_started" */
struct jaco_dependency {
	const char *service;
	enum jaco_condition condition;
	bool required;
	bool restart;
	struct jaco_pos pos;
};

struct jaco_attachment {
	const char *network;         /* name in the deployment ("_default", "front") */
	struct jaco_strings aliases; /* extra names of the service in this network */
	const char *mac_address;
	int64_t priority;
	int64_t gw_priority;
	struct jaco_pairs driver_opts;
	struct jaco_pos pos;
};

/* configs: and secrets: as files in the container. */
struct jaco_file {
	const char *name; /* key under top-level configs or secrets */
	bool is_secret;
	bool is_external;        /* content is `jaco secret` value engine_name of this deployment */
	const char *engine_name; /* top-level name:, else name */
	const char *target;      /* absolute path in the container */
	const char *uid, *gid;   /* NULL: 0 */
	uint32_t mode;           /* permission bits; 0444 unless written */
	const uint8_t *content;  /* literal bytes once folded by the client; NULL when external */
	size_t content_bytes;
	const char *host_path; /* file: not folded yet (client side only); NULL afterwards */
	struct jaco_pos pos;
};

struct jaco_logging {
	const char *driver; /* NULL: default of JACO (json-file, 10 MB x 3) */
	struct jaco_pairs options;
};

enum jaco_network_mode {
	JACO_NETMODE_NETWORKS, /* attachments[] */
	JACO_NETMODE_NONE,
	JACO_NETMODE_HOST,
	JACO_NETMODE_SERVICE, /* shares network_service's namespace, same node */
};

enum jaco_restart_kind {
	JACO_RESTART_ALWAYS, /* default; unless-stopped and any */
	JACO_RESTART_ON_FAILURE,
	JACO_RESTART_NO,
};
struct jaco_restart {
	enum jaco_restart_kind kind;
	bool is_set;           /* written in compose */
	uint32_t max_attempts; /* 0: the scheduler's budget */
	struct jaco_opt_i64 delay_ms, window_ms;
};

enum jaco_pull_policy { JACO_PULL_MISSING, JACO_PULL_ALWAYS, JACO_PULL_NEVER };

struct jaco_resources {
	struct jaco_opt_i64 nano_cpus;    /* limit; 1e9 = one CPU */
	struct jaco_opt_i64 memory_bytes; /* limit */
	struct jaco_opt_i64
		memory_reservation; /* bytes; HostConfig.MemoryReservation and scheduling */
	struct jaco_opt_i64 reserved_nano_cpus; /* scheduling only */
	struct jaco_opt_i64 memswap_bytes;      /* -1 unlimited */
	struct jaco_opt_i64 mem_swappiness;     /* 0..100 */
	struct jaco_opt_i64 pids;               /* -1 unlimited */
	struct jaco_opt_i64 cpu_shares, cpu_quota_us, cpu_period_us, cpu_rt_runtime_us,
		cpu_rt_period_us;
	const char *cpuset;
};

/* build: is never run by apply; it tells which image a service without image: has. */
struct jaco_build {
	bool is_set;
	const char *context, *dockerfile, *target;
	struct jaco_pairs args;
};

const char *jaco_placement_name(enum jaco_placement placement); /* "spread" */

/* node.hostname == n1; node.labels.disk != ssd; node.platform.arch == arm64 */
enum jaco_constraint_subject {
	JACO_CONSTRAINT_HOSTNAME,
	JACO_CONSTRAINT_LABEL,
	JACO_CONSTRAINT_ARCH,
	JACO_CONSTRAINT_OS,
};
struct jaco_constraint {
	enum jaco_constraint_subject subject;
	const char *label; /* for LABEL */
	bool is_negated;
	const char *value; /* arch in the engine's spelling: amd64, arm64 */
};

struct jaco_rollout {
	enum jaco_rollout_order order; /* resolved: stop-first when stateful unless written */
	bool order_is_set;
	uint32_t parallel;        /* 0: all at once */
	int64_t timeout_ms;       /* 60 s */
	int64_t drain_ms;         /* 10 s */
	int64_t monitor_ms;       /* 5 s */
	int64_t delay_ms;         /* 0 */
	double max_failure_ratio; /* 0 */
	enum jaco_on_failure on_failure;
};

/* A key that needs a token with allows_privileged (spec/manifests.md section 3.8). */
struct jaco_gate {
	const char *key; /* "privileged", "volumes[2]", "cap_add" */
	const char *why; /* "bind mount of /var/run/docker.sock" */
	struct jaco_pos pos;
};

struct jaco_service {
	const char *name;
	struct jaco_pos pos;
	char spec_hash[JACO_HASH_MAX + 1]; /* SHA-256 in hex, spec/manifests.md section 5 */

	/* what runs */
	const char *image;    /* never NULL; "<deployment>-<service>" when only build: is given */
	const char *platform; /* "linux/arm64" */
	enum jaco_pull_policy pull_policy;
	struct jaco_build build;
	struct jaco_argv command, entrypoint;
	struct jaco_pairs environment;
	/* names without a value: the image's is taken away */
	struct jaco_strings environment_unset;
	const char *user, *working_dir, *hostname, *domainname, *mac_address;
	struct jaco_strings group_add;
	struct jaco_pairs labels, annotations;
	bool tty, stdin_open;
	const char *stop_signal;
	struct jaco_opt_i64 stop_grace_ms;
	enum jaco_tri init;

	/* files */
	struct jaco_mount *mounts;
	size_t n_mounts;
	struct jaco_tmpfs *tmpfs;
	size_t n_tmpfs;
	struct jaco_file *files; /* configs and secrets */
	size_t n_files;
	bool read_only;
	struct jaco_pairs storage_opt;

	/* isolation and rights */
	bool privileged;
	struct jaco_strings cap_add, cap_drop, security_opt, device_cgroup_rules;
	const char *ipc, *pid, *uts, *userns_mode, *cgroup, *cgroup_parent, *runtime;
	struct jaco_pairs sysctls;
	struct jaco_ulimit *ulimits;
	size_t n_ulimits;
	struct jaco_device *devices;
	size_t n_devices;
	struct jaco_device_request *device_requests;
	size_t n_device_requests;
	struct jaco_gate *gates;
	size_t n_gates;
	bool has_privileged_label; /* label jaco.io/allow-privileged: "true" */

	/* resources */
	struct jaco_resources resources;
	struct jaco_blkio blkio;
	struct jaco_opt_i64 shm_bytes, oom_score_adj;
	bool oom_kill_disable;
	struct jaco_logging logging;

	/* network */
	enum jaco_network_mode network_mode;
	const char *network_service;
	struct jaco_attachment *attachments; /* sorted by network; empty unless NETMODE_NETWORKS */
	size_t n_attachments;
	struct jaco_port *ports; /* sorted by target, proto, published */
	size_t n_ports;
	uint16_t *expose; /* TCP ports of expose: and ports:, sorted, unique */
	size_t n_expose;
	struct jaco_pairs extra_hosts; /* sorted by name; several addresses joined by "," */
	struct jaco_strings dns, dns_search, dns_opt;
	/* besides the service name, all networks: container_name, links */
	struct jaco_strings dns_names;

	/* health and order */
	struct jaco_healthcheck healthcheck;
	struct jaco_probe probe;
	uint16_t default_probe_port; /* first routed, published or exposed TCP port; 0 none */
	struct jaco_dependency *depends_on; /* sorted by service */
	size_t n_depends_on;
	struct jaco_restart restart;
	bool is_one_shot; /* restart: no, or somebody waits for it to complete */

	/* place */
	uint32_t replicas; /* 0 is legal; meaningless with per_host or GLOBAL */
	bool replicas_is_set;
	uint32_t per_host; /* with JACO_PLACE_HOSTS: this many on each host; 0 unset */
	enum jaco_placement placement;
	struct jaco_pos hosts_pos; /* of the overlay's list */
	struct jaco_strings hosts; /* sorted */
	struct jaco_constraint *constraints;
	size_t n_constraints;
	uint32_t max_replicas_per_node; /* 0: no bound */
	struct jaco_rollout rollout;
	bool failover_stay; /* resolved: stateful services stay unless written */
	bool is_single;     /* single: true */
	bool is_stateful;   /* writable named volume or bind (spec/scheduling.md section 3) */
};
