/* SPDX-License-Identifier: Apache-2.0
 *
 * interpolate.c - variables in the scalars of a document.
 *
 * The grammar is compose's: https://github.com/compose-spec/compose-spec, 12-interpolation.  A
 * modifier's word is itself interpolated, so the words nest; the depth is bounded. */
#include "libjaco/model/manifest/interpolate.h"

#include <string.h>

#include "libjaco/base/str.h"

#define NESTING_MAX 20
/* Each is looked for to the end of the text. */
#define UNCLOSED_MAX 100

struct pass {
	const struct jaco_vars *vars;
	bool is_lenient;
	jaco_interpolate_unset_fn on_unset;
	void *ctx;
	struct jaco_arena *scratch;
	unsigned depth;
	unsigned n_unclosed;
};

static bool is_name_start(char c)
{
	return c == '_' || (jaco_ascii_is_alnum(c) && !jaco_ascii_is_digit(c));
}

static size_t name_length(const char *text)
{
	size_t n = 0;

	if (!is_name_start(*text))
		return 0;
	while (jaco_ascii_is_alnum(text[n]) || text[n] == '_')
		n++;
	return n;
}

static int run(struct pass *pass, struct jaco_buf *out, const char *text, size_t n,
	       struct jaco_err *err);

static int invalid(const char *text, struct jaco_err *err)
{
	return jaco_err_set(err, JACO_VALIDATION_FAILED,
			    "invalid template: \"%.80s\"; write $$ for a literal $", text);
}

static void put(struct pass *pass, struct jaco_buf *out, const char *name, const char *value)
{
	if (!value && pass->on_unset)
		pass->on_unset(pass->ctx, name);
	if (value)
		jaco_buf_add_str(out, value);
}

static int require(struct pass *pass, const char *name, const char *word, size_t n,
		   struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf message = JACO_BUF_BOUND(4096);

	if (run(pass, &message, word, n, err) < 0)
		return -(int)err->code;
	return jaco_err_set(err, JACO_VALIDATION_FAILED,
			    "required variable %.100s is missing a value: %.300s", name,
			    jaco_buf_str(&message));
}

/* What stands between the braces: NAME, or NAME, an operator and a word.  Two characters before
 * @text stands its "${", which a report shows. */
static int braced(struct pass *pass, struct jaco_buf *out, const char *text, size_t n,
		  struct jaco_err *err)
{
	size_t n_name = name_length(text);
	const char *name;
	const char *value;
	const char *op = text + n_name;
	size_t left = n > n_name ? n - n_name : 0;
	bool is_empty_unset;
	bool is_missing;

	if (n_name == 0 || n_name > n)
		return invalid(text - 2, err);
	name = jaco_arena_strndup(pass->scratch, text, n_name);
	value = jaco_vars_get(pass->vars, name);
	if (left == 0) {
		put(pass, out, name, value);
		return 0;
	}
	is_empty_unset = *op == ':';
	if (is_empty_unset) {
		op++;
		left--;
	}
	if (left == 0 || !strchr("-?+", *op))
		return invalid(text - 2, err);
	is_missing = !value || (is_empty_unset && !*value);
	switch (*op) {
	case '-':
		if (is_missing)
			return run(pass, out, op + 1, left - 1, err);
		jaco_buf_add_str(out, value);
		return 0;
	case '+':
		return is_missing ? 0 : run(pass, out, op + 1, left - 1, err);
	default:
		if (is_missing)
			return require(pass, name, op + 1, left - 1, err);
		jaco_buf_add_str(out, value);
		return 0;
	}
}

/* Length up to the brace that closes "${" at @text, exclusive of both; 0 with false when open. */
static bool find_close(const char *text, size_t n, size_t *out_length)
{
	unsigned open = 1;

	for (size_t i = 2; i < n; i++) {
		if (text[i] == '$' && i + 1 < n && text[i + 1] == '{') {
			open++;
			i++;
		} else if (text[i] == '}' && --open == 0) {
			*out_length = i - 2;
			return true;
		}
	}
	return false;
}

