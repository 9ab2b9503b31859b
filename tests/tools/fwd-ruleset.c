/* SPDX-License-Identifier: Apache-2.0
 *
 * fwd-ruleset - the firewall's pure half and its netlink half from a shell, without a daemon.
 *
 *   FILE           print the table that FILE asks for (golden tests)
 *   load FILE      make this network namespace's kernel hold it, print what was done
 *   read           print the kernel's table
 *   check FILE     print how the kernel's table differs; exit 1 when it does
 *   replace N      load N scopes of three /24 each from scratch, the shape of bench/lib/gen_nft.py
 *   add N          add scope number N to a table of N
 *   engine POOL IF keep the rules for mesh interface IF in the engine's chains ("-": take them
 *   away) flush ADDRESS  forget connections and neighbours of one address
 *
 * FILE has one thing a line: "pool CIDR", "prefix BITS", "node ADDRESS", "mesh IF",
 * "home ADDRESS ADDRESS..." (a container in several networks), and
 * "subnet CIDR DEPLOYMENT NETWORK HOST [bridge=NAME] [internal]". */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/fwd-nft/engine.h"
#include "daemons/fwd-nft/flush.h"
#include "daemons/fwd-nft/nft.h"
#include "daemons/fwd-nft/plan.h"
#include "daemons/fwd-nft/render.h"
#include "daemons/fwd-nft/ruleset.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/io/fs.h"

#define FILE_MAX (4 * 1024 * 1024)
#define WORDS    10

struct model {
	struct ruleset_input input;
	struct ruleset_subnet *subnets;
	size_t cap;
	uint32_t nodes[JACO_NODES_MAX];
	struct ruleset_home homes[16];
	struct jaco_arena arena;
};

static struct ruleset_subnet *add_subnet(struct model *model)
{
	size_t n = model->input.n_subnets++;

	model->subnets = jaco_grow(model->subnets, &model->cap, n + 1, sizeof(model->subnets[0]));
	model->input.subnets = model->subnets;
	model->subnets[n] = (struct ruleset_subnet){.is_internal = false};
	return &model->subnets[n];
}

static int parse_subnet(struct model *model, char *const *words, size_t n, struct jaco_err *err)
{
	struct ruleset_subnet *subnet = add_subnet(model);

	if (n < 5 || jaco_cidr_parse(words[1], &subnet->cidr, err) < 0)
		return jaco_err_set(err, JACO_PARSE_FAILED, "bad subnet line");
	subnet->deployment = words[2];
	subnet->network = words[3];
	subnet->host = words[4];
	for (size_t i = 5; i < n; i++) {
		if (jaco_str_starts(words[i], "bridge="))
			subnet->bridge = words[i] + strlen("bridge=");
		else
			subnet->is_internal = jaco_str_eq(words[i], "internal");
	}
	return 0;
}

static int parse_line(struct model *model, char *line, struct jaco_err *err)
{
	char *words[WORDS], *save = NULL;
	size_t n = 0;
	uint64_t bits = 0;

	for (char *word = strtok_r(line, " \t", &save); word && n < WORDS;
	     word = strtok_r(NULL, " \t", &save))
		words[n++] = word;
	if (n == 0 || words[0][0] == '#')
		return 0;
	if (jaco_str_eq(words[0], "subnet"))
		return parse_subnet(model, words, n, err);
	if (n > 2 && jaco_str_eq(words[0], "home") &&
	    model->input.n_homes < JACO_ARRAY_SIZE(model->homes)) {
		struct ruleset_home *home = &model->homes[model->input.n_homes++];

		model->input.homes = model->homes;
		while (home->n + 1 < n &&
		       jaco_ipv4_parse(words[home->n + 1], &home->addresses[home->n]))
			home->n++;
		return 0;
	}
	if (n == 2 && jaco_str_eq(words[0], "mesh")) {
		model->input.mesh = words[1];
		return 0;
	}
	if (n == 2 && jaco_str_eq(words[0], "pool"))
		return jaco_cidr_parse(words[1], &model->input.pool, err);
	if (n == 2 && jaco_str_eq(words[0], "prefix") && jaco_str_to_u64(words[1], 32, &bits)) {
		model->input.prefix = (uint8_t)bits;
		return 0;
	}
	if (n == 2 && jaco_str_eq(words[0], "node") && model->input.n_nodes < JACO_NODES_MAX &&
	    jaco_ipv4_parse(words[1], &model->nodes[model->input.n_nodes])) {
		model->input.nodes = model->nodes;
		model->input.n_nodes++;
		return 0;
	}
	return jaco_err_set(err, JACO_PARSE_FAILED, "bad line \"%s\"", words[0]);
}

