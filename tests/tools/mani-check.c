/* SPDX-License-Identifier: Apache-2.0
 *
 * mani-check - manifests in, findings and normal form out, for golden files, the corpus and
 * figures.
 *
 *   mani-check FILE.in        sections "=== name" of a text file instead of the disk; prints
 * findings and the normal form.  "=== options" holds lines "profile P", "set K=V", "compose FILE",
 * "env-file FILE", "cwd DIR", "strict", "server"; "=== cluster" is as in mani_cluster.h  mani-check
 * --corpus DIR   every *.yaml below DIR with a one-line jaco.yaml: verdict and findings a line, in
 * order of names, and for ports of the ingress once more with the routes that the refusal asks
 * for  mani-check --summary DIR  the same, counted (for JACO_CORPUS) mani-check --time
 * FILE... seconds for each, as client and as server */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/model/manifest/manifest.h"
#include "libjaco/wire/fits.h"
#include "tests/tools/mani_cluster.h"
#include "tests/tools/mani_files.h"

#define SECTIONS_MAX 32
#define WORDS_MAX    16

struct section {
	const char *name;
	const char *text;
	size_t n;
};

struct input {
	struct section sections[SECTIONS_MAX];
	size_t n;
};

static const struct section *find_section(const struct input *input, const char *name)
{
	for (size_t i = 0; i < input->n; i++)
		if (strcmp(input->sections[i].name, name) == 0)
			return &input->sections[i];
	return NULL;
}

static int read_section(void *ctx, const char *path, struct jaco_arena *arena,
			struct jaco_document *out, struct jaco_err *err)
{
	const struct section *section = find_section(ctx, path);

	(void)arena;
	if (!section)
		return jaco_err_set(err, JACO_UNAVAILABLE, "no such file");
	*out = (struct jaco_document){path, section->text, section->n};
	return 0;
}

static void split_sections(char *text, struct input *out)
{
	char *at = text;

	while (at && out->n < SECTIONS_MAX) {
		char *end;

		if (strncmp(at, "=== ", 4) != 0)
			return;
		out->sections[out->n].name = at + 4;
		at = strchr(at, '\n');
		if (!at)
			return;
		*at++ = '\0';
		out->sections[out->n].text = at;
		end = strncmp(at, "=== ", 4) == 0 ? at - 1 : strstr(at, "\n=== ");
		out->sections[out->n].n = end ? (size_t)(end + 1 - at) : strlen(at);
		out->n++;
		at = end ? end + 1 : NULL;
	}
}

/* -- printing ----------------------------------------------------------------------------- */

static void print_findings(struct jaco_findings *findings)
{
	for (size_t i = 0; i < findings->n; i++) {
		const struct jaco_finding *finding = &findings->items[i];

		printf("%s %s\n",
		       finding->severity == JACO_SEVERITY_ERROR ? jaco_code_name(finding->code)
								: "warning",
		       jaco_finding_text(findings, finding));
		if (finding->detail_key)
			printf("  %s=%s\n", finding->detail_key, finding->detail_value);
	}
}

static void print_pairs(const char *title, const struct jaco_pairs *pairs)
{
	for (size_t i = 0; i < pairs->n; i++)
		printf("  %s %s = %s\n", title, pairs->items[i].key, pairs->items[i].value);
}

static void print_manifest(const struct jaco_manifest *manifest, struct jaco_arena *arena)
{
	printf("deployment %s\n", manifest->deployment);
	for (size_t i = 0; i < manifest->n_services; i++) {
		const struct jaco_service *s = &manifest->services[i];
		struct jaco_pairs spec = jaco_service_canon(s, arena);
		struct jaco_pairs place = jaco_service_canon_place(s, arena);

		printf("service %s\n", s->name);
		print_pairs("spec", &spec);
		print_pairs("place", &place);
		for (size_t j = 0; j < s->n_gates; j++)
			printf("  gate %s: %s\n", s->gates[j].key, s->gates[j].why);
	}
	for (size_t i = 0; i < manifest->n_routes; i++)
		printf("route %s%s -> %s:%u tls %s\n", manifest->routes[i].domain,
		       manifest->routes[i].path,
		       manifest->routes[i].service ? manifest->routes[i].service
						   : manifest->routes[i].redirect_to,
		       manifest->routes[i].port, jaco_tls_mode_name(manifest->routes[i].tls));
	for (size_t i = 0; i < manifest->n_published; i++)
		printf("port %u/%s -> %s:%u\n", manifest->published[i].port.published,
		       jaco_proto_name(manifest->published[i].port.proto),
		       manifest->published[i].service, manifest->published[i].port.target);
	for (size_t i = 0; i < manifest->n_networks; i++)
		printf("network %s%s\n", manifest->networks[i].name,
		       manifest->networks[i].is_internal ? " internal" : "");
	for (size_t i = 0; i < manifest->n_volumes; i++)
		printf("volume %s = %s%s\n", manifest->volumes[i].name,
		       manifest->volumes[i].engine_name,
		       manifest->volumes[i].is_external ? " external" : "");
}

