/* SPDX-License-Identifier: Apache-2.0
 *
 * config.c - the rows of jacod.yaml and the reader that walks them. */
#include "libjaco/daemon/config.h"

#include <errno.h>
#include <string.h>

#include "libjaco/base/arena.h"
#include "libjaco/base/limits.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/io/fs.h"
#include "libjaco/io/sock.h"
#include "libjaco/model/cidr.h"
#include "libjaco/model/manifest/yaml.h"

#define CONFIG_BYTES_MAX 65536

#define AT(member)   offsetof(struct jaco_config, member)
#define SECONDS(n)   ((int64_t)(n)*1000)
#define MINUTES(n)   SECONDS((n)*60)
#define DAYS(n)      MINUTES((n)*1440)

/* A row is a line and its sentence. */
/* clang-format off */
const struct jaco_config_row jaco_config_rows[] = {
	{"data_dir", JACO_CONFIG_KIND_PATH, AT(data_dir), 0, 0, "/var/lib/jaco", NULL, NULL, false, false,
	 "one sub-directory per daemon, 0700, created on first start"},
	{"listen_addr", JACO_CONFIG_KIND_ADDR, AT(listen_addr), 0, 0, "0.0.0.0:7000", NULL, NULL, false, false,
	 "API for remote command lines (TLS); host 0.0.0.0 means the private face of this machine"},
	{"cluster_addr", JACO_CONFIG_KIND_ADDR, AT(cluster_addr), 0, 0, "0.0.0.0:7001", NULL, NULL, false, false,
	 "peers: raft and gossip over mutual TLS; must differ from listen_addr"},
	{"unix_socket", JACO_CONFIG_KIND_PATH, AT(unix_socket), 0, 0, "/run/jaco/jaco.sock", NULL, NULL, false, false,
	 "control socket, 0660, group jaco"},
	{"wg_port", JACO_CONFIG_KIND_INT, AT(wg_port), 1, 65535, "51820", NULL, NULL, false, false,
	 "UDP port of the mesh"},
	{"wg_mtu", JACO_CONFIG_KIND_INT, AT(wg_mtu), 1280, 9000, "auto", NULL, "auto", false, false,
	 "MTU of the mesh; auto: path MTU minus 80, probed per peer"},
	{"wg_backend", JACO_CONFIG_KIND_CHOICE, AT(wg_backend), 0, 0, "auto", "auto|kernel|userspace", NULL, false, false,
	 "WireGuard in the kernel, or a wireguard-go compatible program"},
	{"wg_interface", JACO_CONFIG_KIND_TEXT, AT(wg_interface), 1, 15, "wg-jaco", NULL, NULL, false, true,
	 "interface name of the mesh"},
	{"wg_stale", JACO_CONFIG_KIND_DURATION, AT(wg_stale), SECONDS(1), MINUTES(60), "275s", NULL, NULL, false, true,
	 "silence of a peer until its other addresses are tried; shorter in tests only"},
	{"ipam_pool", JACO_CONFIG_KIND_CIDR, AT(ipam_pool), 8, 20, "10.244.0.0/16", NULL, NULL, false, false,
	 "every container address of the cluster comes from here"},
	{"ipam_prefix", JACO_CONFIG_KIND_INT, AT(ipam_prefix), 20, 28, "24", NULL, NULL, false, false,
	 "prefix length of one subnet"},
	{"engine", JACO_CONFIG_KIND_CHOICE, AT(engine), 0, 0, "auto", "auto|docker|podman", NULL, false, false,
	 "container engine"},
	{"engine_socket", JACO_CONFIG_KIND_PATH, AT(engine_socket), 0, 0, NULL, NULL, NULL, false, false,
	 "API socket of the engine; default by engine"},
	{"node_name", JACO_CONFIG_KIND_TEXT, AT(node_name), 1, JACO_HOST_MAX, NULL, NULL, NULL, false, true,
	 "name of this node; default the host name"},
	{"node_status_interval", JACO_CONFIG_KIND_DURATION, AT(node_status_interval), SECONDS(5), MINUTES(5), "30s",
	 NULL, NULL, true, false, "pressure sampling"},
	{"unreachable_after", JACO_CONFIG_KIND_DURATION, AT(unreachable_after), SECONDS(2), MINUTES(5), "10s", NULL,
	 NULL, true, false, "gossip silence until a node counts as unreachable"},
	{"reschedule_after", JACO_CONFIG_KIND_DURATION, AT(reschedule_after), SECONDS(5), DAYS(1), "60s", NULL, "off",
	 true, false, "how long a node stays unreachable before its movable replicas are placed elsewhere"},
	{"acme_enabled", JACO_CONFIG_KIND_BOOL, AT(acme_enabled), 0, 0, "true", NULL, NULL, true, false,
	 "false: no ACME call is ever made"},
	{"acme_ca", JACO_CONFIG_KIND_TEXT, AT(acme_ca), 8, 255, "https://acme-v02.api.letsencrypt.org/directory", NULL,
	 NULL, true, false, "ACME directory, https"},
	{"acme_ca_bundle", JACO_CONFIG_KIND_PATH, AT(acme_ca_bundle), 0, 0, NULL, NULL, NULL, true, false,
	 "PEM of a private CA to trust for the ACME server only"},
	{"acme_email", JACO_CONFIG_KIND_TEXT, AT(acme_email), 3, 254, NULL, NULL, NULL, true, false,
	 "default contact"},
	{"acme_skip_staging", JACO_CONFIG_KIND_BOOL, AT(acme_skip_staging), 0, 0, "false", NULL, NULL, true, false,
	 "skip the staging rehearsal for new domains"},
	{"dns.forwarders", JACO_CONFIG_KIND_LIST, AT(dns_forwarders), 0, 0, NULL, NULL, NULL, true, false,
	 "host[:port] of upstream resolvers; default those of /etc/resolv.conf"},
	{"dns.forwarder_timeout", JACO_CONFIG_KIND_DURATION, AT(dns_forwarder_timeout), 100, SECONDS(30), "2s", NULL,
	 NULL, true, false, "per upstream"},
	{"dns.alias_zone", JACO_CONFIG_KIND_TEXT, AT(dns_alias_zone), 1, JACO_DOMAIN_MAX, NULL, NULL, NULL, true, false,
	 "extra flat zone: <deployment>-<service>.<zone>"},
	{"ingress.http_addr", JACO_CONFIG_KIND_ADDRS, AT(ingress_http_addr), 0, 0, "0.0.0.0:80 [::]:80", NULL, "off",
	 false, false, "where HTTP is served"},
	{"ingress.https_addr", JACO_CONFIG_KIND_ADDRS, AT(ingress_https_addr), 0, 0, "0.0.0.0:443 [::]:443", NULL, "off",
	 false, false, "where HTTPS is served"},
	{"ingress.trusted_proxies", JACO_CONFIG_KIND_CIDRS, AT(ingress_trusted_proxies), 0, 0, NULL, NULL, NULL, true,
	 false, "CIDRs whose forwarded headers and PROXY protocol are believed"},
	{"metrics_addr", JACO_CONFIG_KIND_ADDR, AT(metrics_addr), 0, 0, "127.0.0.1:7002", NULL, "off", false, false,
	 "Prometheus text of all daemons of this node"},
	{"log_level", JACO_CONFIG_KIND_CHOICE, AT(log_level), 0, 0, "info", "debug|info|notice|warning|error", NULL, true,
	 false, "JACO_LOG overrides"},
	{"require_privileged_label", JACO_CONFIG_KIND_BOOL, AT(require_privileged_label), 0, 0, "false", NULL, NULL, true,
	 false, "gated services must also carry the label jaco.io/allow-privileged"},
	{"revision_history", JACO_CONFIG_KIND_INT, AT(revision_history), 2, 100, "10", NULL, NULL, true, false,
	 "revisions kept per deployment"},
	{"audit_max_events", JACO_CONFIG_KIND_INT, AT(audit_max_events), 100, 10000000, "100000", NULL, NULL, true, false,
	 "audit events kept"},
	{"audit_max_age", JACO_CONFIG_KIND_DURATION, AT(audit_max_age), DAYS(1), DAYS(3650), "365d", NULL, NULL, true,
	 false, "age at which audit events go"},
};
/* clang-format on */
const size_t jaco_n_config_rows = JACO_ARRAY_SIZE(jaco_config_rows);

