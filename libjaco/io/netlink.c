/* SPDX-License-Identifier: Apache-2.0
 *
 * netlink.c - see netlink.h. */
#include "libjaco/io/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <poll.h>
#include <stdalign.h>
#include <string.h>
#include <sys/socket.h>

#include "libjaco/base/assert.h"

/* A dump packs up to 32 KiB a message into our buffer (netlink(7), NLMSG_GOODSIZE). */
#define READ_BYTES     (64 * 1024)
#define SEND_SLACK     (64 * 1024)
#define ANSWER_WAIT_MS 2000 /* an answer is there at once; this bounds a kernel that is stuck */

int jaco_netlink_open(struct jaco_netlink *nl, int bus, struct jaco_err *err)
{
	static const int on = 1;

	*nl = JACO_NETLINK_INIT;
	nl->sock = mnl_socket_open2(bus, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!nl->sock)
		return jaco_err_errno(err, "netlink socket");
	if (mnl_socket_bind(nl->sock, 0, MNL_SOCKET_AUTOPID) < 0) {
		int rc = jaco_err_errno(err, "netlink bind");

		jaco_netlink_close(nl);
		return rc;
	}
	nl->fd = mnl_socket_get_fd(nl->sock);
	nl->port = mnl_socket_get_portid(nl->sock);
	/* Better sentences and shorter errors where the kernel has them (4.12); no loss without. */
	(void)mnl_socket_setsockopt(nl->sock, NETLINK_EXT_ACK, (void *)&on, sizeof(on));
	(void)mnl_socket_setsockopt(nl->sock, NETLINK_CAP_ACK, (void *)&on, sizeof(on));
	return 0;
}

void jaco_netlink_close(struct jaco_netlink *nl)
{
	if (nl && nl->sock)
		(void)mnl_socket_close(nl->sock); /* nothing is buffered */
	if (nl)
		*nl = JACO_NETLINK_INIT;
}

