/* SPDX-License-Identifier: Apache-2.0
 *
 * jaco-probe - the pure functions of the manifest layer, one JSON object a line in, one out
 * (spec/probe.md).  Never exits on bad input; deterministic. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/model/imageref.h"
#include "libjaco/model/manifest/client.h"
#include "libjaco/model/manifest/dotenv.h"
#include "libjaco/model/manifest/interpolate.h"
#include "libjaco/model/manifest/merge.h"
#include "libjaco/wire/fits.h"

/* One question being answered. */
struct ask {
	const json_t *in;
	json_t *out;
	struct jaco_arena *arena;
	struct jaco_findings findings;
};

static const char *text_of(const struct ask *ask, const char *key)
{
	return json_string_value(json_object_get(ask->in, key));
}

static struct jaco_document document_of(const struct ask *ask, const char *key, const char *name)
{
	const json_t *value = json_object_get(ask->in, key);
	const char *text = json_string_value(value);

	return (struct jaco_document){
		.name = name, .data = text ? text : "", .n = text ? json_string_length(value) : 0};
}

static void set_text(json_t *object, const char *key, const char *text)
{
	/* jansson refuses what is not UTF-8; the answer then says so instead of vanishing */
	if (json_object_set_new(object, key, text ? json_string(text) : json_null()) < 0)
		json_object_set_new(object, key, json_string("(not UTF-8)"));
}

static void fail(struct ask *ask, enum jaco_code code, const char *message, const char *field)
{
	json_object_clear(ask->out);
	json_object_set_new(ask->out, "ok", json_false());
	set_text(ask->out, "code", jaco_code_name(code));
	set_text(ask->out, "message", message);
	if (field && *field)
		set_text(ask->out, "field", field);
}

/* The first error of @findings as the answer; details as keys beside it. */
static bool fail_findings(struct ask *ask)
{
	for (size_t i = 0; i < ask->findings.n; i++) {
		const struct jaco_finding *finding = &ask->findings.items[i];

		if (finding->severity != JACO_SEVERITY_ERROR)
			continue;
		fail(ask, finding->code, finding->message, finding->path);
		if (finding->pos.file)
			set_text(ask->out, "file", finding->pos.file);
		json_object_set_new(ask->out, "line", json_integer(finding->pos.line));
		json_object_set_new(ask->out, "column", json_integer(finding->pos.column));
		if (finding->remedy)
			set_text(ask->out, "remedy", finding->remedy);
		if (finding->detail_key)
			set_text(ask->out, finding->detail_key, finding->detail_value);
		return true;
	}
	return false;
}

static const struct jaco_manifest *load(struct ask *ask, const char *jaco_key,
					const char *compose_key)
{
	struct jaco_document jaco = document_of(ask, jaco_key, "jaco.yaml");
	struct jaco_document compose = document_of(ask, compose_key, "compose.yaml");
	const struct jaco_manifest *manifest = NULL;
	struct jaco_err err = JACO_ERR_INIT;

	if (!text_of(ask, jaco_key))
		jaco = (struct jaco_document){"jaco.yaml", "deployment: probe\n", 18};
	if (jaco_manifest_load(&jaco, &compose, &ask->findings, &manifest, &err) == 0)
		return manifest;
	if (!fail_findings(ask))
		fail(ask, err.code, err.text, NULL);
	return NULL;
}

/* -- apply, merge, hashpair --------------------------------------------------------------- */

static const char *owner_of_port(void *ctx, enum jaco_proto proto, uint16_t port)
{
	const struct ask *ask = ctx;
	const json_t *routes = json_object_get(json_object_get(ask->in, "state"), "tcp_routes");
	char key[16];

	(void)jaco_str_format(key, sizeof(key), "%u", port);
	return proto == JACO_PROTO_TCP ? json_string_value(json_object_get(routes, key)) : NULL;
}

