/* SPDX-License-Identifier: Apache-2.0
 *
 * err.c - fills error objects and knows the closed table of codes. */
#include "libjaco/base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int exit_status;
	const char *sentence;
} codes[JACO_CODE_END] = {
	[JACO_OK] = {"ok", 0, "no error"},
#define X(id, text, status, words) [JACO_##id] = {text, status, words},
	JACO_CODES(X)
#undef X
};

JACO_PRINTF(3, 0)
static void set_text(struct jaco_err *err, enum jaco_code code, const char *fmt, va_list ap)
{
	err->code = code;
	err->sys_errno = 0;
	err->n_details = 0;
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap); /* a cut sentence is still one */
}

int jaco_err_set(struct jaco_err *err, enum jaco_code code, const char *fmt, ...)
{
	va_list ap;

	if (err) {
		va_start(ap, fmt);
		set_text(err, code, fmt, ap);
		va_end(ap);
	}
	return -(int)code;
}

int jaco_err_errno(struct jaco_err *err, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	size_t used;

	if (!err)
		return -JACO_INTERNAL;
	va_start(ap, fmt);
	set_text(err, JACO_INTERNAL, fmt, ap);
	va_end(ap);
	err->sys_errno = saved;
	used = strlen(err->text);
	(void)snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(saved));
	return -JACO_INTERNAL;
}

int jaco_err_wrap(struct jaco_err *err, const char *fmt, ...)
{
	char inner[JACO_ERR_TEXT_MAX];
	va_list ap;
	size_t used;

	if (!err)
		return -JACO_INTERNAL;
	memcpy(inner, err->text, sizeof(inner));
	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	(void)snprintf(err->text + used, sizeof(err->text) - used, ": %s", inner);
	return -(int)err->code;
}

void jaco_err_detail(struct jaco_err *err, const char *key, const char *fmt, ...)
{
	size_t i;
	va_list ap;

	if (!err)
		return;
	for (i = 0; i < err->n_details; i++)
		if (strcmp(err->details[i].key, key) == 0)
			break;
	if (i == JACO_ERR_DETAILS_MAX)
		return;
	if (i == err->n_details)
		err->n_details++;
	(void)snprintf(err->details[i].key, sizeof(err->details[i].key), "%s", key);
	va_start(ap, fmt);
	(void)vsnprintf(err->details[i].value, sizeof(err->details[i].value), fmt, ap);
	va_end(ap);
}

const char *jaco_err_get_detail(const struct jaco_err *err, const char *key)
{
	for (size_t i = 0; i < err->n_details; i++)
		if (strcmp(err->details[i].key, key) == 0)
			return err->details[i].value;
	return NULL;
}

void jaco_err_clear(struct jaco_err *err)
{
	err->code = JACO_OK;
	err->sys_errno = 0;
	err->text[0] = '\0';
	err->n_details = 0;
}

const char *jaco_code_name(enum jaco_code code)
{
	return (unsigned)code < JACO_CODE_END ? codes[code].name : codes[JACO_INTERNAL].name;
}

int jaco_code_exit(enum jaco_code code)
{
	return (unsigned)code < JACO_CODE_END ? codes[code].exit_status
					      : codes[JACO_INTERNAL].exit_status;
}

const char *jaco_code_sentence(enum jaco_code code)
{
	return (unsigned)code < JACO_CODE_END ? codes[code].sentence
					      : codes[JACO_INTERNAL].sentence;
}

enum jaco_code jaco_code_find(const char *name)
{
	for (int i = 0; i < JACO_CODE_END; i++)
		if (strcmp(codes[i].name, name) == 0)
			return (enum jaco_code)i;
	return JACO_INTERNAL;
}
