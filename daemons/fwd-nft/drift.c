/* SPDX-License-Identifier: Apache-2.0
 *
 * drift.c - see drift.h. */
#include "daemons/fwd-nft/drift.h"

#include <stdio.h>
#include <string.h>

#include "daemons/fwd-nft/render.h"
#include "libjaco/base/str.h"

#define ELEMS_SHOWN 3

void drift_walk_elems(const struct ruleset_set *meant, const struct ruleset_set *seen,
		      drift_elem_fn *fn, void *ctx)
{
	size_t n_seen = seen ? seen->n_elems : 0;
	size_t i = 0, k = 0;

	while (i < meant->n_elems || k < n_seen) {
		const struct ruleset_elem *m = i < meant->n_elems ? &meant->elems[i] : NULL;
		const struct ruleset_elem *s = k < n_seen ? &seen->elems[k] : NULL;
		int order = !m ? 1 : !s ? -1 : ruleset_elem_cmp(m, s);

		if (order < 0) {
			fn(m, NULL, ctx);
			i++;
		} else if (order > 0) {
			fn(NULL, s, ctx);
			k++;
		} else {
			if (!jaco_str_eq(m->comment, s->comment) || m->data != s->data)
				fn(m, s, ctx);
			i++;
			k++;
		}
	}
}

static bool is_same_expr(const struct ruleset_expr *a, const struct ruleset_expr *b)
{
	return a->op == b->op && a->reg == b->reg && a->dreg == b->dreg && a->len == b->len &&
	       a->invert == b->invert && a->key == b->key &&
	       memcmp(a->data, b->data, sizeof(a->data)) == 0 && jaco_str_eq(a->set, b->set);
}

static bool is_same_rule(const struct ruleset_rule *a, const struct ruleset_rule *b)
{
	if (a->n_exprs != b->n_exprs || !jaco_str_eq(a->comment, b->comment))
		return false;
	for (size_t i = 0; i < a->n_exprs; i++)
		if (!is_same_expr(&a->exprs[i], &b->exprs[i]))
			return false;
	return true;
}

static bool is_same_set_shape(const struct ruleset_set *a, const struct ruleset_set *b)
{
	return a->key_type == b->key_type && a->key_bytes == b->key_bytes &&
	       a->is_interval == b->is_interval && a->is_map == b->is_map && a->size == b->size &&
	       memcmp(a->field_bytes, b->field_bytes, sizeof(a->field_bytes)) == 0;
}

/* Differences are counted; the text is only made when somebody wants it. */
struct report {
	struct jaco_buf *out;
	size_t n;
};

static void say(struct report *report, const char *fmt, ...) JACO_PRINTF(2, 3);
static void say(struct report *report, const char *fmt, ...)
{
	char text[512];
	va_list args;

	report->n++;
	if (!report->out)
		return;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args); /* cut, for people */
	va_end(args);
	jaco_buf_printf(report->out, "%s%s", report->out->n ? "; " : "", text);
}

static void compare_rule(struct report *report, const struct ruleset *meant,
			 const struct ruleset_chain *chain, size_t i, const struct ruleset *seen,
			 const struct ruleset_chain *other)
{
	jaco_auto(jaco_buf) struct jaco_buf want = JACO_BUF_INIT, have = JACO_BUF_INIT;

	if (is_same_rule(&chain->rules[i], &other->rules[i]))
		return;
	if (report->out) {
		render_rule(&want, meant, &chain->rules[i]);
		render_rule(&have, seen, &other->rules[i]);
	}
	say(report, "chain %s: rule %zu is \"%s\", meant \"%s\"", chain->name, i + 1,
	    jaco_buf_str(&have), jaco_buf_str(&want));
}