static void *place(const struct jaco_config_row *row, struct jaco_config *config)
{
	return (char *)config + row->offset;
}

static int wrong(const struct jaco_config_row *row, const char *text, const char *want,
		 struct jaco_err *err)
{
	return jaco_err_set(err, JACO_VALIDATION_FAILED, "%s: \"%s\" is not %s", row->key, text,
			    want);
}

static int set_text(const struct jaco_config_row *row, char *out, const char *text,
		    struct jaco_err *err)
{
	size_t n = strlen(text);

	if (n >= JACO_CONFIG_TEXT || (row->max && ((int64_t)n < row->min || (int64_t)n > row->max)))
		return wrong(row, text, "of an acceptable length", err);
	memcpy(out, text, n + 1);
	return 0;
}

static int set_int(const struct jaco_config_row *row, int64_t *out, const char *text,
		   struct jaco_err *err)
{
	uint64_t value;

	if (!jaco_str_to_u64(text, INT64_MAX, &value) || (int64_t)value < row->min ||
	    (int64_t)value > row->max)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "%s: \"%s\" is not a number from %lld to %lld", row->key, text,
				    (long long)row->min, (long long)row->max);
	*out = (int64_t)value;
	return 0;
}

static int set_duration(const struct jaco_config_row *row, int64_t *out, const char *text,
			struct jaco_err *err)
{
	char low[JACO_DURATION_TEXT_BYTES];
	char high[JACO_DURATION_TEXT_BYTES];
	int64_t ms;

