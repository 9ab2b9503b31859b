/* SPDX-License-Identifier: Apache-2.0
 *
 * compose_deploy.c - deploy:, gpus:, cpus:, ulimits: and blkio_config: of a service. */
#include <stdlib.h>
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/model/manifest/compose.h"

static const char *arch_name(const char *text)
{
	static const char *const same[][2] = {
		{"x86_64", "amd64"}, {"x86-64", "amd64"}, {"aarch64", "arm64"}, {"armhf", "arm"}};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(same); i++)
		if (strcmp(text, same[i][0]) == 0)
			return same[i][1];
	return text;
}

static char *trim(struct jaco_arena *arena, const char *text, size_t n)
{
	while (n > 0 && jaco_ascii_is_space(*text)) {
		text++;
		n--;
	}
	while (n > 0 && jaco_ascii_is_space(text[n - 1]))
		n--;
	return jaco_arena_strndup(arena, text, n);
}

/* False after a report.  *out_ignored: understood, but says nothing here (node.role). */
static bool read_constraint(struct jaco_read *read, const struct jaco_yaml_node *node,
			    struct jaco_constraint *out, bool *out_ignored)
{
	const char *op;
	const char *subject;
	struct jaco_constraint constraint = {0};

	*out_ignored = false;
	if (!jaco_read_is_scalar(read, node))
		return false;
	op = strstr(node->text, "==");
	if (!op) {
		op = strstr(node->text, "!=");
		constraint.is_negated = true;
	}
	if (!op)
		return jaco_read_error(read, node->pos, "write \"node.labels.disk == ssd\"",
				       "\"%.80s\" has neither == nor !=", node->text);
	subject = trim(read->arena, node->text, (size_t)(op - node->text));
	constraint.value = trim(read->arena, op + 2, strlen(op + 2));
	if (strcmp(subject, "node.role") == 0 || jaco_str_starts(subject, "engine.labels.") ||
	    strcmp(subject, "node.id") == 0) {
		jaco_read_warn(read, node->pos, "constraint on %.40s is ignored: %s", subject,
			       strcmp(subject, "node.role") == 0 ? "every JACO node is equal"
								 : "use node.labels.<key>");
		*out_ignored = true;
		return true;
	}
	if (strcmp(subject, "node.hostname") == 0) {
		constraint.subject = JACO_CONSTRAINT_HOSTNAME;
	} else if (jaco_str_starts(subject, "node.labels.") && subject[12]) {
		constraint.subject = JACO_CONSTRAINT_LABEL;
		constraint.label = subject + 12;
	} else if (strcmp(subject, "node.platform.arch") == 0) {
		constraint.subject = JACO_CONSTRAINT_ARCH;
		constraint.value = arch_name(constraint.value);
	} else if (strcmp(subject, "node.platform.os") == 0) {
		constraint.subject = JACO_CONSTRAINT_OS;
	} else {
		return jaco_read_error(read, node->pos,
				       "use node.hostname, node.labels.<key> or node.platform.arch",
				       "constraint subject \"%.60s\" is not known", subject);
	}
	if (!*constraint.value)
		return jaco_read_error(read, node->pos, "write \"node.labels.disk == ssd\"",
				       "the constraint has no value");
	*out = constraint;
	return true;
}

void jaco_compose_read_constraints(struct jaco_read *read, const struct jaco_yaml_node *list,
				   struct jaco_constraint **out, size_t *out_n)
{
	if (jaco_read_is_unset(list) || !jaco_read_is_seq(read, list))
		return;
	*out = jaco_arena_alloc_n(read->arena, list->n + 1, sizeof(**out));
	for (size_t i = 0; i < list->n; i++) {
		bool is_ignored;

		jaco_read_push_index(read, i);
		if (read_constraint(read, list->entries[i].value, &(*out)[*out_n], &is_ignored) &&
		    !is_ignored)
			++*out_n;
		jaco_read_pop(read);
	}
}

/* -- placement ---------------------------------------------------------------------------- */

