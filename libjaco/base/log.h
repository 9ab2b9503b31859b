/* SPDX-License-Identifier: Apache-2.0
 *
 * log.h - a log line is an event, then keys.
 *
 *   jaco_log_info("subnet claimed", KV_STR(deployment, d), KV_STR(subnet, text));
 *
 * Journal fields under systemd, key=value text on a terminal, one JSON object a line when asked.
 * Only handlers, timers and main() log; library code returns errors.  Secrets have no formatter. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/err.h"

enum jaco_log_level {
	JACO_LOG_ERR,     /* a person must act */
	JACO_LOG_WARNING, /* degraded, retrying, says so */
	JACO_LOG_NOTICE,  /* the cluster changed */
	JACO_LOG_INFO,    /* this process's life */
	JACO_LOG_DEBUG,   /* decisions */
};

enum jaco_log_format { JACO_LOG_TEXT, JACO_LOG_JSON, JACO_LOG_JOURNAL };

enum jaco_log_key {
#define KEY(name, field, meaning) JACO_LOG_KEY_##name,
#include "libjaco/base/log_keys.def"
#undef KEY
	JACO_LOG_KEY_END
};

struct jaco_kv {
	enum jaco_log_key key;
	const char *text; /* NULL: number */
	int64_t number;
};

#define KV_STR(name, value)                                                                        \
	((struct jaco_kv){.key = JACO_LOG_KEY_##name, .text = (value) ? (value) : "-"})
#define KV_INT(name, value)                                                                        \
	((struct jaco_kv){.key = JACO_LOG_KEY_##name, .number = (int64_t)(value)})

#define JACO_LOG(level, event, ...)                                                                \
	do {                                                                                       \
		if (jaco_log_enabled(level))                                                       \
			jaco_log_write(level, event,                                               \
				       (const struct jaco_kv[]){__VA_ARGS__ __VA_OPT__(, )         \
								{.key = JACO_LOG_KEY_END}});       \
	} while (0)
#define jaco_log_err(...)     JACO_LOG(JACO_LOG_ERR, __VA_ARGS__)
#define jaco_log_warning(...) JACO_LOG(JACO_LOG_WARNING, __VA_ARGS__)
#define jaco_log_notice(...)  JACO_LOG(JACO_LOG_NOTICE, __VA_ARGS__)
#define jaco_log_info(...)    JACO_LOG(JACO_LOG_INFO, __VA_ARGS__)
#define jaco_log_debug(...)   JACO_LOG(JACO_LOG_DEBUG, __VA_ARGS__)

/* An error object as a line: event, then code and error, then keys. */
#define JACO_LOG_FAILURE(level, event, err, ...)                                                   \
	JACO_LOG(level, event, KV_STR(code, jaco_code_name((err)->code)),                          \
		 KV_STR(error, (err)->text) __VA_OPT__(, ) __VA_ARGS__)

/* Once at start.  @subsystem is the daemon's name and is kept by reference. */
void jaco_log_open(const char *subsystem, enum jaco_log_format format, enum jaco_log_level level);
void jaco_log_set_level(enum jaco_log_level level);
enum jaco_log_level jaco_log_get_level(void);
bool jaco_log_enabled(enum jaco_log_level level);

/* "debug", "info", "notice", "warning", "error"; false when none of them. */
bool jaco_log_level_parse(const char *text, enum jaco_log_level *out_level);
const char *jaco_log_level_name(enum jaco_log_level level);

/* @kvs ends with JACO_LOG_KEY_END.  Use the macros. */
void jaco_log_write(enum jaco_log_level level, const char *event, const struct jaco_kv *kvs);
