/* SPDX-License-Identifier: Apache-2.0
 *
 * compose_run.c - depends_on:, healthcheck: and restart: of a service. */
#include <stdlib.h>
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/model/manifest/compose.h"

const char *jaco_condition_name(enum jaco_condition condition)
{
	switch (condition) {
	case JACO_CONDITION_STARTED:
		return "service_started";
	case JACO_CONDITION_HEALTHY:
		return "service_healthy";
	case JACO_CONDITION_COMPLETED:
		return "service_completed_successfully";
	}
	return "";
}

struct dependency_form {
	const char *condition;
	bool required;
	bool restart;
};

static const struct jaco_key_row dependency_rows[] = {
	{"condition", JACO_HONOURED, jaco_fill_text, offsetof(struct dependency_form, condition),
	 NULL},
	{"required", JACO_HONOURED, jaco_fill_bool, offsetof(struct dependency_form, required),
	 NULL},
	{"restart", JACO_HONOURED, jaco_fill_bool, offsetof(struct dependency_form, restart), NULL},
	{NULL},
};

static int compare_dependencies(const void *a, const void *b)
{
	return strcmp(((const struct jaco_dependency *)a)->service,
		      ((const struct jaco_dependency *)b)->service);
}

static bool read_condition(struct jaco_read *read, struct jaco_pos pos, const char *text,
			   enum jaco_condition *out)
{
	static const enum jaco_condition all[] = {JACO_CONDITION_STARTED, JACO_CONDITION_HEALTHY,
						  JACO_CONDITION_COMPLETED};

	if (!text)
		return true;
	for (size_t i = 0; i < JACO_ARRAY_SIZE(all); i++)
		if (strcmp(text, jaco_condition_name(all[i])) == 0) {
			*out = all[i];
			return true;
		}
	return jaco_read_error(read, pos,
			       "use service_started, service_healthy or "
			       "service_completed_successfully",
			       "\"%.60s\" is not a condition", text);
}

static bool read_dependency(struct jaco_read *read, const struct jaco_yaml_entry *entry,
			    struct jaco_dependency *out)
{
	struct dependency_form form = {.required = true};
	const struct jaco_yaml_node *node = entry->value;

	*out = (struct jaco_dependency){.condition = JACO_CONDITION_STARTED};
	if (!entry->key) {
		if (!jaco_read_is_scalar(read, node) || jaco_read_is_unset(node))
			return false;
		out->service = node->text;
		out->pos = node->pos;
		out->required = true;
		return true;
	}
	out->service = entry->key;
	out->pos = entry->pos;
	if (!jaco_read_is_unset(node)) {
		if (!jaco_read_is_map(read, node))
			return false;
		jaco_read_rows(read, node, dependency_rows, &form, "a dependency");
	}
	out->required = form.required;
	out->restart = form.restart;
	return read_condition(read, node->pos, form.condition, &out->condition);
}

void jaco_compose_fill_depends_on(struct jaco_read *read, const struct jaco_yaml_node *node,
				  void *out)
{
	struct compose_service *service = out;
	struct jaco_dependency *list;
	size_t kept = 0;

	if (jaco_read_is_unset(node))
		return;
	if (node->kind == JACO_YAML_SCALAR) {
		jaco_read_is_seq(read, node);
		return;
	}
	list = jaco_arena_alloc_n(read->arena, node->n + 1, sizeof(*list));
	for (size_t i = 0; i < node->n; i++) {
		if (node->entries[i].key)
			jaco_read_push(read, node->entries[i].key);
		else
			jaco_read_push_index(read, i);
		kept += read_dependency(read, &node->entries[i], &list[kept]);
		jaco_read_pop(read);
	}
	if (kept > 1)
		qsort(list, kept, sizeof(*list), compare_dependencies);
	service->s.depends_on = list;
	for (size_t i = 0; i < kept; i++)
		if (service->s.n_depends_on == 0 ||
		    strcmp(list[service->s.n_depends_on - 1].service, list[i].service) != 0)
			list[service->s.n_depends_on++] = list[i];
}

/* -- healthcheck -------------------------------------------------------------------------- */