static void op_apply(struct ask *ask)
{
	const struct jaco_manifest *manifest = load(ask, "jaco", "compose");
	const json_t *hosts = json_object_get(ask->in, "hosts");
	struct jaco_cluster_facts facts = {
		.port_owner = owner_of_port, .ctx = ask, .may_privileged = true};
	struct jaco_document jaco = document_of(ask, "jaco", "jaco.yaml");
	struct jaco_document compose = document_of(ask, "compose", "compose.yaml");
	const json_t *privileged = json_object_get(ask->in, "allows_privileged");
	struct jaco_err err = JACO_ERR_INIT;

	if (!manifest)
		return;
	if (json_is_array(hosts)) {
		const char **names =
			jaco_arena_alloc_n(ask->arena, json_array_size(hosts) + 1, sizeof(*names));

		for (size_t i = 0; i < json_array_size(hosts); i++) {
			const char *name = json_string_value(json_array_get(hosts, i));

			if (name)
				names[facts.n_hosts++] = name;
		}
		facts.hosts = names;
	}
	if (privileged)
		facts.may_privileged = json_is_true(privileged);
	facts.require_privileged_label =
		json_is_true(json_object_get(ask->in, "require_privileged_label"));
	if (jaco_manifest_admit(manifest, &facts, &ask->findings, &err) < 0 ||
	    jaco_fits_check(manifest, &jaco, &compose, &ask->findings, &err) < 0)
		(void)fail_findings(ask);
}

static json_t *service_json(const struct jaco_service *s)
{
	json_t *hosts = json_array();
	json_t *networks = json_array();

	for (size_t i = 0; i < s->hosts.n; i++)
		json_array_append_new(hosts, json_string(s->hosts.items[i]));
	for (size_t i = 0; i < s->n_attachments; i++)
		if (s->n_attachments > 1 ||
		    strcmp(s->attachments[i].network, JACO_DEFAULT_NETWORK) != 0)
			json_array_append_new(networks, json_string(s->attachments[i].network));
	return json_pack("{s:i,s:s,s:o,s:o}", "replicas", (int)s->replicas, "placement",
			 jaco_placement_name(s->placement), "hosts", hosts, "networks", networks);
}

static void op_merge(struct ask *ask)
{
	const struct jaco_manifest *manifest = load(ask, "jaco", "compose");
	json_t *services = json_object();
	json_t *order = json_array();
	json_t *ports = json_array();
	json_t *routes = json_array();

	for (size_t i = 0; manifest && i < manifest->n_services; i++) {
		json_object_set_new(services, manifest->services[i].name,
				    service_json(&manifest->services[i]));
		json_array_append_new(order, json_string(manifest->services[i].name));
	}
	for (size_t i = 0; manifest && i < manifest->n_published; i++) {
		const struct jaco_published *p = &manifest->published[i];

		if (p->port.mode == JACO_PORT_CLUSTER && p->port.proto == JACO_PROTO_TCP)
			json_array_append_new(ports, json_pack("[i,s,i]", p->port.published,
							       p->service, p->port.target));
	}
	for (size_t i = 0; manifest && i < manifest->n_routes; i++)
		json_array_append_new(
			routes, json_pack("{s:s,s:s,s:s}", "domain", manifest->routes[i].domain,
					  "path", manifest->routes[i].path, "tls",
					  jaco_tls_mode_name(manifest->routes[i].tls)));
	if (manifest) {
		json_object_set(ask->out, "services", services);
		json_object_set(ask->out, "order", order);
		json_object_set(ask->out, "tcp_routes", ports);
		json_object_set(ask->out, "routes", routes);
	}
	json_decref(services);
	json_decref(order);
	json_decref(ports);
	json_decref(routes);
}

static void op_hashpair(struct ask *ask)
{
	const char *name = text_of(ask, "service");
	const struct jaco_manifest *before = load(ask, "jaco", "before");
	const struct jaco_manifest *after = before ? load(ask, "jaco", "after") : NULL;
	const struct jaco_service *old;
	const struct jaco_service *new;

	if (!before || !after)
		return;
	old = jaco_manifest_service(before, name ? name : "web");
	new = jaco_manifest_service(after, name ? name : "web");
	if (!old && !new)
		fail(ask, JACO_UNKNOWN_SERVICE, "neither document has that service", "service");
	else
		json_object_set_new(
			ask->out, "recreate",
			json_boolean(!old || !new || strcmp(old->spec_hash, new->spec_hash) != 0));
}

/* -- interp, dotenv, envres, pipeline ----------------------------------------------------- */

/* Every scalar a string; null stays null. */
static json_t *tree_json(const struct jaco_yaml_node *node)
{
	json_t *value;

	if (node->kind == JACO_YAML_SCALAR) {
		if (jaco_yaml_is_null(node))
			return json_null();
		value = json_string(node->text);
		return value ? value : json_string("(not UTF-8)");
	}
	value = node->kind == JACO_YAML_MAP ? json_object() : json_array();
	for (size_t i = 0; i < node->n; i++) {
		if (node->kind == JACO_YAML_MAP)
			json_object_set_new(value, node->entries[i].key,
					    tree_json(node->entries[i].value));
		else
			json_array_append_new(value, tree_json(node->entries[i].value));
	}
	return value;
}

