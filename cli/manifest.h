/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest.h - a deployment's files, as the options of a command name them. */
#pragma once

#include "cli/cli.h"
#include "libjaco/model/manifest/manifest.h"

/* Read what the arguments and --jaco, --compose, --env-file, --set, --host-env, --profile and
 * --strict say.  Memory is the command's.  Errors: as jaco_manifest_resolve(). */
int manifest_resolve(struct cli *cli, struct jaco_findings *findings, struct jaco_resolved *out,
		     struct jaco_err *err);

/* The same for who applies it, now or later: what has no room in the store is an error too
 * (libjaco/wire/fits.h). */
int manifest_resolve_fitting(struct cli *cli, struct jaco_findings *findings,
			     struct jaco_resolved *out, struct jaco_err *err);

/* Findings on standard error, warnings unless -q or a format for programs. */
void manifest_print(const struct cli *cli, struct jaco_findings *findings);

/* After that an error need only count them: its text becomes "@what, 2 errors", except for
 * programs. */
void manifest_count(const struct cli *cli, const struct jaco_findings *findings, const char *what,
		    struct jaco_err *err);

/* The server reads the resolved document and says where in it: make that the place in the files
 * that people wrote, in the text and in the details of @err. */
void manifest_relocate(const struct jaco_resolved *resolved, struct jaco_err *err);
