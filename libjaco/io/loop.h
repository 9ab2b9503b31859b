/* SPDX-License-Identifier: Apache-2.0
 *
 * loop.h - the one event loop of a process: descriptors, timers, signals, deferred work.
 *
 * libevent, wrapped once.  The clock is injected, so that code above can be driven by a virtual
 * one.
 * Watchers are embedded in their owner and are inert after *_stop(); stopping one that never
 * started is harmless.  Single-threaded: a loop belongs to the thread that runs it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/auto.h"
#include "libjaco/base/err.h"
#include "libjaco/base/time.h"

struct event;
struct event_base;

struct jaco_clock {
	struct jaco_time (*now)(void *ctx);
	void *ctx;
};

struct jaco_loop {
	struct event_base *base;
	struct jaco_clock clock;
	bool is_stopping;
	int failed;          /* negative code when a callback ended the loop by jaco_loop_fail() */
	struct jaco_err err; /* and why */
};

/* @clock may be NULL: CLOCK_MONOTONIC. */
int jaco_loop_open(struct jaco_loop *loop, const struct jaco_clock *clock, struct jaco_err *err);

/* The same for a thread that moves data: no timerfd, which would cost a system call per pass, so
 * timers are good to 4 ms only. */
int jaco_loop_open_fast(struct jaco_loop *loop, struct jaco_err *err);
void jaco_loop_close(struct jaco_loop *loop);

struct jaco_time jaco_loop_now(const struct jaco_loop *loop);

/* Until jaco_loop_stop() or jaco_loop_fail(); the latter's error is returned. */
int jaco_loop_run(struct jaco_loop *loop, struct jaco_err *err);

/* One pass: handle what is ready, waiting at most @wait_ms (0: do not wait). */
void jaco_loop_once(struct jaco_loop *loop, int64_t wait_ms);
void jaco_loop_stop(struct jaco_loop *loop);
void jaco_loop_fail(struct jaco_loop *loop, const struct jaco_err *err);

/* --- descriptors --- */

enum {
	JACO_IO_READ = 1,
	JACO_IO_WRITE = 2,
	JACO_IO_EDGE =
		4, /* edge-triggered (epoll(7)): the callback must drain until EAGAIN or short */
	JACO_IO_HANGUP =
		8, /* report that the peer will send no more, so that a short read may end a
			     * drain unless this was set (EPOLLRDHUP) */
};

struct jaco_io;
typedef void jaco_io_fn(struct jaco_io *io, unsigned events, void *ctx);

struct jaco_io {
	struct jaco_loop *loop;
	struct event *event;
	int fd; /* borrowed; -1 when stopped */
	unsigned events;
	jaco_io_fn *fn;
	void *ctx;
};

/* Watch @fd for @events (a mask); replaces an earlier watch of the same object. */
void jaco_io_start(struct jaco_loop *loop, struct jaco_io *io, int fd, unsigned events,
		   jaco_io_fn *fn, void *ctx);

/* Change the mask; 0 pauses.  No system call when it is the same. */
void jaco_io_set(struct jaco_io *io, unsigned events);
void jaco_io_stop(struct jaco_io *io);

/* --- timers --- */

struct jaco_timer;
typedef void jaco_timer_fn(struct jaco_timer *timer, void *ctx);

struct jaco_timer {
	struct jaco_loop *loop;
	struct event *event;
	bool is_armed;
	jaco_timer_fn *fn;
	void *ctx;
};

void jaco_timer_init(struct jaco_loop *loop, struct jaco_timer *timer, jaco_timer_fn *fn,
		     void *ctx);

/* Fire once after @ms (0: in the next pass); re-arming replaces. */
void jaco_timer_arm(struct jaco_timer *timer, int64_t ms);

/* The same unless it is armed already: a debounce. */
void jaco_timer_arm_if_idle(struct jaco_timer *timer, int64_t ms);

/* Fire once in this pass, after everything that was ready when it began (unless armed already, for
 * whenever): what the callbacks of a pass have gathered is done once, without a system call. */
void jaco_timer_soon(struct jaco_timer *timer);
void jaco_timer_disarm(struct jaco_timer *timer);
void jaco_timer_fini(
	struct jaco_timer *timer); /* also for one that was never initialised (zeroed) */

/* --- signals --- */

struct jaco_signal;
typedef void jaco_signal_fn(struct jaco_signal *sig, int signo, void *ctx);

struct jaco_signal {
	struct event *event;
	int signo;
	jaco_signal_fn *fn;
	void *ctx;
};

void jaco_signal_start(struct jaco_loop *loop, struct jaco_signal *sig, int signo,
		       jaco_signal_fn *fn, void *ctx);
void jaco_signal_stop(struct jaco_signal *sig);
