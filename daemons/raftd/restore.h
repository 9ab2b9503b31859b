/* SPDX-License-Identifier: Apache-2.0
 *
 * restore.h - a backup becomes the state of this node, or is shown to be able to
 * (spec/operations.md "Backup, restore"): what `jaco-raftd --restore` and `--verify` do instead of
 * serving. */
#pragma once

#include "libjaco/daemon/daemon.h"

/* Was it asked for?  Then everything is done, the outcome is one JSON object on standard output
 * (backup_result, or {"error": ...}), and @out_status is how to exit. */
bool restore_was_asked(struct jaco_daemon *daemon, int *out_status);