/* -- golden ------------------------------------------------------------------------------- */

struct request {
	struct jaco_manifest_options options;
	const char *profiles[WORDS_MAX];
	const char *set[WORDS_MAX];
	const char *compose[WORDS_MAX];
	const char *env_files[WORDS_MAX];
	bool is_server;
};

static void read_options(const struct input *input, struct jaco_arena *arena, struct request *out)
{
	const struct section *section = find_section(input, "options");
	struct jaco_manifest_options *options = &out->options;
	char *text;

	options->profiles = out->profiles;
	options->set = out->set;
	options->compose_paths = out->compose;
	options->env_files = out->env_files;
	if (!section)
		return;
	text = jaco_arena_strndup(arena, section->text, section->n);
	for (char *save = NULL, *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *word = strchr(line, ' ');

		if (word)
			*word++ = '\0';
		if (strcmp(line, "strict") == 0)
			options->is_strict = true;
		else if (strcmp(line, "server") == 0)
			out->is_server = true;
		else if (strcmp(line, "cwd") == 0)
			options->cwd = word;
		else if (strcmp(line, "profile") == 0 && options->n_profiles < WORDS_MAX)
			out->profiles[options->n_profiles++] = word;
		else if (strcmp(line, "set") == 0 && options->n_set < WORDS_MAX)
			out->set[options->n_set++] = word;
		else if (strcmp(line, "compose") == 0 && options->n_compose_paths < WORDS_MAX)
			out->compose[options->n_compose_paths++] = word;
		else if (strcmp(line, "env-file") == 0 && options->n_env_files < WORDS_MAX)
			out->env_files[options->n_env_files++] = word;
	}
}

/* What the server makes of the bytes the client would send must be what the client saw. */
static bool is_same_on_server(const struct jaco_resolved *resolved, struct jaco_arena *arena)
{
	struct jaco_findings findings = JACO_FINDINGS_INIT(arena);
	const struct jaco_manifest *manifest = NULL;
	struct jaco_err err = JACO_ERR_INIT;
	char mine[JACO_HASH_MAX + 1];
	char theirs[JACO_HASH_MAX + 1];

	if (jaco_manifest_load(&resolved->jaco, &resolved->compose, &findings, &manifest, &err) <
	    0) {
		printf("SERVER REFUSES: %s\n", err.text);
		return false;
	}
	jaco_manifest_hash(resolved->manifest, mine);
	jaco_manifest_hash(manifest, theirs);
	if (strcmp(mine, theirs) != 0)
		printf("SERVER READS ANOTHER MANIFEST\n");
	return strcmp(mine, theirs) == 0;
}

