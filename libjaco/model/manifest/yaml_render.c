/* SPDX-License-Identifier: Apache-2.0
 *
 * yaml_render.c - a tree back to block-style YAML.
 *
 * A scalar that was plain and needs no quotes is written plain, so that types survive; every other
 * one is double-quoted, where JSON's escapes are YAML's (YAML 1.2 section 5.7). */
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/model/manifest/yaml.h"

static void indent(struct jaco_buf *out, unsigned level)
{
	for (unsigned i = 0; i < level; i++)
		jaco_buf_add(out, "  ", 2);
}

static bool is_safe_plain(const char *text)
{
	if (!*text || !(jaco_ascii_is_alnum(*text) || strchr("./_", *text)))
		return false;
	for (const char *c = text; *c; c++)
		if (!jaco_ascii_is_alnum(*c) && !strchr("._/-+@", *c) &&
		    !(*c == ':' && c[1] && c[1] != ' '))
			return false;
	return true;
}

/* Words and numbers that a quoted text must not turn into when written plain. */
static bool looks_typed(const char *text)
{
	static const char *const words[] = {"null", "true", "false", "yes", "no",
					    "on",   "off",  "y",     "n"};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(words); i++)
		if (jaco_str_eq_nocase(text, words[i]))
			return true;
	return strchr("0123456789.", *text) != NULL;
}

static void add_quoted(struct jaco_buf *out, const char *text)
{
	jaco_buf_add_char(out, '"');
	for (const char *c = text; *c; c++) {
		size_t n_plain = 0;

		while (c[n_plain] >= ' ' && c[n_plain] < 0x7f && !strchr("\"\\", c[n_plain]))
			n_plain++;
		jaco_buf_add(out, c, n_plain);
		c += n_plain;
		switch (*c) {
		case '\0':
			c--; /* the end, which the loop looks for */
			break;
		case '"':
		case '\\':
			jaco_buf_add_char(out, '\\');
			jaco_buf_add_char(out, *c);
			break;
		case '\n':
			jaco_buf_add_str(out, "\\n");
			break;
		case '\t':
			jaco_buf_add_str(out, "\\t");
			break;
		case '\r':
			jaco_buf_add_str(out, "\\r");
			break;
		default:
			if ((unsigned char)*c < 0x20 || *c == 0x7f)
				jaco_buf_printf(out, "\\x%02x", (unsigned char)*c);
			/* NEL, LS, PS and the BOM are breaks or unprintable to a reader */
			else if (strncmp(c, "\xc2\x85", 2) == 0 && (c += 1))
				jaco_buf_add_str(out, "\\x85");
			else if (strncmp(c, "\xe2\x80\xa8", 3) == 0 && (c += 2))
				jaco_buf_add_str(out, "\\u2028");
			else if (strncmp(c, "\xe2\x80\xa9", 3) == 0 && (c += 2))
				jaco_buf_add_str(out, "\\u2029");
			else if (strncmp(c, "\xef\xbb\xbf", 3) == 0 && (c += 2))
				jaco_buf_add_str(out, "\\ufeff");
			else
				jaco_buf_add_char(out, *c);
		}
	}
	jaco_buf_add_char(out, '"');
}

static void add_scalar(struct jaco_buf *out, const struct jaco_yaml_node *node)
{
	if (jaco_yaml_is_null(node))
		jaco_buf_add_str(out, "null");
	else if (is_safe_plain(node->text) &&
		 ((node->is_plain && !node->is_interpolated) || !looks_typed(node->text)))
		jaco_buf_add_str(out, node->text);
	else
		add_quoted(out, node->text);
}

static void add_key(struct jaco_buf *out, const char *key)
{
	/* a long key needs the explicit "?" form to be found (libyaml looks 1024 characters ahead)
	 */
	if (strlen(key) > 500)
		jaco_buf_add_str(out, "? ");
	if (is_safe_plain(key) && !looks_typed(key))
		jaco_buf_add_str(out, key);
	else
		add_quoted(out, key);
}

static void note_line(struct jaco_yaml_lines *lines, const struct jaco_yaml_entry *entry)
{
	if (!lines)
		return;
	lines->items = jaco_arena_grow(lines->arena, lines->items, &lines->cap, lines->n + 1,
				       sizeof(const struct jaco_yaml_entry *));
	lines->items[lines->n++] = entry;
}

static void render(struct jaco_buf *out, const struct jaco_yaml_node *node, unsigned level,
		   struct jaco_yaml_lines *lines);

static void add_value(struct jaco_buf *out, const struct jaco_yaml_node *node, unsigned level,
		      struct jaco_yaml_lines *lines)
{
	if (node->kind == JACO_YAML_SCALAR || node->n == 0) {
		jaco_buf_add_char(out, ' ');
		render(out, node, level, lines);
		jaco_buf_add_char(out, '\n');
	} else {
		jaco_buf_add_char(out, '\n');
		render(out, node, level, lines);
	}
}

static void render(struct jaco_buf *out, const struct jaco_yaml_node *node, unsigned level,
		   struct jaco_yaml_lines *lines)
{
	if (node->kind == JACO_YAML_SCALAR) {
		add_scalar(out, node);
		return;
	}
	if (node->n == 0) {
		jaco_buf_add_str(out, node->kind == JACO_YAML_MAP ? "{}" : "[]");
		return;
	}
	for (size_t i = 0; i < node->n; i++) {
		const struct jaco_yaml_entry *entry = &node->entries[i];

		note_line(lines, entry);
		indent(out, level);
		if (node->kind == JACO_YAML_MAP) {
			add_key(out, entry->key);
			if (strlen(entry->key) > 500) {
				jaco_buf_add_char(out, '\n');
				note_line(lines, entry);
				indent(out, level);
			}
			jaco_buf_add_char(out, ':');
		} else {
			jaco_buf_add_char(out, '-');
		}
		add_value(out, entry->value, level + 1, lines);
	}
}

void jaco_yaml_render(struct jaco_buf *out, const struct jaco_yaml_node *node)
{
	jaco_yaml_render_lines(out, node, NULL);
}

void jaco_yaml_render_lines(struct jaco_buf *out, const struct jaco_yaml_node *node,
			    struct jaco_yaml_lines *lines)
{
	render(out, node, 0, lines);
	if (node->kind == JACO_YAML_SCALAR || node->n == 0)
		jaco_buf_add_char(out, '\n');
}
