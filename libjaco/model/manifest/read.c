/* SPDX-License-Identifier: Apache-2.0
 *
 * read.c - typed values out of a YAML tree. */
#include "libjaco/model/manifest/read.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/str.h"

/* -- path and reports --------------------------------------------------------------------- */

void jaco_read_push(struct jaco_read *read, const char *key)
{
	JACO_ASSERT(read->depth < JACO_ARRAY_SIZE(read->path));
	read->path[read->depth].key = key;
	read->path[read->depth++].index = 0;
}

void jaco_read_push_index(struct jaco_read *read, size_t index)
{
	JACO_ASSERT(read->depth < JACO_ARRAY_SIZE(read->path));
	read->path[read->depth].key = NULL;
	read->path[read->depth++].index = index;
}

void jaco_read_pop(struct jaco_read *read)
{
	JACO_ASSERT(read->depth > 0);
	read->depth--;
}

const char *jaco_read_path(struct jaco_read *read)
{
	char text[512];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < read->depth && used < sizeof(text); i++) {
		int n;

		if (read->path[i].key)
			n = snprintf(text + used, sizeof(text) - used, "%s%.120s", i ? "." : "",
				     read->path[i].key);
		else
			n = snprintf(text + used, sizeof(text) - used, "[%zu]",
				     read->path[i].index);
		used += (size_t)n;
	}
	return jaco_arena_strdup(read->arena, text);
}

JACO_PRINTF(5, 0)
static void report(struct jaco_read *read, enum jaco_code code, struct jaco_pos pos,
		   const char *remedy, const char *fmt, va_list args)
{
	char text[480];
	const char *path = "";

	vsnprintf(text, sizeof(text), fmt, args);
	if (read->findings->n < JACO_FINDINGS_MAX)
		path = jaco_read_path(read);
	if (code == JACO_OK)
		jaco_findings_warn(read->findings, pos, path, remedy, "%s", text);
	else
		jaco_findings_error(read->findings, code, pos, path, remedy, "%s", text);
}

bool jaco_read_error(struct jaco_read *read, struct jaco_pos pos, const char *remedy,
		     const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(read, JACO_VALIDATION_FAILED, pos, remedy, fmt, args);
	va_end(args);
	return false;
}

bool jaco_read_error_code(struct jaco_read *read, enum jaco_code code, struct jaco_pos pos,
			  const char *remedy, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(read, code, pos, remedy, fmt, args);
	va_end(args);
	return false;
}

void jaco_read_warn(struct jaco_read *read, struct jaco_pos pos, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(read, JACO_OK, pos, NULL, fmt, args);
	va_end(args);
}

/* -- scalars ------------------------------------------------------------------------------ */

bool jaco_read_is_unset(const struct jaco_yaml_node *node)
{
	return jaco_yaml_is_null(node) || (node->kind == JACO_YAML_SCALAR && !*node->text);
}

static const char *kind_name(const struct jaco_yaml_node *node)
{
	switch (node->kind) {
	case JACO_YAML_SCALAR:
		return jaco_yaml_is_null(node) ? "nothing" : "a scalar";
	case JACO_YAML_SEQ:
		return "a list";
	case JACO_YAML_MAP:
		return "a mapping";
	}
	return "";
}

bool jaco_read_is_scalar(struct jaco_read *read, const struct jaco_yaml_node *node)
{
	return node->kind == JACO_YAML_SCALAR ||
	       jaco_read_error(read, node->pos, "write one value",
			       "one value is needed here, not %s", kind_name(node));
}

bool jaco_read_is_map(struct jaco_read *read, const struct jaco_yaml_node *node)
{
	return node->kind == JACO_YAML_MAP ||
	       jaco_read_error(read, node->pos, "write \"key: value\" lines",
			       "a mapping is needed here, not %s", kind_name(node));
}

bool jaco_read_is_seq(struct jaco_read *read, const struct jaco_yaml_node *node)
{
	return node->kind == JACO_YAML_SEQ ||
	       jaco_read_error(read, node->pos, "write \"- value\" lines",
			       "a list is needed here, not %s", kind_name(node));
}

