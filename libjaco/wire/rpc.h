/* SPDX-License-Identifier: Apache-2.0
 *
 * rpc.h - MessagePack-RPC: the server of a daemon and the client of everybody, on unix sockets and,
 * for remote people, over TLS (tls.h).
 *
 * Request [0, id, method, [params-map]], reply [1, id, error-map|nil, result], notification
 * [2, method, [{"id": id, "event": map}]]: a streaming method answers with notifications that carry
 * its id, then its reply.  Reference: the MessagePack-RPC specification,
 * github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md.
 *
 * A handler returns negative with @err filled and the error is sent; 0 means it has answered or
 * will, exactly once, by jaco_call_reply() or jaco_call_fail().  A call that outlives its handler
 * must set jaco_call_on_cancel() and drop its pointer there: the connection went away. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "libjaco/base/arena.h"
#include "libjaco/base/err.h"
#include "libjaco/io/loop.h"
#include "libjaco/wire/wire.h"

struct jaco_call;
struct jaco_conn;
struct jaco_server;

typedef int jaco_handler(void *self, struct jaco_call *call, const void *req, struct jaco_err *err);

struct jaco_service_row {
	const struct jaco_method *method;
	jaco_handler *handler;
};

/* Build a daemon's table from its .def file.  First the prototypes and thunks, then the rows:
 *
 *   #include "libjaco/wire/pass_methods.h"
 *   #define METHOD(d, m, n, in, out, r, f) JACO_THUNK(struct ipamd, d, m, in)
 *   #include "libjaco/wire/def/ipamd.def"
 *   #undef METHOD
 *   #define METHOD(d, m, n, in, out, r, f) JACO_ROW(d, m)
 *   const struct jaco_service_row ipamd_methods[] = {
 *   #include "libjaco/wire/def/ipamd.def"
 *   	{NULL, NULL}};
 *   #include "libjaco/wire/pass_end.h"
 *
 * A missing handler does not link. */
#define JACO_THUNK(self_type, d, m, in_)                                                           \
	int d##_on_##m(self_type *self, struct jaco_call *call, const struct wire_##in_ *req,      \
		       struct jaco_err *err);                                                      \
	static int d##_thunk_##m(void *self, struct jaco_call *call, const void *req,              \
				 struct jaco_err *err)                                             \
	{                                                                                          \
		return d##_on_##m(self, call, req, err);                                           \
	}
#define JACO_ROW(d, m) {&wire_##d##_##m, d##_thunk_##m},

#define JACO_IDENTITY_MAX 128

struct jaco_call {
	struct jaco_arena *arena; /* request, reply and scratch; gone after the answer */
	struct jaco_server *server;
	struct jaco_conn *conn;
	uint32_t id;
	uint32_t role;              /* one ROLE_ bit */
	const struct jaco_method *method; /* NULL in a fallback */
	const char *method_name;
	const void *raw_params; /* the packed params map, for relays */
	size_t raw_params_bytes;
	char identity[JACO_IDENTITY_MAX]; /* local:<user>, system:<daemon>, or of a token */
	uint32_t uid;
	bool is_remote;        /* came over TLS */
	bool is_stranger;      /* and has not said who it is */
	bool is_stream;        /* counted among the connection's streams */
	const char *proof;     /* what jaco_call_admit() was given; "" otherwise.  Borrowed */
	bool read_only;        /* set by an authorizer */
	bool allow_privileged; /* may admit gated services */
	const struct wire_strs *scope; /* set by an authorizer: only these deployments; NULL: all */
	void (*on_cancel)(struct jaco_call *call, void *ctx);
	void *cancel_ctx;
	struct jaco_call *next;
	struct jaco_call *prev;
};

/* Answer with @msg described by the method's out; a streaming method ends with NULL. */
void jaco_call_reply(struct jaco_call *call, const void *msg);

/* Answer with an already packed map. */
void jaco_call_reply_raw(struct jaco_call *call, const void *data, size_t n);
void jaco_call_fail(struct jaco_call *call, const struct jaco_err *err);

