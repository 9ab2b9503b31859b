/* SPDX-License-Identifier: Apache-2.0
 *
 * auto.h - scope guards.
 *
 * A type is guardable when a function <type>_cleanup(struct <type> *) or, for handles,
 * <type>_cleanup(<handle> *) exists.  `jaco_auto(jaco_fd) int fd = ...` runs it at the end of the
 * block; ownership leaves the block only through <type>_take().  A cleanup accepts NULL and
 * half-built objects. */
#pragma once

#define jaco_auto(type) __attribute__((cleanup(type##_cleanup)))
#define JACO_PRINTF(fmt_arg, first_arg) __attribute__((format(printf, fmt_arg, first_arg)))
#define JACO_NORETURN __attribute__((noreturn))
#define JACO_UNUSED __attribute__((unused))
#define JACO_MUST_CHECK __attribute__((warn_unused_result))
#define JACO_LIKELY(x) __builtin_expect(!!(x), 1)
#define JACO_UNLIKELY(x) __builtin_expect(!!(x), 0)

#define JACO_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define JACO_CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
/* Each argument is evaluated once; the counter keeps the names of nested ones apart. */
#define JACO_MIN(a, b) JACO_PICK(a, <, b, __COUNTER__)
#define JACO_MAX(a, b) JACO_PICK(a, >, b, __COUNTER__)
#define JACO_PICK(a, op, b, n)  JACO_PICK_(a, op, b, n)
#define JACO_PICK_(a, op, b, n)                                                                   \
	__extension__({                                                                           \
		__typeof__(1 ? (a) : (b)) jaco_a##n = (a);                                        \
		__typeof__(1 ? (a) : (b)) jaco_b##n = (b);                                        \
		jaco_a##n op jaco_b##n ? jaco_a##n : jaco_b##n;                                   \
	})
