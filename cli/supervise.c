/* SPDX-License-Identifier: Apache-2.0
 *
 * supervise.c - jaco supervise: all eight daemons in the foreground, for machines without systemd.
 *
 * No order between them: each serves what it can (architecture.md 3).  A daemon that ends is
 * started again with back-off 100 ms to 5 s and gets the sockets back that it gave us to keep
 * (fdstore.h); SIGTERM stops all, SIGHUP is passed on.  Output goes to <root>/log/<daemon>.log, or
 * to standard error with --foreground-logs. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/fdstore.h"
#include "libjaco/base/log.h"
#include "libjaco/base/str.h"
#include "libjaco/io/fs.h"
#include "libjaco/io/notify.h"
#include "libjaco/io/proc.h"
#include "libjaco/io/sock.h"

#define LOCK_WAIT_MS     1000
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS   5000
#define STEADY_MS        10000 /* a run that long forgets the back-off */
#define STOP_MS          20000 /* then SIGKILL */

static const char *const names[] = {"raftd", "schedd",	"ipamd",  "meshd",
				    "fwd-nft", "dnsd", "proxyd", "runtimed"};
#define N_DAEMONS JACO_ARRAY_SIZE(names)
static_assert(N_DAEMONS <= FDSTORE_OWNERS_MAX, "each daemon's sockets are kept apart");

struct supervisor;

struct child {
	struct supervisor *supervisor;
	const char *name;
	char path[PATH_MAX];
	struct jaco_proc proc;
	struct jaco_timer restart;
	struct jaco_time started;
	int64_t backoff_ms;
};

struct supervisor {
	struct jaco_loop loop;
	const char *root;
	const char *config;
	const char *log_level;
	bool to_stderr;
	bool is_stopping;
	int lock_fd; /* two supervisors would steal each other's sockets */
	struct fdstore kept;
	struct child children[N_DAEMONS];
	struct jaco_signal signals[3];
	struct jaco_timer kill;
};

/* Installed below libexec; in a build tree beside us. */
int supervise_find_binary(const char *libexec, const char *name, char out[static 4096],
		       struct jaco_err *err)
{
	char self[PATH_MAX] = "";
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n > 0)
		self[n] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	if (libexec) {
		(void)jaco_str_format(out, PATH_MAX, "%s/jaco-%s", libexec, name);
		if (access(out, X_OK) == 0)
			return 0;
	} else {
		(void)jaco_str_format(out, PATH_MAX, "%.3000s/../daemons/%s/jaco-%s", self, name,
				      name);
		if (access(out, X_OK) == 0)
			return 0;
		(void)jaco_str_format(out, PATH_MAX, "%s/jaco-%s", JACO_LIBEXECDIR, name);
		if (access(out, X_OK) == 0)
			return 0;
	}
	return jaco_err_set(err, JACO_UNAVAILABLE, "jaco-%s is not in %s; pass --libexec DIR", name,
			    libexec ? libexec : JACO_LIBEXECDIR);
}

static int open_log(const struct child *child, struct jaco_err *err)
{
	char path[PATH_MAX];
	int fd;

	if (child->supervisor->to_stderr)
		return -1;
	(void)jaco_str_format(path, sizeof(path), "%.3000s/log/%s.log", child->supervisor->root,
			      child->name);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (fd < 0)
		jaco_err_errno(err, "open %s", path);
	return fd;
}

static void on_child_exit(struct jaco_proc *proc, int status, void *ctx);

static void start_child(struct child *child)
{
	struct supervisor *supervisor = child->supervisor;
	struct jaco_err err = JACO_ERR_INIT;
	jaco_auto(jaco_fd) int log = open_log(child, &err);
	const char *argv[12] = {child->path, "--root", supervisor->root};
	const char *const env[] = {supervisor->kept.address, NULL};
	size_t n = 3, owner = (size_t)(child - supervisor->children);
	int fds[FDSTORE_MAX];
	char fd_names[FDSTORE_NAMES_BYTES];
	struct jaco_proc_options options = {
		.argv = argv,
		.env = env,
		.out_fd = log,
		.fds = fds,
		.n_fds = fdstore_list(&supervisor->kept, owner, fds, fd_names),
		.fd_names = fd_names,
		.own_group = true,
		.die_with_parent = true};

	if (supervisor->config) {
		argv[n++] = "--config";
		argv[n++] = supervisor->config;
	}
	if (supervisor->log_level) {
		argv[n++] = "--log-level";
		argv[n++] = supervisor->log_level;
	}
	child->started = jaco_loop_now(&supervisor->loop);
	if (jaco_proc_start(&supervisor->loop, &child->proc, &options, on_child_exit, child, &err) <
	    0) {
		JACO_LOG_FAILURE(JACO_LOG_ERR, "not started", &err, KV_STR(path, child->path));
		jaco_timer_arm(&child->restart, child->backoff_ms);
		return;
	}
	fdstore_set_owner(&supervisor->kept, owner, child->proc.pid);
	jaco_log_info("started", KV_STR(path, child->path), KV_INT(pid, child->proc.pid));
}

static bool any_running(const struct supervisor *supervisor)
{
	for (size_t i = 0; i < N_DAEMONS; i++)
		if (supervisor->children[i].proc.pid > 0)
			return true;
	return false;
}

