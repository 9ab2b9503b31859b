/* SPDX-License-Identifier: Apache-2.0
 *
 * jaco-proxyd - which replica gets a request or a connection.
 *
 *   answers  the world, on TCP 80 and 443 and every published port
 *   asks     raftd: routes, replicas, certificates (watch)
 *   touches  nothing but its sockets            sockets come from systemd where they can
 *   keeps    nothing; works from its saved view without raftd
 *   trusts   no byte of any client or replica
 *   decides  in http1.c, route.c and balance.c  start reading there */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "daemons/proxyd/alone.h"
#include "libjaco/base/log.h"
#include "libjaco/base/str.h"

static const char usage[] = "usage: jaco-proxyd --standalone FILE [--check]\n";

int main(int argc, char **argv)
{
	struct jaco_err err = JACO_ERR_INIT;
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	bool check = argc == 4 && jaco_str_eq(argv[3], "--check");
	int rc;

	if (!(argc == 3 || check) || !jaco_str_eq(argv[1], "--standalone")) {
		fputs(usage, stderr);
		return jaco_code_exit(JACO_VALIDATION_FAILED);
	}
	sigaction(SIGPIPE, &ignore, NULL);
	jaco_log_open("proxyd", JACO_LOG_TEXT, JACO_LOG_INFO);
	rc = check ? alone_check(argv[2], &err) : alone_run(argv[2], &err);
	if (rc < 0) {
		JACO_LOG_FAILURE(JACO_LOG_ERR, "ended", &err);
		return jaco_code_exit(err.code);
	}
	return 0;
}
