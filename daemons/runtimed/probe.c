/* SPDX-License-Identifier: Apache-2.0
 *
 * probe.c - one health probe at a time per slot: a TCP connect or an HTTP GET from this process to
 * the container's address.  Nothing is needed inside the image. */
#include "daemons/runtimed/runtimed.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/io/sock.h"

#define REPLY_MAX (64u * 1024)

struct probe {
	struct slot *slot;
	struct jaco_io io;
	struct jaco_timer timer;
	int fd; /* TCP; -1 */
	struct jaco_http_call *http;
};

void probe_cancel(struct slot *slot)
{
	struct probe *probe = slot->probe;

	if (!probe)
		return;
	jaco_io_stop(&probe->io);
	jaco_timer_fini(&probe->timer);
	jaco_fd_close(&probe->fd);
	jaco_http_cancel(probe->http);
	jaco_free(probe);
	slot->probe = NULL;
}

static void finish(struct slot *slot, bool is_ok, const char *output)
{
	enum health_verdict before = slot->r.health.verdict;
	char was[ENGINE_TEXT_BYTES];

	probe_cancel(slot);
	jaco_str_copy(was, sizeof(was), slot->r.health.output);
	health_on_probe(&slot->r.health, &slot->rule, is_ok, output, runtimed_now(slot->rt));
	if (before != slot->r.health.verdict || !jaco_str_eq(was, slot->r.health.output)) {
		runtimed_poke(slot->rt);
		memory_poke(slot->rt);
		return;
	}
	/* Nothing to tell: only the next probe has to be due. */
	jaco_timer_arm_if_idle(&slot->rt->pass,
			       JACO_MAX(slot->r.health.next_ms - runtimed_now(slot->rt), 1));
}

static void on_connected(struct jaco_io *io, unsigned events, void *ctx)
{
	struct probe *probe = ctx;
	struct jaco_err err = JACO_ERR_INIT;
	bool is_ok = jaco_sock_error(io->fd, &err) == 0;

	(void)events;
	finish(probe->slot, is_ok, err.text);
}

static void on_timeout(struct jaco_timer *timer, void *ctx)
{
	struct probe *probe = ctx;
	char text[ENGINE_TEXT_BYTES];

	(void)timer;
	jaco_str_format(text, sizeof(text), "no connection to port %u within %lld ms",
			probe->slot->rule.port, (long long)probe->slot->rule.timeout_ms);
	finish(probe->slot, false, text);
}

static void send_tcp(struct probe *probe, uint32_t address)
{
	struct slot *slot = probe->slot;
	struct jaco_addr addr = jaco_addr_ipv4(address, slot->rule.port);
	struct jaco_err err = JACO_ERR_INIT;
	bool pending = false;

	probe->fd = jaco_sock_connect(&addr, &pending, &err);
	if (probe->fd < 0) {
		finish(slot, false, err.text);
		return;
	}
	jaco_io_start(slot->rt->loop, &probe->io, probe->fd, JACO_IO_WRITE, on_connected, probe);
	jaco_timer_arm(&probe->timer, slot->rule.timeout_ms);
}

static void on_answer(void *ctx, const struct jaco_http_reply *reply, const struct jaco_err *err)
{
	struct probe *probe = ctx;
	struct slot *slot = probe->slot;
	char text[ENGINE_TEXT_BYTES] = "";
	bool is_ok = !err && reply->status >= slot->rule.expect_min &&
		     reply->status <= slot->rule.expect_max;

	probe->http = NULL;
	if (err)
		jaco_str_format(text, sizeof(text), "%.250s", err->text);
	else if (!is_ok)
		jaco_str_format(text, sizeof(text), "GET %.100s: HTTP %d, expected %u-%u: %.80s",
				slot->rule.path, reply->status, slot->rule.expect_min,
				slot->rule.expect_max, reply->body);
	finish(slot, is_ok, text);
}

static void send_http(struct probe *probe, uint32_t address)
{
	static const char *const headers[] = {"User-Agent: jaco-probe", "Connection: close", NULL};
	struct slot *slot = probe->slot;
	char url[JACO_PATH_MAX + 64], host[JACO_IPV4_TEXT_BYTES];

	jaco_ipv4_render(host, address);
	jaco_str_format(url, sizeof(url), "http://%s:%u%s%s", host, slot->rule.port,
			slot->rule.path[0] == '/' ? "" : "/", slot->rule.path);
	probe->http = jaco_http_start(slot->rt->http,
				      &(struct jaco_http_request){
					      .url = url,
					      .headers = headers,
					      .connect_timeout_ms = slot->rule.timeout_ms,
					      .timeout_ms = slot->rule.timeout_ms,
					      .body_max = REPLY_MAX,
				      },
				      on_answer, probe);
}

void probe_send(struct slot *slot)
{
	uint32_t address = slot_address(slot);
	struct probe *probe;

	if (slot->probe || address == 0)
		return;
	probe = jaco_alloc(sizeof(*probe));
	probe->slot = slot;
	probe->fd = -1;
	probe->io.fd = -1;
	jaco_timer_init(slot->rt->loop, &probe->timer, on_timeout, probe);
	slot->probe = probe;
	if (slot->rule.kind == HEALTH_HTTP)
		send_http(probe, address);
	else
		send_tcp(probe, address);
}
