/* SPDX-License-Identifier: Apache-2.0
 *
 * words.h - what a container wrote last before it ended.
 *
 * "exited with status 1" tells nobody why, and after a rollback the container is gone; so its last
 * lines become part of the reason (spec/scheduling.md section 4) while they can still be read. */
#pragma once

#include <stddef.h>

#define WORDS_BYTES 256
#define WORDS_LINES 5

struct slot;

/* Pure: append one line of @n bytes to @words, oldest text making way.  Control characters become
 * spaces, and bytes of a line that is no UTF-8 question marks. */
void words_add(char words[static WORDS_BYTES], const char *text, size_t n);

/* Read the last lines of the container that just ended into slot->words. */
void words_fetch(struct slot *slot);