static void on_child_exit(struct jaco_proc *proc, int status, void *ctx)
{
	struct child *child = ctx;
	struct supervisor *supervisor = child->supervisor;
	struct jaco_time now = jaco_loop_now(&supervisor->loop);

	(void)proc;
	if (supervisor->is_stopping) {
		if (!any_running(supervisor))
			jaco_loop_stop(&supervisor->loop);
		return;
	}
	if (jaco_time_diff_ms(now, child->started) > STEADY_MS)
		child->backoff_ms = BACKOFF_FIRST_MS;
	jaco_log_warning(
		"ended; starting again", KV_STR(path, child->path),
		KV_INT(status, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status)),
		KV_INT(ms, child->backoff_ms));
	jaco_timer_arm(&child->restart, child->backoff_ms);
	child->backoff_ms = JACO_MIN(child->backoff_ms * 2, (int64_t)BACKOFF_MAX_MS);
}

static void on_restart(struct jaco_timer *timer, void *ctx)
{
	struct child *child = ctx;

	(void)timer;
	if (!child->supervisor->is_stopping)
		start_child(child);
}

static void on_kill(struct jaco_timer *timer, void *ctx)
{
	struct supervisor *supervisor = ctx;

	(void)timer;
	for (size_t i = 0; i < N_DAEMONS; i++)
		jaco_proc_signal(&supervisor->children[i].proc, SIGKILL);
}

static void signal_all(struct supervisor *supervisor, int signo)
{
	for (size_t i = 0; i < N_DAEMONS; i++)
		jaco_proc_signal(&supervisor->children[i].proc, signo);
}

static void on_stop(struct jaco_signal *sig, int signo, void *ctx)
{
	struct supervisor *supervisor = ctx;

	(void)sig;
	(void)signo;
	if (supervisor->is_stopping)
		return;
	supervisor->is_stopping = true;
	signal_all(supervisor, SIGTERM);
	jaco_timer_arm(&supervisor->kill, STOP_MS);
	if (!any_running(supervisor))
		jaco_loop_stop(&supervisor->loop);
}

static void on_hup(struct jaco_signal *sig, int signo, void *ctx)
{
	(void)sig;
	signal_all(ctx, signo);
}

static int prepare(struct cli *cli, struct supervisor *supervisor, struct jaco_err *err)
{
	char absolute[PATH_MAX];
	char logs[PATH_MAX];
	char lock[PATH_MAX];
	const char *root = cli_opt(cli, "root");

	if (!root)
		root = getenv("JACO_ROOT");
	if (!root)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "--root DIR is needed: where everything is kept");
	(void)jaco_str_format(logs, sizeof(logs), "%.3000s/log", root);
	if (jaco_fs_mkdirs(logs, 0750, err) < 0)
		return -(int)err->code;
	if (!realpath(root, absolute))
		return jaco_err_errno(err, "%s", root);
	(void)jaco_str_format(lock, sizeof(lock), "%.3000s/supervise.lock", root);
	supervisor->lock_fd = jaco_fs_lock(lock, LOCK_WAIT_MS, err);
	if (supervisor->lock_fd < 0)
		return jaco_err_wrap(err, "jaco supervise on %s", root);
	supervisor->root = jaco_arena_strdup(&cli->arena, absolute);
	supervisor->config = cli_opt(cli, "config");
	supervisor->log_level = cli_opt(cli, "log-level");
	supervisor->to_stderr = cli_opt(cli, "foreground-logs") != NULL;
	for (size_t i = 0; i < N_DAEMONS; i++) {
		struct child *child = &supervisor->children[i];

		child->supervisor = supervisor;
		child->name = names[i];
		child->backoff_ms = BACKOFF_FIRST_MS;
		child->proc = JACO_PROC_INIT;
		if (supervise_find_binary(cli_opt(cli, "libexec"), names[i], child->path, err) < 0)
			return -(int)err->code;
	}
	if (jaco_loop_open(&supervisor->loop, NULL, err) < 0)
		return -(int)err->code;
	return fdstore_open(&supervisor->kept, &supervisor->loop, err);
}

int supervise_run(struct cli *cli, struct jaco_err *err)
{
	struct supervisor supervisor = {.lock_fd = -1};
	int rc;

	jaco_log_open("supervise", JACO_LOG_TEXT, JACO_LOG_INFO);
	if (prepare(cli, &supervisor, err) < 0)
		return -(int)err->code;
	jaco_signal_start(&supervisor.loop, &supervisor.signals[0], SIGTERM, on_stop, &supervisor);
	jaco_signal_start(&supervisor.loop, &supervisor.signals[1], SIGINT, on_stop, &supervisor);
	jaco_signal_start(&supervisor.loop, &supervisor.signals[2], SIGHUP, on_hup, &supervisor);
	jaco_timer_init(&supervisor.loop, &supervisor.kill, on_kill, &supervisor);
	for (size_t i = 0; i < N_DAEMONS; i++) {
		jaco_timer_init(&supervisor.loop, &supervisor.children[i].restart, on_restart,
				&supervisor.children[i]);
		start_child(&supervisor.children[i]);
	}
	jaco_notify("READY=1");
	rc = jaco_loop_run(&supervisor.loop, err);
	for (size_t i = 0; i < N_DAEMONS; i++) {
		jaco_proc_fini(&supervisor.children[i].proc);
		jaco_timer_fini(&supervisor.children[i].restart);
	}
	jaco_timer_fini(&supervisor.kill);
	fdstore_close(&supervisor.kept);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(supervisor.signals); i++)
		jaco_signal_stop(&supervisor.signals[i]);
	jaco_loop_close(&supervisor.loop);
	jaco_fd_close(&supervisor.lock_fd);
	return rc;
}
