/* SPDX-License-Identifier: Apache-2.0
 *
 * log.c - one line per event to the journal or to standard error.
 *
 * The journal's native protocol is sd_journal_sendv(3); elsewhere one write(2) per line, so lines
 * of several processes on one pipe do not mix. */
#include "libjaco/base/log.h"

#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "libjaco/base/buf.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"

#ifdef JACO_HAVE_SYSTEMD
#include <systemd/sd-journal.h>
#endif

static struct {
	const char *subsystem;
	enum jaco_log_format format;
	enum jaco_log_level level;
} logger = {.subsystem = "jaco", .format = JACO_LOG_TEXT, .level = JACO_LOG_INFO};

static const struct {
	const char *name;
	const char *field;
} keys[] = {
#define KEY(id, journal_field, meaning) [JACO_LOG_KEY_##id] = {#id, journal_field},
#include "libjaco/base/log_keys.def"
#undef KEY
};

static const struct {
	const char *name;
	int syslog; /* RFC 5424 section 6.2.1 severity */
} levels[] = {
	[JACO_LOG_ERR] = {"error", 3},	 [JACO_LOG_WARNING] = {"warning", 4},
	[JACO_LOG_NOTICE] = {"notice", 5}, [JACO_LOG_INFO] = {"info", 6},
	[JACO_LOG_DEBUG] = {"debug", 7},
};

void jaco_log_open(const char *subsystem, enum jaco_log_format format, enum jaco_log_level level)
{
	logger.subsystem = subsystem;
	logger.format = format;
	logger.level = level;
}

void jaco_log_set_level(enum jaco_log_level level)
{
	logger.level = level;
}

enum jaco_log_level jaco_log_get_level(void)
{
	return logger.level;
}

bool jaco_log_enabled(enum jaco_log_level level)
{
	return level <= logger.level;
}

bool jaco_log_level_parse(const char *text, enum jaco_log_level *out_level)
{
	for (size_t i = 0; i < JACO_ARRAY_SIZE(levels); i++) {
		if (strcmp(levels[i].name, text) == 0) {
			*out_level = (enum jaco_log_level)i;
			return true;
		}
	}
	return false;
}

const char *jaco_log_level_name(enum jaco_log_level level)
{
	return levels[level].name;
}

static void add_quoted(struct jaco_buf *line, const char *text, bool json)
{
	bool plain = !json && *text && !strpbrk(text, " \t\"\\=");

	for (const char *p = text; plain && *p; p++)
		plain = (unsigned char)*p >= 0x20;
	if (plain) {
		jaco_buf_add_str(line, text);
		return;
	}
	jaco_buf_add_char(line, '"');
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			jaco_buf_printf(line, "\\%c", c);
		else if (c < 0x20)
			jaco_buf_printf(line, "\\u%04x", c);
		else
			jaco_buf_add_char(line, (char)c);
	}
	jaco_buf_add_char(line, '"');
}

static void add_value(struct jaco_buf *line, const struct jaco_kv *kv, bool json)
{
	if (kv->text)
		add_quoted(line, kv->text, json);
	else
		jaco_buf_printf(line, "%lld", (long long)kv->number);
}

static void render_text(struct jaco_buf *line, enum jaco_log_level level, const char *event,
			const struct jaco_kv *kvs)
{
	char when[JACO_RFC3339_BYTES];

	jaco_rfc3339_render(when, jaco_time_wall_ms());
	jaco_buf_printf(line, "%s %-7s %s: %s", when, levels[level].name, logger.subsystem, event);
	for (; kvs->key != JACO_LOG_KEY_END; kvs++) {
		jaco_buf_printf(line, " %s=", keys[kvs->key].name);
		add_value(line, kvs, false);
	}
	jaco_buf_add_char(line, '\n');
}

static void render_json(struct jaco_buf *line, enum jaco_log_level level, const char *event,
			const struct jaco_kv *kvs)
{
	char when[JACO_RFC3339_BYTES];

	jaco_rfc3339_render(when, jaco_time_wall_ms());
	jaco_buf_printf(line,
			"{\"time\":\"%s\",\"level\":\"%s\",\"subsystem\":\"%s\",\"event\":", when,
			levels[level].name, logger.subsystem);
	add_quoted(line, event, true);
	for (; kvs->key != JACO_LOG_KEY_END; kvs++) {
		jaco_buf_printf(line, ",\"%s\":", keys[kvs->key].name);
		add_value(line, kvs, true);
	}
	jaco_buf_add_str(line, "}\n");
}

#ifdef JACO_HAVE_SYSTEMD
#define JOURNAL_FIELDS_MAX 24

static bool to_journal(enum jaco_log_level level, const char *event, const struct jaco_kv *kvs)
{
	struct jaco_buf fields[JOURNAL_FIELDS_MAX];
	struct iovec iov[JOURNAL_FIELDS_MAX];
	size_t n = 3;
	bool sent;

	memset(fields, 0, sizeof(fields));
	jaco_buf_printf(&fields[1], "PRIORITY=%d", levels[level].syslog);
	jaco_buf_printf(&fields[2], "SUBSYSTEM=%s", logger.subsystem);
	jaco_buf_printf(&fields[0], "MESSAGE=%s", event);
	for (; kvs->key != JACO_LOG_KEY_END; kvs++) {
		jaco_buf_printf(&fields[0], " %s=", keys[kvs->key].name);
		add_value(&fields[0], kvs, false);
		if (n == JOURNAL_FIELDS_MAX)
			continue;
		jaco_buf_printf(&fields[n], "%s=", keys[kvs->key].field);
		if (kvs->text)
			jaco_buf_add_str(&fields[n], kvs->text);
		else
			jaco_buf_printf(&fields[n], "%lld", (long long)kvs->number);
		n++;
	}
	for (size_t i = 0; i < n; i++)
		iov[i] = (struct iovec){.iov_base = fields[i].data, .iov_len = fields[i].n};
	sent = sd_journal_sendv(iov, (int)n) == 0;
	for (size_t i = 0; i < n; i++)
		jaco_buf_fini(&fields[i]);
	return sent;
}
#else
static bool to_journal(enum jaco_log_level level, const char *event, const struct jaco_kv *kvs)
{
	(void)level;
	(void)event;
	(void)kvs;
	return false;
}
#endif

void jaco_log_write(enum jaco_log_level level, const char *event, const struct jaco_kv *kvs)
{
	jaco_auto(jaco_buf) struct jaco_buf line = JACO_BUF_INIT;

	if (logger.format == JACO_LOG_JOURNAL && to_journal(level, event, kvs))
		return;
	if (logger.format == JACO_LOG_JSON)
		render_json(&line, level, event, kvs);
	else
		render_text(&line, level, event, kvs);
	/* Nobody is left to tell when standard error is gone. */
	(void)!write(STDERR_FILENO, line.data, line.n);
}
