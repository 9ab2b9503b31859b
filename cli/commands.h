/* SPDX-License-Identifier: Apache-2.0
 *
 * commands.h - what main.c's table points to, by the file that holds it. */
#pragma once

#include "cli/cli.h"

#define CLI_RUN(name) int name(struct cli *cli, struct jaco_err *err)

/* cluster.c */
CLI_RUN(cluster_init);
CLI_RUN(cluster_status);
CLI_RUN(cluster_leader_transfer);
CLI_RUN(cluster_recover);
void cluster_enable_at_boot(struct cli *cli);

/* Before this node becomes a member (network.md 1).  Errors: VALIDATION_FAILED - ipam_pool overlaps
 * a route of this host, whose interface the text names. */
int cluster_preflight(struct cli *cli, struct jaco_err *err);
/* node.c */
CLI_RUN(node_cordon);
CLI_RUN(node_uncordon);
CLI_RUN(node_label);
CLI_RUN(node_rotate_key);
CLI_RUN(node_issue_join_token);
CLI_RUN(node_join);
/* drain.c */
CLI_RUN(node_drain);
CLI_RUN(node_remove);
/* deploy.c */
CLI_RUN(deploy_apply);
CLI_RUN(deploy_diff);
CLI_RUN(deploy_validate);
CLI_RUN(deploy_config);
CLI_RUN(deploy_scale);
CLI_RUN(deploy_restart);
CLI_RUN(deploy_rollback);
CLI_RUN(deploy_history);
CLI_RUN(deploy_delete);
/* get.c */
CLI_RUN(get_status);
CLI_RUN(get_deployments);
CLI_RUN(get_deployment);
CLI_RUN(get_replicas);
CLI_RUN(get_replica);
CLI_RUN(get_routes);
CLI_RUN(get_route);
CLI_RUN(get_ports);
CLI_RUN(get_nodes);
CLI_RUN(get_node);
CLI_RUN(get_subnets);
CLI_RUN(get_certs);
CLI_RUN(get_rollouts);
/* net.c */
CLI_RUN(net_mesh);
CLI_RUN(net_scopes);
CLI_RUN(net_can);
CLI_RUN(net_exposure);
/* logs.c */
CLI_RUN(logs_stream);
/* token.c */
CLI_RUN(token_issue);
CLI_RUN(token_revoke);
CLI_RUN(token_list);
CLI_RUN(registry_login);
CLI_RUN(registry_logout);
CLI_RUN(registry_list);
/* context.c */
CLI_RUN(context_add);
CLI_RUN(context_import);
CLI_RUN(context_use);
CLI_RUN(context_remove);
CLI_RUN(context_list);
/* audit.c */
CLI_RUN(audit_list);
CLI_RUN(events_follow);
/* debug.c */
CLI_RUN(debug_rpc);
CLI_RUN(debug_daemons);
CLI_RUN(debug_describe);
/* doctor.c */
CLI_RUN(doctor_run);
/* supervise.c */
CLI_RUN(supervise_run);
/* Where jaco-<name> is: below @libexec, or installed, or in a build tree beside us. */
int supervise_find_binary(const char *libexec, const char *name, char out[static 4096],
			  struct jaco_err *err);
/* backup.c */
CLI_RUN(backup_take);
CLI_RUN(backup_verify);
CLI_RUN(backup_restore);
/* completion.c */
CLI_RUN(completion_print);
CLI_RUN(completion_words);
CLI_RUN(version_print);
