/* SPDX-License-Identifier: Apache-2.0
 *
 * ssl.h - what whoever calls OpenSSL needs: PEM read from memory (RFC 7468), and its words. */
#pragma once

#include "libjaco/base/err.h"

struct x509_st;
struct evp_pkey_st;

/* The first certificate or private key in @pem, owned by the caller; NULL when there is none. */
struct x509_st *jaco_ssl_cert(const char *pem);
struct evp_pkey_st *jaco_ssl_key(const char *pem);

/* Sets @code and "@what: what OpenSSL said first", whose queue is empty then; returns -@code. */
int jaco_ssl_failure(struct jaco_err *err, enum jaco_code code, const char *what);
