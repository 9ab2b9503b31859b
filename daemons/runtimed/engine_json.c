/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading is by a small cursor with a sticky error (style.md, B.18): `struct at` stands on one
 * object, the get_* functions copy a member into a bounded field, and the first thing wrong is kept
 * with its path.  A text that is merely descriptive is cut; one that names something is refused
 * when too long, because a cut name would name something else. */
#include "daemons/runtimed/engine_json.h"

#include <limits.h>
#include <string.h>

#include <jansson.h>

#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/model/cidr.h"

struct at {
	const json_t *object; /* NULL: absent, every get is empty */
	const char *where;
	struct jaco_err *err; /* sticky */
};

static void json_ref_cleanup(json_t **ref)
{
	json_decref(*ref);
}

static bool is_ok(const struct at *at)
{
	return at->err->code == JACO_OK;
}

static void fail(const struct at *at, const char *member, const char *what)
{
	if (is_ok(at))
		jaco_err_set(at->err, JACO_DOCKER_ERROR, "engine answer: %s%s%s %s", at->where,
			     *at->where ? "." : "", member, what);
}

static const json_t *member_of(const struct at *at, const char *member)
{
	const json_t *value = at->object ? json_object_get(at->object, member) : NULL;

	return json_is_null(value) ? NULL : value;
}

static struct at enter(const struct at *at, const char *member)
{
	const json_t *value = member_of(at, member);

	if (value && !json_is_object(value)) {
		fail(at, member, "is not an object");
		value = NULL;
	}
	return (struct at){.object = value, .where = member, .err = at->err};
}

static const json_t *get_array(const struct at *at, const char *member)
{
	const json_t *value = member_of(at, member);

	if (value && !json_is_array(value)) {
		fail(at, member, "is not a list");
		return NULL;
	}
	return value;
}

/* Identifying text: refused when it does not fit or is not printable. */
static void get_name(const struct at *at, const char *member, char *out, size_t bytes)
{
	const json_t *value = member_of(at, member);
	const char *text = json_string_value(value);

	out[0] = '\0';
	if (!value)
		return;
	if (!text) {
		fail(at, member, "is not a string");
		return;
	}
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f) {
			fail(at, member, "holds a control character");
			return;
		}
	if (json_string_length(value) != strlen(text) || !jaco_str_copy(out, bytes, text)) {
		out[0] = '\0';
		fail(at, member, "is too long");
	}
}

/* Copy as one printable line, cut on a UTF-8 boundary. */
static void copy_line(char *out, size_t bytes, const char *text, size_t n)
{
	size_t used = 0;

	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
		n--;
	for (size_t i = 0; i < n && used + 1 < bytes; i++) {
		unsigned char c = (unsigned char)text[i];

		out[used++] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
	}
	while (used > 0 && !jaco_str_is_utf8(out, used))
		used--;
	out[used] = '\0';
}

/* Descriptive text: cut. */
static void get_text(const struct at *at, const char *member, char *out, size_t bytes)
{
	const json_t *value = member_of(at, member);

	out[0] = '\0';
	if (value && !json_is_string(value))
		fail(at, member, "is not a string");
	else if (value)
		copy_line(out, bytes, json_string_value(value), json_string_length(value));
}

static int64_t get_int(const struct at *at, const char *member)
{
	const json_t *value = member_of(at, member);

	if (value && !json_is_integer(value)) {
		fail(at, member, "is not an integer");
		return 0;
	}
	return value ? (int64_t)json_integer_value(value) : 0;
}

static bool get_bool(const struct at *at, const char *member)
{
	const json_t *value = member_of(at, member);

	if (value && !json_is_boolean(value)) {
		fail(at, member, "is not a boolean");
		return false;
	}
	return json_is_true(value);
}

static int narrow(int64_t value)
{
	return value < INT_MIN ? INT_MIN : value > INT_MAX ? INT_MAX : (int)value;
}

