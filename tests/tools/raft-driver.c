/* SPDX-License-Identifier: Apache-2.0
 *
 * raft-driver - the raft core behind a line protocol (spec/raft-driver.md).
 *
 * Any number of nodes in one process, a network that is a queue, disks with a durable mark.  Reads
 * one command a line, answers one JSON object a line, never exits on a bad command; the same lines
 * give the same answers.  The words of the commands are in driver_words.c, what they do in
 * driver_nodes.c and driver_net.c. */
#include <stdio.h>
#include <string.h>

#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "tests/tools/driver_do.h"

static const struct {
	const char *name;
	void (*fn)(struct driver *d);
} commands[] = {
	{"hello", do_hello},     {"reset", do_reset},       {"node", do_node},
	{"tick", do_tick},       {"campaign", do_campaign}, {"propose", do_propose},
	{"conf", do_conf},       {"transfer", do_transfer}, {"compact", do_compact},
	{"read", do_read},       {"reads", do_reads},       {"msgs", do_msgs},
	{"deliver", do_deliver}, {"settle", do_settle},     {"drop", do_drop},
	{"dup", do_dup},         {"reverse", do_reverse},   {"cut", do_cut},
	{"cut1", do_cut},        {"heal", do_heal},         {"crash", do_crash},
	{"restart", do_restart}, {"sync", do_sync},         {"rpc", do_rpc},
	{"state", do_state},     {"log", do_log},           {"applied", do_applied},
};

static void do_line(struct driver *d, char *line)
{
	char *rest = line;

	d->n_args = 0;
	for (char *word; (word = strsep(&rest, " \t\r\n"));)
		if (*word && d->n_args < DRIVER_ARGS_MAX)
			d->args[d->n_args++] = word;
	if (!d->n_args) {
		driver_err(d, "empty");
		return;
	}
	for (size_t i = 0; i < JACO_ARRAY_SIZE(commands); i++) {
		if (jaco_str_eq(commands[i].name, d->args[0])) {
			commands[i].fn(d);
			return;
		}
	}
	driver_err(d, "unknown_command");
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
	driver_clear(&d);
	jaco_free(d.nodes);
	jaco_free(d.queue);
	jaco_free(d.cuts);
	jaco_buf_fini(&d.out);
	jaco_free(line);
	return 0;
}
