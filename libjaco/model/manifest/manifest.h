/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest.h - a deployment read from its pair of files: the one implementation used by the CLI, by
 * raftd's admission, by schedd, runtimed and proxyd, and by tests/tools/jaco-probe.
 *
 *   client   jaco_manifest_resolve()  files on disk -> manifest + the bytes to send
 *   server   jaco_manifest_load()     the bytes that were sent -> the same manifest
 *            jaco_manifest_admit()    what only the cluster knows: hosts, owners, rights
 *
 * Pure: no clock, log or descriptor; files come through a callback.  All memory belongs to the
 * arena.  Findings are collected for both files; a manifest is returned only when none is an error.
 * Reference: spec/manifests.md. */
#pragma once

#include "libjaco/base/buf.h"
#include "libjaco/model/cidr.h"
#include "libjaco/model/manifest/finding.h"
#include "libjaco/model/manifest/service.h"

/* The network of services that name none. */
#define JACO_DEFAULT_NETWORK  "_default"
#define JACO_PRIVILEGED_LABEL "jaco.io/allow-privileged"

const char *jaco_tls_mode_name(enum jaco_tls_mode mode); /* "auto", "off", "cert" */
enum jaco_balance {
	JACO_BALANCE_LEAST,
	JACO_BALANCE_ROUND,
	JACO_BALANCE_RANDOM,
	JACO_BALANCE_HASH_HEADER,
	JACO_BALANCE_HASH_IP,
};
const char *jaco_balance_name(enum jaco_balance balance); /* "least", ... "hash(ip)" */

struct jaco_header_edit {
	struct jaco_pairs set;
	struct jaco_strings remove;
};

struct jaco_basic_user {
	const char *user;
	const char *password_hash; /* crypt(3) text; secret: never logged */
};

struct jaco_route {
	const char *domain;             /* folded; may begin with "*." */
	const char *path;               /* "/" when not written; no trailing slash otherwise */
	const char *service;            /* NULL with a redirect */
	uint16_t port;                  /* 0 with a redirect */
	enum jaco_tls_mode tls;         /* acme: off already folded in */
	const char *tls_cert, *tls_key; /* JACO_TLS_CERT: file or secret name */
	bool strip_path;
	const char *redirect_to; /* NULL: none */
	uint16_t redirect_code;  /* 308 unless written */
	struct jaco_header_edit request_headers, response_headers;
	struct jaco_basic_user *basic_auth;
	size_t n_basic_auth;
	struct jaco_cidr *allow;
	size_t n_allow;
	struct jaco_opt_i64 max_body_bytes;
	struct jaco_opt_i64 connect_ms, response_ms, idle_ms;
	enum jaco_balance balance;
	const char *balance_header; /* hash(<name>) */
	const char *sticky_cookie;  /* NULL: off */
	int64_t sticky_ttl_ms;
	bool has_health;
	struct jaco_probe health; /* active check by proxyd (JACO_PROBE_HTTP) */
	bool maintenance;
	bool h2c; /* HTTP/2 cleartext to the replica */
	struct jaco_pos pos;
};

struct jaco_network {
	const char *name;
	bool is_internal; /* no route out */
	bool is_implicit; /* used by a service, not declared */
	struct jaco_pairs labels;
	struct jaco_pos pos;
};

struct jaco_volume {
	const char *name;        /* compose key */
	const char *engine_name; /* "jaco_<deployment>_<name>", or name: literally */
	bool is_external;
	struct jaco_pairs driver_opts;
	struct jaco_pairs labels;
	struct jaco_pos pos;
};

/* A cluster-wide or host port with the service behind it. */
struct jaco_published {
	const char *service;
	struct jaco_port port;
};

