/* SPDX-License-Identifier: Apache-2.0
 *
 * tls.c - a channel's filter that moves bytes through OpenSSL's memory BIOs. */
#include "libjaco/wire/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "libjaco/base/mem.h"

#define PIECE       16384 /* plaintext of a record, RFC 8446 section 5.1 */
#define WAITING_MAX (2 * 1024 * 1024)

struct jaco_tls {
	SSL *ssl;
	BIO *from_net; /* owned by ssl */
	BIO *to_net;
	struct jaco_buf waiting; /* to be sent when the handshake is over */
	bool is_up;
};

/* --- contexts --- */

static int failed(struct jaco_err *err, enum jaco_code code, const char *what)
{
	char text[160] = "";
	unsigned long number = ERR_get_error();

	if (number)
		ERR_error_string_n(number, text, sizeof(text));
	ERR_clear_error();
	return jaco_err_set(err, code, "%s%s%s", what, text[0] ? ": " : "", text);
}

static X509 *read_cert(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return cert;
}

static SSL_CTX *new_context(const SSL_METHOD *method)
{
	SSL_CTX *context = SSL_CTX_new(method);

	if (context && SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1) {
		SSL_CTX_free(context);
		return NULL;
	}
	if (context) {
		SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
		(void)SSL_CTX_set_num_tickets(context, 0);
	}
	return context;
}

int jaco_tls_server_context(const char *cert_pem, const char *key_pem, const char *ca_pem,
			    struct ssl_ctx_st **out_context, struct jaco_err *err)
{
	SSL_CTX *context = new_context(TLS_server_method());
	X509 *cert = read_cert(cert_pem), *ca = read_cert(ca_pem);
	BIO *bio = BIO_new_mem_buf(key_pem, -1);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
	bool is_made = context && cert && key && ca &&
		       SSL_CTX_use_certificate(context, cert) == 1 &&
		       SSL_CTX_use_PrivateKey(context, key) == 1 &&
		       SSL_CTX_add1_chain_cert(context, ca) == 1;

	X509_free(cert);
	X509_free(ca);
	EVP_PKEY_free(key);
	BIO_free(bio);
	if (is_made) {
		*out_context = context;
		return 0;
	}
	SSL_CTX_free(context);
	return failed(err, JACO_VALIDATION_FAILED, "the certificate cannot be used");
}

int jaco_tls_client_context(const char *ca_pem, struct ssl_ctx_st **out_context,
			    struct jaco_err *err)
{
	SSL_CTX *context = new_context(TLS_client_method());
	X509 *ca = read_cert(ca_pem);
	bool is_made = context && ca &&
		       X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca) == 1 &&
		       X509_VERIFY_PARAM_set_purpose(SSL_CTX_get0_param(context),
						     X509_PURPOSE_SSL_SERVER) == 1;

	X509_free(ca);
	if (is_made) {
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
		*out_context = context;
		return 0;
	}
	SSL_CTX_free(context);
	return failed(err, JACO_VALIDATION_FAILED, "the CA is not a PEM certificate");
}

void jaco_tls_context_free(struct ssl_ctx_st *context)
{
	SSL_CTX_free(context);
}

/* --- the stream --- */

static void flush(struct jaco_chan *chan, struct jaco_tls *tls)
{
	char *data;
	long n = BIO_get_mem_data(tls->to_net, &data);

	if (n <= 0)
		return;
	jaco_chan_put(chan, data, (size_t)n);
	(void)BIO_reset(tls->to_net);
}

static void encrypt(struct jaco_chan *chan, struct jaco_tls *tls, const void *data, size_t n)
{
	size_t sent = 0;

	if (n == 0)
		return;
	ERR_clear_error();
	/* into memory: all of it or a broken connection, which reading will tell */
	(void)SSL_write_ex(tls->ssl, data, n, &sent);
	flush(chan, tls);
}