	jaco_duration_render(low, row->min);
	jaco_duration_render(high, row->max);
	if (!jaco_duration_parse(text, &ms) || ms < row->min || ms > row->max)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "%s: \"%s\" is not a duration from %s to %s", row->key, text,
				    low, high);
	*out = ms;
	return 0;
}

static int set_bool(const struct jaco_config_row *row, bool *out, const char *text,
		    struct jaco_err *err)
{
	if (!jaco_str_eq(text, "true") && !jaco_str_eq(text, "false"))
		return wrong(row, text, "true or false", err);
	*out = jaco_str_eq(text, "true");
	return 0;
}

static int set_choice(const struct jaco_config_row *row, char *out, const char *text,
		      struct jaco_err *err)
{
	size_t n = strlen(text);

	for (const char *at = row->choices; *at; at += strcspn(at, "|"), at += *at == '|') {
		if (n > 0 && strcspn(at, "|") == n && memcmp(at, text, n) == 0)
			return set_text(row, out, text, err);
	}
	return jaco_err_set(err, JACO_VALIDATION_FAILED, "%s: \"%s\" is none of %s", row->key, text,
			    row->choices);
}

static int check_addr(const struct jaco_config_row *row, const char *text, struct jaco_err *err)
{
	struct jaco_addr addr;

	if (jaco_addr_parse(&addr, text, 0, err) < 0)
		return jaco_err_wrap(err, "%s", row->key);
	return 0;
}

static int check_cidr(const struct jaco_config_row *row, const char *text, struct jaco_err *err)
{
	struct jaco_cidr cidr;

	if (jaco_cidr_parse(text, &cidr, err) < 0)
		return jaco_err_wrap(err, "%s", row->key);
	if (row->max && (cidr.bits < row->min || cidr.bits > row->max))
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "%s: %s is not between /%lld and /%lld", row->key, text,
				    (long long)row->min, (long long)row->max);
	return 0;
}

