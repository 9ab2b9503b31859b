/* SPDX-License-Identifier: Apache-2.0
 *
 * merge.c - one compose document over another.
 *
 * Keys are found through a hash made once per mapping, so that merging costs the size of both
 * sides, never their product. */
#include "libjaco/model/manifest/merge.h"

#include <string.h>

#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/base/strmap.h"

enum rule {
	RULE_DEEP,    /* mappings merge, lists append without repeating equal scalars */
	RULE_REPLACE, /* the later value stands */
	RULE_PAIRS,   /* list of K=V or mapping: by key */
	RULE_NAMES,   /* list of names or mapping: by name */
	RULE_TARGET,  /* list of short or long forms: by the path in the container */
	RULE_LIST,    /* one scalar or a list: append */
	RULE_HOSTS,   /* list of name:address or mapping: append what the other does not say */
	RULE_CONTEXT, /* build: a scalar is {context: scalar} */
};

static const struct {
	const char *path; /* under a service */
	enum rule rule;
} rules[] = {
	{"annotations", RULE_PAIRS},
	{"build", RULE_CONTEXT},
	{"build.args", RULE_PAIRS},
	{"build.labels", RULE_PAIRS},
	{"command", RULE_REPLACE},
	{"configs", RULE_TARGET},
	{"depends_on", RULE_NAMES},
	{"deploy.labels", RULE_PAIRS},
	{"devices", RULE_TARGET},
	{"dns", RULE_LIST},
	{"dns_opt", RULE_LIST},
	{"dns_search", RULE_LIST},
	{"entrypoint", RULE_REPLACE},
	{"env_file", RULE_LIST},
	{"environment", RULE_PAIRS},
	{"extra_hosts", RULE_HOSTS},
	{"healthcheck.test", RULE_REPLACE},
	{"labels", RULE_PAIRS},
	{"networks", RULE_NAMES},
	{"secrets", RULE_TARGET},
	{"sysctls", RULE_PAIRS},
	{"tmpfs", RULE_LIST},
	{"volumes", RULE_TARGET},
};

static enum rule rule_of(const char *path)
{
	for (size_t i = 0; i < JACO_ARRAY_SIZE(rules); i++)
		if (strcmp(path, rules[i].path) == 0)
			return rules[i].rule;
	return RULE_DEEP;
}

/* -- index -------------------------------------------------------------------------------- */

/* Where in a list or mapping a key stands: the map holds the place plus one. */
struct index {
	struct jaco_strmap map;
};

static bool index_find(const struct index *index, const char *key, size_t *out_at)
{
	uintptr_t place = (uintptr_t)jaco_strmap_find(&index->map, key);

	if (place)
		*out_at = place - 1;
	return place != 0;
}

static void index_add(struct index *index, const char *key, size_t at)
{
	jaco_strmap_put(&index->map, key, (void *)(uintptr_t)(at + 1));
}

static void index_cleanup(struct index *index)
{
	jaco_strmap_fini(&index->map);
}

/* -- tags --------------------------------------------------------------------------------- */

void jaco_merge_clean_tags(struct jaco_yaml_node *node)
{
	size_t kept = 0;

	for (size_t i = 0; i < node->n; i++) {
		if (node->entries[i].value->tag == JACO_YAML_TAG_RESET)
			continue;
		jaco_merge_clean_tags(node->entries[i].value);
		node->entries[kept++] = node->entries[i];
	}
	node->n = kept;
	node->tag = JACO_YAML_TAG_NONE;
}

bool jaco_merge_is_same(const struct jaco_yaml_node *a, const struct jaco_yaml_node *b)
{
	if (a->kind != b->kind || a->n != b->n)
		return false;
	if (a->kind == JACO_YAML_SCALAR)
		return jaco_yaml_is_null(a)
			       ? jaco_yaml_is_null(b)
			       : strcmp(a->text, b->text) == 0 && !jaco_yaml_is_null(b);
	for (size_t i = 0; i < a->n; i++)
		if (!jaco_str_eq(a->entries[i].key, b->entries[i].key) ||
		    !jaco_merge_is_same(a->entries[i].value, b->entries[i].value))
			return false;
	return true;
}

/* -- shapes ------------------------------------------------------------------------------- */

struct jaco_yaml_node *jaco_merge_pairs_map(struct jaco_arena *arena, struct jaco_yaml_node *node)
{
	struct jaco_yaml_node *map;
	struct index index = {JACO_STRMAP_INIT};

