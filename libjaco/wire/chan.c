/* SPDX-License-Identifier: Apache-2.0
 *
 * chan.c - reads into a bounded buffer, writes from a queue. */
#include "libjaco/wire/chan.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libjaco/base/limits.h"
#include "libjaco/io/sock.h"

#define READ_CHUNK   65536
#define FLUSH_FROM   65536 /* queued bytes that do not wait for the end of the pass */
#define COMPACT_FROM 65536 /* sent bytes kept at the front of the queue before it is moved */

static void end(struct jaco_chan *chan, const struct jaco_err *err)
{
	const struct jaco_chan_ops *ops = chan->ops;
	void *ctx = chan->ctx;

	if (chan->fd < 0)
		return;
	jaco_chan_flush(chan); /* it may still read */
	jaco_io_stop(&chan->io);
	jaco_fd_close(&chan->fd);
	ops->on_end(chan, err, ctx);
}

static void update(struct jaco_chan *chan)
{
	unsigned events = chan->io.events & JACO_IO_READ;

	if (chan->is_connecting || chan->is_ending || chan->is_paused || jaco_chan_queued(chan) > 0)
		events |= JACO_IO_WRITE;
	jaco_io_set(&chan->io, events);
}

/* A failed write is reported from the loop, never from inside a send: callers keep their
 * footing. */
static void flush(struct jaco_chan *chan)
{
	while (jaco_chan_queued(chan) > 0 && !chan->is_connecting) {
		ssize_t n = send(chan->fd, chan->out.data + chan->out_sent, jaco_chan_queued(chan),
				 MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			chan->is_ending = errno != EAGAIN;
			break;
		}
		chan->out_sent += (size_t)n;
	}
	if (jaco_chan_queued(chan) == 0) {
		jaco_buf_reset(&chan->out);
		chan->out_sent = 0;
	} else if (chan->out_sent > COMPACT_FROM) {
		jaco_buf_consume(&chan->out, chan->out_sent);
		chan->out_sent = 0;
	}
	update(chan);
}

/* What the filter made of them reaches the owner before the end does. */
static void filter_in(struct jaco_chan *chan, const char *data, size_t n)
{
	struct jaco_err err = JACO_ERR_INIT;
	size_t before = chan->in.n;
	int rc = chan->filter->take(chan, chan->filter_self, data, n, &err);

	if (chan->in.n > before && chan->ops->on_data(chan, chan->ctx) < 0)
		return;
	if (rc < 0)
		end(chan, &err);
}

static void on_readable(struct jaco_chan *chan)
{
	struct jaco_err err = JACO_ERR_INIT;
	char raw[READ_CHUNK];
	char *at = chan->filter ? raw : jaco_buf_reserve(&chan->in, READ_CHUNK);
	ssize_t n;

	if (!at) {
		jaco_err_set(&err, JACO_MESSAGE_TOO_LARGE, "a message exceeds %zu bytes",
			     chan->in.max);
		end(chan, &err);
		return;
	}
	n = read(chan->fd, at, READ_CHUNK);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		if (n < 0)
			jaco_err_errno(&err, "read");
		else
			jaco_err_set(&err, JACO_UNAVAILABLE, "connection closed");
		end(chan, &err);
		return;
	}
	if (chan->filter) {
		filter_in(chan, raw, (size_t)n);
		return;
	}
	chan->in.n += (size_t)n;
	chan->in.data[chan->in.n] = '\0';
	(void)chan->ops->on_data(chan, chan->ctx);
}

/* Negative: on_data has ended the channel. */
static int resume(struct jaco_chan *chan)
{
	if (!chan->is_paused || jaco_chan_queued(chan) > JACO_OUTPUT_HIGH_WATER / 2)
		return 0;
	chan->is_paused = false;
	jaco_io_set(&chan->io, chan->io.events | JACO_IO_READ);
	return chan->ops->on_data(chan, chan->ctx);
}

