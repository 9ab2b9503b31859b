/* SPDX-License-Identifier: Apache-2.0
 *
 * completion.c - scripts for bash, zsh and fish; they ask `jaco complete` for live words. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/contexts.h"
#include "cli/out.h"
#include "cli/report.h"
#include "libjaco/base/str.h"

static const char bash_script[] =
	"_jaco() {\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]}\n"
	"\tmapfile -t COMPREPLY < <(compgen -W \"$(jaco complete -- "
	"\"${COMP_WORDS[@]:1:COMP_CWORD-1}\" 2>/dev/null)\" -- \"$cur\")\n"
	"}\n"
	"complete -o default -F _jaco jaco\n";

static const char zsh_script[] =
	"#compdef jaco\n"
	"_jaco() {\n"
	"\tlocal -a found\n"
	"\tfound=(${(f)\"$(jaco complete -- ${words[2,CURRENT-1]} 2>/dev/null)\"})\n"
	"\tcompadd -a found\n"
	"}\n"
	"compdef _jaco jaco\n";

static const char fish_script[] =
	"complete -c jaco -f -a '(jaco complete -- (commandline -opc)[2..] 2>/dev/null)'\n";

int completion_print(struct cli *cli, struct jaco_err *err)
{
	const char *shell = cli_arg(cli, 0);

	if (jaco_str_eq(shell, "bash"))
		fputs(bash_script, stdout);
	else if (jaco_str_eq(shell, "zsh"))
		fputs(zsh_script, stdout);
	else if (jaco_str_eq(shell, "fish"))
		fputs(fish_script, stdout);
	else
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "no completion for \"%s\": bash, zsh or fish", shell);
	return 0;
}

/* The next words of every command that begins with the @n words typed; true when one is
 * complete. */
static bool print_words(const struct cli *cli)
{
	bool is_command = false;

	for (const struct cli_command *c = cli_commands; c->words; c++) {
		const char *at = c->words;
		size_t i = 0;

		while (i < cli->n_args && *at) {
			size_t len = strcspn(at, " ");

			if (strlen(cli->args[i]) != len || strncmp(at, cli->args[i], len) != 0)
				break;
			at += len + (at[len] == ' ');
			i++;
		}
		if (i == cli->n_args && *at)
			printf("%.*s\n", (int)strcspn(at, " "), at);
		is_command = is_command || (i > 0 && !*at);
	}
	return is_command;
}

static void print_contexts(struct cli *cli, struct jaco_err *err)
{
	struct contexts contexts;

	if (contexts_load(cli, &contexts, err) < 0)
		return;
	for (size_t i = 0; i < contexts.n; i++)
		puts(contexts.items[i].name);
}

/* Names of what exists; nothing when the cluster does not answer. */
int completion_words(struct cli *cli, struct jaco_err *err)
{
	struct jaco_view view;
	const struct jaco_view_entry *entry;

	if (jaco_str_eq(cli_arg(cli, 0), "context") && cli->n_args > 1) {
		print_contexts(cli, err);
		return 0;
	}
	if (!print_words(cli) || cli_view(cli, &view, report_prefixes, NULL, NULL, err) < 0)
		return 0;
	JACO_VIEW_FOREACH(&view, "/deployment/", entry) {
		const struct wire_deployment *d = entry->msg;

		puts(d->name);
		for (size_t i = 0; i < d->services.n; i++)
			printf("%s/%s\n", d->name, d->services.v[i].name);
	}
	JACO_VIEW_FOREACH(&view, "/replica/", entry)
		puts(((const struct wire_replica *)entry->msg)->id);
	JACO_VIEW_FOREACH(&view, "/node/", entry)
		puts(((const struct wire_node *)entry->msg)->host);
	jaco_view_close(&view);
	return 0;
}

int version_print(struct cli *cli, struct jaco_err *err)
{
	struct wire_nothing req = {0};
	struct wire_hello server;
	json_t *json;

	if (cli->format != CLI_JSON && cli->format != CLI_YAML) {
		puts(JACO_VERSION);
		return 0;
	}
	json = json_pack("{s:s}", "version", JACO_VERSION);
	if (cli_call(cli, &wire_daemon_hello, &req, &server, err) >= 0)
		json_object_set_new(json, "server", json_string(server.version));
	out_json(cli, json, false);
	json_decref(json);
	return 0;
}
