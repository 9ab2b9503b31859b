/* SPDX-License-Identifier: Apache-2.0
 *
 * yaml.c - libyaml events into a bounded tree with positions.
 *
 * The builder keeps an explicit stack of open collections, so the depth of the input costs no C
 * stack.  An alias copies its anchor's finished subtree and the copy is charged against the node
 * bound: an alias bomb ends at JACO_YAML_NODES_MAX.  Merge keys are folded when their mapping
 * closes, by one sort over own and merged keys, never by a search per key. */
#include "libjaco/model/manifest/yaml.h"

#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/limits.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/base/strmap.h"

struct anchor {
	const char *name;
	struct jaco_yaml_node *node;
	bool is_open; /* its collection has not ended: an alias to it would be a loop */
	size_t n_nodes;
};

struct level {
	struct jaco_yaml_node *node;
	struct anchor *anchor;
	const char *key; /* mapping: key read, value awaited */
	struct jaco_pos key_pos;
	bool has_merge; /* a "<<" key was seen */
	size_t first_count;
};

struct builder {
	const char *name;
	struct jaco_arena *arena;
	struct jaco_findings *findings;
	struct jaco_strmap anchors;
	struct level levels[JACO_YAML_DEPTH_MAX + 1];
	size_t depth;
	size_t n_nodes;
	struct jaco_yaml_node *root;
	bool is_failed;
};

bool jaco_yaml_is_null(const struct jaco_yaml_node *node)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};

	if (!node)
		return true;
	if (node->kind != JACO_YAML_SCALAR || !node->is_plain || node->is_interpolated)
		return false;
	for (size_t i = 0; i < JACO_ARRAY_SIZE(words); i++)
		if (strcmp(node->text, words[i]) == 0)
			return true;
	return false;
}

struct jaco_yaml_entry *jaco_yaml_entry(const struct jaco_yaml_node *map, const char *key)
{
	if (!map || map->kind != JACO_YAML_MAP)
		return NULL;
	for (size_t i = 0; i < map->n; i++)
		if (strcmp(map->entries[i].key, key) == 0)
			return &map->entries[i];
	return NULL;
}

struct jaco_yaml_node *jaco_yaml_get(const struct jaco_yaml_node *map, const char *key)
{
	struct jaco_yaml_entry *entry = jaco_yaml_entry(map, key);

	return entry ? entry->value : NULL;
}

struct jaco_yaml_node *jaco_yaml_new(struct jaco_arena *arena, enum jaco_yaml_kind kind,
				     struct jaco_pos pos)
{
	struct jaco_yaml_node *node = jaco_arena_alloc(arena, sizeof(*node));

	node->kind = kind;
	node->pos = pos;
	node->text = "";
	return node;
}

struct jaco_yaml_node *jaco_yaml_new_text(struct jaco_arena *arena, const char *text,
					  struct jaco_pos pos)
{
	struct jaco_yaml_node *node = jaco_yaml_new(arena, JACO_YAML_SCALAR, pos);

	node->text = text;
	return node;
}

void jaco_yaml_append(struct jaco_arena *arena, struct jaco_yaml_node *parent, const char *key,
		      struct jaco_pos key_pos, struct jaco_yaml_node *value)
{
	parent->entries = jaco_arena_grow(arena, parent->entries, &parent->cap, parent->n + 1,
					  sizeof(*parent->entries));
	parent->entries[parent->n++] =
		(struct jaco_yaml_entry){.key = key, .pos = key_pos, .value = value};
}

void jaco_yaml_set(struct jaco_arena *arena, struct jaco_yaml_node *map, const char *key,
		   struct jaco_pos key_pos, struct jaco_yaml_node *value)
{
	struct jaco_yaml_entry *entry = jaco_yaml_entry(map, key);

	if (entry)
		entry->value = value;
	else
		jaco_yaml_append(arena, map, key, key_pos, value);
}

bool jaco_yaml_remove(struct jaco_yaml_node *map, const char *key)
{
	struct jaco_yaml_entry *entry = jaco_yaml_entry(map, key);
	size_t at;

	if (!entry)
		return false;
	at = (size_t)(entry - map->entries);
	memmove(entry, entry + 1, (map->n - at - 1) * sizeof(*entry));
	map->n--;
	return true;
}

