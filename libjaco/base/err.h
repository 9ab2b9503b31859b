/* SPDX-License-Identifier: Apache-2.0
 *
 * err.h - what went wrong, for a program and for a person.
 *
 * The object lives on the caller's stack and never allocates, so reporting cannot fail.  A function
 * that can fail returns int: 0 or more is success, a negative jaco_code is failure and its last
 * parameter, `struct jaco_err *err`, then holds code and sentence.  The codes are the closed set of
 * spec/cluster.md section 4: the same value is the wire string, the CLI exit status and a row of
 * jaco(7). */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "libjaco/base/auto.h"

/* X(NAME, wire string, exit status, sentence) */
#define JACO_CODES(X)                                                                              \
	X(CLUSTER_UNINITIALIZED, "cluster_uninitialized", 1,                                       \
	  "this node belongs to no cluster yet")                                                   \
	X(CLUSTER_ALREADY_INITIALIZED, "cluster_already_initialized", 1,                           \
	  "this node already belongs to a cluster")                                                \
	X(NODE_ALREADY_MEMBER, "node_already_member", 1, "a member with that host name exists")    \
	X(NODE_NOT_FOUND, "node_not_found", 1, "no member has that host name")                     \
	X(NO_LEADER, "no_leader", 75, "an election is in progress")                                \
	X(QUORUM_LOST, "quorum_lost", 75, "this side of the cluster has no majority")              \
	X(CONFLICT, "conflict", 1, "the state changed under the request")                          \
	X(TOKEN_INVALID, "token_invalid", 77, "the token is not known")                            \
	X(TOKEN_REVOKED, "token_revoked", 77, "the token was revoked")                             \
	X(TOKEN_EXPIRED, "token_expired", 77, "the token has expired")                             \
	X(PERMISSION_DENIED, "permission_denied", 77, "the caller may not do this")                \
	X(VALIDATION_FAILED, "validation_failed", 65, "a manifest or argument is wrong")           \
	X(PARSE_FAILED, "parse_failed", 65, "a document is not well-formed")                       \
	X(UNKNOWN_SERVICE, "unknown_service", 65, "no such service in the compose file")           \
	X(UNKNOWN_HOST, "unknown_host", 65, "no member has that host name")                        \
	X(UNKNOWN_NETWORK, "unknown_network", 65, "no such network")                               \
	X(RESERVED_PORT, "reserved_port", 65, "the port belongs to JACO itself")                   \
	X(PORT_CONFLICT, "port_conflict", 65, "the port is published already")                     \
	X(ROUTE_CONFLICT, "route_conflict", 65, "the route exists already")                        \
	X(ROUTE_TLS_MIXED, "route_tls_mixed", 65, "one domain has two tls modes")                  \
	X(LEGACY_COMPOSE_FIELD, "legacy_compose_field", 65, "a compose key that was replaced")     \
	X(ENV_FILE_UNRESOLVED, "env_file_unresolved", 65, "env_file must be folded by the client") \
	X(REPLICAS_EXCEED_PINNED_HOSTS, "replicas_exceed_pinned_hosts", 65,                        \
	  "more replicas than listed hosts")                                                       \
	X(IMAGE_PULL_FAILED, "image_pull_failed", 1, "the registry did not give the image")        \
	X(IMAGE_NOT_FOUND, "image_not_found", 1, "the image does not exist")                       \
	X(DOCKER_ERROR, "docker_error", 1, "the container engine refused")                         \
	X(CONTAINER_EXITED, "container_exited", 1, "the container ended")                          \
	X(RESTART_EXHAUSTED, "restart_exhausted", 1, "the restart budget is used up")              \
	X(HEALTH_GATE_FAILED, "health_gate_failed", 1, "the replica did not become healthy")       \
	X(DEPENDS_ON_UNMET, "depends_on_unmet", 1, "a dependency is not there yet")                \
	X(LIMIT_EXCEEDED, "limit_exceeded", 1, "a documented limit is reached")                    \
	X(ISOLATION_UNAVAILABLE, "isolation_unavailable", 1, "the firewall could not be loaded")   \
	X(ISOLATION_SELF_TEST_FAILED, "isolation_self_test_failed", 1,                             \
	  "the firewall is not what was meant")                                                    \
	X(SUBNET_POOL_EXHAUSTED, "subnet_pool_exhausted", 1, "no free subnet is left")             \
	X(ADDRESS_POOL_EXHAUSTED, "address_pool_exhausted", 1, "no free address is left")          \
	X(CERT_FAILED, "cert_failed", 1, "a certificate could not be had")                         \
	X(DEPLOYMENT_NOT_FOUND, "deployment_not_found", 66, "no such deployment")                  \
	X(REPLICA_NOT_FOUND, "replica_not_found", 66, "no such replica")                           \
	X(ROUTE_NOT_FOUND, "route_not_found", 66, "no such route")                                 \
	X(NO_PREVIOUS_REVISION, "no_previous_revision", 66, "there is nothing to go back to")      \
	X(REVISION_NOT_FOUND, "revision_not_found", 66, "no such revision")                        \
	X(LOCK_HELD, "lock_held", 1, "somebody else holds the lock")                               \
	X(UPGRADE_VERIFICATION_FAILED, "upgrade_verification_failed", 1,                           \
	  "the archive is not what was signed")                                                    \
	X(UPGRADE_FAILED, "upgrade_failed", 1, "the new version did not start")                    \
	X(TOO_MANY_REQUESTS, "too_many_requests", 69, "a per-caller bound is reached")             \
	X(MESSAGE_TOO_LARGE, "message_too_large", 69, "a message exceeds its bound")               \
	X(UNKNOWN_METHOD, "unknown_method", 69, "no such method on this socket")                   \
	X(UNAVAILABLE, "unavailable", 69, "a needed part is not there; try again")                 \
	X(TIMEOUT, "timeout", 124, "the time given ran out")                                       \
	X(INTERNAL, "internal", 70, "a bug or an unclassified system error")

