/* SPDX-License-Identifier: Apache-2.0
 *
 * compose_network.c - networks:, network_mode:, links: and extra_hosts: of a service. */
#include <stdlib.h>
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/model/manifest/compose.h"
#include "libjaco/model/name.h"

/* compose calls the implicit network "default", the cluster calls it "_default". */
static const char *network_name(const char *name)
{
	return strcmp(name, "default") == 0 ? JACO_DEFAULT_NETWORK : name;
}

struct attachment_form {
	struct jaco_attachment a;
	struct jaco_opt_i64 priority, gw_priority;
};

#define STATIC_ADDRESS "addresses come from JACO's own pool; this one is not used"

static const struct jaco_key_row attachment_rows[] = {
	{"aliases", JACO_HONOURED, jaco_fill_set,
	 offsetof(struct attachment_form, a) + offsetof(struct jaco_attachment, aliases), NULL},
	{"driver_opts", JACO_HONOURED, jaco_fill_pairs,
	 offsetof(struct attachment_form, a) + offsetof(struct jaco_attachment, driver_opts), NULL},
	{"gw_priority", JACO_HONOURED, jaco_fill_i64, offsetof(struct attachment_form, gw_priority),
	 NULL},
	{"interface_name", JACO_IGNORED, NULL, 0, "the engine names the interface"},
	{"ipv4_address", JACO_IGNORED, NULL, 0, STATIC_ADDRESS},
	{"ipv6_address", JACO_IGNORED, NULL, 0, STATIC_ADDRESS},
	{"link_local_ips", JACO_IGNORED, NULL, 0, STATIC_ADDRESS},
	{"mac_address", JACO_HONOURED, jaco_fill_text,
	 offsetof(struct attachment_form, a) + offsetof(struct jaco_attachment, mac_address), NULL},
	{"priority", JACO_HONOURED, jaco_fill_i64, offsetof(struct attachment_form, priority),
	 NULL},
	{NULL},
};

static int compare_attachments(const void *a, const void *b)
{
	return strcmp(((const struct jaco_attachment *)a)->network,
		      ((const struct jaco_attachment *)b)->network);
}

static bool read_attachment(struct jaco_read *read, const struct jaco_yaml_entry *entry,
			    struct jaco_attachment *out)
{
	struct attachment_form form = {0};
	const struct jaco_yaml_node *node = entry->value;
	struct jaco_err err;

	if (entry->key) {
		form.a.network = network_name(entry->key);
		form.a.pos = entry->pos;
		if (!jaco_read_is_unset(node) && jaco_read_is_map(read, node))
			jaco_read_rows(read, node, attachment_rows, &form,
				       "a network of a service");
	} else {
		if (!jaco_read_is_scalar(read, node) || jaco_read_is_unset(node))
			return false;
		form.a.network = network_name(node->text);
		form.a.pos = node->pos;
	}
	if (jaco_name_check_network(form.a.network, &err) < 0)
		return jaco_read_error(read, form.a.pos, NULL, "%s", err.text);
	form.a.priority = form.priority.value;
	form.a.gw_priority = form.gw_priority.value;
	*out = form.a;
	return true;
}

void jaco_compose_fill_networks(struct jaco_read *read, const struct jaco_yaml_node *node,
				void *out)
{
	struct compose_service *service = out;
	struct jaco_service *s = &service->s;
	size_t kept = 0;

	if (jaco_read_is_unset(node))
		return;
	if (node->kind == JACO_YAML_SCALAR && !jaco_read_is_seq(read, node))
		return;
	if (node->n > JACO_NETWORKS_PER_SERVICE) {
		jaco_read_error_code(read, JACO_LIMIT_EXCEEDED, node->pos, "use fewer networks",
				     "a service may be in at most %d networks",
				     JACO_NETWORKS_PER_SERVICE);
		return;
	}
	s->attachments = jaco_arena_alloc_n(read->arena, node->n + 1, sizeof(*s->attachments));
	for (size_t i = 0; i < node->n; i++) {
		if (node->entries[i].key)
			jaco_read_push(read, node->entries[i].key);
		else
			jaco_read_push_index(read, i);
		kept += read_attachment(read, &node->entries[i], &s->attachments[kept]);
		jaco_read_pop(read);
	}
	if (kept > 1)
		qsort(s->attachments, kept, sizeof(*s->attachments), compare_attachments);
	s->n_attachments = 0;
	for (size_t i = 0; i < kept; i++)
		if (s->n_attachments == 0 || strcmp(s->attachments[s->n_attachments - 1].network,
						    s->attachments[i].network) != 0)
			s->attachments[s->n_attachments++] = s->attachments[i];
	service->has_networks_key = s->n_attachments > 0;
}