static int add_item(const struct jaco_config_row *row, struct jaco_config_list *list,
		    const char *text, struct jaco_err *err)
{
	if (list->n == JACO_CONFIG_LIST)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "%s: more than %d entries",
				    row->key, JACO_CONFIG_LIST);
	if (row->kind == JACO_CONFIG_KIND_ADDRS && check_addr(row, text, err) < 0)
		return -(int)err->code;
	if (row->kind == JACO_CONFIG_KIND_CIDRS && check_cidr(row, text, err) < 0)
		return -(int)err->code;
	return set_text(row, list->v[list->n++], text, err);
}

static bool is_list(const struct jaco_config_row *row)
{
	return row->kind == JACO_CONFIG_KIND_ADDRS || row->kind == JACO_CONFIG_KIND_LIST ||
	       row->kind == JACO_CONFIG_KIND_CIDRS;
}

static bool is_number(const struct jaco_config_row *row)
{
	return row->kind == JACO_CONFIG_KIND_INT || row->kind == JACO_CONFIG_KIND_DURATION;
}

/* `off` and `auto` besides the kind's own words. */
static bool set_special(const struct jaco_config_row *row, void *at, const char *text)
{
	if (!row->special || !jaco_str_eq(text, row->special))
		return false;
	if (is_number(row))
		*(int64_t *)at = jaco_str_eq(text, "off") ? JACO_CONFIG_OFF : 0;
	else if (is_list(row))
		((struct jaco_config_list *)at)->n = 0;
	else
		(void)jaco_str_copy(at, JACO_CONFIG_TEXT, text);
	return true;
}

static int set_scalar(const struct jaco_config_row *row, struct jaco_config *config,
		      const char *text, struct jaco_err *err)
{
	void *at = place(row, config);

	if (set_special(row, at, text))
		return 0;
	switch (row->kind) {
	case JACO_CONFIG_KIND_TEXT:
		return set_text(row, at, text, err);
	case JACO_CONFIG_KIND_PATH:
		return text[0] == '/' ? set_text(row, at, text, err)
				      : wrong(row, text, "an absolute path", err);
	case JACO_CONFIG_KIND_ADDR:
		return check_addr(row, text, err) < 0 ? -(int)err->code
						      : set_text(row, at, text, err);
	case JACO_CONFIG_KIND_CIDR:
		return check_cidr(row, text, err) < 0 ? -(int)err->code
						      : set_text(row, at, text, err);
	case JACO_CONFIG_KIND_ADDRS:
	case JACO_CONFIG_KIND_LIST:
	case JACO_CONFIG_KIND_CIDRS:
		((struct jaco_config_list *)at)->n = 0;
		return add_item(row, at, text, err);
	case JACO_CONFIG_KIND_INT:
		return set_int(row, at, text, err);
	case JACO_CONFIG_KIND_DURATION:
		return set_duration(row, at, text, err);
	case JACO_CONFIG_KIND_BOOL:
		return set_bool(row, at, text, err);
	case JACO_CONFIG_KIND_CHOICE:
		return set_choice(row, at, text, err);
	}
	return 0;
}

void jaco_config_init(struct jaco_config *config)
{
	memset(config, 0, sizeof(*config));
	for (size_t i = 0; i < jaco_n_config_rows; i++) {
		const struct jaco_config_row *row = &jaco_config_rows[i];
		struct jaco_err err = JACO_ERR_INIT;
		char copy[JACO_CONFIG_TEXT];
		char *save = NULL;

		if (!row->fallback)
			continue;
		if (!is_list(row)) {
			(void)set_scalar(row, config, row->fallback,
					 &err); /* a test sets every row */
			continue;
		}
		(void)jaco_str_copy(copy, sizeof(copy), row->fallback);
		for (char *at = strtok_r(copy, " ", &save); at; at = strtok_r(NULL, " ", &save))
			(void)add_item(row, place(row, config), at, &err);
	}
}

