/* SPDX-License-Identifier: Apache-2.0
 *
 * conf.c - configurations as values: change, look up, pack. */
#include "daemons/raftd/core/core.h"

#include <string.h>

enum { PACKED_MEMBER = 9 };

static size_t place(const struct core_conf *conf, uint64_t id)
{
	size_t i = 0;

	while (i < conf->n && conf->members[i].id < id)
		i++;
	return i;
}

const struct core_member *core_conf_find(const struct core_conf *conf, uint64_t id)
{
	size_t i = place(conf, id);

	return i < conf->n && conf->members[i].id == id ? &conf->members[i] : NULL;
}

int core_conf_set(struct core_conf *conf, uint64_t id, bool is_voter, struct jaco_err *err)
{
	size_t i = place(conf, id);

	if (i == conf->n || conf->members[i].id != id) {
		if (conf->n == JACO_NODES_MAX)
			return jaco_err_set(err, JACO_LIMIT_EXCEEDED,
					    "a cluster has at most %d members", JACO_NODES_MAX);
		memmove(&conf->members[i + 1], &conf->members[i],
			(conf->n - i) * sizeof(conf->members[0]));
		conf->n++;
	}
	conf->members[i] = (struct core_member){.id = id, .is_voter = is_voter};
	return 0;
}

void core_conf_remove(struct core_conf *conf, uint64_t id)
{
	size_t i = place(conf, id);

	if (i == conf->n || conf->members[i].id != id)
		return;
	conf->n--;
	memmove(&conf->members[i], &conf->members[i + 1], (conf->n - i) * sizeof(conf->members[0]));
}

size_t core_conf_voters(const struct core_conf *conf)
{
	size_t n = 0;

	for (size_t i = 0; i < conf->n; i++)
		n += conf->members[i].is_voter;
	return n;
}

size_t core_conf_pack(const struct core_conf *conf, uint8_t out[static CORE_CONF_PACKED_MAX])
{
	for (size_t i = 0; i < conf->n; i++) {
		uint8_t *at = out + i * PACKED_MEMBER;

		for (int byte = 0; byte < 8; byte++)
			at[byte] = (uint8_t)(conf->members[i].id >> (8 * byte));
		at[8] = conf->members[i].is_voter;
	}
	return conf->n * PACKED_MEMBER;
}

int core_conf_unpack(struct core_conf *conf, const void *data, size_t bytes, struct jaco_err *err)
{
	struct core_conf read = {.n = bytes / PACKED_MEMBER};
	const uint8_t *at = data;
	uint64_t before = 0;

	if (bytes % PACKED_MEMBER || read.n > JACO_NODES_MAX)
		return jaco_err_set(err, JACO_PARSE_FAILED, "a configuration of %zu bytes", bytes);
	for (size_t i = 0; i < read.n; i++, at += PACKED_MEMBER) {
		uint64_t id = 0;

		for (int byte = 0; byte < 8; byte++)
			id |= (uint64_t)at[byte] << (8 * byte);
		if (id <= before || at[8] > 1)
			return jaco_err_set(err, JACO_PARSE_FAILED,
					    "member %zu of a configuration is malformed", i);
		read.members[i] = (struct core_member){.id = id, .is_voter = at[8]};
		before = id;
	}
	*conf = read;
	return 0;
}