bool jaco_read_text(struct jaco_read *read, const struct jaco_yaml_node *node, const char **out)
{
	if (!jaco_read_is_scalar(read, node))
		return false;
	*out = jaco_yaml_is_null(node) ? NULL : node->text;
	return true;
}

bool jaco_read_bool(struct jaco_read *read, const struct jaco_yaml_node *node, bool *out)
{
	static const char *const yes[] = {"true", "yes", "on", "y", "1", "t"};
	static const char *const no[] = {"false", "no", "off", "n", "0", "f"};

	if (!jaco_read_is_scalar(read, node))
		return false;
	for (size_t i = 0; i < JACO_ARRAY_SIZE(yes); i++) {
		if (!jaco_str_eq_nocase(node->text, yes[i]) &&
		    !jaco_str_eq_nocase(node->text, no[i]))
			continue;
		*out = jaco_str_eq_nocase(node->text, yes[i]);
		return true;
	}
	return jaco_read_error(read, node->pos, "write true or false",
			       "\"%.60s\" is neither true nor false", node->text);
}

static bool parse_i64(const char *text, int64_t *out)
{
	bool is_negative = *text == '-';
	uint64_t value;
	const char *digits = text + (*text == '-' || *text == '+');

	if (strncmp(digits, "0x", 2) == 0 || strncmp(digits, "0o", 2) == 0) {
		char *end;
		int base = digits[1] == 'x' ? 16 : 8;

		if (!jaco_ascii_is_alnum(digits[2]) || strlen(digits) > 18)
			return false;
		value = strtoull(digits + 2, &end, base);
		if (*end)
			return false;
	} else if (!jaco_str_to_u64(digits, INT64_MAX, &value)) {
		/* 1.0 and 1e3 are integers to YAML's number readers */
		char *end;
		double number;

		if (!jaco_ascii_is_digit(*digits) ||
		    strspn(digits, "0123456789.eE+") != strlen(digits))
			return false;
		number = strtod(digits, &end);
		if (*end || number != floor(number) || number > 9e15)
			return false;
		value = (uint64_t)number;
	}
	if (value > INT64_MAX)
		return false;
	*out = is_negative ? -(int64_t)value : (int64_t)value;
	return true;
}

bool jaco_read_i64(struct jaco_read *read, const struct jaco_yaml_node *node, int64_t min,
		   int64_t max, int64_t *out)
{
	int64_t value;

	if (!jaco_read_is_scalar(read, node))
		return false;
	if (!parse_i64(node->text, &value))
		return jaco_read_error(read, node->pos, "write a whole number",
				       "\"%.60s\" is not a whole number", node->text);
	if (value < min || value > max)
		return jaco_read_error(read, node->pos, NULL, "%lld is outside %lld..%lld",
				       (long long)value, (long long)min, (long long)max);
	*out = value;
	return true;
}

bool jaco_read_port(struct jaco_read *read, const struct jaco_yaml_node *node, uint16_t *out)
{
	int64_t value;

	if (!jaco_read_i64(read, node, 1, 65535, &value))
		return false;
	*out = (uint16_t)value;
	return true;
}

bool jaco_read_decimal(struct jaco_read *read, const struct jaco_yaml_node *node, double *out)
{
	char *end;
	double value;

	if (!jaco_read_is_scalar(read, node))
		return false;
	value = strtod(node->text, &end);
	if (end == node->text || *end ||
	    strspn(node->text, "0123456789.eE+-") != strlen(node->text) || !isfinite(value) ||
	    value < 0)
		return jaco_read_error(read, node->pos, "write a number such as 0.5",
				       "\"%.60s\" is not a number", node->text);
	*out = value;
	return true;
}

