/* SPDX-License-Identifier: Apache-2.0
 *
 * raft_host.c - see raft_host.h.  The disk does one write after the other; a torn one has kept its
 * hard state, its base and a run of its entries, as a checksummed log repaired at its tail
 * would. */
#include "tests/lib/raft_host.h"

#include <string.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"

/* ---- state ---- */

void host_state_add(struct host_state *state, struct core_entry *item)
{
	state->items = jaco_grow(state->items, &state->cap, state->n + 1, sizeof(*state->items));
	state->items[state->n++] = core_entry_ref(item);
}

void host_state_fini(struct host_state *state)
{
	for (size_t i = 0; i < state->n; i++)
		core_entry_unref(state->items[i]);
	jaco_free(state->items);
	*state = (struct host_state){.n = 0};
}

void host_state_copy(struct host_state *out, const struct host_state *from)
{
	*out = (struct host_state){.n = 0};
	for (size_t i = 0; i < from->n; i++)
		host_state_add(out, from->items[i]);
}

struct packed_item {
	uint64_t index, term;
	uint32_t bytes;
};

void host_state_pack(const struct host_state *state, struct jaco_buf *out)
{
	for (size_t i = 0; i < state->n; i++) {
		const struct core_entry *item = state->items[i];
		struct packed_item head = {
			.index = item->index, .term = item->term, .bytes = item->bytes};

		jaco_buf_add(out, &head, sizeof(head));
		jaco_buf_add(out, item->data, item->bytes);
	}
}

bool host_state_unpack(struct host_state *out, const void *data, size_t n)
{
	const uint8_t *at = data;
	struct packed_item head;

	*out = (struct host_state){.n = 0};
	while (n) {
		struct core_entry *item;

		if (n < sizeof(head))
			goto bad;
		memcpy(&head, at, sizeof(head));
		at += sizeof(head);
		n -= sizeof(head);
		if (n < head.bytes)
			goto bad;
		item = core_entry_load(CORE_ENTRY_DATA, head.index, head.term, at, head.bytes);
		host_state_add(out, item);
		core_entry_unref(item);
		at += head.bytes;
		n -= head.bytes;
	}
	return true;
bad:
	host_state_fini(out);
	return false;
}

/* ---- disk ---- */

static void disk_truncate(struct host_disk *disk, uint64_t from)
{
	while (disk->n_log && disk->log[disk->n_log - 1]->index >= from)
		core_entry_unref(disk->log[--disk->n_log]);
}

static void disk_append(struct host_disk *disk, struct core_entry *entry)
{
	JACO_ASSERT(entry->index == disk->base_index + disk->n_log + 1);
	disk->log = jaco_grow(disk->log, &disk->cap_log, disk->n_log + 1, sizeof(*disk->log));
	disk->log[disk->n_log++] = core_entry_ref(entry);
}

static void disk_rebase(struct host_disk *disk, const struct host_write *write)
{
	size_t gone = 0;

	if (write->reset)
		disk_truncate(disk, 0);
	while (gone < disk->n_log && disk->log[gone]->index <= write->base_index)
		core_entry_unref(disk->log[gone++]);
	disk->n_log -= gone;
	if (gone)
		memmove(disk->log, disk->log + gone, disk->n_log * sizeof(*disk->log));
	disk->base_index = write->base_index;
	disk->base_term = write->base_term;
	disk->conf = write->conf;
	host_state_fini(&disk->state);
	host_state_copy(&disk->state, &write->state);
}

static void disk_do(struct host_disk *disk, const struct host_write *write, size_t n_entries)
{
	if (write->hard) {
		disk->term = write->term;
		disk->vote = write->vote;
	}
	if (write->commit > disk->commit)
		disk->commit = write->commit;
	if (write->rebase)
		disk_rebase(disk, write);
	if (write->truncate_from)
		disk_truncate(disk, write->truncate_from);
	for (size_t i = 0; i < write->n_entries && i < n_entries; i++)
		disk_append(disk, write->entries[i]);
}

static void write_free(struct host_write *write)
{
	for (size_t i = 0; i < write->n_entries; i++)
		core_entry_unref(write->entries[i]);
	jaco_free(write->entries);
	host_state_fini(&write->state);
	jaco_free(write);
}

static struct host_write *add_write(struct host *host)
{
	struct host_write *write = jaco_alloc(sizeof(*write));

	*host->writes_end = write;
	host->writes_end = &write->next;
	return write;
}

static struct host_write *take_write(struct host *host)
{
	struct host_write *write = host->writes;

	host->writes = write->next;
	if (!host->writes)
		host->writes_end = &host->writes;
	return write;
}

