/* SPDX-License-Identifier: Apache-2.0
 *
 * answer.c - what fwd-nft is asked: may a packet pass, what does the kernel hold, forget addresses;
 * and what it tells of itself. */
#include <linux/netfilter.h>
#include <string.h>

#include "daemons/fwd-nft/eval.h"
#include "daemons/fwd-nft/flush.h"
#include "daemons/fwd-nft/fwd.h"
#include "daemons/fwd-nft/readback.h"
#include "daemons/fwd-nft/render.h"
#include "libjaco/base/str.h"
#include "libjaco/daemon/metrics.h"
#include "libjaco/wire/rpc.h"

#include "libjaco/wire/pass_methods.h"
#define METHOD(d, m, n, in, out, r, f) JACO_THUNK(struct fwd, d, m, in)
#include "libjaco/wire/def/fwd.def"
#undef METHOD
#define METHOD(d, m, n, in, out, r, f) JACO_ROW(d, m)
const struct jaco_service_row fwd_methods[] = {
#include "libjaco/wire/def/fwd.def"
	{NULL, NULL},
};
#include "libjaco/wire/pass_end.h"

#define ADDRESSES_MAX 256

/* ---- may a packet pass ---- */

static const char *subnet_name(const struct ruleset_subnet *subnet, struct jaco_arena *arena)
{
	return !subnet ? NULL : jaco_arena_printf(arena, "%s/%s@%s", subnet->deployment,
						  subnet->network, subnet->host);
}

/* The interface a packet of @subnet comes in by on this host. */
static void set_entry(struct eval_packet *packet, const struct ruleset_subnet *subnet,
		      const char *mesh)
{
	const char *name = !subnet ? "" : subnet->bridge ? subnet->bridge : mesh;

	(void)jaco_str_copy(packet->in, sizeof(packet->in), name); /* bounded when it was read */
}

static bool is_gateway(const struct ruleset_subnet *subnet, uint32_t address)
{
	return subnet && subnet->bridge && address == jaco_cidr_first(subnet->cidr) + 1;
}

static void explain(struct wire_fwd_answer *out, const struct ruleset *kernel,
		    const struct eval_verdict *verdict, const struct wire_fwd_question *req,
		    struct jaco_arena *arena)
{
	jaco_auto(jaco_buf) struct jaco_buf rule = JACO_BUF_BOUND(JACO_TEXT_MAX - 1);
	const char *why = "no rule of ours stands against it";

	out->allowed = verdict->result == EVAL_ACCEPTED || verdict->result == EVAL_MASQUERADED;
	if (verdict->chain)
		out->chain = jaco_arena_strdup(arena, verdict->chain->name);
	if (verdict->rule) {
		render_rule(&rule, kernel, verdict->rule);
		out->rule = jaco_arena_strdup(arena, jaco_buf_str(&rule));
		why = verdict->rule->comment;
	}
	if (verdict->result == EVAL_UNKNOWN)
		why = "the table holds what is not ours; it is being repaired";
	if (!out->here)
		why = jaco_arena_printf(arena,
					"%s (as the rules of that node are meant to be; its kernel "
					"answers there)",
					why);
	out->sentence = jaco_arena_printf(arena, "%s: %s (%s) to %s (%s)%s%s: %s",
					  out->allowed ? "yes" : "no", req->from,
					  out->from ? out->from : "no container subnet", req->to,
					  out->to ? out->to : "no container subnet",
					  JACO_HAS(req, fwd_question, port) ? " port " : "",
					  JACO_HAS(req, fwd_question, port) ?
						  jaco_arena_printf(arena, "%u", req->port) : "",
					  why);
	out->sentence = jaco_arena_strndup(arena, out->sentence, JACO_TEXT_MAX - 1);
}

/* The bridge of a subnet of another node, "" when its record is gone meanwhile. */
static const char *bridge_of(const struct fwd *fwd, const struct ruleset_subnet *subnet)
{
	const struct wire_subnet *record =
		jaco_view_getf(&fwd->daemon->view, "/subnet/%s/%s/%s", subnet->deployment,
			       subnet->network, subnet->host);

	return record ? record->bridge : "";
}

/* The table that the node of @from is meant to have: what this kernel holds is about its own. */
static int build_elsewhere(struct fwd *fwd, const struct ruleset_subnet *from, struct ruleset *out,
			   struct jaco_arena *arena, struct jaco_err *err)
{
	struct input input;

	if (input_collect(&input, &fwd->daemon->view, from->host, &fwd->daemon->config, arena,
			  err) < 0)
		return -(int)err->code;
	return ruleset_build(out, &input.ruleset, NULL, err);
}

