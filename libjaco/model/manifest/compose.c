/* SPDX-License-Identifier: Apache-2.0
 *
 * compose.c - the top level of a compose document: services, networks, volumes, configs, secrets.
 */
#include "libjaco/model/manifest/compose.h"

#include <stdlib.h>
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/model/ids.h"
#include "libjaco/model/name.h"

bool jaco_compose_check_count(struct jaco_read *read, const struct jaco_yaml_node *node, size_t max,
			      const char *what)
{
	if (node->n <= max)
		return true;
	return jaco_read_error_code(read, JACO_LIMIT_EXCEEDED, node->pos, "use fewer",
				    "%zu %s, at most %zu are allowed", node->n, what, max);
}

void jaco_compose_read_forms(struct jaco_read *read, const struct jaco_yaml_node *list,
			     struct jaco_service *service, jaco_compose_form_fn read_short,
			     jaco_compose_form_fn read_long)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct jaco_yaml_node *item = list->entries[i].value;

		jaco_read_push_index(read, i);
		if (item->kind == JACO_YAML_MAP)
			read_long(read, service, item);
		else if (jaco_read_is_scalar(read, item) && !jaco_read_is_unset(item))
			read_short(read, service, item);
		jaco_read_pop(read);
	}
}

static int compare_services(const void *a, const void *b)
{
	const struct compose_service *const *left = a;
	const struct compose_service *const *right = b;

	return strcmp((*left)->s.name, (*right)->s.name);
}

static void read_one_service(struct jaco_read *read, const struct jaco_yaml_entry *entry,
			     struct compose_doc *doc)
{
	struct compose_service *service = jaco_arena_alloc(read->arena, sizeof(*service));
	struct jaco_err err;

	service->s.name = entry->key;
	service->s.pos = entry->pos;
	if (jaco_name_check_service(entry->key, &err) < 0)
		jaco_read_error(read, entry->pos, NULL, "%s", err.text);
	if (!jaco_yaml_is_null(entry->value) && !jaco_read_is_map(read, entry->value))
		return;
	jaco_compose_read_service(read, entry->value, service);
	doc->services[doc->n_services++] = service;
}

static void fill_services(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct compose_doc *doc = out;

	if (jaco_yaml_is_null(node) || !jaco_read_is_map(read, node))
		return;
	if (node->n > JACO_SERVICES_MAX) {
		jaco_read_error_code(read, JACO_LIMIT_EXCEEDED, node->pos, "split the deployment",
				     "%zu services, at most %d fit into a cluster", node->n,
				     JACO_SERVICES_MAX);
		return;
	}
	doc->services =
		jaco_arena_alloc_n(read->arena, node->n + 1, sizeof(struct compose_service *));
	for (size_t i = 0; i < node->n; i++) {
		if (jaco_str_starts(node->entries[i].key, "x-"))
			continue;
		jaco_read_push(read, node->entries[i].key);
		read_one_service(read, &node->entries[i], doc);
		jaco_read_pop(read);
	}
	if (doc->n_services > 1)
		qsort(doc->services, doc->n_services, sizeof(struct compose_service *),
		      compare_services);
}

/* -- networks ----------------------------------------------------------------------------- */

struct network_form {
	struct compose_network net;
	const char *driver;
	struct jaco_pos driver_pos;
};

static void fill_external(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct compose_network *net = out;

	if (node->kind == JACO_YAML_MAP) {
		const struct jaco_yaml_node *name = jaco_yaml_get(node, "name");

		net->is_external = true;
		if (name)
			(void)jaco_read_text(read, name, &net->external_name);
	} else {
		jaco_fill_bool(read, node, &net->is_external);
	}
}

static void fill_driver(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct network_form *form = out;

	form->driver_pos = node->pos;
	jaco_fill_text(read, node, &form->driver);
}

#define EVERY_NETWORK "every network is a JACO network"

static const struct jaco_key_row network_rows[] = {
	{"attachable", JACO_IGNORED, NULL, 0, "attachable is ignored: " EVERY_NETWORK},
	{"driver", JACO_HONOURED, fill_driver, 0, NULL},
	{"driver_opts", JACO_IGNORED, NULL, 0, "driver_opts are ignored: " EVERY_NETWORK},
	{"enable_ipv4", JACO_IGNORED, NULL, 0, "enable_ipv4 is ignored: " EVERY_NETWORK},
	{"enable_ipv6", JACO_IGNORED, NULL, 0,
	 "enable_ipv6 is ignored: container networks are IPv4"},
	{"external", JACO_HONOURED, fill_external, offsetof(struct network_form, net), NULL},
	{"internal", JACO_HONOURED, jaco_fill_bool,
	 offsetof(struct network_form, net.n) + offsetof(struct jaco_network, is_internal), NULL},
	{"ipam", JACO_IGNORED, NULL, 0, "ipam is ignored: subnets come from JACO's pool"},
	{"labels", JACO_HONOURED, jaco_fill_pairs,
	 offsetof(struct network_form, net.n) + offsetof(struct jaco_network, labels), NULL},
	{"name", JACO_HONOURED, jaco_fill_text, offsetof(struct network_form, net.external_name),
	 NULL},
	{NULL},
};

