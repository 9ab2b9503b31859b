/* SPDX-License-Identifier: Apache-2.0
 *
 * shown.c - see shown.h. */
#include "cli/shown.h"

#include <string.h>

#include <uthash.h>

#include "libjaco/base/mem.h"

struct shown {
	char *key;
	char *text;
	UT_hash_handle hh;
};

static struct shown *find(struct shown *shown, const char *key)
{
	struct shown *found;

	HASH_FIND_STR(shown, key, found);
	return found;
}

static void drop(struct shown **shown, struct shown *one)
{
	HASH_DEL(*shown, one);
	jaco_free(one->key);
	jaco_free(one->text);
	jaco_free(one);
}

bool shown_is_news(struct shown **shown, const char *key, const char *text)
{
	struct shown *one = find(*shown, key);

	if (one && strcmp(one->text, text) == 0)
		return false;
	if (!one) {
		one = jaco_alloc(sizeof(*one));
		one->key = jaco_strdup(key);
		HASH_ADD_KEYPTR(hh, *shown, one->key, strlen(one->key), one);
	}
	jaco_free(one->text);
	one->text = jaco_strdup(text);
	return true;
}

bool shown_has(struct shown *shown, const char *key)
{
	return find(shown, key) != NULL;
}

void shown_drop(struct shown **shown, const char *key)
{
	struct shown *one = find(*shown, key);

	if (one)
		drop(shown, one);
}

void shown_fini(struct shown **shown)
{
	struct shown *one, *next;

	HASH_ITER(hh, *shown, one, next)
		drop(shown, one);
}