static int over(struct jaco_chan *chan, struct jaco_tls *tls, int ssl_error, struct jaco_err *err)
{
	long verdict = SSL_get_verify_result(tls->ssl);

	flush(chan, tls); /* the alert */
	if (ssl_error == SSL_ERROR_ZERO_RETURN)
		jaco_err_set(err, JACO_UNAVAILABLE, "connection closed");
	else if (!tls->is_up && verdict != X509_V_OK)
		jaco_err_set(err, JACO_PERMISSION_DENIED,
			     "its certificate is refused, nothing was sent: %s",
			     X509_verify_cert_error_string(verdict));
	else
		failed(err, JACO_UNAVAILABLE, "TLS");
	ERR_clear_error();
	return -(int)err->code;
}

static int shake(struct jaco_chan *chan, struct jaco_tls *tls, struct jaco_err *err)
{
	int rc = SSL_do_handshake(tls->ssl);
	int code = SSL_get_error(tls->ssl, rc);

	flush(chan, tls);
	if (rc == 1) {
		tls->is_up = true;
		encrypt(chan, tls, tls->waiting.data, tls->waiting.n);
		jaco_wipe(tls->waiting.data, tls->waiting.n);
		jaco_buf_fini(&tls->waiting);
		return 0;
	}
	return code == SSL_ERROR_WANT_READ ? 0 : over(chan, tls, code, err);
}

static int take(struct jaco_chan *chan, void *self, const void *data, size_t n,
		struct jaco_err *err)
{
	struct jaco_tls *tls = self;

	ERR_clear_error();
	(void)BIO_write(tls->from_net, data, (int)n); /* memory takes all */
	if (!tls->is_up && shake(chan, tls, err) < 0)
		return -(int)err->code;
	while (tls->is_up) {
		char *at = jaco_buf_reserve(&chan->in, PIECE);
		size_t got = 0;
		int code;

		if (!at)
			return jaco_err_set(err, JACO_MESSAGE_TOO_LARGE,
					    "a message exceeds %zu bytes", chan->in.max);
		if (SSL_read_ex(tls->ssl, at, PIECE, &got) == 1) {
			chan->in.n += got;
			chan->in.data[chan->in.n] = '\0';
			continue;
		}
		code = SSL_get_error(tls->ssl, 0);
		if (code != SSL_ERROR_WANT_READ)
			return over(chan, tls, code, err);
		flush(chan, tls); /* a key update is answered */
		break;
	}
	return 0;
}

static void give(struct jaco_chan *chan, void *self, const void *data, size_t n)
{
	struct jaco_tls *tls = self;

	if (tls->is_up)
		encrypt(chan, tls, data, n);
	else
		jaco_buf_add(&tls->waiting, data, n);
}

static void release(void *self)
{
	struct jaco_tls *tls = self;

	SSL_free(tls->ssl);
	if (tls->waiting.data)
		jaco_wipe(tls->waiting.data, tls->waiting.n);
	jaco_buf_fini(&tls->waiting);
	jaco_free(tls);
	ERR_clear_error();
}

static const struct jaco_chan_filter tls_filter = {.take = take, .give = give, .release = release};

int jaco_tls_attach(struct jaco_chan *chan, struct ssl_ctx_st *context, bool is_client,
		    struct jaco_err *err)
{
	struct jaco_tls *tls = jaco_alloc(sizeof(*tls));

	tls->waiting = JACO_BUF_BOUND(WAITING_MAX);
	tls->ssl = SSL_new(context);
	tls->from_net = BIO_new(BIO_s_mem());
	tls->to_net = BIO_new(BIO_s_mem());
	if (!tls->ssl || !tls->from_net || !tls->to_net) {
		BIO_free(tls->from_net);
		BIO_free(tls->to_net);
		release(tls);
		return failed(err, JACO_UNAVAILABLE, "TLS");
	}
	SSL_set_bio(tls->ssl, tls->from_net, tls->to_net);
	jaco_chan_set_filter(chan, &tls_filter, tls);
	if (is_client) {
		SSL_set_connect_state(tls->ssl);
		(void)SSL_do_handshake(tls->ssl); /* makes the first flight; cannot finish yet */
		flush(chan, tls);
	} else {
		SSL_set_accept_state(tls->ssl);
	}
	return 0;
}