static void fill_constraints(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_service *service = out;

	jaco_compose_read_constraints(read, node, &service->constraints, &service->n_constraints);
}

static void fill_max_per_node(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	int64_t value;

	if (!jaco_read_is_unset(node) && jaco_read_i64(read, node, 0, JACO_REPLICAS_MAX, &value))
		*(uint32_t *)out = (uint32_t)value;
}

static const struct jaco_key_row placement_rows[] = {
	{"constraints", JACO_HONOURED, fill_constraints, 0, NULL},
	{"max_replicas_per_node", JACO_HONOURED, fill_max_per_node,
	 offsetof(struct jaco_service, max_replicas_per_node), NULL},
	{"preferences", JACO_IGNORED, NULL, 0,
	 "preferences are ignored: replicas are spread over nodes"},
	{NULL},
};

static void fill_placement(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct compose_service *service = out;

	if (!jaco_read_is_unset(node) && jaco_read_is_map(read, node))
		jaco_read_rows(read, node, placement_rows, &service->s, "deploy.placement");
}

/* -- resources ---------------------------------------------------------------------------- */

void jaco_compose_fill_cpus(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_opt_i64 *nano = out;
	double cpus;

	if (jaco_read_is_unset(node) || !jaco_read_decimal(read, node, &cpus))
		return;
	if (cpus > 4096) {
		jaco_read_error(read, node->pos, "write a number of CPUs such as 0.5",
				"%.0f CPUs are more than any node has", cpus);
		return;
	}
	*nano = (struct jaco_opt_i64){.is_set = cpus > 0, .value = (int64_t)(cpus * 1e9 + 0.5)};
}

static bool read_device_request(struct jaco_read *read, const struct jaco_yaml_node *node,
				bool is_gpu, struct jaco_device_request *out);

static void add_requests(struct jaco_read *read, const struct jaco_yaml_node *node, bool is_gpu,
			 struct jaco_service *service)
{
	struct jaco_device_request *list;

	if (jaco_read_is_unset(node) || !jaco_read_is_seq(read, node))
		return;
	list = jaco_arena_alloc_n(read->arena, service->n_device_requests + node->n + 1,
				  sizeof(*list));
	if (service->n_device_requests)
		memcpy(list, service->device_requests, service->n_device_requests * sizeof(*list));
	service->device_requests = list;
	for (size_t i = 0; i < node->n; i++) {
		jaco_read_push_index(read, i);
		service->n_device_requests += read_device_request(
			read, node->entries[i].value, is_gpu, &list[service->n_device_requests]);
		jaco_read_pop(read);
	}
}

struct request_form {
	const char *driver, *count;
	struct jaco_strings device_ids, capabilities;
	struct jaco_pairs options;
};

static const struct jaco_key_row request_rows[] = {
	{"capabilities", JACO_HONOURED, jaco_fill_set, offsetof(struct request_form, capabilities),
	 NULL},
	{"count", JACO_HONOURED, jaco_fill_text, offsetof(struct request_form, count), NULL},
	{"device_ids", JACO_HONOURED, jaco_fill_set, offsetof(struct request_form, device_ids),
	 NULL},
	{"driver", JACO_HONOURED, jaco_fill_text, offsetof(struct request_form, driver), NULL},
	{"options", JACO_HONOURED, jaco_fill_pairs, offsetof(struct request_form, options), NULL},
	{NULL},
};

