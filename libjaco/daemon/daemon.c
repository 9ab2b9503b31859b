/* SPDX-License-Identifier: Apache-2.0
 *
 * daemon.c - the start sequence, status and publications of every daemon. */
#include "libjaco/daemon/daemon.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/daemon/common.h"
#include "libjaco/daemon/confine.h"
#include "libjaco/io/fs.h"
#include "libjaco/io/notify.h"

#define CONFIG_PATH "/etc/jaco/jacod.yaml"
#define RUN_DIR     "/run/jaco"
#define CACHE_DIR   "/var/cache/jaco"

#define REPUBLISH_MS 1000

struct jaco_publication {
	struct jaco_daemon *daemon;
	char *key;
	char *data; /* NULL: withdrawn; the record goes once raftd has confirmed it */
	size_t n;
	bool is_sent;
	unsigned in_flight;
	struct jaco_publication *next;
};

static void free_publication(struct jaco_publication *pub)
{
	jaco_free(pub->key);
	jaco_free(pub->data);
	jaco_free(pub);
}

/* --- options --- */

static const struct jaco_option common_options[] = {
	{"config", "FILE", "configuration (default /etc/jaco/jacod.yaml; JACO_CONFIG)"},
	{"root", "DIR", "keep sockets, state, cache and configuration below DIR"},
	{"log-level", "LEVEL", "debug, info, notice, warning, error (JACO_LOG)"},
	{"log-format", "FORMAT", "text, json, journal"},
	{"help", NULL, "this text"},
	{"version", NULL, "print the version"},
	{NULL, NULL, NULL},
};
static const struct jaco_option standalone_option[] = {
	{"standalone", "FILE", "no raftd: serve the tables in FILE, re-read on SIGHUP"},
	{NULL, NULL, NULL},
};

static void print_options(const struct jaco_option *options)
{
	for (; options && options->name; options++) {
		char left[64];

		(void)jaco_str_format(left, sizeof(left), "--%s%s%s", options->name,
				      options->value ? " " : "",
				      options->value ? options->value : "");
		printf("  %-22s %s\n", left, options->doc);
	}
}

static void print_help(const struct jaco_daemon_spec *spec)
{
	printf("usage: jaco-%s [options]\n%s\n\n", spec->name, spec->summary);
	if (spec->has_standalone)
		print_options(standalone_option);
	print_options(spec->options);
	print_options(common_options);
	printf("\nExample: jaco-%s --root /tmp/jaco --log-level debug\nManual: man 8 jaco-%s\n",
	       spec->name, spec->name);
}

static const struct jaco_option *find_option(const struct jaco_daemon_spec *spec, const char *name,
					     size_t n)
{
	const struct jaco_option *lists[] = {common_options, spec->options,
					     spec->has_standalone ? standalone_option : NULL};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(lists); i++)
		for (const struct jaco_option *o = lists[i]; o && o->name; o++)
			if (strlen(o->name) == n && strncmp(o->name, name, n) == 0)
				return o;
	return NULL;
}

static int read_option(struct jaco_daemon *daemon, int argc, char **argv, int *at,
		       struct jaco_err *err)
{
	const char *word = argv[*at];
	const struct jaco_option *option;
	const char *value = "";
	size_t n;

	if (strncmp(word, "--", 2) != 0)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "unexpected argument \"%s\"",
				    word);
	word += 2;
	n = strcspn(word, "=");
	option = find_option(daemon->spec, word, n);
	if (!option)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "unknown option --%s", word);
	if (option->value) {
		if (word[n] == '=')
			value = word + n + 1;
		else if (++*at < argc)
			value = argv[*at];
		else
			return jaco_err_set(err, JACO_VALIDATION_FAILED, "--%s needs a value",
					    word);
	}
	if (daemon->n_options == JACO_ARRAY_SIZE(daemon->options))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "too many options");
	daemon->options[daemon->n_options].name = option->name;
	daemon->options[daemon->n_options++].value = value;
	return 0;
}

const char *jaco_daemon_option(const struct jaco_daemon *daemon, const char *name)
{
	for (size_t i = daemon->n_options; i > 0; i--)
		if (strcmp(daemon->options[i - 1].name, name) == 0)
			return daemon->options[i - 1].value;
	return NULL;
}