static void check_network(struct jaco_read *read, const struct jaco_yaml_entry *entry,
			  const struct network_form *form)
{
	const struct compose_network *net = &form->net;

	if (net->is_external && !net->external_name)
		jaco_read_error(read, entry->pos,
				"remove external: true to get a network of this deployment, or add "
				"name: of another deployment's shared network",
				"external network \"%.60s\" names no shared network", entry->key);
	else if (net->is_external)
		jaco_read_warn(read, entry->pos,
			       "external network \"%.60s\" must be shared by another deployment",
			       net->external_name);
	else if (net->external_name)
		jaco_read_warn(read, entry->pos,
			       "the network's name \"%.60s\" is ignored: " EVERY_NETWORK,
			       net->external_name);
	if (!form->driver || strcmp(form->driver, "default") == 0)
		return;
	if (strcmp(form->driver, "bridge") == 0 || strcmp(form->driver, "overlay") == 0)
		jaco_read_warn(read, form->driver_pos, "driver %s is ignored: " EVERY_NETWORK,
			       form->driver);
	else
		jaco_read_error(read, form->driver_pos, "remove it, or use network_mode: host",
				"network driver \"%.40s\" is not supported", form->driver);
}

static void fill_networks(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct compose_doc *doc = out;

	if (jaco_read_is_unset(node) || !jaco_read_is_map(read, node) ||
	    !jaco_compose_check_count(read, node, COMPOSE_NETWORKS_MAX, "networks"))
		return;
	doc->networks = jaco_arena_alloc_n(read->arena, node->n + 1, sizeof(*doc->networks));
	for (size_t i = 0; i < node->n; i++) {
		const struct jaco_yaml_entry *entry = &node->entries[i];
		struct network_form form = {0};
		struct jaco_err err;

		if (jaco_str_starts(entry->key, "x-"))
			continue;
		jaco_read_push(read, entry->key);
		form.net.n.name =
			strcmp(entry->key, "default") == 0 ? JACO_DEFAULT_NETWORK : entry->key;
		form.net.n.pos = entry->pos;
		if (jaco_name_check_network(entry->key, &err) < 0)
			jaco_read_error(read, entry->pos, NULL, "%s", err.text);
		if (!jaco_read_is_unset(entry->value) && jaco_read_is_map(read, entry->value)) {
			jaco_read_rows(read, entry->value, network_rows, &form, "a network");
			check_network(read, entry, &form);
		}
		doc->networks[doc->n_networks++] = form.net;
		jaco_read_pop(read);
	}
}

/* -- volumes ------------------------------------------------------------------------------ */

struct volume_form {
	struct jaco_volume v;
	const char *literal_name;
	const char *external_name;
};

static void fill_volume_driver(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	const char *driver = NULL;

	(void)out;
	if (jaco_read_text(read, node, &driver) && driver && *driver &&
	    strcmp(driver, "local") != 0 && strcmp(driver, "default") != 0)
		jaco_read_error(read, node->pos,
				"use driver: local, with driver_opts for NFS and the like",
				"volume driver \"%.40s\" is not supported", driver);
}

static void fill_volume_external(struct jaco_read *read, const struct jaco_yaml_node *node,
				 void *out)
{
	struct volume_form *form = out;

	if (node->kind == JACO_YAML_MAP) {
		const struct jaco_yaml_node *name = jaco_yaml_get(node, "name");

		form->v.is_external = true;
		if (name)
			(void)jaco_read_text(read, name, &form->external_name);
	} else {
		jaco_fill_bool(read, node, &form->v.is_external);
	}
}

static const struct jaco_key_row volume_rows[] = {
	{"driver", JACO_HONOURED, fill_volume_driver, 0, NULL},
	{"driver_opts", JACO_HONOURED, jaco_fill_pairs, offsetof(struct volume_form, v.driver_opts),
	 NULL},
	{"external", JACO_HONOURED, fill_volume_external, 0, NULL},
	{"labels", JACO_HONOURED, jaco_fill_pairs, offsetof(struct volume_form, v.labels), NULL},
	{"name", JACO_HONOURED, jaco_fill_text, offsetof(struct volume_form, literal_name), NULL},
	{NULL},
};