/* Seconds east of UTC from "Z" or "+02:00" (RFC 3339 section 4.2); false for anything else. */
static bool parse_offset(const char *text, int *out_seconds)
{
	int sign = text[0] == '-' ? -1 : 1;
	uint64_t h, m;
	char hours[3], minutes[3];

	*out_seconds = 0;
	if (jaco_str_eq(text, "Z"))
		return true;
	if (strlen(text) != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':')
		return false;
	jaco_str_format(hours, sizeof(hours), "%.2s", text + 1);
	jaco_str_format(minutes, sizeof(minutes), "%.2s", text + 4);
	if (!jaco_str_to_u64(hours, 23, &h) || !jaco_str_to_u64(minutes, 59, &m))
		return false;
	*out_seconds = sign * (int)(h * 3600 + m * 60);
	return true;
}

/* Docker writes nanoseconds and "Z" or an offset, and the year 1 for never. */
static int64_t get_time(const struct at *at, const char *member)
{
	char text[JACO_NAME_MAX + 1], seconds[24];
	const char *rest = text + 19; /* "2026-11-21T23:40:31" */
	int64_t ms = 0, unit = 100;
	int offset = 0;

	get_name(at, member, text, sizeof(text));
	if (!text[0] || jaco_str_starts(text, "0001-"))
		return 0;
	jaco_str_format(seconds, sizeof(seconds), "%.19sZ", text);
	if (strlen(text) < 20 || !jaco_rfc3339_parse(seconds, &ms)) {
		fail(at, member, "is not a time");
		return 0;
	}
	if (*rest == '.')
		for (rest++; jaco_ascii_is_digit(*rest); rest++, unit /= 10)
			ms += (*rest - '0') * unit;
	if (!parse_offset(rest, &offset))
		fail(at, member, "is not a time");
	return ms - (int64_t)offset * 1000;
}

/* A decimal label; absent is 0. */
static uint64_t get_number_label(const struct at *labels, const char *label)
{
	char text[32];
	uint64_t value = 0;

	get_name(labels, label, text, sizeof(text));
	if (text[0] && !jaco_str_to_u64(text, UINT64_MAX, &value))
		fail(labels, label, "is not a number");
	return value;
}

static void read_labels(const struct at *labels, struct engine_labels *out)
{
	get_name(labels, "jaco.cluster_id", out->cluster_id, sizeof(out->cluster_id));
	get_name(labels, "jaco.deployment", out->deployment, sizeof(out->deployment));
	get_name(labels, "jaco.service", out->service, sizeof(out->service));
	get_name(labels, "jaco.replica_id", out->replica_id, sizeof(out->replica_id));
	get_name(labels, "jaco.spec_hash", out->spec_hash, sizeof(out->spec_hash));
	out->revision = get_number_label(labels, "jaco.revision");
	out->generation = get_number_label(labels, "jaco.generation");
}

static enum engine_container_state state_of(const struct at *at, const char *text)
{
	static const struct {
		const char *text;
		enum engine_container_state state;
	} names[] = {
		{"created", ENGINE_CREATED},       {"configured", ENGINE_CREATED},
		{"initialized", ENGINE_CREATED},   {"running", ENGINE_RUNNING},
		{"paused", ENGINE_PAUSED},         {"restarting", ENGINE_RESTARTING},
		{"removing", ENGINE_REMOVING},     {"stopping", ENGINE_RUNNING},
		{"exited", ENGINE_EXITED},         {"stopped", ENGINE_EXITED},
		{"dead", ENGINE_DEAD},
	};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(names); i++)
		if (jaco_str_eq(names[i].text, text))
			return names[i].state;
	fail(at, "State", "is no state we know");
	return ENGINE_DEAD;
}

static enum engine_health health_of(const char *text)
{
	if (jaco_str_eq(text, "healthy"))
		return ENGINE_HEALTH_GOOD;
	if (jaco_str_eq(text, "unhealthy"))
		return ENGINE_HEALTH_BAD;
	if (jaco_str_eq(text, "starting"))
		return ENGINE_HEALTH_STARTING;
	return ENGINE_HEALTH_NONE;
}

