/* SPDX-License-Identifier: Apache-2.0
 *
 * driver_nodes.c - commands to the nodes: made, told of time and wishes, crashed, looked at. */
#include "tests/tools/driver_do.h"

#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "tests/tools/driver_words.h"

/* ---- nodes ---- */

void do_hello(struct driver *d)
{
	driver_ok(d, "\"proto\":1,\"impl\":\"jaco\",\"features\":[\"prevote\",\"checkquorum\","
		     "\"transfer\",\"readindex\",\"learner\",\"snapshot\",\"noop\",\"lease\"]");
}

static bool option_number(struct driver *d, const char *key, uint32_t *out)
{
	const char *text = driver_value(d, key);
	uint64_t number;

	if (!text)
		return true;
	if (!jaco_str_to_u64(text, UINT32_MAX, &number))
		return false;
	*out = (uint32_t)number;
	return true;
}

void do_reset(struct driver *d)
{
	struct core_options opt = CORE_OPTIONS_DEFAULT;
	uint32_t prevote = 0, check_quorum = 0, seed = 1;
	const char *reads = driver_value(d, "reads");

	opt.election = 10;
	opt.heartbeat = 1;
	opt.apply_early = true;
	if (!option_number(d, "election", &opt.election) ||
	    !option_number(d, "heartbeat", &opt.heartbeat) ||
	    !option_number(d, "prevote", &prevote) ||
	    !option_number(d, "checkquorum", &check_quorum) ||
	    !option_number(d, "maxinflight", &opt.max_inflight) ||
	    !option_number(d, "seed", &seed) || !opt.election || !opt.heartbeat ||
	    opt.heartbeat >= opt.election || !opt.max_inflight ||
	    (reads && !jaco_str_eq(reads, "safe") && !jaco_str_eq(reads, "lease"))) {
		driver_err(d, "bad_argument");
		return;
	}
	opt.prevote = prevote;
	opt.check_quorum = check_quorum;
	opt.lease_reads = jaco_str_eq(reads, "lease");
	opt.seed = seed;
	driver_clear(d);
	d->options = opt;
	driver_ok(d, "%s", "");
}

/* What the disk of a new node holds, from the arguments. */
static bool read_disk(struct driver *d, struct host_disk *disk)
{
	const char *log = driver_value(d, "log");

	if (!driver_number(d, "term", &disk->term) || !driver_number(d, "vote", &disk->vote) ||
	    !driver_number(d, "commit", &disk->commit) ||
	    !driver_place(d, "base", &disk->base_index, &disk->base_term) ||
	    !driver_members(driver_value(d, "voters"), true, &disk->conf) ||
	    !driver_members(driver_value(d, "learners"), false, &disk->conf))
		return false;
	if (log && !driver_entries(log, disk->base_index + 1, &disk->log, &disk->n_log))
		return false;
	disk->cap_log = disk->n_log;
	for (size_t i = 0; i < disk->n_log; i++)
		disk->term = JACO_MAX(disk->term, disk->log[i]->term);
	disk->term = JACO_MAX(disk->term, disk->base_term);
	return true;
}

void do_node(struct driver *d)
{
	struct driver_node *node;
	struct jaco_err err = JACO_ERR_INIT;
	uint64_t id;

	if (d->n_args < 2 || !jaco_str_to_u64(d->args[1], UINT64_MAX, &id) || !id) {
		driver_err(d, "bad_argument");
		return;
	}
	if (driver_find(d, id)) {
		driver_err(d, "exists");
		return;
	}
	node = jaco_alloc(sizeof(*node));
	node->id = id;
	d->options.id = id;
	host_init(&node->host, &d->options);
	if (!read_disk(d, &node->host.disk) || host_start(&node->host, &err) < 0) {
		host_fini(&node->host);
		jaco_free(node);
		driver_err(d, "bad_argument");
		return;
	}
	d->nodes = jaco_grow(d->nodes, &d->cap_nodes, d->n_nodes + 1, sizeof(struct driver_node *));
	d->nodes[d->n_nodes++] = node;
	driver_run(d, node);
	driver_ok(d, "%s", "");
}