static bool read_device_request(struct jaco_read *read, const struct jaco_yaml_node *node,
				bool is_gpu, struct jaco_device_request *out)
{
	struct request_form form = {0};
	uint64_t count = 0;

	if (!jaco_read_is_map(read, node))
		return false;
	jaco_read_rows(read, node, request_rows, &form, "a device request");
	if (form.count && strcmp(form.count, "all") != 0 &&
	    !jaco_str_to_u64(form.count, 1024, &count))
		return jaco_read_error(read, node->pos, "write a number or all",
				       "\"%.40s\" is not a count", form.count);
	if (form.count && form.device_ids.n)
		return jaco_read_error(read, node->pos, "keep one of them",
				       "count and device_ids exclude each other");
	if (is_gpu && form.capabilities.n == 0)
		jaco_strings_add(read->arena, &form.capabilities, "gpu");
	else if (is_gpu && !jaco_strings_has(&form.capabilities, "gpu")) {
		jaco_strings_add(read->arena, &form.capabilities, "gpu");
		jaco_strings_sort(&form.capabilities, true);
	}
	*out = (struct jaco_device_request){
		.driver = form.driver,
		.count = form.device_ids.n                              ? 0
			 : form.count && strcmp(form.count, "all") != 0 ? (int64_t)count
									: -1,
		.device_ids = form.device_ids,
		.capabilities = form.capabilities,
		.options = form.options,
	};
	return true;
}

void jaco_compose_fill_gpus(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct compose_service *service = out;

	if (node->kind == JACO_YAML_SCALAR && strcmp(node->text, "all") == 0) {
		struct jaco_device_request *request = jaco_arena_alloc_n(
			read->arena, service->s.n_device_requests + 1, sizeof(*request));

		if (service->s.n_device_requests)
			memcpy(request, service->s.device_requests,
			       service->s.n_device_requests * sizeof(*request));
		service->s.device_requests = request;
		request += service->s.n_device_requests++;
		request->count = -1;
		jaco_strings_add(read->arena, &request->capabilities, "gpu");
		return;
	}
	add_requests(read, node, true, &service->s);
}

static void fill_reserved_devices(struct jaco_read *read, const struct jaco_yaml_node *node,
				  void *out)
{
	struct compose_service *service = out;

	add_requests(read, node, false, &service->s);
}

static void fill_deploy_pids(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	jaco_fill_i64(read, node, out);
}

#define RESOURCE(member) (offsetof(struct compose_service, deploy_resources.member))

static const struct jaco_key_row limit_rows[] = {
	{"cpus", JACO_HONOURED, jaco_compose_fill_cpus, RESOURCE(nano_cpus), NULL},
	{"memory", JACO_HONOURED, jaco_fill_size, RESOURCE(memory_bytes), NULL},
	{"pids", JACO_HONOURED, fill_deploy_pids, RESOURCE(pids), NULL},
	{NULL},
};

static const struct jaco_key_row reservation_rows[] = {
	{"cpus", JACO_HONOURED, jaco_compose_fill_cpus, RESOURCE(reserved_nano_cpus), NULL},
	{"devices", JACO_HONOURED, fill_reserved_devices, 0, NULL},
	{"generic_resources", JACO_REFUSED, NULL, 0, "label the nodes and use a constraint"},
	{"memory", JACO_HONOURED, jaco_fill_size, RESOURCE(memory_reservation), NULL},
	{NULL},
};

static void fill_limits(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	if (!jaco_read_is_unset(node) && jaco_read_is_map(read, node))
		jaco_read_rows(read, node, limit_rows, out, "deploy.resources.limits");
}

static void fill_reservations(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	if (!jaco_read_is_unset(node) && jaco_read_is_map(read, node))
		jaco_read_rows(read, node, reservation_rows, out, "deploy.resources.reservations");
}

static const struct jaco_key_row resources_rows[] = {
	{"limits", JACO_HONOURED, fill_limits, 0, NULL},
	{"reservations", JACO_HONOURED, fill_reservations, 0, NULL},
	{NULL},
};

static void fill_resources(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	if (!jaco_read_is_unset(node) && jaco_read_is_map(read, node))
		jaco_read_rows(read, node, resources_rows, out, "deploy.resources");
}

/* -- update_config, restart_policy, mode -------------------------------------------------- */

