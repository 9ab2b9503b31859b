/* SPDX-License-Identifier: Apache-2.0
 *
 * names.c - hosts(5): address, names, # to the end of the line. */
#include "daemons/raftd/link/names.h"

#include <string.h>
#include <strings.h>

#include "libjaco/base/str.h"

#define BLANK " \t\r"
#define WORD  256

/* The next word of the line at *@at; false at its end. */
static bool take_word(const char **at, char out[static WORD])
{
	size_t n;

	*at += strspn(*at, BLANK);
	n = strcspn(*at, BLANK "#\n");
	if (n == 0)
		return false;
	(void)jaco_str_format(out, WORD, "%.*s", (int)(n < WORD ? n : WORD - 1), *at);
	*at += n;
	return true;
}

static bool set_address(const char *text, uint16_t port, struct jaco_addr *out_addr)
{
	char whole[WORD + 16];
	struct jaco_err err = JACO_ERR_INIT;

	(void)jaco_str_format(whole, sizeof(whole), strchr(text, ':') ? "[%s]:%u" : "%s:%u", text,
			      (unsigned)port);
	return jaco_addr_parse(out_addr, whole, 0, &err) >= 0;
}

bool names_find(const char *hosts, const char *name, uint16_t port, struct jaco_addr *out_addr)
{
	char address[WORD], word[WORD];

	for (const char *line = hosts; *line;) {
		const char *at = line;

		if (take_word(&at, address))
			while (take_word(&at, word))
				if (strcasecmp(word, name) == 0 &&
				    set_address(address, port, out_addr))
					return true;
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return false;
}