bool jaco_read_parse_size(const char *text, int64_t *out_bytes)
{
	static const char units[] = "bkmgtp";
	char *end;
	double value;
	const char *unit;
	double factor = 1;

	if (!jaco_ascii_is_digit(*text) && *text != '.')
		return false;
	if (strlen(text) > 40 || text[1] == 'x' || text[1] == 'X')
		return false;
	value = strtod(text, &end);
	if (end == text)
		return false;
	while (*end == ' ')
		end++;
	if (*end) {
		unit = strchr(units, jaco_ascii_lower(*end));
		if (!unit)
			return false;
		for (const char *u = units; u < unit; u++)
			factor *= 1024;
		end++;
		if (factor > 1 && jaco_ascii_lower(*end) == 'i')
			end++;
		if (factor > 1 && jaco_ascii_lower(*end) == 'b')
			end++;
		if (*end)
			return false;
	}
	if (!isfinite(value) || value * factor > 9e18)
		return false;
	*out_bytes = (int64_t)(value * factor);
	return true;
}

bool jaco_read_size(struct jaco_read *read, const struct jaco_yaml_node *node, int64_t *out)
{
	if (!jaco_read_is_scalar(read, node))
		return false;
	if (!jaco_read_parse_size(node->text, out))
		return jaco_read_error(read, node->pos, "write a size such as 64m or 1g",
				       "\"%.60s\" is not a size", node->text);
	return true;
}

bool jaco_read_parse_duration(const char *text, bool bare_seconds, int64_t *out_ms)
{
	static const struct {
		const char *name;
		double ms;
	} units[] = {{"ns", 1e-6}, {"us", 1e-3}, {"\xc2\xb5s", 1e-3}, {"ms", 1},     {"s", 1e3},
		     {"m", 6e4},   {"h", 3.6e6}, {"d", 8.64e7},       {"w", 6.048e8}};
	double total = 0;
	bool has_unit = false;

	if (strlen(text) > 40)
		return false;
	if (*text == '+')
		text++;
	if (!*text)
		return false;
	while (*text) {
		char *end;
		double value;
		size_t n;
		size_t unit;

		if (!jaco_ascii_is_digit(*text) && *text != '.')
			return false;
		n = strspn(text, "0123456789.");
		value = strtod(text, &end);
		if (end != text + n)
			return false;
		text = end;
		if (!*text && !has_unit && (bare_seconds || value == 0)) {
			total = value * 1e3;
			break;
		}
		n = strcspn(text, "0123456789.");
		for (unit = 0; unit < JACO_ARRAY_SIZE(units); unit++)
			if (strlen(units[unit].name) == n &&
			    strncmp(units[unit].name, text, n) == 0)
				break;
		if (unit == JACO_ARRAY_SIZE(units))
			return false;
		total += value * units[unit].ms;
		text += n;
		has_unit = true;
	}
	if (total > 9e15)
		return false;
	*out_ms = (int64_t)(total + 0.5);
	return true;
}

bool jaco_read_duration(struct jaco_read *read, const struct jaco_yaml_node *node, int64_t *out_ms)
{
	if (!jaco_read_is_scalar(read, node))
		return false;
	if (!jaco_read_parse_duration(node->text, true, out_ms))
		return jaco_read_error(read, node->pos, "write a duration such as 30s or 1m30s",
				       "\"%.60s\" is not a duration", node->text);
	return true;
}

/* -- lists and maps ----------------------------------------------------------------------- */

void jaco_strings_add(struct jaco_arena *arena, struct jaco_strings *list, const char *text)
{
	/* capacities are powers of two from 4: no third member in a public struct */
	if (list->n == 0 || (list->n >= 4 && (list->n & (list->n - 1)) == 0)) {
		size_t cap = list->n == 0 ? 4 : list->n * 2;
		const char **items = jaco_arena_alloc_n(arena, cap, sizeof(*items));

		if (list->n)
			memcpy(items, list->items, list->n * sizeof(*items));
		list->items = items;
	}
	list->items[list->n++] = text;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void jaco_strings_sort(struct jaco_strings *list, bool is_unique)
{
	size_t kept = 0;

	if (list->n < 2)
		return;
	qsort(list->items, list->n, sizeof(*list->items), compare_texts);
	if (!is_unique)
		return;
	for (size_t i = 0; i < list->n; i++)
		if (kept == 0 || strcmp(list->items[kept - 1], list->items[i]) != 0)
			list->items[kept++] = list->items[i];
	list->n = kept;
}

bool jaco_strings_has(const struct jaco_strings *list, const char *text)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->items[i], text) == 0)
			return true;
	return false;
}