static void fill_order(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_rollout *rollout = out;
	const char *text = NULL;

	if (!jaco_read_text(read, node, &text) || !text || !*text)
		return;
	rollout->order_is_set = true;
	if (strcmp(text, "start-first") == 0)
		rollout->order = JACO_ORDER_START_FIRST;
	else if (strcmp(text, "stop-first") == 0)
		rollout->order = JACO_ORDER_STOP_FIRST;
	else
		jaco_read_error(read, node->pos, "use start-first or stop-first",
				"\"%.40s\" is not an order", text);
}

static void fill_failure_action(struct jaco_read *read, const struct jaco_yaml_node *node,
				void *out)
{
	struct jaco_rollout *rollout = out;
	const char *text = NULL;

	if (!jaco_read_text(read, node, &text) || !text || !*text)
		return;
	if (strcmp(text, "rollback") == 0)
		rollout->on_failure = JACO_ON_FAILURE_ROLLBACK;
	else if (strcmp(text, "pause") == 0)
		rollout->on_failure = JACO_ON_FAILURE_PAUSE;
	else if (strcmp(text, "continue") == 0)
		rollout->on_failure = JACO_ON_FAILURE_CONTINUE;
	else
		jaco_read_error(read, node->pos, "use rollback, pause or continue",
				"\"%.40s\" is not a failure action", text);
}

static void fill_parallel(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	int64_t value;

	if (!jaco_read_is_unset(node) && jaco_read_i64(read, node, 0, JACO_REPLICAS_MAX, &value))
		*(uint32_t *)out = (uint32_t)value;
}

static void fill_ms(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	if (!jaco_read_is_unset(node))
		(void)jaco_read_duration(read, node, out);
}

static void fill_ratio(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	double value;

	if (jaco_read_is_unset(node) || !jaco_read_decimal(read, node, &value))
		return;
	if (value > 1)
		jaco_read_error(read, node->pos, "write a part such as 0.2",
				"a ratio is between 0 and 1");
	else
		*(double *)out = value;
}

static const struct jaco_key_row update_rows[] = {
	{"delay", JACO_HONOURED, fill_ms, offsetof(struct jaco_rollout, delay_ms), NULL},
	{"failure_action", JACO_HONOURED, fill_failure_action, 0, NULL},
	{"max_failure_ratio", JACO_HONOURED, fill_ratio,
	 offsetof(struct jaco_rollout, max_failure_ratio), NULL},
	{"monitor", JACO_HONOURED, fill_ms, offsetof(struct jaco_rollout, monitor_ms), NULL},
	{"order", JACO_HONOURED, fill_order, 0, NULL},
	{"parallelism", JACO_HONOURED, fill_parallel, offsetof(struct jaco_rollout, parallel),
	 NULL},
	{NULL},
};

static void fill_update(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct compose_service *service = out;

	if (jaco_read_is_unset(node) || !jaco_read_is_map(read, node))
		return;
	service->has_update_config = true;
	jaco_read_rows(read, node, update_rows, &service->s.rollout, "deploy.update_config");
}

static void fill_condition(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_restart *restart = out;
	const char *text = NULL;

	if (!jaco_read_text(read, node, &text) || !text || !*text)
		return;
	restart->is_set = true;
	if (strcmp(text, "any") == 0 || strcmp(text, "always") == 0 ||
	    strcmp(text, "unless-stopped") == 0)
		restart->kind = JACO_RESTART_ALWAYS;
	else if (strcmp(text, "on-failure") == 0)
		restart->kind = JACO_RESTART_ON_FAILURE;
	else if (strcmp(text, "none") == 0 || strcmp(text, "no") == 0)
		restart->kind = JACO_RESTART_NO;
	else
		jaco_read_error(read, node->pos, "use any, on-failure or none",
				"\"%.40s\" is not a restart condition", text);
}

static void fill_attempts(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	int64_t value;

	if (!jaco_read_is_unset(node) && jaco_read_i64(read, node, 0, 100000, &value))
		*(uint32_t *)out = (uint32_t)value;
}

