/* SPDX-License-Identifier: Apache-2.0
 *
 * tls.c - moves bytes between a channel and OpenSSL's memory BIOs. */
#include "daemons/raftd/link/tls.h"

#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "libjaco/base/digest.h"
#include "libjaco/base/str.h"

#define NET_IN_MAX   (256 * 1024)
#define PLAIN_IN_MAX (8 * 1024 * 1024) /* more than the largest message of raft.def */
#define PIECE        16384             /* a TLS record, RFC 8446 section 5.1 */

/* --- contexts --- */

static int failed(struct jaco_err *err, const char *what)
{
	char text[160] = "";
	unsigned long code = ERR_get_error();

	if (code)
		ERR_error_string_n(code, text, sizeof(text));
	ERR_clear_error();
	return jaco_err_set(err, JACO_UNAVAILABLE, "%s%s%s", what, text[0] ? ": " : "", text);
}

static X509 *read_cert(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return cert;
}

static bool use_identity(SSL_CTX *context, const struct identity *own)
{
	X509 *cert = read_cert(own->cert);
	BIO *bio = BIO_new_mem_buf(own->key, -1);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
	bool is_used = cert && key && SSL_CTX_use_certificate(context, cert) == 1 &&
		       SSL_CTX_use_PrivateKey(context, key) == 1;

	X509_free(cert);
	EVP_PKEY_free(key);
	BIO_free(bio);
	return is_used;
}

/* Trusted, and sent along: a joining node knows only its fingerprint. */
static bool use_ca(SSL_CTX *context, const char *ca_pem)
{
	X509 *ca = read_cert(ca_pem);
	bool is_used = ca && X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca) == 1;

	if (is_used && SSL_CTX_add_extra_chain_cert(context, ca) == 1)
		return true; /* it owns the reference now */
	X509_free(ca);
	return false;
}

int tls_context_new(struct ssl_ctx_st **out_context, const struct identity *own, const char *ca_pem,
		    struct jaco_err *err)
{
	SSL_CTX *context = SSL_CTX_new(TLS_method());

