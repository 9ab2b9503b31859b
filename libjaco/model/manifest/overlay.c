/* SPDX-License-Identifier: Apache-2.0
 *
 * overlay.c - jaco.yaml: the deployment, and what each service adds to compose. */
#include "libjaco/model/manifest/overlay.h"

#include <stdlib.h>
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/model/manifest/compose.h"
#include "libjaco/model/name.h"

static bool choose(struct jaco_read *read, const struct jaco_yaml_node *node,
		   const char *const *words, size_t n, const char *remedy, size_t *out)
{
	const char *text = NULL;

	if (!jaco_read_text(read, node, &text) || !text)
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(text, words[i]) == 0) {
			*out = i;
			return true;
		}
	return jaco_read_error(read, node->pos, remedy, "\"%.60s\" is not known here", text);
}

/* -- health ------------------------------------------------------------------------------- */

struct probe_form {
	struct jaco_probe *probe;
	const char *http, *path;
	struct jaco_opt_i64 interval, timeout, retries;
	struct jaco_pos http_pos;
};

static void fill_expect(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_probe *probe = ((struct probe_form *)out)->probe;
	const char *dash;
	char first[8];
	uint64_t low;
	uint64_t high;

	if (!jaco_read_is_scalar(read, node))
		return;
	dash = strchr(node->text, '-');
	(void)jaco_str_copy(first, sizeof(first), node->text);
	if (dash && (size_t)(dash - node->text) < sizeof(first))
		first[dash - node->text] = '\0';
	if (!jaco_str_to_u64(first, 599, &low) ||
	    !jaco_str_to_u64(dash ? dash + 1 : node->text, 599, &high) || low < 100 || high < low) {
		jaco_read_error(read, node->pos, "write 200 or 200-399",
				"\"%.40s\" is not a range of HTTP statuses", node->text);
		return;
	}
	probe->expect_min = (uint16_t)low;
	probe->expect_max = (uint16_t)high;
}

static void fill_http(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct probe_form *form = out;

	form->probe->kind = JACO_PROBE_HTTP;
	if (!jaco_read_text(read, node, &form->probe->path))
		return;
	if (!form->probe->path || *form->probe->path != '/' ||
	    strpbrk(form->probe->path, " \r\n\t"))
		jaco_read_error(read, node->pos, "write a path such as /up",
				"\"%.60s\" is not a path",
				form->probe->path ? form->probe->path : "");
}

static void fill_tcp(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct probe_form *form = out;

	form->probe->kind = JACO_PROBE_TCP;
	(void)jaco_read_port(read, node, &form->probe->port);
}

static void fill_cmd(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct probe_form *form = out;
	struct jaco_argv argv = {0};

	form->probe->kind = JACO_PROBE_CMD;
	if (!jaco_read_argv(read, node, &argv))
		return;
	if (argv.n == 0)
		jaco_read_error(read, node->pos, "write [\"program\", \"argument\"]",
				"the command is empty");
	form->probe->command = (struct jaco_strings){.items = argv.items, .n = argv.n};
}

static void fill_probe_port(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	(void)jaco_read_port(read, node, &((struct probe_form *)out)->probe->port);
}

static const struct jaco_key_row service_probe_rows[] = {
	{"cmd", JACO_HONOURED, fill_cmd, 0, NULL},
	{"expect", JACO_HONOURED, fill_expect, 0, NULL},
	{"http", JACO_HONOURED, fill_http, 0, NULL},
	{"interval", JACO_HONOURED, jaco_fill_duration, offsetof(struct probe_form, interval),
	 NULL},
	{"port", JACO_HONOURED, fill_probe_port, 0, NULL},
	{"retries", JACO_HONOURED, jaco_fill_i64, offsetof(struct probe_form, retries), NULL},
	{"tcp", JACO_HONOURED, fill_tcp, 0, NULL},
	{"timeout", JACO_HONOURED, jaco_fill_duration, offsetof(struct probe_form, timeout), NULL},
	{NULL},
};

