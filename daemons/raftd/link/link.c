/* SPDX-License-Identifier: Apache-2.0
 *
 * link.c - connections are made again and again, hello is checked.  Who the members are: members.c;
 * who may call: accept.c. */
#include "daemons/raftd/link/link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "daemons/raftd/api/api.h"
#include "daemons/raftd/link/conn.h"
#include "daemons/raftd/link/names.h"
#include "libjaco/base/log.h"
#include "libjaco/base/random.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/io/fs.h"
#include "libjaco/io/sock.h"
#include "libjaco/wire/frame.h"

#define RETRY_MAX_MS    1000
#define TCP_GIVE_UP_MS  5000 /* unacknowledged data: the path is gone (tcp(7) TCP_USER_TIMEOUT) */
#define HOSTS_PATH      "/etc/hosts"
#define HOSTS_BYTES_MAX (1024 * 1024)
#define FRAME_KEPT      (256 * 1024) /* bytes of the buffer for notices that are not given back */

/* --- hello --- */

static const char *boot_id(void)
{
	static char text[65];
	jaco_auto(jaco_buf) struct jaco_buf read = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	if (!text[0] && jaco_fs_read("/proc/sys/kernel/random/boot_id", 64, &read, &err) >= 0)
		(void)jaco_str_format(text, sizeof(text), "%.36s", jaco_buf_str(&read));
	return text;
}

void link_fill_hello(struct link *link, struct wire_raft_hello *hello)
{
	struct raftd *raftd = link->raftd;

	*hello = (struct wire_raft_hello){
		.protocol = LINK_PROTOCOL,
		.version = JACO_VERSION,
		.cluster_id = raftd->cluster_id[0] ? raftd->cluster_id : NULL,
		.epoch = raftd->epoch,
		.host = raftd->host,
		.clock = (uint64_t)jaco_time_wall_ms(),
		.peer_addr = raftd->peer_addr[0] ? raftd->peer_addr : NULL,
		.incarnation = raftd->records.incarnation,
		.boot_id = boot_id()};
}

bool link_conn_admit(struct link_conn *conn, struct jaco_err *err)
{
	char fingerprint[IDENTITY_FINGERPRINT_TEXT];
	bool is_shown = tls_peer_key(&conn->tls, fingerprint);
	struct link_peer *peer;

	if (conn->kind == LINK_JOINING) {
		/* link_join() put what it expects into the joining */
		return link_joining_admit(conn, err);
	}
	if (conn->kind == LINK_OUT) {
		if (is_shown && strcmp(fingerprint, conn->peer->fingerprint) == 0)
			return true;
		jaco_err_set(err, JACO_PERMISSION_DENIED, "%s shows another key than %s's",
			     conn->peer->addr, conn->peer->host);
		return false;
	}
	if (!is_shown)
		return true; /* a stranger */
	TAILQ_FOREACH (peer, &conn->link->peers, next)
		if (strcmp(peer->fingerprint, fingerprint) == 0)
			conn->peer = peer;
	conn->is_nobody = !conn->peer;
	return true;
}

void link_fill_refusal(struct link_conn *conn, const struct wire_raft_hello *theirs,
		       char text[static JACO_TEXT_MAX], struct wire_raft_hello *hello)
{
	struct link *link = conn->link;
	struct raftd *raftd = link->raftd;

	if (theirs->epoch && theirs->epoch < raftd->epoch)
		(void)jaco_str_format(
			text, JACO_TEXT_MAX,
			"cluster %s was recovered without %s and is in epoch %llu, not "
			"%llu: jaco node join takes it in again",
			raftd->cluster_id, theirs->host, (unsigned long long)raftd->epoch,
			(unsigned long long)theirs->epoch);
	else
		(void)jaco_str_format(
			text, JACO_TEXT_MAX,
			"%s was removed from cluster %s: jaco node join takes it in again",
			theirs->host, raftd->cluster_id);
	link_fill_hello(link, hello);
	hello->refused = text;
	JACO_SET(hello, raft_hello, revision,
		 raftd->store.is_open ? raftd->store.machine.applied : 0);
	link->n_refused++;
	jaco_log_info("a connection is refused", KV_STR(peer, theirs->host), KV_STR(reason, text));
}

