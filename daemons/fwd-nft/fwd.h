/* SPDX-License-Identifier: Apache-2.0
 *
 * fwd.h - the acting half: view to kernel, kernel to observed plane. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemons/fwd-nft/input.h"
#include "daemons/fwd-nft/nft.h"
#include "daemons/fwd-nft/watch.h"
#include "libjaco/daemon/daemon.h"

struct fwd {
	struct jaco_daemon *daemon;
	struct nft nft;
	struct watch watch;
	struct jaco_io watch_io;
	struct jaco_timer retry; /* after a failure: look and apply again */
	struct jaco_timer check; /* after a foreign change: compare and repair */
	struct jaco_timer keep;  /* after a change of an engine's chains */
	int64_t retry_ms;
	unsigned n_busy;          /* passes in a row that could not read a quiet table */
	struct jaco_time checked; /* last full comparison */
	bool is_applied;          /* the kernel holds what the view at @generation asks for */
	bool has_failed;
	bool is_test_due;         /* packets are to be sent before anything is published */
	uint64_t generation;
	uint32_t *addresses; /* of local containers at the last pass, sorted */
	size_t n_addresses;
	size_t n_subnets;
	size_t n_local;
	enum jaco_code code; /* why not applied */
	char message[JACO_ERR_TEXT_MAX];
	uint64_t since; /* of this state, ms since the epoch */
	uint64_t repairs;
	uint64_t engine_repairs;
	uint64_t lost_notifications;
	struct flush_totals {
		uint64_t connections;
		uint64_t neighbours;
	} flushed;
};

#define FWD_INIT ((struct fwd){.nft = NFT_INIT, .watch = WATCH_INIT})

extern const struct jaco_service_row fwd_methods[];

/* Open the netlink sockets and see what the kernel holds.  Nothing is changed yet. */
int fwd_open(struct fwd *fwd, struct jaco_daemon *daemon, struct jaco_err *err);
void fwd_cleanup(struct fwd *fwd);

/* A change of the view, or 30 s passed. */
void fwd_on_view(struct jaco_view *view, void *ctx);

/* Take everything of ours out of the kernel: the table and the rules in engine chains. */
int fwd_remove(struct fwd *fwd, struct jaco_err *err);

void fwd_metrics(void *self, struct jaco_buf *out);
void fwd_facts(void *self, struct jaco_arena *arena, struct wire_daemon_status *status);

/* answer.c */
int fwd_forget(struct fwd *fwd, const uint32_t *addresses, size_t n, struct jaco_err *err);
