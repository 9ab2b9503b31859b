/* SPDX-License-Identifier: Apache-2.0
 *
 * pass_end.h - ends a pass over def/: forgets the row macros.  Included many times on purpose. */
#undef MSG
#undef STR
#undef BIN
#undef U32
#undef U64
#undef TIME
#undef I64
#undef BOOL
#undef ENUM
#undef STRS
#undef DICT
#undef SUB
#undef LIST
#undef END
#undef METHOD
#undef KEYSPACE
#undef OBSSPACE
