/* SPDX-License-Identifier: Apache-2.0
 *
 * pass_methods.h - begins a pass over one .def file in which only METHOD() rows count:
 *
 *   #include "libjaco/wire/pass_methods.h"
 *   #define METHOD JACO_METHOD_HANDLER(struct ipamd)      prototypes and thunks
 *   #include "libjaco/wire/def/ipamd.def"
 *   #include "libjaco/wire/pass_end.h"
 *
 * See rpc.h for the macros that build a daemon's table. */
#define MSG(m, doc)
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
#define KEYSPACE(p, d, r, w, doc)
#define OBSSPACE(t, d, w, doc)
