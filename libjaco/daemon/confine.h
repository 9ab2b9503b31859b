/* SPDX-License-Identifier: Apache-2.0
 *
 * confine.h - what a daemon gives up once it has opened everything it needs. */
#pragma once

#include "libjaco/base/err.h"

/* Keep only @caps (JACO_CAP_ mask), set no_new_privs (prctl(2)), install the system-call filter
 * (seccomp(2)) for @sandbox.  systemd's unit already did most of it; under `jaco supervise` this is
 * the cage. */
int jaco_confine(unsigned caps, unsigned sandbox, struct jaco_err *err);
