/* SPDX-License-Identifier: Apache-2.0
 *
 * Two channels over a pair of sockets, TLS on both: what arrives, and what ends them. */
#include "libjaco/wire/tls.h"

#include <string.h>
#include <sys/socket.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "tests/lib/test.h"

#define PEM_MAX 2048
#define PIECE   (900 * 1024)
#define TURNS   2000 /* of the loop, 10 ms at most each */

struct shown {
	char cert[PEM_MAX], key[PEM_MAX];
};

struct side {
	struct jaco_chan chan;
	struct jaco_buf got;
	bool is_over;
	struct jaco_err why;
};

struct fixture {
	struct jaco_loop loop;
	struct ssl_ctx_st *server_context, *client_context;
	struct side server, client;
};

static void text_of(BIO *bio, char out[static PEM_MAX])
{
	int n = BIO_read(bio, out, PEM_MAX - 1);

	JT_TRUE(n > 0 && n < PEM_MAX - 1);
	out[n] = '\0';
	BIO_free(bio);
}

/* A certificate that is its own CA. */
static void make(struct shown *out)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	BIO *bios[2] = {BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem())};

	JT_TRUE(key && cert && bios[0] && bios[1]);
	JT_TRUE(X509_gmtime_adj(X509_getm_notBefore(cert), -60) &&
		X509_gmtime_adj(X509_getm_notAfter(cert), 3600));
	JT_EQ(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
					 (const unsigned char *)"n1", -1, -1, 0),
	      1);
	JT_EQ(X509_set_issuer_name(cert, X509_get_subject_name(cert)), 1);
	JT_EQ(X509_set_pubkey(cert, key), 1);
	JT_TRUE(X509_sign(cert, key, EVP_sha256()) > 0);
	JT_EQ(PEM_write_bio_X509(bios[0], cert), 1);
	JT_EQ(PEM_write_bio_PrivateKey(bios[1], key, NULL, NULL, 0, NULL, NULL), 1);
	text_of(bios[0], out->cert);
	text_of(bios[1], out->key);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static int on_data(struct jaco_chan *chan, void *ctx)
{
	struct side *side = ctx;

	jaco_buf_add(&side->got, chan->in.data, chan->in.n);
	jaco_buf_reset(&chan->in);
	return 0;
}

static void on_end(struct jaco_chan *chan, const struct jaco_err *err, void *ctx)
{
	struct side *side = ctx;

	(void)chan;
	side->is_over = true;
	side->why = *err;
}

static const struct jaco_chan_ops ops = {.on_data = on_data, .on_end = on_end};

/* The client believes @believed; both sides stand before the handshake. */
static void set_up(struct fixture *fx, const struct shown *shown, const struct shown *believed)
{
	struct jaco_err err = JACO_ERR_INIT;
	int fds[2];

	memset(fx, 0, sizeof(*fx));
	JT_OK(jaco_loop_open(&fx->loop, NULL, &err), &err);
	JT_OK(jaco_tls_server_context(shown->cert, shown->key, shown->cert, &fx->server_context,
				      &err),
	      &err);
	JT_OK(jaco_tls_client_context(believed->cert, &fx->client_context, &err), &err);
	JT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	jaco_chan_open(&fx->server.chan, &fx->loop, fds[0], false, 1024, &ops, &fx->server);
	jaco_chan_open(&fx->client.chan, &fx->loop, fds[1], false, 1024, &ops, &fx->client);
	JT_OK(jaco_tls_attach(&fx->server.chan, fx->server_context, false, &err), &err);
	JT_OK(jaco_tls_attach(&fx->client.chan, fx->client_context, true, &err), &err);
}

static void tear_down(struct fixture *fx)
{
	jaco_chan_close(&fx->server.chan);
	jaco_chan_close(&fx->client.chan);
	jaco_buf_fini(&fx->server.got);
	jaco_buf_fini(&fx->client.got);
	jaco_tls_context_free(fx->server_context);
	jaco_tls_context_free(fx->client_context);
	jaco_loop_close(&fx->loop);
}

static void run_until(struct fixture *fx, const struct side *side, size_t n)
{
	for (int i = 0; i < TURNS && side->got.n < n && !fx->client.is_over; i++)
		jaco_loop_once(&fx->loop, 10);
}

static void send_piece(struct fixture *fx, char c)
{
	static char piece[PIECE];

	memset(piece, c, sizeof(piece));
	jaco_chan_send(&fx->client.chan, piece, sizeof(piece));
}

JT_CASE(what_waits_for_the_handshake_arrives_whole_and_is_answered)
{
	struct shown shown;
	struct fixture fx;

	make(&shown);
	set_up(&fx, &shown, &shown);
	send_piece(&fx, 'a');
	send_piece(&fx, 'b');
	run_until(&fx, &fx.server, 2 * PIECE);
	JT_EQ(fx.server.got.n, 2 * PIECE);
	JT_EQ(fx.server.got.data[PIECE - 1], 'a');
	JT_EQ(fx.server.got.data[PIECE], 'b');
	jaco_chan_send(&fx.server.chan, "yes", 3);
	run_until(&fx, &fx.client, 3);
	JT_STR(jaco_buf_str(&fx.client.got), "yes");
	JT_FALSE(fx.client.is_over);
	tear_down(&fx);
}

JT_CASE(more_than_may_wait_ends_the_connection_instead_of_losing_a_part)
{
	struct shown shown;
	struct fixture fx;

	make(&shown);
	set_up(&fx, &shown, &shown);
	for (char c = 'a'; c <= 'c'; c++)
		send_piece(&fx, c);
	jaco_chan_send(&fx.client.chan, "the end", 7);
	run_until(&fx, &fx.server, 2 * PIECE + 7);
	JT_TRUE(fx.client.is_over);
	JT_EQ(fx.client.why.code, JACO_MESSAGE_TOO_LARGE);
	JT_STR(fx.client.why.text, "more than 2097152 bytes waited for the handshake");
	JT_EQ(fx.server.got.n, 0);
	tear_down(&fx);
}

JT_CASE(a_stranger_is_sent_nothing)
{
	struct shown shown, other;
	struct fixture fx;

	make(&shown);
	make(&other);
	set_up(&fx, &shown, &other);
	jaco_chan_send(&fx.client.chan, "secret", 6);
	run_until(&fx, &fx.server, 6);
	JT_TRUE(fx.client.is_over);
	JT_EQ(fx.client.why.code, JACO_PERMISSION_DENIED);
	JT_EQ(fx.server.got.n, 0);
	tear_down(&fx);
}

JT_MAIN(JT_RUN(what_waits_for_the_handshake_arrives_whole_and_is_answered),
	JT_RUN(more_than_may_wait_ends_the_connection_instead_of_losing_a_part),
	JT_RUN(a_stranger_is_sent_nothing))