static int judge(struct fwd *fwd, const struct wire_fwd_question *req, const struct input *input,
		 struct wire_fwd_answer *out, struct jaco_arena *arena, struct jaco_err *err)
{
	jaco_auto(ruleset) struct ruleset kernel = RULESET_INIT;
	struct eval_packet packet = {.family = NFPROTO_IPV4};
	const struct ruleset_subnet *from, *to;
	struct eval_verdict verdict;
	bool exists = false;

	if (!jaco_ipv4_parse(req->from, &packet.source) ||
	    !jaco_ipv4_parse(req->to, &packet.destination))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "\"%s\" is not an IPv4 address",
				    jaco_ipv4_parse(req->from, &packet.source) ? req->to
									       : req->from);
	from = input_find(&input->ruleset, packet.source);
	to = input_find(&input->ruleset, packet.destination);
	out->here = (from && from->bridge) || (to && to->bridge) || !from;
	if (out->here ? readback_table(&fwd->nft.nl, &kernel, &exists, err) < 0 :
			build_elsewhere(fwd, from, &kernel, arena, err) < 0)
		return -(int)err->code;
	if (out->here && !exists)
		return jaco_err_set(err, JACO_ISOLATION_UNAVAILABLE, "table inet %s is not loaded",
				    RULESET_TABLE);
	if (!out->here)
		(void)jaco_str_copy(packet.in, sizeof(packet.in), bridge_of(fwd, from));
	else
		set_entry(&packet, from, fwd->daemon->config.wg_interface);
	verdict = eval_path(&kernel, &packet, is_gateway(to, packet.destination));
	out->from = subnet_name(from, arena);
	out->to = subnet_name(to, arena);
	explain(out, &kernel, &verdict, req, arena);
	return 0;
}

int fwd_on_can(struct fwd *fwd, struct jaco_call *call, const struct wire_fwd_question *req,
	       struct jaco_err *err)
{
	struct wire_fwd_answer out = {0};
	struct input input;

	if (!fwd->daemon->view.is_loaded)
		return jaco_err_set(err, JACO_UNAVAILABLE, "nothing is known of the cluster yet");
	if (input_collect(&input, &fwd->daemon->view, fwd->daemon->host, &fwd->daemon->config,
			  call->arena, err) < 0 ||
	    judge(fwd, req, &input, &out, call->arena, err) < 0)
		return -(int)err->code;
	jaco_call_reply(call, &out);
	return 0;
}

int fwd_on_ruleset(struct fwd *fwd, struct jaco_call *call, const struct wire_nothing *req,
		   struct jaco_err *err)
{
	jaco_auto(ruleset) struct ruleset kernel = RULESET_INIT;
	jaco_auto(jaco_buf) struct jaco_buf text =
		JACO_BUF_BOUND(wire_fwd_text_desc.fields[0].max - 1);
	struct wire_fwd_text out;
	bool exists = false;

	(void)req;
	if (readback_table(&fwd->nft.nl, &kernel, &exists, err) < 0)
		return -(int)err->code;
	if (exists)
		render_ruleset(&text, &kernel);
	if (text.overflow)
		return jaco_err_set(err, JACO_MESSAGE_TOO_LARGE,
				    "the table is too long for one answer: nft list table inet %s",
				    RULESET_TABLE);
	out = (struct wire_fwd_text){.text = jaco_buf_str(&text)};
	jaco_call_reply(call, &out);
	return 0;
}

/* ---- forget ---- */

int fwd_forget(struct fwd *fwd, const uint32_t *addresses, size_t n, struct jaco_err *err)
{
	struct flush_count count = {0};

	if (flush_addresses(addresses, n, &count, err) < 0)
		return -(int)err->code;
	fwd->flushed.connections += count.connections;
	fwd->flushed.neighbours += count.neighbours;
	if (count.connections + count.neighbours > 0)
		jaco_log_debug("forgot old connections and neighbours",
			       KV_INT(count, count.connections + count.neighbours));
	return 0;
}

int fwd_on_flush(struct fwd *fwd, struct jaco_call *call, const struct wire_fwd_addresses *req,
		 struct jaco_err *err)
{
	struct flush_totals before = fwd->flushed;
	uint32_t addresses[ADDRESSES_MAX];
	struct wire_fwd_flushed out = {0};

	for (size_t i = 0; i < req->addresses.n && i < ADDRESSES_MAX; i++)
		if (!jaco_ipv4_parse(req->addresses.v[i], &addresses[i]))
			return jaco_err_set(err, JACO_VALIDATION_FAILED,
					    "\"%s\" is not an IPv4 address", req->addresses.v[i]);
	if (fwd_forget(fwd, addresses, JACO_MIN(req->addresses.n, ADDRESSES_MAX), err) < 0)
		return -(int)err->code;
	out.connections = fwd->flushed.connections - before.connections;
	out.neighbours = fwd->flushed.neighbours - before.neighbours;
	jaco_call_reply(call, &out);
	return 0;
}