static const struct jaco_key_row route_probe_rows[] = {
	{"expect", JACO_HONOURED, fill_expect, 0, NULL},
	{"interval", JACO_HONOURED, jaco_fill_duration, offsetof(struct probe_form, interval),
	 NULL},
	{"path", JACO_HONOURED, fill_http, 0, NULL},
	{"retries", JACO_HONOURED, jaco_fill_i64, offsetof(struct probe_form, retries), NULL},
	{"timeout", JACO_HONOURED, jaco_fill_duration, offsetof(struct probe_form, timeout), NULL},
	{NULL},
};

void jaco_overlay_read_probe(struct jaco_read *read, const struct jaco_yaml_node *node,
			     bool is_route, struct jaco_probe *probe)
{
	struct probe_form form = {.probe = probe};
	int n_kinds = 0;

	*probe = (struct jaco_probe){.expect_min = 200, .expect_max = 399};
	if (!jaco_read_is_map(read, node))
		return;
	jaco_read_rows(read, node, is_route ? route_probe_rows : service_probe_rows, &form,
		       "health");
	n_kinds = (jaco_yaml_get(node, "http") != NULL) + (jaco_yaml_get(node, "tcp") != NULL) +
		  (jaco_yaml_get(node, "cmd") != NULL) + (jaco_yaml_get(node, "path") != NULL);
	if (n_kinds != 1)
		jaco_read_error(read, node->pos,
				is_route ? "add path: /up"
					 : "write one of http: /up, tcp: 8080, cmd: [...]",
				"health needs exactly one kind of check");
	probe->interval_ms = form.interval.is_set ? form.interval.value : 2000;
	probe->timeout_ms = form.timeout.is_set ? form.timeout.value : 5000;
	probe->retries = form.retries.is_set && form.retries.value > 0
				 ? (uint32_t)JACO_MIN(form.retries.value, 1000)
				 : 3;
	if (probe->interval_ms < 100 || probe->timeout_ms < 1)
		jaco_read_error(read, node->pos, NULL,
				"the interval is at least 100ms and the timeout at least 1ms");
}

/* -- rollout ------------------------------------------------------------------------------ */

static void fill_order(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	static const char *const words[] = {"start-first", "stop-first"};
	struct overlay_service *service = out;
	size_t word = 0;

	if (!choose(read, node, words, 2, "use start-first or stop-first", &word))
		return;
	service->rollout.order = word ? JACO_ORDER_STOP_FIRST : JACO_ORDER_START_FIRST;
	service->rollout.order_is_set = true;
}

static void fill_on_failure(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	static const char *const words[] = {"rollback", "pause", "continue"};
	static const enum jaco_on_failure values[] = {
		JACO_ON_FAILURE_ROLLBACK, JACO_ON_FAILURE_PAUSE, JACO_ON_FAILURE_CONTINUE};
	struct overlay_service *service = out;
	size_t word = 0;

	if (!choose(read, node, words, 3, "use rollback, pause or continue", &word))
		return;
	service->rollout.on_failure = values[word];
	service->on_failure_is_set = true;
}

static void fill_count(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_opt_i64 *count = out;

	if (jaco_read_i64(read, node, 0, 1000000, &count->value))
		count->is_set = true;
}

#define O(member) offsetof(struct overlay_service, member)

static const struct jaco_key_row rollout_rows[] = {
	{"delay", JACO_HONOURED, jaco_fill_duration, O(delay_ms), NULL},
	{"drain", JACO_HONOURED, jaco_fill_duration, O(drain_ms), NULL},
	{"monitor", JACO_HONOURED, jaco_fill_duration, O(monitor_ms), NULL},
	{"on_failure", JACO_HONOURED, fill_on_failure, 0, NULL},
	{"order", JACO_HONOURED, fill_order, 0, NULL},
	{"parallel", JACO_HONOURED, fill_count, O(parallel), NULL},
	{"timeout", JACO_HONOURED, jaco_fill_duration, O(timeout_ms), NULL},
	{NULL},
};

