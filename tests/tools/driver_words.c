/* SPDX-License-Identifier: Apache-2.0
 *
 * driver_words.c - arguments in, JSON out. */
#include "tests/tools/driver_words.h"

#include <string.h>

#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

/* ---- arguments ---- */

const char *driver_value(const struct driver *d, const char *key)
{
	size_t n = strlen(key);

	for (size_t i = 1; i < d->n_args; i++)
		if (!strncmp(d->args[i], key, n) && d->args[i][n] == '=')
			return d->args[i] + n + 1;
	return NULL;
}

bool driver_number(const struct driver *d, const char *key, uint64_t *out)
{
	const char *text = driver_value(d, key);

	return !text || jaco_str_to_u64(text, UINT64_MAX, out);
}

static bool split_number(const char *text, char separator, uint64_t *out, const char **out_rest)
{
	char digits[24];
	const char *end = strchr(text, separator);

	if (!end || (size_t)(end - text) >= sizeof(digits))
		return false;
	memcpy(digits, text, (size_t)(end - text));
	digits[end - text] = '\0';
	*out_rest = end + 1;
	return jaco_str_to_u64(digits, UINT64_MAX, out);
}

bool driver_place(const struct driver *d, const char *key, uint64_t *out_index, uint64_t *out_term)
{
	const char *text = driver_value(d, key);
	const char *rest;

	return !text || (split_number(text, ':', out_index, &rest) &&
			 jaco_str_to_u64(rest, UINT64_MAX, out_term));
}

bool driver_members(const char *list, bool is_voter, struct core_conf *conf)
{
	jaco_auto(jaco_ptr) char *copy = jaco_strdup(list ? list : "");
	char *rest = copy;

	for (char *word; (word = strsep(&rest, ","));) {
		uint64_t id;

		if (!*word || !strcmp(word, "-"))
			continue;
		if (!jaco_str_to_u64(word, UINT64_MAX, &id) || !id ||
		    core_conf_set(conf, id, is_voter, NULL) < 0)
			return false;
	}
	return true;
}

static bool find_type(const char *name, enum core_message_type *out)
{
	for (unsigned i = 0; i < CORE_MESSAGE_TYPES; i++) {
		if (!strcmp(core_message_name((enum core_message_type)i), name)) {
			*out = (enum core_message_type)i;
			return true;
		}
	}
	return false;
}

bool driver_filter(const struct driver *d, struct driver_filter *out)
{
	const char *types = driver_value(d, "type");
	jaco_auto(jaco_ptr) char *copy = jaco_strdup(types ? types : "");
	char *rest = copy;

	*out = (struct driver_filter){.max = UINT64_MAX};
	for (char *word; types && (word = strsep(&rest, "|"));) {
		enum core_message_type type;

		/* A core with separate heartbeats has more types; asking for one is no mistake. */
		if (find_type(word, &type))
			out->types |= 1u << type;
		else
			out->types |= 1u << CORE_MESSAGE_TYPES;
	}
	return driver_number(d, "from", &out->from) && driver_number(d, "to", &out->to) &&
	       driver_number(d, "max", &out->max);
}

bool driver_matches(const struct driver_filter *filter, const struct core_message *msg)
{
	return (!filter->from || filter->from == msg->from) &&
	       (!filter->to || filter->to == msg->to) &&
	       (!filter->types || filter->types & 1u << msg->type);
}

struct core_entry *driver_entry(uint64_t index, uint64_t term, const char *data)
{
	bool empty = !strcmp(data, "-") || !*data;

	return core_entry_load(index && empty ? CORE_ENTRY_NOOP : CORE_ENTRY_DATA, index, term,
			       data, empty ? 0 : (uint32_t)strlen(data));
}

bool driver_entries(const char *list, uint64_t first, struct core_entry ***out, size_t *out_n)
{
	jaco_auto(jaco_ptr) char *copy = jaco_strdup(list);
	char *rest = copy;
	size_t cap = *out_n;

	for (char *word; (word = strsep(&rest, ","));) {
		const char *data;
		uint64_t term;

		if (!*word || !strcmp(word, "-"))
			continue;
		if (!split_number(word, ':', &term, &data))
			return false;
		*out = jaco_grow(*out, &cap, *out_n + 1, sizeof(struct core_entry *));
		(*out)[*out_n] = driver_entry(first + *out_n, term, data);
		++*out_n;
	}
	return true;
}

bool driver_change(const char *text, enum core_change *out_change, uint64_t *out_id)
{
	if (strlen(text) < 3 || !jaco_str_to_u64(text + 2, UINT64_MAX, out_id) || !*out_id)
		return false;
	if (jaco_str_starts(text, "+v"))
		*out_change = CORE_SET_VOTER;
	else if (jaco_str_starts(text, "+l"))
		*out_change = CORE_SET_LEARNER;
	else if (jaco_str_starts(text, "-n"))
		*out_change = CORE_REMOVE;
	else
		return false;
	return true;
}

/* ---- messages made by the scenario ---- */