/* --- the document --- */

static int locate(struct jaco_err *err, const char *name, struct jaco_pos pos)
{
	int rc = jaco_err_wrap(err, "%s:%u:%u", name, pos.line, pos.column);

	jaco_err_detail(err, "file", "%s", name);
	jaco_err_detail(err, "line", "%u", pos.line);
	jaco_err_detail(err, "column", "%u", pos.column);
	return rc;
}

static const struct jaco_config_row *find_row(const char *key)
{
	for (size_t i = 0; i < jaco_n_config_rows; i++)
		if (strcmp(jaco_config_rows[i].key, key) == 0)
			return &jaco_config_rows[i];
	return NULL;
}

static bool is_group(const char *key)
{
	size_t n = strlen(key);

	for (size_t i = 0; i < jaco_n_config_rows; i++)
		if (strncmp(jaco_config_rows[i].key, key, n) == 0 &&
		    jaco_config_rows[i].key[n] == '.')
			return true;
	return false;
}

static int unknown_key(const char *key, struct jaco_err *err)
{
	const char *names[JACO_ARRAY_SIZE(jaco_config_rows) + 1];
	const char *near;
	size_t n = 0;

	for (size_t i = 0; i < jaco_n_config_rows; i++)
		if (!jaco_config_rows[i].is_hidden)
			names[n++] = jaco_config_rows[i].key;
	names[n] = NULL;
	near = jaco_str_nearest(key, names);
	return jaco_err_set(err, JACO_VALIDATION_FAILED, "unknown key \"%s\"%s%s%s", key,
			    near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static int take_value(struct jaco_config *config, const struct jaco_config_row *row,
		      const struct jaco_yaml_node *node, struct jaco_err *err)
{
	struct jaco_config_list *list = place(row, config);

	if (node->kind == JACO_YAML_SCALAR)
		return jaco_yaml_is_null(node) ? 0 : set_scalar(row, config, node->text, err);
	if (node->kind != JACO_YAML_SEQ || !is_list(row))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "%s: a single value is wanted",
				    row->key);
	list->n = 0;
	for (size_t i = 0; i < node->n; i++) {
		const struct jaco_yaml_node *item = node->entries[i].value;

		if (item->kind != JACO_YAML_SCALAR)
			return jaco_err_set(err, JACO_VALIDATION_FAILED,
					    "%s: a list of words is wanted", row->key);
		if (add_item(row, list, item->text, err) < 0)
			return -(int)err->code;
	}
	return 0;
}

static int take_entry(struct jaco_config *config, const char *name, const char *group,
		      const struct jaco_yaml_entry *entry, struct jaco_err *err)
{
	const struct jaco_config_row *row;
	char key[128];

	if (!jaco_str_format(key, sizeof(key), "%s%s%s", group, *group ? "." : "", entry->key))
		return locate((unknown_key(entry->key, err), err), name, entry->pos);
	row = find_row(key);
	if (row)
		return take_value(config, row, entry->value, err) < 0
			       ? locate(err, name, entry->value->pos)
			       : 0;
	if (*group || !is_group(key)) {
		(void)unknown_key(key, err);
		return locate(err, name, entry->pos);
	}
	if (entry->value->kind != JACO_YAML_MAP && !jaco_yaml_is_null(entry->value)) {
		jaco_err_set(err, JACO_VALIDATION_FAILED, "%s: a mapping is wanted", key);
		return locate(err, name, entry->value->pos);
	}
	for (size_t i = 0; i < entry->value->n; i++)
		if (take_entry(config, name, key, &entry->value->entries[i], err) < 0)
			return -(int)err->code;
	return 0;
}

int jaco_config_parse(struct jaco_config *config, const char *name, const char *data, size_t n,
		      struct jaco_err *err)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_findings findings = JACO_FINDINGS_INIT(&arena);
	struct jaco_yaml_node *root = jaco_yaml_parse(name, data, n, &arena, &findings);
	struct jaco_config fresh = *config;

	if (!root)
		return jaco_findings_to_err(&findings, err);
	if (jaco_yaml_is_null(root))
		return 0;
	if (root->kind != JACO_YAML_MAP) {
		jaco_err_set(err, JACO_VALIDATION_FAILED, "a mapping is wanted");
		return locate(err, name, root->pos);
	}
	for (size_t i = 0; i < root->n; i++)
		if (take_entry(&fresh, name, "", &root->entries[i], err) < 0)
			return -(int)err->code;
	if (jaco_str_eq(fresh.listen_addr, fresh.cluster_addr))
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "%s: listen_addr and cluster_addr must differ", name);
	*config = fresh;
	return 0;
}

