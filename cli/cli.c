/* SPDX-License-Identifier: Apache-2.0
 *
 * cli.c - parses words and options, talks to the control socket. */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/target.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"

#define CLI_ELECTION_MS 10000
#define CLI_RETRY_MS    200
#define SUGGEST_MAX     3

const char *cli_arg(const struct cli *cli, size_t n)
{
	return n < cli->n_args ? cli->args[n] : NULL;
}

const char *cli_opt_nth(const struct cli *cli, const char *name, size_t n)
{
	for (size_t i = 0; i < cli->n_options; i++)
		if (strcmp(cli->options[i].name, name) == 0 && n-- == 0)
			return cli->options[i].value;
	return NULL;
}

const char *cli_opt(const struct cli *cli, const char *name)
{
	for (size_t i = cli->n_options; i > 0; i--)
		if (strcmp(cli->options[i - 1].name, name) == 0)
			return cli->options[i - 1].value;
	return NULL;
}

const char *cli_opt_of(const struct cli *cli, const char *name, bool is_own)
{
	for (size_t i = cli->n_options; i > 0; i--)
		if (cli->options[i - 1].is_own == is_own &&
		    strcmp(cli->options[i - 1].name, name) == 0)
			return cli->options[i - 1].value;
	return NULL;
}

/* --- command --- */

/* Words of @command that argv starts with; 0 when it is not that command. */
static size_t match(const struct cli_command *command, int argc, char **argv)
{
	const char *at = command->words;
	int n = 0;

	while (*at) {
		size_t len = strcspn(at, " ");

		if (n >= argc || strlen(argv[n]) != len || strncmp(argv[n], at, len) != 0)
			return 0;
		n++;
		at += len + (at[len] == ' ');
	}
	return (size_t)n;
}

/* What people who come from docker type first. */
static const char *translate(const char *word)
{
	static const struct {
		const char *word;
		const char *instead;
	} words[] = {
		{"up", "jaco apply"},
		{"down", "jaco delete"},
		{"rm", "jaco delete"},
		{"stop", "jaco scale DEPLOYMENT/SERVICE 0"},
		{"ps", "jaco status"},
		{"ls", "jaco get deployments"},
		{"exec", "docker exec on the node that jaco get replica names"},
	};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(words); i++)
		if (strcmp(words[i].word, word) == 0)
			return words[i].instead;
	return NULL;
}

/* The nearest command, if no more than a third of what was typed is wrong, or one that begins
 * so. */
static const char *suggest(const char *first, const char *both)
{
	unsigned best_distance = SUGGEST_MAX + 1;
	const char *best = NULL;

	for (const struct cli_command *c = cli_commands; c->words; c++) {
		const char *word = strchr(c->words, ' ') ? both : first;
		unsigned distance = jaco_str_distance(word, c->words, SUGGEST_MAX);

		if (distance < best_distance && distance * 3 <= strlen(word)) {
			best_distance = distance;
			best = c->words;
		}
	}
	for (const struct cli_command *c = cli_commands; !best && c->words; c++)
		if (strncmp(c->words, first, strlen(first)) == 0)
			best = c->words;
	return best;
}

static int unknown_command(int argc, char **argv, struct jaco_err *err)
{
	const char *instead = translate(argv[0]);
	const char *best;
	char given[128];

	(void)jaco_str_format(given, sizeof(given), "%s%s%s", argv[0], argc > 1 ? " " : "",
			      argc > 1 ? argv[1] : "");
	if (instead)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "no command \"%s\"; here it is: %s", argv[0], instead);
	best = suggest(argv[0], given);
	if (best)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "no command \"%s\"; did you mean \"jaco %s\"?", given, best);
	return jaco_err_set(err, JACO_VALIDATION_FAILED, "no command \"%s\"; see jaco --help",
			    given);
}

/* Nouns with a page of their own. */
static const char *const pages[] = {"backup", "cluster", "context", "mesh",
				    "net",    "node",    "restore", "token"};

