/* SPDX-License-Identifier: Apache-2.0
 *
 * create.c - the tables of compose keys put together, and the rows that tell what runs: image,
 * command, environment, identity, labels, health.  Each row's function sets what its keys mean and
 * nothing when they were not written, so that images and engines keep their own defaults. */
#include "daemons/runtimed/create.h"

#include <string.h>

#include "daemons/runtimed/create_row.h"
#include "daemons/runtimed/json_out.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/str.h"

#define NS_PER_MS 1000000

static void put_image(struct create_out *o)
{
	json_out_str(o->root, "Image", o->service->image);
}

static void put_argv(json_t *root, const char *key, const struct jaco_argv *argv)
{
	struct jaco_strings strings = {.items = argv->items, .n = argv->n};

	if (argv->is_set)
		json_object_set_new(root, key, json_out_strings(&strings));
}

static void put_command(struct create_out *o)
{
	put_argv(o->root, "Cmd", &o->service->command);
}

static void put_entrypoint(struct create_out *o)
{
	put_argv(o->root, "Entrypoint", &o->service->entrypoint);
}

static void put_environment(struct create_out *o)
{
	const struct jaco_pairs *env = &o->service->environment;
	json_t *list;

	if (env->n + o->service->environment_unset.n == 0)
		return;
	list = json_out_strings(
		&o->service->environment_unset); /* a bare name takes the image's away */
	for (size_t i = 0; i < env->n; i++)
		json_array_append_new(list, json_sprintf("%s=%s", env->items[i].key,
							 env->items[i].value));
	json_object_set_new(o->root, "Env", list);
}

static void put_user(struct create_out *o)
{
	json_out_str(o->root, "User", o->service->user);
}

static void put_working_dir(struct create_out *o)
{
	json_out_str(o->root, "WorkingDir", o->service->working_dir);
}

/* Without hostname: the replica id, where it is one host name label (RFC 1123 section 2.1). */
static void put_hostname(struct create_out *o)
{
	const char *name = o->service->hostname ? o->service->hostname : o->in->replica_id;

	if (jaco_str_eq(o->service->uts, "host") || /* an engine refuses both */
	    o->service->network_mode == JACO_NETMODE_SERVICE ||
	    o->service->network_mode == JACO_NETMODE_HOST)
		return;
	if (!o->service->hostname) {
		if (strlen(name) > JACO_NAME_MAX)
			return;
		for (const char *p = name; *p; p++)
			if (!jaco_ascii_is_alnum(*p) && *p != '-')
				return;
	}
	json_out_str(o->root, "Hostname", name);
}

static void put_domainname(struct create_out *o)
{
	json_out_str(o->root, "Domainname", o->service->domainname);
}

static void put_labels(struct create_out *o)
{
	json_t *labels = json_out_pairs(&o->service->labels);

	json_out_str(labels, "jaco.cluster_id", o->in->cluster_id);
	json_out_str(labels, "jaco.deployment", o->in->deployment);
	json_out_str(labels, "jaco.service", o->service->name);
	json_out_str(labels, "jaco.replica_id", o->in->replica_id);
	json_out_str(labels, "jaco.replica_index", o->in->replica_index);
	json_out_str(labels, "jaco.spec_hash", o->in->spec_hash);
	json_object_set_new(labels, "jaco.revision",
			    json_sprintf("%llu", (unsigned long long)o->in->revision));
	json_object_set_new(labels, "jaco.generation",
			    json_sprintf("%llu", (unsigned long long)o->in->generation));
	json_object_set_new(o->root, "Labels", labels);
}

static void put_annotations(struct create_out *o)
{
	if (create_has_api(o->in->engine, JACO_API_ANNOTATIONS) || o->in->engine->is_podman)
		json_out_set_pairs(o->host, "Annotations", &o->service->annotations);
}

static void put_tty(struct create_out *o)
{
	if (o->service->tty)
		json_object_set_new(o->root, "Tty", json_true());
}

static void put_stdin_open(struct create_out *o)
{
	if (o->service->stdin_open)
		json_object_set_new(o->root, "OpenStdin", json_true());
}

static void put_stop_signal(struct create_out *o)
{
	json_out_str(o->root, "StopSignal", o->service->stop_signal);
}

static void put_stop_grace_period(struct create_out *o)
{
	struct jaco_opt_i64 grace = o->service->stop_grace_ms;

	if (grace.is_set)
		json_object_set_new(o->root, "StopTimeout",
				    json_integer((grace.value + 999) / 1000));
}

static void put_init(struct create_out *o)
{
	if (o->service->init != JACO_TRI_UNSET)
		json_object_set_new(o->host, "Init",
				    json_boolean(o->service->init == JACO_TRI_TRUE));
}

static void put_expose(struct create_out *o)
{
	const struct jaco_service *service = o->service;
	json_t *ports;

	if (service->n_expose + service->n_ports == 0)
		return;
	ports = json_object();
	for (size_t i = 0; i < service->n_expose; i++)
		json_out_new_key(ports, json_object(), "%u/tcp", service->expose[i]);
	for (size_t i = 0; i < service->n_ports; i++)
		json_out_new_key(ports, json_object(), "%u/%s", service->ports[i].target,
				 jaco_proto_name(service->ports[i].proto));
	json_object_set_new(o->root, "ExposedPorts", ports);
}