/* Recursion is bounded by JACO_YAML_DEPTH_MAX: trees come from the parser only. */
struct jaco_yaml_node *jaco_yaml_copy(struct jaco_arena *arena, const struct jaco_yaml_node *node)
{
	struct jaco_yaml_node *copy = jaco_arena_memdup(arena, node, sizeof(*node));

	copy->cap = node->n;
	copy->entries = node->n ? jaco_arena_alloc_n(arena, node->n, sizeof(*node->entries)) : NULL;
	for (size_t i = 0; i < node->n; i++) {
		copy->entries[i] = node->entries[i];
		copy->entries[i].value = jaco_yaml_copy(arena, node->entries[i].value);
	}
	return copy;
}

size_t jaco_yaml_count(const struct jaco_yaml_node *node)
{
	size_t count = 1;

	for (size_t i = 0; i < node->n; i++)
		count += jaco_yaml_count(node->entries[i].value);
	return count;
}

static size_t tree_depth(const struct jaco_yaml_node *node)
{
	size_t deepest = 0;

	for (size_t i = 0; i < node->n; i++)
		deepest = JACO_MAX(deepest, tree_depth(node->entries[i].value));
	return deepest + 1;
}

static struct jaco_pos place(const struct builder *builder, yaml_mark_t mark)
{
	return (struct jaco_pos){.file = builder->name,
				 .line = (uint32_t)mark.line + 1,
				 .column = (uint32_t)mark.column + 1};
}

static void fail(struct builder *builder, struct jaco_pos pos, const char *remedy, const char *what)
{
	jaco_findings_error(builder->findings, JACO_PARSE_FAILED, pos, "", remedy, "%s", what);
	builder->is_failed = true;
}

/* -- mappings: duplicates and merge keys -------------------------------------------------- */

struct slot {
	const char *key;
	size_t order;
};

static int compare_slots(const void *a, const void *b)
{
	const struct slot *left = a;
	const struct slot *right = b;
	int by_key = strcmp(left->key, right->key);

	if (by_key != 0)
		return by_key;
	return left->order < right->order ? -1 : 1;
}

/* Keep the first of equal keys; those at or beyond @n_own are merged ones and go silently, an own
 * key that repeats is reported. */
static void drop_repeats(struct builder *builder, struct jaco_yaml_node *map, size_t n_own)
{
	struct slot *slots;
	bool *drop;
	size_t kept = 0;

	if (map->n < 2)
		return;
	slots = jaco_alloc_n(map->n, sizeof(*slots));
	drop = jaco_alloc_n(map->n, sizeof(*drop));
	for (size_t i = 0; i < map->n; i++)
		slots[i] = (struct slot){map->entries[i].key, i};
	qsort(slots, map->n, sizeof(*slots), compare_slots);
	for (size_t i = 1; i < map->n; i++) {
		struct jaco_yaml_entry *repeat = &map->entries[slots[i].order];

		if (strcmp(slots[i].key, slots[i - 1].key) != 0)
			continue;
		drop[slots[i].order] = true;
		if (slots[i].order < n_own) {
			jaco_findings_error(builder->findings, JACO_PARSE_FAILED, repeat->pos, "",
					    "keep one of them",
					    "key \"%.80s\" appears twice in one mapping",
					    repeat->key);
			builder->is_failed = true;
		}
	}
	for (size_t i = 0; i < map->n; i++)
		if (!drop[i])
			map->entries[kept++] = map->entries[i];
	map->n = kept;
	jaco_free(slots);
	jaco_free(drop);
}

static void append_merged(struct builder *builder, struct jaco_yaml_node *map,
			  const struct jaco_yaml_entry *merge, const struct jaco_yaml_node *from)
{
	if (from->kind == JACO_YAML_MAP) {
		for (size_t i = 0; i < from->n; i++)
			jaco_yaml_append(builder->arena, map, from->entries[i].key,
					 from->entries[i].pos, from->entries[i].value);
	} else if (!jaco_yaml_is_null(from)) {
		fail(builder, merge->pos, "give it an alias such as *defaults, or a list of them",
		     "the merge key << needs a mapping or a list of mappings");
	}
}