struct jaco_manifest {
	const char *deployment;
	const char *environment;       /* path of the env file, NULL when none */
	bool acme;                     /* false: acme: off */
	const char *acme_email;        /* NULL: cluster default */
	struct jaco_service *services; /* sorted by name */
	size_t n_services;
	struct jaco_route *routes; /* sorted by domain, path */
	size_t n_routes;
	struct jaco_network *networks; /* all that some service uses, sorted by name */
	size_t n_networks;
	struct jaco_volume *volumes; /* all declared, sorted by name */
	size_t n_volumes;
	struct jaco_published *published; /* sorted by published port, protocol */
	size_t n_published;
};

/* One document. */
struct jaco_document {
	const char *name; /* shown in findings: "compose.yaml" */
	const char *data;
	size_t n;
};

/*
 * Read a jaco.yaml and an already resolved compose document; no interpolation happens.
 *
 * @out_manifest  set only on success, owned by the arena of @findings
 *
 * Returns 0, or -code of the first error with @err filled from it (jaco_findings_to_err()); all
 * findings, warnings too, are in @findings, sorted.
 */
int jaco_manifest_load(const struct jaco_document *jaco, const struct jaco_document *compose,
		       struct jaco_findings *findings, const struct jaco_manifest **out_manifest,
		       struct jaco_err *err);

/* Read the file @path (relative to the current directory or absolute) whole into @out, which the
 * callee allocates from @arena.  Return 0, -JACO_UNAVAILABLE when there is no such file, or another
 * negative code; @err gets the sentence. */
typedef int (*jaco_manifest_read_fn)(void *ctx, const char *path, struct jaco_arena *arena,
				     struct jaco_document *out, struct jaco_err *err);

struct jaco_manifest_options {
	const char *jaco_path;            /* required */
	const char *const *compose_paths; /* several -f files; n 0: looked for beside jaco_path */
	size_t n_compose_paths;
	const char *compose_stdin; /* NULL, or the whole document for "-f -" */
	size_t compose_stdin_bytes;
	const char *const *env_files; /* --env-file, later wins, over the overlay's environment: */
	size_t n_env_files;
	const char *const *set; /* --set K=V */
	size_t n_set;
	const char *const *host_env; /* environ(7) with --host-env, else NULL */
	const char *const *profiles; /* --profile; "*" = all */
	size_t n_profiles;
	const char
		*cwd; /* absolute: relative bind sources become absolute; NULL: they are refused */
	const char *home; /* what ~ means in bind sources; NULL: they are refused */
	bool is_strict;   /* warnings are errors */
	jaco_manifest_read_fn read;
	void *read_ctx;
};

struct jaco_resolved {
	const struct jaco_manifest *manifest;
	struct jaco_document jaco; /* literal bytes of jaco.yaml: send this */
	struct jaco_document
		compose; /* resolved compose as YAML: send this, print with jaco config */
	const struct jaco_yaml_entry **lines; /* what stands on each line of it */
	size_t n_lines;
};

/* Where people wrote what stands at @line and @column of the resolved compose document; file NULL
 * when there is no such line.  A server's findings have places of that document. */
struct jaco_pos jaco_resolved_place(const struct jaco_resolved *resolved, uint32_t line,
				    uint32_t column);

/* The names looked for beside jaco.yaml, in order, ended by NULL. */
extern const char *const jaco_manifest_compose_names[];

/* The whole client side: read, interpolate, include, extend, merge, fold env_file, configs and
 * secrets, choose profiles, load.  Findings carry positions of the files people wrote.  Returns as
 * jaco_manifest_load(); Errors: also PARSE_FAILED, UNAVAILABLE (a named file is missing). */
int jaco_manifest_resolve(const struct jaco_manifest_options *options,
			  struct jaco_findings *findings, struct jaco_resolved *out,
			  struct jaco_err *err);

/* NULL when there is none; borrowed. */
const struct jaco_service *jaco_manifest_service(const struct jaco_manifest *manifest,
						 const char *name);
const struct jaco_network *jaco_manifest_network(const struct jaco_manifest *manifest,
						 const char *name);
const struct jaco_volume *jaco_manifest_volume(const struct jaco_manifest *manifest,
					       const char *name);

