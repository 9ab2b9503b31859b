/* SPDX-License-Identifier: Apache-2.0
 *
 * daemon.h - the one shape of every daemon: begin, open, subscribe, serve, confine, ready, loop.
 *
 *   static const struct jaco_daemon_spec ipamd_spec = {...};
 *
 *   int main(int argc, char **argv)
 *   {
 *           jaco_auto(jaco_daemon) struct jaco_daemon daemon = JACO_DAEMON_INIT(ipamd_spec);
 *           jaco_auto(ipamd) struct ipamd ipamd = IPAMD_INIT;
 *           struct jaco_err err = JACO_ERR_INIT;
 *
 *           if (jaco_daemon_begin(&daemon, argc, argv, &err) < 0 ||
 *               ipamd_open(&ipamd, &daemon, &err) < 0 ||
 *               jaco_daemon_subscribe(&daemon, ipamd_on_view, &ipamd, &err) < 0 ||
 *               jaco_daemon_serve(&daemon, &ipamd, &err) < 0 ||
 *               jaco_daemon_confine(&daemon, &err) < 0 ||
 *               jaco_daemon_ready(&daemon, &err) < 0 ||
 *               jaco_loop_run(&daemon.loop, &err) < 0)
 *                   return jaco_daemon_exit(&daemon, &err);
 *           return jaco_daemon_exit(&daemon, NULL);
 *   }
 *
 * Directories: run /run/jaco, state data_dir, cache /var/cache/jaco; `--root DIR` puts all three
 * and the configuration below DIR (run, lib, cache, jacod.yaml), for tests and `jaco supervise`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/err.h"
#include "libjaco/base/log.h"
#include "libjaco/daemon/config.h"
#include "libjaco/daemon/metrics.h"
#include "libjaco/daemon/view.h"
#include "libjaco/io/loop.h"
#include "libjaco/wire/rpc.h"

/* What seccomp(2) leaves besides the calls every daemon needs. */
enum {
	JACO_SANDBOX_PLAIN = 0,
	JACO_SANDBOX_EXEC = 1, /* may start a child (meshd) */
};

/* Capabilities, capabilities(7). */
enum {
	JACO_CAP_NONE = 0,
	JACO_CAP_NET_ADMIN = 1,
	JACO_CAP_NET_BIND_SERVICE = 2,
	JACO_CAP_NET_RAW = 4,
	JACO_CAP_CHOWN = 16,    /* owners of configs and secrets */
	JACO_CAP_SYS_ADMIN = 8, /* network namespaces of the packet self-test only */
};

struct jaco_daemon;

struct jaco_daemon_spec {
	const char *name;                       /* "ipamd": sockets, user, unit */
	const char *summary;                    /* one line of --help */
	uint32_t role;                          /* ROLE_ bit; its socket of raftd */
	const struct jaco_service_row *methods; /* NULL: only the common ones */
	const char *const *topics;              /* key prefixes, NULL-terminated; NULL: no view */
	int64_t debounce_ms;
	unsigned caps;
	unsigned sandbox;
	bool has_standalone;                    /* accepts --standalone FILE */
	bool is_data_path; /* serves others on the loop itself: jaco_loop_open_fast() */
	const struct jaco_option *options;      /* more options; ends with name NULL */
	/* Append Prometheus lines (metrics.h).  May be NULL. */
	void (*metrics)(void *self, struct jaco_buf *out);
	/* Configuration was reloaded (SIGHUP).  May be NULL. */
	void (*reloaded)(void *self);
	/* Add facts to `status`.  May be NULL. */
	void (*facts)(void *self, struct jaco_arena *arena, struct wire_daemon_status *status);
};

/* An option of one daemon besides the common ones; values are read by jaco_daemon_option(). */
struct jaco_option {
	const char *name; /* without dashes */
	const char *value; /* placeholder in --help; NULL: a flag */
	const char *doc;
};

struct jaco_publication;

struct jaco_daemon {
	const struct jaco_daemon_spec *spec;
	struct jaco_loop loop;
	struct jaco_config config;
	char config_path[512];
	char root[256];      /* "" without --root */
	char run_dir[256];   /* shared: /run/jaco */
	char state_dir[512]; /* own: data_dir/<name> */
	char cache_dir[512]; /* own: /var/cache/jaco/<name> */
	char host[64];       /* node name */
	char standalone[512]; /* file of --standalone, "" otherwise */
	struct jaco_server server;
	struct jaco_client raftd;
	struct jaco_view view;
	bool has_client;
	bool has_view;
	bool has_server;
	bool has_loop;
	void *self;
	jaco_view_fn *on_view;
	void *view_ctx;
	struct jaco_publication *publications;
	struct jaco_timer republish;
	struct jaco_timer watchdog;
	struct jaco_signal signals[3];
	char status[256];
	const char *state; /* "ready", "waiting", "degraded" */
	int64_t started_wall_ms;
	struct {
		const char *name;
		const char *value;
	} options[16];
	size_t n_options;
};

#define JACO_DAEMON_INIT(spec_) ((struct jaco_daemon){.spec = &(spec_), .state = "waiting"})

/* Options, configuration, log, directories, signals, loop.  --help and --version end the
 * process. */
int jaco_daemon_begin(struct jaco_daemon *daemon, int argc, char **argv, struct jaco_err *err);

/* Connect to raftd and keep the view of spec->topics; @on_view runs after each change and every 30
 * s. */
int jaco_daemon_subscribe(struct jaco_daemon *daemon, jaco_view_fn *on_view, void *ctx,
			  struct jaco_err *err);

/* Answer spec->methods and the common ones on <run_dir>/<name>/<name>.sock. */
int jaco_daemon_serve(struct jaco_daemon *daemon, void *self, struct jaco_err *err);

/* Drop capabilities, forbid new privileges, filter system calls. */
int jaco_daemon_confine(struct jaco_daemon *daemon, struct jaco_err *err);

/* READY=1, watchdog. */
int jaco_daemon_ready(struct jaco_daemon *daemon, struct jaco_err *err);

/* The exit status; logs @err once when not NULL. */
int jaco_daemon_exit(struct jaco_daemon *daemon, const struct jaco_err *err);
void jaco_daemon_cleanup(struct jaco_daemon *daemon);

/* What `systemctl status` and `status` show.  @state: "ready", "waiting", "degraded". */
void jaco_daemon_set_status(struct jaco_daemon *daemon, const char *state, const char *fmt, ...)
	JACO_PRINTF(3, 4);

/* The value of an extra option ("" for a flag), NULL when not given. */
const char *jaco_daemon_option(const struct jaco_daemon *daemon, const char *name);

/* Path of another daemon's socket on this node. */
void jaco_daemon_peer_path(const struct jaco_daemon *daemon, const char *name,
			   char out[static 108]);

/* Publish an observed record of this node; sent again whenever raftd comes back.  Equal content is
 * not sent twice. */
int jaco_daemon_publish(struct jaco_daemon *daemon, const char *key, const struct jaco_desc *desc,
			const void *msg, struct jaco_err *err);

/* Publish "/obs/node/<host>/<topic>". */
int jaco_daemon_publish_topic(struct jaco_daemon *daemon, const char *topic,
			      const struct jaco_desc *desc, const void *msg, struct jaco_err *err);

/* Withdraw an observed record. */
void jaco_daemon_withdraw(struct jaco_daemon *daemon, const char *key);