	if (node->kind != JACO_YAML_SEQ)
		return node;
	for (size_t i = 0; i < node->n; i++)
		if (node->entries[i].value->kind != JACO_YAML_SCALAR)
			return node; /* malformed: the reader reports it */
	map = jaco_yaml_new(arena, JACO_YAML_MAP, node->pos);
	map->tag = node->tag;
	for (size_t i = 0; i < node->n; i++) {
		struct jaco_yaml_node *item = node->entries[i].value;
		size_t n = strcspn(item->text, "=");
		const char *key = jaco_arena_strndup(arena, item->text, n);
		struct jaco_yaml_node *value = jaco_yaml_new_text(
			arena, item->text[n] ? item->text + n + 1 : "", item->pos);
		size_t at;

		value->is_plain = !item->text[n];
		if (index_find(&index, key, &at)) {
			map->entries[at].value = value;
			continue;
		}
		index_add(&index, key, map->n);
		jaco_yaml_append(arena, map, key, item->pos, value);
	}
	index_cleanup(&index);
	return map;
}

/* A list of names as a mapping to null. */
static struct jaco_yaml_node *names_to_map(struct jaco_arena *arena, struct jaco_yaml_node *node)
{
	struct jaco_yaml_node *map;
	struct index index = {JACO_STRMAP_INIT};

	if (node->kind != JACO_YAML_SEQ)
		return node;
	map = jaco_yaml_new(arena, JACO_YAML_MAP, node->pos);
	map->tag = node->tag;
	for (size_t i = 0; i < node->n; i++) {
		struct jaco_yaml_node *item = node->entries[i].value;
		struct jaco_yaml_node *value = jaco_yaml_new_text(arena, "", item->pos);
		size_t at;

		value->is_plain = true;
		if (item->kind == JACO_YAML_SCALAR && !index_find(&index, item->text, &at)) {
			index_add(&index, item->text, map->n);
			jaco_yaml_append(arena, map, item->text, item->pos, value);
		}
	}
	index_cleanup(&index);
	return map;
}

static struct jaco_yaml_node *scalar_to_list(struct jaco_arena *arena, struct jaco_yaml_node *node)
{
	struct jaco_yaml_node *list;

	if (node->kind != JACO_YAML_SCALAR)
		return node;
	list = jaco_yaml_new(arena, JACO_YAML_SEQ, node->pos);
	list->tag = node->tag;
	if (!jaco_yaml_is_null(node))
		jaco_yaml_append(arena, list, NULL, node->pos, node);
	return list;
}

static struct jaco_yaml_node *scalar_to_context(struct jaco_arena *arena,
						struct jaco_yaml_node *node)
{
	struct jaco_yaml_node *map;

	if (node->kind != JACO_YAML_SCALAR)
		return node;
	map = jaco_yaml_new(arena, JACO_YAML_MAP, node->pos);
	jaco_yaml_append(arena, map, "context", node->pos, node);
	return map;
}

static void append_host(struct jaco_arena *arena, struct jaco_yaml_node *list, const char *name,
			const struct jaco_yaml_node *address)
{
	struct jaco_yaml_node *item = jaco_yaml_new_text(
		arena, jaco_arena_printf(arena, "%s=%s", name, address->text), address->pos);

	jaco_yaml_append(arena, list, NULL, address->pos, item);
}

/* {name: address} and {name: [address, ...]} as a list of name=address. */
static struct jaco_yaml_node *hosts_to_list(struct jaco_arena *arena, struct jaco_yaml_node *node)
{
	struct jaco_yaml_node *list;

	if (node->kind != JACO_YAML_MAP)
		return node;
	list = jaco_yaml_new(arena, JACO_YAML_SEQ, node->pos);
	list->tag = node->tag;
	for (size_t i = 0; i < node->n; i++) {
		const struct jaco_yaml_node *value = node->entries[i].value;

		if (value->kind == JACO_YAML_SCALAR)
			append_host(arena, list, node->entries[i].key, value);
		for (size_t k = 0; value->kind == JACO_YAML_SEQ && k < value->n; k++)
			if (value->entries[k].value->kind == JACO_YAML_SCALAR)
				append_host(arena, list, node->entries[i].key,
					    value->entries[k].value);
	}
	return list;
}

