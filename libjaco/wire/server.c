/* SPDX-License-Identifier: Apache-2.0
 *
 * server.c - accepts connections, checks rights, runs handlers, sends answers.
 *
 * Bounds: connections per socket, requests in flight and bytes queued per connection, bytes of one
 * message while it arrives.  A caller that breaks the framing gets one error and is disconnected; a
 * caller that breaks a message's schema gets a typed error and stays. */
#include "libjaco/wire/rpc.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/io/sock.h"
#include "libjaco/wire/chan.h"
#include "libjaco/wire/frame.h"
#include "libjaco/wire/tls.h"

#define ACCEPT_REST_MS 100
#define REPLY_KEPT     65536 /* bytes of the reply buffer that are not given back */
#define DEAD_PEER_MS   30000 /* unanswered data or probes: the path is gone (tcp(7)) */
#define LINGER_MS      250   /* a dismissed caller may still read why */
#define PROOF_MAX      128

struct jaco_conn {
	struct jaco_chan chan;
	struct jaco_server *server;
	struct jaco_listener *listener;
	uint32_t role;
	char identity[JACO_IDENTITY_MAX];
	uint32_t uid;
	struct jaco_call *calls;
	size_t n_calls;
	size_t n_streams;
	bool is_remote;
	bool is_stranger;
	bool is_relay; /* may pass on calls of others */
	bool is_done;  /* ends when what is queued is sent */
	struct jaco_timer deadline; /* a stranger's */
	char from[JACO_ADDR_TEXT_BYTES]; /* remote: the address without the port */
	char proof[PROOF_MAX];
	bool is_dispatching;
	bool is_dead; /* ended while dispatching: released when the dispatch returns */
	struct jaco_conn *next;
	struct jaco_conn *prev;
};

static void free_call(struct jaco_call *call)
{
	struct jaco_arena *arena = call->arena;

	jaco_arena_fini(arena);
	jaco_free(arena);
}

static void unlink_call(struct jaco_call *call)
{
	struct jaco_conn *conn = call->conn;

	if (call->prev)
		call->prev->next = call->next;
	else
		conn->calls = call->next;
	if (call->next)
		call->next->prev = call->prev;
	conn->n_calls--;
	conn->n_streams -= call->is_stream;
}

static void free_conn(struct jaco_conn *conn)
{
	struct jaco_server *server = conn->server;

	while (conn->calls) {
		struct jaco_call *call = conn->calls;

		unlink_call(call);
		if (call->on_cancel)
			call->on_cancel(call, call->cancel_ctx);
		free_call(call);
	}
	if (conn->prev)
		conn->prev->next = conn->next;
	else
		server->conns = conn->next;
	if (conn->next)
		conn->next->prev = conn->prev;
	server->n_conns--;
	conn->listener->n_conns--;
	jaco_timer_fini(&conn->deadline);
	jaco_wipe(conn->proof, sizeof(conn->proof));
	jaco_chan_close(&conn->chan);
	jaco_free(conn);
}

static void retire_conn(struct jaco_conn *conn)
{
	if (conn->is_dispatching)
		conn->is_dead = true;
	else
		free_conn(conn);
}

static void send_error(struct jaco_conn *conn, uint32_t id, const struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf out = JACO_BUF_INIT;

	conn->server->n_errors++;
	jaco_frame_error(&out, id, err);
	jaco_chan_send(&conn->chan, out.data, out.n);
}

/* --- answers --- */

void jaco_call_on_cancel(struct jaco_call *call, void (*fn)(struct jaco_call *call, void *ctx),
			 void *ctx)
{
	call->on_cancel = fn;
	call->cancel_ctx = ctx;
}

static void finish(struct jaco_call *call)
{
	unlink_call(call);
	free_call(call);
}

void jaco_call_reply_raw(struct jaco_call *call, const void *data, size_t n)
{
	jaco_auto(jaco_buf) struct jaco_buf out = JACO_BUF_INIT;

	jaco_frame_result(&out, call->id);
	if (n)
		jaco_buf_add(&out, data, n);
	else
		jaco_pack_nil(&out);
	jaco_chan_send(&call->conn->chan, out.data, out.n);
	finish(call);
}

