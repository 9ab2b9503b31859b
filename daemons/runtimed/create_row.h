/* SPDX-License-Identifier: Apache-2.0
 *
 * create_row.h - what the files of the create request share: the request being built, and the shape
 * of their tables.  Internal to create*.c. */
#pragma once

#include <jansson.h>

#include "daemons/runtimed/create.h"
#include "libjaco/model/engine_api.h"

/* Engine API minor at which gateway_mode_ipv4=nat-unprotected appeared. */
#define CREATE_API_UNPROTECTED 48

#define CREATE_KEYS_MAX 128

struct create_out {
	const struct create_input *in;
	const struct jaco_service *service;
	json_t *root, *host; /* the request, its HostConfig */
	struct jaco_err *err;
	bool failed; /* @err is set */
};

/* key: the compose key.  One function may serve several keys: the first row of them has it, the
 * others carry NULL.  Tables end with a NULL key. */
struct create_row {
	const char *key;
	void (*put)(struct create_out *o);
};

extern const struct create_row create_files_rows[];
extern const struct create_row create_rights_rows[];
extern const struct create_row create_limits_rows[];
extern const struct create_row create_network_rows[];

static inline bool create_has_api(const struct engine_info *engine, unsigned minor)
{
	return engine->api_major > 1 || engine->api_minor >= minor;
}

/* Set HostConfig.@key to a namespace mode; "service:<x>" becomes the container that runs x here, or
 * the request fails.  Nothing when @mode is NULL. */
void create_set_namespace(struct create_out *o, const char *key, const char *mode);