static bool rpc_snapshot(const struct driver *d, struct driver_rpc *rpc, struct core_message *out)
{
	const char *data = driver_value(d, "data");
	jaco_auto(jaco_ptr) char *copy = jaco_strdup(data ? data : "");
	char *rest = copy;
	struct host_state state = {.n = 0};

	if (!driver_members(driver_value(d, "voters"), true, &rpc->conf) ||
	    !driver_members(driver_value(d, "learners"), false, &rpc->conf))
		return false;
	for (char *word; (word = strsep(&rest, ","));) {
		struct core_entry *item = driver_entry(0, out->log_term, word);

		item->index = out->index;
		if (item->bytes)
			host_state_add(&state, item);
		core_entry_unref(item);
	}
	host_state_pack(&state, &rpc->data);
	host_state_fini(&state);
	out->conf = &rpc->conf;
	out->data = (const uint8_t *)jaco_buf_str(&rpc->data);
	out->n_data = rpc->data.n;
	out->done = true;
	return true;
}

static bool rpc_entries(const struct driver *d, struct driver_rpc *rpc, struct core_message *out)
{
	const char *list = driver_value(d, "entries");

	if (list && !driver_entries(list, out->index + 1, &rpc->entries, &rpc->n_entries))
		return false;
	out->entries = rpc->entries;
	out->n_entries = rpc->n_entries;
	return true;
}

static bool flag(const struct driver *d, const char *key, bool *out)
{
	uint64_t number = 0;

	if (!driver_number(d, key, &number) || number > 1)
		return false;
	*out = number;
	return true;
}

/* What each type reads; the names of the fields are those of the specification. */
static bool rpc_fields(const struct driver *d, struct driver_rpc *rpc, struct core_message *out)
{
	switch (out->type) {
	case CORE_PREVOTE_REQ:
	case CORE_VOTE_REQ:
		return driver_place(d, "last", &out->index, &out->log_term) &&
		       flag(d, "transfer", &out->transfer);
	case CORE_PREVOTE_RESP:
	case CORE_VOTE_RESP:
		return flag(d, "granted", &out->ok);
	case CORE_APP_REQ:
		return driver_place(d, "prev", &out->index, &out->log_term) &&
		       driver_number(d, "commit", &out->commit) && rpc_entries(d, rpc, out);
	case CORE_APP_RESP:
		return flag(d, "ok", &out->ok) && driver_number(d, "match", &out->index) &&
		       driver_number(d, "hint", &out->hint);
	case CORE_SNAP_REQ:
		return driver_place(d, "base", &out->index, &out->log_term) &&
		       rpc_snapshot(d, rpc, out);
	case CORE_SNAP_RESP:
		return driver_place(d, "base", &out->index, &out->log_term) &&
		       driver_number(d, "chunk", &out->hint) &&
		       driver_number(d, "offset", &out->offset);
	case CORE_TIMEOUT_NOW:
		return true;
	}
	return false;
}

bool driver_rpc(const struct driver *d, uint64_t to, struct driver_rpc *rpc,
		struct core_message *out)
{
	*out = (struct core_message){.to = to};
	if (d->n_args < 3)
		return false;
	/* A heartbeat of a core that has such a type is an app_req without entries here. */
	if (!strcmp(d->args[2], "heartbeat"))
		out->type = CORE_APP_REQ;
	else if (!strcmp(d->args[2], "heartbeat_resp"))
		out->type = CORE_APP_RESP;
	else if (!find_type(d->args[2], &out->type))
		return false;
	return driver_number(d, "from", &out->from) && driver_number(d, "term", &out->term) &&
	       out->from && rpc_fields(d, rpc, out);
}

void driver_rpc_fini(struct driver_rpc *rpc)
{
	for (size_t i = 0; i < rpc->n_entries; i++)
		core_entry_unref(rpc->entries[i]);
	jaco_free(rpc->entries);
	jaco_buf_fini(&rpc->data);
}

/* ---- JSON ---- */

static void show_text(struct jaco_buf *out, const uint8_t *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '"' || text[i] == '\\' || text[i] < ' ')
			jaco_buf_printf(out, "\\u%04x", text[i]);
		else
			jaco_buf_add_char(out, (char)text[i]);
	}
}

static void show_entry_text(struct jaco_buf *out, const struct core_entry *entry)
{
	if (entry->kind == CORE_ENTRY_CONF)
		jaco_buf_add_str(out, "<conf>");
	else if (!entry->bytes)
		jaco_buf_add_char(out, '-');
	else
		show_text(out, entry->data, entry->bytes);
}

void driver_show_data(struct jaco_buf *out, const struct core_entry *entry)
{
	jaco_buf_add_char(out, '"');
	show_entry_text(out, entry);
	jaco_buf_add_char(out, '"');
}

static void show_place(struct jaco_buf *out, const char *key, uint64_t index, uint64_t term)
{
	jaco_buf_printf(out, ",\"%s\":\"%llu:%llu\"", key, (unsigned long long)index,
			(unsigned long long)term);
}

