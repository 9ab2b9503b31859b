/* SPDX-License-Identifier: Apache-2.0
 *
 * link.h - the members' connections to each other: who is there, and what they say.
 *
 * Every node connects to every other member and speaks on the connection it made; what it is asked
 * on a connection that it accepted is answered there.  A certificate whose key is no
 * member's is refused, so removing a node revokes it; the answer to its hello says why, and nothing
 * else follows.  A stranger without a certificate may ask for one thing, raft.join, once; strangers
 * are few, in all and from one address: the oldest of them makes room, a member never does.
 *
 * Identity is the key, not the address: a peer that says hello from elsewhere is followed there,
 * and one that is not where it was is looked for by its name (names.h). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemons/raftd/doubt.h"
#include "daemons/raftd/link/tls.h"
#include "libjaco/base/limits.h"
#include "libjaco/io/loop.h"
#include "libjaco/wire/wire.h"

#define LINK_PROTOCOL    1
#define LINK_BEAT_MS     1000
#define LINK_STRANGERS_MAX         64
#define LINK_STRANGERS_PER_ADDRESS 16
#define LINK_SKEW_MAX_MS 60000

struct raftd;
struct link_conn;

struct link_peer {
	TAILQ_ENTRY(link_peer) next;
	struct link *link;
	char host[JACO_HOST_MAX + 1];
	uint64_t raft_id;
	char addr[JACO_ADDR_MAX + 1];     /* tried first */
	char recorded[JACO_ADDR_MAX + 1]; /* in /node/, as last seen */
	bool by_name;                     /* the present try is */
	char fingerprint[IDENTITY_FINGERPRINT_TEXT]; /* of its key */
	struct link_conn *conn; /* the one we made; NULL while there is none */
	struct jaco_timer retry;
	int64_t retry_ms;
	bool is_marked; /* still a member */
	/* what is known of it */
	struct jaco_time heard; /* .ns 0: never */
	struct jaco_time vouched; /* others heard it then */
	bool is_indirect;         /* only others hear it */
	uint64_t alive;           /* its number, raised when it is doubted */
	int64_t skew_ms;
	uint64_t applied, commit;
	uint64_t incarnation;
	char boot_id[65];
	char version[33];
	enum jaco_liveness liveness;
	enum doubt_verdict verdict; /* integrity.c */
	int64_t since_ms;
	bool is_published;
	/* how long it has been close to the end of the log (leader) */
	struct jaco_time close_since;
};
TAILQ_HEAD(link_peers, link_peer);

/* A question of a peer that waits for its answer.  Answer exactly once; a conn that went away is
 * answered in silence. */
struct link_call {
	TAILQ_ENTRY(link_call) next;
	struct link_conn *conn;
	uint32_t id;
};

/* The member that asked; 0: it went away. */
uint64_t link_call_from(const struct link_call *call);

/* @out is NULL on failure, borrowed for the call. */
typedef void link_reply_fn(void *ctx, const void *out, const struct jaco_err *err);

struct link_events {
	/* A notification or question of a member; @msg is unpacked.  Borrowed for the call. */
	void (*on_message)(struct raftd *raftd, struct link_peer *peer,
			   const struct wire_raft_message *msg);
	void (*on_gossip)(struct raftd *raftd, struct link_peer *peer,
			  const struct wire_raft_gossip *msg);
	void (*on_digest)(struct raftd *raftd, struct link_peer *peer,
			  const struct wire_raft_digest *msg);
	void (*on_ask)(struct raftd *raftd, struct link_peer *peer,
		       const struct wire_raft_ask *msg);
	void (*on_told)(struct raftd *raftd, struct link_peer *peer,
			const struct wire_raft_told *msg);
	void (*on_taken)(struct raftd *raftd, struct link_peer *peer,
			 const struct wire_raft_taken *msg);
	void (*on_submit)(struct raftd *raftd, struct link_call *call,
			  const struct wire_raft_submit *msg);
	void (*on_read)(struct raftd *raftd, struct link_call *call);
	void (*on_join)(struct raftd *raftd, struct link_call *call,
			const struct wire_raft_join *msg);
	void (*on_transfer)(struct raftd *raftd, struct link_call *call,
			    const struct wire_leader_transfer *msg);
	void (*on_probe)(struct raftd *raftd, struct link_call *call,
			 const struct wire_raft_probe *msg);
	void (*on_survey)(struct raftd *raftd, struct link_call *call);
	/* A member whose certificate was checked says that this node is none. */
	void (*on_refused)(struct raftd *raftd, const struct wire_raft_hello *hello);
	void (*on_peer_up)(struct raftd *raftd, struct link_peer *peer);
	void (*on_peer_down)(struct raftd *raftd, struct link_peer *peer);
};