static int run_golden(const char *path)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_findings findings = JACO_FINDINGS_INIT(&arena);
	struct request request = {.options = {.jaco_path = "jaco.yaml", .read = read_section}};
	struct input input = {0};
	const struct section *cluster;
	struct jaco_document document;
	struct jaco_resolved resolved = {0};
	struct jaco_err err = JACO_ERR_INIT;
	int rc;

	if (mani_read_file(NULL, path, &arena, &document, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	split_sections(jaco_arena_strndup(&arena, document.data, document.n), &input);
	read_options(&input, &arena, &request);
	request.options.read_ctx = &input;
	if (request.is_server) {
		const struct section *jaco = find_section(&input, "jaco.yaml");
		const struct section *compose = find_section(&input, "compose.yaml");

		resolved.jaco = (struct jaco_document){"jaco.yaml", jaco->text, jaco->n};
		resolved.compose =
			(struct jaco_document){"compose.yaml", compose->text, compose->n};
		rc = jaco_manifest_load(&resolved.jaco, &resolved.compose, &findings,
					&resolved.manifest, &err);
	} else {
		rc = jaco_manifest_resolve(&request.options, &findings, &resolved, &err);
	}
	if (rc == 0)
		rc = jaco_fits_check(resolved.manifest, &resolved.jaco, &resolved.compose,
				     &findings, &err);
	cluster = find_section(&input, "cluster");
	if (rc == 0 && cluster)
		rc = mani_admit(resolved.manifest,
				jaco_arena_strndup(&arena, cluster->text, cluster->n), &findings,
				&err);
	print_findings(&findings);
	if (rc < 0)
		return 0;
	print_manifest(resolved.manifest, &arena);
	return request.is_server || is_same_on_server(&resolved, &arena) ? 0 : 1;
}

/* -- corpus ------------------------------------------------------------------------------- */

struct tally {
	size_t n_routed; /* of the refused: accepted with the routes their refusals ask for */
	size_t n_accepted, n_warned, n_refused, n_unlocated, n_unequal;
	size_t by_code[JACO_CODE_END];
	bool is_quiet;
	double slowest_ms;
	const char *examples[JACO_CODE_END];
};

static int read_disk(void *ctx, const char *path, struct jaco_arena *arena,
		     struct jaco_document *out, struct jaco_err *err)
{
	const char *routes = ctx;

	if (strcmp(path, "/jaco.yaml") == 0) {
		const char *jaco = jaco_arena_printf(arena, "deployment: corpus\n%s", routes);

		*out = (struct jaco_document){path, jaco, strlen(jaco)};
		return 0;
	}
	return mani_read_file(NULL, path, arena, out, err);
}

/* @routes: further lines of jaco.yaml, "" for none. */
static int resolve_file(const char *path, const char *routes, struct jaco_findings *findings,
			struct jaco_resolved *resolved, struct jaco_err *err)
{
	const char *paths[] = {path};
	const char *profiles[] = {"*"};
	struct jaco_manifest_options options = {.jaco_path = "/jaco.yaml",
						.compose_paths = paths,
						.n_compose_paths = 1,
						.profiles = profiles,
						.n_profiles = 1,
						.cwd = "/srv",
						.home = "/root",
						.read = read_disk,
						.read_ctx = (void *)routes};

	if (jaco_manifest_resolve(&options, findings, resolved, err) < 0)
		return -(int)err->code;
	return jaco_fits_check(resolved->manifest, &resolved->jaco, &resolved->compose, findings,
			       err);
}

static void count_findings(const struct jaco_findings *findings, const char *path,
			   struct tally *tally, struct jaco_arena *keep)
{
	for (size_t i = 0; i < findings->n; i++) {
		const struct jaco_finding *finding = &findings->items[i];

		if (finding->severity != JACO_SEVERITY_ERROR)
			continue;
		tally->n_unlocated += finding->pos.line == 0;
		if (tally->by_code[finding->code]++ == 0)
			tally->examples[finding->code] =
				jaco_arena_printf(keep, "%s: %s", path, finding->message);
	}
}

/* The lines that the refusals tell people to add to jaco.yaml, taken by their word. */
static const char *asked_routes(const struct jaco_findings *findings, struct jaco_arena *arena)
{
	static const char said[] = "add to jaco.yaml: routes: [{domain: ..., ";
	const char *routes = "";
	size_t n = 0;

	for (size_t i = 0; i < findings->n; i++) {
		const char *at = findings->items[i].remedy
					 ? strstr(findings->items[i].remedy, said)
					 : NULL;
		const char *line;

		if (!at || findings->items[i].code != JACO_RESERVED_PORT)
			continue;
		at += sizeof(said) - 1;
		line = jaco_arena_strndup(arena, at, strcspn(at, "]"));
		if (strstr(routes, line)) /* 443 asks for the same as 80 */
			continue;
		routes = jaco_arena_printf(arena, "%s  - {domain: r%zu.example.com, %s\n", routes,
					   n++, line);
	}
	return n ? jaco_arena_printf(arena, "routes:\n%s", routes) : "";
}

/* A file that was refused for a port of the ingress, once more as the refusal advises. */
static void check_routed(const char *path, const struct jaco_findings *refused,
			 struct tally *tally, struct jaco_arena *arena)
{
	const char *routes = asked_routes(refused, arena);
	struct jaco_findings findings = JACO_FINDINGS_INIT(arena);
	struct jaco_resolved resolved = {0};
	struct jaco_err err = JACO_ERR_INIT;

	if (!*routes)
		return;
	if (resolve_file(path, routes, &findings, &resolved, &err) < 0) {
		printf("  with the routes asked for still refused: %s\n", err.text);
		return;
	}
	tally->n_routed++;
	for (size_t i = 0; i < findings.n && !tally->is_quiet; i++)
		if (strstr(findings.items[i].message, "ingress"))
			printf("  routed %u:%u %s: %s\n", findings.items[i].pos.line,
			       findings.items[i].pos.column, findings.items[i].path,
			       findings.items[i].message);
	tally->n_unequal += !is_same_on_server(&resolved, arena);
}

static void check_file(const char *path, const char *shown, struct tally *tally,
		       struct jaco_arena *keep)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_findings findings = JACO_FINDINGS_INIT(&arena);
	struct jaco_resolved resolved = {0};
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_time start = jaco_time_now();
	int rc = resolve_file(path, "", &findings, &resolved, &err);
	double ms = (double)(jaco_time_now().ns - start.ns) / 1e6;

	tally->slowest_ms = JACO_MAX(tally->slowest_ms, ms);
	count_findings(&findings, shown, tally, keep);
	if (rc < 0)
		tally->n_refused++;
	else if (findings.n_warnings)
		tally->n_warned++;
	else
		tally->n_accepted++;
	if (!tally->is_quiet || rc < 0)
		printf("%s %s\n", shown,
		       rc < 0                ? "refused"
		       : findings.n_warnings ? "warned"
					     : "accepted");
	for (size_t i = 0; i < findings.n && (!tally->is_quiet || rc < 0); i++)
		if (!tally->is_quiet || findings.items[i].severity == JACO_SEVERITY_ERROR)
			printf("  %s %u:%u %s: %s%s%s\n",
			       findings.items[i].severity == JACO_SEVERITY_ERROR
				       ? jaco_code_name(findings.items[i].code)
				       : "warning",
			       findings.items[i].pos.line, findings.items[i].pos.column,
			       findings.items[i].path, findings.items[i].message,
			       findings.items[i].remedy ? "; " : "",
			       findings.items[i].remedy ? findings.items[i].remedy : "");
	if (rc == 0)
		tally->n_unequal += !is_same_on_server(&resolved, &arena);
	else
		check_routed(path, &findings, tally, &arena);
}