/* One event of a streaming method.  Errors: UNAVAILABLE - the reader lags by more than
 * JACO_OUTPUT_HIGH_WATER; the event was not queued and the call should end with a resync. */
int jaco_call_event(struct jaco_call *call, const void *msg, struct jaco_err *err);
int jaco_call_event_raw(struct jaco_call *call, const void *data, size_t n, struct jaco_err *err);

/* Bytes queued towards the caller. */
size_t jaco_call_queued(const struct jaco_call *call);
void jaco_call_on_cancel(struct jaco_call *call, void (*fn)(struct jaco_call *call, void *ctx),
			 void *ctx);

/* The stranger who calls is @identity from now on; @proof is handed to its later calls.
 * Errors: TOO_MANY_REQUESTS - JACO_CONNS_PER_IDENTITY. */
int jaco_call_admit(struct jaco_call *call, const char *identity, const char *proof,
		    struct jaco_err *err);

/* Fail and end the connection. */
void jaco_call_dismiss(struct jaco_call *call, const struct jaco_err *err);

/* --- server --- */

#define JACO_SERVER_TABLES_MAX 4
#define JACO_SERVER_LISTEN_MAX 16

struct ssl_ctx_st;

struct jaco_listener {
	struct jaco_server *server;
	struct ssl_ctx_st *const *tls; /* borrowed; NULL: a unix socket */
	struct jaco_io io;
	struct jaco_timer rest; /* armed: no descriptor was free, accepting goes on when it fires */
	int fd;			/* owned */
	uint32_t role;
	size_t n_conns; /* bounded for each: callers of one socket cannot lock out another's */
	char path[108];
};

struct jaco_server {
	struct jaco_loop *loop;
	struct {
		const struct jaco_service_row *rows;
		void *self;
	} tables[JACO_SERVER_TABLES_MAX];
	size_t n_tables;
	struct jaco_listener listeners[JACO_SERVER_LISTEN_MAX];
	size_t n_listeners;
	struct jaco_conn *conns;
	size_t n_conns;
	/* Before every handler: refuse (negative) or adjust the call.  May be NULL. */
	int (*authorize)(void *ctx, struct jaco_call *call, struct jaco_err *err);
	/* After it, with the unpacked request (also of methods no table has).  May be NULL. */
	int (*admit)(void *ctx, struct jaco_call *call, const struct jaco_method *method,
		     const void *req, struct jaco_err *err);
	/* A method no table has, e.g. to relay it.  NULL: unknown_method. */
	jaco_handler *fallback;
	void *hook_ctx;
	struct jaco_buf reply; /* while it is packed */
	uint64_t n_calls;
	uint64_t n_errors;
};

void jaco_server_init(struct jaco_server *server, struct jaco_loop *loop);

/* @rows ends with {NULL, NULL} and lives as long as the server. */
void jaco_server_add(struct jaco_server *server, const struct jaco_service_row *rows, void *self);

/* Listen on a unix socket (see jaco_sock_listen_unix); callers get @role. */
int jaco_server_listen(struct jaco_server *server, const char *path, mode_t mode,
		       const char *group, uint32_t role, struct jaco_err *err);

/* Serve on a listening descriptor given by the service manager. */
void jaco_server_listen_fd(struct jaco_server *server, int take_fd, uint32_t role);

/*
 * Serve TLS on a listening TCP descriptor with the context that @context holds when a caller comes;
 * while it holds NULL callers are turned away.
 *
 * Whoever comes is a stranger until a handler calls jaco_call_admit(): one request at a time, small
 * ones, and JACO_STRANGER_MS for all of it.  The oldest stranger makes room for the newest.
 */
void jaco_server_listen_tls(struct jaco_server *server, int take_fd, uint32_t role,
			    struct ssl_ctx_st *const *context);

/* Ask again about everybody who was admitted: where @check fails, that connection's calls fail with
 * its error and the connection ends. */
void jaco_server_review(struct jaco_server *server,
			int (*check)(void *ctx, const char *identity, const char *proof,
				     struct jaco_err *err),
			void *ctx);
