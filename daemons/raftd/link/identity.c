/* SPDX-License-Identifier: Apache-2.0
 *
 * identity.c - X.509 by OpenSSL.  Certificates follow RFC 5280: serial of 16 random octets, basic
 * constraints and key usage critical, the host as a DNS name. */
#include "daemons/raftd/link/identity.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "libjaco/base/digest.h"
#include "libjaco/base/fault.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/random.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/io/fs.h"
#include "libjaco/wire/ssl.h"

#define SERIAL_BYTES 16
#define DAY_S        86400L

static long node_seconds(void)
{
	return CHAOS_NUMBER(cert_seconds, IDENTITY_NODE_DAYS * DAY_S);
}

static int failed(struct jaco_err *err, const char *what)
{
	return jaco_ssl_failure(err, JACO_INTERNAL, what);
}

static bool set_serial(X509 *cert)
{
	uint8_t bytes[SERIAL_BYTES];
	BIGNUM *number;
	bool is_set;

	jaco_random_bytes(bytes, sizeof(bytes));
	bytes[0] &= 0x7f; /* positive, RFC 5280 section 4.1.2.2 */
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	is_set = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
	BN_free(number);
	return is_set;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *extension;
	bool is_added;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	is_added = extension && X509_add_ext(cert, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return is_added;
}

static bool set_name(X509_NAME *name, const char *organisation, const char *common)
{
	return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const uint8_t *)organisation,
					  -1, -1, 0) == 1 &&
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)common, -1,
					  -1, 0) == 1;
}

/* --- as text --- */

/* What was written to @take_bio; false when that is not all, or too long. */
static bool take_text(BIO *take_bio, bool is_written, char out[static IDENTITY_PEM_MAX])
{
	char *data = NULL;
	long n = is_written ? BIO_get_mem_data(take_bio, &data) : 0;
	bool fits = n > 0 && n < IDENTITY_PEM_MAX;

	if (fits) {
		memcpy(out, data, (size_t)n);
		out[n] = '\0';
	}
	BIO_free(take_bio);
	return fits;
}

static bool cert_to_pem(X509 *cert, char out_cert[static IDENTITY_PEM_MAX])
{
	BIO *bio = BIO_new(BIO_s_mem());

	return take_text(bio, bio && PEM_write_bio_X509(bio, cert) == 1, out_cert);
}

static bool request_to_pem(X509_REQ *request, char out_request[static IDENTITY_PEM_MAX])
{
	BIO *bio = BIO_new(BIO_s_mem());

	return take_text(bio, bio && PEM_write_bio_X509_REQ(bio, request) == 1, out_request);
}

static bool key_to_pem(EVP_PKEY *key, char out_key[static IDENTITY_PEM_MAX])
{
	BIO *bio = BIO_new(BIO_s_secmem());

	return take_text(bio,
			 bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1,
			 out_key);
}

/* --- making --- */

