/* SPDX-License-Identifier: Apache-2.0
 *
 * lookups - the golden suite of routing.  Lines of the input:
 *
 *     route NAME DOMAIN PATH [strip]      add a route
 *     ? HOST PATH                         print which one is found and the path that goes on
 *     normal PATH                         print the normalised path */
#include <stdio.h>
#include <string.h>

#include "daemons/proxyd/route.h"
#include "libjaco/base/str.h"

static struct route_table *table;
static bool is_sealed;

static void add(char *rest)
{
	char *words[4] = {NULL}, *save = NULL;
	struct route route = {.port = 80};
	struct jaco_err err = JACO_ERR_INIT;
	size_t n = 0;

	for (char *w = strtok_r(rest, " ", &save); w && n < 4; w = strtok_r(NULL, " ", &save))
		words[n++] = w;
	if (n < 3) {
		puts("malformed line");
		return;
	}
	route.service = words[0];
	route.domain = words[1];
	route.path = words[2];
	route.strip_path = n == 4;
	if (route_table_add(table, &route, &err) < 0)
		printf("%s: %s\n", jaco_code_name(err.code), err.text);
}

static void find(char *rest)
{
	char *blank = strchr(rest, ' ');
	char host[ROUTE_HOST_BYTES], scratch[4096];
	struct http1_span authority = {rest, (uint32_t)(blank - rest)};
	struct http1_span path = {blank + 1, (uint32_t)strlen(blank + 1)};
	struct route_match match;
	struct http1_span name = {host, (uint32_t)route_host_normalise(authority, host)};

	if (!is_sealed)
		route_table_seal(table);
	is_sealed = true;
	route_find(table, name, path, scratch, &match);
	if (match.route)
		printf("%s -> %s %.*s\n", rest, match.route->service, (int)match.rest.n,
		       match.rest.p);
	else
		printf("%s -> %s\n", rest, match.is_host_known ? "no such path" : "no such host");
}

int main(int argc, char **argv)
{
	FILE *in = argc > 1 ? fopen(argv[1], "r") : stdin;
	char line[4096], out[4096];

	if (!in)
		return 1;
	table = route_table_new(1);
	while (fgets(line, sizeof(line), in)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#')
			puts(line);
		else if (jaco_str_starts(line, "route "))
			add(line + 6);
		else if (jaco_str_starts(line, "normal "))
			printf("%s -> %.*s\n", line + 7,
			       (int)route_path_normalise(line + 7, strlen(line + 7), out), out);
		else if (line[0] == '?')
			find(line + 2);
	}
	route_table_unref(table);
	fclose(in);
	return 0;
}
