/* SPDX-License-Identifier: Apache-2.0
 *
 * reply.h - what goes back to an HTTP/1.1 client: a stream's response, or an answer of our own.
 *
 * It fills and writes client->out and says whether the connection outlives the response; reading
 * heads and ending connections is client.h. */
#pragma once

#include <stdbool.h>

#include "daemons/proxyd/stream.h"

struct client;

/* What a stream begun by a client calls: its owner is the struct client. */
extern const struct stream_ops reply_ops;

/* Write what is queued in client->out.  False: it must wait, or the connection is gone. */
bool reply_flush(struct client *client);

/* Queue a whole response of our own; client->keep_alive, is_1_0 and method decide its form. */
void reply_write(struct client *client, const struct stream_answer *answer);
