/* SPDX-License-Identifier: Apache-2.0
 *
 * common.h - what every daemon answers (wire/def/common.def), from its struct jaco_daemon alone. */
#pragma once

#include "libjaco/wire/rpc.h"

/* Ends with a row without method; its `self` is the struct jaco_daemon. */
extern const struct jaco_service_row jaco_common_methods[];