static void fill_rollout(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	if (!jaco_read_is_unset(node) && jaco_read_is_map(read, node))
		jaco_read_rows(read, node, rollout_rows, out, "rollout");
}

/* -- services ----------------------------------------------------------------------------- */

static void fill_name(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct overlay_service *service = out;

	if (jaco_read_text(read, node, &service->name))
		service->pos = node->pos;
}

static void fill_replicas(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct overlay_service *service = out;

	service->replicas_pos = node->pos;
	fill_count(read, node, &service->replicas);
}

static void fill_per_host(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct overlay_service *service = out;

	service->replicas_pos = node->pos;
	if (jaco_read_i64(read, node, 1, 1000000, &service->per_host.value))
		service->per_host.is_set = true;
}

static void fill_placement(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	static const enum jaco_placement values[] = {JACO_PLACE_SPREAD, JACO_PLACE_PACK,
						     JACO_PLACE_HOSTS, JACO_PLACE_GLOBAL};
	struct overlay_service *service = out;
	const char *text = NULL;

	service->placement_pos = node->pos;
	if (!jaco_read_text(read, node, &text) || !text)
		return;
	for (size_t i = 0; i < JACO_ARRAY_SIZE(values); i++)
		if (strcmp(text, jaco_placement_name(values[i])) == 0) {
			service->placement = values[i];
			service->placement_is_set = true;
			return;
		}
	jaco_read_error(read, node->pos, "use spread, pack, hosts or global",
			"\"%.60s\" is not a placement", text);
}

static void fill_hosts(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct overlay_service *service = out;
	struct jaco_err err;

	service->hosts_pos = node->pos;
	if (!jaco_read_strings(read, node, &service->hosts))
		return;
	for (size_t i = 0; i < service->hosts.n; i++)
		if (jaco_name_check_host(service->hosts.items[i], &err) < 0)
			jaco_read_error(read,
					node->kind == JACO_YAML_SEQ ? node->entries[i].value->pos
								    : node->pos,
					NULL, "%s", err.text);
	jaco_strings_sort(&service->hosts, true);
}

static void fill_networks(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct overlay_service *service = out;

	service->networks_pos = node->pos;
	if (!jaco_compose_check_count(read, node, JACO_NETWORKS_PER_SERVICE,
				      "networks of one service") ||
	    !jaco_read_strings(read, node, &service->networks))
		return;
	for (size_t i = 0; i < service->networks.n; i++)
		if (strcmp(service->networks.items[i], "default") == 0)
			service->networks.items[i] = JACO_DEFAULT_NETWORK;
	jaco_strings_sort(&service->networks, true);
}

static void fill_constraints(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct overlay_service *service = out;

	jaco_compose_read_constraints(read, node, &service->constraints, &service->n_constraints);
}

static void fill_health(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct overlay_service *service = out;

	service->probe_pos = node->pos;
	if (!jaco_read_is_unset(node))
		jaco_overlay_read_probe(read, node, false, &service->probe);
}

static void fill_failover(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	static const char *const words[] = {"reschedule", "stay"};
	struct overlay_service *service = out;
	size_t word = 0;

	if (!choose(read, node, words, 2, "use reschedule or stay", &word))
		return;
	service->failover_is_set = true;
	service->failover_stay = word == 1;
}

