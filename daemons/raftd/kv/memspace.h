/* SPDX-License-Identifier: Apache-2.0
 *
 * memspace.h - a space in memory: sorted arrays, for tests, the simulator and backup
 * verification. */
#pragma once

#include "daemons/raftd/kv/space.h"

struct memspace {
	struct kv_space space; /* first: a kv_space * of this kind is a memspace * */
	struct memspace_table {
		struct memspace_pair *pairs;
		size_t n;
		size_t cap;
	} tables[KV_TABLE_END];
};

void memspace_init(struct memspace *mem);
void memspace_fini(struct memspace *mem);
#define memspace_cleanup memspace_fini
