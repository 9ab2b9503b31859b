/* SPDX-License-Identifier: Apache-2.0
 *
 * rules_broken.h - which rule is broken; see rules_broken.c. */
#pragma once

enum core_bug {
	CORE_BUG_NONE,
	CORE_BUG_VOTE_TWICE,
	CORE_BUG_COMMIT_OLD_TERM,
	CORE_BUG_ACK_BEFORE_FLUSH,
	CORE_BUG_FORGET_ROLLBACK,
	CORE_BUG_READ_UNCONFIRMED,
};
#define CORE_BUGS (CORE_BUG_READ_UNCONFIRMED + 1)

extern enum core_bug core_bug;