static void read_networks(const struct at *settings, struct engine_container *out)
{
	struct at networks = enter(settings, "Networks");
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)networks.object, name, value)
	{
		struct at net = {.object = value, .where = "Networks", .err = settings->err};
		struct engine_attachment *a;
		char text[JACO_ADDR_MAX];

		if (out->n_networks == ENGINE_NETWORKS_MAX || !json_is_object(value)) {
			fail(settings, "Networks", "is too long or not of objects");
			return;
		}
		a = &out->networks[out->n_networks];
		if (!jaco_str_copy(a->network, sizeof(a->network), name)) {
			fail(settings, "Networks", "holds a name that is too long");
			return;
		}
		get_name(&net, "IPAddress", text, sizeof(text));
		if (text[0] && !jaco_ipv4_parse(text, &a->address))
			fail(&net, "IPAddress", "is not an IPv4 address");
		out->n_networks++;
	}
}

static json_t *load(const char *data, size_t n, struct jaco_err *err)
{
	json_error_t why;
	json_t *root = json_loadb(data, n, JSON_ALLOW_NUL, &why);

	if (!root)
		jaco_err_set(err, JACO_DOCKER_ERROR, "engine answer is not JSON: %.120s", why.text);
	return root;
}

static json_t *load_object(const char *data, size_t n, struct jaco_err *err)
{
	json_t *root = load(data, n, err);

	if (root && !json_is_object(root)) {
		json_decref(root);
		jaco_err_set(err, JACO_DOCKER_ERROR, "engine answer is not an object");
		return NULL;
	}
	return root;
}

static void read_listed(const struct at *at, struct engine_container *out)
{
	struct at labels = enter(at, "Labels");
	struct at settings = enter(at, "NetworkSettings");
	const json_t *names = get_array(at, "Names");
	const char *name = json_string_value(json_array_get(names, 0));
	char state[JACO_NAME_MAX + 1];

	get_name(at, "Id", out->id, sizeof(out->id));
	get_text(at, "Image", out->image, sizeof(out->image));
	get_name(at, "ImageID", out->image_id, sizeof(out->image_id));
	if (name && !jaco_str_copy(out->name, sizeof(out->name), name + (*name == '/')))
		fail(at, "Names", "is too long");
	get_name(at, "State", state, sizeof(state));
	out->state = state_of(at, state);
	read_labels(&labels, &out->labels);
	read_networks(&settings, out);
	if (!out->id[0])
		fail(at, "Id", "is missing");
}

/* Whether the entry carries our cluster's label; decided before anything else of it is read, so
 * that a stranger's odd container cannot spoil our listing. */
static bool is_ours(const json_t *entry, const char *member, const char *cluster_id)
{
	const json_t *labels = json_object_get(entry, member);

	return jaco_str_eq(json_string_value(json_object_get(labels, "jaco.cluster_id")),
			   cluster_id);
}

int engine_json_container_list(const char *data, size_t n, const char *cluster_id,
			       void (*on_container)(void *ctx, const struct engine_container *c),
			       void *ctx, struct jaco_err *err)
{
	jaco_auto(json_ref) json_t *root = load(data, n, err);
	size_t i, count = 0;
	json_t *entry;

	if (!root)
		return -JACO_DOCKER_ERROR;
	if (!json_is_array(root))
		return jaco_err_set(err, JACO_DOCKER_ERROR, "engine answer is not a list");
	jaco_err_clear(err);
	json_array_foreach(root, i, entry)
	{
		struct at at = {.object = entry, .where = "", .err = err};
		struct engine_container container = {0};

		if (!is_ours(entry, "Labels", cluster_id))
			continue;
		if (++count > ENGINE_CONTAINERS_MAX)
			return jaco_err_set(err, JACO_DOCKER_ERROR,
					    "engine lists more than %d containers of ours",
					    ENGINE_CONTAINERS_MAX);
		read_listed(&at, &container);
		if (!is_ok(&at))
			return -(int)err->code;
		on_container(ctx, &container);
	}
	return 0;
}

