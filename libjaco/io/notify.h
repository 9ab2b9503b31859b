/* SPDX-License-Identifier: Apache-2.0
 *
 * notify.h - what the service manager is told and gives us (sd_notify(3), sd_listen_fds(3)).
 *
 * The protocol is a datagram to $NOTIFY_SOCKET and three variables; spoken here directly, so that
 * it works in builds without libsystemd and under `jaco supervise`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/auto.h"

/* "READY=1\nSTATUS=..."; silently nothing without a service manager. */
void jaco_notify(const char *fmt, ...) JACO_PRINTF(1, 2);

/* Half of WatchdogSec in ms, 0 when no watchdog is wanted. */
int64_t jaco_notify_watchdog_ms(void);

/* Remember the descriptors passed in (once, at start); variables are removed from the
 * environment. */
void jaco_notify_take_fds(void);

/* The @nth passed descriptor with that FileDescriptorName, or -1. */
int jaco_notify_fd(const char *name, size_t nth);

/* Is standard error the journal ($JOURNAL_STREAM)? */
bool jaco_notify_has_journal(void);
