/* SPDX-License-Identifier: Apache-2.0
 *
 * joining.c - a stranger's side of a join: believe the certificate, compare clocks, then ask. */
#include <string.h>

#include "daemons/raftd/link/conn.h"
#include "daemons/raftd/raftd.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/io/sock.h"

struct link_joining {
	struct link_conn *conn;
	struct ssl_ctx_st *context;
	char ca_fingerprint[IDENTITY_FINGERPRINT_TEXT];
	const struct wire_raft_join *req; /* the caller's; good until answered */
	link_reply_fn *on_reply;
	void *ctx;
	bool is_asked;
	struct jaco_err err; /* why it did not come to asking */
};

bool link_joining_admit(struct link_conn *conn, struct jaco_err *err)
{
	if (tls_is_vouched_by(&conn->tls, conn->joining->ca_fingerprint))
		return true;
	jaco_err_set(err, JACO_PERMISSION_DENIED,
		     "whoever answers there has no certificate of the cluster that issued the "
		     "token; nothing was sent");
	return false;
}

static void on_answer(void *ctx, const void *out, const struct jaco_err *err)
{
	struct link_joining *joining = ctx;
	link_reply_fn *on_reply = joining->on_reply;

	joining->on_reply = NULL;
	if (on_reply)
		on_reply(joining->ctx, out, err); /* may cancel, which releases us */
}

int link_joining_check(struct link_conn *conn, const struct wire_raft_hello *hello,
		       struct jaco_err *err)
{
	struct link_joining *joining = conn->joining;
	int64_t skew = jaco_time_skew_ms(hello->clock);

	if (skew > LINK_SKEW_MAX_MS || skew < -LINK_SKEW_MAX_MS)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "the clock of %s is %lld s %s this node's: set the clocks "
				    "(chrony, systemd-timesyncd) and join again",
				    hello->host, (long long)(skew < 0 ? -skew : skew) / 1000,
				    skew < 0 ? "behind" : "ahead of");
	joining->is_asked = true;
	conn_ask(conn, "raft.join", &wire_raft_join_desc, joining->req, &wire_raft_joined_desc,
		 on_answer, joining);
	return 0;
}

void link_joining_over(struct link_conn *conn, const struct jaco_err *err)
{
	struct link_joining *joining = conn->joining;
	struct jaco_err why = *err;

	if (!joining)
		return;
	conn->joining = NULL;
	joining->conn = NULL;
	if (!joining->is_asked && joining->on_reply)
		on_answer(joining, NULL, &why);
	tls_context_free(joining->context);
	jaco_free(joining);
}

struct link_joining *link_join(struct link *link, const char *addr, const char *ca_fingerprint,
			       const struct wire_raft_join *req, link_reply_fn *on_reply, void *ctx,
			       struct jaco_err *err)
{
	struct link_joining *joining;
	struct ssl_ctx_st *context;
	struct jaco_addr at;
	bool pending = false;
	int fd;

	if (jaco_addr_parse(&at, addr, 0, err) < 0 ||
	    tls_context_new(&context, NULL, NULL, err) < 0)
		return NULL;
	fd = jaco_sock_connect(&at, &pending, err);
	if (fd < 0) {
		tls_context_free(context);
		return NULL;
	}
	joining = jaco_alloc(sizeof(*joining));
	*joining = (struct link_joining){
		.context = context, .req = req, .on_reply = on_reply, .ctx = ctx};
	(void)jaco_str_copy(joining->ca_fingerprint, sizeof(joining->ca_fingerprint),
			    ca_fingerprint);
	joining->conn = conn_new(link, LINK_JOINING, context, fd, pending, NULL);
	if (!joining->conn) {
		tls_context_free(context);
		jaco_free(joining);
		jaco_err_set(err, JACO_UNAVAILABLE, "TLS cannot be had");
		return NULL;
	}
	joining->conn->joining = joining;
	return joining;
}

void link_join_cancel(struct link_joining *joining)
{
	struct jaco_err err = JACO_ERR_INIT;

	joining->on_reply = NULL;
	jaco_err_set(&err, JACO_UNAVAILABLE, "cancelled");
	if (joining->conn)
		conn_end(joining->conn, &err);
}
