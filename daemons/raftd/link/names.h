/* SPDX-License-Identifier: Apache-2.0
 *
 * names.h - where a member is by its name, when it is not where it was.  Pure.
 *
 * The name is looked up in hosts(5), which the administrator keeps; no name server is asked.
 * Whoever answers there still has to show the member's key. */
#pragma once

#include <stdbool.h>

#include "libjaco/io/sock.h"

/* The address that the text of a hosts file gives to @name, with @port; the first one. */
bool names_find(const char *hosts, const char *name, uint16_t port, struct jaco_addr *out_addr);
