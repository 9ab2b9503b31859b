/* SPDX-License-Identifier: Apache-2.0
 *
 * tls.c - see tls.h.
 *
 * One SSL_CTX per certificate; a default context without any answers the ClientHello, and its
 * callback moves the connection to the right one or ends it with unrecognized_name (RFC 6066
 * section 3).  Tickets are stateless, one per connection, and their keys belong to the process, so
 * a new store resumes old sessions.  Read-ahead saves one recv per record. */
#include "daemons/proxyd/tls.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/random.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/wire/ssl.h"

#define NAME_BYTES   256
#define GATHER_BYTES (16 * 1024) /* one record's payload */

struct tls_name {
	char name[NAME_BYTES]; /* lower case, "*." for a wildcard */
	SSL_CTX *ctx;
};

struct tls_store {
	atomic_uint refs;
	SSL_CTX *base;
	SSL_CTX **ctxs;
	size_t n_ctxs, cap_ctxs;
	struct tls_name *names; /* sorted when sealed by first use */
	size_t n_names, cap_names;
};

struct tls_conn {
	SSL *ssl;
	struct tls_store *store;
	int fd;
	bool wants_write;
	bool is_failed;
	char *early;           /* bytes read before TLS began, then NULL */
	size_t early_off, early_n;
	size_t unfinished;     /* bytes of a write that must be repeated */
};

/* --- ticket keys: one for the process, replaced every 12 hours, the one before still accepted
 * --- */

#define TICKET_LIFE_MS (12 * 3600 * 1000LL)

struct ticket_key {
	uint8_t name[16], aes[32], mac[32];
	int64_t born_ms;
};

static struct {
	pthread_mutex_t lock;
	struct ticket_key keys[2]; /* current, previous */
} tickets = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int64_t now_ms(void)
{
	return jaco_time_now().ns / JACO_MS;
}

static void refresh_keys(void)
{
	if (tickets.keys[0].born_ms && now_ms() - tickets.keys[0].born_ms < TICKET_LIFE_MS)
		return;
	tickets.keys[1] = tickets.keys[0];
	jaco_random_bytes(&tickets.keys[0], sizeof(tickets.keys[0]));
	tickets.keys[0].born_ms = now_ms();
}

static bool arm_ticket(const struct ticket_key *key, unsigned char *iv, EVP_CIPHER_CTX *cipher,
		       EVP_MAC_CTX *mac, int encrypt)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->mac,
						  sizeof(key->mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->aes, iv, encrypt) == 1 &&
	       EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int on_ticket(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
		     EVP_MAC_CTX *mac, int encrypt)
{
	struct ticket_key key;
	int which = -1;

	(void)ssl;
	pthread_mutex_lock(&tickets.lock);
	refresh_keys();
	for (int i = 0; i < 2 && which < 0; i++)
		if (encrypt || (tickets.keys[i].born_ms &&
				memcmp(name, tickets.keys[i].name, sizeof(key.name)) == 0))
			which = i;
	if (which >= 0)
		key = tickets.keys[which];
	pthread_mutex_unlock(&tickets.lock);
	if (which < 0)
		return 0;
	if (encrypt) {
		memcpy(name, key.name, sizeof(key.name));
		jaco_random_bytes(iv, 16);
	}
	if (!arm_ticket(&key, iv, cipher, mac, encrypt))
		which = -2;
	jaco_wipe(&key, sizeof(key));
	return which == -2 ? -1 : which == 0 ? 1 : 2; /* 2: accept, and send a new one */
}

/* --- choosing --- */

