/* SPDX-License-Identifier: Apache-2.0
 *
 * device.h - a WireGuard device, whoever implements it: device_kernel.c (generic netlink) or
 * device_user.c (a child that speaks the UAPI).
 *
 * Calls answer within a second: the kernel at once, the child over a local socket with a
 * time-out. */
#pragma once

#include <net/if.h>
#include <stdbool.h>

#include "daemons/meshd/plan.h"
#include "libjaco/base/arena.h"
#include "libjaco/base/err.h"
#include "libjaco/io/loop.h"
#include "libjaco/io/proc.h"

struct device;

struct device_ops {
	const char *name; /* "kernel", "userspace" */

	/* Make sure the device exists.  0: it does; 1: it is being made, try again soon.
	 * Errors: UNAVAILABLE - this host has no such implementation. */
	int (*open)(struct device *device, struct jaco_err *err);

	/* What the device has; memory from @arena.  Errors: UNAVAILABLE - it does not answer. */
	int (*get)(struct device *device, struct jaco_arena *arena, struct mesh_device *out,
		   struct jaco_err *err);

	/* Take the steps of @plan. */
	int (*apply)(struct device *device, const struct mesh_plan *plan,
		     const struct mesh_device *desired, struct jaco_err *err);

	/* Forget the device and leave it running: sessions outlive this process. */
	void (*leave)(struct device *device);

	/* Take it away for good. */
	void (*remove)(struct device *device);
};

struct device {
	const struct device_ops *ops; /* NULL: none chosen yet */
	struct jaco_loop *loop;
	char name[IFNAMSIZ];
	void (*on_lost)(void *ctx); /* the implementation ended */
	void *ctx;
	/* userspace */
	struct jaco_proc child; /* not running: adopted, or none */
	struct jaco_time start_after; /* back-off */
	struct jaco_time answer_by;
	int64_t backoff_ms;
	unsigned n_starts;
	/* kernel */
	uint16_t family;
};

extern const struct device_ops device_kernel_ops;
extern const struct device_ops device_user_ops;

/* Is a userspace implementation in PATH? */
bool device_user_exists(void);
