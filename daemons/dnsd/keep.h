/* SPDX-License-Identifier: Apache-2.0
 *
 * keep.h - sockets that outlive the process: the service manager's descriptor store
 * (sd_pid_notify_with_fds(3), FDSTORE=1).
 *
 * While no dnsd runs, queries wait in the kept sockets; the next one answers them.  Without a
 * service manager all of this does nothing. */
#pragma once

#include "libjaco/io/sock.h"

#define KEEP_NAME_BYTES (JACO_ADDR_TEXT_BYTES + 8)

/* "udp-10.1.0.1-53": the protocol's names know no colon. */
void keep_name(char out[static KEEP_NAME_BYTES], const char *transport,
	       const struct jaco_addr *addr);

/* The kept socket of that name, or -1. */
int keep_take(const char *name);

/* Have @fd kept; it stays ours too. */
void keep_store(int fd, const char *name);

/* Let it go. */
void keep_forget(const char *name);