/* "name:address" and "name=address" are the same. */
static const char *host_of(struct jaco_arena *arena, const struct jaco_yaml_node *item)
{
	size_t n;

	if (item->kind != JACO_YAML_SCALAR)
		return NULL;
	n = strcspn(item->text, "=:");
	return item->text[n]
		       ? jaco_arena_printf(arena, "%.*s=%s", (int)n, item->text, item->text + n + 1)
		       : item->text;
}

/* What makes two elements of volumes, devices, configs or secrets the same one. */
static const char *target_of(struct jaco_arena *arena, const struct jaco_yaml_node *item)
{
	const struct jaco_yaml_node *target;
	const char *colon;
	const char *end;

	if (item->kind == JACO_YAML_MAP) {
		target = jaco_yaml_get(item, "target");
		if (!target)
			target = jaco_yaml_get(item, "source");
		return target && target->kind == JACO_YAML_SCALAR ? target->text : NULL;
	}
	if (item->kind != JACO_YAML_SCALAR)
		return NULL;
	colon = strchr(item->text, ':');
	if (!colon)
		return item->text;
	end = strchr(colon + 1, ':');
	return jaco_arena_strndup(arena, colon + 1, end ? (size_t)(end - colon - 1) : SIZE_MAX / 2);
}

/* -- merging ------------------------------------------------------------------------------ */

static struct jaco_yaml_node *merge(struct jaco_arena *arena, struct jaco_yaml_node *base,
				    struct jaco_yaml_node *over, const char *path);

static struct jaco_yaml_node *merge_maps(struct jaco_arena *arena, struct jaco_yaml_node *base,
					 struct jaco_yaml_node *over, const char *path)
{
	struct index index = {JACO_STRMAP_INIT};
	bool *drop = jaco_alloc_n(base->n + over->n + 1, sizeof(bool));
	size_t kept = 0;

	for (size_t i = 0; i < base->n; i++)
		index_add(&index, base->entries[i].key, i);
	for (size_t i = 0; i < over->n; i++) {
		struct jaco_yaml_entry *entry = &over->entries[i];
		char *inner = *path ? jaco_arena_printf(arena, "%s.%s", path, entry->key)
				    : jaco_arena_strdup(arena, entry->key);
		size_t at;

		if (!index_find(&index, entry->key, &at)) {
			if (entry->value->tag == JACO_YAML_TAG_RESET)
				continue;
			index_add(&index, entry->key, base->n);
			jaco_yaml_append(arena, base, entry->key, entry->pos, entry->value);
			continue;
		}
		if (entry->value->tag == JACO_YAML_TAG_RESET) {
			drop[at] = true;
			continue;
		}
		drop[at] = false;
		base->entries[at].value =
			merge(arena, base->entries[at].value, entry->value, inner);
		base->entries[at].pos = entry->pos;
	}
	index_cleanup(&index);
	for (size_t i = 0; i < base->n; i++)
		if (!drop[i])
			base->entries[kept++] = base->entries[i];
	base->n = kept;
	jaco_free(drop);
	return base;
}

static const char *identity(struct jaco_arena *arena, const struct jaco_yaml_node *item,
			    enum rule rule)
{
	if (rule == RULE_TARGET)
		return target_of(arena, item);
	if (rule == RULE_HOSTS)
		return host_of(arena, item);
	return item->kind == JACO_YAML_SCALAR ? item->text : NULL;
}

static struct jaco_yaml_node *merge_lists(struct jaco_arena *arena, struct jaco_yaml_node *base,
					  struct jaco_yaml_node *over, enum rule rule)
{
	struct index index = {JACO_STRMAP_INIT};

	for (size_t i = 0; i < base->n; i++) {
		const char *key = identity(arena, base->entries[i].value, rule);
		size_t at;

		if (key && !index_find(&index, key, &at))
			index_add(&index, key, i);
	}
	for (size_t i = 0; i < over->n; i++) {
		struct jaco_yaml_node *item = over->entries[i].value;
		const char *key = identity(arena, item, rule);
		size_t at;

		if (key && index_find(&index, key, &at)) {
			if (rule == RULE_TARGET)
				base->entries[at].value = item;
			continue;
		}
		if (key)
			index_add(&index, key, base->n);
		jaco_yaml_append(arena, base, NULL, item->pos, item);
	}
	index_cleanup(&index);
	return base;
}

/* logging.options belong to their driver. */
static bool other_driver(const struct jaco_yaml_node *base, const struct jaco_yaml_node *over)
{
	const struct jaco_yaml_node *before = jaco_yaml_get(base, "driver");
	const struct jaco_yaml_node *after = jaco_yaml_get(over, "driver");

	return before && after && before->kind == JACO_YAML_SCALAR &&
	       after->kind == JACO_YAML_SCALAR && strcmp(before->text, after->text) != 0;
}

