/* SPDX-License-Identifier: Apache-2.0
 *
 * alone.c - see alone.h. */
#include "daemons/dnsd/alone.h"

#include <signal.h>
#include <stdio.h>

#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"
#include "libjaco/io/fs.h"

static int read_file(const char *path, uint32_t serial, struct standalone *out,
		     struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;

	if (jaco_fs_read(path, STANDALONE_BYTES_MAX, &text, err) < 0 ||
	    standalone_parse(jaco_buf_str(&text), text.n, serial, out, err) < 0)
		return jaco_err_wrap(err, "%s", path);
	return 0;
}

static int resolve_listeners(const struct standalone *file, struct listen_want *out,
			     struct jaco_err *err)
{
	for (size_t i = 0; i < file->n_listeners; i++) {
		const struct standalone_listener *listener = &file->listeners[i];

		if (jaco_addr_parse(&out[i].addr, listener->address, 0, err) < 0)
			return jaco_err_wrap(err, "listeners[%zu].address", i);
		out[i].zone = zone_table_find(file->table, listener->deployment, listener->network);
	}
	return 0;
}

static int load(struct alone *alone, struct jaco_err *err)
{
	struct standalone file = STANDALONE_INIT;
	jaco_auto(jaco_ptr) struct listen_want *wants = NULL;

	if (read_file(alone->path, ++alone->serial, &file, err) < 0)
		return -(int)err->code;
	wants = jaco_alloc_n(file.n_listeners, sizeof(*wants));
	if (resolve_listeners(&file, wants, err) < 0) {
		standalone_fini(&file);
		return jaco_err_wrap(err, "%s", alone->path);
	}
	dnsd_set_upstreams(&alone->dnsd, file.forwarders, file.n_forwarders, NULL, 0, wants,
			   file.n_listeners, file.forwarder_timeout_ms, file.cache_bytes);
	listen_configure(alone->dnsd.listen, file.tcp_connections, file.tcp_idle_ms);
	dnsd_apply(&alone->dnsd, file.table, wants, file.n_listeners);
	file.table = NULL;
	standalone_fini(&alone->file);
	alone->file = file;
	return 0;
}

static void on_reload(struct jaco_signal *sig, int signo, void *ctx)
{
	struct alone *alone = ctx;
	struct jaco_err err = JACO_ERR_INIT;

	if (load(alone, &err) < 0)
		JACO_LOG_FAILURE(JACO_LOG_ERR, "not reloaded, the old tables stay", &err,
				 KV_STR(path, alone->path));
	else
		jaco_log_notice("reloaded", KV_STR(path, alone->path),
				KV_INT(count, listen_open_count(alone->dnsd.listen)));
}

static void on_metrics(struct jaco_signal *sig, int signo, void *ctx)
{
	struct alone *alone = ctx;
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;

	stats_render(&alone->dnsd.stats, &text);
	fputs(jaco_buf_str(&text), stdout);
	fflush(stdout);
}

int alone_check(const char *path, struct jaco_err *err)
{
	struct standalone file = STANDALONE_INIT;
	int rc = read_file(path, 1, &file, err);

	standalone_fini(&file);
	return rc;
}

int alone_open(struct alone *alone, struct jaco_loop *loop, const char *path, struct jaco_err *err)
{
	alone->path = path;
	alone->loop = loop;
	dnsd_open(&alone->dnsd, loop);
	alone->dnsd.is_alone = true;
	if (load(alone, err) < 0)
		return -(int)err->code;
	jaco_signal_start(loop, &alone->hup, SIGHUP, on_reload, alone);
	jaco_signal_start(loop, &alone->usr1, SIGUSR1, on_metrics, alone);
	jaco_log_info("serving", KV_STR(path, path),
		      KV_INT(count, listen_open_count(alone->dnsd.listen)));
	return 0;
}

void alone_close(struct alone *alone)
{
	if (!alone->loop)
		return;
	jaco_signal_stop(&alone->hup);
	jaco_signal_stop(&alone->usr1);
	dnsd_drain(&alone->dnsd);
	dnsd_close(&alone->dnsd);
	standalone_fini(&alone->file);
	*alone = ALONE_INIT;
}
