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
#define JACO_MIN(a, b) ((a) < (b) ? (a) : (b))
#define JACO_MAX(a, b) ((a) > (b) ? (a) : (b))