size_t host_n_writes(const struct host *host)
{
	size_t n = 0;

	for (const struct host_write *write = host->writes; write; write = write->next)
		n++;
	return n;
}

void host_flush_one(struct host *host)
{
	struct host_write *write = take_write(host);

	disk_do(&host->disk, write, SIZE_MAX);
	if (write->seq)
		core_durable(host->core, write->seq);
	write_free(write);
}

/* ---- life ---- */

void host_init(struct host *host, const struct core_options *options)
{
	*host = (struct host){.options = *options, .auto_flush = true, .chunk_bytes = SIZE_MAX};
	host->writes_end = &host->writes;
}

static void forget_memory(struct host *host)
{
	core_free(host->core);
	host->core = NULL;
	while (host->writes)
		write_free(take_write(host));
	host_state_fini(&host->state);
	host_state_fini(&host->base_state);
	jaco_buf_fini(&host->sending);
	jaco_buf_fini(&host->arriving);
	host->n_reads = 0;
}

void host_fini(struct host *host)
{
	forget_memory(host);
	disk_truncate(&host->disk, 0);
	jaco_free(host->disk.log);
	host_state_fini(&host->disk.state);
	jaco_free(host->reads);
}

int host_start(struct host *host, struct jaco_err *err)
{
	const struct host_disk *disk = &host->disk;
	struct core_start start = {.term = disk->term, .vote = disk->vote,
				   .base_index = disk->base_index, .base_term = disk->base_term,
				   .conf = disk->conf, .entries = disk->log,
				   .n_entries = disk->n_log, .commit = disk->commit,
				   .applied = disk->base_index};
	int rc = core_new(&host->core, &host->options, host->now, &start, err);

	if (rc < 0)
		return rc;
	host_state_copy(&host->state, &disk->state);
	host_state_copy(&host->base_state, &disk->state);
	return 0;
}

void host_crash(struct host *host, size_t n_kept, size_t n_entries)
{
	for (; n_kept && host->writes; n_kept--) {
		struct host_write *write = take_write(host);

		disk_do(&host->disk, write, SIZE_MAX);
		write_free(write);
	}
	if (host->writes && n_entries)
		disk_do(&host->disk, host->writes, n_entries);
	forget_memory(host);
}

/* ---- actions ---- */

static void store(struct host *host, const struct core_actions *todo)
{
	struct host_write *write;
	bool install = todo->chunk && todo->chunk->install;

	if (!todo->write.seq)
		return;
	if (host->hooks.on_write)
		host->hooks.on_write(host->hooks_ctx, &todo->write);
	write = add_write(host);
	write->seq = todo->write.seq;
	write->hard = todo->write.hard;
	write->term = todo->write.term;
	write->vote = todo->write.vote;
	write->commit = todo->write.commit;
	write->truncate_from = todo->write.truncate_from;
	write->n_entries = todo->write.n_entries;
	write->entries = jaco_alloc_n(write->n_entries, sizeof(struct core_entry *));
	for (size_t i = 0; i < write->n_entries; i++)
		write->entries[i] = core_entry_ref(todo->write.entries[i]);
	if (!install)
		return;
	write->rebase = true;
	write->reset = todo->write.reset;
	write->base_index = todo->chunk->index;
	write->base_term = todo->chunk->term;
	write->conf = todo->chunk->conf;
	host_state_copy(&write->state, &host->state);
}

static void take_chunk(struct host *host, const struct core_chunk *chunk)
{
	if (chunk->offset == 0)
		jaco_buf_reset(&host->arriving);
	JACO_ASSERT(host->arriving.n == chunk->offset);
	jaco_buf_add(&host->arriving, chunk->data, chunk->n_data);
	if (!chunk->install)
		return;
	host_state_fini(&host->state);
	JACO_ASSERT(host_state_unpack(&host->state, host->arriving.data, host->arriving.n));
	jaco_buf_reset(&host->arriving);
	host_state_fini(&host->base_state);
	host_state_copy(&host->base_state, &host->state);
	if (host->hooks.on_install)
		host->hooks.on_install(host->hooks_ctx, chunk->index);
}

static void apply(struct host *host, const struct core_actions *todo)
{
	uint64_t last = todo->apply[todo->n_apply - 1]->index;

	for (size_t i = 0; i < todo->n_apply; i++) {
		if (todo->apply[i]->kind == CORE_ENTRY_DATA && todo->apply[i]->bytes)
			host_state_add(&host->state, todo->apply[i]);
		if (host->hooks.on_apply)
			host->hooks.on_apply(host->hooks_ctx, todo->apply[i]);
	}
	core_applied(host->core, last);
}

