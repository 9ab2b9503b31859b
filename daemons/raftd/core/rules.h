/* SPDX-License-Identifier: Apache-2.0
 *
 * rules.h - the five sentences that safety hangs on, each asked in one place.
 *
 * They stand apart so that the simulator can be linked against a file that breaks one of them
 * (tests/sim/raft/rules_broken.c) and has to notice. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A vote may go to @candidate: none was given in this term, or to the same one (thesis 3.4). */
bool rules_may_vote(uint64_t vote, uint64_t candidate);

/* An entry of @entry_term on a majority is committed by the leader of @term (thesis 3.6.2). */
bool rules_may_commit(uint64_t entry_term, uint64_t term);

/* How much of what is in the log counts: what the disk has (thesis 3.8). */
uint64_t rules_stored(uint64_t last, uint64_t durable);

/* A truncated configuration entry takes its configuration with it (thesis 4.1). */
bool rules_conf_rolls_back(void);

/* A read asked for in @round may be answered once a majority answered @confirmed (thesis 6.4). */
bool rules_read_confirmed(uint64_t round, uint64_t confirmed);