int link_check_hello(struct link_conn *conn, const struct wire_raft_hello *hello,
		     struct jaco_err *err)
{
	const struct raftd *raftd = conn->link->raftd;

	if (hello->protocol != LINK_PROTOCOL)
		return jaco_err_set(err, JACO_UNAVAILABLE, "%s speaks protocol %u, not %d: its "
				    "version is %s", hello->host, hello->protocol, LINK_PROTOCOL,
				    hello->version);
	if (conn->kind == LINK_JOINING)
		return link_joining_check(conn, hello, err);
	if (!conn->peer)
		return 0;
	if (strcmp(hello->host, conn->peer->host) != 0)
		return jaco_err_set(err, JACO_PERMISSION_DENIED, "%s calls itself %s",
				    conn->peer->host, hello->host);
	if (raftd->cluster_id[0] && hello->cluster_id &&
	    strcmp(hello->cluster_id, raftd->cluster_id) != 0)
		return jaco_err_set(err, JACO_PERMISSION_DENIED, "%s belongs to cluster %s",
				    hello->host, hello->cluster_id);
	/* The epoch does not matter among members: one that lags has still to learn the new one.
	 * Who is of an old epoch for good is no member, by its certificate. */
	if (hello->refused && conn->kind == LINK_OUT) {
		conn->link->events->on_refused(conn->link->raftd, hello);
		return jaco_err_set(err, JACO_PERMISSION_DENIED, "%s", hello->refused);
	}
	return 0;
}

static void send_beat(struct link_peer *peer)
{
	struct store *store = &peer->link->raftd->store;
	struct wire_raft_beat beat = {.clock = (uint64_t)jaco_time_wall_ms(),
				      .alive = peer->link->raftd->alive};

	if (store->is_open) {
		beat.applied = store->machine.applied;
		beat.commit = store_status(store).commit;
	}
	link_send(peer, "raft.beat", &wire_raft_beat_desc, &beat);
}

void link_conn_ready(struct link_conn *conn, const struct wire_raft_hello *hello)
{
	struct link_peer *peer = conn->peer;
	struct link *link = conn->link;

	if (!peer)
		return; /* a stranger, or link_joining_check() has gone on */
	peer->skew_ms = (int64_t)hello->clock - jaco_time_wall_ms();
	peer->incarnation = hello->incarnation;
	(void)jaco_str_copy(peer->version, sizeof(peer->version), hello->version);
	(void)jaco_str_copy(peer->boot_id, sizeof(peer->boot_id),
			    hello->boot_id ? hello->boot_id : "");
	if (conn->kind == LINK_OUT) {
		peer->retry_ms = LINK_RETRY_FIRST_MS;
		/* found by its name: from now on where it says it is */
		if (hello->peer_addr)
			(void)jaco_str_copy(peer->addr, sizeof(peer->addr), hello->peer_addr);
		jaco_log_info("connected to a member", KV_STR(peer, peer->host),
			      KV_STR(address, peer->addr));
		send_beat(peer);
		link->events->on_peer_up(link->raftd, peer);
		return;
	}
	link_redirect(peer, hello->peer_addr);
	/* it is up: no reason to wait out a back-off */
	if (!peer->conn) {
		peer->retry_ms = LINK_RETRY_FIRST_MS;
		jaco_timer_arm(&peer->retry, 0);
	}
}

void link_note_heard(struct link_conn *conn)
{
	if (conn->peer)
		conn->peer->heard = jaco_loop_now(conn->link->loop);
}

void link_conn_over(struct link_conn *conn, const struct jaco_err *err)
{
	struct link *link = conn->link;
	struct link_peer *peer = conn->peer;

	link_joining_over(conn, err);
	if (conn->kind == LINK_IN && err->code == JACO_PERMISSION_DENIED) {
		link->n_refused++;
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "a connection is refused", err,
				 KV_STR(peer, peer ? peer->host : "stranger"));
	}
	if (conn->kind != LINK_OUT || !peer || peer->conn != conn)
		return;
	peer->conn = NULL;
	if (conn->is_ready)
		JACO_LOG_FAILURE(JACO_LOG_INFO, "the connection to a member is lost", err,
				 KV_STR(peer, peer->host));
	jaco_timer_arm(&peer->retry, peer->retry_ms / 2 +
				     jaco_random_below((uint32_t)peer->retry_ms / 2 + 1));
	peer->retry_ms = JACO_MIN(peer->retry_ms * 2, (int64_t)RETRY_MAX_MS);
	if (conn->is_ready)
		link->events->on_peer_down(link->raftd, peer);
}