static void fill_test(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_healthcheck *check = out;
	struct jaco_strings words;
	const char *first;

	if (!jaco_read_strings(read, node, &words) || words.n == 0)
		return;
	if (node->kind == JACO_YAML_SCALAR) {
		check->kind = JACO_HEALTHCHECK_SHELL;
		check->test = words;
		if (strcmp(node->text, "NONE") == 0)
			check->kind = JACO_HEALTHCHECK_DISABLED;
		return;
	}
	first = words.items[0];
	check->test = (struct jaco_strings){.items = words.items + 1, .n = words.n - 1};
	if (strcmp(first, "NONE") == 0) {
		check->kind = JACO_HEALTHCHECK_DISABLED;
		check->test.n = 0;
	} else if (strcmp(first, "CMD-SHELL") == 0) {
		check->kind = JACO_HEALTHCHECK_SHELL;
	} else if (strcmp(first, "CMD") == 0) {
		check->kind = JACO_HEALTHCHECK_CMD;
	} else {
		jaco_read_warn(read, node->pos,
			       "the list does not begin with CMD or CMD-SHELL; CMD is assumed");
		check->kind = JACO_HEALTHCHECK_CMD;
		check->test = words;
	}
	if (check->kind != JACO_HEALTHCHECK_DISABLED && check->test.n == 0)
		jaco_read_error(read, node->pos, "add the command after it",
				"the test has no command");
}

static void fill_disable(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_healthcheck *check = out;
	bool is_disabled = false;

	jaco_fill_bool(read, node, &is_disabled);
	if (is_disabled)
		check->kind = JACO_HEALTHCHECK_DISABLED;
}

static const struct jaco_key_row healthcheck_rows[] = {
	{"disable", JACO_HONOURED, fill_disable, 0, NULL},
	{"interval", JACO_HONOURED, jaco_fill_duration,
	 offsetof(struct jaco_healthcheck, interval_ms), NULL},
	{"retries", JACO_HONOURED, jaco_fill_i64, offsetof(struct jaco_healthcheck, retries), NULL},
	{"start_interval", JACO_HONOURED, jaco_fill_duration,
	 offsetof(struct jaco_healthcheck, start_interval_ms), NULL},
	{"start_period", JACO_HONOURED, jaco_fill_duration,
	 offsetof(struct jaco_healthcheck, start_period_ms), NULL},
	{"test", JACO_HONOURED, fill_test, 0, NULL},
	{"timeout", JACO_HONOURED, jaco_fill_duration,
	 offsetof(struct jaco_healthcheck, timeout_ms), NULL},
	{NULL},
};

void jaco_compose_fill_healthcheck(struct jaco_read *read, const struct jaco_yaml_node *node,
				   void *out)
{
	struct jaco_healthcheck *check = out;

	if (jaco_read_is_unset(node) || !jaco_read_is_map(read, node))
		return;
	check->is_set = node->n > 0;
	jaco_read_rows(read, node, healthcheck_rows, check, "a healthcheck");
	if (check->kind == JACO_HEALTHCHECK_DISABLED)
		check->test.n = 0;
}

/* -- restart ------------------------------------------------------------------------------ */

void jaco_compose_fill_restart(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_restart *restart = out;
	const char *text = NULL;
	uint64_t attempts = 0;

	if (!jaco_read_text(read, node, &text) || !text || !*text)
		return;
	restart->is_set = true;
	if (strcmp(text, "always") == 0 || strcmp(text, "unless-stopped") == 0) {
		restart->kind = JACO_RESTART_ALWAYS;
	} else if (strcmp(text, "no") == 0 || strcmp(text, "false") == 0) {
		restart->kind = JACO_RESTART_NO;
	} else if (strcmp(text, "on-failure") == 0 ||
		   (jaco_str_starts(text, "on-failure:") &&
		    jaco_str_to_u64(text + 11, 100000, &attempts))) {
		restart->kind = JACO_RESTART_ON_FAILURE;
		restart->max_attempts = (uint32_t)attempts;
	} else {
		restart->is_set = false;
		jaco_read_error(read, node->pos,
				"use no, always, unless-stopped, on-failure or on-failure:3",
				"\"%.60s\" is not a restart policy", text);
	}
}
