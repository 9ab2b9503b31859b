/* SPDX-License-Identifier: Apache-2.0
 *
 * tls.c - moves bytes between a channel and a pump. */
#include "daemons/raftd/link/tls.h"

#include <openssl/ssl.h>

#include "libjaco/base/digest.h"
#include "libjaco/base/str.h"
#include "libjaco/wire/ssl.h"

#define NET_IN_MAX   (256 * 1024)
#define PLAIN_IN_MAX (8 * 1024 * 1024) /* more than the largest message of raft.def */

/* --- contexts --- */

int tls_context_new(struct ssl_ctx_st **out_context, const struct identity *own, const char *ca_pem,
		    struct jaco_err *err)
{
	SSL_CTX *context = jaco_pump_context();

	/* the CA is sent along: a joining node knows only its fingerprint */
	if (!context || (own && !jaco_pump_show(context, own->cert, own->key)) ||
	    (ca_pem &&
	     !(jaco_pump_trust(context, ca_pem) && jaco_pump_send_along(context, ca_pem)))) {
		SSL_CTX_free(context);
		return jaco_ssl_failure(err, JACO_UNAVAILABLE, "TLS");
	}
	/* a stranger shows no certificate and may only ask to join; whoever shows one must be
	 * ours */
	SSL_CTX_set_verify(context, ca_pem ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	*out_context = context;
	return 0;
}

void tls_context_free(struct ssl_ctx_st *context)
{
	SSL_CTX_free(context);
}

/* --- the stream --- */

static void end(struct tls *tls, const struct jaco_err *err)
{
	if (tls->is_over)
		return;
	tls->is_over = true;
	tls->ops->on_end(tls, err, tls->ctx);
}

static void flush(struct tls *tls)
{
	const char *data;
	size_t n = jaco_pump_output(&tls->pump, &data);

	if (n == 0)
		return;
	jaco_chan_send(&tls->chan, data, n);
	jaco_pump_sent(&tls->pump);
}

static int shake(struct tls *tls, struct jaco_err *err)
{
	int rc = jaco_pump_shake(&tls->pump, err);

	flush(tls); /* before the owner may shut it */
	if (rc == 0 && tls->pump.is_up)
		tls->ops->on_up(tls, tls->ctx);
	return rc;
}

static int decrypt(struct tls *tls, struct jaco_err *err)
{
	size_t before = tls->in.n;
	int rc = jaco_pump_read(&tls->pump, &tls->in, err);

	if (tls->in.n > before)
		tls->ops->on_data(tls, tls->ctx);
	if (!tls->is_over)
		flush(tls); /* an alert, the answer to a key update */
	return rc;
}

static int on_chan_data(struct jaco_chan *chan, void *ctx)
{
	struct tls *tls = ctx;
	struct jaco_err err = JACO_ERR_INIT;
	int rc = 0;

	if (tls->is_over)
		return -1;
	jaco_pump_feed(&tls->pump, chan->in.data, chan->in.n);
	jaco_buf_reset(&chan->in);
	if (!tls->pump.is_up)
		rc = shake(tls, &err);
	if (rc == 0 && tls->pump.is_up && !tls->is_over)
		rc = decrypt(tls, &err);
	if (rc < 0)
		end(tls, &err);
	return 0;
}

static void on_chan_end(struct jaco_chan *chan, const struct jaco_err *err, void *ctx)
{
	(void)chan;
	end(ctx, err);
}

static const struct jaco_chan_ops chan_ops = {.on_data = on_chan_data, .on_end = on_chan_end};

int tls_open(struct tls *tls, struct jaco_loop *loop, struct ssl_ctx_st *context, int take_fd,
	     bool is_client, bool pending, const struct tls_ops *ops, void *ctx,
	     struct jaco_err *err)
{
	int rc;

	*tls = (struct tls){.ops = ops, .ctx = ctx, .in = JACO_BUF_BOUND(PLAIN_IN_MAX)};
	jaco_chan_open(&tls->chan, loop, take_fd, pending, NET_IN_MAX, &chan_ops, tls);
	rc = jaco_pump_open(&tls->pump, context, is_client, err);
	if (rc < 0)
		tls->is_over = true;
	else
		flush(tls);
	return rc;
}

static bool encrypt(struct tls *tls, const void *data, size_t n)
{
	if (tls->is_over || !tls->pump.is_up || n == 0)
		return false;
	jaco_pump_write(&tls->pump, data, n);
	return true;
}

void tls_send(struct tls *tls, const void *data, size_t n)
{
	if (encrypt(tls, data, n))
		flush(tls);
}

void tls_queue(struct tls *tls, const void *data, size_t n)
{
	const char *out;

	if (!encrypt(tls, data, n))
		return;
	n = jaco_pump_output(&tls->pump, &out);
	jaco_chan_queue(&tls->chan, out, n);
	jaco_pump_sent(&tls->pump);
}

void tls_flush(struct tls *tls)
{
	if (!tls->is_over)
		jaco_chan_flush(&tls->chan);
}

void tls_shut(struct tls *tls)
{
	jaco_chan_flush(&tls->chan);
	tls->is_over = true;
	tls->chan.is_ending =
		true; /* closing must not flush again: nothing watches for room any more */
	jaco_io_stop(&tls->chan.io);
}

void tls_close(struct tls *tls)
{
	tls->is_over = true;
	jaco_chan_close(&tls->chan);
	jaco_buf_fini(&tls->in);
	jaco_pump_close(&tls->pump);
}

/* --- who is there --- */

static bool fingerprint_of(X509 *cert, char out_text[static IDENTITY_FINGERPRINT_TEXT])
{
	uint8_t *der = NULL;
	int n = i2d_X509(cert, &der);

	if (n <= 0)
		return false;
	jaco_sha256_text(der, (size_t)n, out_text);
	OPENSSL_free(der);
	return true;
}

bool tls_peer_key(const struct tls *tls, char out_text[static IDENTITY_FINGERPRINT_TEXT])
{
	X509 *cert = SSL_get0_peer_certificate(tls->pump.ssl);
	uint8_t *der = NULL;
	int n = cert ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der) : -1;

	if (n <= 0)
		return false;
	jaco_sha256_text(der, (size_t)n, out_text);
	OPENSSL_free(der);
	return true;
}

bool tls_is_vouched_by(const struct tls *tls, const char *ca_fingerprint)
{
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(tls->pump.ssl);
	X509 *cert = SSL_get0_peer_certificate(tls->pump.ssl);
	char text[IDENTITY_FINGERPRINT_TEXT];

	for (int i = 0; cert && chain && i < sk_X509_num(chain); i++) {
		X509 *ca = sk_X509_value(chain, i);

		if (fingerprint_of(ca, text) && jaco_str_eq(text, ca_fingerprint))
			return X509_cmp(ca, cert) != 0 &&
			       X509_verify(cert, X509_get0_pubkey(ca)) == 1;
	}
	return false;
}