static bool set_path(char *out, size_t n, const char *root, const char *below, const char *normal)
{
	return *root ? jaco_str_format(out, n, "%s/%s", root, below)
		     : jaco_str_copy(out, n, normal);
}

/* The file that somebody asked for; NULL: the usual one, which need not exist. */
static const char *named_config(const struct jaco_daemon *daemon)
{
	const char *option = jaco_daemon_option(daemon, "config");

	return option || *daemon->root ? option : getenv("JACO_CONFIG");
}

static int choose_config(struct jaco_daemon *daemon, struct jaco_err *err)
{
	const char *named = named_config(daemon);
	char *path = daemon->config_path;
	size_t n = sizeof(daemon->config_path);

	if (named ? !jaco_str_copy(path, n, named)
		  : !set_path(path, n, daemon->root, "jacod.yaml", CONFIG_PATH))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "configuration: path too long");
	return jaco_config_load(&daemon->config, path, named != NULL, err);
}

static int choose_paths(struct jaco_daemon *daemon, struct jaco_err *err)
{
	const char *root = jaco_daemon_option(daemon, "root");
	const char *standalone = jaco_daemon_option(daemon, "standalone");
	const char *base;
	char cache[256];

	if (root && !jaco_str_copy(daemon->root, sizeof(daemon->root), root))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "--root: path too long");
	(void)jaco_str_copy(daemon->standalone, sizeof(daemon->standalone),
			    standalone ? standalone : "");
	if (choose_config(daemon, err) < 0)
		return -(int)err->code;
	if (!set_path(daemon->run_dir, sizeof(daemon->run_dir), daemon->root, "run", RUN_DIR) ||
	    !set_path(cache, sizeof(cache), daemon->root, "cache", CACHE_DIR))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "--root: path too long");
	base = daemon->config.data_dir;
	if (*daemon->root) {
		(void)jaco_str_format(daemon->config.data_dir, sizeof(daemon->config.data_dir),
				      "%.200s/lib", daemon->root);
		(void)jaco_str_format(daemon->config.unix_socket,
				      sizeof(daemon->config.unix_socket), "%.200s/jaco.sock",
				      daemon->run_dir);
	}
	(void)jaco_str_format(daemon->state_dir, sizeof(daemon->state_dir), "%s/%s", base,
			      daemon->spec->name);
	(void)jaco_str_format(daemon->cache_dir, sizeof(daemon->cache_dir), "%s/%s", cache,
			      daemon->spec->name);
	return 0;
}

static int make_dirs(struct jaco_daemon *daemon, struct jaco_err *err)
{
	char own_run[sizeof(daemon->run_dir) + 64];

	if (*daemon->standalone)
		return 0;
	(void)jaco_str_format(own_run, sizeof(own_run), "%s/%s", daemon->run_dir,
			      daemon->spec->name);
	if (jaco_fs_mkdirs(daemon->run_dir, 0755, err) < 0 ||
	    jaco_fs_mkdirs(own_run, 0755, err) < 0 ||
	    jaco_fs_mkdirs(daemon->config.data_dir, 0755, err) < 0 ||
	    jaco_fs_mkdirs(daemon->state_dir, 0700, err) < 0 ||
	    jaco_fs_mkdirs(daemon->cache_dir, 0700, err) < 0)
		return -(int)err->code;
	jaco_fs_sweep(daemon->state_dir);
	jaco_fs_sweep(daemon->cache_dir);
	return 0;
}

static int open_log(struct jaco_daemon *daemon, struct jaco_err *err)
{
	const char *format = jaco_daemon_option(daemon, "log-format");
	const char *level = jaco_daemon_option(daemon, "log-level");
	enum jaco_log_format chosen = jaco_notify_has_journal() ? JACO_LOG_JOURNAL : JACO_LOG_TEXT;
	enum jaco_log_level parsed;

	if (!level)
		level = getenv("JACO_LOG") ? getenv("JACO_LOG") : daemon->config.log_level;
	if (!jaco_log_level_parse(level, &parsed))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "no such log level: %s", level);
	if (format && jaco_str_eq(format, "json"))
		chosen = JACO_LOG_JSON;
	else if (format && jaco_str_eq(format, "journal"))
		chosen = JACO_LOG_JOURNAL;
	else if (format && jaco_str_eq(format, "text"))
		chosen = JACO_LOG_TEXT;
	else if (format)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "no such log format: %s", format);
	jaco_log_open(daemon->spec->name, chosen, parsed);
	return 0;
}