static void compare_chain(struct report *report, const struct ruleset *meant,
			  const struct ruleset_chain *chain, const struct ruleset *seen)
{
	const struct ruleset_chain *other = ruleset_find_chain(seen, chain->name);
	jaco_auto(jaco_buf) struct jaco_buf head = JACO_BUF_INIT;

	if (!other) {
		say(report, "chain %s is missing", chain->name);
		return;
	}
	if (!jaco_str_eq(other->type, chain->type) || other->hook != chain->hook ||
	    other->priority != chain->priority || other->policy != chain->policy) {
		render_chain_head(&head, other);
		say(report, "chain %s is \"%s\"", chain->name, jaco_buf_str(&head));
	}
	if (other->n_rules != chain->n_rules) {
		say(report, "chain %s has %zu rules, meant %zu", chain->name, other->n_rules,
		    chain->n_rules);
		return;
	}
	for (size_t i = 0; i < chain->n_rules; i++)
		compare_rule(report, meant, chain, i, seen, other);
}

static void compare_shape(struct report *report, const struct ruleset *meant,
			  const struct ruleset *seen)
{
	if (meant->table_flags != seen->table_flags)
		say(report, "the table's flags are %u (1: dormant, without effect)",
		    seen->table_flags);
	for (size_t i = 0; i < meant->n_sets; i++) {
		const struct ruleset_set *set = &meant->sets[i];
		const struct ruleset_set *other = ruleset_find_set(seen, set->name);

		if (!other)
			say(report, "set %s is missing", set->name);
		else if (!is_same_set_shape(set, other))
			say(report, "set %s has another shape", set->name);
	}
	for (size_t i = 0; i < seen->n_sets; i++)
		if (!ruleset_find_set(meant, seen->sets[i].name))
			say(report, "set %s was added", seen->sets[i].name);
	for (size_t i = 0; i < meant->n_chains; i++)
		compare_chain(report, meant, &meant->chains[i], seen);
	for (size_t i = 0; i < seen->n_chains; i++)
		if (!ruleset_find_chain(meant, seen->chains[i].name))
			say(report, "chain %s was added", seen->chains[i].name);
}

bool drift_is_same_shape(const struct ruleset *meant, const struct ruleset *seen,
			 struct jaco_buf *out_why)
{
	struct report report = {.out = out_why};

	compare_shape(&report, meant, seen);
	return report.n == 0;
}

struct tally {
	const struct ruleset_set *set;
	size_t n_missing;
	size_t n_extra;
	size_t n_changed;
	struct jaco_buf shown;
	size_t n_shown;
};

static void on_elem(const struct ruleset_elem *meant, const struct ruleset_elem *seen, void *ctx)
{
	struct tally *tally = ctx;

	tally->n_missing += !seen;
	tally->n_extra += !meant;
	tally->n_changed += meant && seen;
	if (tally->n_shown++ >= ELEMS_SHOWN)
		return;
	jaco_buf_add_str(&tally->shown, tally->n_shown > 1 ? ", " : "");
	jaco_buf_add_str(&tally->shown, !seen ? "-" : !meant ? "+" : "~");
	render_elem(&tally->shown, tally->set, seen ? seen : meant);
}

static void describe_elems(struct report *report, const struct ruleset_set *meant,
			   const struct ruleset_set *seen)
{
	struct tally tally = {.set = meant, .shown = JACO_BUF_INIT};

	drift_walk_elems(meant, seen, on_elem, &tally);
	if (tally.n_shown > 0)
		say(report, "set %s: %zu missing, %zu unexpected, %zu changed (%s%s)", meant->name,
		    tally.n_missing, tally.n_extra, tally.n_changed, jaco_buf_str(&tally.shown),
		    tally.n_shown > ELEMS_SHOWN ? ", ..." : "");
	jaco_buf_fini(&tally.shown);
}

size_t drift_describe(struct jaco_buf *out, const struct ruleset *meant, const struct ruleset *seen)
{
	struct report report = {.out = out};

	if (!seen) {
		say(&report, "table inet %s is missing", RULESET_TABLE);
		return report.n;
	}
	compare_shape(&report, meant, seen);
	for (size_t i = 0; i < meant->n_sets; i++) {
		const struct ruleset_set *set = ruleset_find_set(seen, meant->sets[i].name);

		if (set)
			describe_elems(&report, &meant->sets[i], set);
	}
	return report.n;
}