int jaco_netlink_subscribe(struct jaco_netlink *nl, unsigned group, struct jaco_err *err)
{
	if (mnl_socket_setsockopt(nl->sock, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return jaco_err_errno(err, "netlink group %u", group);
	return 0;
}

int jaco_netlink_ignore_port(struct jaco_netlink *nl, uint32_t port, struct jaco_err *err)
{
	/* A filter loads words in network order; one skb holds messages of one sender. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(port), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog program = {.len = JACO_ARRAY_SIZE(code), .filter = code};

	if (setsockopt(nl->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
		return jaco_err_errno(err, "netlink filter");
	return 0;
}

/* The forced form may pass the administrator's limit (CAP_NET_ADMIN); the other up to it. */
static void set_buffer(int fd, int forced, int plain, size_t bytes)
{
	int want = bytes > INT32_MAX / 2 ? INT32_MAX / 2 : (int)bytes;

	if (setsockopt(fd, SOL_SOCKET, forced, &want, sizeof(want)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, plain, &want, sizeof(want)); /* best effort */
}

void jaco_netlink_set_room(struct jaco_netlink *nl, size_t bytes)
{
	set_buffer(nl->fd, SO_RCVBUFFORCE, SO_RCVBUF, bytes);
}

static int send_all(struct jaco_netlink *nl, const void *data, size_t n, struct jaco_err *err)
{
	int room = 0;
	socklen_t room_n = sizeof(room);

	if (getsockopt(nl->fd, SOL_SOCKET, SO_SNDBUF, &room, &room_n) == 0 &&
	    (size_t)room < n + SEND_SLACK)
		set_buffer(nl->fd, SO_SNDBUFFORCE, SO_SNDBUF, n + SEND_SLACK);
	if (mnl_socket_sendto(nl->sock, data, n) < 0)
		return jaco_err_errno(err, "netlink send of %zu bytes", n);
	return 0;
}

/* 0: nothing there.  @wait_ms 0 only looks. */
static int receive(struct jaco_netlink *nl, void *buf, size_t room, int wait_ms, size_t *out_n,
		   struct jaco_err *err)
{
	for (;;) {
		struct pollfd pfd = {.fd = nl->fd, .events = POLLIN};
		ssize_t n = mnl_socket_recvfrom(nl->sock, buf, room);

		if (n > 0) {
			*out_n = (size_t)n;
			return 1;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS)
			return jaco_err_set(err, JACO_LIMIT_EXCEEDED,
					    "netlink messages were lost (ENOBUFS)");
		if (n < 0 && errno != EAGAIN)
			return jaco_err_errno(err, "netlink receive");
		if (wait_ms == 0)
			return 0;
		if (poll(&pfd, 1, wait_ms) == 0)
			return jaco_err_set(err, JACO_TIMEOUT, "the kernel does not answer");
		wait_ms = ANSWER_WAIT_MS;
	}
}

/* The sentence of an extended acknowledgement, or NULL. */
static const char *ext_text(const struct nlmsghdr *msg, size_t *out_n)
{
	const struct nlmsgerr *ack = mnl_nlmsg_get_payload(msg);
	const struct nlattr *attr;
	size_t offset = sizeof(*ack);

	if (!(msg->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	if (!(msg->nlmsg_flags & NLM_F_CAPPED) && ack->msg.nlmsg_len >= sizeof(ack->msg))
		offset += ack->msg.nlmsg_len - sizeof(ack->msg);
	if (offset > mnl_nlmsg_get_payload_len(msg))
		return NULL;
	mnl_attr_for_each(attr, msg, offset) {
		if (mnl_attr_get_type(attr) != NLMSGERR_ATTR_MSG ||
		    mnl_attr_get_payload_len(attr) == 0)
			continue;
		*out_n = mnl_attr_get_payload_len(attr) - 1;
		return mnl_attr_get_payload(attr);
	}
	return NULL;
}

/* 0 for an acknowledgement, else the failure it reports. */
static int ack_result(const struct nlmsghdr *msg, struct jaco_err *err)
{
	const struct nlmsgerr *ack = mnl_nlmsg_get_payload(msg);
	const char *text;
	size_t n = 0;

	if (mnl_nlmsg_get_payload_len(msg) < sizeof(*ack))
		return jaco_err_set(err, JACO_INTERNAL, "netlink: cut acknowledgement");
	if (ack->error == 0)
		return 0;
	text = ext_text(msg, &n);
	errno = -ack->error;
	if (text)
		return jaco_err_errno(err, "the kernel says \"%.*s\"", (int)JACO_MIN(n, 200), text);
	return jaco_err_errno(err, "the kernel refuses");
}

static void stamp(struct jaco_netlink *nl, struct nlmsghdr *request, uint16_t flags)
{
	request->nlmsg_flags |= flags | NLM_F_REQUEST;
	request->nlmsg_seq = ++nl->seq;
	request->nlmsg_pid = nl->port;
}

/* 1: the conversation is over, 0: more to come. */
static int take_answer(const struct nlmsghdr *msg, jaco_netlink_fn *fn, void *ctx,
		       bool *interrupted, struct jaco_err *err)
{
	int rc;

	if (msg->nlmsg_flags & NLM_F_DUMP_INTR)
		*interrupted = true;
	if (msg->nlmsg_type == NLMSG_ERROR) {
		rc = ack_result(msg, err);
		return rc < 0 ? rc : 1;
	}
	if (msg->nlmsg_type == NLMSG_DONE) {
		int status = 0;

		if (mnl_nlmsg_get_payload_len(msg) >= sizeof(status))
			memcpy(&status, mnl_nlmsg_get_payload(msg), sizeof(status));
		if (status < 0) {
			errno = -status;
			return jaco_err_errno(err, "the kernel ended the dump");
		}
		return 1;
	}
	if (msg->nlmsg_type < NLMSG_MIN_TYPE || !fn)
		return 0;
	rc = fn(msg, ctx, err);
	return rc < 0 ? rc : 0;
}

static int converse(struct jaco_netlink *nl, jaco_netlink_fn *fn, void *ctx, struct jaco_err *err)
{
	alignas(NLMSG_ALIGNTO) char buf[READ_BYTES];
	bool interrupted = false;

	for (;;) {
		const struct nlmsghdr *msg = (const struct nlmsghdr *)buf;
		size_t n = 0;
		int left;

		if (receive(nl, buf, sizeof(buf), ANSWER_WAIT_MS, &n, err) < 0)
			return -(int)err->code;
		for (left = (int)n; jaco_netlink_fits(msg, left);
		     msg = mnl_nlmsg_next(msg, &left)) {
			int rc;

			if (msg->nlmsg_seq != nl->seq)
				continue; /* left over from a conversation that was given up */
			rc = take_answer(msg, fn, ctx, &interrupted, err);
			if (rc < 0)
				return rc;
			if (rc > 0 && interrupted)
				return jaco_err_set(err, JACO_CONFLICT,
						    "the table changed while it was read");
			if (rc > 0)
				return 0;
		}
	}
}

int jaco_netlink_ask(struct jaco_netlink *nl, struct nlmsghdr *request, jaco_netlink_fn *fn,
		     void *ctx, struct jaco_err *err)
{
	stamp(nl, request, NLM_F_ACK);
	if (send_all(nl, request, request->nlmsg_len, err) < 0)
		return -(int)err->code;
	return converse(nl, fn, ctx, err);
}

int jaco_netlink_dump(struct jaco_netlink *nl, struct nlmsghdr *request, jaco_netlink_fn *fn,
		      void *ctx, struct jaco_err *err)
{
	stamp(nl, request, NLM_F_DUMP);
	if (send_all(nl, request, request->nlmsg_len, err) < 0)
		return -(int)err->code;
	return converse(nl, fn, ctx, err);
}

int jaco_netlink_transact(struct jaco_netlink *nl, const void *data, size_t n, uint32_t *out_seq,
			  struct jaco_err *err)
{
	alignas(NLMSG_ALIGNTO) char buf[READ_BYTES];
	int failed = 0, wait_ms = ANSWER_WAIT_MS;

	if (send_all(nl, data, n, err) < 0)
		return -(int)err->code;
	for (;;) {
		const struct nlmsghdr *msg = (const struct nlmsghdr *)buf;
		size_t got = 0;
		struct jaco_err later = JACO_ERR_INIT;
		int left, rc = receive(nl, buf, sizeof(buf), wait_ms, &got, &later);

		if (rc < 0 && !failed) {
			*err = later;
			return rc;
		}
		if (rc <= 0)
			return failed;
		wait_ms = 0; /* all answers are queued before sendmsg(2) returns */
		for (left = (int)got; jaco_netlink_fits(msg, left);
		     msg = mnl_nlmsg_next(msg, &left)) {
			if (msg->nlmsg_type != NLMSG_ERROR || failed)
				continue;
			failed = ack_result(msg, err);
			if (failed && out_seq)
				*out_seq = msg->nlmsg_seq;
		}
	}
}

int jaco_netlink_drain(struct jaco_netlink *nl, jaco_netlink_fn *fn, void *ctx,
		       struct jaco_err *err)
{
	alignas(NLMSG_ALIGNTO) char buf[READ_BYTES];

	for (;;) {
		const struct nlmsghdr *msg = (const struct nlmsghdr *)buf;
		size_t n = 0;
		int left, rc = receive(nl, buf, sizeof(buf), 0, &n, err);

		if (rc <= 0)
			return rc;
		for (left = (int)n; jaco_netlink_fits(msg, left);
		     msg = mnl_nlmsg_next(msg, &left)) {
			if (msg->nlmsg_type < NLMSG_MIN_TYPE)
				continue;
			rc = fn(msg, ctx, err);
			if (rc < 0)
				return rc;
		}
	}
}
