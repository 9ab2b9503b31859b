/* SPDX-License-Identifier: Apache-2.0
 *
 * driver_words.h - the words of the commands: arguments in, JSON out (spec/raft-driver.md). */
#pragma once

#include "tests/tools/driver.h"

/* [from=] [to=] [type=a|b] [max=n] */
struct driver_filter {
	uint64_t from, to; /* 0: any */
	unsigned types;    /* bits; 0: any */
	uint64_t max;
};

/* What a message made by the scenario points to. */
struct driver_rpc {
	struct core_conf conf;
	struct core_entry **entries;
	size_t n_entries;
	struct jaco_buf data;
};

/* The value of argument key=value, or NULL. */
const char *driver_value(const struct driver *d, const char *key);

/* These are true and leave @out alone when the argument is absent, false when it is malformed. */
bool driver_number(const struct driver *d, const char *key, uint64_t *out);
bool driver_place(const struct driver *d, const char *key, uint64_t *out_index, uint64_t *out_term);
bool driver_members(const char *list, bool is_voter, struct core_conf *conf);
bool driver_filter(const struct driver *d, struct driver_filter *out);

bool driver_matches(const struct driver_filter *filter, const struct core_message *msg);

/* "T:d,T:d" from @first on; false when malformed. */
bool driver_entries(const char *list, uint64_t first, struct core_entry ***out, size_t *out_n);

/* An entry from its text; "-" is an empty one. */
struct core_entry *driver_entry(uint64_t index, uint64_t term, const char *data);

/* "+v4" "+l4" "-n4" */
bool driver_change(const char *text, enum core_change *out_change, uint64_t *out_id);

/* "rpc TO type key=value ..." */
bool driver_rpc(const struct driver *d, uint64_t to, struct driver_rpc *rpc,
		struct core_message *out);
void driver_rpc_fini(struct driver_rpc *rpc);

/* JSON. */
void driver_show(struct jaco_buf *out, const struct core_message *msg);
void driver_show_data(struct jaco_buf *out, const struct core_entry *entry);
void driver_show_state(struct jaco_buf *out, const struct host *host);