static void show_number(struct jaco_buf *out, const char *key, uint64_t number)
{
	jaco_buf_printf(out, ",\"%s\":%llu", key, (unsigned long long)number);
}

static void show_members(struct jaco_buf *out, const char *key, const struct core_conf *conf,
			 bool voters)
{
	const char *between = "";

	jaco_buf_printf(out, ",\"%s\":[", key);
	for (size_t i = 0; i < conf->n; i++) {
		if (conf->members[i].is_voter != voters)
			continue;
		jaco_buf_printf(out, "%s%llu", between, (unsigned long long)conf->members[i].id);
		between = ",";
	}
	jaco_buf_add_char(out, ']');
}

static void show_entries(struct jaco_buf *out, const struct core_message *msg)
{
	jaco_buf_add_str(out, ",\"entries\":\"");
	for (size_t i = 0; i < msg->n_entries; i++) {
		jaco_buf_printf(out, "%s%llu:", i ? "," : "",
				(unsigned long long)msg->entries[i]->term);
		show_entry_text(out, msg->entries[i]);
	}
	jaco_buf_add_char(out, '"');
}

static void show_snapshot(struct jaco_buf *out, const struct core_message *msg)
{
	struct host_state state;

	show_place(out, "base", msg->index, msg->log_term);
	show_members(out, "voters", msg->conf, true);
	show_members(out, "learners", msg->conf, false);
	jaco_buf_add_str(out, ",\"data\":\"");
	if (host_state_unpack(&state, msg->data, msg->n_data)) {
		for (size_t i = 0; i < state.n; i++) {
			jaco_buf_add_str(out, i ? "," : "");
			show_entry_text(out, state.items[i]);
		}
		host_state_fini(&state);
	}
	jaco_buf_add_char(out, '"');
}

void driver_show(struct jaco_buf *out, const struct core_message *msg)
{
	jaco_buf_printf(out, "{\"type\":\"%s\",\"from\":%llu,\"to\":%llu,\"term\":%llu",
			core_message_name(msg->type), (unsigned long long)msg->from,
			(unsigned long long)msg->to, (unsigned long long)msg->term);
	switch (msg->type) {
	case CORE_PREVOTE_REQ:
	case CORE_VOTE_REQ:
		show_place(out, "last", msg->index, msg->log_term);
		if (msg->transfer)
			show_number(out, "transfer", 1);
		break;
	case CORE_PREVOTE_RESP:
	case CORE_VOTE_RESP:
		show_number(out, "granted", msg->ok);
		break;
	case CORE_APP_REQ:
		show_place(out, "prev", msg->index, msg->log_term);
		show_entries(out, msg);
		show_number(out, "commit", msg->commit);
		break;
	case CORE_APP_RESP:
		show_number(out, "ok", msg->ok);
		show_number(out, msg->ok ? "match" : "hint", msg->ok ? msg->index : msg->hint);
		break;
	case CORE_SNAP_REQ:
		show_snapshot(out, msg);
		break;
	case CORE_SNAP_RESP:
		show_place(out, "base", msg->index, msg->log_term);
		show_number(out, "chunk", msg->hint);
		show_number(out, "offset", msg->offset);
		break;
	case CORE_TIMEOUT_NOW:
		break;
	}
	jaco_buf_add_char(out, '}');
}

static const char *role_name(enum core_role role)
{
	switch (role) {
	case CORE_FOLLOWER:
		return "follower";
	case CORE_PRECANDIDATE:
		return "precandidate";
	case CORE_CANDIDATE:
		return "candidate";
	case CORE_LEADER:
		return "leader";
	}
	return "unknown";
}

static void show_log_range(struct jaco_buf *out, const struct host_disk *disk)
{
	bool any = disk->n_log > 0;

	show_number(out, "first", disk->base_index + 1);
	show_number(out, "last", disk->base_index + disk->n_log);
	show_number(out, "lastterm", any ? disk->log[disk->n_log - 1]->term : disk->base_term);
}

void driver_show_state(struct jaco_buf *out, const struct host *host)
{
	const struct host_disk *disk = &host->disk;
	struct core_status status = {.role = CORE_FOLLOWER, .term = disk->term,
				     .vote = disk->vote, .commit = disk->commit,
				     .applied = disk->base_index, .conf = &disk->conf};

	/* Term and vote as the disk has them: what is not there yet may be forgotten in a crash,
	 * and no one else can have seen it. */
	if (host->core)
		core_status(host->core, &status);
	status.term = disk->term;
	status.vote = disk->vote;
	jaco_buf_printf(out, "{\"ok\":true,\"up\":%s,\"role\":\"%s\"",
			host->core ? "true" : "false", role_name(status.role));
	show_number(out, "term", status.term);
	show_number(out, "vote", status.vote);
	show_number(out, "leader", status.leader);
	show_number(out, "commit", status.commit);
	show_number(out, "applied", status.applied);
	show_log_range(out, disk);
	show_members(out, "voters", status.conf, true);
	show_members(out, "learners", status.conf, false);
	jaco_buf_add_str(out, "}\n");
}