void jaco_call_reply(struct jaco_call *call, const void *msg)
{
	struct jaco_buf *out = &call->server->reply;
	struct jaco_err err = JACO_ERR_INIT;

	if (!msg) {
		jaco_call_reply_raw(call, NULL, 0);
		return;
	}
	jaco_buf_reset(out);
	jaco_frame_result(out, call->id);
	if (jaco_pack(out, call->method->out, msg, &err) < 0) {
		jaco_call_fail(call, &err);
		return;
	}
	jaco_chan_send(&call->conn->chan, out->data, out->n);
	if (out->cap > REPLY_KEPT)
		jaco_buf_fini(out);
	finish(call);
}

void jaco_call_fail(struct jaco_call *call, const struct jaco_err *err)
{
	send_error(call->conn, call->id, err);
	finish(call);
}

int jaco_call_admit(struct jaco_call *call, const char *identity, const char *proof,
		    struct jaco_err *err)
{
	struct jaco_conn *conn = call->conn;
	size_t n = 0;

	for (const struct jaco_conn *at = conn->server->conns; at; at = at->next)
		n += at->is_remote && !at->is_stranger && strcmp(at->identity, identity) == 0;
	if (n >= JACO_CONNS_PER_IDENTITY)
		return jaco_err_set(err, JACO_TOO_MANY_REQUESTS, "%s has %zu connections here",
				    identity, n);
	(void)jaco_str_copy(conn->identity, sizeof(conn->identity), identity);
	(void)jaco_str_copy(conn->proof, sizeof(conn->proof), proof);
	conn->is_stranger = false;
	jaco_timer_disarm(&conn->deadline);
	return 0;
}

void jaco_call_dismiss(struct jaco_call *call, const struct jaco_err *err)
{
	struct jaco_conn *conn = call->conn;

	jaco_call_fail(call, err);
	conn->is_done = true;
	jaco_timer_arm(&conn->deadline, LINGER_MS);
}

int jaco_call_event_raw(struct jaco_call *call, const void *data, size_t n, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf out = JACO_BUF_INIT;

	if (jaco_call_queued(call) > JACO_OUTPUT_HIGH_WATER)
		return jaco_err_set(err, JACO_UNAVAILABLE, "the reader lags by %zu bytes",
				    jaco_call_queued(call));
	jaco_frame_event(&out, call->id, call->method_name);
	jaco_buf_add(&out, data, n);
	jaco_chan_send(&call->conn->chan, out.data, out.n);
	return 0;
}

int jaco_call_event(struct jaco_call *call, const void *msg, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf body = JACO_BUF_BOUND(JACO_MESSAGE_MAX - 128);

	if (jaco_pack(&body, call->method->out, msg, err) < 0)
		return -(int)err->code;
	return jaco_call_event_raw(call, body.data, body.n, err);
}

size_t jaco_call_queued(const struct jaco_call *call)
{
	return jaco_chan_queued(&call->conn->chan);
}

/* --- requests --- */

static const struct jaco_service_row *find_row(struct jaco_server *server, const char *name,
					       void **out_self)
{
	for (size_t t = 0; t < server->n_tables; t++) {
		for (const struct jaco_service_row *row = server->tables[t].rows; row->method;
		     row++) {
			if (strcmp(row->method->name, name) == 0) {
				*out_self = server->tables[t].self;
				return row;
			}
		}
	}
	return NULL;
}

static struct jaco_call *new_call(struct jaco_conn *conn, const struct jaco_frame *frame)
{
	struct jaco_arena *arena = jaco_alloc(sizeof(*arena));
	struct jaco_call *call = jaco_arena_alloc(arena, sizeof(*call));

