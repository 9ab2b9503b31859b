/* SPDX-License-Identifier: Apache-2.0
 *
 * compose.h - the compose document, typed but not yet resolved: what one file says before the
 * overlay and the other services are looked at.
 *
 * Internal to the manifest readers.  Each compose_*.c fills the keys of one subject; the table of
 * service keys in compose_service.c is the list of everything that is understood. */
#pragma once

#include "libjaco/model/manifest/manifest.h"
#include "libjaco/model/manifest/read.h"

struct compose_link {
	const char *service;
	const char *alias; /* NULL: none */
	struct jaco_pos pos;
};

struct compose_use { /* a network, config or secret named by a service */
	const char *name;
	struct jaco_pos pos;
};

struct compose_service {
	struct jaco_service s;
	const struct jaco_yaml_node *map; /* it was read from: where its keys stand */
	bool has_networks_key;
	const char *container_name;
	struct compose_link *links;
	size_t n_links;
	const char *network_mode;
	struct jaco_pos network_mode_pos;
	struct jaco_pos dns_pos;
	struct jaco_pos image_pos;
	struct jaco_resources deploy_resources; /* wins over s.resources */
	struct jaco_opt_i64 scale, deploy_replicas;
	struct jaco_pos replicas_pos;
	bool is_global;
	struct jaco_pos mode_pos;
	bool has_update_config;
	bool has_deploy_restart;
	struct jaco_restart deploy_restart;
	struct jaco_strings profiles;
};

struct compose_network {
	struct jaco_network n;
	bool is_external;
	const char *external_name;
};

/* Top-level config or secret. */
struct compose_blob {
	const char *name;
	bool is_secret;
	bool is_external;
	const char *engine_name;
	const char *host_path;
	const char *environment; /* taken from a variable: folded by the client */
	const uint8_t *content;
	size_t content_bytes;
	struct jaco_pos pos;
};

/* Bounds that no real file comes near; searches inside them may be linear. */
#define COMPOSE_VOLUMES_MAX  1000
#define COMPOSE_NETWORKS_MAX 500
#define COMPOSE_BLOBS_MAX    1000
#define COMPOSE_MOUNTS_MAX   1000 /* per service */

struct compose_doc {
	struct compose_service **services;
	size_t n_services;
	struct compose_network *networks;
	size_t n_networks;
	struct jaco_volume *volumes; /* sorted, room for COMPOSE_VOLUMES_MAX once any exists */
	size_t n_volumes;
	struct compose_blob *blobs;
	size_t n_blobs;
};

/* The whole document.  Findings tell what is wrong; @out is filled as far as possible. */
void jaco_compose_read(struct jaco_read *read, const struct jaco_yaml_node *root,
		       struct compose_doc *out);

/* One service; every key by its row. */
void jaco_compose_read_service(struct jaco_read *read, const struct jaco_yaml_node *map,
			       struct compose_service *out);

/* The rows themselves, for the table in jaco.yaml(5) and its test. */
const struct jaco_key_row *jaco_compose_service_rows(void);

/* Fillers by subject; @out is the compose_service. */
void jaco_compose_fill_ports(struct jaco_read *read, const struct jaco_yaml_node *node, void *out);
void jaco_compose_fill_expose(struct jaco_read *read, const struct jaco_yaml_node *node, void *out);
void jaco_compose_fill_volumes(struct jaco_read *read, const struct jaco_yaml_node *node,
			       void *out);
void jaco_compose_fill_tmpfs(struct jaco_read *read, const struct jaco_yaml_node *node, void *out);
void jaco_compose_fill_devices(struct jaco_read *read, const struct jaco_yaml_node *node,
			       void *out);
void jaco_compose_fill_configs(struct jaco_read *read, const struct jaco_yaml_node *node,
			       void *out);
void jaco_compose_fill_secrets(struct jaco_read *read, const struct jaco_yaml_node *node,
			       void *out);
void jaco_compose_fill_networks(struct jaco_read *read, const struct jaco_yaml_node *node,
				void *out);
void jaco_compose_fill_network_mode(struct jaco_read *read, const struct jaco_yaml_node *node,
				    void *out);
void jaco_compose_fill_links(struct jaco_read *read, const struct jaco_yaml_node *node, void *out);
void jaco_compose_fill_dns(struct jaco_read *read, const struct jaco_yaml_node *node, void *out);
void jaco_compose_fill_extra_hosts(struct jaco_read *read, const struct jaco_yaml_node *node,
				   void *out);
void jaco_compose_fill_depends_on(struct jaco_read *read, const struct jaco_yaml_node *node,
				  void *out);
void jaco_compose_fill_healthcheck(struct jaco_read *read, const struct jaco_yaml_node *node,
				   void *out);
void jaco_compose_fill_restart(struct jaco_read *read, const struct jaco_yaml_node *node,
			       void *out);
void jaco_compose_fill_deploy(struct jaco_read *read, const struct jaco_yaml_node *node, void *out);
void jaco_compose_fill_gpus(struct jaco_read *read, const struct jaco_yaml_node *node, void *out);
void jaco_compose_fill_blkio(struct jaco_read *read, const struct jaco_yaml_node *node, void *out);
void jaco_compose_fill_ulimits(struct jaco_read *read, const struct jaco_yaml_node *node,
			       void *out);
void jaco_compose_fill_cpus(struct jaco_read *read, const struct jaco_yaml_node *node, void *out);

/* A list of "node.labels.disk == ssd"; what says nothing here (node.role) warns and is left out. */
void jaco_compose_read_constraints(struct jaco_read *read, const struct jaco_yaml_node *list,
				   struct jaco_constraint **out, size_t *out_n);

/* Top-level configs and secrets into @doc. */
void jaco_compose_read_blobs(struct jaco_read *read, const struct jaco_yaml_node *map,
			     bool is_secret, struct compose_doc *doc);

/* Walk a list whose elements are written short, as a scalar, or long, as a mapping. */
typedef void (*jaco_compose_form_fn)(struct jaco_read *read, struct jaco_service *service,
				     const struct jaco_yaml_node *node);
void jaco_compose_read_forms(struct jaco_read *read, const struct jaco_yaml_node *list,
			     struct jaco_service *service, jaco_compose_form_fn read_short,
			     jaco_compose_form_fn read_long);

/* Report LIMIT_EXCEEDED and return false when @node has more than @max elements. */
bool jaco_compose_check_count(struct jaco_read *read, const struct jaco_yaml_node *node, size_t max,
			      const char *what);

/* Lexical cleaning of an absolute path: no "//", "." or "..", no trailing slash. */
const char *jaco_compose_clean_path(struct jaco_arena *arena, const char *path);