/* --- signals --- */

static void on_stop_signal(struct jaco_signal *sig, int signo, void *ctx)
{
	struct jaco_daemon *daemon = ctx;

	(void)sig;
	jaco_log_info("stopping", KV_INT(status, signo));
	jaco_notify("STOPPING=1");
	jaco_loop_stop(&daemon->loop);
}

static void on_reload_signal(struct jaco_signal *sig, int signo, void *ctx)
{
	struct jaco_daemon *daemon = ctx;
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_config fresh;
	const char *needs_restart;
	enum jaco_log_level level;

	(void)sig;
	(void)signo;
	if (jaco_config_load(&fresh, daemon->config_path, named_config(daemon) != NULL, &err) < 0) {
		JACO_LOG_FAILURE(JACO_LOG_ERR, "configuration not reloaded", &err);
		return;
	}
	if (*daemon->root) { /* where --root puts things is not the file's to change */
		memcpy(fresh.data_dir, daemon->config.data_dir, sizeof(fresh.data_dir));
		memcpy(fresh.unix_socket, daemon->config.unix_socket, sizeof(fresh.unix_socket));
	}
	needs_restart = jaco_config_reload(&daemon->config, &fresh);
	if (needs_restart)
		jaco_log_warning("a changed key needs restart", KV_STR(option, needs_restart));
	if (!jaco_daemon_option(daemon, "log-level") && !getenv("JACO_LOG") &&
	    jaco_log_level_parse(daemon->config.log_level, &level))
		jaco_log_set_level(level);
	if (daemon->spec->reloaded && daemon->self)
		daemon->spec->reloaded(daemon->self);
	jaco_log_info("configuration reloaded", KV_STR(path, daemon->config_path));
}

/* --- sequence --- */

static void on_republish(struct jaco_timer *timer, void *ctx);

int jaco_daemon_begin(struct jaco_daemon *daemon, int argc, char **argv, struct jaco_err *err)
{
	for (int i = 1; i < argc; i++)
		if (read_option(daemon, argc, argv, &i, err) < 0)
			return -(int)err->code;
	if (jaco_daemon_option(daemon, "help")) {
		print_help(daemon->spec);
		exit(0);
	}
	if (jaco_daemon_option(daemon, "version")) {
		puts(JACO_VERSION);
		exit(0);
	}
	jaco_log_open(daemon->spec->name, JACO_LOG_TEXT, JACO_LOG_INFO);
	if (choose_paths(daemon, err) < 0 || open_log(daemon, err) < 0 ||
	    make_dirs(daemon, err) < 0 ||
	    (daemon->spec->is_data_path ? jaco_loop_open_fast(&daemon->loop, err)
					: jaco_loop_open(&daemon->loop, NULL, err)) < 0)
		return -(int)err->code;
	daemon->has_loop = true;
	jaco_timer_init(&daemon->loop, &daemon->republish, on_republish, daemon);
	daemon->started_wall_ms = jaco_time_wall_ms();
	if (*daemon->config.node_name)
		(void)jaco_str_copy(daemon->host, sizeof(daemon->host), daemon->config.node_name);
	else
		(void)gethostname(daemon->host, sizeof(daemon->host) - 1);
	daemon->host[strcspn(daemon->host, ".")] = '\0';
	(void)signal(SIGPIPE, SIG_IGN);
	jaco_signal_start(&daemon->loop, &daemon->signals[0], SIGTERM, on_stop_signal, daemon);
	jaco_signal_start(&daemon->loop, &daemon->signals[1], SIGINT, on_stop_signal, daemon);
	jaco_signal_start(&daemon->loop, &daemon->signals[2], SIGHUP, on_reload_signal, daemon);
	jaco_notify_take_fds();
	jaco_log_info("starting", KV_STR(version, JACO_VERSION), KV_STR(host, daemon->host));
	return 0;
}

static void send_publication(struct jaco_daemon *daemon, struct jaco_publication *pub);

static void on_raftd(struct jaco_client *client, bool is_up, void *ctx)
{
	struct jaco_daemon *daemon = ctx;

	(void)client;
	if (is_up)
		jaco_log_debug("connected to raftd");
	else
		jaco_log_notice("raftd is away; going on with what is known");
	if (daemon->has_view)
		jaco_view_connected(&daemon->view, is_up);
	for (struct jaco_publication *pub = daemon->publications; pub; pub = pub->next) {
		pub->is_sent = false;
		if (is_up)
			send_publication(daemon, pub);
	}
}