static const struct jaco_key_row service_rows[] = {
	{"constraints", JACO_HONOURED, fill_constraints, 0, NULL},
	{"failover", JACO_HONOURED, fill_failover, 0, NULL},
	{"health", JACO_HONOURED, fill_health, 0, NULL},
	{"hosts", JACO_HONOURED, fill_hosts, 0, NULL},
	{"name", JACO_HONOURED, fill_name, 0, NULL},
	{"networks", JACO_HONOURED, fill_networks, 0, NULL},
	{"per_host", JACO_HONOURED, fill_per_host, 0, NULL},
	{"placement", JACO_HONOURED, fill_placement, 0, NULL},
	{"replicas", JACO_HONOURED, fill_replicas, 0, NULL},
	{"rollout", JACO_HONOURED, fill_rollout, 0, NULL},
	{"single", JACO_HONOURED, jaco_fill_bool, O(is_single), NULL},
	{NULL},
};

static void fill_services(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct overlay *overlay = out;

	if (jaco_read_is_unset(node) || !jaco_read_is_seq(read, node))
		return;
	if (node->n > JACO_SERVICES_MAX) {
		jaco_read_error_code(read, JACO_LIMIT_EXCEEDED, node->pos, "split the deployment",
				     "%zu services, at most %d fit into a cluster", node->n,
				     JACO_SERVICES_MAX);
		return;
	}
	overlay->services =
		jaco_arena_alloc_n(read->arena, node->n + 1, sizeof(*overlay->services));
	for (size_t i = 0; i < node->n; i++) {
		struct overlay_service *service = &overlay->services[overlay->n_services];
		const struct jaco_yaml_node *item = node->entries[i].value;

		jaco_read_push_index(read, i);
		if (jaco_read_is_map(read, item)) {
			service->pos = item->pos;
			jaco_read_rows(read, item, service_rows, service, "a service of jaco.yaml");
			if (service->name)
				overlay->n_services++;
			else
				jaco_read_error(read, item->pos, "add name: with a compose service",
						"a service needs a name");
		}
		jaco_read_pop(read);
	}
}

/* -- the document ------------------------------------------------------------------------- */

static void fill_deployment(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct overlay *overlay = out;
	struct jaco_err err;

	if (!jaco_read_text(read, node, &overlay->deployment) || !overlay->deployment)
		return;
	if (jaco_name_check_deployment(overlay->deployment, &err) < 0)
		jaco_read_error(read, node->pos, NULL, "%s", err.text);
}

static void fill_email(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	const char *text = NULL;
	const char *at;

	if (!jaco_read_text(read, node, &text) || !text || !*text)
		return;
	at = strchr(text, '@');
	if (!at || at == text || !at[1] || strpbrk(text, " \t\r\n<>\""))
		jaco_read_error(read, node->pos, "write an address such as ops@example.com",
				"\"%.80s\" is not an e-mail address", text);
	else
		((struct overlay *)out)->acme_email = text;
}

static void fill_routes(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	jaco_overlay_read_routes(read, node, out);
}

static const struct jaco_key_row document_rows[] = {
	{"acme", JACO_HONOURED, jaco_fill_bool, offsetof(struct overlay, acme), NULL},
	{"acme_email", JACO_HONOURED, fill_email, 0, NULL},
	{"deployment", JACO_HONOURED, fill_deployment, 0, NULL},
	{"environment", JACO_HONOURED, jaco_fill_text, offsetof(struct overlay, environment), NULL},
	{"routes", JACO_HONOURED, fill_routes, 0, NULL},
	{"services", JACO_HONOURED, fill_services, 0, NULL},
	{NULL},
};

void jaco_overlay_read(struct jaco_read *read, const struct jaco_yaml_node *root,
		       struct overlay *out)
{
	*out = (struct overlay){.acme = true};
	if (jaco_yaml_is_null(root)) {
		jaco_read_error(read, root->pos, "write at least \"deployment: name\"",
				"jaco.yaml is empty");
		return;
	}
	if (!jaco_read_is_map(read, root))
		return;
	jaco_read_rows(read, root, document_rows, out, "jaco.yaml");
	if (!out->deployment)
		jaco_read_error(read, root->pos, "add \"deployment: name\"",
				"jaco.yaml needs a deployment name");
}
