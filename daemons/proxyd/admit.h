/* SPDX-License-Identifier: Apache-2.0
 *
 * admit.h - what happens to a parsed request before any replica hears of it.
 *
 * In order: unknown host or path (404), HTTP to HTTPS (308), client networks (403), credentials
 * (401), maintenance (503), redirect, size (413).  Shared by HTTP/1.1 and HTTP/2. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/proxyd/forward.h"
#include "daemons/proxyd/http1.h"
#include "daemons/proxyd/netmatch.h"
#include "daemons/proxyd/route.h"
#include "daemons/proxyd/stream.h"

#define ADMIT_FIELDS_BYTES (20 * 1024)

struct worker;

struct admit_ask {
	const struct http1_head *head;
	const struct netmatch_ip *ip;
	bool is_tls;
	uint16_t https_port;   /* of the redirect; 0: there is no HTTPS */
};

struct admit_verdict {
	bool is_answered;      /* @answer is all there is to say */
	struct stream_answer answer;
	struct route_match match;
	char fields[ADMIT_FIELDS_BYTES]; /* what answer.fields points to */
};

/* @verdict borrows from the worker's scratch until its next use. */
void admit(struct worker *worker, const struct admit_ask *ask, struct admit_verdict *verdict);
