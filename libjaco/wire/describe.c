/* SPDX-License-Identifier: Apache-2.0
 *
 * describe.c - prints jaco-wire(7) from the descriptors, so that it cannot be out of date. */
#include "libjaco/wire/print.h"

#include "libjaco/wire/wire.h"

static const char *kind_name(const struct jaco_field *field)
{
	switch (field->kind) {
	case JACO_KIND_STR:
		return "text";
	case JACO_KIND_BIN:
		return "binary";
	case JACO_KIND_U32:
	case JACO_KIND_U64:
		return "unsigned";
	case JACO_KIND_TIME:
		return "time (ms)";
	case JACO_KIND_I64:
		return "integer";
	case JACO_KIND_BOOL:
		return "boolean";
	case JACO_KIND_ENUM:
		return "word";
	case JACO_KIND_STRS:
		return "list of text";
	case JACO_KIND_DICT:
		return "map of text";
	case JACO_KIND_SUB:
	case JACO_KIND_LIST:
		break;
	}
	return field->kind == JACO_KIND_SUB ? "map" : "list";
}

/* mdoc gives a meaning to a leading dot or quote and to a backslash. */
static void add_text(struct jaco_buf *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		jaco_buf_add_str(out, "\\&");
	for (; *text; text++) {
		if (*text == '\\')
			jaco_buf_add_str(out, "\\e");
		else
			jaco_buf_add_char(out, *text);
	}
	jaco_buf_add_char(out, '\n');
}

static void add_field(struct jaco_buf *out, const struct jaco_field *field)
{
	jaco_buf_printf(out, ".It Va %s : %s%s%s%s\n", field->name, kind_name(field),
			field->item ? " of " : "", field->item ? field->item->name : "",
			field->is_required ? " , No required" : "");
	add_text(out, field->doc);
	if (!field->words)
		return;
	jaco_buf_add_str(out, "One of");
	for (size_t i = 0; i < field->words->n; i++)
		jaco_buf_printf(out, "%s %s", i ? "," : "", field->words->words[i]);
	jaco_buf_add_str(out, ".\n");
}

static void add_message(struct jaco_buf *out, const struct jaco_desc *desc)
{
	jaco_buf_printf(out, ".Ss %s\n", desc->name);
	add_text(out, desc->doc);
	if (desc->n_fields == 0)
		return;
	jaco_buf_add_str(out, ".Bl -tag -width Ds -compact\n");
	for (size_t i = 0; i < desc->n_fields; i++)
		add_field(out, &desc->fields[i]);
	jaco_buf_add_str(out, ".El\n");
}

void jaco_describe_mdoc(struct jaco_buf *out)
{
	jaco_buf_add_str(out, ".Sh METHODS\n.Bl -tag -width Ds\n");
	for (size_t i = 0; i < jaco_n_methods; i++) {
		const struct jaco_method *m = jaco_methods[i];

		jaco_buf_printf(out, ".It Ic %s\nTakes %s, answers %s%s.\n", m->name, m->in->name,
				m->out->name, m->flags & METHOD_STREAM ? " as events" : "");
	}
	jaco_buf_add_str(out, ".El\n.Sh KEYS\n.Bl -tag -width Ds\n");
	for (size_t i = 0; i < jaco_n_keyspaces; i++)
		jaco_buf_printf(out, ".It Pa %s\nHolds %s: %s.\n", jaco_keyspaces[i].prefix,
				jaco_keyspaces[i].desc->name, jaco_keyspaces[i].doc);
	jaco_buf_add_str(out, ".El\n.Sh MESSAGES\n");
	for (size_t i = 0; i < jaco_n_messages; i++)
		add_message(out, jaco_messages[i]);
}
