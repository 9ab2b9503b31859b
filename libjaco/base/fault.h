/* SPDX-License-Identifier: Apache-2.0
 *
 * fault.h - named fault points: CHAOS(log_append) stands before and after every step whose crash
 * must be survivable.
 *
 * A build without -Dfaults=true compiles them to nothing.  With it, the environment chooses:
 *
 *   JACO_FAULT="exit:log_flush*3,sleep200:apply,fail:send*1"
 *
 * exit dies without cleanup at the n-th pass (default the first), sleepN waits N ms at each pass,
 * fail makes CHAOS_FAIL(name) true for n passes, setN makes CHAOS_NUMBER(name, x) N instead of
 * x. */
#pragma once

#include <stdbool.h>

#ifdef JACO_FAULTS
void jaco_fault_point(const char *name);
bool jaco_fault_fails(const char *name);
long jaco_fault_number(const char *name, long otherwise);
#define CHAOS(name)                   jaco_fault_point(#name)
#define CHAOS_FAIL(name)              jaco_fault_fails(#name)
#define CHAOS_NUMBER(name, otherwise) jaco_fault_number(#name, otherwise)
#else
#define CHAOS(name)                   ((void)0)
#define CHAOS_FAIL(name)              false
#define CHAOS_NUMBER(name, otherwise) (otherwise)
#endif