static void read_state(const struct at *state, struct engine_container *out)
{
	struct at health = enter(state, "Health");
	const json_t *log = get_array(&health, "Log");
	char text[JACO_NAME_MAX + 1];

	get_name(state, "Status", text, sizeof(text));
	out->state = state_of(state, text);
	out->exit_code = narrow(get_int(state, "ExitCode"));
	out->oom_killed = get_bool(state, "OOMKilled");
	get_text(state, "Error", out->error, sizeof(out->error));
	out->started_ms = get_time(state, "StartedAt");
	out->finished_ms = get_time(state, "FinishedAt");
	get_text(&health, "Status", text, sizeof(text));
	out->health = health_of(text);
	if (json_array_size(log) > 0) {
		struct at last = {.object = json_array_get(log, json_array_size(log) - 1),
				  .where = "Log",
				  .err = state->err};

		get_text(&last, "Output", out->health_output, sizeof(out->health_output));
	}
}

int engine_json_container(const char *data, size_t n, struct engine_container *out_container,
			  struct jaco_err *err)
{
	jaco_auto(json_ref) json_t *root = load_object(data, n, err);
	struct at at = {.object = root, .where = "", .err = err};
	struct engine_container c = {.is_inspected = true};
	struct at state, config, labels, settings;
	char name[ENGINE_NAME_BYTES + 1];

	if (!root)
		return -JACO_DOCKER_ERROR;
	jaco_err_clear(err);
	state = enter(&at, "State");
	config = enter(&at, "Config");
	labels = enter(&config, "Labels");
	settings = enter(&at, "NetworkSettings");
	get_name(&at, "Id", c.id, sizeof(c.id));
	get_name(&at, "Name", name, sizeof(name));
	if (!jaco_str_copy(c.name, sizeof(c.name), name + (name[0] == '/')))
		fail(&at, "Name", "is too long");
	get_name(&at, "Image", c.image_id, sizeof(c.image_id));
	get_text(&config, "Image", c.image, sizeof(c.image));
	read_state(&state, &c);
	read_labels(&labels, &c.labels);
	read_networks(&settings, &c);
	if (!c.id[0])
		fail(&at, "Id", "is missing");
	if (!is_ok(&at))
		return -(int)err->code;
	*out_container = c;
	return 0;
}

static void read_network(const struct at *at, struct engine_network *out)
{
	struct at labels = enter(at, "Labels");
	struct at options = enter(at, "Options");
	struct at ipam = enter(at, "IPAM");
	struct at containers = enter(at, "Containers");
	const json_t *configs = get_array(&ipam, "Config");
	struct at config = {
		.object = json_array_get(configs, 0), .where = "Config", .err = at->err};
	char text[JACO_NAME_MAX + 1];
	uint64_t mtu = 0;

	get_name(at, "Id", out->id, sizeof(out->id));
	get_name(at, "Name", out->name, sizeof(out->name));
	get_name(at, "Driver", out->driver, sizeof(out->driver));
	out->is_internal = get_bool(at, "Internal");
	get_name(&options, "com.docker.network.bridge.name", out->bridge, sizeof(out->bridge));
	get_name(&options, "com.docker.network.bridge.enable_ip_masquerade", text, sizeof(text));
	out->has_masquerade = !jaco_str_eq(text, "false");
	get_name(&options, "com.docker.network.driver.mtu", text, sizeof(text));
	if (!out->bridge[0]) { /* Podman: engine_podman.c says why this is enough */
		get_name(&labels, ENGINE_PODMAN_BRIDGE, out->bridge, sizeof(out->bridge));
		out->has_masquerade = !out->bridge[0];
		get_name(&options, "mtu", text, sizeof(text));
	}
	if (text[0] && !jaco_str_to_u64(text, 65535, &mtu))
		fail(&options, "mtu", "is not an MTU");
	out->mtu = (unsigned)mtu;
	get_name(&config, "Subnet", out->subnet, sizeof(out->subnet));
	get_name(&config, "Gateway", out->gateway, sizeof(out->gateway));
	get_name(&labels, "jaco.cluster_id", out->cluster_id, sizeof(out->cluster_id));
	get_name(&labels, "jaco.deployment", out->deployment, sizeof(out->deployment));
	get_name(&labels, "jaco.network", out->network, sizeof(out->network));
	out->n_containers = containers.object ? json_object_size(containers.object) : 0;
	if (!out->name[0])
		fail(at, "Name", "is missing");
}