static bool parse_env(struct ask *ask, const char *key, struct jaco_vars *vars)
{
	struct jaco_document document = document_of(ask, key, ".env");
	struct jaco_err err = JACO_ERR_INIT;

	if (!text_of(ask, key) ||
	    jaco_dotenv_parse(document.name, document.data, document.n, vars, &err) == 0)
		return true;
	fail(ask, err.code, err.text, NULL);
	return false;
}

static void op_interp(struct ask *ask)
{
	jaco_auto(jaco_vars) struct jaco_vars vars = JACO_VARS_INIT(ask->arena);
	jaco_auto(jaco_vars) struct jaco_vars warned = JACO_VARS_INIT(ask->arena);
	struct jaco_document compose = document_of(ask, "compose", "compose.yaml");
	struct jaco_yaml_node *root;

	if (!parse_env(ask, "env_file_text", &vars))
		return;
	root = jaco_yaml_parse(compose.name, compose.data, compose.n, ask->arena, &ask->findings);
	if (root)
		jaco_interpolate_tree(root, &vars, &warned, &ask->findings);
	jaco_findings_sort(&ask->findings);
	if (!fail_findings(ask))
		json_object_set_new(ask->out, "doc", tree_json(root));
}

static void set_pairs(struct ask *ask, const char *key, const struct jaco_pairs *pairs)
{
	json_t *object = json_object();

	for (size_t i = 0; i < pairs->n; i++)
		set_text(object, pairs->items[i].key, pairs->items[i].value);
	json_object_set_new(ask->out, key, object);
}

static void op_dotenv(struct ask *ask)
{
	jaco_auto(jaco_vars) struct jaco_vars vars = JACO_VARS_INIT(ask->arena);
	struct jaco_pairs pairs;

	if (!parse_env(ask, "text", &vars))
		return;
	pairs = jaco_vars_list(&vars, ask->arena);
	set_pairs(ask, "env", &pairs);
}

/* Files of the question instead of the disk. */
static int read_asked(void *ctx, const char *path, struct jaco_arena *arena,
		      struct jaco_document *out, struct jaco_err *err)
{
	const struct ask *ask = ctx;
	const json_t *files = json_object_get(ask->in, "files");
	const json_t *file;

	(void)arena;
	file = json_object_get(files, path);
	if (!file)
		file = json_object_get(files,
				       strncmp(path, "./", 2) == 0
					       ? path + 2
					       : jaco_arena_printf(ask->arena, "./%s", path));
	if (strcmp(path, "jaco.yaml") == 0 && json_object_get(ask->in, "jaco"))
		file = json_object_get(ask->in, "jaco");
	if (strcmp(path, "compose.yaml") == 0 && json_object_get(ask->in, "compose"))
		file = json_object_get(ask->in, "compose");
	if (!json_is_string(file))
		return jaco_err_set(err, JACO_UNAVAILABLE, "no such file");
	out->data = json_string_value(file);
	out->n = json_string_length(file);
	return 0;
}

static void set_environment(struct ask *ask, const struct jaco_yaml_node *root)
{
	const char *name = text_of(ask, "service");
	const struct jaco_yaml_node *service =
		jaco_yaml_get(jaco_yaml_get(root, "services"), name ? name : "web");
	const struct jaco_yaml_node *environment = jaco_yaml_get(service, "environment");
	json_t *env;

	if (fail_findings(ask))
		return;
	if (!service) {
		fail(ask, JACO_UNKNOWN_SERVICE, "no such service", "services");
		return;
	}
	env = json_object();
	/* A name without a value takes the image's away: the container has none of it. */
	for (size_t i = 0; environment && environment->kind == JACO_YAML_MAP && i < environment->n;
	     i++)
		if (!jaco_yaml_is_null(environment->entries[i].value))
			json_object_set_new(env, environment->entries[i].key,
					    tree_json(environment->entries[i].value));
	json_object_set_new(ask->out, "environment", env);
}

static void op_envres(struct ask *ask)
{
	jaco_auto(jaco_vars) struct jaco_vars vars = JACO_VARS_INIT(ask->arena);
	struct jaco_manifest_options options = {.read = read_asked, .read_ctx = ask};
	struct jaco_client client = {.options = &options,
				     .arena = ask->arena,
				     .findings = &ask->findings,
				     .vars = &vars,
				     .warned = JACO_VARS_INIT(ask->arena)};
	struct jaco_document compose = document_of(ask, "compose", "compose.yaml");
	struct jaco_yaml_node *root =
		jaco_yaml_parse(compose.name, compose.data, compose.n, ask->arena, &ask->findings);

	if (root)
		jaco_client_fold(&client, root);
	set_environment(ask, root);
}

