/* SPDX-License-Identifier: Apache-2.0
 *
 * enums.h - the closed sets of spec/cluster.md section 5: one list each, giving the C enum and the
 * words used on the wire, in JSON and (upper-cased) in tables. */
#pragma once

#include <stddef.h>

struct jaco_enum {
	const char *name;         /* of the set */
	const char *const *words; /* by value */
	size_t n;
};

/* The word of @value, "?" when out of range. */
const char *jaco_enum_word(const struct jaco_enum *set, int value);

/* The value of @word, or -1. */
int jaco_enum_find(const struct jaco_enum *set, const char *word);

/* X(set, SET, list) */
#define JACO_ENUMS(X)                                                                              \
	X(replica_state, REPLICA)                                                                  \
	X(replica_intent, INTENT)                                                                  \
	X(deployment_status, DEPLOYMENT)                                                           \
	X(rollout_state, ROLLOUT)                                                                  \
	X(rollout_order, ORDER)                                                                    \
	X(on_failure, ON_FAILURE)                                                                  \
	X(placement, PLACE)                                                                        \
	X(node_state, NODE)                                                                        \
	X(node_intent, NODE_INTENT)                                                                \
	X(liveness, LIVENESS)                                                                      \
	X(protocol, PROTOCOL)                                                                      \
	X(tls_mode, TLS)                                                                           \
	X(depend_condition, DEPEND)                                                                \
	X(watch_kind, WATCH)                                                                       \
	X(difference, DIFF)                                                                        \
	X(severity, SEVERITY)                                                                      \
	X(audit_type, AUDIT)

/* W(SET, CONSTANT, word) */
#define JACO_WORDS_replica_state(W)                                                                \
	W(REPLICA, PENDING, "pending") W(REPLICA, PULLING, "pulling")                              \
	W(REPLICA, STARTING, "starting") W(REPLICA, RUNNING, "running")                            \
	W(REPLICA, DEGRADED, "degraded") W(REPLICA, UPDATING, "updating")                          \
	W(REPLICA, DRAINING, "draining") W(REPLICA, COMPLETED, "completed")                        \
	W(REPLICA, FAILED, "failed") W(REPLICA, STOPPED, "stopped")
#define JACO_WORDS_replica_intent(W) W(INTENT, RUN, "run") W(INTENT, DRAIN, "drain")
#define JACO_WORDS_deployment_status(W)                                                            \
	W(DEPLOYMENT, PENDING, "pending") W(DEPLOYMENT, ACTIVE, "active")                          \
	W(DEPLOYMENT, UPDATING, "updating") W(DEPLOYMENT, FAILED, "failed")
#define JACO_WORDS_rollout_state(W)                                                                \
	W(ROLLOUT, IN_PROGRESS, "in_progress") W(ROLLOUT, PAUSED, "paused")                        \
	W(ROLLOUT, COMPLETED, "completed") W(ROLLOUT, ABORTED, "aborted")                          \
	W(ROLLOUT, ROLLED_BACK, "rolled_back")
#define JACO_WORDS_rollout_order(W)                                                                \
	W(ORDER, START_FIRST, "start-first") W(ORDER, STOP_FIRST, "stop-first")
#define JACO_WORDS_on_failure(W)                                                                   \
	W(ON_FAILURE, ROLLBACK, "rollback") W(ON_FAILURE, PAUSE, "pause")                          \
	W(ON_FAILURE, CONTINUE, "continue")
#define JACO_WORDS_placement(W)                                                                    \
	W(PLACE, SPREAD, "spread") W(PLACE, PACK, "pack")                                  \
	W(PLACE, HOSTS, "hosts") W(PLACE, GLOBAL, "global")
#define JACO_WORDS_node_state(W)                                                                   \
	W(NODE, JOINING, "joining") W(NODE, READY, "ready")                                        \
	W(NODE, ISOLATION_UNAVAILABLE, "isolation_unavailable")                                    \
	W(NODE, UNREACHABLE, "unreachable") W(NODE, CORDONED, "cordoned")                          \
	W(NODE, DRAINING, "draining") W(NODE, DRAIN_TIMEOUT, "drain_timeout")                      \
	W(NODE, ENGINE_UNAVAILABLE, "engine_unavailable")
#define JACO_WORDS_node_intent(W)                                                                  \
	W(NODE_INTENT, ACTIVE, "active") W(NODE_INTENT, CORDONED, "cordoned")                      \
	W(NODE_INTENT, DRAINING, "draining")