/* A member's engine, as far as its node has told. */
struct jaco_engine_fact {
	const char *host;
	bool is_podman;
	unsigned api_minor; /* of 1.x */
};

/* What only the cluster knows.  Every callback may be NULL (no check).  Owners are deployment names
 * borrowed for the call; NULL = free, or owned by this deployment. */
struct jaco_cluster_facts {
	const char *const *hosts; /* members; NULL: do not check */
	size_t n_hosts;
	const uint16_t
		*reserved_ports; /* the nodes' own API, peer, mesh ports; 80 and 443 always are */
	size_t n_reserved_ports;
	const struct jaco_cidr *pool; /* ipam_pool; NULL: do not check */
	const struct jaco_engine_fact *engines;
	size_t n_engines;
	const char *(*port_owner)(void *ctx, enum jaco_proto proto, uint16_t port);
	const char *(*route_owner)(void *ctx, const char *domain, const char *path);
	/* TLS mode another deployment uses for @domain, or NULL */
	const enum jaco_tls_mode *(*domain_tls)(void *ctx, const char *domain);
	void *ctx;
	size_t other_services; /* of other deployments, for the cluster's limits */
	size_t other_replicas;
	bool may_privileged;           /* caller's token allows it, or the caller is local */
	bool require_privileged_label; /* jacod.yaml */
};

/* Check @manifest against the cluster; adds findings (unknown_host, port_conflict, route_conflict,
 * replicas_exceed_pinned_hosts, permission_denied, limit_exceeded, reserved_port, route_tls_mixed;
 * warnings of what an engine is too old for) and returns as jaco_manifest_load().  @findings must
 * use an arena that outlives the manifest. */
int jaco_manifest_admit(const struct jaco_manifest *manifest,
			const struct jaco_cluster_facts *facts, struct jaco_findings *findings,
			struct jaco_err *err);

/* The canonical form of what shapes the container: sorted pairs "environment.KEY" -> value.  Equal
 * pairs, equal spec_hash. */
struct jaco_pairs jaco_service_canon(const struct jaco_service *service, struct jaco_arena *arena);

/* The rest of a service that a person would call a change: replicas, placement, health, rollout,
 * ports, names.  Same form. */
struct jaco_pairs jaco_service_canon_place(const struct jaco_service *service,
					   struct jaco_arena *arena);

/* SHA-256 in hex over all services, routes, ports, networks and volumes. */
void jaco_manifest_hash(const struct jaco_manifest *manifest, char out[static JACO_HASH_MAX + 1]);

enum jaco_change { JACO_CHANGE_ADDED, JACO_CHANGE_REMOVED, JACO_CHANGE_CHANGED };
enum jaco_change_kind {
	JACO_CHANGE_SERVICE,
	JACO_CHANGE_ROUTE,
	JACO_CHANGE_PORT,
	JACO_CHANGE_NETWORK,
	JACO_CHANGE_VOLUME,
};

/* One line of a semantic diff; fields of a changed service are the keys that differ. */
struct jaco_field_change {
	const char *key;
	const char *before, *after; /* NULL: absent.  Values of environment and files are masked */
};
struct jaco_change_item {
	enum jaco_change_kind kind;
	enum jaco_change change;
	const char *name; /* service, "domain/path", "5432/tcp", network, volume */
	bool recreates;   /* service: its containers are replaced */
	struct jaco_field_change *fields;
	size_t n_fields;
};
struct jaco_diff {
	struct jaco_change_item *items;
	size_t n;
};

/* @before NULL: everything is added.  Memory from @arena. */
struct jaco_diff jaco_manifest_diff(const struct jaco_manifest *before,
				    const struct jaco_manifest *after, struct jaco_arena *arena);

/* The hash `apply --plan` demands: of the state it was made against and of what it will become.
 * @revision is the deployment's current revision, 0 for none. */
void jaco_plan_hash(const struct jaco_manifest *after, uint64_t revision,
		    char out[static JACO_HASH_MAX + 1]);