/* ---- events ---- */

static void tick(struct driver *d, struct driver_node *node)
{
	core_tick(node->host.core, ++node->host.now);
	driver_run(d, node);
}

void do_tick(struct driver *d)
{
	bool all = d->n_args > 1 && jaco_str_eq(d->args[1], "all");
	struct driver_node *node = all ? NULL : driver_node_arg(d, 1, true);
	uint64_t n = 1;

	if (!all && !node)
		return;
	if (d->n_args > 2 && !jaco_str_to_u64(d->args[2], 1000000, &n)) {
		driver_err(d, "bad_argument");
		return;
	}
	for (; n; n--) {
		for (size_t i = 0; all && i < d->n_nodes; i++)
			if (d->nodes[i]->host.core)
				tick(d, d->nodes[i]);
		if (node)
			tick(d, node);
	}
	driver_ok(d, "%s", "");
}

void do_campaign(struct driver *d)
{
	struct driver_node *node = driver_node_arg(d, 1, true);

	if (!node)
		return;
	core_campaign(node->host.core);
	driver_run(d, node);
	driver_ok(d, "%s", "");
}

void do_propose(struct driver *d)
{
	struct driver_node *node = driver_node_arg(d, 1, true);
	struct jaco_err err = JACO_ERR_INIT;
	struct core_status status;
	struct core_entry *entry;
	uint64_t index;

	if (!node)
		return;
	if (d->n_args < 3) {
		driver_err(d, "bad_argument");
		return;
	}
	entry = driver_entry(0, 0, d->args[2]);
	if (core_propose(node->host.core, entry, &index, &err) < 0) {
		driver_failure(d, node, &err);
		return;
	}
	core_status(node->host.core, &status);
	driver_run(d, node);
	driver_ok(d, "\"index\":%llu,\"term\":%llu", (unsigned long long)index,
		  (unsigned long long)status.term);
}

void do_conf(struct driver *d)
{
	struct driver_node *node = driver_node_arg(d, 1, true);
	struct jaco_err err = JACO_ERR_INIT;
	enum core_change change;
	uint64_t index, id;

	if (!node)
		return;
	if (d->n_args < 3 || !driver_change(d->args[2], &change, &id)) {
		driver_err(d, "bad_argument");
		return;
	}
	if (core_change(node->host.core, change, id, &index, &err) < 0) {
		driver_failure(d, node, &err);
		return;
	}
	driver_run(d, node);
	driver_ok(d, "\"index\":%llu", (unsigned long long)index);
}

void do_transfer(struct driver *d)
{
	struct driver_node *node = driver_node_arg(d, 1, true);
	struct jaco_err err = JACO_ERR_INIT;
	uint64_t to;

	if (!node)
		return;
	if (d->n_args < 3 || !jaco_str_to_u64(d->args[2], UINT64_MAX, &to)) {
		driver_err(d, "bad_argument");
		return;
	}
	if (core_transfer(node->host.core, to, &err) < 0) {
		driver_failure(d, node, &err);
		return;
	}
	driver_run(d, node);
	driver_ok(d, "%s", "");
}

void do_compact(struct driver *d)
{
	struct driver_node *node = driver_node_arg(d, 1, true);
	struct jaco_err err = JACO_ERR_INIT;
	struct core_status status;
	uint64_t index;

	if (!node)
		return;
	core_status(node->host.core, &status);
	index = status.applied;
	if (d->n_args > 2 && !jaco_str_to_u64(d->args[2], UINT64_MAX, &index)) {
		driver_err(d, "bad_argument");
		return;
	}
	if (host_compact(&node->host, index, &err) < 0) {
		driver_err(d, "refused");
		return;
	}
	driver_run(d, node);
	driver_ok(d, "\"index\":%llu", (unsigned long long)index);
}