static void op_pipeline(struct ask *ask)
{
	struct jaco_manifest_options options = {
		.jaco_path = "jaco.yaml", .read = read_asked, .read_ctx = ask};
	struct jaco_resolved resolved = {0};
	struct jaco_err err = JACO_ERR_INIT;

	if (jaco_manifest_resolve(&options, &ask->findings, &resolved, &err) < 0) {
		if (!fail_findings(ask))
			fail(ask, err.code, err.text, NULL);
		return;
	}
	set_environment(ask, jaco_yaml_parse("compose.yaml", resolved.compose.data,
					     resolved.compose.n, ask->arena, &ask->findings));
}

/* -- image references --------------------------------------------------------------------- */

static void key_answer(struct ask *ask, bool (*fn)(const char *, char *))
{
	const char *input = text_of(ask, "input");
	char key[JACO_REGKEY_BYTES];

	if (!input || !fn(input, key))
		fail(ask, JACO_VALIDATION_FAILED, "the input names nothing", "input");
	else
		set_text(ask->out, "key", key);
}

static void op_regkey(struct ask *ask)
{
	key_answer(ask, jaco_imageref_registry_key);
}

static void op_imagerepo(struct ask *ask)
{
	key_answer(ask, jaco_imageref_repository);
}

static void op_serveraddr(struct ask *ask)
{
	key_answer(ask, jaco_imageref_server);
}

static void op_credmatch(struct ask *ask)
{
	const json_t *keys = json_object_get(ask->in, "keys");
	size_t n = json_array_size(keys);
	const char **texts = jaco_arena_alloc_n(ask->arena, n + 1, sizeof(*texts));
	const char *image = text_of(ask, "image");
	long found;

	for (size_t i = 0; i < n; i++) {
		const char *key = json_string_value(json_array_get(keys, i));

		texts[i] = key ? key : "";
	}
	found = image ? jaco_imageref_match(image, texts, n) : -1;
	set_text(ask->out, "key", found < 0 ? NULL : texts[found]);
}

static const struct {
	const char *name;
	void (*answer)(struct ask *ask);
} ops[] = {
	{"apply", op_apply},   {"credmatch", op_credmatch},   {"dotenv", op_dotenv},
	{"envres", op_envres}, {"hashpair", op_hashpair},     {"imagerepo", op_imagerepo},
	{"interp", op_interp}, {"merge", op_merge},           {"pipeline", op_pipeline},
	{"regkey", op_regkey}, {"serveraddr", op_serveraddr},
};

static void answer(struct ask *ask)
{
	const char *op = text_of(ask, "op");

	json_object_set_new(ask->out, "ok", json_true());
	for (size_t i = 0; i < JACO_ARRAY_SIZE(ops); i++)
		if (jaco_str_eq(op, ops[i].name)) {
			ops[i].answer(ask);
			return;
		}
	fail(ask, JACO_UNKNOWN_METHOD, "no such op", "op");
}

static void answer_line(const char *line, size_t n)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	json_error_t json_err;
	json_t *in = json_loadb(line, n, JSON_ALLOW_NUL, &json_err);
	struct ask ask = {.in = in,
			  .out = json_object(),
			  .arena = &arena,
			  .findings = JACO_FINDINGS_INIT(&arena)};
	char *text;

	if (json_is_object(in))
		answer(&ask);
	else
		fail(&ask, JACO_PARSE_FAILED, in ? "not a JSON object" : json_err.text, NULL);
	text = json_dumps(ask.out, JSON_COMPACT | JSON_SORT_KEYS);
	(void)puts(text ? text : "{\"ok\":false,\"code\":\"internal\"}");
	(void)fflush(stdout);
	free(text); /* jansson's own memory */
	json_decref(ask.out);
	json_decref(in);
}

/* Questions from standard input, or from a file (golden tests). */
int main(int argc, char **argv)
{
	FILE *questions = argc == 2 ? fopen(argv[1], "re") : stdin;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	while (questions && (n = getline(&line, &cap, questions)) >= 0)
		if (n > 1 || (n == 1 && *line != '\n'))
			answer_line(line, (size_t)n);
	free(line); /* getline's own memory */
	return 0;
}
