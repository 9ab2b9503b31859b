/* SPDX-License-Identifier: Apache-2.0
 *
 * fdstore.h - sockets that a child of `jaco supervise` wants kept while it is restarted.
 *
 * The protocol is systemd's (sd_pid_notify_with_fds(3), FDSTORE=1): a datagram to $NOTIFY_SOCKET
 * with the descriptor and its name; the next start gets them back from descriptor 3 on.  So a
 * daemon knows one way only.  Who sends is known by its process id, which the kernel vouches for
 * (unix(7), SCM_CREDENTIALS): descriptors of strangers are closed, and everybody gets back his
 * own. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "libjaco/base/err.h"
#include "libjaco/io/loop.h"

#define FDSTORE_MAX        512 /* in all: half of the usual limit of descriptors */
#define FDSTORE_OWNERS_MAX 8
#define FDSTORE_NAME_BYTES 32  /* with its end, as libjaco/io/notify.c reads it */

#define FDSTORE_NAMES_BYTES (FDSTORE_MAX * (FDSTORE_NAME_BYTES + 1))

struct fdstore {
	int sock;
	struct jaco_io io;
	char address[32]; /* "NOTIFY_SOCKET=@...": what the children's environment needs */
	pid_t pids[FDSTORE_OWNERS_MAX];
	struct fdstore_kept {
		size_t owner;
		int fd;
		char name[FDSTORE_NAME_BYTES];
	} kept[FDSTORE_MAX];
	size_t n;
};

int fdstore_open(struct fdstore *store, struct jaco_loop *loop, struct jaco_err *err);
void fdstore_close(struct fdstore *store); /* closes what is kept as well */

/* @pid speaks for @owner from now on; what the one before said was taken by fdstore_list(), which
 * comes first. */
void fdstore_set_owner(struct fdstore *store, size_t owner, pid_t pid);

/* What is kept for @owner: descriptors in ascending order, which stay the store's, and their names
 * in the same order with ':' between them.  Returns their number. */
size_t fdstore_list(struct fdstore *store, size_t owner, int out_fds[static FDSTORE_MAX],
		    char out_names[static FDSTORE_NAMES_BYTES]);