static const char *volume_engine_name(struct jaco_read *read, const struct volume_form *form)
{
	char name[JACO_ENGINE_NAME_BYTES];

	if (form->external_name)
		return form->external_name;
	if (form->literal_name)
		return form->literal_name;
	if (form->v.is_external)
		return form->v.name;
	(void)jaco_engine_name_render(name, read->deployment, form->v.name);
	return jaco_arena_strdup(read->arena, name);
}

static int compare_volumes(const void *a, const void *b)
{
	return strcmp(((const struct jaco_volume *)a)->name, ((const struct jaco_volume *)b)->name);
}

static void fill_volumes(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct compose_doc *doc = out;

	if (jaco_read_is_unset(node) || !jaco_read_is_map(read, node) ||
	    !jaco_compose_check_count(read, node, COMPOSE_VOLUMES_MAX, "volumes"))
		return;
	doc->volumes = jaco_arena_alloc_n(read->arena, COMPOSE_VOLUMES_MAX, sizeof(*doc->volumes));
	for (size_t i = 0; i < node->n; i++) {
		const struct jaco_yaml_entry *entry = &node->entries[i];
		struct volume_form form = {.v = {.name = entry->key, .pos = entry->pos}};
		struct jaco_err err;

		if (jaco_str_starts(entry->key, "x-"))
			continue;
		jaco_read_push(read, entry->key);
		if (jaco_name_check_volume(entry->key, &err) < 0)
			jaco_read_error(read, entry->pos, NULL, "%s", err.text);
		if (!jaco_read_is_unset(entry->value) && jaco_read_is_map(read, entry->value))
			jaco_read_rows(read, entry->value, volume_rows, &form, "a volume");
		form.v.engine_name = volume_engine_name(read, &form);
		doc->volumes[doc->n_volumes++] = form.v;
		jaco_read_pop(read);
	}
	if (doc->n_volumes > 1)
		qsort(doc->volumes, doc->n_volumes, sizeof(*doc->volumes), compare_volumes);
}

static void fill_configs(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	jaco_compose_read_blobs(read, node, false, out);
}

static void fill_secrets(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	jaco_compose_read_blobs(read, node, true, out);
}

static void fill_include(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	(void)out;
	if (!jaco_read_is_unset(node))
		jaco_read_error(read, node->pos, "apply with the jaco command, which folds it in",
				"include must be resolved by the client");
}

static const struct jaco_key_row document_rows[] = {
	{"configs", JACO_HONOURED, fill_configs, 0, NULL},
	{"include", JACO_HONOURED, fill_include, 0, NULL},
	{"models", JACO_REFUSED, NULL, 0, "run the model as a service"},
	{"name", JACO_IGNORED, NULL, 0, "name is ignored: the deployment's name in jaco.yaml wins"},
	{"networks", JACO_HONOURED, fill_networks, 0, NULL},
	{"secrets", JACO_HONOURED, fill_secrets, 0, NULL},
	{"services", JACO_HONOURED, fill_services, 0, NULL},
	{"version", JACO_SILENT, NULL, 0, NULL},
	{"volumes", JACO_HONOURED, fill_volumes, 0, NULL},
	{NULL},
};

/* Before version 2 the services stood at the top level. */
static bool looks_like_version_1(const struct jaco_yaml_node *root)
{
	for (size_t i = 0; i < root->n; i++)
		if (jaco_yaml_get(root->entries[i].value, "image") ||
		    jaco_yaml_get(root->entries[i].value, "build"))
			return true;
	return false;
}

void jaco_compose_read(struct jaco_read *read, const struct jaco_yaml_node *root,
		       struct compose_doc *out)
{
	*out = (struct compose_doc){0};
	if (jaco_yaml_is_null(root)) {
		jaco_read_error(read, root->pos, "add services: with at least one service",
				"the compose file is empty");
		return;
	}
	if (!jaco_read_is_map(read, root))
		return;
	if (!jaco_yaml_get(root, "services") && looks_like_version_1(root)) {
		jaco_read_error_code(read, JACO_LEGACY_COMPOSE_FIELD, root->pos,
				     "indent everything under services:",
				     "services stand at the top level, as in compose format 1");
		return;
	}
	jaco_read_rows(read, root, document_rows, out, "a compose file");
	if (out->n_services == 0 && read->findings->n_errors == 0)
		jaco_read_error(read, root->pos, "add services: with at least one service",
				"the compose file has no services");
}
