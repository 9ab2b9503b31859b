/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/wire/ssl.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

struct x509_st *jaco_ssl_cert(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return cert;
}

struct evp_pkey_st *jaco_ssl_key(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return key;
}

int jaco_ssl_failure(struct jaco_err *err, enum jaco_code code, const char *what)
{
	char text[160] = "";
	unsigned long number = ERR_get_error();

	if (number)
		ERR_error_string_n(number, text, sizeof(text));
	ERR_clear_error();
	return jaco_err_set(err, code, "%s%s%s", what, text[0] ? ": " : "", text);
}