int engine_json_network(const char *data, size_t n, struct engine_network *out_network,
			struct jaco_err *err)
{
	jaco_auto(json_ref) json_t *root = load_object(data, n, err);
	struct at at = {.object = root, .where = "", .err = err};
	struct engine_network net = {0};

	if (!root)
		return -JACO_DOCKER_ERROR;
	jaco_err_clear(err);
	read_network(&at, &net);
	if (!is_ok(&at))
		return -(int)err->code;
	*out_network = net;
	return 0;
}

int engine_json_network_list(const char *data, size_t n, const char *cluster_id,
			     void (*on_network)(void *ctx, const struct engine_network *net),
			     void *ctx, struct jaco_err *err)
{
	jaco_auto(json_ref) json_t *root = load(data, n, err);
	json_t *entry;
	size_t i;

	if (!root)
		return -JACO_DOCKER_ERROR;
	if (!json_is_array(root))
		return jaco_err_set(err, JACO_DOCKER_ERROR, "engine answer is not a list");
	jaco_err_clear(err);
	json_array_foreach(root, i, entry)
	{
		struct at at = {.object = entry, .where = "", .err = err};
		struct engine_network net = {0};

		if (!is_ours(entry, "Labels", cluster_id))
			continue;
		read_network(&at, &net);
		if (!is_ok(&at))
			return -(int)err->code;
		on_network(ctx, &net);
	}
	return 0;
}

static void read_action(const struct at *at, const struct at *attributes, struct engine_event *out)
{
	static const struct {
		const char *action;
		enum engine_event_what what;
	} actions[] = {
		{"create", ENGINE_EVENT_CREATE},   {"start", ENGINE_EVENT_START},
		{"die", ENGINE_EVENT_DIE},         {"died", ENGINE_EVENT_DIE},
		{"destroy", ENGINE_EVENT_DESTROY}, {"remove", ENGINE_EVENT_DESTROY},
	};
	static const char health[] = "health_status: ";
	char text[JACO_NAME_MAX + 1];

	get_text(at, "Action", text, sizeof(text));
	for (size_t i = 0; i < JACO_ARRAY_SIZE(actions); i++)
		if (jaco_str_eq(actions[i].action, text))
			out->what = actions[i].what;
	if (jaco_str_starts(text, "health_status")) {
		out->what = ENGINE_EVENT_HEALTH;
		if (jaco_str_starts(text, health))
			out->health = health_of(text + strlen(health));
	}
	if (out->what == ENGINE_EVENT_DIE) {
		uint64_t code = 0;

		get_name(attributes, "exitCode", text, sizeof(text));
		if (jaco_str_to_u64(text, INT_MAX, &code))
			out->exit_code = (int)code;
	}
}

int engine_json_event(const char *data, size_t n, struct engine_event *out_event,
		      struct jaco_err *err)
{
	jaco_auto(json_ref) json_t *root = load_object(data, n, err);
	struct at at = {.object = root, .where = "", .err = err};
	struct engine_event event = {.what = ENGINE_EVENT_OTHER};
	struct at actor, attributes;
	char type[JACO_NAME_MAX + 1];

