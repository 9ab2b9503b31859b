/* SPDX-License-Identifier: Apache-2.0
 *
 * conn.h - inside link/: one connection, its hello, its questions under way. */
#pragma once

#include "daemons/raftd/link/link.h"
#include "libjaco/io/sock.h"

#define LINK_RETRY_FIRST_MS 50

struct link_pending {
	TAILQ_ENTRY(link_pending) next;
	uint32_t id;
	const struct jaco_desc *out;
	link_reply_fn *on_reply;
	void *ctx;
};

enum link_kind {
	LINK_OUT,    /* we made it, to a member */
	LINK_IN,     /* accepted; a member's or a stranger's */
	LINK_JOINING /* we made it, as a stranger */
};

struct link_conn {
	TAILQ_ENTRY(link_conn) next;
	struct link *link;
	struct tls tls;
	enum link_kind kind;
	/* LINK_OUT; LINK_IN once the certificate is known; NULL: a stranger */
	struct link_peer *peer;
	bool is_ready;          /* hello came and was good */
	bool is_dead;           /* waits for the reaper */
	bool is_nobody; /* LINK_IN: a certificate of this cluster's CA that is no member's */
	bool has_asked;         /* a stranger: its one question came; nobody: it was told why */
	size_t n_pendings, n_calls;
	char from[JACO_ADDR_TEXT_BYTES]; /* LINK_IN: the address without the port */
	uint32_t next_id;
	TAILQ_HEAD(, link_pending) pendings;
	TAILQ_HEAD(, link_call) calls;
	struct link_joining *joining;
	struct jaco_timer deadline; /* of the handshake and hello */
};

/* Take over @take_fd; NULL when TLS cannot be had. */
struct link_conn *conn_new(struct link *link, enum link_kind kind, struct ssl_ctx_st *context,
			   int take_fd, bool pending, struct link_peer *peer);

/* Whoever called and has not shown the key of a member. */
bool conn_is_stranger(const struct link_conn *conn);

/* No further callback; freed from the loop. */
void conn_end(struct link_conn *conn, const struct jaco_err *err);
void conn_free(struct link_conn *conn);
void conn_send(struct link_conn *conn, const struct jaco_buf *frame);
void conn_queue(struct link_conn *conn, const struct jaco_buf *frame); /* until tls_flush() */
bool conn_may_ask(const struct link_conn *conn); /* fewer are under way than there may be */
void conn_ask(struct link_conn *conn, const char *method, const struct jaco_desc *desc,
	      const void *msg, const struct jaco_desc *out, link_reply_fn *on_reply, void *ctx);

/* link.c: what a connection tells. */
void link_conn_ready(struct link_conn *conn, const struct wire_raft_hello *hello);
void link_conn_over(struct link_conn *conn, const struct jaco_err *err);
bool link_conn_admit(struct link_conn *conn, struct jaco_err *err); /* certificate -> peer */
int link_check_hello(struct link_conn *conn, const struct wire_raft_hello *hello,
		     struct jaco_err *err);
void link_fill_hello(struct link *link, struct wire_raft_hello *hello);
/* The same for one that is no member (any more): @text gets the reason. */
void link_fill_refusal(struct link_conn *conn, const struct wire_raft_hello *theirs,
		       char text[static JACO_TEXT_MAX], struct wire_raft_hello *hello);
void link_note_heard(struct link_conn *conn);

/* Try to connect, unless there is a connection. */
void link_connect(struct link_peer *peer);
void link_set_options(int fd);

/* members.c */
void link_forget_peer(struct link_peer *peer);
void link_redirect(struct link_peer *peer,
		   const char *addr); /* it is at @addr; NULL, "": not told */

/* accept.c: on cluster_addr.  Errors: those of face_resolve(); INTERNAL. */
int link_listen(struct link *link, struct jaco_err *err);
void link_unlisten(struct link *link);

/* joining.c */
bool link_joining_admit(struct link_conn *conn, struct jaco_err *err);
int link_joining_check(struct link_conn *conn, const struct wire_raft_hello *hello,
		       struct jaco_err *err);
void link_joining_over(struct link_conn *conn, const struct jaco_err *err);
