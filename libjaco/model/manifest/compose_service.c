/* SPDX-License-Identifier: Apache-2.0
 *
 * compose_service.c - one row per key of a service: what happens to everything a person may write
 * there (spec/manifests.md section 3.4). */
#include <stdlib.h>
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/model/manifest/compose.h"

static void fill_image(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct compose_service *service = out;

	service->image_pos = node->pos;
	jaco_fill_text(read, node, &service->s.image);
	if (service->s.image && strlen(service->s.image) > JACO_IMAGE_MAX)
		jaco_read_error(read, node->pos, NULL, "an image name has at most %d characters",
				JACO_IMAGE_MAX);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A name without a value was looked up by the client; what is left without one is unset. */
static void fill_environment(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_service *service = &((struct compose_service *)out)->s;
	struct jaco_strings *unset = &service->environment_unset;
	struct jaco_yaml_node kept = *node;

	if (jaco_yaml_is_null(node))
		return;
	kept.n = 0;
	kept.entries = jaco_arena_alloc_n(read->arena, node->n + 1, sizeof(*kept.entries));
	unset->items = jaco_arena_alloc_n(read->arena, node->n + 1, sizeof(*unset->items));
	for (size_t i = 0; i < node->n; i++) {
		const struct jaco_yaml_node *value = node->entries[i].value;
		const char *key = node->entries[i].key;
		bool is_bare = value->kind == JACO_YAML_SCALAR &&
			       (key ? jaco_yaml_is_null(value) : !strchr(value->text, '='));

		if ((key && !*key) ||
		    (!key && value->kind == JACO_YAML_SCALAR && *value->text == '='))
			jaco_read_error(read, value->pos, "write NAME=value",
					"an environment variable needs a name");
		else if (is_bare)
			unset->items[unset->n++] = key ? key : value->text;
		else
			kept.entries[kept.n++] = node->entries[i];
	}
	if (unset->n > 1)
		qsort(unset->items, unset->n, sizeof(*unset->items), compare_names);
	(void)jaco_read_pairs(read, &kept, &service->environment);
}

static void fill_env_file(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	(void)out;
	if (!jaco_read_is_unset(node) && !(node->kind == JACO_YAML_SEQ && node->n == 0))
		jaco_read_error_code(read, JACO_ENV_FILE_UNRESOLVED, node->pos,
				     "apply with the jaco command, which folds the files in",
				     "env_file must be folded into environment by the client");
}

static void fill_extends(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	(void)out;
	if (!jaco_read_is_unset(node))
		jaco_read_error(read, node->pos, "apply with the jaco command, which folds it in",
				"extends must be resolved by the client");
}

static void fill_pull_policy(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	const char *text = NULL;
	enum jaco_pull_policy *policy = out;

	if (!jaco_read_text(read, node, &text) || !text || !*text)
		return;
	if (strcmp(text, "always") == 0)
		*policy = JACO_PULL_ALWAYS;
	else if (strcmp(text, "never") == 0)
		*policy = JACO_PULL_NEVER;
	else if (strcmp(text, "missing") == 0 || strcmp(text, "if_not_present") == 0 ||
		 strcmp(text, "build") == 0)
		*policy = JACO_PULL_MISSING;
	else if (strcmp(text, "daily") == 0 || strcmp(text, "weekly") == 0 ||
		 jaco_str_starts(text, "every_"))
		jaco_read_warn(read, node->pos, "pull_policy %.20s is treated as missing", text);
	else
		jaco_read_error(read, node->pos, "use always, missing, if_not_present or never",
				"\"%.40s\" is not a pull policy", text);
}

struct build_form {
	struct jaco_build b;
};

static const struct jaco_key_row build_rows[] = {
	{"additional_contexts", JACO_SILENT, NULL, 0, NULL},
	{"args", JACO_HONOURED, jaco_fill_pairs, offsetof(struct jaco_build, args), NULL},
	{"cache_from", JACO_SILENT, NULL, 0, NULL},
	{"cache_to", JACO_SILENT, NULL, 0, NULL},
	{"context", JACO_HONOURED, jaco_fill_text, offsetof(struct jaco_build, context), NULL},
	{"dockerfile", JACO_HONOURED, jaco_fill_text, offsetof(struct jaco_build, dockerfile),
	 NULL},
	{"dockerfile_inline", JACO_SILENT, NULL, 0, NULL},
	{"entitlements", JACO_SILENT, NULL, 0, NULL},
	{"extra_hosts", JACO_SILENT, NULL, 0, NULL},
	{"isolation", JACO_SILENT, NULL, 0, NULL},
	{"labels", JACO_SILENT, NULL, 0, NULL},
	{"network", JACO_SILENT, NULL, 0, NULL},
	{"no_cache", JACO_SILENT, NULL, 0, NULL},
	{"platforms", JACO_SILENT, NULL, 0, NULL},
	{"privileged", JACO_SILENT, NULL, 0, NULL},
	{"provenance", JACO_SILENT, NULL, 0, NULL},
	{"pull", JACO_SILENT, NULL, 0, NULL},
	{"sbom", JACO_SILENT, NULL, 0, NULL},
	{"secrets", JACO_SILENT, NULL, 0, NULL},
	{"shm_size", JACO_SILENT, NULL, 0, NULL},
	{"ssh", JACO_SILENT, NULL, 0, NULL},
	{"tags", JACO_SILENT, NULL, 0, NULL},
	{"target", JACO_HONOURED, jaco_fill_text, offsetof(struct jaco_build, target), NULL},
	{"ulimits", JACO_SILENT, NULL, 0, NULL},
	{NULL},
};

static void fill_build(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_build *build = out;

	if (jaco_read_is_unset(node))
		return;
	build->is_set = true;
	if (node->kind == JACO_YAML_SCALAR)
		build->context = node->text;
	else if (jaco_read_is_map(read, node))
		jaco_read_rows(read, node, build_rows, build, "build");
}

static void fill_ipc(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	const char *text = NULL;

	if (!jaco_read_text(read, node, &text) || !text || !*text)
		return;
	if (jaco_str_starts(text, "container:"))
		jaco_read_error(read, node->pos,
				"use \"service:<name>\" with a service of this file",
				"sharing \"%.60s\" is not supported", text);
	else
		*(const char **)out = text;
}

static void fill_cpu_time(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_opt_i64 *us = out;
	int64_t ms;

	if (jaco_read_is_unset(node) || !jaco_read_is_scalar(read, node))
		return;
	/* "50ms", or a bare number of microseconds */
	if (jaco_read_parse_duration(node->text, false, &ms) && ms > 0)
		*us = (struct jaco_opt_i64){.is_set = true, .value = ms * 1000};
	else
		jaco_fill_i64(read, node, us);
}

static void fill_memswap(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_opt_i64 *bytes = out;

	if (node->kind == JACO_YAML_SCALAR && strcmp(node->text, "-1") == 0)
		*bytes = (struct jaco_opt_i64){.is_set = true, .value = -1};
	else
		jaco_fill_size(read, node, bytes);
}

static const struct jaco_key_row logging_rows[] = {
	{"driver", JACO_HONOURED, jaco_fill_text, offsetof(struct jaco_logging, driver), NULL},
	{"options", JACO_HONOURED, jaco_fill_pairs, offsetof(struct jaco_logging, options), NULL},
	{NULL},
};

static void fill_logging(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	if (!jaco_read_is_unset(node) && jaco_read_is_map(read, node))
		jaco_read_rows(read, node, logging_rows, out, "logging");
}

static void fill_scale(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct compose_service *service = out;

	if (jaco_read_is_unset(node))
		return;
	service->replicas_pos = node->pos;
	if (jaco_read_i64(read, node, 0, 1000000, &service->scale.value))
		service->scale.is_set = true;
}

#define S(member)   (offsetof(struct compose_service, s) + offsetof(struct jaco_service, member))
#define R(member)   (offsetof(struct compose_service, s.resources.member))
#define OWN(member) offsetof(struct compose_service, member)

static const struct jaco_key_row service_rows[] = {
	{"annotations", JACO_HONOURED, jaco_fill_pairs, S(annotations), NULL},
	{"attach", JACO_IGNORED, NULL, 0, "attach is ignored: read the output with jaco logs"},
	{"blkio_config", JACO_HONOURED, jaco_compose_fill_blkio, S(blkio), NULL},
	{"build", JACO_DIFFERENCE, fill_build, S(build),
	 "apply never builds: the image must exist (docker compose build makes it)"},
	{"cap_add", JACO_HONOURED, jaco_fill_set, S(cap_add), NULL},
	{"cap_drop", JACO_HONOURED, jaco_fill_set, S(cap_drop), NULL},
	{"cgroup", JACO_HONOURED, jaco_fill_text, S(cgroup), NULL},
	{"cgroup_parent", JACO_HONOURED, jaco_fill_text, S(cgroup_parent), NULL},
	{"command", JACO_HONOURED, jaco_fill_argv, S(command), NULL},
	{"configs", JACO_HONOURED, jaco_compose_fill_configs, 0, NULL},
	{"container_name", JACO_DIFFERENCE, jaco_fill_text, OWN(container_name),
	 "container_name becomes an extra DNS name; containers are named after their replica"},
	{"cpu_count", JACO_IGNORED, NULL, 0, "cpu_count is ignored: it exists on Windows only"},
	{"cpu_percent", JACO_IGNORED, NULL, 0, "cpu_percent is ignored: it exists on Windows only"},
	{"cpu_period", JACO_HONOURED, fill_cpu_time, R(cpu_period_us), NULL},
	{"cpu_quota", JACO_HONOURED, fill_cpu_time, R(cpu_quota_us), NULL},
	{"cpu_rt_period", JACO_HONOURED, fill_cpu_time, R(cpu_rt_period_us), NULL},
	{"cpu_rt_runtime", JACO_HONOURED, fill_cpu_time, R(cpu_rt_runtime_us), NULL},
	{"cpu_shares", JACO_HONOURED, jaco_fill_i64, R(cpu_shares), NULL},
	{"cpus", JACO_HONOURED, jaco_compose_fill_cpus, R(nano_cpus), NULL},
	{"cpuset", JACO_HONOURED, jaco_fill_text, R(cpuset), NULL},
	{"credential_spec", JACO_REFUSED, NULL, 0, "it exists on Windows only"},
	{"depends_on", JACO_HONOURED, jaco_compose_fill_depends_on, 0, NULL},
	{"deploy", JACO_HONOURED, jaco_compose_fill_deploy, 0, NULL},
	{"develop", JACO_IGNORED, NULL, 0,
	 "develop is ignored: it belongs to docker compose watch"},
	{"device_cgroup_rules", JACO_HONOURED, jaco_fill_strings, S(device_cgroup_rules), NULL},
	{"devices", JACO_HONOURED, jaco_compose_fill_devices, 0, NULL},
	{"dns", JACO_HONOURED, jaco_compose_fill_dns, 0, NULL},
	{"dns_opt", JACO_HONOURED, jaco_fill_strings, S(dns_opt), NULL},
	{"dns_search", JACO_HONOURED, jaco_fill_strings, S(dns_search), NULL},
	{"dockerfile", JACO_LEGACY, NULL, 0, "build.dockerfile"},
	{"domainname", JACO_HONOURED, jaco_fill_text, S(domainname), NULL},
	{"entrypoint", JACO_HONOURED, jaco_fill_argv, S(entrypoint), NULL},
	{"env_file", JACO_HONOURED, fill_env_file, 0, NULL},
	{"environment", JACO_HONOURED, fill_environment, 0, NULL},
	{"exclude_from_hc", JACO_IGNORED, NULL, 0, "exclude_from_hc is ignored: a vendor's key"},
	{"expose", JACO_HONOURED, jaco_compose_fill_expose, 0, NULL},
	{"extends", JACO_HONOURED, fill_extends, 0, NULL},
	{"external_links", JACO_REFUSED, NULL, 0,
	 "put both services into one deployment, or publish a port"},
	{"extra_hosts", JACO_HONOURED, jaco_compose_fill_extra_hosts, 0, NULL},
	{"gpus", JACO_HONOURED, jaco_compose_fill_gpus, 0, NULL},
	{"group_add", JACO_HONOURED, jaco_fill_set, S(group_add), NULL},
	{"healthcheck", JACO_HONOURED, jaco_compose_fill_healthcheck, S(healthcheck), NULL},
	{"hostname", JACO_HONOURED, jaco_fill_text, S(hostname), NULL},
	{"image", JACO_HONOURED, fill_image, 0, NULL},
	{"init", JACO_HONOURED, jaco_fill_tri, S(init), NULL},
	{"ipc", JACO_HONOURED, fill_ipc, S(ipc), NULL},
	{"isolation", JACO_REFUSED, NULL, 0, "it exists on Windows only"},
	{"label_file", JACO_REFUSED, NULL, 0, "write the labels under labels:"},
	{"labels", JACO_HONOURED, jaco_fill_pairs, S(labels), NULL},
	{"links", JACO_DIFFERENCE, jaco_compose_fill_links, 0,
	 "links become DNS aliases of the service they name"},
	{"log_driver", JACO_LEGACY, NULL, 0, "logging.driver"},
	{"log_opt", JACO_LEGACY, NULL, 0, "logging.options"},
	{"logging", JACO_HONOURED, fill_logging, S(logging), NULL},
	{"mac_address", JACO_HONOURED, jaco_fill_text, S(mac_address), NULL},
	{"mem_limit", JACO_HONOURED, jaco_fill_size, R(memory_bytes), NULL},
	{"mem_reservation", JACO_HONOURED, jaco_fill_size, R(memory_reservation), NULL},
	{"mem_swappiness", JACO_HONOURED, jaco_fill_i64, R(mem_swappiness), NULL},
	{"memswap_limit", JACO_HONOURED, fill_memswap, R(memswap_bytes), NULL},
	{"models", JACO_REFUSED, NULL, 0, "run the model as a service"},
	{"net", JACO_LEGACY, NULL, 0, "network_mode"},
	{"network_mode", JACO_HONOURED, jaco_compose_fill_network_mode, 0, NULL},
	{"networks", JACO_HONOURED, jaco_compose_fill_networks, 0, NULL},
	{"oom_kill_disable", JACO_HONOURED, jaco_fill_bool, S(oom_kill_disable), NULL},
	{"oom_score_adj", JACO_HONOURED, jaco_fill_i64, S(oom_score_adj), NULL},
	{"pid", JACO_HONOURED, fill_ipc, S(pid), NULL},
	{"pids_limit", JACO_HONOURED, jaco_fill_i64, R(pids), NULL},
	{"platform", JACO_HONOURED, jaco_fill_text, S(platform), NULL},
	{"ports", JACO_HONOURED, jaco_compose_fill_ports, 0, NULL},
	{"post_start", JACO_REFUSED, NULL, 0, "use a one-shot service and depends_on"},
	{"pre_stop", JACO_REFUSED, NULL, 0, "let the program handle stop_signal"},
	{"privileged", JACO_HONOURED, jaco_fill_bool, S(privileged), NULL},
	{"profiles", JACO_HONOURED, jaco_fill_set, OWN(profiles), NULL},
	{"provider", JACO_REFUSED, NULL, 0, "run the provider as a service"},
	{"pull_policy", JACO_HONOURED, fill_pull_policy, S(pull_policy), NULL},
	{"read_only", JACO_HONOURED, jaco_fill_bool, S(read_only), NULL},
	{"restart", JACO_DIFFERENCE, jaco_compose_fill_restart, S(restart),
	 "the scheduler restarts: no and on-failure set its budget, always is its default"},
	{"runtime", JACO_HONOURED, jaco_fill_text, S(runtime), NULL},
	{"scale", JACO_HONOURED, fill_scale, 0, NULL},
	{"secrets", JACO_HONOURED, jaco_compose_fill_secrets, 0, NULL},
	{"security_opt", JACO_HONOURED, jaco_fill_set, S(security_opt), NULL},
	{"shm_size", JACO_HONOURED, jaco_fill_size, S(shm_bytes), NULL},
	{"stdin_open", JACO_HONOURED, jaco_fill_bool, S(stdin_open), NULL},
	{"stop_grace_period", JACO_HONOURED, jaco_fill_duration, S(stop_grace_ms), NULL},
	{"stop_signal", JACO_HONOURED, jaco_fill_text, S(stop_signal), NULL},
	{"storage_opt", JACO_HONOURED, jaco_fill_pairs, S(storage_opt), NULL},
	{"sysctls", JACO_HONOURED, jaco_fill_pairs, S(sysctls), NULL},
	{"tmpfs", JACO_HONOURED, jaco_compose_fill_tmpfs, 0, NULL},
	{"tty", JACO_HONOURED, jaco_fill_bool, S(tty), NULL},
	{"ulimits", JACO_HONOURED, jaco_compose_fill_ulimits, 0, NULL},
	{"use_api_socket", JACO_REFUSED, NULL, 0, "mount /var/run/docker.sock"},
	{"user", JACO_HONOURED, jaco_fill_text, S(user), NULL},
	{"userns_mode", JACO_HONOURED, jaco_fill_text, S(userns_mode), NULL},
	{"uts", JACO_HONOURED, jaco_fill_text, S(uts), NULL},
	{"volume_driver", JACO_LEGACY, NULL, 0, "volumes.<name>.driver"},
	{"volumes", JACO_HONOURED, jaco_compose_fill_volumes, 0, NULL},
	{"volumes_from", JACO_REFUSED, NULL, 0, "name the same volumes in both services"},
	{"working_dir", JACO_HONOURED, jaco_fill_text, S(working_dir), NULL},
	{NULL},
};

const struct jaco_key_row *jaco_compose_service_rows(void)
{
	return service_rows;
}

void jaco_compose_read_service(struct jaco_read *read, const struct jaco_yaml_node *map,
			       struct compose_service *out)
{
	out->map = map;
	out->s.rollout = (struct jaco_rollout){
		.parallel = 1, .timeout_ms = 60000, .drain_ms = 10000, .monitor_ms = 5000};
	jaco_read_rows(read, map, service_rows, out, "a service");
}