void jaco_compose_fill_network_mode(struct jaco_read *read, const struct jaco_yaml_node *node,
				    void *out)
{
	struct compose_service *service = out;
	const char *mode = NULL;

	if (!jaco_read_text(read, node, &mode) || !mode || !*mode)
		return;
	service->network_mode_pos = node->pos;
	if (strcmp(mode, "bridge") == 0 || strcmp(mode, "default") == 0) {
		jaco_read_warn(read, node->pos,
			       "network_mode %s is the deployment's default network", mode);
		return;
	}
	service->network_mode = mode;
	if (strcmp(mode, "none") == 0) {
		service->s.network_mode = JACO_NETMODE_NONE;
	} else if (strcmp(mode, "host") == 0) {
		service->s.network_mode = JACO_NETMODE_HOST;
	} else if (jaco_str_starts(mode, "service:") && mode[8]) {
		service->s.network_mode = JACO_NETMODE_SERVICE;
		service->s.network_service = mode + 8;
	} else if (jaco_str_starts(mode, "container:")) {
		jaco_read_error(read, node->pos,
				"use \"service:<name>\" with a service of this file",
				"network_mode \"%.80s\" is not supported", mode);
	} else {
		jaco_read_error(read, node->pos,
				"use bridge, none, host or \"service:<name>\", or list the network "
				"under networks:",
				"network_mode \"%.80s\" is not supported", mode);
	}
}

void jaco_compose_fill_links(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct compose_service *service = out;
	struct jaco_strings items;

	if (!jaco_read_strings(read, node, &items))
		return;
	service->links = jaco_arena_alloc_n(read->arena, items.n + 1, sizeof(*service->links));
	for (size_t i = 0; i < items.n; i++) {
		const char *colon = strchr(items.items[i], ':');
		size_t n = colon ? (size_t)(colon - items.items[i]) : strlen(items.items[i]);

		service->links[service->n_links++] = (struct compose_link){
			.service = jaco_arena_strndup(read->arena, items.items[i], n),
			.alias = colon && colon[1] ? colon + 1 : NULL,
			.pos = node->kind == JACO_YAML_SEQ ? node->entries[i].value->pos
							   : node->pos,
		};
	}
}

static bool is_address(const char *text)
{
	uint32_t addr;

	return strcmp(text, "host-gateway") == 0 || jaco_ipv4_parse(text, &addr) ||
	       jaco_ipv6_is(text);
}

static void add_host(struct jaco_read *read, struct jaco_pairs *hosts, struct jaco_pos pos,
		     const char *name, const char *address)
{
	size_t n = strlen(address);

	if (n > 2 && address[0] == '[' && address[n - 1] == ']')
		address = jaco_arena_strndup(read->arena, address + 1, n - 2);
	if (!*name || !is_address(address)) {
		jaco_read_error(read, pos, "write \"name:10.0.0.1\" or \"name:host-gateway\"",
				"\"%.60s\" has no valid address", name);
		return;
	}
	for (size_t i = 0; i < hosts->n; i++)
		if (strcmp(hosts->items[i].key, name) == 0) {
			hosts->items[i].value = jaco_arena_printf(read->arena, "%s,%s",
								  hosts->items[i].value, address);
			return;
		}
	hosts->items[hosts->n++] = (struct jaco_pair){.key = name, .value = address};
}

static size_t count_scalars(const struct jaco_yaml_node *node)
{
	size_t n = 0;

	for (size_t i = 0; i < node->n; i++)
		n += node->entries[i].value->kind == JACO_YAML_SEQ ? node->entries[i].value->n : 1;
	return n;
}

static void add_host_entry(struct jaco_read *read, struct jaco_pairs *hosts,
			   const struct jaco_yaml_entry *entry)
{
	const struct jaco_yaml_node *node = entry->value;

	if (entry->key && node->kind == JACO_YAML_SEQ) {
		for (size_t i = 0; i < node->n; i++)
			if (jaco_read_is_scalar(read, node->entries[i].value))
				add_host(read, hosts, node->entries[i].value->pos, entry->key,
					 node->entries[i].value->text);
		return;
	}
	if (!jaco_read_is_scalar(read, node))
		return;
	if (entry->key) {
		add_host(read, hosts, node->pos, entry->key, node->text);
	} else {
		size_t n = strcspn(node->text, "=:");

		add_host(read, hosts, node->pos, jaco_arena_strndup(read->arena, node->text, n),
			 node->text[n] ? node->text + n + 1 : "");
	}
}

/* A few hundred names at most make sense; the search per name above is bounded by this. */
#define EXTRA_HOSTS_MAX 1000

void jaco_compose_fill_extra_hosts(struct jaco_read *read, const struct jaco_yaml_node *node,
				   void *out)
{
	struct compose_service *service = out;
	struct jaco_pairs hosts = {0};
	size_t n;

	if (jaco_read_is_unset(node))
		return;
	if (node->kind == JACO_YAML_SCALAR && !jaco_read_is_seq(read, node))
		return;
	n = count_scalars(node);
	if (n > EXTRA_HOSTS_MAX) {
		jaco_read_error_code(read, JACO_LIMIT_EXCEEDED, node->pos, "use a DNS server",
				     "at most %d extra hosts are read", EXTRA_HOSTS_MAX);
		return;
	}
	hosts.items = jaco_arena_alloc_n(read->arena, n + 1, sizeof(*hosts.items));
	for (size_t i = 0; i < node->n; i++) {
		if (node->entries[i].key)
			jaco_read_push(read, node->entries[i].key);
		else
			jaco_read_push_index(read, i);
		add_host_entry(read, &hosts, &node->entries[i]);
		jaco_read_pop(read);
	}
	jaco_pairs_sort(&hosts);
	service->s.extra_hosts = hosts;
}
