/* SPDX-License-Identifier: Apache-2.0
 *
 * access.c - the rights table, asked. */
#include "daemons/raftd/kv/access.h"

#include <string.h>

#include "libjaco/base/str.h"

static int denied(struct jaco_err *err, const char *what, const char *key)
{
	return jaco_err_set(err, JACO_PERMISSION_DENIED, "this socket may not %s %s", what, key);
}

int access_read(uint32_t role, const char *prefix, struct jaco_err *err)
{
	size_t n_found = 0;

	/* Topics of nodes are no keyspace rows of their own; everybody may look (state.def). */
	if (jaco_str_starts(prefix, "/obs/node/"))
		return 0;
	for (size_t i = 0; i < jaco_n_keyspaces; i++) {
		const struct jaco_keyspace *space = &jaco_keyspaces[i];

		if (!jaco_str_starts(prefix, space->prefix) &&
		    !jaco_str_starts(space->prefix, prefix))
			continue;
		n_found++;
		if (!(space->read_roles & role))
			return denied(err, "read", prefix);
	}
	if (n_found == 0)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "there are no keys below %s",
				    prefix);
	return 0;
}

int access_write(uint32_t role, const char *key, struct jaco_err *err)
{
	const struct jaco_keyspace *space = jaco_keyspace_find(key);

	if (!space)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "%s is in no keyspace", key);
	return space->write_roles & role ? 0 : denied(err, "write", key);
}

int access_compare(uint32_t role, const char *key, struct jaco_err *err)
{
	const struct jaco_keyspace *space = jaco_keyspace_find(key);

	if (!space)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "%s is in no keyspace", key);
	return (space->read_roles | space->write_roles) & role ? 0 : denied(err, "read", key);
}

int access_check_value(const char *key, const void *value, size_t n, struct jaco_arena *arena,
		       struct jaco_err *err)
{
	const struct jaco_keyspace *space = jaco_keyspace_find(key);
	void *msg;

	if (!space)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "%s is in no keyspace", key);
	msg = jaco_arena_alloc(arena, space->desc->size);
	if (jaco_unpack(space->desc, value, n, arena, msg, err) < 0)
		return jaco_err_wrap(err, "%s", key);
	return 0;
}

int access_owner(const char *key, const char *host, struct jaco_err *err)
{
	static const char node[] = "/obs/node/", replica[] = "/obs/replica/";
	const char *owner = NULL;
	size_t n = 0;

	if (jaco_str_starts(key, node)) {
		owner = key + sizeof(node) - 1;
		n = strcspn(owner, "/");
	} else if (jaco_str_starts(key, replica) && strrchr(key, '@')) {
		owner = strrchr(key, '@') + 1;
		n = strlen(owner);
	}
	if (!owner || n != strlen(host) || memcmp(owner, host, n) != 0)
		return jaco_err_set(err, JACO_PERMISSION_DENIED,
				    "%s does not belong to this node (%s)", key, host);
	return 0;
}