static int not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void walk(const char *dir, const char *shown, struct tally *tally, struct jaco_arena *keep,
		 unsigned depth)
{
	struct dirent **entries;
	int n = scandir(dir, &entries, not_hidden, alphasort);

	for (int i = 0; i < n; i++) {
		const char *path = jaco_arena_printf(keep, "%s/%s", dir, entries[i]->d_name);
		const char *name = jaco_arena_printf(keep, "%s%s%s", shown, *shown ? "/" : "",
						     entries[i]->d_name);
		struct stat st;

		if (stat(path, &st) == 0 && S_ISDIR(st.st_mode) && depth < 16)
			walk(path, name, tally, keep, depth + 1);
		else if (jaco_str_ends(name, ".yaml") || jaco_str_ends(name, ".yml"))
			check_file(path, name, tally, keep);
		free(entries[i]); /* scandir's own memory */
	}
	if (n >= 0)
		free(entries);
}

static int run_corpus(const char *dir, bool is_summary)
{
	jaco_auto(jaco_arena) struct jaco_arena keep = JACO_ARENA_INIT;
	struct tally tally = {.is_quiet = is_summary};
	struct jaco_time start = jaco_time_now();
	size_t n;

	walk(dir, "", &tally, &keep, 0);
	n = tally.n_accepted + tally.n_warned + tally.n_refused;
	printf("files %zu accepted %zu warned %zu refused %zu routed %zu unlocated %zu unequal "
	       "%zu\n",
	       n, tally.n_accepted, tally.n_warned, tally.n_refused, tally.n_routed,
	       tally.n_unlocated, tally.n_unequal);
	for (int code = 0; code < JACO_CODE_END && is_summary; code++)
		if (tally.by_code[code])
			printf("%s %zu, first %s\n", jaco_code_name((enum jaco_code)code),
			       tally.by_code[code], tally.examples[code]);
	if (is_summary && n > 0)
		printf("accepted %.2f %%, with the routes that refusals ask for %.2f %%; %.2f s, "
		       "slowest %.1f ms\n",
		       100.0 * (double)(tally.n_accepted + tally.n_warned) / (double)n,
		       100.0 * (double)(tally.n_accepted + tally.n_warned + tally.n_routed) /
			       (double)n,
		       (double)(jaco_time_now().ns - start.ns) / 1e9, tally.slowest_ms);
	return tally.n_unlocated || tally.n_unequal || n == 0 ? 1 : 0;
}

static void time_file(const char *path)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_findings findings = JACO_FINDINGS_INIT(&arena);
	struct jaco_resolved resolved = {0};
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_time start = jaco_time_now();
	int rc = resolve_file(path, "", &findings, &resolved, &err);
	double ms = (double)(jaco_time_now().ns - start.ns) / 1e6;
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	printf("%8.1f ms  peak %4ld MiB  %s: %s\n", ms, usage.ru_maxrss / 1024, path,
	       rc < 0 ? err.text : "accepted");
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--corpus") == 0)
		return run_corpus(argv[2], false);
	if (argc == 3 && strcmp(argv[1], "--summary") == 0)
		return run_corpus(argv[2], true);
	if (argc >= 3 && strcmp(argv[1], "--time") == 0) {
		for (int i = 2; i < argc; i++)
			time_file(argv[i]);
		return 0;
	}
	if (argc == 2)
		return run_golden(argv[1]);
	fprintf(stderr,
		"usage: mani-check FILE.in | --corpus DIR | --summary DIR | --time FILE...\n");
	return 2;
}