	call->arena = arena;
	call->server = conn->server;
	call->conn = conn;
	call->id = frame->id;
	call->role = conn->role;
	call->method_name = jaco_arena_strdup(arena, frame->method);
	call->raw_params = jaco_arena_memdup(arena, frame->body, frame->body_bytes);
	call->raw_params_bytes = frame->body_bytes;
	(void)jaco_str_copy(call->identity, sizeof(call->identity),
			    frame->caller[0] ? frame->caller : conn->identity);
	call->uid = conn->uid;
	call->is_remote = conn->is_remote;
	call->is_stranger = conn->is_stranger;
	call->proof = conn->proof;
	call->allow_privileged = true;
	call->next = conn->calls;
	if (conn->calls)
		conn->calls->prev = call;
	conn->calls = call;
	conn->n_calls++;
	conn->server->n_calls++;
	return call;
}

static int take_stream(struct jaco_call *call, const struct jaco_method *method,
		       struct jaco_err *err)
{
	if (!method || !(method->flags & METHOD_STREAM))
		return 0;
	if (call->conn->n_streams >= JACO_WATCHES_PER_CONN)
		return jaco_err_set(err, JACO_TOO_MANY_REQUESTS,
				    "%d streams are open on this connection",
				    JACO_WATCHES_PER_CONN);
	call->is_stream = true;
	call->conn->n_streams++;
	return 0;
}

static int run_handler(struct jaco_server *server, struct jaco_call *call, struct jaco_err *err)
{
	static const uint8_t empty_map = 0x80;
	void *self = NULL;
	const struct jaco_service_row *row = find_row(server, call->method_name, &self);
	const struct jaco_method *method = row ? row->method : jaco_method_find(call->method_name);
	const void *params = call->raw_params_bytes ? call->raw_params : &empty_map;
	size_t n = call->raw_params_bytes ? call->raw_params_bytes : 1;
	void *req = NULL;

	if (!row && !server->fallback)
		return jaco_err_set(err, JACO_UNKNOWN_METHOD, "no method %s here",
				    call->method_name);
	if (row) {
		call->method = row->method;
		if (!(row->method->roles & call->role))
			return jaco_err_set(err, JACO_PERMISSION_DENIED, "%s may not call %s",
					    call->identity, call->method_name);
	}
	if (take_stream(call, method, err) < 0 ||
	    (server->authorize && server->authorize(server->hook_ctx, call, err) < 0))
		return -(int)err->code;
	if (method && (row || server->admit)) {
		req = jaco_arena_alloc(call->arena, method->in->size);
		if (jaco_unpack(method->in, params, n, call->arena, req, err) < 0)
			return -(int)err->code;
	}
	if (method && server->admit &&
	    server->admit(server->hook_ctx, call, method, req, err) < 0)
		return -(int)err->code;
	return row ? row->handler(self, call, req, err)
		   : server->fallback(server->hook_ctx, call, NULL, err);
}

/* What the connections of one token hold together. */
static int check_share(const struct jaco_conn *conn, struct jaco_err *err)
{
	size_t n_calls = 0, n_streams = 0, queued = 0;

	for (const struct jaco_conn *at = conn->server->conns; at; at = at->next) {
		if (!at->is_remote || at->is_stranger || strcmp(at->identity, conn->identity) != 0)
			continue;
		n_calls += at->n_calls;
		n_streams += at->n_streams;
		queued += jaco_chan_queued(&at->chan);
	}
	if (n_calls < JACO_CALLS_PER_IDENTITY && n_streams < JACO_WATCHES_PER_IDENTITY &&
	    queued < JACO_OUTPUT_PER_IDENTITY)
		return 0;
	return jaco_err_set(err, JACO_TOO_MANY_REQUESTS,
			    "%s has %zu requests and %zu streams here, %zu bytes of answers wait "
			    "to be read", conn->identity, n_calls, n_streams, queued);
}

static int check_bounds(const struct jaco_conn *conn, const struct jaco_frame *frame,
			struct jaco_err *err)
{
	if (conn->n_calls >= JACO_CALLS_PER_CONN)
		return jaco_err_set(err, JACO_TOO_MANY_REQUESTS,
				    "%d requests are in flight on this connection",
				    JACO_CALLS_PER_CONN);
	if (frame->caller[0] && !conn->is_relay)
		return jaco_err_set(err, JACO_PERMISSION_DENIED, "%s may not speak for others",
				    conn->identity);
	return conn->is_remote && !conn->is_stranger ? check_share(conn, err) : 0;
}