	if (!root)
		return -JACO_DOCKER_ERROR;
	jaco_err_clear(err);
	get_text(&at, "Type", type, sizeof(type));
	actor = enter(&at, "Actor");
	attributes = enter(&actor, "Attributes");
	if (jaco_str_eq(type, "container")) {
		get_name(&actor, "ID", event.container_id, sizeof(event.container_id));
		get_name(&attributes, "jaco.replica_id", event.replica_id,
			 sizeof(event.replica_id));
		read_action(&at, &attributes, &event);
	}
	if (!is_ok(&at))
		return -(int)err->code;
	*out_event = event;
	return 0;
}

int engine_json_pull(const char *data, size_t n, struct engine_pull_line *out_line,
		     struct jaco_err *err)
{
	jaco_auto(json_ref) json_t *root = load_object(data, n, err);
	struct at at = {.object = root, .where = "", .err = err};
	struct engine_pull_line line = {0};
	struct at progress;
	int64_t done, total;

	if (!root)
		return -JACO_DOCKER_ERROR;
	jaco_err_clear(err);
	progress = enter(&at, "progressDetail");
	get_text(&at, "id", line.layer, sizeof(line.layer));
	get_text(&at, "status", line.status, sizeof(line.status));
	get_text(&at, "error", line.error, sizeof(line.error));
	done = get_int(&progress, "current");
	total = get_int(&progress, "total");
	line.done_bytes = done > 0 ? (uint64_t)done : 0;
	line.total_bytes = total > 0 ? (uint64_t)total : 0;
	if (!is_ok(&at))
		return -(int)err->code;
	*out_line = line;
	return 0;
}

int engine_json_id(const char *data, size_t n, char out_id[static ENGINE_ID_BYTES],
		   struct jaco_err *err)
{
	jaco_auto(json_ref) json_t *root = load_object(data, n, err);
	struct at at = {.object = root, .where = "", .err = err};
	char id[ENGINE_ID_BYTES];

	if (!root)
		return -JACO_DOCKER_ERROR;
	jaco_err_clear(err);
	get_name(&at, "Id", id, sizeof(id));
	if (!id[0])
		fail(&at, "Id", "is missing");
	if (!is_ok(&at))
		return -(int)err->code;
	jaco_str_copy(out_id, ENGINE_ID_BYTES, id);
	return 0;
}

int engine_json_version(const char *data, size_t n, struct engine_info *out_info,
			struct jaco_err *err)
{
	jaco_auto(json_ref) json_t *root = load_object(data, n, err);
	struct at at = {.object = root, .where = "", .err = err};
	struct engine_info info = *out_info;
	const json_t *components, *entry;
	size_t i;

	if (!root)
		return -JACO_DOCKER_ERROR;
	jaco_err_clear(err);
	get_text(&at, "Version", info.server_version, sizeof(info.server_version));
	components = get_array(&at, "Components");
	json_array_foreach((json_t *)components, i, entry)
	{
		const char *name = json_string_value(json_object_get(entry, "Name"));

		if (name && strstr(name, "Podman"))
			info.is_podman = true;
	}
	if (!is_ok(&at))
		return -(int)err->code;
	*out_info = info;
	return 0;
}

void engine_json_message(const char *data, size_t n, char out_text[static ENGINE_TEXT_BYTES])
{
	jaco_auto(json_ref) json_t *root = json_loadb(data, n, JSON_ALLOW_NUL, NULL);
	const json_t *text = json_object_get(root, "message");
	const char *end;

	if (!json_is_string(text))
		text = json_object_get(root, "cause");
	if (json_is_string(text)) {
		copy_line(out_text, ENGINE_TEXT_BYTES, json_string_value(text),
			  json_string_length(text));
		return;
	}
	end = n ? memchr(data, '\n', n) : NULL;
	copy_line(out_text, ENGINE_TEXT_BYTES, data, end ? (size_t)(end - data) : n);
}