enum jaco_code {
	JACO_OK = 0,
#define X(name, text, exit_status, sentence) JACO_##name,
	JACO_CODES(X)
#undef X
	JACO_CODE_END
};

#define JACO_ERR_TEXT_MAX    512
#define JACO_ERR_DETAILS_MAX 8

struct jaco_err {
	enum jaco_code code;
	int sys_errno;                /* for INTERNAL from a system call, else 0 */
	char text[JACO_ERR_TEXT_MAX]; /* outermost context first */
	size_t n_details;
	struct {
		char key[24];
		char value[160];
	} details[JACO_ERR_DETAILS_MAX];
};

#define JACO_ERR_INIT ((struct jaco_err){.code = JACO_OK})

/* Fill @err (which may be NULL) and forget earlier details.  Returns -code. */
int jaco_err_set(struct jaco_err *err, enum jaco_code code, const char *fmt, ...)
	JACO_PRINTF(3, 4);

/* The same with INTERNAL and ": strerror(errno)" appended. */
int jaco_err_errno(struct jaco_err *err, const char *fmt, ...) JACO_PRINTF(2, 3);

/* Put "context: " before the text.  Returns -code, so `return jaco_err_wrap(...)` passes it up. */
int jaco_err_wrap(struct jaco_err *err, const char *fmt, ...) JACO_PRINTF(2, 3);

/* Add or replace one detail; silently dropped beyond JACO_ERR_DETAILS_MAX (details are a help, not
 * the message). */
void jaco_err_detail(struct jaco_err *err, const char *key, const char *fmt, ...)
	JACO_PRINTF(3, 4);

/* The value of a detail, or NULL.  Borrowed from @err. */
const char *jaco_err_get_detail(const struct jaco_err *err, const char *key);

void jaco_err_clear(struct jaco_err *err);

/* Wire string of @code: "conflict".  JACO_OK is "ok". */
const char *jaco_code_name(enum jaco_code code);

/* Exit status of the CLI for @code (sysexits(3) where one fits). */
int jaco_code_exit(enum jaco_code code);

/* One sentence for jaco(7). */
const char *jaco_code_sentence(enum jaco_code code);

/* The code with that wire string; JACO_INTERNAL when unknown. */
enum jaco_code jaco_code_find(const char *name);
