/* SPDX-License-Identifier: Apache-2.0
 *
 * raft-driver - the raft core behind a line protocol (spec/raft-driver.md).
 *
 * Any number of nodes in one process, a network that is a queue, disks with a durable mark.  Reads
 * one command a line, answers one JSON object a line, never exits on a bad command; the same lines
 * give the same answers.  The words of the commands are in driver_words.c. */
#include <stdio.h>
#include <string.h>

#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "tests/tools/driver.h"

/* ---- the world ---- */

static struct driver_node *find_node(struct driver *d, uint64_t id)
{
	for (size_t i = 0; i < d->n_nodes; i++)
		if (d->nodes[i]->id == id)
			return d->nodes[i];
	return NULL;
}

static bool is_cut(const struct driver *d, uint64_t from, uint64_t to)
{
	for (size_t i = 0; i < d->n_cuts; i++)
		if (d->cuts[i].from == from && d->cuts[i].to == to)
			return true;
	return false;
}

static void push(struct driver *d, const struct core_message *msg)
{
	d->queue = jaco_grow(d->queue, &d->cap_queue, d->n_queue + 1, sizeof(*d->queue));
	host_message_copy(&d->queue[d->n_queue++], msg);
}

static void post(void *ctx, const struct core_message *msg)
{
	struct driver *d = ctx;

	if (!is_cut(d, msg->from, msg->to))
		push(d, msg);
}

static void run(struct driver *d, struct driver_node *node)
{
	host_run(&node->host, post, d);
	for (size_t i = 0; i < node->host.n_reads; i++) {
		node->reads = jaco_grow(node->reads, &node->cap_reads, node->n_reads + 1,
					sizeof(*node->reads));
		if (node->host.reads[i].ok)
			node->reads[node->n_reads++] = node->host.reads[i];
	}
	node->host.n_reads = 0;
}

static struct host_message take_message(struct driver *d, size_t i)
{
	struct host_message message = d->queue[i];

	d->n_queue--;
	memmove(&d->queue[i], &d->queue[i + 1], (d->n_queue - i) * sizeof(*d->queue));
	return message;
}

/* A message over a cut link, or to a node that is down, vanishes. */
static void hand_in(struct driver *d, struct host_message *message)
{
	const struct core_message *msg = host_message_get(message);
	struct driver_node *node = find_node(d, msg->to);

	if (node && node->host.core && !is_cut(d, msg->from, msg->to)) {
		host_receive(&node->host, msg);
		run(d, node);
	}
	host_message_fini(message);
}

static void free_world(struct driver *d)
{
	for (size_t i = 0; i < d->n_nodes; i++) {
		host_fini(&d->nodes[i]->host);
		jaco_free(d->nodes[i]->reads);
		jaco_free(d->nodes[i]);
	}
	for (size_t i = 0; i < d->n_queue; i++)
		host_message_fini(&d->queue[i]);
	d->n_nodes = d->n_queue = d->n_cuts = 0;
	d->tokens = 0;
}

/* ---- answers ---- */

static void answer_ok(struct driver *d, const char *fmt, ...) JACO_PRINTF(2, 3);
static void answer_ok(struct driver *d, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* numbers and our own words only */
	va_end(ap);
	jaco_buf_printf(&d->out, "{\"ok\":true%s%s}\n", *text ? "," : "", text);
}

static bool answer_err(struct driver *d, const char *word)
{
	jaco_buf_printf(&d->out, "{\"ok\":false,\"err\":\"%s\"}\n", word);
	return false;
}

static void answer_failure(struct driver *d, const struct driver_node *node,
			   const struct jaco_err *err)
{
	struct core_status status;

	core_status(node->host.core, &status);
	if (err->code == JACO_NO_LEADER)
		jaco_buf_printf(&d->out, "{\"ok\":false,\"err\":\"not_leader\",\"leader\":%llu}\n",
				(unsigned long long)status.leader);
	else
		answer_err(d,
			   err->code == JACO_UNAVAILABLE ? "refused" : jaco_code_name(err->code));
}

/* The node of argument @i, or NULL after an error answer. */
static struct driver_node *node_arg(struct driver *d, size_t i, bool must_be_up)
{
	uint64_t id;
	struct driver_node *node;