static bool is_of_noun(const struct cli_command *command, const char *noun, size_t n)
{
	return strncmp(command->words, noun, n) == 0 &&
	       (command->words[n] == ' ' || command->words[n] == '\0');
}

static bool is_noun(const char *word)
{
	for (const struct cli_command *c = cli_commands; c->words; c++)
		if (is_of_noun(c, word, strlen(word)))
			return true;
	return false;
}

/* "-token" for a command of that noun, or "". */
static const char *page_of(const char *words)
{
	static char suffix[32];
	size_t n = strcspn(words, " ");

	for (size_t i = 0; i < JACO_ARRAY_SIZE(pages); i++)
		if (strlen(pages[i]) == n && memcmp(pages[i], words, n) == 0) {
			(void)jaco_str_format(suffix, sizeof(suffix), "-%s", pages[i]);
			return suffix;
		}
	return "";
}

/* The longest run of words wins: "get" against "get replicas". */
static const struct cli_command *find_command(int argc, char **argv, size_t *out_words)
{
	const struct cli_command *best = NULL;

	*out_words = 0;
	for (const struct cli_command *c = cli_commands; c->words; c++) {
		size_t n = match(c, argc, argv);

		if (n > *out_words) {
			*out_words = n;
			best = c;
		}
	}
	return best;
}

/* --- options --- */

static const struct cli_option *find_option(const struct cli *cli, const char *name, size_t n,
					    char letter)
{
	const struct cli_option *lists[] = {cli->command ? cli->command->options : NULL,
					    cli_global_options};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(lists); i++)
		for (const struct cli_option *o = lists[i]; o && o->name; o++)
			if (letter ? o->letter == letter
				   : strlen(o->name) == n && strncmp(o->name, name, n) == 0)
				return o;
	return NULL;
}

static bool is_own(const struct cli *cli, const struct cli_option *option)
{
	for (const struct cli_option *o = cli->command ? cli->command->options : NULL; o && o->name;
	     o++)
		if (o == option)
			return true;
	return false;
}

static int keep_option(struct cli *cli, const struct cli_option *option, const char *value,
		       struct jaco_err *err)
{
	if (cli->n_options == CLI_OPTIONS_MAX)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "more than %d options",
				    CLI_OPTIONS_MAX);
	cli->options[cli->n_options].is_own = is_own(cli, option);
	cli->options[cli->n_options].name = option->name;
	cli->options[cli->n_options++].value = value;
	return 0;
}

static int take_option(struct cli *cli, int argc, char **argv, int *at, struct jaco_err *err)
{
	const char *word = argv[*at];
	bool is_long = word[1] == '-';
	const char *name = word + (is_long ? 2 : 1);
	size_t n = is_long ? strcspn(name, "=") : 1;
	const struct cli_option *option = find_option(cli, name, n, is_long ? 0 : word[1]);
	const char *rest = name + n;

	if (!option)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "unknown option %s; see jaco %s --help", word,
				    cli->command ? cli->command->words : "");
	if (!option->value) {
		if (*rest)
			return jaco_err_set(err, JACO_VALIDATION_FAILED, "%s takes no value", word);
		return keep_option(cli, option, "", err);
	}
	if (*rest)
		return keep_option(cli, option, rest + (*rest == '='), err);
	if (*at + 1 >= argc)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "%s needs a value: %s", word,
				    option->value);
	return keep_option(cli, option, argv[++*at], err);
}

/* "-1" is a number that somebody gave, if hardly a welcome one; no option is a digit. */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int take_words(struct cli *cli, int argc, char **argv, int from, struct jaco_err *err)
{
	bool only_args = false;

	for (int i = from; i < argc; i++) {
		if (!only_args && strcmp(argv[i], "--") == 0) {
			only_args = true;
		} else if (!only_args && argv[i][0] == '-' && argv[i][1] && !is_digit(argv[i][1])) {
			if (take_option(cli, argc, argv, &i, err) < 0)
				return -(int)err->code;
		} else if (cli->n_args == CLI_ARGS_MAX) {
			return jaco_err_set(err, JACO_VALIDATION_FAILED, "too many arguments");
		} else {
			cli->args[cli->n_args++] = argv[i];
		}
	}
	return 0;
}