static int one(struct pass *pass, struct jaco_buf *out, const char *text, size_t n,
	       size_t *out_used, struct jaco_err *err)
{
	size_t inside;
	size_t n_name;

	*out_used = 1;
	if (n > 1 && text[1] == '$') {
		*out_used = 2;
		jaco_buf_add_char(out, '$');
		return 0;
	}
	if (n > 1 && text[1] == '{') {
		if (!find_close(text, n, &inside)) {
			if (!pass->is_lenient || ++pass->n_unclosed > UNCLOSED_MAX)
				return invalid(text, err);
			jaco_buf_add_char(out, '$');
			return 0;
		}
		*out_used = inside + 3;
		if (pass->is_lenient && name_length(text + 2) == 0) {
			jaco_buf_add(out, text, *out_used);
			return 0;
		}
		return braced(pass, out, text + 2, inside, err);
	}
	n_name = JACO_MIN(name_length(text + 1), n - 1);
	if (n_name == 0) {
		if (!pass->is_lenient)
			return invalid(text, err);
		jaco_buf_add_char(out, '$');
		return 0;
	}
	*out_used = n_name + 1;
	{
		const char *name = jaco_arena_strndup(pass->scratch, text + 1, n_name);

		put(pass, out, name, jaco_vars_get(pass->vars, name));
	}
	return 0;
}

static int run(struct pass *pass, struct jaco_buf *out, const char *text, size_t n,
	       struct jaco_err *err)
{
	int rc = 0;

	if (pass->depth >= NESTING_MAX)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "invalid template: variables nest deeper than %d", NESTING_MAX);
	pass->depth++;
	for (size_t i = 0; i < n && rc == 0;) {
		const char *dollar = memchr(text + i, '$', n - i);
		size_t plain = dollar ? (size_t)(dollar - text) - i : n - i;
		size_t used = 0;

		jaco_buf_add(out, text + i, plain);
		i += plain;
		if (dollar)
			rc = one(pass, out, dollar, n - i, &used, err);
		i += used;
	}
	pass->depth--;
	if (rc == 0 && out->overflow)
		rc = jaco_err_set(err, JACO_LIMIT_EXCEEDED, "the interpolated text is too long");
	return rc;
}

int jaco_interpolate_text(struct jaco_buf *out, const char *text, const struct jaco_vars *vars,
			  bool is_lenient, jaco_interpolate_unset_fn on_unset, void *ctx,
			  struct jaco_err *err)
{
	jaco_auto(jaco_arena) struct jaco_arena scratch = JACO_ARENA_INIT;
	struct pass pass = {.vars = vars,
			    .is_lenient = is_lenient,
			    .on_unset = on_unset,
			    .ctx = ctx,
			    .scratch = &scratch};

	return run(&pass, out, text, strlen(text), err);
}

/* -- the tree ----------------------------------------------------------------------------- */

struct walk {
	const struct jaco_vars *vars;
	struct jaco_vars *warned;
	struct jaco_findings *findings;
	const struct jaco_yaml_node *node; /* being replaced */
	size_t total;
	bool is_too_long;
};

static void on_unset(void *ctx, const char *name)
{
	struct walk *walk = ctx;

	if (jaco_vars_get(walk->warned, name))
		return;
	jaco_vars_set(walk->warned, name, "");
	jaco_findings_warn(walk->findings, walk->node->pos, "", NULL,
			   "variable %.100s is not set and becomes empty", name);
}

static void replace(struct walk *walk, struct jaco_yaml_node *node)
{
	jaco_auto(jaco_buf) struct jaco_buf out =
		JACO_BUF_BOUND(JACO_INTERPOLATE_BYTES_MAX - walk->total);
	struct jaco_err err = JACO_ERR_INIT;

	if (!strchr(node->text, '$'))
		return;
	walk->node = node;
	if (jaco_interpolate_text(&out, node->text, walk->vars, false, on_unset, walk, &err) < 0) {
		walk->is_too_long = err.code == JACO_LIMIT_EXCEEDED;
		jaco_findings_unread(walk->findings, err.code, node->pos,
				     "interpolate %s: line %u column %u: %.380s",
				     node->pos.file ? node->pos.file : "", node->pos.line,
				     node->pos.column, err.text);
		return;
	}
	walk->total += out.n;
	/* a bound of 0 would mean none */
	walk->is_too_long = walk->total >= JACO_INTERPOLATE_BYTES_MAX;
	node->text = jaco_arena_strdup(walk->findings->arena, jaco_buf_str(&out));
	node->is_interpolated = true;
}

static void visit(struct walk *walk, struct jaco_yaml_node *node)
{
	if (walk->is_too_long)
		return;
	if (node->kind == JACO_YAML_SCALAR)
		replace(walk, node);
	for (size_t i = 0; i < node->n; i++)
		visit(walk, node->entries[i].value);
}

void jaco_interpolate_tree(struct jaco_yaml_node *root, const struct jaco_vars *vars,
			   struct jaco_vars *warned, struct jaco_findings *findings)
{
	struct walk walk = {.vars = vars, .warned = warned, .findings = findings};

	visit(&walk, root);
}
