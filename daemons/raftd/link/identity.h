/* SPDX-License-Identifier: Apache-2.0
 *
 * identity.h - keys and certificates of the cluster: the CA, and one certificate per node.
 *
 * Ed25519 (RFC 8032, RFC 8410).  A node is who its certificate says because /node/<host> holds its
 * key's fingerprint; the CA only vouches that the cluster made it. */
#pragma once

#include <stdint.h>

#include "libjaco/base/err.h"

#define IDENTITY_PEM_MAX          8192
#define IDENTITY_FINGERPRINT_TEXT 65
#define IDENTITY_NODE_DAYS        90
#define IDENTITY_CA_DAYS          (20 * 365)
#define IDENTITY_BACKDATE_S       300 /* clocks of peers may be behind */

struct identity {
	char cert[IDENTITY_PEM_MAX];
	char key[IDENTITY_PEM_MAX]; /* secret */
};

/* A new self-signed CA for the cluster @cluster_id. */
int identity_make_ca(const char *cluster_id, struct identity *out_ca, struct jaco_err *err);

/* A key and a certificate for node @host (client and server), signed by @ca. */
int identity_make_node(const struct identity *ca, const char *cluster_id, const char *host,
		       struct identity *out_node, struct jaco_err *err);

/* A key for this node and the PKCS #10 request for its certificate (RFC 2986). */
int identity_make_request(const char *host, struct identity *out_request, struct jaco_err *err);

/* Sign the request @request_pem for @host, whatever name it carries: the caller has checked that it
 * may have that one.  Errors: VALIDATION_FAILED - not a request, or not signed by its own key. */
int identity_sign(const struct identity *ca, const char *cluster_id, const char *host,
		  const char *request_pem, char out_cert[static IDENTITY_PEM_MAX],
		  struct jaco_err *err);

/* Of the whole certificate, as join tokens name the CA: SHA-256 over the DER form, lower-case hex.
 * Errors: VALIDATION_FAILED - not a certificate. */
int identity_fingerprint(const char *cert_pem, char out_text[static IDENTITY_FINGERPRINT_TEXT],
			 struct jaco_err *err);

struct identity_life {
	int64_t issued; /* seconds since the epoch, the back-dating taken out */
	int64_t not_after;
};
/* Errors: VALIDATION_FAILED - not a certificate. */
int identity_get_life(const char *cert_pem, struct identity_life *out_life, struct jaco_err *err);

/* A new certificate for the key that node @host has already.  Errors: INTERNAL - not a key. */
int identity_renew(const struct identity *ca, const char *cluster_id, const char *host,
		   const char *key_pem, char out_cert[static IDENTITY_PEM_MAX],
		   struct jaco_err *err);

/* SHA-256 over the public key's DER form (SubjectPublicKeyInfo, RFC 7469 section 2.4), lower-case
 * hex: it stays when a certificate is renewed.  Errors: VALIDATION_FAILED - not a certificate. */
int identity_key_fingerprint(const char *cert_pem, char out_text[static IDENTITY_FINGERPRINT_TEXT],
			     struct jaco_err *err);

/* Was @cert_pem signed by @ca_pem and is it in force now?  Errors: VALIDATION_FAILED. */
int identity_verify(const char *ca_pem, const char *cert_pem, struct jaco_err *err);

/* Write ca.crt, node.key and node.crt below @dir, durably.  The certificate comes last, and an old
 * one goes first: a node that has one has what belongs to it, whenever the power goes. */
int identity_save(const char *dir, const char *ca_cert, const char *cert, const char *key,
		  struct jaco_err *err);

/* Overwrite the key. */
void identity_wipe(struct identity *identity);
#define identity_cleanup identity_wipe
