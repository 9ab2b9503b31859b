/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/wire/fits.h"

#include <string.h>

#include "libjaco/base/buf.h"
#include "libjaco/base/limits.h"
#include "tests/lib/test.h"

struct pair {
	struct jaco_buf jaco, compose;
};

static void repeat(struct jaco_buf *buf, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		jaco_buf_add(buf, text, strlen(text));
}

/* What is said of the pair: "" when it fits, else the first finding. */
static const char *said(struct pair *pair, struct jaco_arena *arena)
{
	struct jaco_findings findings = JACO_FINDINGS_INIT(arena);
	struct jaco_document jaco = {"jaco.yaml", jaco_buf_str(&pair->jaco), pair->jaco.n};
	struct jaco_document compose = {"compose.yaml", jaco_buf_str(&pair->compose),
					pair->compose.n};
	const struct jaco_manifest *manifest = NULL;
	struct jaco_err err = JACO_ERR_INIT;

	if (jaco_manifest_load(&jaco, &compose, &findings, &manifest, &err) < 0)
		return jaco_arena_printf(arena, "not loaded: %s", err.text);
	if (jaco_fits_check(manifest, &jaco, &compose, &findings, &err) == 0)
		return "";
	JT_EQ(err.code, JACO_LIMIT_EXCEEDED);
	return jaco_arena_strdup(arena, err.text);
}

typedef void make_fn(struct pair *pair, size_t n);

static void make_config(struct pair *pair, size_t n)
{
	jaco_buf_printf(&pair->compose, "services: {a: {image: x}}\nconfigs: {c: {content: ");
	repeat(&pair->compose, "x", n);
	jaco_buf_printf(&pair->compose, "}}\n");
}

static void make_comments(struct pair *pair, size_t n)
{
	jaco_buf_printf(&pair->compose, "services: {a: {image: x}}\n#");
	repeat(&pair->compose, "x", n);
	jaco_buf_printf(&pair->jaco, "#");
	repeat(&pair->jaco, "x", n);
}

static void make_depends(struct pair *pair, size_t n)
{
	jaco_buf_printf(&pair->compose, "services:\n");
	for (size_t i = 0; i < n; i++)
		jaco_buf_printf(&pair->compose, "  s%zu: {image: x}\n", i);
	jaco_buf_printf(&pair->compose, "  web: {image: x, depends_on: [s0");
	for (size_t i = 1; i < n; i++)
		jaco_buf_printf(&pair->compose, ", s%zu", i);
	jaco_buf_printf(&pair->compose, "]}\n");
}

static void make_aliases(struct pair *pair, size_t n)
{
	jaco_buf_printf(&pair->compose, "services:\n  a: {image: x, networks: {n: {aliases: [z");
	for (size_t i = 1; i < n; i++)
		jaco_buf_printf(&pair->compose, ", a%zu", i);
	jaco_buf_printf(&pair->compose, "]}}}\n");
}

static void make_constraints(struct pair *pair, size_t n)
{
	jaco_buf_printf(&pair->compose, "services: {a: {image: x}}\n");
	jaco_buf_printf(&pair->jaco,
			"services:\n  - name: a\n    constraints: [node.labels.z == 1");
	for (size_t i = 1; i < n; i++)
		jaco_buf_printf(&pair->jaco, ", node.labels.l%zu == 1", i);
	jaco_buf_printf(&pair->jaco, "]\n");
}

static void make_path(struct pair *pair, size_t n)
{
	jaco_buf_printf(&pair->compose, "services: {a: {image: x}}\n");
	jaco_buf_printf(&pair->jaco, "routes:\n  - domain: a.example\n    service: a\n"
				     "    port: 1\n    path: /");
	repeat(&pair->jaco, "p", n - 1);
	jaco_buf_printf(&pair->jaco, "\n");
}

static void make_header(struct pair *pair, size_t n)
{
	jaco_buf_printf(&pair->compose, "services: {a: {image: x}}\n");
	jaco_buf_printf(&pair->jaco, "routes:\n  - domain: a.example\n    service: a\n"
				     "    port: 1\n    headers: {request: {set: {X-A: ");
	repeat(&pair->jaco, "v", n);
	jaco_buf_printf(&pair->jaco, "}}}\n");
}

static void make_headers(struct pair *pair, size_t n)
{
	jaco_buf_printf(&pair->compose, "services: {a: {image: x}}\n");
	jaco_buf_printf(&pair->jaco, "routes:\n  - domain: a.example\n    service: a\n"
				     "    port: 1\n    headers: {request: {remove: [Z");
	for (size_t i = 1; i < n; i++)
		jaco_buf_printf(&pair->jaco, ", H%zu", i);
	jaco_buf_printf(&pair->jaco, "]}}\n");
}

