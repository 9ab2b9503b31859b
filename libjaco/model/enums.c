/* SPDX-License-Identifier: Apache-2.0
 *
 * enums.c - the words of the closed sets. */
#include "libjaco/model/enums.h"

#include <string.h>

#define W(set, constant, word) word,
#define X(id, prefix)                                                                              \
	static const char *const id##_words[] = {JACO_WORDS_##id(W)};                              \
	const struct jaco_enum jaco_##id##_enum = {#id, id##_words,                                \
						   sizeof(id##_words) / sizeof(id##_words[0])};
JACO_ENUMS(X)
#undef X
#undef W

const char *jaco_enum_word(const struct jaco_enum *set, int value)
{
	return value >= 0 && (size_t)value < set->n ? set->words[value] : "?";
}

int jaco_enum_find(const struct jaco_enum *set, const char *word)
{
	for (size_t i = 0; i < set->n; i++)
		if (strcmp(set->words[i], word) == 0)
			return (int)i;
	return -1;
}