/* Refused ones (no cluster yet, a full store) are tried again. */
static void on_republish(struct jaco_timer *timer, void *ctx)
{
	struct jaco_daemon *daemon = ctx;

	(void)timer;
	for (struct jaco_publication *pub = daemon->publications; pub; pub = pub->next)
		if (!pub->is_sent)
			send_publication(daemon, pub);
}

int jaco_daemon_subscribe(struct jaco_daemon *daemon, jaco_view_fn *on_view, void *ctx,
			  struct jaco_err *err)
{
	char cache[sizeof(daemon->cache_dir) + 8];
	char path[108];

	if (*daemon->standalone)
		return 0;
	if (!jaco_str_format(path, sizeof(path), "%s/raftd/%s.sock", daemon->run_dir,
			     daemon->spec->name))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "socket path too long below %s",
				    daemon->run_dir);
	(void)jaco_str_format(cache, sizeof(cache), "%s/view", daemon->cache_dir);
	jaco_client_open(&daemon->raftd, &daemon->loop, path, on_raftd, daemon);
	daemon->has_client = true;
	if (daemon->spec->topics) {
		jaco_view_open(&daemon->view, &daemon->loop, &daemon->raftd, daemon->spec->topics,
			       daemon->spec->debounce_ms, cache, on_view, ctx);
		daemon->has_view = true;
	}
	if (!daemon->raftd.is_up)
		jaco_daemon_set_status(daemon, "waiting", "waiting for raftd%s",
				       daemon->has_view && daemon->view.is_loaded
					       ? ", serving the saved view"
					       : "");
	return 0;
}

/* --- answering --- */

int jaco_daemon_serve(struct jaco_daemon *daemon, void *self, struct jaco_err *err)
{
	char path[108];

	daemon->self = self;
	jaco_server_init(&daemon->server, &daemon->loop);
	daemon->has_server = true;
	jaco_server_add(&daemon->server, jaco_common_methods, daemon);
	if (daemon->spec->methods)
		jaco_server_add(&daemon->server, daemon->spec->methods, self);
	if (*daemon->standalone)
		return 0;
	jaco_daemon_peer_path(daemon, daemon->spec->name, path);
	/* Group jaco: the daemons ask each other, administrators look. */
	return jaco_server_listen(&daemon->server, path, 0660, "jaco", ROLE_ADMIN | ROLE_RAFTD,
				  err);
}

int jaco_daemon_confine(struct jaco_daemon *daemon, struct jaco_err *err)
{
	return jaco_confine(daemon->spec->caps, daemon->spec->sandbox, err);
}

static void on_watchdog(struct jaco_timer *timer, void *ctx)
{
	(void)ctx;
	jaco_notify("WATCHDOG=1");
	jaco_timer_arm(timer, jaco_notify_watchdog_ms());
}

int jaco_daemon_ready(struct jaco_daemon *daemon, struct jaco_err *err)
{
	(void)err;
	jaco_timer_init(&daemon->loop, &daemon->watchdog, on_watchdog, daemon);
	if (jaco_notify_watchdog_ms() > 0)
		jaco_timer_arm(&daemon->watchdog, jaco_notify_watchdog_ms());
	if (!*daemon->status)
		jaco_daemon_set_status(daemon, "ready", "ready");
	jaco_notify("READY=1\nSTATUS=%s", daemon->status);
	jaco_log_info("ready");
	return 0;
}

int jaco_daemon_exit(struct jaco_daemon *daemon, const struct jaco_err *err)
{
	if (!err) {
		jaco_log_info("stopped");
		return 0;
	}
	JACO_LOG_FAILURE(JACO_LOG_ERR, "cannot go on", err);
	jaco_notify("STATUS=%s\nERRNO=%d", err->text, err->sys_errno);
	(void)daemon;
	return jaco_code_exit(err->code);
}