static int compare_pairs(const void *a, const void *b)
{
	const struct jaco_pair *left = a;
	const struct jaco_pair *right = b;

	return strcmp(left->key, right->key);
}

/* qsort is stable in glibc only by accident of size; order of equal keys must be kept, so a merge
 * sort of our own would be needed - instead the position is part of the comparison. */
struct placed_pair {
	struct jaco_pair pair;
	size_t order;
};

static int compare_placed(const void *a, const void *b)
{
	const struct placed_pair *left = a;
	const struct placed_pair *right = b;
	int by_key = compare_pairs(&left->pair, &right->pair);

	if (by_key != 0)
		return by_key;
	return left->order < right->order ? -1 : 1;
}

void jaco_pairs_sort(struct jaco_pairs *pairs)
{
	struct placed_pair small[32];
	struct placed_pair *placed = small;
	struct jaco_arena scratch = JACO_ARENA_INIT;
	size_t kept = 0;

	if (pairs->n < 2)
		return;
	if (pairs->n > JACO_ARRAY_SIZE(small))
		placed = jaco_arena_alloc_n(&scratch, pairs->n, sizeof(*placed));
	for (size_t i = 0; i < pairs->n; i++)
		placed[i] = (struct placed_pair){pairs->items[i], i};
	qsort(placed, pairs->n, sizeof(*placed), compare_placed);
	for (size_t i = 0; i < pairs->n; i++) {
		bool is_last = i + 1 == pairs->n ||
			       strcmp(placed[i].pair.key, placed[i + 1].pair.key) != 0;

		if (is_last)
			pairs->items[kept++] = placed[i].pair;
	}
	pairs->n = kept;
	jaco_arena_fini(&scratch);
}

const char *jaco_pairs_get(const struct jaco_pairs *pairs, const char *key)
{
	struct jaco_pair wanted = {.key = key};
	const struct jaco_pair *found;

	if (pairs->n == 0)
		return NULL;
	found = bsearch(&wanted, pairs->items, pairs->n, sizeof(wanted), compare_pairs);
	return found ? found->value : NULL;
}

bool jaco_read_strings(struct jaco_read *read, const struct jaco_yaml_node *node,
		       struct jaco_strings *out)
{
	struct jaco_strings list = {0};

	if (jaco_yaml_is_null(node)) {
		*out = list;
		return true;
	}
	if (node->kind == JACO_YAML_SCALAR) {
		if (*node->text)
			jaco_strings_add(read->arena, &list, node->text);
		*out = list;
		return true;
	}
	if (!jaco_read_is_seq(read, node))
		return false;
	for (size_t i = 0; i < node->n; i++) {
		const struct jaco_yaml_node *item = node->entries[i].value;
		bool ok;

		jaco_read_push_index(read, i);
		ok = jaco_read_is_scalar(read, item);
		jaco_read_pop(read);
		if (!ok)
			return false;
		if (!jaco_yaml_is_null(item))
			jaco_strings_add(read->arena, &list, item->text);
	}
	*out = list;
	return true;
}

static bool pair_from_item(struct jaco_read *read, const struct jaco_yaml_node *item,
			   struct jaco_pair *out)
{
	const char *equals;

	if (item->kind == JACO_YAML_MAP && item->n == 1 &&
	    item->entries[0].value->kind == JACO_YAML_SCALAR) {
		/* "- KEY: value", a slip that compose refuses; the meaning is plain */
		return jaco_read_error(read, item->pos,
				       "write KEY=value, or a mapping without dashes",
				       "a list element must be KEY=value");
	}
	if (!jaco_read_is_scalar(read, item))
		return false;
	equals = strchr(item->text, '=');
	out->key =
		equals ? jaco_arena_strndup(read->arena, item->text, (size_t)(equals - item->text))
		       : item->text;
	out->value = equals ? equals + 1 : "";
	return true;
}