struct link {
	struct raftd *raftd;
	struct jaco_loop *loop;
	const struct link_events *events;
	struct ssl_ctx_st *context; /* NULL until there is an identity */
	struct jaco_io listener;
	int listen_fd; /* -1 */
	struct link_peers peers;
	TAILQ_HEAD(, link_conn) conns;
	size_t n_conns;
	struct jaco_timer beat;
	struct jaco_timer reaper;
	struct jaco_timer rest; /* armed: no descriptor was free, accepting goes on when it fires */
	struct jaco_buf frame; /* a notice while it is packed */
	bool is_beating;
	uint64_t n_refused;
};

/* Listen on cluster_addr; with an identity on disk, start to connect.  raftd->peer_addr is where
 * peers find us.  Errors: INTERNAL - the address cannot be had. */
int link_open(struct link *link, struct raftd *raftd, const struct link_events *events,
	      struct jaco_err *err);
void link_close(struct link *link);

/* Did a join leave the list of members? */
bool link_has_peers_file(const struct link *link);

/* The revision at which that join made this node a member; UINT64_MAX: not known. */
uint64_t link_joined_at(const struct link *link);

/* Read ca.crt, node.crt and node.key and begin to talk (after init, join or at start). */
int link_start(struct link *link, struct jaco_err *err);

/* Use what is in node.crt and node.key now for every new connection; those that stand keep theirs.
 * Before link_start(): nothing. */
int link_renew(struct link *link, struct jaco_err *err);

/* Talk to nobody any more, until link_start().  Not from inside a callback of link_events. */
void link_stop(struct link *link);

/* Follow the members: /node/ when this node has it, else the list that the join left. */
void link_sync(struct link *link);

struct link_peer *link_find(struct link *link, const char *host);
struct link_peer *link_find_id(struct link *link, uint64_t raft_id);

/* Was anything heard of it within @ms? */
bool link_is_heard(const struct link_peer *peer, int64_t ms);
bool link_is_up(const struct link_peer *peer);

/* Queue a notification; lost when there is no connection. */
void link_send(struct link_peer *peer, const char *method, const struct jaco_desc *desc,
	       const void *msg);

/* The same without hurry: it leaves with link_flush(). */
void link_queue(struct link_peer *peer, const char *method, const struct jaco_desc *desc,
		const void *msg);
void link_flush(struct link *link);

/* Ask; @on_reply is called exactly once, never from inside.  Errors: UNAVAILABLE - no
 * connection. */
int link_ask(struct link_peer *peer, const char *method, const struct jaco_desc *desc,
	     const void *msg, const struct jaco_desc *out, link_reply_fn *on_reply, void *ctx,
	     struct jaco_err *err);

void link_answer(struct link_call *call, const struct jaco_desc *desc, const void *msg);
void link_refuse(struct link_call *call, const struct jaco_err *err);

/* --- a stranger's side of a join --- */

struct link_joining;

/* Connect to @addr, whose certificate the CA with @ca_fingerprint must have made, and ask @req.
 * @on_reply as for link_ask().  A clock more than a minute apart is refused before anything secret
 * is sent. */
struct link_joining *link_join(struct link *link, const char *addr, const char *ca_fingerprint,
			       const struct wire_raft_join *req, link_reply_fn *on_reply, void *ctx,
			       struct jaco_err *err);
void link_join_cancel(struct link_joining *joining);