static void on_event(struct jaco_io *io, unsigned events, void *ctx)
{
	struct jaco_chan *chan = ctx;
	struct jaco_err err = JACO_ERR_INIT;

	(void)io;
	if (events & JACO_IO_WRITE) {
		if (chan->is_connecting) {
			chan->is_connecting = false;
			if (jaco_sock_error(chan->fd, &err) < 0) {
				end(chan, &err);
				return;
			}
		}
		if (!chan->is_ending)
			flush(chan);
		if (chan->is_ending) {
			jaco_err_set(&err, JACO_UNAVAILABLE, "connection lost");
			end(chan, &err);
			return;
		}
		if (resume(chan) < 0)
			return;
	}
	if (events & JACO_IO_READ && !chan->is_paused)
		on_readable(chan);
}

void jaco_chan_flush(struct jaco_chan *chan)
{
	jaco_timer_disarm(&chan->later);
	/* while the kernel's buffer is full the loop watches for room */
	if (chan->fd >= 0 && !chan->is_ending && !(chan->io.events & JACO_IO_WRITE))
		flush(chan);
}

static void on_later(struct jaco_timer *timer, void *ctx)
{
	(void)timer;
	jaco_chan_flush(ctx);
}

void jaco_chan_open(struct jaco_chan *chan, struct jaco_loop *loop, int take_fd, bool pending,
		    size_t in_max, const struct jaco_chan_ops *ops, void *ctx)
{
	*chan = (struct jaco_chan){
		.loop = loop,
		.fd = take_fd,
		.in = JACO_BUF_BOUND(in_max + READ_CHUNK),
		.is_connecting = pending,
		.ops = ops,
		.ctx = ctx,
	};
	jaco_timer_init(loop, &chan->later, on_later, chan);
	jaco_io_start(loop, &chan->io, take_fd, JACO_IO_READ | (pending ? JACO_IO_WRITE : 0),
		      on_event, chan);
}

void jaco_chan_set_filter(struct jaco_chan *chan, const struct jaco_chan_filter *filter,
			  void *take_self)
{
	chan->filter = filter;
	chan->filter_self = take_self;
	chan->in.max += READ_CHUNK; /* a piece of plaintext may have waited for its end */
}

static void add(struct jaco_chan *chan, const void *data, size_t n)
{
	jaco_buf_add(&chan->out, data, n);
	if (jaco_chan_queued(chan) >= FLUSH_FROM)
		jaco_chan_flush(chan);
}

static void soon(struct jaco_chan *chan)
{
	if (jaco_chan_queued(chan) > 0 && chan->fd >= 0)
		jaco_timer_soon(&chan->later);
}

void jaco_chan_put(struct jaco_chan *chan, const void *data, size_t n)
{
	if (chan->fd < 0 || chan->is_ending)
		return;
	add(chan, data, n);
	soon(chan);
}

void jaco_chan_queue(struct jaco_chan *chan, const void *data, size_t n)
{
	if (chan->fd < 0 || chan->is_ending)
		return;
	if (chan->filter)
		chan->filter->give(chan, chan->filter_self, data, n);
	else
		add(chan, data, n);
}

void jaco_chan_send(struct jaco_chan *chan, const void *data, size_t n)
{
	jaco_chan_queue(chan, data, n);
	soon(chan);
}

size_t jaco_chan_queued(const struct jaco_chan *chan)
{
	return chan->out.n - chan->out_sent;
}

void jaco_chan_pause(struct jaco_chan *chan)
{
	if (chan->fd < 0)
		return;
	chan->is_paused = true;
	jaco_io_set(&chan->io, chan->io.events & ~(unsigned)JACO_IO_READ);
}

void jaco_chan_read(struct jaco_chan *chan, bool on)
{
	unsigned events = chan->io.events & ~(unsigned)JACO_IO_READ;

	if (chan->fd >= 0)
		jaco_io_set(&chan->io, on ? events | JACO_IO_READ : events);
}

void jaco_chan_close(struct jaco_chan *chan)
{
	jaco_chan_flush(chan);
	jaco_timer_fini(&chan->later);
	jaco_io_stop(&chan->io);
	jaco_fd_close(&chan->fd);
	jaco_buf_fini(&chan->in);
	jaco_buf_fini(&chan->out);
	chan->out_sent = 0;
	if (chan->filter)
		chan->filter->release(chan->filter_self);
	chan->filter = NULL;
}