void do_read(struct driver *d)
{
	struct driver_node *node = driver_node_arg(d, 1, true);
	struct jaco_err err = JACO_ERR_INIT;

	if (!node)
		return;
	if (core_read(node->host.core, d->tokens + 1, &err) < 0) {
		driver_failure(d, node, &err);
		return;
	}
	d->tokens++;
	driver_run(d, node);
	driver_ok(d, "\"token\":%llu", (unsigned long long)d->tokens);
}

void do_reads(struct driver *d)
{
	struct driver_node *node = driver_node_arg(d, 1, false);

	if (!node)
		return;
	jaco_buf_add_str(&d->out, "{\"ok\":true,\"reads\":[");
	for (size_t i = 0; i < node->n_reads; i++)
		jaco_buf_printf(&d->out, "%s{\"token\":%llu,\"index\":%llu}", i ? "," : "",
				(unsigned long long)node->reads[i].token,
				(unsigned long long)node->reads[i].index);
	jaco_buf_add_str(&d->out, "]}\n");
}

/* ---- failures ---- */

void do_crash(struct driver *d)
{
	struct driver_node *node = driver_node_arg(d, 1, true);
	size_t kept = 0;

	if (!node)
		return;
	host_crash(&node->host, 0, 0);
	node->n_reads = 0;
	for (size_t i = 0; i < d->n_queue; i++) {
		if (d->queue[i].msg.from == node->id || d->queue[i].msg.to == node->id)
			host_message_fini(&d->queue[i]);
		else
			d->queue[kept++] = d->queue[i];
	}
	d->n_queue = kept;
	driver_ok(d, "%s", "");
}

void do_restart(struct driver *d)
{
	struct driver_node *node = driver_node_arg(d, 1, false);
	struct jaco_err err = JACO_ERR_INIT;

	if (!node)
		return;
	if (node->host.core) {
		driver_err(d, "up");
		return;
	}
	node->host.auto_flush = true;
	if (host_start(&node->host, &err) < 0) {
		driver_err(d, "refused");
		return;
	}
	driver_run(d, node);
	driver_ok(d, "%s", "");
}

void do_sync(struct driver *d)
{
	struct driver_node *node = driver_node_arg(d, 1, true);
	bool on = d->n_args > 2 && jaco_str_eq(d->args[2], "on");

	if (!node)
		return;
	if (d->n_args < 3 || !(on || jaco_str_eq(d->args[2], "off"))) {
		driver_err(d, "bad_argument");
		return;
	}
	node->host.auto_flush = on;
	while (on && node->host.writes)
		host_flush_one(&node->host);
	driver_run(d, node);
	driver_ok(d, "%s", "");
}

/* ---- looking ---- */

void do_state(struct driver *d)
{
	struct driver_node *node = driver_node_arg(d, 1, false);

	if (node)
		driver_show_state(&d->out, &node->host);
}

void do_log(struct driver *d)
{
	struct driver_node *node = driver_node_arg(d, 1, false);
	const struct host_disk *disk;

	if (!node)
		return;
	disk = &node->host.disk;
	jaco_buf_add_str(&d->out, "{\"ok\":true,\"entries\":[");
	for (size_t i = 0; i < disk->n_log; i++) {
		jaco_buf_printf(&d->out, "%s[%llu,%llu,", i ? "," : "",
				(unsigned long long)disk->log[i]->index,
				(unsigned long long)disk->log[i]->term);
		driver_show_data(&d->out, disk->log[i]);
		jaco_buf_add_char(&d->out, ']');
	}
	jaco_buf_add_str(&d->out, "]}\n");
}

void do_applied(struct driver *d)
{
	struct driver_node *node = driver_node_arg(d, 1, false);
	const struct host_state *state;

	if (!node)
		return;
	state = node->host.core ? &node->host.state : &node->host.disk.state;
	jaco_buf_add_str(&d->out, "{\"ok\":true,\"data\":[");
	for (size_t i = 0; i < state->n; i++) {
		jaco_buf_add_str(&d->out, i ? "," : "");
		driver_show_data(&d->out, state->items[i]);
	}
	jaco_buf_add_str(&d->out, "]}\n");
}