static void dispatch(struct jaco_conn *conn, const struct jaco_frame *frame)
{
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_call *call;

	if (frame->kind != JACO_FRAME_REQUEST)
		return; /* callers have nothing to notify us of */
	if (check_bounds(conn, frame, &err) < 0) {
		send_error(conn, frame->id, &err);
		return;
	}
	call = new_call(conn, frame);
	if (run_handler(conn->server, call, &err) >= 0)
		return;
	if (conn->is_stranger)
		jaco_call_dismiss(call, &err);
	else
		jaco_call_fail(call, &err);
}

static void refuse_and_close(struct jaco_conn *conn, uint32_t id, const struct jaco_err *err)
{
	send_error(conn, id, err);
	retire_conn(conn);
}

/* Answers nobody reads: no further question is taken before some have gone. */
static bool is_lagging(const struct jaco_conn *conn)
{
	return jaco_chan_queued(&conn->chan) > JACO_OUTPUT_HIGH_WATER;
}

static size_t message_max(const struct jaco_conn *conn)
{
	return conn->is_stranger ? JACO_STRANGER_MESSAGE_MAX : JACO_MESSAGE_MAX;
}

/* A stranger is heard once; what it says next waits until that is answered. */
static bool is_deaf(const struct jaco_conn *conn)
{
	return conn->is_dead || conn->is_done || is_lagging(conn) ||
	       (conn->is_stranger && conn->n_calls > 0);
}

static int on_data(struct jaco_chan *chan, void *ctx)
{
	struct jaco_conn *conn = ctx;
	struct jaco_frame frame = {.id = 0};
	struct jaco_err err = JACO_ERR_INIT;
	size_t used = 0;
	int rc = 0;

	if (conn->is_done) {
		jaco_buf_reset(&chan->in);
		return 0;
	}
	conn->is_dispatching = true;
	while (!is_deaf(conn)) {
		rc = jaco_frame_read(chan->in.data + used, chan->in.n - used, &frame, &err);
		if (rc <= 0)
			break;
		if (frame.bytes > message_max(conn))
			rc = jaco_err_set(&err, JACO_MESSAGE_TOO_LARGE,
					  "a message of %zu bytes exceeds %zu", frame.bytes,
					  message_max(conn));
		if (rc < 0)
			break;
		dispatch(conn, &frame);
		used += frame.bytes;
	}
	conn->is_dispatching = false;
	if (conn->is_dead) {
		free_conn(conn);
		return -1;
	}
	if (rc == 0 && !is_lagging(conn) && chan->in.n - used > message_max(conn))
		rc = jaco_err_set(&err, JACO_MESSAGE_TOO_LARGE, "a message exceeds %zu bytes",
				  message_max(conn));
	if (rc < 0) {
		refuse_and_close(conn, frame.id, &err);
		return -1;
	}
	jaco_buf_consume(&chan->in, used);
	if (is_lagging(conn))
		jaco_chan_pause(chan);
	return 0;
}

static void on_end(struct jaco_chan *chan, const struct jaco_err *err, void *ctx)
{
	(void)chan;
	(void)err;
	retire_conn(ctx);
}

static const struct jaco_chan_ops conn_ops = {.on_data = on_data, .on_end = on_end};

/* --- connections --- */

static const char *role_name(uint32_t role)
{
	static const struct {
		uint32_t role;
		const char *name;
	} names[] = {
		{ROLE_SCHEDD, "schedd"}, {ROLE_IPAMD, "ipamd"},	  {ROLE_MESHD, "meshd"},
		{ROLE_FWD, "fwd-nft"},	 {ROLE_DNSD, "dnsd"},	  {ROLE_PROXYD, "proxyd"},
		{ROLE_RUNTIMED, "runtimed"}, {ROLE_RAFTD, "raftd"},
	};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(names); i++)
		if (names[i].role == role)
			return names[i].name;
	return NULL;
}