static const struct tls_name *find_name(const struct tls_store *store, const char *name)
{
	for (size_t lo = 0, hi = store->n_names; lo < hi;) {
		size_t mid = (lo + hi) / 2;
		int order = strcmp(name, store->names[mid].name);

		if (order == 0)
			return &store->names[mid];
		if (order < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

static const struct tls_name *find_host(const struct tls_store *store, const char *host)
{
	const struct tls_name *found = find_name(store, host);
	const char *dot = strchr(host, '.');
	char wild[NAME_BYTES + 1];

	if (found || !dot || !jaco_str_format(wild, sizeof(wild), "*%s", dot))
		return found;
	return find_name(store, wild);
}

bool tls_has_certificate(const struct tls_store *store, const char *host)
{
	return store && find_host(store, host) != NULL;
}

/* The host_name of the extension (RFC 6066 section 3), lower case. */
static bool read_server_name(SSL *ssl, char out[NAME_BYTES])
{
	const unsigned char *p;
	size_t n, len;

	if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n) || n < 5)
		return false;
	len = (size_t)p[3] << 8 | p[4];
	if (((size_t)p[0] << 8 | p[1]) + 2 != n || p[2] != TLSEXT_NAMETYPE_host_name ||
	    len + 5 > n || len == 0 || len >= NAME_BYTES || memchr(p + 5, '\0', len))
		return false;
	for (size_t i = 0; i < len; i++)
		out[i] = jaco_ascii_lower((char)p[5 + i]);
	if (out[len - 1] == '.')
		len--;
	out[len] = '\0';
	return true;
}

static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
	struct tls_conn *conn = SSL_get_app_data(ssl);
	char name[NAME_BYTES];
	const struct tls_name *found = NULL;

	(void)arg;
	if (read_server_name(ssl, name))
		found = find_host(conn->store, name);
	else if (conn->store->n_ctxs == 1) /* a client without SNI has no choice to make */
		found = &conn->store->names[0];
	if (!found) {
		*alert = SSL_AD_UNRECOGNIZED_NAME;
		return SSL_CLIENT_HELLO_ERROR;
	}
	SSL_set_SSL_CTX(ssl, found->ctx);
	return SSL_CLIENT_HELLO_SUCCESS;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
		   const unsigned char *in, unsigned in_n, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto((unsigned char **)out, out_n, ours, sizeof(ours) - 1, in, in_n) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 section 3.2 */
	return SSL_TLSEXT_ERR_OK;
}

/* --- stores --- */

static SSL_CTX *new_ctx(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	JACO_ASSERT(ctx);
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
				 SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_PRIORITIZE_CHACHA |
				 SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
			      SSL_MODE_RELEASE_BUFFERS);
	JACO_ASSERT(SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
					     "TLS_CHACHA20_POLY1305_SHA256") == 1);
	JACO_ASSERT(SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1);
	JACO_ASSERT(SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") == 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	JACO_ASSERT(SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"jaco", 4) == 1);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	SSL_CTX_set_client_hello_cb(ctx, on_client_hello, NULL);
	return ctx;
}

struct tls_store *tls_store_new(void)
{
	struct tls_store *store = jaco_alloc(sizeof(*store));

	atomic_init(&store->refs, 1);
	store->base = new_ctx();
	return store;
}

struct tls_store *tls_store_ref(struct tls_store *store)
{
	atomic_fetch_add_explicit(&store->refs, 1, memory_order_relaxed);
	return store;
}