static const struct jaco_key_row policy_rows[] = {
	{"condition", JACO_HONOURED, fill_condition, 0, NULL},
	{"delay", JACO_HONOURED, jaco_fill_duration, offsetof(struct jaco_restart, delay_ms), NULL},
	{"max_attempts", JACO_HONOURED, fill_attempts, offsetof(struct jaco_restart, max_attempts),
	 NULL},
	{"window", JACO_HONOURED, jaco_fill_duration, offsetof(struct jaco_restart, window_ms),
	 NULL},
	{NULL},
};

static void fill_policy(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct compose_service *service = out;

	if (jaco_read_is_unset(node) || !jaco_read_is_map(read, node))
		return;
	service->has_deploy_restart = true;
	service->deploy_restart.is_set = true;
	jaco_read_rows(read, node, policy_rows, &service->deploy_restart, "deploy.restart_policy");
}

static void fill_deploy_mode(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct compose_service *service = out;
	const char *text = NULL;

	if (!jaco_read_text(read, node, &text) || !text || !*text)
		return;
	service->mode_pos = node->pos;
	if (strcmp(text, "global") == 0)
		service->is_global = true;
	else if (strcmp(text, "replicated-job") == 0 || strcmp(text, "global-job") == 0)
		jaco_read_error(read, node->pos, "use restart: \"no\" for a one-shot service",
				"deploy mode %s is not supported", text);
	else if (strcmp(text, "replicated") != 0)
		jaco_read_error(read, node->pos, "use replicated or global",
				"\"%.40s\" is not a deploy mode", text);
}

static void fill_deploy_replicas(struct jaco_read *read, const struct jaco_yaml_node *node,
				 void *out)
{
	struct compose_service *service = out;

	if (jaco_read_is_unset(node))
		return;
	service->replicas_pos = node->pos;
	if (jaco_read_i64(read, node, 0, 1000000, &service->deploy_replicas.value))
		service->deploy_replicas.is_set = true;
}

static const struct jaco_key_row deploy_rows[] = {
	{"endpoint_mode", JACO_IGNORED, NULL, 0,
	 "endpoint_mode is ignored: service names resolve to all replicas"},
	{"labels", JACO_IGNORED, NULL, 0,
	 "labels of deploy are ignored: put them under the service's labels"},
	{"mode", JACO_HONOURED, fill_deploy_mode, 0, NULL},
	{"placement", JACO_HONOURED, fill_placement, 0, NULL},
	{"replicas", JACO_HONOURED, fill_deploy_replicas, 0, NULL},
	{"resources", JACO_HONOURED, fill_resources, 0, NULL},
	{"restart_policy", JACO_DIFFERENCE, fill_policy, 0,
	 "the scheduler restarts: the policy sets its budget"},
	{"rollback_config", JACO_IGNORED, NULL, 0,
	 "rollback_config is ignored: a rollback rolls out like any revision"},
	{"update_config", JACO_HONOURED, fill_update, 0, NULL},
	{NULL},
};

void jaco_compose_fill_deploy(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	if (!jaco_read_is_unset(node) && jaco_read_is_map(read, node))
		jaco_read_rows(read, node, deploy_rows, out, "deploy");
}

/* -- ulimits, blkio ----------------------------------------------------------------------- */

struct ulimit_form {
	struct jaco_opt_i64 soft, hard;
};

static const struct jaco_key_row ulimit_rows[] = {
	{"hard", JACO_HONOURED, jaco_fill_i64, offsetof(struct ulimit_form, hard), NULL},
	{"soft", JACO_HONOURED, jaco_fill_i64, offsetof(struct ulimit_form, soft), NULL},
	{NULL},
};

static int compare_ulimits(const void *a, const void *b)
{
	return strcmp(((const struct jaco_ulimit *)a)->name, ((const struct jaco_ulimit *)b)->name);
}