/* ---- of itself ---- */

static uint64_t packets_of(const struct ruleset *kernel, const char *chain_name)
{
	const struct ruleset_chain *chain = ruleset_find_chain(kernel, chain_name);
	uint64_t n = 0;

	for (size_t i = 0; chain && i < chain->n_rules; i++)
		for (size_t k = 0; k < chain->rules[i].n_exprs; k++)
			if (chain->rules[i].exprs[k].op == RULESET_COUNTER)
				n += chain->rules[i].exprs[k].packets;
	return n;
}

static void drop_metrics(struct fwd *fwd, struct jaco_buf *out)
{
	static const char *const chains[] = {"forward", "input", "prerouting"};
	jaco_auto(ruleset) struct ruleset kernel = RULESET_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	char labels[64];

	if (readback_rules(&fwd->nft.nl, &kernel, &err) < 0)
		return; /* no table: no drops to tell of */
	jaco_metrics_family(out, "jaco_fwd_dropped_packets_total", "counter",
			    "Packets dropped, by chain, since the table was made.");
	for (size_t i = 0; i < JACO_ARRAY_SIZE(chains); i++) {
		(void)jaco_str_format(labels, sizeof(labels), "chain=\"%s\"", chains[i]);
		jaco_metrics_sample(out, "jaco_fwd_dropped_packets_total", labels,
				    (double)packets_of(&kernel, chains[i]));
	}
}

void fwd_metrics(void *self, struct jaco_buf *out)
{
	struct fwd *fwd = self;

	jaco_metrics_value(out, "jaco_fwd_ready", "gauge", "1 when the table is as meant.",
			   fwd->is_applied);
	jaco_metrics_value(out, "jaco_fwd_generation", "gauge", "Store revision applied.",
			   (double)fwd->generation);
	jaco_metrics_value(out, "jaco_fwd_subnets", "gauge", "Subnets of the cluster.",
			   (double)fwd->n_subnets);
	jaco_metrics_value(out, "jaco_fwd_drift_repairs_total", "counter",
			   "Foreign changes of our table that were undone.", (double)fwd->repairs);
	jaco_metrics_value(out, "jaco_fwd_engine_repairs_total", "counter",
			   "Rules put into engine chains.", (double)fwd->engine_repairs);
	jaco_metrics_value(out, "jaco_fwd_table_loads_total", "counter",
			   "Loads of the whole table.", (double)fwd->nft.stats.replacements);
	jaco_metrics_value(out, "jaco_fwd_increments_total", "counter",
			   "Transactions that changed elements only.",
			   (double)fwd->nft.stats.increments);
	jaco_metrics_value(out, "jaco_fwd_load_failures_total", "counter",
			   "Transactions the kernel refused.", (double)fwd->nft.stats.failures);
	jaco_metrics_value(out, "jaco_fwd_commit_seconds", "gauge",
			   "Time of the last transaction in the kernel.",
			   (double)fwd->nft.stats.commit_ns / 1e9);
	jaco_metrics_value(out, "jaco_fwd_flushed_connections_total", "counter",
			   "Conntrack entries of released addresses deleted.",
			   (double)fwd->flushed.connections);
	drop_metrics(fwd, out);
}

void fwd_facts(void *self, struct jaco_arena *arena, struct wire_daemon_status *status)
{
	struct fwd *fwd = self;
	struct wire_pair *v = jaco_arena_alloc_n(arena, 6, sizeof(*v));
	size_t n = 0;

	v[n++] = (struct wire_pair){"generation", jaco_arena_printf(arena, "%llu",
					(unsigned long long)fwd->generation)};
	v[n++] = (struct wire_pair){"firewall", fwd->is_applied ? "ready" :
					fwd->has_failed ? jaco_code_name(fwd->code) : "waiting"};
	v[n++] = (struct wire_pair){"subnets", jaco_arena_printf(arena, "%zu", fwd->n_subnets)};
	v[n++] = (struct wire_pair){"local_subnets", jaco_arena_printf(arena, "%zu", fwd->n_local)};
	v[n++] = (struct wire_pair){"repairs", jaco_arena_printf(arena, "%llu",
					(unsigned long long)fwd->repairs)};
	v[n++] = (struct wire_pair){"engine_rules", jaco_arena_printf(arena, "%llu",
					(unsigned long long)fwd->engine_repairs)};
	status->facts.v = v;
	status->facts.n = n;
}
