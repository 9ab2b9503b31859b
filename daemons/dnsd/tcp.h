/* SPDX-License-Identifier: Apache-2.0
 *
 * tcp.h - queries over connections (RFC 7766): pipelined, answered as answers come, bounded in
 * number and idle time. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "daemons/dnsd/forward.h"
#include "daemons/dnsd/stats.h"
#include "daemons/dnsd/zone.h"
#include "libjaco/io/loop.h"

struct tcp_pool;

struct tcp_pool *tcp_pool_new(struct jaco_loop *loop, struct forward *forward, struct stats *stats);
void tcp_pool_free(struct tcp_pool *pool);
void tcp_pool_configure(struct tcp_pool *pool, size_t max, int64_t idle_ms);

/* Take the connections waiting at @fd.  When all places are taken the one idle longest goes.
 * @zone  where its owner keeps the zone to answer from; names the owner in tcp_close_of() */
void tcp_accept(struct tcp_pool *pool, int fd, const struct zone *const *zone);
void tcp_close_of(struct tcp_pool *pool, const struct zone *const *zone);
