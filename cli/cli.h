/* SPDX-License-Identifier: Apache-2.0
 *
 * cli.h - what every command of jaco(1) gets: parsed words, a connection, a way to print.
 *
 * A command returns its exit status (0 or more) or a negative code with the error filled; main()
 * prints errors, once. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "libjaco/base/arena.h"
#include "libjaco/base/err.h"
#include "libjaco/daemon/view.h"
#include "libjaco/io/loop.h"
#include "libjaco/wire/rpc.h"

#define CLI_ARGS_MAX    64
#define CLI_OPTIONS_MAX 64
#define CLI_CALL_MS     30000

enum cli_format { CLI_TABLE, CLI_JSON, CLI_YAML, CLI_NAME };

struct cli_option {
	const char *name;  /* without dashes; NULL ends a table */
	char letter;       /* 0: none */
	const char *value; /* placeholder; NULL: a flag */
	const char *doc;
};

struct cli;
struct cli_command {
	const char *words; /* "cluster init" */
	const char *args;  /* "DEPLOYMENT[/SERVICE]" or "" */
	size_t min_args;
	size_t max_args;
	const char *doc;
	const char *example; /* without "jaco " */
	const struct cli_option *options;
	int (*run)(struct cli *cli, struct jaco_err *err);
	bool is_local; /* about this machine, never about a cluster far away */
};

struct cli {
	struct jaco_arena arena; /* lives as long as the command */
	struct jaco_loop loop;
	struct jaco_client client;
	bool has_loop;
	bool is_connected;
	bool is_chosen;            /* target.c has decided */
	bool is_remote;            /* so; else the socket */
	struct jaco_remote remote;
	char socket[108];
	enum cli_format format;
	bool is_quiet;
	bool is_tty;    /* standard output */
	bool has_color;
	const struct cli_command *command;
	const char *noun; /* "cluster", when that was all: its commands are listed */
	const char *args[CLI_ARGS_MAX];
	size_t n_args;
	struct {
		const char *name;
		const char *value;
		bool is_own; /* of the command; a global one may have the same name */
	} options[CLI_OPTIONS_MAX];
	size_t n_options;
};

/* main.c: every command there is, ended by words NULL. */
extern const struct cli_command cli_commands[];
extern const struct cli_option cli_global_options[];

/* The n-th positional argument, NULL beyond. */
const char *cli_arg(const struct cli *cli, size_t n);

/* The last value of an option ("" for a flag), NULL when absent. */
const char *cli_opt(const struct cli *cli, const char *name);

/* The same of the command's own (or else of the global) option only, where both have the name. */
const char *cli_opt_of(const struct cli *cli, const char *name, bool is_own);

/* The n-th value of a repeated option, NULL beyond. */
const char *cli_opt_nth(const struct cli *cli, const char *name, size_t n);

/* Find the command in argv and parse everything.  Errors: VALIDATION_FAILED with a suggestion. */
int cli_parse(struct cli *cli, int argc, char **argv, struct jaco_err *err);
void cli_print_help(const struct cli *cli);

/* Connect to the control socket or, see target.h, to a cluster far away. */
int cli_connect(struct cli *cli, struct jaco_err *err);

/* One call; @out_msg is filled, memory from the command's arena. */
int cli_call(struct cli *cli, const struct jaco_method *method, const void *req, void *out_msg,
	     struct jaco_err *err);

/* The path of a daemon's own socket, beside the control socket's directory. */
void cli_daemon_socket(const struct cli *cli, const char *name, char out[static 108]);

/* Like cli_call(), printing the reply when -o json or yaml, else nothing. */
int cli_call_print(struct cli *cli, const struct jaco_method *method, const void *req,
		   void *out_msg, struct jaco_err *err);

/* Follow a streaming method until it ends or the loop is stopped. */
int cli_stream(struct cli *cli, const struct jaco_method *method, const void *req,
	       jaco_event_fn *on_event, void *ctx, struct jaco_err *err);

/* Open a view over the control socket and wait until it is current; @on_change may be NULL.  Close
 * with jaco_view_close(). */
int cli_view(struct cli *cli, struct jaco_view *view, const char *const *prefixes,
	     jaco_view_fn *on_change, void *ctx, struct jaco_err *err);

/* "shop/web" into its halves (arena); service NULL when absent. */
int cli_split_ref(struct cli *cli, const char *text, const char **out_deployment,
		  const char **out_service, struct jaco_err *err);

/* Ask on the terminal; without one fail naming @flag.  1 yes, 0 no. */
int cli_confirm(struct cli *cli, const char *question, const char *flag, struct jaco_err *err);

void cli_fini(struct cli *cli);