/* YAML merge key type, https://yaml.org/type/merge.html: own keys win, then earlier maps. */
static void fold_merge_keys(struct builder *builder, struct jaco_yaml_node *map)
{
	struct jaco_yaml_node own = *map;
	size_t n_own = 0;

	map->entries = NULL;
	map->n = map->cap = 0;
	for (size_t i = 0; i < own.n; i++)
		if (strcmp(own.entries[i].key, "<<") != 0)
			jaco_yaml_append(builder->arena, map, own.entries[i].key,
					 own.entries[i].pos, own.entries[i].value);
	n_own = map->n;
	for (size_t i = 0; i < own.n; i++) {
		const struct jaco_yaml_entry *merge = &own.entries[i];

		if (strcmp(merge->key, "<<") != 0)
			continue;
		if (merge->value->kind != JACO_YAML_SEQ) {
			append_merged(builder, map, merge, merge->value);
			continue;
		}
		for (size_t j = 0; j < merge->value->n; j++)
			append_merged(builder, map, merge, merge->value->entries[j].value);
	}
	drop_repeats(builder, map, n_own);
}

/* -- events ------------------------------------------------------------------------------- */

static bool charge(struct builder *builder, size_t n, struct jaco_pos pos)
{
	builder->n_nodes += n;
	if (builder->n_nodes <= JACO_YAML_NODES_MAX)
		return true;
	fail(builder, pos, "split the document, or use fewer aliases",
	     "the document has more than 100000 nodes (aliases counted where they are used)");
	return false;
}

static struct anchor *find_anchor(struct builder *builder, const char *name)
{
	return jaco_strmap_find(&builder->anchors, name);
}

static struct anchor *set_anchor(struct builder *builder, const yaml_char_t *name,
				 struct jaco_yaml_node *node, bool is_open)
{
	struct anchor *anchor;

	if (!name)
		return NULL;
	anchor = find_anchor(builder, (const char *)name);
	if (!anchor) {
		anchor = jaco_arena_alloc(builder->arena, sizeof(*anchor));
		anchor->name = jaco_arena_strdup(builder->arena, (const char *)name);
		jaco_strmap_put(&builder->anchors, anchor->name, anchor);
	}
	anchor->node = node;
	anchor->is_open = is_open;
	anchor->n_nodes = 1;
	return anchor;
}

static enum jaco_yaml_tag read_tag(struct builder *builder, const yaml_char_t *tag,
				   struct jaco_pos pos)
{
	const char *text = (const char *)tag;

	if (!text || strcmp(text, "!") == 0 || jaco_str_starts(text, "tag:yaml.org,2002:"))
		return JACO_YAML_TAG_NONE;
	if (strcmp(text, "!reset") == 0)
		return JACO_YAML_TAG_RESET;
	if (strcmp(text, "!override") == 0)
		return JACO_YAML_TAG_OVERRIDE;
	jaco_findings_error(builder->findings, JACO_PARSE_FAILED, pos, "", "remove it",
			    "tag \"%.60s\" is not known here (only !reset and !override are)",
			    text);
	builder->is_failed = true;
	return JACO_YAML_TAG_NONE;
}

static void take_key(struct level *level, const char *text, bool is_plain, struct jaco_pos pos)
{
	level->key = text;
	level->key_pos = pos;
	if (is_plain && strcmp(text, "<<") == 0)
		level->has_merge = true;
}

/* Hang a finished or just opened node under the innermost open collection. */
static void attach(struct builder *builder, struct jaco_yaml_node *node)
{
	struct level *level;

	if (builder->depth == 0) {
		builder->root = node;
		return;
	}
	level = &builder->levels[builder->depth - 1];
	if (level->node->kind == JACO_YAML_SEQ) {
		jaco_yaml_append(builder->arena, level->node, NULL, node->pos, node);
		return;
	}
	if (level->key) {
		jaco_yaml_append(builder->arena, level->node, level->key, level->key_pos, node);
		level->key = NULL;
		return;
	}
	if (node->kind != JACO_YAML_SCALAR) {
		fail(builder, node->pos, "use a plain word as key",
		     "a key must be a scalar, not a list or a mapping");
		return;
	}
	take_key(level, node->text, node->is_plain, node->pos);
}

