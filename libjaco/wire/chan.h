/* SPDX-License-Identifier: Apache-2.0
 *
 * chan.h - a connected byte stream on the loop: bounded input, queued output, one way to end.
 *
 * What is sent during one pass of the loop goes out together at its end: a hundred answers to one
 * caller are one system call.
 *
 * The callbacks may close the channel; nothing touches it afterwards in that pass. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "libjaco/base/buf.h"
#include "libjaco/base/err.h"
#include "libjaco/io/loop.h"

struct jaco_chan;

struct jaco_chan_ops {
	/* Bytes arrived in chan->in; consume what is complete.  Negative: the channel is ended. */
	int (*on_data)(struct jaco_chan *chan, void *ctx);
	/* The stream ended (@err: why, never NULL).  Called once; the owner releases the
	 * channel. */
	void (*on_end)(struct jaco_chan *chan, const struct jaco_err *err, void *ctx);
};

/* What stands between the bytes of the socket and those of the owner: TLS (tls.h). */
struct jaco_chan_filter {
	/* Bytes of the socket: append what they mean to chan->in.  Negative: the stream is over. */
	int (*take)(struct jaco_chan *chan, void *self, const void *data, size_t n,
		    struct jaco_err *err);
	/* Bytes of the owner: hand what the socket shall get to jaco_chan_put(). */
	void (*give)(struct jaco_chan *chan, void *self, const void *data, size_t n);
	void (*release)(void *self);
};

struct jaco_chan {
	struct jaco_loop *loop;
	int fd; /* owned; -1 when closed */
	struct jaco_io io;
	struct jaco_buf in;
	struct jaco_buf out;
	size_t out_sent; /* bytes of @out already written */
	struct jaco_timer later; /* armed: @out is written when this pass is over */
	bool is_connecting;
	bool is_ending; /* on_end is due */
	bool is_paused; /* reading stands still until the queue is half empty */
	const struct jaco_chan_filter *filter; /* NULL: the bytes are the owner's as they are */
	void *filter_self;
	const struct jaco_chan_ops *ops;
	void *ctx;
};

/* Take over @take_fd (non-blocking).  @pending: a connect(2) is under way. */
void jaco_chan_open(struct jaco_chan *chan, struct jaco_loop *loop, int take_fd, bool pending,
		    size_t in_max, const struct jaco_chan_ops *ops, void *ctx);

/* Queue bytes; written when this pass is over, a lot of them at once. */
void jaco_chan_send(struct jaco_chan *chan, const void *data, size_t n);

/* Queue bytes that may wait for the next send or flush. */
void jaco_chan_queue(struct jaco_chan *chan, const void *data, size_t n);

/* Write what is queued as far as the kernel takes it now.  No callback. */
void jaco_chan_flush(struct jaco_chan *chan);

/* Put @filter between; before the first byte.  @take_self is released with the channel. */
void jaco_chan_set_filter(struct jaco_chan *chan, const struct jaco_chan_filter *filter,
			  void *take_self);

/* Send past the filter: for the filter itself. */
void jaco_chan_put(struct jaco_chan *chan, const void *data, size_t n);

/* Bytes queued and not yet taken by the kernel. */
size_t jaco_chan_queued(const struct jaco_chan *chan);

/* Stop reading until less than half of JACO_OUTPUT_HIGH_WATER is queued: back-pressure on a peer
 * that sends and does not read.  on_data is called then, with what chan->in still holds. */
void jaco_chan_pause(struct jaco_chan *chan);

/* Read, or leave what arrives to the kernel until told otherwise: the other side's writes wait. */
void jaco_chan_read(struct jaco_chan *chan, bool on);

/* Close without on_end; what is queued is written as far as the kernel takes it. */
void jaco_chan_close(struct jaco_chan *chan);
