/* SPDX-License-Identifier: Apache-2.0
 *
 * words.c - the engine's log of an ended container, cut to what fits a reason. */
#include "daemons/runtimed/words.h"

#include <string.h>

#include "daemons/runtimed/demux.h"
#include "daemons/runtimed/runtimed.h"
#include "libjaco/base/str.h"

#define SEPARATOR " | "

static void clean(char *line)
{
	bool is_utf8 = jaco_str_is_utf8(line, strlen(line));

	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
		else if (!is_utf8 && (unsigned char)*c >= 0x80)
			*c = '?';
}

void words_add(char words[static WORDS_BYTES], const char *text, size_t n)
{
	char line[WORDS_BYTES];
	size_t room, used = strlen(words);

	jaco_str_format(line, sizeof(line), "%.*s", (int)JACO_MIN(n, (size_t)WORDS_BYTES / 2),
			text);
	clean(line);
	if (!line[0])
		return;
	room = WORDS_BYTES - 1 - strlen(line) - strlen(SEPARATOR);
	while (used > room) { /* whole lines go */
		const char *next = strstr(words, SEPARATOR);

		used = next ? strlen(next + strlen(SEPARATOR)) : 0;
		memmove(words, words + strlen(words) - used, used + 1);
	}
	jaco_str_format(words + used, WORDS_BYTES - used, "%s%s", used ? SEPARATOR : "", line);
}

static void on_line(void *ctx, bool is_stderr, const char *text, size_t n)
{
	struct slot *slot = ctx;
	size_t prefix = demux_time_prefix(text);

	(void)is_stderr;
	if (prefix > 0) {
		text += prefix + 1;
		n -= prefix + 1;
	}
	words_add(slot->words, text, n);
}

static void on_end(void *ctx, const struct jaco_err *err)
{
	struct slot *slot = ctx;

	slot->words_call = NULL;
	if (err)
		JACO_LOG_FAILURE(JACO_LOG_DEBUG, "no last lines", err, KV_STR(replica, slot->id));
	runtimed_poke(slot->rt);
}

void words_fetch(struct slot *slot)
{
	struct engine_logs_options options = {
		.tail = WORDS_LINES, .is_raw = slot->service && slot->service->tty};

	if (slot->words_call)
		return;
	slot->words[0] = '\0';
	slot->words_call =
		engine_logs(slot->rt->engine, slot->c.id, &options, on_line, on_end, slot);
}