static bool is_key_awaited(const struct builder *builder)
{
	const struct level *level =
		builder->depth ? &builder->levels[builder->depth - 1] : NULL;

	return level && level->node->kind == JACO_YAML_MAP && !level->key;
}

static void on_scalar(struct builder *builder, const yaml_event_t *event)
{
	struct jaco_pos pos = place(builder, event->start_mark);
	const char *text = (const char *)event->data.scalar.value;
	const char *tag = (const char *)event->data.scalar.tag;
	bool is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
			!(tag && strcmp(tag, YAML_STR_TAG) == 0);
	struct jaco_yaml_node *node;

	if (!charge(builder, 1, pos))
		return;
	if (memchr(text, '\0', event->data.scalar.length)) {
		fail(builder, pos, "remove the \\0", "a text may not hold a NUL character");
		return;
	}
	text = jaco_arena_memdup(builder->arena, text, event->data.scalar.length + 1);
	/* half of all scalars are keys, which need no node unless an alias may want one */
	if (is_key_awaited(builder) && !event->data.scalar.anchor) {
		(void)read_tag(builder, event->data.scalar.tag, pos);
		take_key(&builder->levels[builder->depth - 1], text, is_plain, pos);
		return;
	}
	node = jaco_yaml_new_text(builder->arena, text, pos);
	node->is_plain = is_plain;
	node->tag = read_tag(builder, event->data.scalar.tag, pos);
	(void)set_anchor(builder, event->data.scalar.anchor, node, false);
	attach(builder, node);
}

static void on_alias(struct builder *builder, const yaml_event_t *event)
{
	const char *name = (const char *)event->data.alias.anchor;
	struct jaco_pos pos = place(builder, event->start_mark);
	struct anchor *anchor = find_anchor(builder, name);
	struct jaco_yaml_node *copy;

	if (!anchor || anchor->is_open) {
		jaco_findings_error(builder->findings, JACO_PARSE_FAILED, pos, "",
				    anchor ? "an alias may not stand inside its own anchor"
					   : "define it with & before its first use",
				    "alias *%.60s %s", name,
				    anchor ? "refers to itself" : "has no anchor");
		builder->is_failed = true;
		return;
	}
	if (!charge(builder, anchor->n_nodes, pos))
		return;
	if (builder->depth + tree_depth(anchor->node) > JACO_YAML_DEPTH_MAX) {
		fail(builder, pos, "flatten it", "the document is nested deeper than 64 levels");
		return;
	}
	copy = jaco_yaml_copy(builder->arena, anchor->node);
	attach(builder, copy);
}

static void on_open(struct builder *builder, enum jaco_yaml_kind kind, const yaml_char_t *anchor,
		    const yaml_char_t *tag, yaml_mark_t mark)
{
	struct jaco_pos pos = place(builder, mark);
	struct jaco_yaml_node *node = jaco_yaml_new(builder->arena, kind, pos);
	struct level *level;

	if (!charge(builder, 1, pos))
		return;
	if (builder->depth >= JACO_YAML_DEPTH_MAX) {
		fail(builder, pos, "flatten it", "the document is nested deeper than 64 levels");
		return;
	}
	node->tag = read_tag(builder, tag, pos);
	attach(builder, node);
	if (builder->is_failed)
		return;
	level = &builder->levels[builder->depth++];
	*level = (struct level){.node = node, .first_count = builder->n_nodes - 1};
	level->anchor = set_anchor(builder, anchor, node, true);
}

static void on_close(struct builder *builder)
{
	struct level *level = &builder->levels[--builder->depth];

	if (level->node->kind == JACO_YAML_MAP) {
		if (level->has_merge)
			fold_merge_keys(builder, level->node);
		else
			drop_repeats(builder, level->node, level->node->n);
	}
	if (level->anchor && level->anchor->node == level->node) {
		level->anchor->is_open = false;
		level->anchor->n_nodes = builder->n_nodes - level->first_count;
	}
}