static void offer(struct host *host)
{
	struct core_status status;

	core_status(host->core, &status);
	jaco_buf_reset(&host->sending);
	host_state_pack(&host->base_state, &host->sending);
	JACO_ASSERT(core_offer(host->core, status.base_index, NULL) == 0);
}

static void send_one(struct host *host, const struct core_message *msg, host_send *send, void *ctx)
{
	struct core_message filled = *msg;

	if (msg->type == CORE_SNAP_REQ) {
		size_t offset = JACO_MIN((size_t)msg->offset, host->sending.n);

		filled.data = (const uint8_t *)jaco_buf_str(&host->sending) + offset;
		filled.n_data = JACO_MIN(host->sending.n - offset, host->chunk_bytes);
		filled.done = offset + filled.n_data == host->sending.n;
	}
	send(ctx, &filled);
}

static void keep_reads(struct host *host, const struct core_actions *todo)
{
	for (size_t i = 0; i < todo->n_reads; i++) {
		host->reads = jaco_grow(host->reads, &host->cap_reads, host->n_reads + 1,
					sizeof(*host->reads));
		host->reads[host->n_reads++] = todo->reads[i];
	}
}

/* One collect; false when there was nothing to do. */
static bool run_once(struct host *host, host_send *send, void *ctx)
{
	struct core_actions todo;
	bool wanted;

	core_collect(host->core, &todo);
	for (size_t i = 0; i < todo.n_messages; i++)
		send_one(host, &todo.messages[i], send, ctx);
	if (todo.chunk)
		take_chunk(host, todo.chunk);
	store(host, &todo);
	keep_reads(host, &todo);
	wanted = todo.snapshot_wanted;
	if (!todo.n_messages && !todo.write.seq && !todo.n_apply && !todo.n_reads && !wanted)
		return false;
	if (todo.n_apply)
		apply(host, &todo);
	if (wanted)
		offer(host);
	while (host->auto_flush && host->writes)
		host_flush_one(host);
	return true;
}

void host_run(struct host *host, host_send *send, void *ctx)
{
	struct core_status status;

	while (run_once(host, send, ctx))
		;
	core_status(host->core, &status);
	if (host->auto_flush)
		host->disk.commit = JACO_MIN(status.commit, status.durable_index);
}

void host_receive(struct host *host, const struct core_message *msg)
{
	if (msg->type == CORE_SNAP_REQ && msg->done) {
		jaco_auto(jaco_buf) struct jaco_buf whole = JACO_BUF_INIT;
		struct host_state state;

		jaco_buf_add(&whole, host->arriving.data, JACO_MIN(host->arriving.n, msg->offset));
		jaco_buf_add(&whole, msg->data, msg->n_data);
		if (!host_state_unpack(&state, whole.data, whole.n)) {
			core_arriving_failed(host->core);
			if (msg->offset == 0)
				return;
		} else {
			host_state_fini(&state);
		}
	}
	core_receive(host->core, msg);
}

int host_compact(struct host *host, uint64_t index, struct jaco_err *err)
{
	struct core_conf conf;
	struct core_status status;
	struct host_write *write;
	int rc = core_conf_at(host->core, index, &conf, err);

	if (rc >= 0)
		rc = core_compact(host->core, index, err);
	if (rc < 0)
		return rc;
	core_status(host->core, &status);
	host_state_fini(&host->base_state);
	for (size_t i = 0; i < host->state.n && host->state.items[i]->index <= index; i++)
		host_state_add(&host->base_state, host->state.items[i]);
	write = add_write(host);
	write->rebase = true;
	write->base_index = index;
	write->base_term = status.base_term;
	write->conf = conf;
	host_state_copy(&write->state, &host->base_state);
	if (host->auto_flush)
		host_flush_one(host);
	return 0;
}

/* ---- messages ---- */

void host_message_copy(struct host_message *out, const struct core_message *msg)
{
	*out = (struct host_message){.msg = *msg};
	if (msg->conf)
		out->conf = *msg->conf;
	out->entries = jaco_alloc_n(msg->n_entries, sizeof(struct core_entry *));
	for (size_t i = 0; i < msg->n_entries; i++)
		out->entries[i] = core_entry_ref(msg->entries[i]);
	out->data = jaco_memdup(msg->data, msg->n_data);
	out->msg.entries = out->entries;
	out->msg.data = out->data;
}

const struct core_message *host_message_get(struct host_message *message)
{
	if (message->msg.conf)
		message->msg.conf = &message->conf;
	return &message->msg;
}

void host_message_fini(struct host_message *message)
{
	for (size_t i = 0; i < message->msg.n_entries; i++)
		core_entry_unref(message->entries[i]);
	jaco_free(message->entries);
	jaco_free(message->data);
	*message = (struct host_message){.data = NULL};
}
