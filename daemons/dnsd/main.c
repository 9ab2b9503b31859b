/* SPDX-License-Identifier: Apache-2.0
 *
 * jaco-dnsd - what a name means inside one network.
 *
 *   answers  containers, on UDP and TCP 53 of every bridge's gateway address
 *   touches  nothing but its sockets            needs CAP_NET_BIND_SERVICE
 *   keeps    nothing; works from its saved view without raftd
 *   trusts   no byte of any query or reply
 *   decides  in answer.c and zone.c             start reading there */
#include <stdio.h>
#include <string.h>

#include "daemons/dnsd/alone.h"
#include "libjaco/base/log.h"
#include "libjaco/base/str.h"

static const char usage[] = "usage: jaco-dnsd --standalone FILE [--check]\n";

int main(int argc, char **argv)
{
	struct jaco_err err = JACO_ERR_INIT;
	bool check = argc == 4 && jaco_str_eq(argv[3], "--check");
	int rc;

	if (!(argc == 3 || check) || !jaco_str_eq(argv[1], "--standalone")) {
		fputs(usage, stderr);
		return jaco_code_exit(JACO_VALIDATION_FAILED);
	}
	jaco_log_open("dnsd", JACO_LOG_TEXT, JACO_LOG_INFO);
	rc = check ? alone_check(argv[2], &err) : alone_run(argv[2], &err);
	if (rc < 0) {
		JACO_LOG_FAILURE(JACO_LOG_ERR, "ended", &err);
		return jaco_code_exit(err.code);
	}
	return 0;
}
