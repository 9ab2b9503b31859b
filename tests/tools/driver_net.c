/* SPDX-License-Identifier: Apache-2.0
 *
 * driver_net.c - commands to the network: which message arrives when, twice, or not at all. */
#include "tests/tools/driver_do.h"

#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "tests/tools/driver_words.h"

void do_msgs(struct driver *d)
{
	struct driver_filter filter;
	const char *between = "";

	if (!driver_filter(d, &filter)) {
		driver_err(d, "bad_argument");
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
		driver_err(d, "bad_argument");
		return NULL;
	}
	taken = jaco_grow(taken, &cap, 1, sizeof(*taken));
	for (size_t i = 0; i < d->n_queue && *out_n < filter.max;) {
		if (!driver_matches(&filter, &d->queue[i].msg)) {
			i++;
			continue;
		}
		taken = jaco_grow(taken, &cap, *out_n + 1, sizeof(*taken));
		taken[(*out_n)++] = driver_take(d, i);
	}
	return taken;
}

void do_deliver(struct driver *d)
{
	size_t n;
	struct host_message *taken = take_matching(d, &n);

	if (!taken)
		return;
	for (size_t i = 0; i < n; i++)
		driver_hand_in(d, &taken[i]);
	jaco_free(taken);
	driver_ok(d, "\"n\":%zu", n);
}

void do_drop(struct driver *d)
{
	size_t n;
	struct host_message *taken = take_matching(d, &n);

	if (!taken)
		return;
	for (size_t i = 0; i < n; i++)
		host_message_fini(&taken[i]);
	jaco_free(taken);
	driver_ok(d, "\"n\":%zu", n);
}

void do_dup(struct driver *d)
{
	struct driver_filter filter;
	size_t before = d->n_queue, n = 0;

	if (!driver_filter(d, &filter)) {
		driver_err(d, "bad_argument");
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
	driver_ok(d, "\"n\":%zu", n);
}

void do_reverse(struct driver *d)
{
	struct driver_filter filter;
	size_t low = 0, high = d->n_queue, n = 0;

	if (!driver_filter(d, &filter)) {
		driver_err(d, "bad_argument");
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
	driver_ok(d, "\"n\":%zu", n);
}

/* Enough for any story; a livelock must not hang the one who reads our answers. */
enum { SETTLE_MAX = 200000 };

void do_settle(struct driver *d)
{
	struct core_conf among = {.n = 0};
	const char *ids = driver_value(d, "ids");
	size_t n = 0;

	if (!driver_members(ids, true, &among)) {
		driver_err(d, "bad_argument");
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
		message = driver_take(d, i);
		driver_hand_in(d, &message);
		n++;
	}
	if (n == SETTLE_MAX)
		driver_err(d, "never_settles");
	else
		driver_ok(d, "\"n\":%zu", n);
}

static void cut_link(struct driver *d, uint64_t from, uint64_t to)
{
	if (driver_is_cut(d, from, to))
		return;
	d->cuts = jaco_grow(d->cuts, &d->cap_cuts, d->n_cuts + 1, sizeof(*d->cuts));
	d->cuts[d->n_cuts++] = (struct driver_cut){.from = from, .to = to};
}

void do_cut(struct driver *d)
{
	uint64_t a, b;

	if (d->n_args < 3 || !jaco_str_to_u64(d->args[1], UINT64_MAX, &a) ||
	    !jaco_str_to_u64(d->args[2], UINT64_MAX, &b)) {
		driver_err(d, "bad_argument");
		return;
	}
	cut_link(d, a, b);
	if (jaco_str_eq(d->args[0], "cut"))
		cut_link(d, b, a);
	driver_ok(d, "%s", "");
}

void do_heal(struct driver *d)
{
	d->n_cuts = 0;
	driver_ok(d, "%s", "");
}

void do_rpc(struct driver *d)
{
	struct driver_node *node = driver_node_arg(d, 1, true);
	struct core_message msg;
	struct driver_rpc rpc = {.data = JACO_BUF_INIT};

	if (!node)
		return;
	if (driver_rpc(d, node->id, &rpc, &msg)) {
		host_receive(&node->host, &msg);
		driver_run(d, node);
		driver_ok(d, "%s", "");
	} else
		driver_err(d, "bad_argument");
	driver_rpc_fini(&rpc);
}