static int apply_globals(struct cli *cli, struct jaco_err *err)
{
	static const char *const names[] = {"table", "json", "yaml", "name"};
	const char *format = cli_opt_of(cli, "output", false);
	const char *root = cli_opt(cli, "root");
	const char *path = cli_opt(cli, "socket");
	size_t i = 0;

	while (format && i < JACO_ARRAY_SIZE(names) && strcmp(format, names[i]) != 0)
		i++;
	if (i == JACO_ARRAY_SIZE(names))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "-o %s: table, json, yaml or name",
				    format);
	cli->format = (enum cli_format)i;
	cli->is_quiet = cli_opt(cli, "quiet") != NULL;
	cli->is_tty = isatty(STDOUT_FILENO);
	cli->has_color = cli->is_tty && !getenv("NO_COLOR");
	if (!root)
		root = getenv("JACO_ROOT");
	if (!path)
		path = getenv("JACO_SOCKET");
	if (path)
		(void)jaco_str_copy(cli->socket, sizeof(cli->socket), path);
	else if (root)
		(void)jaco_str_format(cli->socket, sizeof(cli->socket), "%s/run/jaco.sock", root);
	else
		(void)jaco_str_copy(cli->socket, sizeof(cli->socket), "/run/jaco/jaco.sock");
	return 0;
}

int cli_parse(struct cli *cli, int argc, char **argv, struct jaco_err *err)
{
	int from = 1;
	size_t words = 0;

	/* Global options may stand before the command. */
	while (from < argc && argv[from][0] == '-') {
		if (take_option(cli, argc, argv, &from, err) < 0)
			return -(int)err->code;
		from++;
	}
	/* "help COMMAND" is "COMMAND --help" */
	if (from < argc && strcmp(argv[from], "help") == 0) {
		if (keep_option(cli, find_option(cli, "help", strlen("help"), 0), "", err) < 0)
			return -(int)err->code;
		from++;
	}
	if (from < argc) {
		cli->command = find_command(argc - from, argv + from, &words);
		if (!cli->command && is_noun(argv[from]) &&
		    (from + 1 == argc || argv[from + 1][0] == '-')) {
			cli->noun = argv[from];
			words = 1;
		}
		if (!cli->command && !cli->noun)
			return unknown_command(argc - from, argv + from, err);
	}
	if (take_words(cli, argc, argv, from + (int)words, err) < 0 || apply_globals(cli, err) < 0)
		return -(int)err->code;
	if (!cli->command || cli_opt(cli, "help"))
		return 0;
	if (cli->n_args < cli->command->min_args)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "usage: jaco %s %s",
				    cli->command->words, cli->command->args);
	if (cli->n_args > cli->command->max_args)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "unexpected argument \"%s\"; usage: jaco %s %s",
				    cli->args[cli->command->max_args], cli->command->words,
				    cli->command->args);
	return 0;
}

static void print_options(const struct cli_option *options)
{
	for (; options && options->name; options++) {
		char letter[8] = "    ";
		char left[64];

		if (options->letter)
			(void)jaco_str_format(letter, sizeof(letter), "-%c, ", options->letter);
		(void)jaco_str_format(left, sizeof(left), "%s--%s%s%s", letter, options->name,
				      options->value ? " " : "",
				      options->value ? options->value : "");
		printf("  %-28s %s\n", left, options->doc);
	}
}