bool jaco_read_pairs(struct jaco_read *read, const struct jaco_yaml_node *node,
		     struct jaco_pairs *out)
{
	struct jaco_pairs pairs = {0};
	bool ok = true;

	if (jaco_yaml_is_null(node)) {
		*out = pairs;
		return true;
	}
	if (node->kind == JACO_YAML_SCALAR)
		return jaco_read_error(read, node->pos, "write a mapping or a list of KEY=value",
				       "a mapping or a list is needed here, not a scalar");
	pairs.items = jaco_arena_alloc_n(read->arena, node->n + 1, sizeof(*pairs.items));
	for (size_t i = 0; i < node->n; i++) {
		const struct jaco_yaml_entry *entry = &node->entries[i];
		struct jaco_pair *pair = &pairs.items[pairs.n];
		bool item_ok;

		if (entry->key) {
			jaco_read_push(read, entry->key);
			pair->key = entry->key;
			pair->value = "";
			item_ok = jaco_read_is_scalar(read, entry->value);
			if (item_ok && !jaco_yaml_is_null(entry->value))
				pair->value = entry->value->text;
		} else {
			jaco_read_push_index(read, i);
			if (jaco_yaml_is_null(entry->value)) {
				jaco_read_pop(read);
				continue;
			}
			item_ok = pair_from_item(read, entry->value, pair);
		}
		jaco_read_pop(read);
		if (item_ok)
			pairs.n++;
		ok = ok && item_ok;
	}
	jaco_pairs_sort(&pairs);
	*out = pairs;
	return ok;
}

/* One word of a shell line at *cursor into @word; false at an unfinished quote. */
static bool next_word(const char **cursor, struct jaco_buf *word)
{
	const char *c = *cursor;
	char quote = '\0';

	for (; *c; c++) {
		if (quote == '\'') {
			if (*c == quote)
				quote = '\0';
			else
				jaco_buf_add_char(word, *c);
		} else if (quote == '"') {
			if (*c == quote)
				quote = '\0';
			else if (*c == '\\' && c[1] && strchr("\"\\$`", c[1]))
				jaco_buf_add_char(word, *++c);
			else if (*c == '\\' && c[1] == '\n')
				c++;
			else
				jaco_buf_add_char(word, *c);
		} else if (*c == '\'' || *c == '"') {
			quote = *c;
		} else if (*c == '\\') {
			if (!c[1])
				return false;
			if (*++c != '\n')
				jaco_buf_add_char(word, *c);
		} else if (jaco_ascii_is_space(*c)) {
			break;
		} else {
			jaco_buf_add_char(word, *c);
		}
	}
	*cursor = c;
	return quote == '\0';
}

bool jaco_read_split_words(struct jaco_arena *arena, const char *text, struct jaco_strings *out)
{
	jaco_auto(jaco_buf) struct jaco_buf word = JACO_BUF_INIT;
	struct jaco_strings words = {0};

	for (;;) {
		while (jaco_ascii_is_space(*text) || (text[0] == '\\' && text[1] == '\n'))
			text += *text == '\\' ? 2 : 1;
		if (!*text)
			break;
		jaco_buf_reset(&word);
		if (!next_word(&text, &word))
			return false;
		jaco_strings_add(arena, &words, jaco_arena_strdup(arena, jaco_buf_str(&word)));
	}
	*out = words;
	return true;
}

bool jaco_read_argv(struct jaco_read *read, const struct jaco_yaml_node *node,
		    struct jaco_argv *out)
{
	struct jaco_strings words = {0};

	if (jaco_yaml_is_null(node)) {
		*out = (struct jaco_argv){0};
		return true;
	}
	if (node->kind == JACO_YAML_SCALAR) {
		if (!jaco_read_split_words(read->arena, node->text, &words))
			return jaco_read_error(read, node->pos,
					       "close the quote, or write the words as a list",
					       "the line ends inside a quote");
	} else if (!jaco_read_strings(read, node, &words)) {
		return false;
	}
	*out = (struct jaco_argv){.is_set = true, .items = words.items, .n = words.n};
	return true;
}