static int read_model(struct model *model, const char *path, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;
	char *copy, *save = NULL;

	if (jaco_fs_read(path, FILE_MAX, &text, err) < 0)
		return -(int)err->code;
	copy = jaco_arena_strdup(&model->arena, jaco_buf_str(&text));
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (parse_line(model, line, err) < 0)
			return -(int)err->code;
	return 0;
}

/* bench/lib/gen_nft.py: scope i owns nets i, T+i, 2T+i of 10/8; the added one 3N, 3N+1, 3N+2. */
static void make_scopes(struct model *model, uint32_t total, bool with_next)
{
	model->input.pool = (struct jaco_cidr){.addr = 10u << 24, .bits = 8};
	model->input.prefix = 24;
	for (uint32_t i = 0; i < total + with_next; i++) {
		for (uint32_t k = 0; k < 3; k++) {
			struct ruleset_subnet *subnet = add_subnet(model);
			uint32_t net = i < total ? k * total + i : 3 * total + k;

			subnet->cidr = (struct jaco_cidr){.addr = 10u << 24 | net << 8, .bits = 24};
			subnet->deployment = jaco_arena_printf(&model->arena, "d%05u", i);
			subnet->network = "default";
			subnet->host = k == 0 ? "n1" : k == 1 ? "n2" : "n3";
			subnet->bridge = k == 0 ? jaco_arena_printf(&model->arena, "b%u", i) : NULL;
		}
	}
}

static int apply(const struct model *model, bool refresh, struct jaco_err *err)
{
	jaco_auto(nft) struct nft nft = NFT_INIT;
	jaco_auto(ruleset) struct ruleset ruleset = RULESET_INIT;
	struct jaco_time start;

	if (nft_open(&nft, err) < 0 || (refresh && nft_refresh(&nft, err) < 0))
		return -(int)err->code;
	start = jaco_time_now();
	if (ruleset_build(&ruleset, &model->input, nft.has_table ? &nft.present : NULL, err) < 0 ||
	    nft_apply(&nft, &ruleset, err) < 0)
		return -(int)err->code;
	printf("replacements=%lu increments=%lu elements=%lu commit_us=%ld apply_us=%ld\n",
	       nft.stats.replacements, nft.stats.increments, nft.stats.elements,
	       nft.stats.commit_ns / 1000, (jaco_time_now().ns - start.ns) / 1000);
	return 0;
}

/* What a daemon that holds the table of @count scopes does when one more appears. */
static int apply_next(uint32_t count, struct jaco_err *err)
{
	struct model before = {.cap = 0}, after = {.cap = 0};
	jaco_auto(nft) struct nft nft = NFT_INIT;
	jaco_auto(ruleset) struct ruleset ruleset = RULESET_INIT;
	struct jaco_time start;
	int rc = 0;

	/* as main.c does: memory of one pass serves the next without new page faults */
	(void)mallopt(M_MMAP_THRESHOLD, NFT_KEEP_BYTES);
	(void)mallopt(M_TRIM_THRESHOLD, NFT_KEEP_BYTES);
	make_scopes(&before, count, false);
	make_scopes(&after, count, true);
	JACO_ASSERT(ruleset_build(&ruleset, &after.input, NULL, err) == 0);
	ruleset_fini(&ruleset);
	if (nft_open(&nft, err) < 0 ||
	    ruleset_build(&nft.present, &before.input, NULL, err) < 0)
		return -(int)err->code;
	nft.has_table = true;
	start = jaco_time_now();
	if (ruleset_build(&ruleset, &after.input, &nft.present, err) < 0 ||
	    nft_apply(&nft, &ruleset, err) < 0)
		rc = -(int)err->code;
	printf("increments=%lu elements=%lu commit_us=%ld apply_us=%ld\n", nft.stats.increments,
	       nft.stats.elements, nft.stats.commit_ns / 1000,
	       (jaco_time_now().ns - start.ns) / 1000);
	jaco_free(before.subnets);
	jaco_free(after.subnets);
	jaco_arena_fini(&before.arena);
	jaco_arena_fini(&after.arena);
	return rc;
}