/* Fill, extend and sign; issuer and its key are NULL for a self-signed one. */
static bool build(X509 *cert, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, const char *org,
		  const char *common, long seconds)
{
	X509_NAME *name = X509_get_subject_name(cert);
	char alt[JACO_ERR_TEXT_MAX];
	time_t now = (time_t)(jaco_time_wall_ms() / 1000);
	bool is_ca = !issuer;

	if (X509_set_version(cert, 2) != 1 || !set_serial(cert) || !set_name(name, org, common) ||
	    X509_set_issuer_name(cert, is_ca ? name : X509_get_subject_name(issuer)) != 1 ||
	    !X509_time_adj(X509_getm_notBefore(cert), -IDENTITY_BACKDATE_S, &now) ||
	    !X509_time_adj(X509_getm_notAfter(cert), seconds, &now) ||
	    X509_set_pubkey(cert, key) != 1)
		return false;
	if (!add_extension(cert, is_ca ? cert : issuer, NID_basic_constraints,
			   is_ca ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE") ||
	    !add_extension(cert, is_ca ? cert : issuer, NID_key_usage,
			   is_ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature") ||
	    !add_extension(cert, is_ca ? cert : issuer, NID_subject_key_identifier, "hash"))
		return false;
	if (!is_ca) {
		(void)jaco_str_format(alt, sizeof(alt), "DNS:%s", common);
		if (!add_extension(cert, issuer, NID_ext_key_usage, "serverAuth,clientAuth") ||
		    !add_extension(cert, issuer, NID_authority_key_identifier, "keyid") ||
		    !add_extension(cert, issuer, NID_subject_alt_name, alt))
			return false;
	}
	return X509_sign(cert, is_ca ? key : issuer_key, NULL) > 0;
}

static int make(X509 *issuer, EVP_PKEY *issuer_key, const char *org, const char *common,
		long seconds, struct identity *out, struct jaco_err *err)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	X509 *cert = X509_new();
	int rc = 0;

	if (!key || !cert || !build(cert, key, issuer, issuer_key, org, common, seconds) ||
	    !cert_to_pem(cert, out->cert) || !key_to_pem(key, out->key))
		rc = failed(err, "making a certificate");
	EVP_PKEY_free(key);
	X509_free(cert);
	return rc;
}

int identity_make_ca(const char *cluster_id, struct identity *out_ca, struct jaco_err *err)
{
	return make(NULL, NULL, cluster_id, "jaco cluster CA", IDENTITY_CA_DAYS * DAY_S,
		    out_ca, err);
}

int identity_make_node(const struct identity *ca, const char *cluster_id, const char *host,
		       struct identity *out_node, struct jaco_err *err)
{
	X509 *issuer = jaco_ssl_cert(ca->cert);
	EVP_PKEY *issuer_key = jaco_ssl_key(ca->key);
	int rc;

	if (!issuer || !issuer_key)
		rc = failed(err, "reading the CA");
	else
		rc = make(issuer, issuer_key, cluster_id, host, node_seconds(), out_node, err);
	X509_free(issuer);
	EVP_PKEY_free(issuer_key);
	return rc;
}

/* --- by request: the key never leaves its node --- */

int identity_make_request(const char *host, struct identity *out_request, struct jaco_err *err)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	X509_REQ *request = X509_REQ_new();
	int rc = 0;

	if (!key || !request || X509_REQ_set_version(request, 0) != 1 ||
	    !set_name(X509_REQ_get_subject_name(request), "jaco", host) ||
	    X509_REQ_set_pubkey(request, key) != 1 || X509_REQ_sign(request, key, NULL) <= 0 ||
	    !request_to_pem(request, out_request->cert) || !key_to_pem(key, out_request->key))
		rc = failed(err, "making a certificate request");
	EVP_PKEY_free(key);
	X509_REQ_free(request);
	return rc;
}

int identity_sign(const struct identity *ca, const char *cluster_id, const char *host,
		  const char *request_pem, char out_cert[static IDENTITY_PEM_MAX],
		  struct jaco_err *err)
{
	BIO *bio = BIO_new_mem_buf(request_pem, -1);
	X509_REQ *request = bio ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;
	EVP_PKEY *key = request ? X509_REQ_get0_pubkey(request) : NULL;
	X509 *issuer = jaco_ssl_cert(ca->cert), *cert = X509_new();
	EVP_PKEY *issuer_key = jaco_ssl_key(ca->key);
	int rc = 0;

	if (!key || X509_REQ_verify(request, key) != 1 ||
	    EVP_PKEY_get_id(key) != EVP_PKEY_ED25519)
		rc = jaco_err_set(err, JACO_VALIDATION_FAILED,
				  "this is not a certificate request with an Ed25519 key");
	else if (!issuer || !issuer_key || !cert ||
		 !build(cert, key, issuer, issuer_key, cluster_id, host, node_seconds()) ||
		 !cert_to_pem(cert, out_cert))
		rc = failed(err, "signing a certificate");
	ERR_clear_error();
	BIO_free(bio);
	X509_REQ_free(request);
	X509_free(issuer);
	X509_free(cert);
	EVP_PKEY_free(issuer_key);
	return rc;
}

int identity_renew(const struct identity *ca, const char *cluster_id, const char *host,
		   const char *key_pem, char out_cert[static IDENTITY_PEM_MAX],
		   struct jaco_err *err)
{
	X509 *issuer = jaco_ssl_cert(ca->cert), *cert = X509_new();
	EVP_PKEY *issuer_key = jaco_ssl_key(ca->key), *key = jaco_ssl_key(key_pem);
	int rc = 0;