#define JACO_WORDS_liveness(W)                                                                     \
	W(LIVENESS, ALIVE, "alive") W(LIVENESS, SUSPECT, "suspect")                                \
	W(LIVENESS, UNREACHABLE, "unreachable")
#define JACO_WORDS_protocol(W) W(PROTOCOL, TCP, "tcp") W(PROTOCOL, UDP, "udp")
#define JACO_WORDS_tls_mode(W) W(TLS, AUTO, "auto") W(TLS, OFF, "off") W(TLS, CERT, "cert")
#define JACO_WORDS_depend_condition(W)                                                             \
	W(DEPEND, STARTED, "service_started") W(DEPEND, HEALTHY, "service_healthy")                \
	W(DEPEND, COMPLETED, "service_completed_successfully")
#define JACO_WORDS_watch_kind(W)                                                                   \
	W(WATCH, SNAPSHOT, "snapshot") W(WATCH, SYNCED, "synced") W(WATCH, CHANGE, "change")       \
	W(WATCH, RESYNC, "resync")
#define JACO_WORDS_difference(W)                                                                   \
	W(DIFF, ADDED, "added") W(DIFF, CHANGED, "changed")     W(DIFF, REMOVED, "removed")
#define JACO_WORDS_severity(W) W(SEVERITY, ERROR, "error") W(SEVERITY, WARNING, "warning")
#define JACO_WORDS_audit_type(W)                                                                   \
	W(AUDIT, CLUSTER_INIT, "cluster_init") W(AUDIT, APPLY, "apply")                            \
	W(AUDIT, DELETE, "delete") W(AUDIT, ROLLBACK, "rollback") W(AUDIT, SCALE, "scale")         \
	W(AUDIT, RESTART, "restart") W(AUDIT, NODE_JOIN, "node_join")                              \
	W(AUDIT, NODE_REMOVE, "node_remove") W(AUDIT, NODE_DRAIN, "node_drain")                    \
	W(AUDIT, NODE_CORDON, "node_cordon") W(AUDIT, NODE_LOST, "node_lost")                      \
	W(AUDIT, NODE_LABEL, "node_label")                                                         \
	W(AUDIT, CLUSTER_RECOVERED, "cluster_recovered") W(AUDIT, TOKEN_ISSUE, "token_issue")      \
	W(AUDIT, TOKEN_REVOKE, "token_revoke")                                                     \
	W(AUDIT, CERTIFICATE_ISSUED, "certificate_issued")                                         \
	W(AUDIT, CERTIFICATE_RENEWED, "certificate_renewed")                                       \
	W(AUDIT, CERTIFICATE_FAILED, "certificate_failed")                                         \
	W(AUDIT, ISOLATION_RULESET_RECONCILED, "isolation_ruleset_reconciled")                     \
	W(AUDIT, ISOLATION_UNAVAILABLE, "isolation_unavailable")                                   \
	W(AUDIT, BACKUP_TAKEN, "backup_taken") W(AUDIT, RESTORE_COMPLETED, "restore_completed")    \
	W(AUDIT, UPGRADE_SUCCEEDED, "upgrade_succeeded")                                           \
	W(AUDIT, UPGRADE_FAILED, "upgrade_failed")                                                 \
	W(AUDIT, ROLLOUT_INVARIANT_HOLD, "rollout_invariant_hold")                                 \
	W(AUDIT, REGISTRY_CREDENTIAL_UPSERT, "registry_credential_upsert")                         \
	W(AUDIT, REGISTRY_CREDENTIAL_REMOVE, "registry_credential_remove")                         \
	W(AUDIT, PRIVILEGED_WORKLOAD_ADMITTED, "privileged_workload_admitted")                     \
	W(AUDIT, REBALANCE_MOVED, "rebalance_moved")                                               \
	W(AUDIT, REBALANCE_SKIPPED, "rebalance_skipped")                                           \
	W(AUDIT, REPLICA_RESCHEDULED, "replica_rescheduled")                                       \
	W(AUDIT, LOCK_ACQUIRE, "lock_acquire") W(AUDIT, LOCK_RELEASE, "lock_release")              \
	W(AUDIT, KEY_ROTATED, "key_rotated")

#define W(set, constant, word) JACO_##set##_##constant,
#define X(id, prefix)                                                                              \
	enum jaco_##id { JACO_WORDS_##id(W) JACO_##prefix##_END };                                 \
	extern const struct jaco_enum jaco_##id##_enum;
JACO_ENUMS(X)
#undef X
#undef W