void jaco_compose_fill_ulimits(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct compose_service *service = out;
	struct jaco_service *s = &service->s;

	if (jaco_read_is_unset(node) || !jaco_read_is_map(read, node))
		return;
	s->ulimits = jaco_arena_alloc_n(read->arena, node->n + 1, sizeof(*s->ulimits));
	for (size_t i = 0; i < node->n; i++) {
		const struct jaco_yaml_entry *entry = &node->entries[i];
		struct ulimit_form form = {0};

		jaco_read_push(read, entry->key);
		if (entry->value->kind == JACO_YAML_MAP) {
			jaco_read_rows(read, entry->value, ulimit_rows, &form, "a ulimit");
			if (!form.soft.is_set)
				form.soft = form.hard;
			if (!form.hard.is_set)
				form.hard = form.soft;
		} else if (jaco_read_i64(read, entry->value, -1, INT64_MAX / 2, &form.soft.value)) {
			form.soft.is_set = true;
			form.hard = form.soft;
		}
		if (form.soft.is_set)
			s->ulimits[s->n_ulimits++] = (struct jaco_ulimit){.name = entry->key,
									  .soft = form.soft.value,
									  .hard = form.hard.value};
		jaco_read_pop(read);
	}
	if (s->n_ulimits > 1)
		qsort(s->ulimits, s->n_ulimits, sizeof(*s->ulimits), compare_ulimits);
}

struct blkio_form {
	const char *path;
	struct jaco_opt_i64 rate, weight;
};

static const struct jaco_key_row blkio_item_rows[] = {
	{"path", JACO_HONOURED, jaco_fill_text, offsetof(struct blkio_form, path), NULL},
	{"rate", JACO_HONOURED, jaco_fill_size, offsetof(struct blkio_form, rate), NULL},
	{"weight", JACO_HONOURED, jaco_fill_i64, offsetof(struct blkio_form, weight), NULL},
	{NULL},
};

static void fill_blkio_list(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_blkio_list *list = out;

	if (jaco_read_is_unset(node) || !jaco_read_is_seq(read, node))
		return;
	list->items = jaco_arena_alloc_n(read->arena, node->n + 1, sizeof(*list->items));
	for (size_t i = 0; i < node->n; i++) {
		struct blkio_form form = {0};
		const struct jaco_yaml_node *item = node->entries[i].value;

		jaco_read_push_index(read, i);
		if (jaco_read_is_map(read, item)) {
			jaco_read_rows(read, item, blkio_item_rows, &form, "a blkio device");
			if (!form.path || (!form.rate.is_set && !form.weight.is_set))
				jaco_read_error(read, item->pos, "add path: and rate: or weight:",
						"a blkio device needs a path and a value");
			else
				list->items[list->n++] = (struct jaco_blkio_device){
					.path = form.path,
					.value = (uint64_t)(form.rate.is_set ? form.rate.value
									     : form.weight.value)};
		}
		jaco_read_pop(read);
	}
}

static void fill_blkio_weight(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	int64_t value;

	if (!jaco_read_is_unset(node) && jaco_read_i64(read, node, 0, 1000, &value))
		*(uint16_t *)out = (uint16_t)value;
}

static const struct jaco_key_row blkio_rows[] = {
	{"device_read_bps", JACO_HONOURED, fill_blkio_list, offsetof(struct jaco_blkio, read_bps),
	 NULL},
	{"device_read_iops", JACO_HONOURED, fill_blkio_list, offsetof(struct jaco_blkio, read_iops),
	 NULL},
	{"device_write_bps", JACO_HONOURED, fill_blkio_list, offsetof(struct jaco_blkio, write_bps),
	 NULL},
	{"device_write_iops", JACO_HONOURED, fill_blkio_list,
	 offsetof(struct jaco_blkio, write_iops), NULL},
	{"weight", JACO_HONOURED, fill_blkio_weight, offsetof(struct jaco_blkio, weight), NULL},
	{"weight_device", JACO_HONOURED, fill_blkio_list,
	 offsetof(struct jaco_blkio, weight_device), NULL},
	{NULL},
};

void jaco_compose_fill_blkio(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	if (!jaco_read_is_unset(node) && jaco_read_is_map(read, node))
		jaco_read_rows(read, node, blkio_rows, out, "blkio_config");
}
