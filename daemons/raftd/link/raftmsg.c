/* SPDX-License-Identifier: Apache-2.0
 *
 * raftmsg.c - one to one; what cannot be is dropped, as if the network had lost it. */
#include "daemons/raftd/link/raftmsg.h"

#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"

#define ENTRIES_MAX 8192

void raftmsg_send(struct link_peer *peer, const struct core_message *msg)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	uint8_t conf[CORE_CONF_PACKED_MAX];
	struct wire_raft_message out = {.type = (uint32_t)msg->type, .from = msg->from,
					.to = msg->to, .term = msg->term, .index = msg->index,
					.log_term = msg->log_term, .commit = msg->commit,
					.round = msg->round, .attempt = msg->attempt,
					.hint = msg->hint, .hint_term = msg->hint_term,
					.ok = msg->ok, .transfer = msg->transfer,
					.offset = msg->offset, .done = msg->done,
					.data = {msg->data, msg->n_data}};

	if (!link_is_up(peer))
		return;
	out.entries.n = JACO_MIN(msg->n_entries, (size_t)ENTRIES_MAX);
	out.entries.v = jaco_arena_alloc_n(&arena, out.entries.n + 1, sizeof(*out.entries.v));
	for (size_t i = 0; i < out.entries.n; i++) {
		const struct core_entry *entry = msg->entries[i];

		out.entries.v[i] = (struct wire_raft_entry){.kind = (uint32_t)entry->kind,
							    .index = entry->index,
							    .term = entry->term,
							    .data = {entry->data, entry->bytes}};
	}
	if (msg->conf)
		out.conf = (struct wire_bin){conf, core_conf_pack(msg->conf, conf)};
	link_queue(peer, "raft.message", &wire_raft_message_desc, &out);
}

void raftmsg_receive(struct store *store, uint64_t from, const struct wire_raft_message *msg)
{
	struct core_conf conf;
	struct core_entry **entries;
	struct jaco_err err = JACO_ERR_INIT;
	struct core_message in = {.type = (enum core_message_type)msg->type, .from = msg->from,
				  .to = msg->to, .term = msg->term, .index = msg->index,
				  .log_term = msg->log_term, .commit = msg->commit,
				  .round = msg->round, .attempt = msg->attempt, .hint = msg->hint,
				  .hint_term = msg->hint_term, .ok = msg->ok,
				  .transfer = msg->transfer, .offset = msg->offset,
				  .data = msg->data.data, .n_data = msg->data.n, .done = msg->done};

	if (msg->type >= CORE_MESSAGE_TYPES || msg->from != from || msg->to != store->raft_id)
		return;
	if (msg->conf.n > 0) {
		if (core_conf_unpack(&conf, msg->conf.data, msg->conf.n, &err) < 0)
			return;
		in.conf = &conf;
	}
	for (size_t i = 0; i < msg->entries.n; i++)
		if (msg->entries.v[i].kind > CORE_ENTRY_CONF)
			return;
	entries = jaco_alloc_n(msg->entries.n + 1, sizeof(*entries));
	for (size_t i = 0; i < msg->entries.n; i++) {
		const struct wire_raft_entry *entry = &msg->entries.v[i];

		entries[i] = core_entry_load((enum core_entry_kind)entry->kind, entry->index,
					     entry->term, entry->data.data,
					     (uint32_t)entry->data.n);
	}
	in.entries = entries;
	in.n_entries = msg->entries.n;
	store_receive(store, &in);
	for (size_t i = 0; i < msg->entries.n; i++)
		core_entry_unref(entries[i]);
	jaco_free(entries);
}