	if (i >= d->n_args || !jaco_str_to_u64(d->args[i], UINT64_MAX, &id)) {
		answer_err(d, "bad_argument");
		return NULL;
	}
	node = find_node(d, id);
	if (!node)
		answer_err(d, "no_such_node");
	else if (must_be_up && !node->host.core) {
		answer_err(d, "down");
		node = NULL;
	}
	return node;
}

/* ---- nodes ---- */

static void do_hello(struct driver *d)
{
	answer_ok(d, "\"proto\":1,\"impl\":\"jaco\",\"features\":[\"prevote\",\"checkquorum\","
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

static void do_reset(struct driver *d)
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
		answer_err(d, "bad_argument");
		return;
	}
	opt.prevote = prevote;
	opt.check_quorum = check_quorum;
	opt.lease_reads = jaco_str_eq(reads, "lease");
	opt.seed = seed;
	free_world(d);
	d->options = opt;
	answer_ok(d, "%s", "");
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

static void do_node(struct driver *d)
{
	struct driver_node *node;
	struct jaco_err err = JACO_ERR_INIT;
	uint64_t id;

	if (d->n_args < 2 || !jaco_str_to_u64(d->args[1], UINT64_MAX, &id) || !id) {
		answer_err(d, "bad_argument");
		return;
	}
	if (find_node(d, id)) {
		answer_err(d, "exists");
		return;
	}
	node = jaco_alloc(sizeof(*node));
	node->id = id;
	d->options.id = id;
	host_init(&node->host, &d->options);
	if (!read_disk(d, &node->host.disk) || host_start(&node->host, &err) < 0) {
		host_fini(&node->host);
		jaco_free(node);
		answer_err(d, "bad_argument");
		return;
	}
	d->nodes = jaco_grow(d->nodes, &d->cap_nodes, d->n_nodes + 1, sizeof(struct driver_node *));
	d->nodes[d->n_nodes++] = node;
	run(d, node);
	answer_ok(d, "%s", "");
}

/* ---- events ---- */

static void tick(struct driver *d, struct driver_node *node)
{
	core_tick(node->host.core, ++node->host.now);
	run(d, node);
}

static void do_tick(struct driver *d)
{
	bool all = d->n_args > 1 && jaco_str_eq(d->args[1], "all");
	struct driver_node *node = all ? NULL : node_arg(d, 1, true);
	uint64_t n = 1;

	if (!all && !node)
		return;
	if (d->n_args > 2 && !jaco_str_to_u64(d->args[2], 1000000, &n)) {
		answer_err(d, "bad_argument");
		return;
	}
	for (; n; n--) {
		for (size_t i = 0; all && i < d->n_nodes; i++)
			if (d->nodes[i]->host.core)
				tick(d, d->nodes[i]);
		if (node)
			tick(d, node);
	}
	answer_ok(d, "%s", "");
}

static void do_campaign(struct driver *d)
{
	struct driver_node *node = node_arg(d, 1, true);

	if (!node)
		return;
	core_campaign(node->host.core);
	run(d, node);
	answer_ok(d, "%s", "");
}

static void do_propose(struct driver *d)
{
	struct driver_node *node = node_arg(d, 1, true);
	struct jaco_err err = JACO_ERR_INIT;
	struct core_status status;
	struct core_entry *entry;
	uint64_t index;

	if (!node)
		return;
	if (d->n_args < 3) {
		answer_err(d, "bad_argument");
		return;
	}
	entry = driver_entry(0, 0, d->args[2]);
	if (core_propose(node->host.core, entry, &index, &err) < 0) {
		answer_failure(d, node, &err);
		return;
	}
	core_status(node->host.core, &status);
	run(d, node);
	answer_ok(d, "\"index\":%llu,\"term\":%llu", (unsigned long long)index,
		  (unsigned long long)status.term);
}

static void do_conf(struct driver *d)
{
	struct driver_node *node = node_arg(d, 1, true);
	struct jaco_err err = JACO_ERR_INIT;
	enum core_change change;
	uint64_t index, id;

	if (!node)
		return;
	if (d->n_args < 3 || !driver_change(d->args[2], &change, &id)) {
		answer_err(d, "bad_argument");
		return;
	}
	if (core_change(node->host.core, change, id, &index, &err) < 0) {
		answer_failure(d, node, &err);
		return;
	}
	run(d, node);
	answer_ok(d, "\"index\":%llu", (unsigned long long)index);
}

static void do_transfer(struct driver *d)
{
	struct driver_node *node = node_arg(d, 1, true);
	struct jaco_err err = JACO_ERR_INIT;
	uint64_t to;

	if (!node)
		return;
	if (d->n_args < 3 || !jaco_str_to_u64(d->args[2], UINT64_MAX, &to)) {
		answer_err(d, "bad_argument");
		return;
	}
	if (core_transfer(node->host.core, to, &err) < 0) {
		answer_failure(d, node, &err);
		return;
	}
	run(d, node);
	answer_ok(d, "%s", "");
}

static void do_compact(struct driver *d)
{
	struct driver_node *node = node_arg(d, 1, true);
	struct jaco_err err = JACO_ERR_INIT;
	struct core_status status;
	uint64_t index;

	if (!node)
		return;
	core_status(node->host.core, &status);
	index = status.applied;
	if (d->n_args > 2 && !jaco_str_to_u64(d->args[2], UINT64_MAX, &index)) {
		answer_err(d, "bad_argument");
		return;
	}
	if (host_compact(&node->host, index, &err) < 0) {
		answer_err(d, "refused");
		return;
	}
	run(d, node);
	answer_ok(d, "\"index\":%llu", (unsigned long long)index);
}

static void do_read(struct driver *d)
{
	struct driver_node *node = node_arg(d, 1, true);
	struct jaco_err err = JACO_ERR_INIT;

	if (!node)
		return;
	if (core_read(node->host.core, d->tokens + 1, &err) < 0) {
		answer_failure(d, node, &err);
		return;
	}
	d->tokens++;
	run(d, node);
	answer_ok(d, "\"token\":%llu", (unsigned long long)d->tokens);
}

static void do_reads(struct driver *d)
{
	struct driver_node *node = node_arg(d, 1, false);

	if (!node)
		return;
	jaco_buf_add_str(&d->out, "{\"ok\":true,\"reads\":[");
	for (size_t i = 0; i < node->n_reads; i++)
		jaco_buf_printf(&d->out, "%s{\"token\":%llu,\"index\":%llu}", i ? "," : "",
				(unsigned long long)node->reads[i].token,
				(unsigned long long)node->reads[i].index);
	jaco_buf_add_str(&d->out, "]}\n");
}

/* ---- the network ---- */

static void do_msgs(struct driver *d)
{
	struct driver_filter filter;
	const char *between = "";

	if (!driver_filter(d, &filter)) {
		answer_err(d, "bad_argument");
		return;
	}
	jaco_buf_add_str(&d->out, "{\"ok\":true,\"msgs\":[");
	for (size_t i = 0; i < d->n_queue; i++) {
		if (!driver_matches(&filter, &d->queue[i].msg))
			continue;
		jaco_buf_add_str(&d->out, between);
		driver_show(&d->out, host_message_get(&d->queue[i]));
		between = ",";
	}
	jaco_buf_add_str(&d->out, "]}\n");
}

/* Take the matching messages, at most filter.max, out of the queue. */
static struct host_message *take_matching(struct driver *d, size_t *out_n)
{
	struct driver_filter filter;
	struct host_message *taken = NULL;
	size_t cap = 0;

	*out_n = 0;
	if (!driver_filter(d, &filter)) {
		answer_err(d, "bad_argument");
		return NULL;
	}
	taken = jaco_grow(taken, &cap, 1, sizeof(*taken));
	for (size_t i = 0; i < d->n_queue && *out_n < filter.max;) {
		if (!driver_matches(&filter, &d->queue[i].msg)) {
			i++;
			continue;
		}
		taken = jaco_grow(taken, &cap, *out_n + 1, sizeof(*taken));
		taken[(*out_n)++] = take_message(d, i);
	}
	return taken;
}

static void do_deliver(struct driver *d)
{
	size_t n;
	struct host_message *taken = take_matching(d, &n);

	if (!taken)
		return;
	for (size_t i = 0; i < n; i++)
		hand_in(d, &taken[i]);
	jaco_free(taken);
	answer_ok(d, "\"n\":%zu", n);
}

static void do_drop(struct driver *d)
{
	size_t n;
	struct host_message *taken = take_matching(d, &n);

	if (!taken)
		return;
	for (size_t i = 0; i < n; i++)
		host_message_fini(&taken[i]);
	jaco_free(taken);
	answer_ok(d, "\"n\":%zu", n);
}

static void do_dup(struct driver *d)
{
	struct driver_filter filter;
	size_t before = d->n_queue, n = 0;

	if (!driver_filter(d, &filter)) {
		answer_err(d, "bad_argument");
		return;
	}
	for (size_t i = 0; i < before && n < filter.max; i++) {
		struct host_message copy;

		if (!driver_matches(&filter, &d->queue[i].msg))
			continue;
		host_message_copy(&copy, host_message_get(&d->queue[i]));
		d->queue = jaco_grow(d->queue, &d->cap_queue, d->n_queue + 1, sizeof(*d->queue));
		d->queue[d->n_queue++] = copy;
		n++;
	}
	answer_ok(d, "\"n\":%zu", n);
}

static void do_reverse(struct driver *d)
{
	struct driver_filter filter;
	size_t low = 0, high = d->n_queue, n = 0;

	if (!driver_filter(d, &filter)) {
		answer_err(d, "bad_argument");
		return;
	}
	for (size_t i = 0; i < d->n_queue; i++)
		n += driver_matches(&filter, &d->queue[i].msg);
	for (;;) {
		struct host_message swap;

		while (low < high && !driver_matches(&filter, &d->queue[low].msg))
			low++;
		while (high > low && !driver_matches(&filter, &d->queue[high - 1].msg))
			high--;
		if (low + 1 >= high)
			break;
		swap = d->queue[low];
		d->queue[low++] = d->queue[--high];
		d->queue[high] = swap;
	}
	answer_ok(d, "\"n\":%zu", n);
}

/* Enough for any story; a livelock must not hang the one who reads our answers. */
enum { SETTLE_MAX = 200000 };

static void do_settle(struct driver *d)
{
	struct core_conf among = {.n = 0};
	const char *ids = driver_value(d, "ids");
	size_t n = 0;

	if (!driver_members(ids, true, &among)) {
		answer_err(d, "bad_argument");
		return;
	}
	for (size_t i = 0; i < d->n_queue && n < SETTLE_MAX;) {
		const struct core_message *msg = &d->queue[i].msg;
		struct host_message message;

		if (ids &&
		    (!core_conf_find(&among, msg->from) || !core_conf_find(&among, msg->to))) {
			i++;
			continue;
		}
		message = take_message(d, i);
		hand_in(d, &message);
		n++;
	}
	if (n == SETTLE_MAX)
		answer_err(d, "never_settles");
	else
		answer_ok(d, "\"n\":%zu", n);
}

static void cut_link(struct driver *d, uint64_t from, uint64_t to)
{
	if (is_cut(d, from, to))
		return;
	d->cuts = jaco_grow(d->cuts, &d->cap_cuts, d->n_cuts + 1, sizeof(*d->cuts));
	d->cuts[d->n_cuts++] = (struct driver_cut){.from = from, .to = to};
}

static void do_cut(struct driver *d)
{
	uint64_t a, b;

	if (d->n_args < 3 || !jaco_str_to_u64(d->args[1], UINT64_MAX, &a) ||
	    !jaco_str_to_u64(d->args[2], UINT64_MAX, &b)) {
		answer_err(d, "bad_argument");
		return;
	}
	cut_link(d, a, b);
	if (jaco_str_eq(d->args[0], "cut"))
		cut_link(d, b, a);
	answer_ok(d, "%s", "");
}

static void do_heal(struct driver *d)
{
	d->n_cuts = 0;
	answer_ok(d, "%s", "");
}

static void do_rpc(struct driver *d)
{
	struct driver_node *node = node_arg(d, 1, true);
	struct core_message msg;
	struct driver_rpc rpc = {.data = JACO_BUF_INIT};

	if (!node)
		return;
	if (driver_rpc(d, node->id, &rpc, &msg)) {
		host_receive(&node->host, &msg);
		run(d, node);
		answer_ok(d, "%s", "");
	} else
		answer_err(d, "bad_argument");
	driver_rpc_fini(&rpc);
}

/* ---- failures ---- */

static void do_crash(struct driver *d)
{
	struct driver_node *node = node_arg(d, 1, true);
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
	answer_ok(d, "%s", "");
}

static void do_restart(struct driver *d)
{
	struct driver_node *node = node_arg(d, 1, false);
	struct jaco_err err = JACO_ERR_INIT;

	if (!node)
		return;
	if (node->host.core) {
		answer_err(d, "up");
		return;
	}
	node->host.auto_flush = true;
	if (host_start(&node->host, &err) < 0) {
		answer_err(d, "refused");
		return;
	}
	run(d, node);
	answer_ok(d, "%s", "");
}

static void do_sync(struct driver *d)
{
	struct driver_node *node = node_arg(d, 1, true);
	bool on = d->n_args > 2 && jaco_str_eq(d->args[2], "on");

	if (!node)
		return;
	if (d->n_args < 3 || !(on || jaco_str_eq(d->args[2], "off"))) {
		answer_err(d, "bad_argument");
		return;
	}
	node->host.auto_flush = on;
	while (on && node->host.writes)
		host_flush_one(&node->host);
	run(d, node);
	answer_ok(d, "%s", "");
}

/* ---- looking ---- */

static void do_state(struct driver *d)
{
	struct driver_node *node = node_arg(d, 1, false);

	if (node)
		driver_show_state(&d->out, &node->host);
}

static void do_log(struct driver *d)
{
	struct driver_node *node = node_arg(d, 1, false);
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

static void do_applied(struct driver *d)
{
	struct driver_node *node = node_arg(d, 1, false);
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

static const struct {
	const char *name;
	void (*fn)(struct driver *d);
} commands[] = {
	{"hello", do_hello}, {"reset", do_reset}, {"node", do_node}, {"tick", do_tick},
	{"campaign", do_campaign}, {"propose", do_propose}, {"conf", do_conf},
	{"transfer", do_transfer}, {"compact", do_compact}, {"read", do_read},
	{"reads", do_reads}, {"msgs", do_msgs}, {"deliver", do_deliver}, {"settle", do_settle},
	{"drop", do_drop}, {"dup", do_dup}, {"reverse", do_reverse}, {"cut", do_cut},
	{"cut1", do_cut}, {"heal", do_heal}, {"crash", do_crash}, {"restart", do_restart},
	{"sync", do_sync}, {"rpc", do_rpc}, {"state", do_state}, {"log", do_log},
	{"applied", do_applied},
};

static void do_line(struct driver *d, char *line)
{
	char *rest = line;

	d->n_args = 0;
	for (char *word; (word = strsep(&rest, " \t\r\n"));)
		if (*word && d->n_args < DRIVER_ARGS_MAX)
			d->args[d->n_args++] = word;
	if (!d->n_args) {
		answer_err(d, "empty");
		return;
	}
	for (size_t i = 0; i < JACO_ARRAY_SIZE(commands); i++) {
		if (jaco_str_eq(commands[i].name, d->args[0])) {
			commands[i].fn(d);
			return;
		}
	}
	answer_err(d, "unknown_command");
}

int main(void)
{
	struct driver d = {.out = JACO_BUF_INIT};
	char *line = NULL;
	size_t cap = 0;

	(void)jaco_str_copy(d.word, sizeof(d.word), "reset");
	d.args[d.n_args++] = d.word;
	do_reset(&d);
	jaco_buf_reset(&d.out);
	while (getline(&line, &cap, stdin) > 0) {
		do_line(&d, line);
		(void)fwrite(d.out.data, 1, d.out.n, stdout);
		(void)fflush(stdout); /* a reader that is gone ends us by SIGPIPE */
		jaco_buf_reset(&d.out);
	}
	free_world(&d);
	jaco_free(d.nodes);
	jaco_free(d.queue);
	jaco_free(d.cuts);
	jaco_buf_fini(&d.out);
	jaco_free(line);
	return 0;
}