void cli_print_help(const struct cli *cli)
{
	if (cli->command) {
		printf("usage: jaco %s%s%s\n%s\n\n", cli->command->words,
		       *cli->command->args ? " " : "", cli->command->args, cli->command->doc);
		print_options(cli->command->options);
		print_options(cli_global_options);
		printf("\nExample: jaco %s\nManual: man jaco%s\n", cli->command->example,
		       page_of(cli->command->words));
		return;
	}
	if (cli->noun)
		printf("usage: jaco %s COMMAND [arguments]\n\n", cli->noun);
	else
		puts("jaco - run compose applications on a few servers\n\n"
		     "usage: jaco COMMAND [arguments]\n       jaco help [COMMAND]\n");
	for (const struct cli_command *c = cli_commands; c->words; c++) {
		char left[64];

		if (cli->noun && !is_of_noun(c, cli->noun, strlen(cli->noun)))
			continue;
		(void)jaco_str_format(left, sizeof(left), "%s %s", c->words, c->args);
		printf("  %-34s %s\n", left, c->doc);
	}
	puts("");
	if (cli->noun) {
		printf("jaco %s COMMAND --help tells about one of them.\nManual: man jaco%s\n",
		       cli->noun, page_of(cli->noun));
		return;
	}
	print_options(cli_global_options);
	puts("\nExample: jaco apply contrib/examples/hello/jaco.yaml\nManual: man jaco");
}

/* --- connection --- */

/* Until a server answers and knows us, or all of them have failed.  A token that one of them
 * refuses is refused by all. */
static int wait_up(struct cli *cli, struct jaco_err *err)
{
	struct jaco_client *client = &cli->client;
	size_t seen = 0;

	while (!client->is_up && client->n_failures < client->remote->n_servers) {
		jaco_loop_once(&cli->loop, 1000);
		if (client->n_failures > seen && client->last_err.code >= JACO_TOKEN_INVALID &&
		    client->last_err.code <= JACO_TOKEN_EXPIRED)
			break;
		seen = client->n_failures;
	}
	if (client->is_up)
		return 0;
	*err = client->last_err;
	if (client->remote->n_servers > 1 && err->code == JACO_UNAVAILABLE)
		jaco_err_wrap(err, "none of %zu servers answers", client->remote->n_servers);
	return -(int)err->code;
}

static int connect_local(struct cli *cli, struct jaco_err *err)
{
	jaco_client_open(&cli->client, &cli->loop, cli->socket, NULL, NULL);
	if (cli->client.is_up)
		return 0;
	*err = cli->client.last_err;
	if (err->sys_errno == EACCES || err->sys_errno == EPERM) {
		err->code = JACO_PERMISSION_DENIED;
		jaco_err_detail(err, "hint", "run as root, or be in group jaco");
		return -JACO_PERMISSION_DENIED;
	}
	err->code = JACO_UNAVAILABLE;
	jaco_err_wrap(err, "raftd does not answer");
	jaco_err_detail(err, "hint",
			"is JACO running here? systemctl status jaco.target, or jaco supervise");
	return -JACO_UNAVAILABLE;
}

int cli_connect(struct cli *cli, struct jaco_err *err)
{
	if (cli->is_connected)
		return 0;
	if (target_choose(cli, err) < 0 || jaco_loop_open(&cli->loop, NULL, err) < 0)
		return -(int)err->code;
	cli->has_loop = cli->is_connected = true;
	if (!cli->is_remote)
		return connect_local(cli, err);
	jaco_client_open_remote(&cli->client, &cli->loop, &cli->remote, NULL, NULL);
	return wait_up(cli, err);
}

/* May the question be asked again, of whoever answers then? */
static bool is_worth_asking_again(struct cli *cli, const struct jaco_method *method, int rc,
				  const struct jaco_err *err)
{
	bool is_read = method->flags & METHOD_READ;

	if (rc == -JACO_NO_LEADER)
		return is_read || !strstr(err->text, "may or may not");
	return rc == -JACO_UNAVAILABLE && is_read && cli->is_remote && !cli->client.is_up;
}

int cli_call(struct cli *cli, const struct jaco_method *method, const void *req, void *out_msg,
	     struct jaco_err *err)
{
	struct jaco_time give_up = jaco_time_add_ms(jaco_time_now(), CLI_ELECTION_MS);
	int rc;