static void identify(struct jaco_conn *conn)
{
	struct jaco_peercred cred = {.user = "unknown"};
	const char *daemon = role_name(conn->role);

	(void)jaco_sock_peercred(conn->chan.fd, &cred, NULL); /* "unknown" says enough */
	conn->uid = cred.uid;
	/* raftd, in a unit of its own or as the user of everything */
	conn->is_relay = conn->role & ROLE_RAFTD && (cred.uid == 0 || cred.uid == geteuid() ||
						     strcmp(cred.user, "jaco-raftd") == 0);
	if (daemon)
		(void)jaco_str_format(conn->identity, sizeof(conn->identity), "system:%s", daemon);
	else
		(void)jaco_str_format(conn->identity, sizeof(conn->identity), "local:%s",
				      cred.user);
}

/* Time is up, or it was dismissed. */
static void on_deadline(struct jaco_timer *timer, void *ctx)
{
	(void)timer;
	retire_conn(ctx);
}

static struct jaco_conn *new_conn(struct jaco_listener *listener, int take_fd)
{
	struct jaco_server *server = listener->server;
	struct jaco_conn *conn = jaco_alloc(sizeof(*conn));

	conn->server = server;
	conn->listener = listener;
	conn->role = listener->role;
	conn->next = server->conns;
	if (server->conns)
		server->conns->prev = conn;
	server->conns = conn;
	server->n_conns++;
	listener->n_conns++;
	jaco_timer_init(server->loop, &conn->deadline, on_deadline, conn);
	jaco_chan_open(&conn->chan, server->loop, take_fd, false, JACO_MESSAGE_MAX + 64, &conn_ops,
		       conn);
	return conn;
}

static void set_tcp_options(int fd)
{
	int on = 1, idle_s = DEAD_PEER_MS / 2000, every_s = DEAD_PEER_MS / 6000, probes = 3;
	unsigned timeout = DEAD_PEER_MS;

	/* a refusal leaves a connection that lives longer than it should, no more */
	jaco_sock_set_nodelay(fd);
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof(every_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
}

/* The oldest stranger goes when there are too many, or too many from @from. */
static void make_room(struct jaco_listener *listener, const char *from)
{
	struct jaco_conn *oldest = NULL, *oldest_here = NULL;
	size_t n = 0, n_here = 0;

	for (struct jaco_conn *at = listener->server->conns; at; at = at->next) {
		if (!at->is_stranger || at->is_dispatching)
			continue;
		n++;
		oldest = at;
		if (strcmp(at->from, from) == 0) {
			n_here++;
			oldest_here = at;
		}
	}
	if (n_here >= JACO_STRANGERS_PER_ADDRESS)
		free_conn(oldest_here);
	else if (n >= JACO_STRANGERS_MAX)
		free_conn(oldest);
}

static void accept_tls(struct jaco_listener *listener, int fd, const struct jaco_addr *peer)
{
	struct jaco_err err = JACO_ERR_INIT;
	char from[JACO_ADDR_TEXT_BYTES];
	struct jaco_conn *conn;

	jaco_addr_render_host(from, peer);
	make_room(listener, from);
	if (!*listener->tls || listener->n_conns >= JACO_CONNS_PER_SOCKET) {
		(void)close(fd);
		return;
	}
	set_tcp_options(fd);
	conn = new_conn(listener, fd);
	conn->is_remote = conn->is_stranger = true;
	memcpy(conn->from, from, sizeof(conn->from));
	(void)jaco_str_format(conn->identity, sizeof(conn->identity), "stranger at %s", from);
	jaco_timer_arm(&conn->deadline, JACO_STRANGER_MS);
	if (jaco_tls_attach(&conn->chan, *listener->tls, false, &err) < 0)
		retire_conn(conn);
}

static void accept_one(struct jaco_listener *listener, int fd, const struct jaco_addr *peer)
{
	if (listener->tls)
		accept_tls(listener, fd, peer);
	else if (listener->n_conns >= JACO_CONNS_PER_SOCKET)
		(void)close(fd); /* the bound is the answer; a caller sees a closed connection */
	else
		identify(new_conn(listener, fd));
}

static void on_listener(struct jaco_io *io, unsigned events, void *ctx)
{
	struct jaco_listener *listener = ctx;
	struct jaco_addr peer;
	int fd;

	(void)events;
	while ((fd = jaco_sock_accept(io->fd, &peer)) >= 0)
		accept_one(listener, fd, &peer);
	/* Without a free descriptor the caller stays in the backlog and the socket stays readable:
	 * watching it on would only burn the processor. */
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		jaco_io_set(io, 0);
		jaco_timer_arm(&listener->rest, ACCEPT_REST_MS);
	}
}