/* --- connecting and accepting --- */

void link_set_options(int fd)
{
	unsigned timeout = TCP_GIVE_UP_MS;

	jaco_sock_set_nodelay(fd);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
}

/* Where it was last; every other time, when that leads to nothing, where its name leads. */
static bool find_address(struct link_peer *peer, struct jaco_addr *addr, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf hosts = JACO_BUF_INIT;
	bool is_known = jaco_addr_parse(addr, peer->addr, 0, err) >= 0;
	struct jaco_addr named;

	peer->by_name = !peer->by_name && peer->retry_ms >= RETRY_MAX_MS / 2;
	if (is_known && peer->by_name &&
	    jaco_fs_read(HOSTS_PATH, HOSTS_BYTES_MAX, &hosts, err) >= 0 &&
	    names_find(jaco_buf_str(&hosts), peer->host, jaco_addr_port(addr), &named))
		*addr = named;
	return is_known;
}

void link_connect(struct link_peer *peer)
{
	struct link *link = peer->link;
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_addr addr, own;
	bool pending = false;
	int fd = -1;

	if (peer->conn || !peer->addr[0])
		return;
	/* from where we are known: a provider may filter what comes from a first address */
	if (find_address(peer, &addr, &err))
		fd = jaco_sock_connect_from(
			jaco_addr_parse(&own, link->raftd->peer_addr, 0, NULL) >= 0 ? &own : NULL,
			&addr, &pending, &err);
	if (fd < 0) {
		jaco_timer_arm(&peer->retry, peer->retry_ms);
		peer->retry_ms = JACO_MIN(peer->retry_ms * 2, (int64_t)RETRY_MAX_MS);
		return;
	}
	link_set_options(fd);
	peer->conn = conn_new(link, LINK_OUT, link->context, fd, pending, peer);
}

/* --- life --- */

static void on_reaper(struct jaco_timer *timer, void *ctx)
{
	struct link *link = ctx;
	struct link_conn *conn, *following;

	(void)timer;
	for (conn = TAILQ_FIRST(&link->conns); conn; conn = following) {
		following = TAILQ_NEXT(conn, next);
		if (conn->is_dead)
			conn_free(conn);
	}
}

static void on_beat(struct jaco_timer *timer, void *ctx)
{
	struct link *link = ctx;
	struct link_peer *peer;

	jaco_timer_arm(timer, LINK_BEAT_MS);
	TAILQ_FOREACH (peer, &link->peers, next)
		send_beat(peer);
}

static void send_notice(struct link_peer *peer, const char *method, const struct jaco_desc *desc,
			const void *msg,
			void (*send)(struct link_conn *conn, const struct jaco_buf *frame))
{
	struct jaco_buf *frame = &peer->link->frame;
	struct jaco_err err = JACO_ERR_INIT;

	if (!link_is_up(peer))
		return;
	jaco_buf_reset(frame);
	jaco_frame_event(frame, 0, method);
	if (jaco_pack(frame, desc, msg, &err) < 0)
		JACO_LOG_FAILURE(JACO_LOG_ERR, "cannot pack a message", &err,
				 KV_STR(method, method));
	else
		send(peer->conn, frame);
	if (frame->cap > FRAME_KEPT)
		jaco_buf_fini(frame);
}

void link_send(struct link_peer *peer, const char *method, const struct jaco_desc *desc,
	       const void *msg)
{
	send_notice(peer, method, desc, msg, conn_send);
}

void link_queue(struct link_peer *peer, const char *method, const struct jaco_desc *desc,
		const void *msg)
{
	send_notice(peer, method, desc, msg, conn_queue);
}

void link_flush(struct link *link)
{
	struct link_peer *peer;

	TAILQ_FOREACH (peer, &link->peers, next)
		if (peer->conn)
			tls_flush(&peer->conn->tls);
}