	if (!context || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
	    (own && !use_identity(context, own)) || (ca_pem && !use_ca(context, ca_pem))) {
		SSL_CTX_free(context);
		return failed(err, "TLS");
	}
	/* a stranger shows no certificate and may only ask to join; whoever shows one must be
	 * ours */
	SSL_CTX_set_verify(context, ca_pem ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_num_tickets(context, 0); /* every connection proves itself anew */
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
	char *data;
	long n = BIO_get_mem_data(tls->to_net, &data);

	if (n <= 0)
		return;
	jaco_chan_send(&tls->chan, data, (size_t)n);
	(void)BIO_reset(tls->to_net);
}

static void end_with(struct tls *tls, int ssl_error)
{
	struct jaco_err err = JACO_ERR_INIT;
	long verdict = SSL_get_verify_result(tls->ssl);

	flush(tls); /* the alert */
	if (ssl_error == SSL_ERROR_ZERO_RETURN)
		jaco_err_set(&err, JACO_UNAVAILABLE, "connection closed");
	else if (!tls->is_up && verdict != X509_V_OK)
		jaco_err_set(&err, JACO_UNAVAILABLE, "its certificate is refused: %s",
			     X509_verify_cert_error_string(verdict));
	else
		failed(&err, "TLS");
	ERR_clear_error();
	end(tls, &err);
}

/* Answers false when it has ended. */
static bool shake(struct tls *tls)
{
	int rc = SSL_do_handshake(tls->ssl);
	int code = SSL_get_error(tls->ssl, rc);

	flush(tls);
	if (rc == 1) {
		tls->is_up = true;
		tls->ops->on_up(tls, tls->ctx);
		return !tls->is_over;
	}
	if (code == SSL_ERROR_WANT_READ)
		return false;
	end_with(tls, code);
	return false;
}

static void decrypt(struct tls *tls)
{
	size_t before = tls->in.n;

	for (;;) {
		char *at = jaco_buf_reserve(&tls->in, PIECE);
		size_t got = 0;
		int rc;

		if (!at) {
			struct jaco_err err = JACO_ERR_INIT;

			jaco_err_set(&err, JACO_MESSAGE_TOO_LARGE, "a message exceeds %d bytes",
				     PLAIN_IN_MAX);
			end(tls, &err);
			return;
		}
		rc = SSL_read_ex(tls->ssl, at, PIECE, &got);
		if (rc == 1) {
			tls->in.n += got;
			continue;
		}
		rc = SSL_get_error(tls->ssl, rc); /* before anything else is done with ssl */
		if (tls->in.n > before)
			tls->ops->on_data(tls, tls->ctx);
		if (tls->is_over)
			return;
		flush(tls);
		if (rc != SSL_ERROR_WANT_READ)
			end_with(tls, rc);
		return;
	}
}

static int on_chan_data(struct jaco_chan *chan, void *ctx)
{
	struct tls *tls = ctx;

	if (tls->is_over)
		return -1;
	(void)BIO_write(tls->from_net, chan->in.data, (int)chan->in.n); /* memory takes all */
	jaco_buf_reset(&chan->in);
	ERR_clear_error();
	if (tls->is_up || shake(tls))
		decrypt(tls);
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
	*tls = (struct tls){.ops = ops, .ctx = ctx, .in = JACO_BUF_BOUND(PLAIN_IN_MAX)};
	jaco_chan_open(&tls->chan, loop, take_fd, pending, NET_IN_MAX, &chan_ops, tls);
	tls->ssl = SSL_new(context);
	tls->from_net = BIO_new(BIO_s_mem());
	tls->to_net = BIO_new(BIO_s_mem());
	if (!tls->ssl || !tls->from_net || !tls->to_net) {
		BIO_free(tls->from_net);
		BIO_free(tls->to_net);
		SSL_free(tls->ssl);
		tls->ssl = NULL;
		tls->is_over = true;
		return failed(err, "TLS");
	}
	SSL_set_bio(tls->ssl, tls->from_net, tls->to_net);
	if (is_client) {
		SSL_set_connect_state(tls->ssl);
		(void)SSL_do_handshake(tls->ssl); /* makes the first flight; cannot finish yet */
		flush(tls);
	} else {
		SSL_set_accept_state(tls->ssl);
	}
	return 0;
}

static bool encrypt(struct tls *tls, const void *data, size_t n)
{
	size_t sent = 0;

	if (tls->is_over || !tls->is_up || n == 0)
		return false;
	ERR_clear_error();
	/* into memory: all of it or a broken connection, which reading will tell */
	(void)SSL_write_ex(tls->ssl, data, n, &sent);
	return true;
}

void tls_send(struct tls *tls, const void *data, size_t n)
{
	if (encrypt(tls, data, n))
		flush(tls);
}

void tls_queue(struct tls *tls, const void *data, size_t n)
{
	char *out;
	long out_n;

	if (!encrypt(tls, data, n))
		return;
	out_n = BIO_get_mem_data(tls->to_net, &out);
	if (out_n > 0)
		jaco_chan_queue(&tls->chan, out, (size_t)out_n);
	(void)BIO_reset(tls->to_net);
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
	SSL_free(tls->ssl);
	tls->ssl = NULL;
	ERR_clear_error();
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
	X509 *cert = SSL_get0_peer_certificate(tls->ssl);
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
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(tls->ssl);
	X509 *cert = SSL_get0_peer_certificate(tls->ssl);
	char text[IDENTITY_FINGERPRINT_TEXT];

	for (int i = 0; cert && chain && i < sk_X509_num(chain); i++) {
		X509 *ca = sk_X509_value(chain, i);

		if (fingerprint_of(ca, text) && jaco_str_eq(text, ca_fingerprint))
			return X509_cmp(ca, cert) != 0 &&
			       X509_verify(cert, X509_get0_pubkey(ca)) == 1;
	}
	return false;
}
