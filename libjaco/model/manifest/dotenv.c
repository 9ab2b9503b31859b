/* SPDX-License-Identifier: Apache-2.0
 *
 * dotenv.c - .env files. */
#include "libjaco/model/manifest/dotenv.h"

#include <string.h>

#include "libjaco/base/buf.h"
#include "libjaco/base/str.h"
#include "libjaco/model/manifest/interpolate.h"

struct cursor {
	const char *name;
	const char *at;
	const char *end;
	unsigned line;
	struct jaco_vars *vars;
	size_t total; /* bytes of values, bounded: a value may repeat an earlier one */
};

static int fail(const struct cursor *cursor, const char *what, struct jaco_err *err)
{
	jaco_err_set(err, JACO_VALIDATION_FAILED, "load environment file %.200s: line %u: %s",
		     cursor->name, cursor->line, what);
	if (err) {
		jaco_err_detail(err, "file", "%s", cursor->name);
		jaco_err_detail(err, "line", "%u", cursor->line);
	}
	return -(int)JACO_VALIDATION_FAILED;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static void skip_blanks(struct cursor *cursor)
{
	while (cursor->at < cursor->end && is_blank(*cursor->at))
		cursor->at++;
}

static void skip_line(struct cursor *cursor)
{
	while (cursor->at < cursor->end && *cursor->at != '\n')
		cursor->at++;
}

static void add_escape(struct jaco_buf *out, char c)
{
	static const char from[] = "nrtabfv\\\"'";
	static const char to[] = "\n\r\t\a\b\f\v\\\"'";
	const char *found = strchr(from, c);

	if (c == '$') {
		/* kept apart from a variable until interpolation has run */
		jaco_buf_add_str(out, "$$");
	} else if (found) {
		jaco_buf_add_char(out, to[found - from]);
	} else {
		jaco_buf_add_char(out, '\\');
		jaco_buf_add_char(out, c);
	}
}

static int expand(struct cursor *cursor, struct jaco_buf *raw, struct jaco_err *err)
{
	struct jaco_buf out = JACO_BUF_BOUND(JACO_INTERPOLATE_BYTES_MAX);
	struct jaco_err inner = JACO_ERR_INIT;
	int rc = jaco_interpolate_text(&out, jaco_buf_str(raw), cursor->vars, true, NULL, NULL,
				       &inner);

	if (rc == 0) {
		jaco_buf_fini(raw);
		*raw = out;
		return 0;
	}
	jaco_buf_fini(&out);
	return fail(cursor, inner.text, err);
}

static int read_quoted(struct cursor *cursor, struct jaco_buf *out, struct jaco_err *err)
{
	char quote = *cursor->at++;
	unsigned first_line = cursor->line;

	for (;; cursor->at++) {
		if (cursor->at >= cursor->end) {
			cursor->line = first_line;
			return fail(cursor, "unterminated quoted value", err);
		}
		if (*cursor->at == quote)
			break;
		if (*cursor->at == '\n')
			cursor->line++;
		if (*cursor->at == '\r' && cursor->at + 1 < cursor->end && cursor->at[1] == '\n')
			continue;
		if (quote == '"' && *cursor->at == '\\' && cursor->at + 1 < cursor->end)
			add_escape(out, *++cursor->at);
		else
			jaco_buf_add_char(out, *cursor->at);
	}
	cursor->at++;
	skip_blanks(cursor);
	if (cursor->at < cursor->end && *cursor->at != '\n' && *cursor->at != '#')
		return fail(cursor, "text after the closing quote", err);
	skip_line(cursor);
	return quote == '"' ? expand(cursor, out, err) : 0;
}

static int read_plain(struct cursor *cursor, struct jaco_buf *out, struct jaco_err *err)
{
	const char *start = cursor->at;
	const char *end;

	skip_line(cursor);
	end = cursor->at;
	for (const char *c = start; c < end; c++)
		if (*c == '#' && (c == start ? c > start : is_blank(c[-1]))) {
			end = c;
			break;
		}
	while (end > start && is_blank(end[-1]))
		end--;
	jaco_buf_add(out, start, (size_t)(end - start));
	return expand(cursor, out, err);
}

static size_t key_length(const struct cursor *cursor)
{
	size_t n = 0;

	while (cursor->at + n < cursor->end && (jaco_ascii_is_alnum(cursor->at[n]) ||
						(cursor->at[n] && strchr("_.-[]", cursor->at[n]))))
		n++;
	return n;
}

/* The key at the cursor, copied; NULL after a report. */
static const char *read_key(struct cursor *cursor, struct jaco_err *err)
{
	size_t n = key_length(cursor);
	const char *key;

	if (n == 6 && strncmp(cursor->at, "export", 6) == 0 && cursor->at + 6 < cursor->end &&
	    (cursor->at[6] == ' ' || cursor->at[6] == '\t')) {
		cursor->at += 6;
		skip_blanks(cursor);
		n = key_length(cursor);
	}
	if (n == 0) {
		(void)fail(cursor, "a line must be KEY=value", err);
		return NULL;
	}
	key = jaco_arena_strndup(cursor->vars->arena, cursor->at, n);
	cursor->at += n;
	skip_blanks(cursor);
	return key;
}

static int read_line(struct cursor *cursor, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf value = JACO_BUF_BOUND(JACO_INTERPOLATE_BYTES_MAX);
	const char *key = read_key(cursor, err);
	int rc;

	if (!key)
		return -(int)JACO_VALIDATION_FAILED;
	if (cursor->at >= cursor->end || *cursor->at == '\n' || *cursor->at == '#') {
		const char *known = jaco_vars_get(cursor->vars, key);

		if (known)
			jaco_vars_set(cursor->vars, key, known);
		skip_line(cursor);
		return 0;
	}
	if (*cursor->at != '=' && *cursor->at != ':')
		return fail(cursor, "a line must be KEY=value", err);
	cursor->at++;
	{
		const char *start = cursor->at;

		skip_blanks(cursor);
		if (cursor->at > start && cursor->at < cursor->end && *cursor->at == '#') {
			skip_line(cursor);
			jaco_vars_set(cursor->vars, key, "");
			return 0;
		}
	}
	if (cursor->at < cursor->end && (*cursor->at == '"' || *cursor->at == '\''))
		rc = read_quoted(cursor, &value, err);
	else
		rc = read_plain(cursor, &value, err);
	if (rc < 0)
		return rc;
	cursor->total += value.n;
	if (cursor->total > JACO_INTERPOLATE_BYTES_MAX)
		return fail(cursor, "the values are too long", err);
	jaco_vars_set(cursor->vars, key, jaco_buf_str(&value));
	return 0;
}

static int begin(struct cursor *cursor, const char *name, const char *text, size_t n,
		 struct jaco_vars *vars, struct jaco_err *err)
{
	*cursor =
		(struct cursor){.name = name, .at = text, .end = text + n, .line = 1, .vars = vars};
	if (n > JACO_YAML_BYTES_MAX)
		return fail(cursor, "the file is larger than 1 MiB", err);
	if (memchr(text, '\0', n))
		return fail(cursor, "the file holds a NUL character", err);
	if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		cursor->at += 3;
	return 0;
}

int jaco_dotenv_parse(const char *name, const char *text, size_t n, struct jaco_vars *vars,
		      struct jaco_err *err)
{
	struct cursor cursor;
	int rc = begin(&cursor, name, text, n, vars, err);

	while (rc == 0 && cursor.at < cursor.end) {
		skip_blanks(&cursor);
		if (cursor.at >= cursor.end)
			break;
		if (*cursor.at == '#')
			skip_line(&cursor);
		else if (*cursor.at != '\n')
			rc = read_line(&cursor, err);
		if (cursor.at < cursor.end && *cursor.at == '\n') {
			cursor.at++;
			cursor.line++;
		}
	}
	return rc;
}

int jaco_dotenv_parse_raw(const char *name, const char *text, size_t n, struct jaco_vars *vars,
			  struct jaco_err *err)
{
	struct cursor cursor;
	int rc = begin(&cursor, name, text, n, vars, err);

	for (; rc == 0 && cursor.at < cursor.end; cursor.line++) {
		const char *start = cursor.at;
		size_t length;
		char *line;

		skip_line(&cursor);
		length = (size_t)(cursor.at - start);
		if (length > 0 && start[length - 1] == '\r')
			length--;
		line = jaco_arena_strndup(vars->arena, start, length);
		if (*line && *line != '#' && strchr(line, '='))
			(void)jaco_vars_set_pair(vars, line);
		if (cursor.at < cursor.end)
			cursor.at++;
	}
	return rc;
}