static json_t *health_test(const char *kind, const struct jaco_strings *words)
{
	json_t *test = json_pack("[s]", kind);

	for (size_t i = 0; i < words->n; i++)
		json_array_append_new(test, json_string(words->items[i]));
	return test;
}

static void set_ns(json_t *object, const char *key, struct jaco_opt_i64 ms)
{
	if (ms.is_set)
		json_object_set_new(object, key, json_integer(ms.value * NS_PER_MS));
}

/* health: {cmd: ...} of the overlay wins over compose's healthcheck; the engine runs both. */
static void put_overlay_command(struct create_out *o)
{
	const struct jaco_probe *probe = &o->service->probe;
	json_t *check = json_object();

	json_object_set_new(check, "Test", health_test("CMD", &probe->command));
	json_object_set_new(check, "Interval", json_integer(probe->interval_ms * NS_PER_MS));
	json_object_set_new(check, "Timeout", json_integer(probe->timeout_ms * NS_PER_MS));
	json_object_set_new(check, "Retries", json_integer(probe->retries));
	json_object_set_new(o->root, "Healthcheck", check);
}

static void put_healthcheck(struct create_out *o)
{
	const struct jaco_healthcheck *health = &o->service->healthcheck;
	json_t *check;

	if (o->service->probe.kind == JACO_PROBE_CMD) {
		put_overlay_command(o);
		return;
	}
	if (!health->is_set)
		return;
	check = json_object();
	switch (health->kind) {
	case JACO_HEALTHCHECK_INHERIT:
		break;
	case JACO_HEALTHCHECK_DISABLED:
		json_object_set_new(check, "Test", json_pack("[s]", "NONE"));
		break;
	case JACO_HEALTHCHECK_CMD:
		json_object_set_new(check, "Test", health_test("CMD", &health->test));
		break;
	case JACO_HEALTHCHECK_SHELL:
		json_object_set_new(check, "Test", health_test("CMD-SHELL", &health->test));
		break;
	}
	set_ns(check, "Interval", health->interval_ms);
	set_ns(check, "Timeout", health->timeout_ms);
	set_ns(check, "StartPeriod", health->start_period_ms);
	if (create_has_api(o->in->engine, JACO_API_START_INTERVAL))
		set_ns(check, "StartInterval", health->start_interval_ms);
	json_out_set_i64(check, "Retries", health->retries);
	json_object_set_new(o->root, "Healthcheck", check);
}

static const struct create_row process_rows[] = {
	{"image", put_image},
	{"command", put_command},
	{"entrypoint", put_entrypoint},
	{"environment", put_environment},
	{"user", put_user},
	{"working_dir", put_working_dir},
	{"hostname", put_hostname},
	{"domainname", put_domainname},
	{"labels", put_labels},
	{"annotations", put_annotations},
	{"tty", put_tty},
	{"stdin_open", put_stdin_open},
	{"stop_signal", put_stop_signal},
	{"stop_grace_period", put_stop_grace_period},
	{"init", put_init},
	{"expose", put_expose},
	{"ports", NULL},
	{"healthcheck", put_healthcheck},
	{NULL, NULL},
};

static const struct create_row *const tables[] = {process_rows, create_files_rows,
						  create_rights_rows, create_limits_rows,
						  create_network_rows};

int create_container_json(const struct create_input *in, bool is_pretty, struct jaco_buf *out,
			  struct jaco_err *err)
{
	struct create_out o = {.in = in,
			.service = in->service,
			.root = json_object(),
			.host = json_object(),
			.err = err};

	for (size_t t = 0; t < JACO_ARRAY_SIZE(tables); t++)
		for (const struct create_row *row = tables[t]; row->key; row++)
			if (row->put)
				row->put(&o);
	/* The engine must never restart behind our back: back-off and budget are ours. */
	json_object_set_new(o.host, "RestartPolicy", json_pack("{s:s}", "Name", "no"));
	json_object_set_new(o.root, "HostConfig", o.host);
	if (!o.failed)
		json_out_dump(o.root, is_pretty, out);
	json_decref(o.root);
	return o.failed ? -(int)err->code : 0;
}

bool create_has_engine_health(const struct jaco_service *service)
{
	switch (service->probe.kind) {
	case JACO_PROBE_CMD:
		return true;
	case JACO_PROBE_HTTP:
	case JACO_PROBE_TCP:
		return false;
	case JACO_PROBE_NONE:
		break;
	}
	return service->healthcheck.is_set && (service->healthcheck.kind == JACO_HEALTHCHECK_CMD ||
					       service->healthcheck.kind == JACO_HEALTHCHECK_SHELL);
}

const char *const *create_keys(void)
{
	static const char *keys[CREATE_KEYS_MAX + 1];
	size_t n = 0;

	for (size_t t = 0; t < JACO_ARRAY_SIZE(tables); t++)
		for (const struct create_row *row = tables[t]; row->key; row++) {
			JACO_ASSERT(n < CREATE_KEYS_MAX);
			keys[n++] = row->key;
		}
	return keys;
}