void jaco_daemon_cleanup(struct jaco_daemon *daemon)
{
	if (daemon->has_server)
		jaco_server_close(&daemon->server);
	if (daemon->has_view)
		jaco_view_close(&daemon->view);
	if (daemon->has_client)
		jaco_client_close(&daemon->raftd);
	while (daemon->publications) {
		struct jaco_publication *pub = daemon->publications;

		daemon->publications = pub->next;
		free_publication(pub);
	}
	jaco_timer_fini(&daemon->watchdog);
	jaco_timer_fini(&daemon->republish);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(daemon->signals); i++)
		jaco_signal_stop(&daemon->signals[i]);
	if (daemon->has_loop)
		jaco_loop_close(&daemon->loop);
	daemon->has_loop = false;
}

void jaco_daemon_set_status(struct jaco_daemon *daemon, const char *state, const char *fmt, ...)
{
	char text[sizeof(daemon->status)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (jaco_str_eq(state, daemon->state) && jaco_str_eq(text, daemon->status))
		return;
	daemon->state = state;
	(void)jaco_str_copy(daemon->status, sizeof(daemon->status), text);
	jaco_notify("STATUS=%s", daemon->status);
}

void jaco_daemon_peer_path(const struct jaco_daemon *daemon, const char *name, char out[static 108])
{
	(void)jaco_str_format(out, 108, "%s/%s/%s.sock", daemon->run_dir, name, name);
}

/* --- publications --- */

static void forget_publication(struct jaco_publication *pub)
{
	struct jaco_publication **at = &pub->daemon->publications;

	while (*at != pub)
		at = &(*at)->next;
	*at = pub->next;
	free_publication(pub);
}

static void on_published(void *ctx, const void *out, const struct jaco_err *err)
{
	struct jaco_publication *pub = ctx;

	(void)out;
	pub->in_flight--;
	if (err) {
		pub->is_sent = false;
		jaco_timer_arm_if_idle(&pub->daemon->republish, REPUBLISH_MS);
		if (err->code != JACO_UNAVAILABLE && err->code != JACO_CLUSTER_UNINITIALIZED)
			JACO_LOG_FAILURE(JACO_LOG_WARNING, "not published", err,
					 KV_STR(key, pub->key));
	} else if (!pub->data && pub->in_flight == 0) {
		forget_publication(pub);
	}
}

static void send_publication(struct jaco_daemon *daemon, struct jaco_publication *pub)
{
	struct wire_obs_put req = {.key = pub->key, .value = {pub->data, pub->n}};

	if (!daemon->has_client || !daemon->raftd.is_up)
		return;
	pub->is_sent = true;
	pub->in_flight++;
	(void)jaco_client_call(&daemon->raftd, &wire_raftd_obs_put, &req, 0, on_published, pub);
}

static struct jaco_publication *find_publication(struct jaco_daemon *daemon, const char *key)
{
	struct jaco_publication *pub = daemon->publications;

	while (pub && strcmp(pub->key, key) != 0)
		pub = pub->next;
	return pub;
}

int jaco_daemon_publish(struct jaco_daemon *daemon, const char *key, const struct jaco_desc *desc,
			const void *msg, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf packed = JACO_BUF_BOUND(JACO_VALUE_MAX);
	struct jaco_publication *pub = find_publication(daemon, key);

	if (jaco_pack(&packed, desc, msg, err) < 0)
		return -(int)err->code;
	if (!pub) {
		pub = jaco_alloc(sizeof(*pub));
		pub->daemon = daemon;
		pub->key = jaco_strdup(key);
		pub->next = daemon->publications;
		daemon->publications = pub;
	}
	if (pub->is_sent && pub->data && pub->n == packed.n &&
	    memcmp(pub->data, packed.data, packed.n) == 0)
		return 0;
	jaco_free(pub->data);
	pub->n = packed.n;
	pub->data = jaco_buf_take(&packed);
	send_publication(daemon, pub);
	return 0;
}

int jaco_daemon_publish_topic(struct jaco_daemon *daemon, const char *topic,
			      const struct jaco_desc *desc, const void *msg, struct jaco_err *err)
{
	char key[JACO_KEY_MAX + 1];

	(void)jaco_str_format(key, sizeof(key), "/obs/node/%s/%s", daemon->host, topic);
	return jaco_daemon_publish(daemon, key, desc, msg, err);
}

void jaco_daemon_withdraw(struct jaco_daemon *daemon, const char *key)
{
	struct jaco_publication *pub = find_publication(daemon, key);

	if (!pub || !pub->data)
		return; /* never published, or withdrawn already */
	jaco_free(pub->data);
	pub->data = NULL;
	pub->n = 0;
	send_publication(daemon, pub);
}
