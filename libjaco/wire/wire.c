/* SPDX-License-Identifier: Apache-2.0
 *
 * wire.c - the descriptors, method table and keyspaces made from def/. */
#include "libjaco/wire/wire.h"

#include <string.h>

#include "libjaco/base/auto.h"

#define REQ true
#define OPT false


/* pass: field descriptors */
#define FIELD(m, f, kind_, req, max_, item_, set_, doc_)                                           \
	{.name = #f,                                                                               \
	 .offset = offsetof(struct wire_##m, f),                                                   \
	 .kind = kind_,                                                                            \
	 .is_required = req,                                                                       \
	 .max = max_,                                                                              \
	 .item = item_,                                                                            \
	 .words = set_,                                                                            \
	 .doc = doc_},
#define MSG(m, doc_)                                                                               \
	static const char wire_##m##_doc[] = doc_;                                                 \
	static const struct jaco_field wire_##m##_fields[] = {
#define STR(m, f, req, max, doc)        FIELD(m, f, JACO_KIND_STR, req, max, NULL, NULL, doc)
#define BIN(m, f, req, max, doc)        FIELD(m, f, JACO_KIND_BIN, req, max, NULL, NULL, doc)
#define U32(m, f, req, doc)             FIELD(m, f, JACO_KIND_U32, req, UINT32_MAX, NULL, NULL, doc)
#define U64(m, f, req, doc)             FIELD(m, f, JACO_KIND_U64, req, UINT64_MAX, NULL, NULL, doc)
#define TIME(m, f, req, doc)                                                                       \
	FIELD(m, f, JACO_KIND_TIME, req, UINT64_MAX, NULL, NULL, doc)
#define I64(m, f, req, doc)             FIELD(m, f, JACO_KIND_I64, req, INT64_MAX, NULL, NULL, doc)
#define BOOL(m, f, req, doc)            FIELD(m, f, JACO_KIND_BOOL, req, 1, NULL, NULL, doc)
#define ENUM(m, f, req, set, doc)                                                                  \
	FIELD(m, f, JACO_KIND_ENUM, req, 64, NULL, &jaco_##set##_enum, doc)
#define STRS(m, f, req, max, doc)       FIELD(m, f, JACO_KIND_STRS, req, max, NULL, NULL, doc)
#define DICT(m, f, req, max, doc)       FIELD(m, f, JACO_KIND_DICT, req, max, NULL, NULL, doc)
#define SUB(m, f, req, type, doc)                                                                  \
	FIELD(m, f, JACO_KIND_SUB, req, 1, &wire_##type##_desc, NULL, doc)
#define LIST(m, f, req, max, type, doc)                                                            \
	FIELD(m, f, JACO_KIND_LIST, req, max, &wire_##type##_desc, NULL, doc)
#define END(m)                                                                                     \
	{.name = NULL}                                                                             \
	}                                                                                          \
	;                                                                                          \
	const struct jaco_desc wire_##m##_desc = {                                                 \
		.name = #m,                                                                        \
		.doc = wire_##m##_doc,                                                             \
		.size = sizeof(struct wire_##m),                                                   \
		.fields = wire_##m##_fields,                                                       \
		.n_fields = wire_##m##_n_,                                                         \
	};                                                                                         \
	_Static_assert(wire_##m##_n_ <= 64, "has-bits are one word");
#define METHOD(d, m, name, in, out, r, f)
#define KEYSPACE(p, d, r, w, doc)
#define OBSSPACE(t, d, w, doc)
#include "libjaco/wire/def/all.def"
#include "libjaco/wire/pass_end.h"

/* pass: methods */
#include "libjaco/wire/pass_methods.h"
#define METHOD(d, m, name_, in_, out_, r, f)                                                       \
	const struct jaco_method wire_##d##_##m = {.name = name_,                                  \
						   .in = &wire_##in_##_desc,                       \
						   .out = &wire_##out_##_desc,                     \
						   .roles = r,                                     \
						   .flags = f};
#include "libjaco/wire/def/all.def"
#include "libjaco/wire/pass_end.h"

const struct jaco_method *const jaco_methods[] = {
#include "libjaco/wire/pass_methods.h"
#define METHOD(d, m, name, in, out, r, f) &wire_##d##_##m,
#include "libjaco/wire/def/all.def"
#include "libjaco/wire/pass_end.h"
};
const size_t jaco_n_methods = JACO_ARRAY_SIZE(jaco_methods);

/* pass: messages */
#include "libjaco/wire/pass_methods.h"
#undef MSG
#define MSG(m, doc) &wire_##m##_desc,
#define METHOD(d, m, name, in, out, r, f)
const struct jaco_desc *const jaco_messages[] = {
#include "libjaco/wire/def/all.def"
};
#include "libjaco/wire/pass_end.h"
const size_t jaco_n_messages = JACO_ARRAY_SIZE(jaco_messages);

/* pass: keyspaces */
#include "libjaco/wire/pass_methods.h"
#undef KEYSPACE
#define KEYSPACE(p, d, r, w, doc_) {p, &wire_##d##_desc, r, w, doc_},
#define METHOD(d, m, name, in, out, r, f)
const struct jaco_keyspace jaco_keyspaces[] = {
#include "libjaco/wire/def/state.def"
};
#include "libjaco/wire/pass_end.h"
const size_t jaco_n_keyspaces = JACO_ARRAY_SIZE(jaco_keyspaces);

#include "libjaco/wire/pass_methods.h"
#undef OBSSPACE
#define OBSSPACE(t, d, w, doc_) {t, &wire_##d##_desc, ROLE_ALL, w, doc_},
#define METHOD(d, m, name, in, out, r, f)
static const struct jaco_keyspace topics[] = {
#include "libjaco/wire/def/state.def"
};
#include "libjaco/wire/pass_end.h"

#define OBS_NODE "/obs/node/"

static const struct jaco_keyspace *find_topic(const char *key)
{
	const char *topic = strchr(key + strlen(OBS_NODE), '/');

	if (!topic)
		return NULL;
	for (size_t i = 0; i < JACO_ARRAY_SIZE(topics); i++)
		if (strcmp(topics[i].prefix, topic + 1) == 0)
			return &topics[i];
	return NULL;
}

const struct jaco_keyspace *jaco_keyspace_find(const char *key)
{
	if (strncmp(key, OBS_NODE, strlen(OBS_NODE)) == 0)
		return find_topic(key);
	for (size_t i = 0; i < jaco_n_keyspaces; i++)
		if (strncmp(key, jaco_keyspaces[i].prefix, strlen(jaco_keyspaces[i].prefix)) == 0)
			return &jaco_keyspaces[i];
	return NULL;
}

const struct jaco_method *jaco_method_find(const char *name)
{
	for (size_t i = 0; i < jaco_n_methods; i++)
		if (strcmp(jaco_methods[i]->name, name) == 0)
			return jaco_methods[i];
	return NULL;
}

const char *wire_dict_get(const struct wire_dict *dict, const char *key)
{
	for (size_t i = 0; i < dict->n; i++)
		if (strcmp(dict->v[i].key, key) == 0)
			return dict->v[i].value;
	return NULL;
}