static void make_ports(struct pair *pair, size_t n)
{
	size_t at = 10000;

	jaco_buf_printf(&pair->compose, "services:\n");
	for (size_t i = 0; i * 200 < n; i++) {
		size_t last = JACO_MIN(n, (i + 1) * 200) - i * 200 - 1;

		jaco_buf_printf(&pair->compose, "  s%zu: {image: x, ports: ['%zu-%zu:%zu-%zu']}\n",
				i, at, at + last, at, at + last);
		at += 200;
	}
}

/* Names of a service stand in each of its networks: a small document, a large record. */
static void make_names(struct pair *pair, size_t n)
{
	jaco_buf_printf(&pair->compose, "services:\n");
	for (size_t i = 0; i < n; i++) {
		jaco_buf_printf(&pair->compose, "  s%zu:\n    image: x\n    networks: [n0", i);
		for (size_t k = 1; k < JACO_NETWORKS_PER_SERVICE; k++)
			jaco_buf_printf(&pair->compose, ", n%zu", k);
		jaco_buf_printf(&pair->compose,
				"]\n  t%zu:\n    image: x\n    networks: [n0]\n    links: [s%zu", i,
				i);
		for (size_t k = 0; k < 60; k++)
			jaco_buf_printf(&pair->compose,
					", 's%zu:"
					"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa%zu'",
					i, k);
		jaco_buf_printf(&pair->compose, "]\n");
	}
}

static void make_networks(struct pair *pair, size_t n)
{
	jaco_buf_printf(&pair->compose, "services:\n");
	for (size_t i = 0; i < n; i++)
		jaco_buf_printf(&pair->compose, "  s%zu: {image: x, networks: [n%zu]}\n", i, i);
}

static void make_email(struct pair *pair, size_t n)
{
	jaco_buf_printf(&pair->compose, "services: {a: {image: x}}\n");
	jaco_buf_printf(&pair->jaco, "acme_email: a@");
	repeat(&pair->jaco, "b", n - 2);
	jaco_buf_printf(&pair->jaco, "\n");
}

JT_CASE(a_limit_is_told_at_its_place_and_not_one_earlier)
{
	static const struct {
		make_fn *make;
		size_t fits, over; /* sizes on both sides of the bound */
		const char *wanted;
	} table[] = {
		{make_config, JACO_DOCUMENT_MAX - 80, JACO_DOCUMENT_MAX,
		 "compose.yaml:1:1: the resolved compose document has "},
		{make_comments, JACO_DOCUMENTS_MAX / 2 - 60, JACO_DOCUMENTS_MAX / 2,
		 "compose.yaml:1:1: jaco.yaml and the resolved compose document have "},
		{make_depends, 64, 65,
		 "compose.yaml:67:3: services.web: service.depends_on has 65 entries, at most 64 "
		 "fit; use fewer or shorter ones"},
		{make_aliases, 64, 65,
		 "compose.yaml:2:3: services.a: service_network.aliases has 65 entries, at most "
		 "64 fit"},
		{make_constraints, 32, 33,
		 "compose.yaml:1:12: services.a: service.constraints has 33 entries, at most 32 "
		 "fit"},
		{make_path, 496, 497, "routes.a.example/pppp"},
		{make_header, 32768, 32769, "route.request_set"},
		{make_headers, 64, 65,
		 "jaco.yaml:3:13: routes.a.example/: route.request_remove has 65 entries, at most "
		 "64 fit"},
		{make_ports, JACO_PORTS_PER_DEPLOYMENT, JACO_PORTS_PER_DEPLOYMENT + 1,
		 "services: 1801 ports are published, at most 1800 fit into a deployment; publish "
		 "fewer ports, or split the deployment"},
		{make_names, 5, 8, "services: deployment is larger than 786432 bytes"},
		{make_networks, 64, 65,
		 "compose.yaml:11:29: services.s9.networks: more than 64 networks in one "
		 "deployment"},
		{make_email, 256, 257, "deployment.acme_email has 257 bytes, at most 256 fit"},
	};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(table); i++) {
		for (size_t k = 0; k < 2; k++) {
			jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
			struct pair pair = {JACO_BUF_INIT, JACO_BUF_INIT};
			const char *text;

			jaco_buf_printf(&pair.jaco, "deployment: d\n");
			table[i].make(&pair, k ? table[i].over : table[i].fits);
			text = said(&pair, &arena);
			if (k == 0 && *text)
				fail_msg("row %zu does not fit: %s", i, text);
			if (k == 1 && !strstr(text, table[i].wanted))
				fail_msg("row %zu: %s", i, text);
			jaco_buf_fini(&pair.jaco);
			jaco_buf_fini(&pair.compose);
		}
	}
}

JT_MAIN(JT_RUN(a_limit_is_told_at_its_place_and_not_one_earlier))
