/* SPDX-License-Identifier: Apache-2.0
 *
 * auth.h - Basic credentials of a route (RFC 7617), checked against crypt(5) hashes. */
#pragma once

#include <stdbool.h>

#include "daemons/proxyd/http1.h"
#include "daemons/proxyd/route.h"

/* Does the request carry a user and password of @route?  Takes as long for an unknown user as for a
 * known one.  Remembers what it found correct, because a good hash is meant to be slow. */
bool auth_check(const struct http1_head *head, const struct route *route);
