/* SPDX-License-Identifier: Apache-2.0
 *
 * The other end is in the same loop: a unix socket that answers each request with the bytes of its
 * path's script. */
#include "libjaco/io/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libjaco/base/buf.h"
#include "libjaco/base/str.h"
#include "libjaco/io/sock.h"
#include "tests/lib/test.h"

#define CLIENTS_MAX 16

struct client {
	int fd;
	struct jaco_io io;
	struct jaco_buf in;
};

struct rig {
	struct jaco_loop loop;
	char dir[64], path[96];
	int listener;
	struct jaco_io accept_io;
	struct client clients[CLIENTS_MAX];
	size_t n_clients;
	struct jaco_buf requests; /* everything received */
	struct jaco_http *http;
	/* what came back */
	int n_done, status;
	enum jaco_code code;
	char error[256], header[64];
	struct jaco_buf body, streamed;
	int n_chunks, cancel_at_chunk;
	struct jaco_http_call *call;
};

static const struct script {
	const char *path, *answer;
} scripts[] = {
	{"/ok", "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 5\r\n\r\nhello"},
	{"/missing", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone"},
	{"/chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n"
		    "0\r\n\r\n"},
	{"/refused-stream", "HTTP/1.1 500 Oops\r\nContent-Length: 3\r\n\r\nwhy"},
	{"/large",
	 "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n0123456789012345678901234567890123456789"},
	{"/garbage", "SSH-2.0-OpenSSH_9.2\r\n\r\n"},
	{"/cut", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"},
	{"/redirect",
	 "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"},
};

static void on_client(struct jaco_io *io, unsigned events, void *ctx)
{
	struct rig *rig = ctx;
	struct client *client = JACO_CONTAINER_OF(io, struct client, io);
	char data[8192];
	ssize_t n = read(io->fd, data, sizeof(data));

	(void)events;
	if (n <= 0) {
		jaco_io_stop(io);
		return;
	}
	jaco_buf_add(&rig->requests, data, (size_t)n);
	jaco_buf_add(&client->in, data, (size_t)n);
	if (!strstr(client->in.data, "\r\n\r\n"))
		return;
	for (size_t i = 0; i < JACO_ARRAY_SIZE(scripts); i++) {
		char line[64];

		jaco_str_format(line, sizeof(line), " %s HTTP", scripts[i].path);
		if (!strstr(client->in.data, line))
			continue;
		JT_TRUE(write(io->fd, scripts[i].answer, strlen(scripts[i].answer)) > 0);
		if (!strcmp(scripts[i].path, "/cut") || !strcmp(scripts[i].path, "/garbage"))
			shutdown(io->fd, SHUT_RDWR);
	}
	jaco_buf_reset(&client->in);
}

static void on_accept(struct jaco_io *io, unsigned events, void *ctx)
{
	struct rig *rig = ctx;
	struct client *client = &rig->clients[rig->n_clients];
	struct jaco_addr peer;
	int fd = jaco_sock_accept(io->fd, &peer);

	(void)events;
	if (fd < 0)
		return;
	JT_TRUE(rig->n_clients < CLIENTS_MAX);
	rig->n_clients++;
	client->fd = fd;
	jaco_io_start(&rig->loop, &client->io, fd, JACO_IO_READ, on_client, rig);
}

static void rig_begin(struct rig *rig)
{
	struct jaco_err err = JACO_ERR_INIT;

	*rig = (struct rig){.cancel_at_chunk = -1};
	jaco_str_copy(rig->dir, sizeof(rig->dir), "/tmp/jaco-http-XXXXXX");
	JT_NOT_NULL(mkdtemp(rig->dir));
	jaco_str_format(rig->path, sizeof(rig->path), "%s/s", rig->dir);
	JT_OK(jaco_loop_open(&rig->loop, NULL, &err), &err);
	rig->listener = jaco_sock_listen_unix(rig->path, 0600, NULL, &err);
	JT_OK(rig->listener, &err);
	jaco_io_start(&rig->loop, &rig->accept_io, rig->listener, JACO_IO_READ, on_accept, rig);
	rig->http = jaco_http_new(&rig->loop);
}

static void rig_end(struct rig *rig)
{
	jaco_http_free(rig->http);
	for (size_t i = 0; i < rig->n_clients; i++) {
		jaco_io_stop(&rig->clients[i].io);
		close(rig->clients[i].fd);
		jaco_buf_fini(&rig->clients[i].in);
	}
	jaco_io_stop(&rig->accept_io);
	close(rig->listener);
	unlink(rig->path);
	rmdir(rig->dir);
	jaco_buf_fini(&rig->requests);
	jaco_buf_fini(&rig->body);
	jaco_buf_fini(&rig->streamed);
	jaco_loop_close(&rig->loop);
}

static void on_done(void *ctx, const struct jaco_http_reply *reply, const struct jaco_err *err)
{
	struct rig *rig = ctx;
	const char *header;

	rig->n_done++;
	rig->code = err ? err->code : JACO_OK;
	if (err) {
		JT_NULL(reply);
		jaco_str_copy(rig->error, sizeof(rig->error), err->text);
		return;
	}
	rig->status = reply->status;
	jaco_buf_add(&rig->body, reply->body, reply->body_bytes);
	header = jaco_http_header(reply->call, "api-VERSION");
	jaco_str_copy(rig->header, sizeof(rig->header), header ? header : "-");
}

static void on_data(void *ctx, struct jaco_http_call *call, const void *data, size_t n)
{
	struct rig *rig = ctx;

	jaco_buf_add(&rig->streamed, data, n);
	if (rig->n_chunks++ == rig->cancel_at_chunk)
		jaco_http_cancel(call);
}

static void ask(struct rig *rig, const char *path, struct jaco_http_request request)
{
	char url[128];

	jaco_str_format(url, sizeof(url), "http://engine%s", path);
	request.url = url;
	request.unix_path = rig->path;
	rig->call = jaco_http_start(rig->http, &request, on_done, rig);
	JT_EQ(rig->n_done, 0); /* never from inside the call */
}

static void wait_done(struct rig *rig, int n)
{
	for (int i = 0; i < 500 && rig->n_done < n; i++)
		jaco_loop_once(&rig->loop, 10);
	JT_EQ(rig->n_done, n);
}

JT_CASE(a_reply_has_status_header_and_body)
{
	struct rig rig;

	rig_begin(&rig);
	ask(&rig, "/ok", (struct jaco_http_request){.timeout_ms = 5000});
	wait_done(&rig, 1);
	JT_EQ(rig.code, JACO_OK);
	JT_EQ(rig.status, 200);
	JT_STR(jaco_buf_str(&rig.body), "hello");
	JT_STR(rig.header, "1.41");
	rig_end(&rig);
}

JT_CASE(a_post_carries_its_body_and_headers)
{
	static const char *const headers[] = {"Content-Type: application/json", NULL};
	struct rig rig;

	rig_begin(&rig);
	ask(&rig, "/ok",
	    (struct jaco_http_request){
		    .method = "POST", .headers = headers, .body = "{\"a\":1}", .body_bytes = 7});
	wait_done(&rig, 1);
	JT_NOT_NULL(strstr(rig.requests.data, "POST /ok HTTP/1.1\r\n"));
	JT_NOT_NULL(strstr(rig.requests.data, "Content-Type: application/json\r\n"));
	JT_NOT_NULL(strstr(rig.requests.data, "\r\n\r\n{\"a\":1}"));
	JT_NULL(strstr(rig.requests.data, "Expect:"));
	rig_end(&rig);
}

JT_CASE(refusals_are_replies_and_redirects_are_not_followed)
{
	struct rig rig;

	rig_begin(&rig);
	ask(&rig, "/missing", (struct jaco_http_request){.timeout_ms = 5000});
	wait_done(&rig, 1);
	JT_EQ(rig.status, 404);
	JT_STR(jaco_buf_str(&rig.body), "gone");
	rig.n_done = 0;
	ask(&rig, "/redirect", (struct jaco_http_request){.timeout_ms = 5000});
	wait_done(&rig, 1);
	JT_EQ(rig.status, 302);
	rig_end(&rig);
}

JT_CASE(a_stream_is_given_as_it_comes_but_a_refusal_is_gathered)
{
	struct rig rig;

	rig_begin(&rig);
	ask(&rig, "/chunks", (struct jaco_http_request){.on_data = on_data});
	wait_done(&rig, 1);
	JT_STR(jaco_buf_str(&rig.streamed), "onetwo");
	JT_STR(jaco_buf_str(&rig.body), "");
	rig.n_done = 0;
	ask(&rig, "/refused-stream", (struct jaco_http_request){.on_data = on_data});
	wait_done(&rig, 1);
	JT_EQ(rig.status, 500);
	JT_STR(jaco_buf_str(&rig.streamed), "onetwo");
	JT_STR(jaco_buf_str(&rig.body), "why");
	rig_end(&rig);
}

JT_CASE(a_body_beyond_its_bound_is_an_error)
{
	struct rig rig;

	rig_begin(&rig);
	ask(&rig, "/large", (struct jaco_http_request){.body_max = 39});
	wait_done(&rig, 1);
	JT_EQ(rig.code, JACO_MESSAGE_TOO_LARGE);
	JT_NOT_NULL(strstr(rig.error, "too large"));
	rig.n_done = 0;
	ask(&rig, "/large", (struct jaco_http_request){.body_max = 40});
	wait_done(&rig, 1);
	JT_EQ(rig.code, JACO_OK);
	rig_end(&rig);
}

JT_CASE(silence_ends_in_a_timeout)
{
	struct rig rig;

	rig_begin(&rig);
	ask(&rig, "/silence", (struct jaco_http_request){.timeout_ms = 50});
	wait_done(&rig, 1);
	JT_EQ(rig.code, JACO_TIMEOUT);
	rig_end(&rig);
}

JT_CASE(nobody_there_garbage_and_a_cut_are_unavailable)
{
	static const char *const paths[] = {"/garbage", "/cut"};
	struct rig rig;

	rig_begin(&rig);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(paths); i++) {
		rig.n_done = 0;
		ask(&rig, paths[i], (struct jaco_http_request){.timeout_ms = 5000});
		wait_done(&rig, 1);
		JT_EQ(rig.code, JACO_UNAVAILABLE);
	}
	jaco_str_copy(rig.path, sizeof(rig.path), "/nonexistent/socket");
	rig.n_done = 0;
	ask(&rig, "/ok", (struct jaco_http_request){.timeout_ms = 5000});
	wait_done(&rig, 1);
	JT_EQ(rig.code, JACO_UNAVAILABLE);
	jaco_str_format(rig.path, sizeof(rig.path), "%s/s", rig.dir);
	rig_end(&rig);
}

JT_CASE(a_cancelled_call_is_silent_even_from_inside_its_stream)
{
	struct rig rig;

	rig_begin(&rig);
	ask(&rig, "/ok", (struct jaco_http_request){.timeout_ms = 5000});
	jaco_http_cancel(rig.call);
	rig.cancel_at_chunk = 0;
	ask(&rig, "/chunks", (struct jaco_http_request){.on_data = on_data});
	for (int i = 0; i < 20; i++)
		jaco_loop_once(&rig.loop, 5);
	JT_EQ(rig.n_done, 0);
	JT_EQ(rig.n_chunks, 1);
	rig_end(&rig);
}

static void start_another(void *ctx, const struct jaco_http_reply *reply,
			  const struct jaco_err *err)
{
	struct rig *rig = ctx;

	JT_NULL(err);
	JT_EQ(reply->status, 200);
	jaco_http_cancel(rig->call); /* its own: harmless */
	ask(rig, "/missing", (struct jaco_http_request){.timeout_ms = 5000});
}

JT_CASE(a_callback_may_start_the_next_call)
{
	struct rig rig;

	rig_begin(&rig);
	rig.call = jaco_http_start(rig.http,
				   &(struct jaco_http_request){.url = "http://engine/ok",
							       .unix_path = rig.path},
				   start_another, &rig);
	wait_done(&rig, 1);
	JT_EQ(rig.status, 404);
	rig_end(&rig);
}

JT_CASE(a_paused_stream_waits_and_loses_nothing)
{
	struct rig rig;

	rig_begin(&rig);
	ask(&rig, "/chunks", (struct jaco_http_request){.on_data = on_data});
	jaco_http_pause(rig.call, true);
	for (int i = 0; i < 20; i++)
		jaco_loop_once(&rig.loop, 5);
	JT_EQ(rig.n_chunks, 0);
	JT_EQ(rig.n_done, 0);
	jaco_http_pause(rig.call, false);
	wait_done(&rig, 1);
	JT_STR(jaco_buf_str(&rig.streamed), "onetwo");
	rig_end(&rig);
}

JT_CASE(only_unreserved_characters_stay_as_they_are)
{
	struct jaco_buf out = JACO_BUF_INIT;

	jaco_http_escape(&out, "a-Z_0.~/?&\xc3\xa9 ");
	JT_STR(jaco_buf_str(&out), "a-Z_0.~%2F%3F%26%C3%A9%20");
	jaco_buf_fini(&out);
}

JT_MAIN(JT_RUN(a_reply_has_status_header_and_body), JT_RUN(a_post_carries_its_body_and_headers),
	JT_RUN(refusals_are_replies_and_redirects_are_not_followed),
	JT_RUN(a_stream_is_given_as_it_comes_but_a_refusal_is_gathered),
	JT_RUN(a_body_beyond_its_bound_is_an_error), JT_RUN(silence_ends_in_a_timeout),
	JT_RUN(nobody_there_garbage_and_a_cut_are_unavailable),
	JT_RUN(a_cancelled_call_is_silent_even_from_inside_its_stream),
	JT_RUN(a_callback_may_start_the_next_call), JT_RUN(a_paused_stream_waits_and_loses_nothing),
	JT_RUN(only_unreserved_characters_stay_as_they_are))
