/* SPDX-License-Identifier: Apache-2.0
 *
 * wire.h - every message as a C struct, made from def/ in passes (style.md C.10).
 *
 * A struct wire_x is borrowed from the arena of the call (or view entry) it came with.  Optional
 * fields that are zero, NULL or empty are not sent; set the has-bit to send an explicit zero:
 *
 *   struct wire_scale req = {.deployment = d, .service = s};
 *   JACO_SET(&req, scale, replicas, 0);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/limits.h"
#include "libjaco/model/enums.h"
#include "libjaco/wire/codec.h"

/* Who may call and write: the role is the socket a caller came in by (architecture.md 2.3). */
enum {
	ROLE_SCHEDD = 1 << 0,
	ROLE_IPAMD = 1 << 1,
	ROLE_MESHD = 1 << 2,
	ROLE_FWD = 1 << 3,
	ROLE_DNSD = 1 << 4,
	ROLE_PROXYD = 1 << 5,
	ROLE_RUNTIMED = 1 << 6,
	ROLE_RAFTD = 1 << 7, /* raftd itself, relaying a person's call */
	ROLE_ADMIN = 1 << 8, /* the control socket */
	ROLE_DAEMONS = ROLE_SCHEDD | ROLE_IPAMD | ROLE_MESHD | ROLE_FWD | ROLE_DNSD | ROLE_PROXYD |
		       ROLE_RUNTIMED,
	ROLE_ALL = ROLE_DAEMONS | ROLE_RAFTD | ROLE_ADMIN,
};

enum {
	METHOD_READ = 1,   /* changes nothing: read-only tokens may call it */
	METHOD_STREAM = 2, /* answers with notifications, then its reply */
	METHOD_UNINIT = 4, /* answered before the node belongs to a cluster */
};

struct wire_strs {
	const char **v;
	size_t n;
};

struct wire_pair {
	const char *key;
	const char *value;
};

struct wire_dict {
	struct wire_pair *v;
	size_t n;
};

struct wire_bin {
	const void *data;
	size_t n;
};

/* The value of @key in @dict, or NULL. */
const char *wire_dict_get(const struct wire_dict *dict, const char *key);

/* A method as both sides know it. */
struct jaco_method {
	const char *name;
	const struct jaco_desc *in;
	const struct jaco_desc *out; /* of the reply; of each notification when streaming */
	uint32_t roles;
	uint32_t flags;
};

/* A key prefix: the record below it and who may touch it. */
struct jaco_keyspace {
	const char *prefix;
	const struct jaco_desc *desc;
	uint32_t read_roles;
	uint32_t write_roles;
	const char *doc;
};

/* The keyspace @key falls into, observed plane included, or NULL. */
const struct jaco_keyspace *jaco_keyspace_find(const char *key);

/* All of them; obs topics appear as "/obs/node/" with one row per topic via
 * jaco_keyspace_find(). */
extern const struct jaco_keyspace jaco_keyspaces[];
extern const size_t jaco_n_keyspaces;

/* Every method and message there is: for `jaco rpc`, jaco-wire(7) and the fuzz target. */
extern const struct jaco_method *const jaco_methods[];
extern const size_t jaco_n_methods;
extern const struct jaco_desc *const jaco_messages[];
extern const size_t jaco_n_messages;
const struct jaco_method *jaco_method_find(const char *name);

#define JACO_HAS(msg, type, field) (((msg)->has >> wire_##type##_##field##_ & 1) != 0)
#define JACO_SET(msg, type, field, value)                                                          \
	((msg)->has |= UINT64_C(1) << wire_##type##_##field##_, (msg)->field = (value))

/* pass: types */
#define MSG(m, doc)                       struct wire_##m { uint64_t has;
#define STR(m, f, req, max, doc)          const char *f;
#define BIN(m, f, req, max, doc)          struct wire_bin f;
#define U32(m, f, req, doc)               uint32_t f;
#define U64(m, f, req, doc)               uint64_t f;
#define TIME(m, f, req, doc)               uint64_t f;
#define I64(m, f, req, doc)               int64_t f;
#define BOOL(m, f, req, doc)              bool f;
#define ENUM(m, f, req, set, doc)         enum jaco_##set f;
#define STRS(m, f, req, max, doc)         struct wire_strs f;
#define DICT(m, f, req, max, doc)         struct wire_dict f;
#define SUB(m, f, req, type, doc)         struct wire_##type *f;
#define LIST(m, f, req, max, type, doc)   struct { struct wire_##type *v; size_t n; } f;
#define END(m)                            };
#define METHOD(d, m, name, in, out, r, f)
#define KEYSPACE(p, d, r, w, doc)
#define OBSSPACE(t, d, w, doc)
#include "libjaco/wire/def/all.def"
#include "libjaco/wire/pass_end.h"

/* pass: field numbers */
#define MSG(m, doc)                       enum {
#define STR(m, f, req, max, doc)          wire_##m##_##f##_,
#define BIN(m, f, req, max, doc)          wire_##m##_##f##_,
#define U32(m, f, req, doc)               wire_##m##_##f##_,
#define U64(m, f, req, doc)               wire_##m##_##f##_,
#define TIME(m, f, req, doc)               wire_##m##_##f##_,
#define I64(m, f, req, doc)               wire_##m##_##f##_,
#define BOOL(m, f, req, doc)              wire_##m##_##f##_,
#define ENUM(m, f, req, set, doc)         wire_##m##_##f##_,
#define STRS(m, f, req, max, doc)         wire_##m##_##f##_,
#define DICT(m, f, req, max, doc)         wire_##m##_##f##_,
#define SUB(m, f, req, type, doc)         wire_##m##_##f##_,
#define LIST(m, f, req, max, type, doc)   wire_##m##_##f##_,
#define END(m)                            wire_##m##_n_ };
#define METHOD(d, m, name, in, out, r, f)
#define KEYSPACE(p, d, r, w, doc)
#define OBSSPACE(t, d, w, doc)
#include "libjaco/wire/def/all.def"
#include "libjaco/wire/pass_end.h"

/* pass: declarations */
#define MSG(m, doc)                       extern const struct jaco_desc wire_##m##_desc;
#define STR(m, f, req, max, doc)
#define BIN(m, f, req, max, doc)
#define U32(m, f, req, doc)
#define U64(m, f, req, doc)
#define TIME(m, f, req, doc)
#define I64(m, f, req, doc)
#define BOOL(m, f, req, doc)
#define ENUM(m, f, req, set, doc)
#define STRS(m, f, req, max, doc)
#define DICT(m, f, req, max, doc)
#define SUB(m, f, req, type, doc)
#define LIST(m, f, req, max, type, doc)
#define END(m)
#define METHOD(d, m, name, in, out, r, f) extern const struct jaco_method wire_##d##_##m;
#define KEYSPACE(p, d, r, w, doc)
#define OBSSPACE(t, d, w, doc)
#include "libjaco/wire/def/all.def"
#include "libjaco/wire/pass_end.h"