static int show(const struct model *model, struct jaco_err *err)
{
	jaco_auto(ruleset) struct ruleset ruleset = RULESET_INIT;
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;

	if (ruleset_build(&ruleset, &model->input, NULL, err) < 0)
		return -(int)err->code;
	render_ruleset(&text, &ruleset);
	fputs(jaco_buf_str(&text), stdout);
	return 0;
}

static int show_kernel(struct jaco_err *err)
{
	jaco_auto(nft) struct nft nft = NFT_INIT;
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;

	if (nft_open(&nft, err) < 0 || nft_refresh(&nft, err) < 0)
		return -(int)err->code;
	if (nft.has_table)
		render_ruleset(&text, &nft.present);
	fputs(jaco_buf_str(&text), stdout);
	return 0;
}

static int check(const struct model *model, int *out_status, struct jaco_err *err)
{
	jaco_auto(nft) struct nft nft = NFT_INIT;
	jaco_auto(ruleset) struct ruleset meant = RULESET_INIT;
	jaco_auto(jaco_buf) struct jaco_buf why = JACO_BUF_INIT;
	size_t n = 0;

	if (nft_open(&nft, err) < 0 || ruleset_build(&meant, &model->input, NULL, err) < 0 ||
	    nft_check(&nft, &meant, &why, &n, err) < 0)
		return -(int)err->code;
	printf("%zu differences%s%s\n", n, n ? ": " : "", jaco_buf_str(&why));
	*out_status = n > 0;
	return 0;
}

static int keep_engine(const char *pool, const char *mesh, struct jaco_err *err)
{
	jaco_auto(jaco_netlink) struct jaco_netlink nl = JACO_NETLINK_INIT;
	struct engine_want want = {.mesh = jaco_str_eq(mesh, "-") ? NULL : mesh};
	unsigned changed = 0;

	if (jaco_cidr_parse(pool, &want.pool, err) < 0 ||
	    jaco_netlink_open(&nl, NETLINK_NETFILTER, err) < 0 ||
	    engine_assert(&nl, &want, &changed, err) < 0)
		return -(int)err->code;
	printf("%u rules changed\n", changed);
	return 0;
}

static int forget(const char *text, struct jaco_err *err)
{
	struct flush_count count = {0};
	uint32_t address = 0;

	if (!jaco_ipv4_parse(text, &address))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "bad address");
	if (flush_addresses(&address, 1, &count, err) < 0)
		return -(int)err->code;
	printf("%zu connections, %zu neighbours\n", count.connections, count.neighbours);
	return 0;
}

static int run(int argc, char **argv, struct model *model, int *out_status, struct jaco_err *err)
{
	const char *verb = argc > 1 ? argv[1] : "";
	uint64_t n = 0;

	if (argc == 2 && jaco_str_eq(verb, "read"))
		return show_kernel(err);
	if (argc == 2) {
		if (read_model(model, verb, err) < 0)
			return -(int)err->code;
		return show(model, err);
	}
	if (argc == 4 && jaco_str_eq(verb, "engine"))
		return keep_engine(argv[2], argv[3], err);
	if (argc == 3 && jaco_str_eq(verb, "flush"))
		return forget(argv[2], err);
	if (argc != 3)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "usage: fwd-ruleset FILE | load|check FILE | read | "
				    "replace|add N");
	if (jaco_str_eq(verb, "replace") || jaco_str_eq(verb, "add")) {
		if (!jaco_str_to_u64(argv[2], RULESET_SUBNETS_MAX / 3 - 1, &n))
			return jaco_err_set(err, JACO_VALIDATION_FAILED, "N is too large");
		if (jaco_str_eq(verb, "add"))
			return apply_next((uint32_t)n, err);
		make_scopes(model, (uint32_t)n, false);
		return apply(model, false, err);
	}
	if (read_model(model, argv[2], err) < 0)
		return -(int)err->code;
	if (jaco_str_eq(verb, "load"))
		return apply(model, true, err);
	return check(model, out_status, err);
}

int main(int argc, char **argv)
{
	struct model model = {.cap = 0};
	struct jaco_err err = JACO_ERR_INIT;
	int status = 0;

	if (run(argc, argv, &model, &status, &err) < 0) {
		fprintf(stderr, "fwd-ruleset: %s: %s\n", jaco_code_name(err.code), err.text);
		status = 2;
	}
	jaco_free(model.subnets);
	jaco_arena_fini(&model.arena);
	return status;
}
