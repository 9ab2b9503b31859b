/* SPDX-License-Identifier: Apache-2.0
 *
 * loop.c - libevent behind loop.h.  Nothing else in the tree includes an event2 header. */
#include "libjaco/io/loop.h"

#include <event2/event.h>
#include <sys/time.h>

#include "libjaco/base/assert.h"

static struct jaco_time monotonic(void *ctx)
{
	(void)ctx;
	return jaco_time_now();
}

static int open_base(struct jaco_loop *loop, const struct jaco_clock *clock, int timer_flag,
		     struct jaco_err *err)
{
	struct event_config *config = event_config_new();

	*loop = (struct jaco_loop){.clock = {.now = monotonic}};
	if (clock)
		loop->clock = *clock;
	if (config) {
		/* Changelists drop epoll_ctl calls for mask changes within one pass.  They need
		 * that no descriptor is dup'ed into a watch, which nobody does. */
		(void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK |
							    EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST |
							    timer_flag);
		loop->base = event_base_new_with_config(config);
		event_config_free(config);
	}
	if (!loop->base)
		return jaco_err_errno(err, "event loop");
	return 0;
}

int jaco_loop_open(struct jaco_loop *loop, const struct jaco_clock *clock, struct jaco_err *err)
{
	return open_base(loop, clock, EVENT_BASE_FLAG_PRECISE_TIMER, err);
}

int jaco_loop_open_fast(struct jaco_loop *loop, struct jaco_err *err)
{
	return open_base(loop, NULL, 0, err);
}

void jaco_loop_close(struct jaco_loop *loop)
{
	if (loop->base)
		event_base_free(loop->base);
	loop->base = NULL;
}

struct jaco_time jaco_loop_now(const struct jaco_loop *loop)
{
	return loop->clock.now(loop->clock.ctx);
}

int jaco_loop_run(struct jaco_loop *loop, struct jaco_err *err)
{
	loop->is_stopping = false;
	loop->failed = 0;
	while (!loop->is_stopping)
		if (event_base_loop(loop->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY) < 0)
			return jaco_err_errno(err, "event loop");
	if (loop->failed < 0 && err)
		*err = loop->err;
	return loop->failed;
}

static void wake(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
}

void jaco_loop_once(struct jaco_loop *loop, int64_t wait_ms)
{
	struct timeval tv = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};

	if (wait_ms > 0) {
		struct event *event = evtimer_new(loop->base, wake, NULL);

		JACO_ASSERT(event);
		evtimer_add(event, &tv);
		event_base_loop(loop->base, EVLOOP_ONCE);
		event_free(event);
	} else {
		event_base_loop(loop->base, EVLOOP_NONBLOCK);
	}
}

void jaco_loop_stop(struct jaco_loop *loop)
{
	loop->is_stopping = true;
	event_base_loopbreak(loop->base);
}

void jaco_loop_fail(struct jaco_loop *loop, const struct jaco_err *err)
{
	loop->err = *err;
	loop->failed = -(int)err->code;
	jaco_loop_stop(loop);
}

static void on_io(evutil_socket_t fd, short what, void *ctx)
{
	struct jaco_io *io = ctx;
	unsigned events = 0;

	(void)fd;
	if (what & EV_READ)
		events |= JACO_IO_READ;
	if (what & EV_WRITE)
		events |= JACO_IO_WRITE;
	if (what & EV_CLOSED)
		events |= JACO_IO_HANGUP;
	io->fn(io, events, io->ctx);
}

static short to_libevent(unsigned events)
{
	short what = EV_PERSIST;

	if (events & JACO_IO_READ)
		what |= EV_READ;
	if (events & JACO_IO_WRITE)
		what |= EV_WRITE;
	if (events & JACO_IO_HANGUP)
		what |= EV_CLOSED;
	if (events & JACO_IO_EDGE)
		what |= EV_ET;
	return what;
}

void jaco_io_start(struct jaco_loop *loop, struct jaco_io *io, int fd, unsigned events,
		   jaco_io_fn *fn, void *ctx)
{
	jaco_io_stop(io);
	*io = (struct jaco_io){.loop = loop, .fd = fd, .fn = fn, .ctx = ctx};
	io->event = event_new(loop->base, fd, to_libevent(events), on_io, io);
	JACO_ASSERT(io->event);
	jaco_io_set(io, events);
}

void jaco_io_set(struct jaco_io *io, unsigned events)
{
	unsigned mask = JACO_IO_READ | JACO_IO_WRITE;

	if (io->events == events)
		return;
	if (io->events & mask)
		event_del(io->event);
	io->events = events;
	if (!(events & mask))
		return;
	JACO_ASSERT(event_assign(io->event, io->loop->base, io->fd, to_libevent(events), on_io,
				 io) == 0);
	JACO_ASSERT(event_add(io->event, NULL) == 0);
}

void jaco_io_stop(struct jaco_io *io)
{
	if (io->event)
		event_free(io->event);
	io->event = NULL;
	io->events = 0;
	io->fd = -1;
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct jaco_timer *timer = ctx;

	(void)fd;
	(void)what;
	timer->is_armed = false;
	timer->fn(timer, timer->ctx);
}

void jaco_timer_init(struct jaco_loop *loop, struct jaco_timer *timer, jaco_timer_fn *fn, void *ctx)
{
	*timer = (struct jaco_timer){.loop = loop, .fn = fn, .ctx = ctx};
	timer->event = evtimer_new(loop->base, on_timer, timer);
	JACO_ASSERT(timer->event);
}

void jaco_timer_arm(struct jaco_timer *timer, int64_t ms)
{
	struct timeval tv;

	if (ms < 0)
		ms = 0;
	tv = (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	timer->is_armed = true;
	JACO_ASSERT(evtimer_add(timer->event, &tv) == 0);
}

void jaco_timer_arm_if_idle(struct jaco_timer *timer, int64_t ms)
{
	if (!timer->is_armed)
		jaco_timer_arm(timer, ms);
}

void jaco_timer_soon(struct jaco_timer *timer)
{
	if (timer->is_armed)
		return;
	timer->is_armed = true;
	event_active(timer->event, EV_TIMEOUT, 1); /* joins the end of the queue being worked off */
}

void jaco_timer_disarm(struct jaco_timer *timer)
{
	if (timer->event)
		event_del(timer->event);
	timer->is_armed = false;
}

void jaco_timer_fini(struct jaco_timer *timer)
{
	if (timer->event)
		event_free(timer->event);
	timer->event = NULL;
	timer->is_armed = false;
}

static void on_signal(evutil_socket_t signo, short what, void *ctx)
{
	struct jaco_signal *sig = ctx;

	(void)what;
	sig->fn(sig, (int)signo, sig->ctx);
}

void jaco_signal_start(struct jaco_loop *loop, struct jaco_signal *sig, int signo,
		       jaco_signal_fn *fn, void *ctx)
{
	*sig = (struct jaco_signal){.signo = signo, .fn = fn, .ctx = ctx};
	sig->event = evsignal_new(loop->base, signo, on_signal, sig);
	JACO_ASSERT(sig->event && evsignal_add(sig->event, NULL) == 0);
}

void jaco_signal_stop(struct jaco_signal *sig)
{
	if (sig->event)
		event_free(sig->event);
	sig->event = NULL;
}
