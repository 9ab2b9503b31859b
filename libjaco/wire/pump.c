/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/wire/pump.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "libjaco/wire/ssl.h"

#define PIECE 16384 /* plaintext of a record, RFC 8446 section 5.1 */

/* --- contexts --- */

struct ssl_ctx_st *jaco_pump_context(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_method());

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

bool jaco_pump_show(struct ssl_ctx_st *context, const char *cert_pem, const char *key_pem)
{
	X509 *cert = jaco_ssl_cert(cert_pem);
	EVP_PKEY *key = jaco_ssl_key(key_pem);
	bool is_used = cert && key && SSL_CTX_use_certificate(context, cert) == 1 &&
		       SSL_CTX_use_PrivateKey(context, key) == 1;

	X509_free(cert);
	EVP_PKEY_free(key);
	return is_used;
}

bool jaco_pump_send_along(struct ssl_ctx_st *context, const char *ca_pem)
{
	X509 *ca = jaco_ssl_cert(ca_pem);
	bool is_used = ca && SSL_CTX_add1_chain_cert(context, ca) == 1;

	X509_free(ca);
	return is_used;
}

bool jaco_pump_trust(struct ssl_ctx_st *context, const char *ca_pem)
{
	X509 *ca = jaco_ssl_cert(ca_pem);
	bool is_used = ca && X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca) == 1;

	X509_free(ca);
	return is_used;
}

/* --- the stream --- */

int jaco_pump_open(struct jaco_pump *pump, struct ssl_ctx_st *context, bool is_client,
		   struct jaco_err *err)
{
	*pump = (struct jaco_pump){
		.ssl = SSL_new(context),
		.from_net = BIO_new(BIO_s_mem()),
		.to_net = BIO_new(BIO_s_mem()),
	};
	if (!pump->ssl || !pump->from_net || !pump->to_net) {
		BIO_free(pump->from_net);
		BIO_free(pump->to_net);
		jaco_pump_close(pump);
		return jaco_ssl_failure(err, JACO_UNAVAILABLE, "TLS");
	}
	SSL_set_bio(pump->ssl, pump->from_net, pump->to_net);
	if (is_client) {
		SSL_set_connect_state(pump->ssl);
		(void)SSL_do_handshake(pump->ssl); /* makes the first flight; cannot finish yet */
	} else {
		SSL_set_accept_state(pump->ssl);
	}
	return 0;
}

void jaco_pump_close(struct jaco_pump *pump)
{
	SSL_free(pump->ssl);
	*pump = (struct jaco_pump){.ssl = NULL};
	ERR_clear_error();
}

void jaco_pump_feed(struct jaco_pump *pump, const void *data, size_t n)
{
	ERR_clear_error();
	(void)BIO_write(pump->from_net, data, (int)n); /* memory takes all */
}

static int over(struct jaco_pump *pump, int ssl_error, struct jaco_err *err)
{
	long verdict = SSL_get_verify_result(pump->ssl);

	if (ssl_error == SSL_ERROR_ZERO_RETURN)
		jaco_err_set(err, JACO_UNAVAILABLE, "connection closed");
	else if (!pump->is_up && verdict != X509_V_OK)
		jaco_err_set(err, JACO_PERMISSION_DENIED,
			     "its certificate is refused, nothing was sent: %s",
			     X509_verify_cert_error_string(verdict));
	else
		jaco_ssl_failure(err, JACO_UNAVAILABLE, "TLS");
	ERR_clear_error();
	return -(int)err->code;
}

int jaco_pump_shake(struct jaco_pump *pump, struct jaco_err *err)
{
	int rc = SSL_do_handshake(pump->ssl);
	int code = SSL_get_error(pump->ssl, rc);

	pump->is_up = rc == 1;
	return pump->is_up || code == SSL_ERROR_WANT_READ ? 0 : over(pump, code, err);
}

int jaco_pump_read(struct jaco_pump *pump, struct jaco_buf *plain, struct jaco_err *err)
{
	for (;;) {
		char *at = jaco_buf_reserve(plain, PIECE);
		size_t got = 0;
		int code;

		if (!at)
			return jaco_err_set(err, JACO_MESSAGE_TOO_LARGE,
					    "a message exceeds %zu bytes", plain->max);
		if (SSL_read_ex(pump->ssl, at, PIECE, &got) == 1) {
			plain->n += got;
			plain->data[plain->n] = '\0';
			continue;
		}
		code = SSL_get_error(pump->ssl, 0);
		return code == SSL_ERROR_WANT_READ ? 0 : over(pump, code, err);
	}
}

void jaco_pump_write(struct jaco_pump *pump, const void *data, size_t n)
{
	size_t sent = 0;

	if (n == 0)
		return;
	ERR_clear_error();
	(void)SSL_write_ex(pump->ssl, data, n, &sent); /* into memory: all of it or none */
}

size_t jaco_pump_output(const struct jaco_pump *pump, const char **out_data)
{
	char *data = NULL;
	long n = BIO_get_mem_data(pump->to_net, &data);

	*out_data = data;
	return n > 0 ? (size_t)n : 0;
}

void jaco_pump_sent(struct jaco_pump *pump)
{
	(void)BIO_reset(pump->to_net);
}