	if (!issuer || !issuer_key || !key || !cert ||
	    !build(cert, key, issuer, issuer_key, cluster_id, host, node_seconds()) ||
	    !cert_to_pem(cert, out_cert))
		rc = failed(err, "renewing a certificate");
	ERR_clear_error();
	X509_free(issuer);
	X509_free(cert);
	EVP_PKEY_free(issuer_key);
	EVP_PKEY_free(key);
	return rc;
}

int identity_key_fingerprint(const char *cert_pem, char out_text[static IDENTITY_FINGERPRINT_TEXT],
			     struct jaco_err *err)
{
	X509 *cert = jaco_ssl_cert(cert_pem);
	uint8_t *der = NULL;
	int n = cert ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der) : -1;

	X509_free(cert);
	if (n < 0)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "this is not a PEM certificate");
	jaco_sha256_text(der, (size_t)n, out_text);
	OPENSSL_free(der);
	return 0;
}

int identity_fingerprint(const char *cert_pem, char out_text[static IDENTITY_FINGERPRINT_TEXT],
			 struct jaco_err *err)
{
	X509 *cert = jaco_ssl_cert(cert_pem);
	uint8_t *der = NULL;
	int n = cert ? i2d_X509(cert, &der) : -1;

	X509_free(cert);
	if (n < 0)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "this is not a PEM certificate");
	jaco_sha256_text(der, (size_t)n, out_text);
	OPENSSL_free(der);
	return 0;
}

static bool to_seconds(const ASN1_TIME *time, int64_t *out_seconds)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(time, &tm) != 1)
		return false;
	*out_seconds = timegm(&tm);
	return true;
}

int identity_get_life(const char *cert_pem, struct identity_life *out_life, struct jaco_err *err)
{
	X509 *cert = jaco_ssl_cert(cert_pem);
	bool is_read = cert && to_seconds(X509_get0_notBefore(cert), &out_life->issued) &&
		       to_seconds(X509_get0_notAfter(cert), &out_life->not_after);

	X509_free(cert);
	ERR_clear_error();
	if (!is_read)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "this is not a PEM certificate");
	out_life->issued += IDENTITY_BACKDATE_S;
	return 0;
}

int identity_verify(const char *ca_pem, const char *cert_pem, struct jaco_err *err)
{
	X509 *ca = jaco_ssl_cert(ca_pem), *cert = jaco_ssl_cert(cert_pem);
	int rc = 0;

	if (!ca || !cert)
		rc = jaco_err_set(err, JACO_VALIDATION_FAILED, "this is not a PEM certificate");
	else if (X509_verify(cert, X509_get0_pubkey(ca)) != 1)
		rc = jaco_err_set(err, JACO_VALIDATION_FAILED,
				  "the certificate is not signed by this cluster's CA");
	else if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0 ||
		 X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
		rc = jaco_err_set(err, JACO_VALIDATION_FAILED,
				  "the certificate is not in force now");
	ERR_clear_error();
	X509_free(ca);
	X509_free(cert);
	return rc;
}

void identity_wipe(struct identity *identity)
{
	jaco_wipe(identity->key, sizeof(identity->key));
}

/* --- on disk --- */

static int save(const char *dir, const char *name, const char *text, struct jaco_err *err)
{
	char path[640];

	(void)jaco_str_format(path, sizeof(path), "%s/%s", dir, name);
	return jaco_fs_replace(path, text, strlen(text), 0600, err);
}

int identity_save(const char *dir, const char *ca_cert, const char *cert, const char *key,
		  struct jaco_err *err)
{
	char path[640];

	(void)jaco_str_format(path, sizeof(path), "%s/node.crt", dir);
	if (unlink(path) < 0 && errno != ENOENT)
		return jaco_err_errno(err, "%s", path);
	if (jaco_fs_sync_dir(dir, err) < 0 || save(dir, "ca.crt", ca_cert, err) < 0 ||
	    save(dir, "node.key", key, err) < 0)
		return -(int)err->code;
	return save(dir, "node.crt", cert, err);
}
