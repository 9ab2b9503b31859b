/* SPDX-License-Identifier: Apache-2.0
 *
 * common.c - who one is, how one is and what it costs. */
#include "libjaco/daemon/common.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "libjaco/base/str.h"
#include "libjaco/daemon/daemon.h"
#include "libjaco/io/fs.h"

#include "libjaco/wire/pass_methods.h"
#define METHOD(d, m, n, in, out, r, f) JACO_THUNK(struct jaco_daemon, d, m, in)
#include "libjaco/wire/def/common.def"
#undef METHOD
#define METHOD(d, m, n, in, out, r, f) JACO_ROW(d, m)
const struct jaco_service_row jaco_common_methods[] = {
#include "libjaco/wire/def/common.def"
	{NULL, NULL},
};
#include "libjaco/wire/pass_end.h"

int daemon_on_hello(struct jaco_daemon *daemon, struct jaco_call *call,
		    const struct wire_nothing *req, struct jaco_err *err)
{
	const struct wire_cluster_meta *meta =
		daemon->has_view ? jaco_view_get(&daemon->view, "/cluster/meta") : NULL;
	struct wire_hello out = {
		.name = daemon->spec->name,
		.version = JACO_VERSION,
		.host = daemon->host,
		.cluster_id = meta ? meta->id : NULL,
		.revision = daemon->has_view ? daemon->view.revision : 0,
		.pid = (uint32_t)getpid(),
	};

	(void)req;
	(void)err;
	jaco_call_reply(call, &out);
	return 0;
}

static uint64_t rss_bytes(void)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;
	unsigned long pages = 0;

	if (jaco_fs_read("/proc/self/statm", 4096, &text, NULL) < 0 ||
	    sscanf(jaco_buf_str(&text), "%*u %lu", &pages) != 1)
		return 0;
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t cpu_ms(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

static uint32_t open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	uint32_t n = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n >= 3 ? n - 3 : 0; /* ".", ".." and the directory itself */
}

int daemon_on_status(struct jaco_daemon *daemon, struct jaco_call *call,
		     const struct wire_nothing *req, struct jaco_err *err)
{
	struct wire_daemon_status out = {
		.name = daemon->spec->name,
		.state = daemon->state,
		.message = daemon->status,
		.revision = daemon->has_view ? daemon->view.revision : 0,
		.stale = daemon->has_view && !daemon->view.is_live,
		.started = (uint64_t)daemon->started_wall_ms,
		.rss_bytes = rss_bytes(),
		.cpu_ms = cpu_ms(),
		.fds = open_fds(),
	};

	(void)req;
	(void)err;
	if (daemon->spec->facts && daemon->self)
		daemon->spec->facts(daemon->self, call->arena, &out);
	jaco_call_reply(call, &out);
	return 0;
}

int daemon_on_metrics(struct jaco_daemon *daemon, struct jaco_call *call,
		      const struct wire_nothing *req, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;
	char prefix[64];
	char name[128];
	struct wire_metrics_text out;

	(void)req;
	(void)err;
	(void)jaco_str_format(prefix, sizeof(prefix), "jaco_%s",
			      jaco_str_eq(daemon->spec->name, "fwd-nft") ? "fwd"
									 : daemon->spec->name);
	(void)jaco_str_format(name, sizeof(name), "%s_resident_memory_bytes", prefix);
	jaco_metrics_value(&text, name, "gauge", "Resident memory.", (double)rss_bytes());
	(void)jaco_str_format(name, sizeof(name), "%s_cpu_seconds_total", prefix);
	jaco_metrics_value(&text, name, "counter", "CPU time used.", (double)cpu_ms() / 1000);
	(void)jaco_str_format(name, sizeof(name), "%s_open_fds", prefix);
	jaco_metrics_value(&text, name, "gauge", "Open descriptors.", open_fds());
	(void)jaco_str_format(name, sizeof(name), "%s_calls_total", prefix);
	jaco_metrics_value(&text, name, "counter", "Calls received.",
			   (double)daemon->server.n_calls);
	(void)jaco_str_format(name, sizeof(name), "%s_call_errors_total", prefix);
	jaco_metrics_value(&text, name, "counter", "Calls refused or failed.",
			   (double)daemon->server.n_errors);
	if (daemon->spec->metrics && daemon->self)
		daemon->spec->metrics(daemon->self, &text);
	out = (struct wire_metrics_text){.text = jaco_buf_str(&text)};
	jaco_call_reply(call, &out);
	return 0;
}

int daemon_on_log_level(struct jaco_daemon *daemon, struct jaco_call *call,
			const struct wire_log_level *req, struct jaco_err *err)
{
	struct wire_log_level out;
	enum jaco_log_level level;

	(void)daemon;
	if (req->level) {
		if (!jaco_log_level_parse(req->level, &level))
			return jaco_err_set(err, JACO_VALIDATION_FAILED, "no such log level: %s",
					    req->level);
		jaco_log_set_level(level);
		jaco_log_notice("log level changed", KV_STR(state, req->level),
				KV_STR(identity, call->identity));
	}
	out = (struct wire_log_level){.level = jaco_log_level_name(jaco_log_get_level())};
	jaco_call_reply(call, &out);
	return 0;
}