static struct jaco_yaml_node *shape(struct jaco_arena *arena, struct jaco_yaml_node *node,
				    enum rule rule)
{
	switch (rule) {
	case RULE_PAIRS:
		return jaco_merge_pairs_map(arena, node);
	case RULE_NAMES:
		return names_to_map(arena, node);
	case RULE_LIST:
		return scalar_to_list(arena, node);
	case RULE_HOSTS:
		return hosts_to_list(arena, node);
	case RULE_CONTEXT:
		return scalar_to_context(arena, node);
	case RULE_DEEP:
	case RULE_REPLACE:
	case RULE_TARGET:
		return node;
	}
	return node;
}

static struct jaco_yaml_node *merge(struct jaco_arena *arena, struct jaco_yaml_node *base,
				    struct jaco_yaml_node *over, const char *path)
{
	enum rule rule = rule_of(path);

	if (over->tag == JACO_YAML_TAG_OVERRIDE || rule == RULE_REPLACE ||
	    (strcmp(path, "logging") == 0 && other_driver(base, over))) {
		over->tag = JACO_YAML_TAG_NONE;
		return over;
	}
	if (jaco_yaml_is_null(over))
		return base;
	if (jaco_yaml_is_null(base))
		return over;
	base = shape(arena, base, rule);
	over = shape(arena, over, rule);
	if (base->kind != over->kind || base->kind == JACO_YAML_SCALAR)
		return over;
	if (base->kind == JACO_YAML_MAP)
		return merge_maps(arena, base, over, path);
	return merge_lists(arena, base, over, rule);
}

struct jaco_yaml_node *jaco_merge_services(struct jaco_arena *arena, struct jaco_yaml_node *base,
					   struct jaco_yaml_node *over)
{
	if (base->kind != JACO_YAML_MAP || over->kind != JACO_YAML_MAP)
		return jaco_yaml_is_null(over) ? base : over;
	if (over->tag == JACO_YAML_TAG_OVERRIDE)
		return over;
	return merge_maps(arena, base, over, "");
}

/* services: each by the rules of a service; everything else generically, under a path that no rule
 * of a service has. */
static struct jaco_yaml_node *merge_named(struct jaco_arena *arena, struct jaco_yaml_node *base,
					  struct jaco_yaml_node *over)
{
	struct index index = {JACO_STRMAP_INIT};
	size_t n_before;

	if (base->kind != JACO_YAML_MAP || over->kind != JACO_YAML_MAP)
		return jaco_yaml_is_null(over) ? base : over;
	n_before = base->n;
	for (size_t i = 0; i < n_before; i++)
		index_add(&index, base->entries[i].key, i);
	for (size_t i = 0; i < over->n; i++) {
		struct jaco_yaml_entry *entry = &over->entries[i];
		size_t at;

		if (index_find(&index, entry->key, &at)) {
			if (entry->value->tag == JACO_YAML_TAG_RESET)
				base->entries[at].value = entry->value;
			else
				base->entries[at].value = jaco_merge_services(
					arena, base->entries[at].value, entry->value);
		} else {
			jaco_yaml_append(arena, base, entry->key, entry->pos, entry->value);
		}
	}
	index_cleanup(&index);
	return base;
}

struct jaco_yaml_node *jaco_merge_documents(struct jaco_arena *arena, struct jaco_yaml_node *base,
					    struct jaco_yaml_node *over)
{
	if (jaco_yaml_is_null(base))
		return over;
	if (base->kind != JACO_YAML_MAP || over->kind != JACO_YAML_MAP)
		return jaco_yaml_is_null(over) ? base : over;
	for (size_t i = 0; i < over->n; i++) {
		struct jaco_yaml_entry *entry = &over->entries[i];
		struct jaco_yaml_entry *mine = jaco_yaml_entry(base, entry->key);

		if (!mine)
			jaco_yaml_append(arena, base, entry->key, entry->pos, entry->value);
		else if (strcmp(entry->key, "services") == 0)
			mine->value = merge_named(arena, mine->value, entry->value);
		else
			mine->value = merge(arena, mine->value, entry->value,
					    jaco_arena_printf(arena, "/%s", entry->key));
	}
	jaco_merge_clean_tags(base);
	return base;
}