/* True when the document has ended. */
static bool on_event(struct builder *builder, const yaml_event_t *event, unsigned *n_documents)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (++*n_documents > 1)
			fail(builder, place(builder, event->start_mark),
			     "keep one document and remove the line ---",
			     "the file holds several documents");
		return false;
	case YAML_SCALAR_EVENT:
		on_scalar(builder, event);
		return false;
	case YAML_ALIAS_EVENT:
		on_alias(builder, event);
		return false;
	case YAML_SEQUENCE_START_EVENT:
		on_open(builder, JACO_YAML_SEQ, event->data.sequence_start.anchor,
			event->data.sequence_start.tag, event->start_mark);
		return false;
	case YAML_MAPPING_START_EVENT:
		on_open(builder, JACO_YAML_MAP, event->data.mapping_start.anchor,
			event->data.mapping_start.tag, event->start_mark);
		return false;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		on_close(builder);
		return false;
	case YAML_STREAM_END_EVENT:
		return true;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return false;
	}
	return false;
}

/* Line and column of a byte, for complaints of libyaml's reader, which knows only offsets. */
static struct jaco_pos place_of_offset(const struct builder *builder, const char *data, size_t n,
				       size_t offset)
{
	struct jaco_pos pos = {.file = builder->name, .line = 1, .column = 1};

	for (size_t i = 0; i < offset && i < n; i++) {
		if (data[i] == '\n') {
			pos.line++;
			pos.column = 1;
		} else if (((unsigned char)data[i] & 0xc0) != 0x80) {
			pos.column++;
		}
	}
	return pos;
}

static void report_syntax(struct builder *builder, const yaml_parser_t *parser, const char *data,
			  size_t n)
{
	const char *problem = parser->problem ? parser->problem : "malformed";
	struct jaco_pos pos = place(builder, parser->problem_mark);

	if (parser->error == YAML_READER_ERROR)
		pos = place_of_offset(builder, data, n, parser->problem_offset);
	builder->is_failed = true;
	jaco_findings_error(builder->findings, JACO_PARSE_FAILED, pos, "", NULL,
			    "not well-formed YAML: %s%s%s", problem, parser->context ? " " : "",
			    parser->context ? parser->context : "");
}

/* libyaml compares each %TAG with all before it: sixty thousand of them cost seconds.  Nobody
 * writes any.  Behind a line end of any kind that YAML 1.1 knows: LF, CR, and the last bytes of
 * NEL, LS, PS. */
#define TAGS_MAX 32

static bool has_few_tags(struct builder *builder, const char *data, size_t n)
{
	static const char ends[] = "\n\r\x85\xa8\xa9";
	const char *at = data;
	unsigned n_tags = 0;

	while ((at = memmem(at, n - (size_t)(at - data), "%TAG", 4)) != NULL) {
		if ((at == data || memchr(ends, at[-1], sizeof(ends) - 1)) && ++n_tags > TAGS_MAX) {
			fail(builder, place_of_offset(builder, data, n, (size_t)(at - data)),
			     "remove them", "the document has too many %TAG directives");
			return false;
		}
		at += 4;
	}
	return true;
}

static void run_parser(struct builder *builder, const char *data, size_t n)
{
	yaml_parser_t parser;
	unsigned n_documents = 0;
	bool is_done = false;

	JACO_ASSERT(yaml_parser_initialize(&parser));
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)data, n);
	while (!is_done && !builder->is_failed) {
		yaml_event_t event;

		if (!yaml_parser_parse(&parser, &event)) {
			report_syntax(builder, &parser, data, n);
			break;
		}
		is_done = on_event(builder, &event, &n_documents);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
}

struct jaco_yaml_node *jaco_yaml_parse(const char *name, const char *data, size_t n,
				       struct jaco_arena *arena, struct jaco_findings *findings)
{
	struct builder builder = {.name = name, .arena = arena, .findings = findings};
	struct jaco_pos start = {.file = name, .line = 1, .column = 1};

	if (n > JACO_YAML_BYTES_MAX) {
		jaco_findings_error(findings, JACO_PARSE_FAILED, start, "", "split it",
				    "the file has %zu bytes, at most %d are read", n,
				    JACO_YAML_BYTES_MAX);
		return NULL;
	}
	if (n >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
		data += 3;
		n -= 3;
	}
	if (has_few_tags(&builder, data, n))
		run_parser(&builder, data, n);
	jaco_strmap_fini(&builder.anchors);
	if (builder.is_failed)
		return NULL;
	if (!builder.root) {
		builder.root = jaco_yaml_new(arena, JACO_YAML_SCALAR, start);
		builder.root->is_plain = true;
	}
	return builder.root;
}