void tls_store_unref(struct tls_store *take_store)
{
	if (!take_store ||
	    atomic_fetch_sub_explicit(&take_store->refs, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t i = 0; i < take_store->n_ctxs; i++)
		SSL_CTX_free(take_store->ctxs[i]);
	SSL_CTX_free(take_store->base);
	jaco_free(take_store->ctxs);
	jaco_free(take_store->names);
	jaco_free(take_store);
}

static int ssl_error(struct jaco_err *err, const char *what)
{
	char text[256] = "";
	unsigned long code = ERR_get_error();

	ERR_error_string_n(code, text, sizeof(text));
	ERR_clear_error();
	return jaco_err_set(err, JACO_VALIDATION_FAILED, "%s: %s", what,
			    code ? text : "unreadable");
}

static int load_chain(SSL_CTX *ctx, const char *pem, struct jaco_err *err)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *leaf = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
	X509 *next;
	bool ok = leaf && SSL_CTX_use_certificate(ctx, leaf) == 1;

	X509_free(leaf);
	while (ok && (next = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		ok = SSL_CTX_add0_chain_cert(ctx, next) == 1;
		if (!ok)
			X509_free(next);
	}
	BIO_free(bio);
	if (!ok)
		return ssl_error(err, "certificate");
	ERR_clear_error(); /* the end of the file is one */
	return 0;
}

static int load_key(SSL_CTX *ctx, const char *pem, struct jaco_err *err)
{
	EVP_PKEY *key = jaco_ssl_key(pem);
	bool ok =
		key && SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;

	EVP_PKEY_free(key);
	return ok ? 0 : ssl_error(err, "key");
}

/* Sorted insertion; the certificate added last wins a name. */
static void put_name(struct tls_store *store, const char *text, size_t n, SSL_CTX *ctx)
{
	struct tls_name name = {.ctx = ctx};
	size_t at = 0;

	if (n == 0 || n >= NAME_BYTES)
		return;
	for (size_t i = 0; i < n; i++)
		name.name[i] = jaco_ascii_lower(text[i]);
	while (at < store->n_names && strcmp(store->names[at].name, name.name) < 0)
		at++;
	if (at < store->n_names && strcmp(store->names[at].name, name.name) == 0) {
		store->names[at].ctx = ctx;
		return;
	}
	store->names = jaco_grow(store->names, &store->cap_names, store->n_names + 1, sizeof(name));
	memmove(&store->names[at + 1], &store->names[at], (store->n_names - at) * sizeof(name));
	store->names[at] = name;
	store->n_names++;
}

static void put_names(struct tls_store *store, SSL_CTX *ctx)
{
	GENERAL_NAMES *list = X509_get_ext_d2i(SSL_CTX_get0_certificate(ctx), NID_subject_alt_name,
					       NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(list); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(list, i);

		if (g->type == GEN_DNS)
			put_name(store, (const char *)ASN1_STRING_get0_data(g->d.dNSName),
				 (size_t)ASN1_STRING_length(g->d.dNSName), ctx);
	}
	GENERAL_NAMES_free(list);
}

int tls_store_add(struct tls_store *store, const char *chain_pem, const char *key_pem,
		  struct jaco_err *err)
{
	SSL_CTX *ctx = new_ctx();
	size_t before = store->n_names;

	if (load_chain(ctx, chain_pem, err) < 0 || load_key(ctx, key_pem, err) < 0) {
		SSL_CTX_free(ctx);
		return -(int)err->code;
	}
	store->ctxs = jaco_grow(store->ctxs, &store->cap_ctxs, store->n_ctxs + 1,
				sizeof(SSL_CTX *));
	store->ctxs[store->n_ctxs++] = ctx;
	put_names(store, ctx);
	if (store->n_names == before && before == 0)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "certificate carries no DNS name");
	return 0;
}

/* --- the socket below: send without SIGPIPE, early bytes first --- */