static void on_rested(struct jaco_timer *timer, void *ctx)
{
	struct jaco_listener *listener = ctx;

	(void)timer;
	jaco_io_set(&listener->io, JACO_IO_READ);
}

void jaco_server_init(struct jaco_server *server, struct jaco_loop *loop)
{
	*server = (struct jaco_server){.loop = loop, .reply = JACO_BUF_BOUND(JACO_MESSAGE_MAX)};
}

void jaco_server_add(struct jaco_server *server, const struct jaco_service_row *rows, void *self)
{
	JACO_ASSERT(server->n_tables < JACO_SERVER_TABLES_MAX);
	server->tables[server->n_tables].rows = rows;
	server->tables[server->n_tables++].self = self;
}

void jaco_server_listen_fd(struct jaco_server *server, int take_fd, uint32_t role)
{
	struct jaco_listener *listener = &server->listeners[server->n_listeners++];

	JACO_ASSERT(server->n_listeners <= JACO_SERVER_LISTEN_MAX);
	*listener = (struct jaco_listener){.server = server, .fd = take_fd, .role = role};
	jaco_timer_init(server->loop, &listener->rest, on_rested, listener);
	jaco_io_start(server->loop, &listener->io, take_fd, JACO_IO_READ, on_listener, listener);
}

void jaco_server_listen_tls(struct jaco_server *server, int take_fd, uint32_t role,
			    struct ssl_ctx_st *const *context)
{
	jaco_server_listen_fd(server, take_fd, role);
	server->listeners[server->n_listeners - 1].tls = context;
}

static void expel(struct jaco_conn *conn, const struct jaco_err *err)
{
	while (conn->calls) {
		struct jaco_call *call = conn->calls;

		if (call->on_cancel)
			call->on_cancel(call, call->cancel_ctx);
		jaco_call_fail(call, err);
	}
	conn->is_done = true;
	jaco_timer_arm(&conn->deadline, LINGER_MS);
}

void jaco_server_review(struct jaco_server *server,
			int (*check)(void *ctx, const char *identity, const char *proof,
				     struct jaco_err *err),
			void *ctx)
{
	for (struct jaco_conn *conn = server->conns; conn; conn = conn->next) {
		struct jaco_err err = JACO_ERR_INIT;

		if (conn->is_remote && !conn->is_stranger && !conn->is_done &&
		    check(ctx, conn->identity, conn->proof, &err) < 0)
			expel(conn, &err);
	}
}

int jaco_server_listen(struct jaco_server *server, const char *path, mode_t mode,
		       const char *group, uint32_t role, struct jaco_err *err)
{
	int fd = jaco_sock_listen_unix(path, mode, group, err);

	if (fd < 0)
		return fd;
	jaco_server_listen_fd(server, fd, role);
	(void)jaco_str_copy(server->listeners[server->n_listeners - 1].path,
			    sizeof(server->listeners[0].path), path);
	return 0;
}

void jaco_server_close(struct jaco_server *server)
{
	while (server->conns)
		free_conn(server->conns);
	for (size_t i = 0; i < server->n_listeners; i++) {
		struct jaco_listener *listener = &server->listeners[i];

		jaco_io_stop(&listener->io);
		jaco_timer_fini(&listener->rest);
		jaco_fd_close(&listener->fd);
		if (listener->path[0])
			(void)unlink(listener->path); /* the next start replaces it anyway */
	}
	server->n_listeners = 0;
	jaco_buf_fini(&server->reply);
}