int link_ask(struct link_peer *peer, const char *method, const struct jaco_desc *desc,
	     const void *msg, const struct jaco_desc *out, link_reply_fn *on_reply, void *ctx,
	     struct jaco_err *err)
{
	if (!link_is_up(peer))
		return jaco_err_set(err, JACO_UNAVAILABLE, "%s is not connected", peer->host);
	if (!conn_may_ask(peer->conn))
		return jaco_err_set(err, JACO_UNAVAILABLE, "%s does not answer", peer->host);
	conn_ask(peer->conn, method, desc, msg, out, on_reply, ctx);
	return 0;
}

static int read_pem(struct link *link, const char *name, char *out, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_SECRET(0);
	char path[640];

	(void)jaco_str_format(path, sizeof(path), "%s/%s", link->raftd->dir, name);
	if (jaco_fs_read(path, IDENTITY_PEM_MAX - 1, &text, err) < 0)
		return -(int)err->code;
	(void)jaco_str_copy(out, IDENTITY_PEM_MAX, jaco_buf_str(&text));
	return 0;
}

static int load(struct link *link, struct ssl_ctx_st **out_context, struct jaco_err *err)
{
	jaco_auto(identity) struct identity own = {.key = ""};
	char ca[IDENTITY_PEM_MAX];

	if (read_pem(link, "ca.crt", ca, err) < 0 ||
	    read_pem(link, "node.crt", own.cert, err) < 0 ||
	    read_pem(link, "node.key", own.key, err) < 0)
		return -(int)err->code;
	return tls_context_new(out_context, &own, ca, err);
}

int link_start(struct link *link, struct jaco_err *err)
{
	if (link->context)
		return 0;
	if (load(link, &link->context, err) < 0)
		return -(int)err->code;
	jaco_timer_arm(&link->beat, 0);
	link_sync(link);
	return 0;
}

int link_renew(struct link *link, struct jaco_err *err)
{
	struct ssl_ctx_st *old = link->context;

	if (!old)
		return 0;
	if (load(link, &link->context, err) < 0) {
		link->context = old;
		return -(int)err->code;
	}
	tls_context_free(old); /* connections hold a reference of their own */
	return 0;
}

void link_stop(struct link *link)
{
	struct jaco_err err = JACO_ERR_INIT;
	struct link_conn *conn;

	jaco_err_set(&err, JACO_UNAVAILABLE, "this node is no member any more");
	while (!TAILQ_EMPTY(&link->peers))
		link_forget_peer(TAILQ_FIRST(&link->peers));
	TAILQ_FOREACH (conn, &link->conns, next)
		if (conn->kind != LINK_JOINING)
			conn_end(conn, &err);
	tls_context_free(link->context);
	link->context = NULL;
	jaco_timer_disarm(&link->beat);
}

int link_open(struct link *link, struct raftd *raftd, const struct link_events *events,
	      struct jaco_err *err)
{
	char path[640];

	*link = (struct link){.raftd = raftd, .loop = &raftd->daemon->loop, .events = events,
			      .listen_fd = -1};
	TAILQ_INIT(&link->peers);
	TAILQ_INIT(&link->conns);
	jaco_timer_init(link->loop, &link->reaper, on_reaper, link);
	jaco_timer_init(link->loop, &link->beat, on_beat, link);
	if (link_listen(link, err) < 0) {
		/* several raftd below directories of their own share a machine, as tests do: all
		 * but one then are alone, which is what they want to be */
		if (!raftd->daemon->root[0] ||
		    !jaco_str_starts(raftd->daemon->config.cluster_addr, "0.0.0.0:"))
			return -(int)err->code;
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "no peer can reach this node", err);
	}
	(void)jaco_str_format(path, sizeof(path), "%s/node.crt", raftd->dir);
	return jaco_fs_exists(path) ? link_start(link, err) : 0;
}

void link_close(struct link *link)
{
	struct link_conn *conn;
	struct link_peer *peer;
	struct jaco_err err = JACO_ERR_INIT;

	if (!link->loop)
		return;
	jaco_err_set(&err, JACO_UNAVAILABLE, "raftd is stopping");
	link_unlisten(link);
	while ((conn = TAILQ_FIRST(&link->conns))) {
		conn_end(conn, &err);
		conn_free(conn);
	}
	while ((peer = TAILQ_FIRST(&link->peers)))
		link_forget_peer(peer);
	jaco_timer_fini(&link->reaper);
	jaco_timer_fini(&link->beat);
	tls_context_free(link->context);
	jaco_buf_fini(&link->frame);
	link->loop = NULL;
}
