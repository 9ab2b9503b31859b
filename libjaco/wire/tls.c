/* SPDX-License-Identifier: Apache-2.0
 *
 * tls.c - a channel's filter: the bytes go through a pump. */
#include "libjaco/wire/tls.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "libjaco/base/mem.h"
#include "libjaco/wire/pump.h"
#include "libjaco/wire/ssl.h"

#define WAITING_MAX (2 * 1024 * 1024)

struct jaco_tls {
	struct jaco_pump pump;
	struct jaco_buf waiting; /* to be sent when the handshake is over */
};

/* --- contexts --- */

int jaco_tls_server_context(const char *cert_pem, const char *key_pem, const char *ca_pem,
			    struct ssl_ctx_st **out_context, struct jaco_err *err)
{
	SSL_CTX *context = jaco_pump_context();

	if (context && jaco_pump_show(context, cert_pem, key_pem) &&
	    jaco_pump_send_along(context, ca_pem)) {
		*out_context = context;
		return 0;
	}
	SSL_CTX_free(context);
	return jaco_ssl_failure(err, JACO_VALIDATION_FAILED, "the certificate cannot be used");
}

int jaco_tls_client_context(const char *ca_pem, struct ssl_ctx_st **out_context,
			    struct jaco_err *err)
{
	SSL_CTX *context = jaco_pump_context();

	if (context && jaco_pump_trust(context, ca_pem) &&
	    X509_VERIFY_PARAM_set_purpose(SSL_CTX_get0_param(context), X509_PURPOSE_SSL_SERVER) ==
		    1) {
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
		*out_context = context;
		return 0;
	}
	SSL_CTX_free(context);
	return jaco_ssl_failure(err, JACO_VALIDATION_FAILED, "the CA is not a PEM certificate");
}

void jaco_tls_context_free(struct ssl_ctx_st *context)
{
	SSL_CTX_free(context);
}

/* --- the stream --- */

static void flush(struct jaco_chan *chan, struct jaco_tls *tls)
{
	const char *data;
	size_t n = jaco_pump_output(&tls->pump, &data);

	if (n == 0)
		return;
	jaco_chan_put(chan, data, n);
	jaco_pump_sent(&tls->pump);
}

static int shake(struct jaco_tls *tls, struct jaco_err *err)
{
	int rc = jaco_pump_shake(&tls->pump, err);

	if (rc < 0 || !tls->pump.is_up)
		return rc;
	if (tls->waiting.overflow)
		return jaco_err_set(err, JACO_MESSAGE_TOO_LARGE,
				    "more than %d bytes waited for the handshake", WAITING_MAX);
	jaco_pump_write(&tls->pump, tls->waiting.data, tls->waiting.n);
	jaco_buf_fini(&tls->waiting);
	return 0;
}

static int take(struct jaco_chan *chan, void *self, const void *data, size_t n,
		struct jaco_err *err)
{
	struct jaco_tls *tls = self;
	int rc = 0;

	jaco_pump_feed(&tls->pump, data, n);
	if (!tls->pump.is_up)
		rc = shake(tls, err);
	if (rc == 0 && tls->pump.is_up)
		rc = jaco_pump_read(&tls->pump, &chan->in, err);
	flush(chan, tls); /* a flight, an alert, the answer to a key update */
	return rc;
}

static void give(struct jaco_chan *chan, void *self, const void *data, size_t n)
{
	struct jaco_tls *tls = self;

	if (!tls->pump.is_up) {
		jaco_buf_add(&tls->waiting, data, n);
		return;
	}
	jaco_pump_write(&tls->pump, data, n);
	flush(chan, tls);
}

static void release(void *self)
{
	struct jaco_tls *tls = self;

	jaco_pump_close(&tls->pump);
	jaco_buf_fini(&tls->waiting);
	jaco_free(tls);
}

static const struct jaco_chan_filter tls_filter = {.take = take, .give = give, .release = release};

int jaco_tls_attach(struct jaco_chan *chan, struct ssl_ctx_st *context, bool is_client,
		    struct jaco_err *err)
{
	struct jaco_tls *tls = jaco_alloc(sizeof(*tls));

	tls->waiting = JACO_BUF_SECRET(WAITING_MAX);
	if (jaco_pump_open(&tls->pump, context, is_client, err) < 0) {
		release(tls);
		return -(int)err->code;
	}
	jaco_chan_set_filter(chan, &tls_filter, tls);
	flush(chan, tls);
	return 0;
}