void jaco_server_close(struct jaco_server *server);

/* --- client --- */

struct jaco_pending;
struct jaco_client;

/* @out is NULL on failure, borrowed for the time of the callback. */
typedef void jaco_reply_fn(void *ctx, const void *out, const struct jaco_err *err);
typedef void jaco_event_fn(void *ctx, const void *event);

/* @packed: the result map as it came, for relays; overrides unpacking. */
typedef void jaco_raw_fn(void *ctx, const void *packed, size_t n, const struct jaco_err *err);

/* Connection state changed. */
typedef void jaco_client_fn(struct jaco_client *client, bool is_up, void *ctx);

/* Where a cluster answers remote people.  Borrowed by the client for its life. */
struct jaco_remote {
	struct ssl_ctx_st *context; /* tls.h */
	const char *const *servers; /* host:port, tried in turn */
	size_t n_servers;
	const char *method;         /* the first call on every connection: who we are */
	const void *params;         /* packed; secret */
	size_t params_bytes;
};

struct jaco_client {
	struct jaco_loop *loop;
	const struct jaco_remote *remote; /* NULL: a unix socket */
	size_t at_server;
	size_t n_failures;      /* attempts since it was up last */
	struct jaco_timer attempt;
	char path[108];         /* or the server it is or was connected to */
	struct jaco_client_conn *conn; /* NULL while down */
	struct jaco_timer retry;
	int64_t retry_ms;
	uint32_t next_id;
	struct jaco_pending *pending;
	bool is_up;
	bool once; /* no reconnection: command lines */
	struct jaco_err last_err; /* why it is down */
	jaco_client_fn *on_state;
	void *ctx;
};

/* Connect to the unix socket @path and keep connected (back-off 50 ms to 2 s).  The first attempt
 * is made at once; calls made while down fail with UNAVAILABLE. */
void jaco_client_open(struct jaco_client *client, struct jaco_loop *loop, const char *path,
		      jaco_client_fn *on_state, void *ctx);

/* The same to a cluster far away.  It is up once the first call was answered well; each failure
 * goes on to the next server. */
void jaco_client_open_remote(struct jaco_client *client, struct jaco_loop *loop,
			     const struct jaco_remote *remote, jaco_client_fn *on_state, void *ctx);

/* Fails every pending call first; calls made by their callbacks are forgotten
 * (jaco_client_cancel). */
void jaco_client_close(struct jaco_client *client);

/* Send one request.  @deadline_ms 0: none.  @on_reply is called exactly once, never from inside
 * this function, unless the call is cancelled.  Returns a handle valid until then. */
struct jaco_pending *jaco_client_call(struct jaco_client *client, const struct jaco_method *method,
				      const void *req, int64_t deadline_ms, jaco_reply_fn *on_reply,
				      void *ctx);

/* The same for a streaming method. */
struct jaco_pending *jaco_client_stream(struct jaco_client *client,
					const struct jaco_method *method, const void *req,
					jaco_event_fn *on_event, jaco_reply_fn *on_reply,
					void *ctx);

/* Relay: packed parameters in, packed result and events out.  @method need not be known.  @caller:
 * on whose behalf, or NULL. */
struct jaco_pending *jaco_client_call_raw(struct jaco_client *client, const char *method,
					  const void *params, size_t n, const char *caller,
					  int64_t deadline_ms, jaco_raw_fn *on_event,
					  jaco_raw_fn *on_reply, void *ctx);

/* Take no more answers and events, or go on: for a relay whose own reader lags.  What has been read
 * already is still delivered. */
void jaco_client_listen(struct jaco_client *client, bool on);

/* Forget a call; its callbacks are not called. */
void jaco_client_cancel(struct jaco_pending *pending);

/* Run the loop until one call is answered: for command lines only.  On success the reply is
 * unpacked into @out_msg with memory from @arena. */
int jaco_client_sync(struct jaco_client *client, const struct jaco_method *method, const void *req,
		     int64_t deadline_ms, struct jaco_arena *arena, void *out_msg,
		     struct jaco_err *err);
