/* SPDX-License-Identifier: Apache-2.0
 *
 * driver.c - the world: nodes, the queue that is their network, the cuts in it. */
#include "tests/tools/driver.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

struct driver_node *driver_find(struct driver *d, uint64_t id)
{
	for (size_t i = 0; i < d->n_nodes; i++)
		if (d->nodes[i]->id == id)
			return d->nodes[i];
	return NULL;
}

bool driver_is_cut(const struct driver *d, uint64_t from, uint64_t to)
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

	if (!driver_is_cut(d, msg->from, msg->to))
		push(d, msg);
}

void driver_run(struct driver *d, struct driver_node *node)
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

struct host_message driver_take(struct driver *d, size_t i)
{
	struct host_message message = d->queue[i];

	d->n_queue--;
	memmove(&d->queue[i], &d->queue[i + 1], (d->n_queue - i) * sizeof(*d->queue));
	return message;
}

void driver_hand_in(struct driver *d, struct host_message *message)
{
	const struct core_message *msg = host_message_get(message);
	struct driver_node *node = driver_find(d, msg->to);

	if (node && node->host.core && !driver_is_cut(d, msg->from, msg->to)) {
		host_receive(&node->host, msg);
		driver_run(d, node);
	}
	host_message_fini(message);
}

void driver_clear(struct driver *d)
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

void driver_ok(struct driver *d, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* numbers and our own words only */
	va_end(ap);
	jaco_buf_printf(&d->out, "{\"ok\":true%s%s}\n", *text ? "," : "", text);
}

bool driver_err(struct driver *d, const char *word)
{
	jaco_buf_printf(&d->out, "{\"ok\":false,\"err\":\"%s\"}\n", word);
	return false;
}

void driver_failure(struct driver *d, const struct driver_node *node, const struct jaco_err *err)
{
	struct core_status status;

	core_status(node->host.core, &status);
	if (err->code == JACO_NO_LEADER)
		jaco_buf_printf(&d->out, "{\"ok\":false,\"err\":\"not_leader\",\"leader\":%llu}\n",
				(unsigned long long)status.leader);
	else
		driver_err(d,
			   err->code == JACO_UNAVAILABLE ? "refused" : jaco_code_name(err->code));
}

struct driver_node *driver_node_arg(struct driver *d, size_t i, bool must_be_up)
{
	uint64_t id;
	struct driver_node *node;

	if (i >= d->n_args || !jaco_str_to_u64(d->args[i], UINT64_MAX, &id)) {
		driver_err(d, "bad_argument");
		return NULL;
	}
	node = driver_find(d, id);
	if (!node)
		driver_err(d, "no_such_node");
	else if (must_be_up && !node->host.core) {
		driver_err(d, "down");
		node = NULL;
	}
	return node;
}
