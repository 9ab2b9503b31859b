/* SPDX-License-Identifier: Apache-2.0
 *
 * net.c - jaco mesh, jaco net: what passes between containers, and what is open to the world. */
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/out.h"
#include "cli/report.h"
#include "cli/report_net.h"
#include "libjaco/base/str.h"

#define ENDS_MAX 256 /* pairs asked for at once */
#define EXIT_NO  1

static const struct out_column mesh_columns[] = {
	{"FROM", "from"},           {"TO", "to"},         {"VERDICT", "verdict"},
	{"SINCE", "since"},         {"RTT", "rtt_us"},    {"LOSS", "loss_permille"},
	{"HANDSHAKE", "handshake"}, {"MTU", "mtu"},       {"ENDPOINT", "endpoint"},
	{"REASON", "message"},      {NULL, NULL},
};
static const struct out_column scope_columns[] = {
	{"SCOPE", "scope"},       {"DEPLOYMENT", "deployment"}, {"NETWORK", "network"},
	{"INTERNAL", "internal"}, {"SUBNETS", "subnets"},       {NULL, NULL},
};
static const struct out_column can_columns[] = {
	{"FROM", "from"}, {"TO", "to"},          {"ALLOWED", "allowed"},
	{"RULE", "rule"}, {"REASON", "message"}, {NULL, NULL},
};
static const struct out_column exposure_columns[] = {
	{"NODE", "node"}, {"KIND", "kind"},         {"WHAT", "what"},
	{"TO", "to"},     {"REACHABLE BY", "from"}, {NULL, NULL},
};

int net_mesh(struct cli *cli, struct jaco_err *err)
{
	struct jaco_view view;
	struct wire_mesh_row *rows;
	size_t n;

	if (cli_view(cli, &view, report_prefixes, NULL, NULL, err) < 0)
		return -(int)err->code;
	rows = report_mesh(&view, &cli->arena, &n);
	if (n == 0)
		out_say(cli, "one node: no paths");
	else
		out_rows(cli, &wire_mesh_row_desc, rows, n, mesh_columns);
	jaco_view_close(&view);
	return 0;
}

int net_scopes(struct cli *cli, struct jaco_err *err)
{
	struct jaco_view view;
	struct wire_scope_row *rows;
	size_t n;

	if (cli_view(cli, &view, report_prefixes, NULL, NULL, err) < 0)
		return -(int)err->code;
	rows = report_scopes(&view, &cli->arena, &n);
	out_rows(cli, &wire_scope_row_desc, rows, n, scope_columns);
	jaco_view_close(&view);
	return 0;
}

int net_exposure(struct cli *cli, struct jaco_err *err)
{
	struct jaco_view view;
	struct wire_exposure_row *rows;
	size_t n;

	if (cli_view(cli, &view, report_prefixes, NULL, NULL, err) < 0)
		return -(int)err->code;
	rows = report_exposure(&view, &cli->arena, &n);
	out_rows(cli, &wire_exposure_row_desc, rows, n, exposure_columns);
	jaco_view_close(&view);
	return 0;
}

/* --- can --- */

/* "web:80" without its port; 0 none.  Errors: VALIDATION_FAILED. */
static int split_port(struct cli *cli, const char *text, const char **out_name, uint32_t *out_port,
		      struct jaco_err *err)
{
	const char *colon = strrchr(text, ':');
	uint64_t port = 0;

	*out_port = 0;
	*out_name = text;
	if (!colon)
		return 0;
	if (!jaco_str_to_u64(colon + 1, 65535, &port) || port == 0)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "%s: \"%s\" is not a port", text,
				    colon + 1);
	*out_name = jaco_arena_strndup(&cli->arena, text, (size_t)(colon - text));
	*out_port = (uint32_t)port;
	return 0;
}

/* A container sends from its address in the network of the other end, when it has one there. */
static bool is_likely(const struct report_end *from, const struct report_end *froms, size_t n,
		      const struct report_end *to)
{
	if (!from->network || !to->network || jaco_str_eq(from->network, to->network))
		return true;
	for (size_t i = 0; i < n; i++)
		if (jaco_str_eq(froms[i].network, to->network) &&
		    jaco_str_eq(froms[i].deployment, to->deployment))
			return false;
	return true;
}

static int ask(struct cli *cli, const struct report_end *from, const struct report_end *to,
	       uint32_t port, struct wire_can_row *row, struct jaco_err *err)
{
	struct wire_fwd_question req = {.from = from->address, .to = to->address};
	struct wire_fwd_answer got;

	if (port)
		JACO_SET(&req, fwd_question, port, port);
	if (cli_call(cli, &wire_fwd_can, &req, &got, err) < 0)
		return -(int)err->code;
	*row = (struct wire_can_row){.from = from->name, .to = to->name, .allowed = got.allowed,
				     .here = got.here, .message = got.sentence};
	if (got.chain)
		row->rule = jaco_arena_printf(&cli->arena, "%s: %s", got.chain,
					      got.rule ? got.rule : "policy accept");
	if (row->rule && strlen(row->rule) >= JACO_TEXT_MAX)
		row->rule = jaco_arena_strndup(&cli->arena, row->rule, JACO_TEXT_MAX - 1);
	return 0;
}

static int ask_pairs(struct cli *cli, const struct report_end *from, size_t n_from,
		     const struct report_end *to, size_t n_to, uint32_t port, struct jaco_err *err)
{
	struct wire_can_row *rows =
		jaco_arena_alloc_n(&cli->arena, n_from * n_to + 1, sizeof(*rows));
	size_t n = 0, n_no = 0;

	for (size_t i = 0; i < n_from; i++)
		for (size_t k = 0; k < n_to && n < ENDS_MAX; k++) {
			if (from[i].address == to[k].address ||
			    !is_likely(&from[i], from, n_from, &to[k]))
				continue;
			if (ask(cli, &from[i], &to[k], port, &rows[n], err) < 0)
				return -(int)err->code;
			n_no += !rows[n++].allowed;
		}
	out_rows(cli, &wire_can_row_desc, rows, n, can_columns);
	return n_no ? EXIT_NO : 0;
}

int net_can(struct cli *cli, struct jaco_err *err)
{
	struct report_end *from, *to;
	size_t n_from, n_to;
	struct jaco_view view;
	const char *name;
	uint32_t port;
	int rc;

	if (split_port(cli, cli_arg(cli, 1), &name, &port, err) < 0 ||
	    cli_view(cli, &view, report_prefixes, NULL, NULL, err) < 0)
		return -(int)err->code;
	rc = report_ends(&view, cli_arg(cli, 0), &cli->arena, &from, &n_from, err);
	if (rc >= 0)
		rc = report_ends(&view, name, &cli->arena, &to, &n_to, err);
	if (rc >= 0)
		rc = ask_pairs(cli, from, n_from, to, n_to, port, err);
	jaco_view_close(&view);
	return rc;
}
