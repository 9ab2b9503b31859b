/* SPDX-License-Identifier: Apache-2.0
 *
 * shown.h - what was told last of each thing, so that only news is told.  Pure. */
#pragma once

#include <stdbool.h>

struct shown; /* NULL: nothing yet */

/* True when @text is not what was told last of @key; it is remembered. */
bool shown_is_news(struct shown **shown, const char *key, const char *text);

/* True when anything was told of @key. */
bool shown_has(struct shown *shown, const char *key);

/* @key will not be told of again: it takes no memory from here on. */
void shown_drop(struct shown **shown, const char *key);

void shown_fini(struct shown **shown);