int jaco_config_load(struct jaco_config *config, const char *path, bool is_named,
		     struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;
	int rc;

	jaco_config_init(config);
	rc = jaco_fs_read(path, CONFIG_BYTES_MAX, &text, err);
	if (rc < 0 && (err->sys_errno == ENOENT || err->sys_errno == ENOTDIR)) {
		if (is_named)
			return jaco_err_set(err, JACO_VALIDATION_FAILED,
					    "there is no configuration %s", path);
		jaco_err_clear(err);
		return 0;
	}
	if (rc < 0)
		return rc;
	return jaco_config_parse(config, path, jaco_buf_str(&text), text.n, err);
}

static size_t width(const struct jaco_config_row *row)
{
	if (is_list(row))
		return sizeof(struct jaco_config_list);
	if (is_number(row))
		return sizeof(int64_t);
	return row->kind == JACO_CONFIG_KIND_BOOL ? sizeof(bool) : JACO_CONFIG_TEXT;
}

const char *jaco_config_reload(struct jaco_config *current, const struct jaco_config *fresh)
{
	const char *needs_restart = NULL;

	for (size_t i = 0; i < jaco_n_config_rows; i++) {
		const struct jaco_config_row *row = &jaco_config_rows[i];
		void *to = (char *)current + row->offset;
		const void *from = (const char *)fresh + row->offset;

		if (memcmp(to, from, width(row)) == 0)
			continue;
		if (row->reloads)
			memcpy(to, from, width(row));
		else if (!needs_restart)
			needs_restart = row->key;
	}
	return needs_restart;
}

void jaco_config_template(struct jaco_buf *out)
{
	char group[64] = "";

	jaco_buf_add_str(
		out,
		"# jacod.yaml - see jacod.yaml(5).  Every key is optional; defaults are shown.\n");
	for (size_t i = 0; i < jaco_n_config_rows; i++) {
		const struct jaco_config_row *row = &jaco_config_rows[i];
		const char *dot = strchr(row->key, '.');
		const char *shown = row->fallback ? row->fallback : "";

		if (row->is_hidden)
			continue;
		jaco_buf_printf(out, "\n# %s%s\n", row->doc, row->reloads ? " (reload)" : "");
		if (!dot) {
			jaco_buf_printf(out, "#%s: %s\n", row->key, shown);
			continue;
		}
		if (strncmp(group, row->key, (size_t)(dot - row->key)) != 0 ||
		    group[dot - row->key] != '\0') {
			(void)jaco_str_format(group, sizeof(group), "%.*s", (int)(dot - row->key),
					      row->key);
			jaco_buf_printf(out, "#%s:\n", group);
		}
		if (is_list(row) && row->fallback) {
			char copy[JACO_CONFIG_TEXT];
			char *save = NULL;

			(void)jaco_str_copy(copy, sizeof(copy), shown);
			jaco_buf_printf(out, "#  %s:\n", dot + 1);
			for (char *at = strtok_r(copy, " ", &save); at;
			     at = strtok_r(NULL, " ", &save))
				jaco_buf_printf(out, "#    - \"%s\"\n", at);
		} else {
			jaco_buf_printf(out, "#  %s: %s\n", dot + 1, shown);
		}
	}
}