static int bio_read(BIO *bio, char *out, int n)
{
	struct tls_conn *conn = BIO_get_data(bio);
	ssize_t got;

	BIO_clear_retry_flags(bio);
	if (conn->early) {
		size_t k = JACO_MIN((size_t)n, conn->early_n - conn->early_off);

		memcpy(out, conn->early + conn->early_off, k);
		conn->early_off += k;
		if (conn->early_off == conn->early_n) {
			jaco_free(conn->early);
			conn->early = NULL;
		}
		return (int)k;
	}
	got = recv(conn->fd, out, (size_t)n, 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(bio);
	return (int)got;
}

static int bio_write(BIO *bio, const char *data, int n)
{
	struct tls_conn *conn = BIO_get_data(bio);
	ssize_t sent = send(conn->fd, data, (size_t)n, MSG_NOSIGNAL);

	BIO_clear_retry_flags(bio);
	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(bio);
	return (int)sent;
}

static long bio_ctrl(BIO *bio, int cmd, long arg, void *ptr)
{
	(void)bio;
	(void)arg;
	(void)ptr;
	return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *method;

__attribute__((constructor)) static void make_method(void)
{
	method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | 0x6a, "jaco socket");
	BIO_meth_set_read(method, bio_read);
	BIO_meth_set_write(method, bio_write);
	BIO_meth_set_ctrl(method, bio_ctrl);
}

/* --- connections --- */

struct tls_conn *tls_conn_new(struct tls_store *store, int fd)
{
	struct tls_conn *conn = jaco_alloc(sizeof(*conn));
	BIO *bio = BIO_new(method);

	JACO_ASSERT(bio);
	conn->store = tls_store_ref(store);
	conn->fd = fd;
	conn->ssl = SSL_new(store->base);
	JACO_ASSERT(conn->ssl);
	BIO_set_data(bio, conn);
	BIO_set_init(bio, 1);
	SSL_set_bio(conn->ssl, bio, bio);
	SSL_set_app_data(conn->ssl, conn);
	SSL_set_accept_state(conn->ssl);
	return conn;
}

struct tls_conn *tls_conn_new_after(struct tls_store *store, int fd, const char *early, size_t n)
{
	struct tls_conn *conn = tls_conn_new(store, fd);

	if (n) {
		conn->early = jaco_memdup(early, n);
		conn->early_n = n;
	}
	return conn;
}

void tls_conn_free(struct tls_conn *take_conn)
{
	if (!take_conn)
		return;
	SSL_free(take_conn->ssl);
	tls_store_unref(take_conn->store);
	jaco_free(take_conn->early);
	jaco_free(take_conn);
}

/* SSL's verdict on a negative result as errno. */
static ssize_t explain(struct tls_conn *conn, int rc)
{
	int why = SSL_get_error(conn->ssl, rc);

	conn->wants_write = why == SSL_ERROR_WANT_WRITE;
	if (why == SSL_ERROR_ZERO_RETURN)
		return 0;
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
		errno = EAGAIN;
		return -1;
	}
	conn->is_failed = true;
	ERR_clear_error();
	errno = EPROTO;
	return -1;
}

ssize_t tls_read(struct tls_conn *conn, char *out, size_t n)
{
	int rc;

	if (conn->is_failed) {
		errno = EPROTO;
		return -1;
	}
	rc = SSL_read(conn->ssl, out, (int)JACO_MIN(n, (size_t)1 << 20));
	conn->wants_write = false;
	return rc > 0 ? rc : explain(conn, rc);
}

ssize_t tls_write(struct tls_conn *conn, const struct iovec *iov, int n)
{
	static _Thread_local char gather[GATHER_BYTES];
	const char *from = iov[0].iov_base;
	size_t bytes = iov[0].iov_len;
	int rc;

	if (conn->is_failed) {
		errno = EPIPE;
		return -1;
	}
	if (n > 1 && bytes < GATHER_BYTES) { /* head and body in one record */
		bytes = 0;
		for (int i = 0; i < n && bytes < GATHER_BYTES; i++) {
			size_t k = JACO_MIN(iov[i].iov_len, GATHER_BYTES - bytes);

			memcpy(gather + bytes, iov[i].iov_base, k);
			bytes += k;
		}
		from = gather;
	}
	bytes = JACO_MIN(bytes, (size_t)GATHER_BYTES);
	/* A write that had to wait is repeated with at least as many bytes, the same ones: output
	 * is only ever appended to. */
	JACO_ASSERT(bytes >= conn->unfinished);
	rc = SSL_write(conn->ssl, from, (int)bytes);
	if (rc > 0) {
		conn->unfinished = 0;
		return rc;
	}
	if (explain(conn, rc) < 0 && errno == EAGAIN)
		conn->unfinished = bytes;
	else
		errno = EPIPE;
	return -1;
}

bool tls_has_pending(const struct tls_conn *conn)
{
	return SSL_pending(conn->ssl) > 0;
}

bool tls_wants_write(const struct tls_conn *conn)
{
	return conn->wants_write;
}

void tls_close_notify(struct tls_conn *conn)
{
	if (!conn->is_failed && SSL_is_init_finished(conn->ssl)) {
		SSL_shutdown(conn->ssl);
		ERR_clear_error();
	}
}

enum tls_protocol tls_protocol(const struct tls_conn *conn)
{
	const unsigned char *name;
	unsigned n;

	if (!SSL_is_init_finished(conn->ssl))
		return TLS_UNKNOWN;
	SSL_get0_alpn_selected(conn->ssl, &name, &n);
	return n == 2 && memcmp(name, "h2", 2) == 0 ? TLS_HTTP2 : TLS_HTTP1;
}