	if (cli_connect(cli, err) < 0)
		return -(int)err->code;
	/* an election takes less than a second; a write that was proposed is not asked for again */
	do {
		rc = jaco_client_sync(&cli->client, method, req, CLI_CALL_MS, &cli->arena, out_msg,
				      err);
		if (!is_worth_asking_again(cli, method, rc, err))
			return rc;
		jaco_loop_once(&cli->loop, CLI_RETRY_MS);
		if (cli->is_remote && wait_up(cli, err) < 0)
			return -(int)err->code;
	} while (jaco_time_before(jaco_time_now(), give_up));
	return rc;
}

struct stream {
	jaco_event_fn *on_event;
	void *ctx; /* of on_event */
	bool is_done;
	int rc;
	struct jaco_err *err;
};

static void on_stream_event(void *ctx, const void *event)
{
	struct stream *stream = ctx;

	stream->on_event(stream->ctx, event);
}

static void on_stream_end(void *ctx, const void *out, const struct jaco_err *err)
{
	struct stream *stream = ctx;

	(void)out;
	stream->is_done = true;
	if (err) {
		*stream->err = *err;
		stream->rc = -(int)err->code;
	}
}

int cli_stream(struct cli *cli, const struct jaco_method *method, const void *req,
	       jaco_event_fn *on_event, void *ctx, struct jaco_err *err)
{
	struct stream stream = {.on_event = on_event, .ctx = ctx, .err = err};

	if (cli_connect(cli, err) < 0)
		return -(int)err->code;
	(void)jaco_client_stream(&cli->client, method, req, on_stream_event, on_stream_end,
				 &stream);
	while (!stream.is_done)
		jaco_loop_once(&cli->loop, 1000);
	return stream.rc;
}

static void ignore_change(struct jaco_view *view, void *ctx)
{
	(void)view;
	(void)ctx;
}

int cli_view(struct cli *cli, struct jaco_view *view, const char *const *prefixes,
	     jaco_view_fn *on_change, void *ctx, struct jaco_err *err)
{
	struct wire_get probe = {.key = "/cluster/meta"};
	struct wire_got got;

	/* A view retries for ever; an uninitialised node should be told at once. */
	if (cli_call(cli, &wire_raftd_kv_get, &probe, &got, err) < 0)
		return -(int)err->code;
	jaco_view_open(view, &cli->loop, &cli->client, prefixes, 20, NULL,
		       on_change ? on_change : ignore_change, ctx);
	while (!view->is_current && cli->client.is_up)
		jaco_loop_once(&cli->loop, 1000);
	if (!view->is_current)
		return jaco_err_set(err, JACO_UNAVAILABLE, "raftd went away");
	return 0;
}

int cli_split_ref(struct cli *cli, const char *text, const char **out_deployment,
		  const char **out_service, struct jaco_err *err)
{
	const char *slash = strchr(text, '/');

	if (!*text || slash == text || (slash && !slash[1]))
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "\"%s\" is not DEPLOYMENT[/SERVICE]", text);
	*out_deployment =
		slash ? jaco_arena_strndup(&cli->arena, text, (size_t)(slash - text)) : text;
	*out_service = slash ? slash + 1 : NULL;
	return 0;
}

int cli_confirm(struct cli *cli, const char *question, const char *flag, struct jaco_err *err)
{
	char answer[16] = "";

	if (cli_opt(cli, flag))
		return 1;
	if (!isatty(STDIN_FILENO) || !cli->is_tty)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "%s: no terminal to ask on; pass --%s", question, flag);
	printf("%s [y/N] ", question);
	fflush(stdout);
	if (!fgets(answer, sizeof(answer), stdin))
		return 0;
	return answer[0] == 'y' || answer[0] == 'Y';
}

void cli_fini(struct cli *cli)
{
	if (cli->is_connected)
		jaco_client_close(&cli->client);
	if (cli->has_loop)
		jaco_loop_close(&cli->loop);
	target_fini(cli);
	jaco_arena_fini(&cli->arena);
}
