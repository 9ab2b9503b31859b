/* SPDX-License-Identifier: Apache-2.0
 *
 * name.h - which texts may name what (spec/manifests.md section 4).
 *
 * Pure.  Every check answers 0 or VALIDATION_FAILED with a sentence that quotes the name and says
 * the rule; the predicates below them say only yes or no. */
#pragma once

#include <stdbool.h>

#include "libjaco/base/err.h"
#include "libjaco/base/limits.h"

/* [a-z0-9]([a-z0-9-]*[a-z0-9])?, at most JACO_DEPLOYMENT_MAX. */
int jaco_name_check_deployment(const char *name, struct jaco_err *err);

/* [a-zA-Z0-9._-], 1..JACO_NAME_MAX, beginning with a letter, digit or underscore. */
int jaco_name_check_service(const char *name, struct jaco_err *err);
int jaco_name_check_network(const char *name, struct jaco_err *err);

/* Named volume, config, secret: the same alphabet as a service. */
int jaco_name_check_volume(const char *name, struct jaco_err *err);

/* A member of the cluster: [a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?, at most JACO_HOST_MAX. */
int jaco_name_check_host(const char *name, struct jaco_err *err);

/* Fully qualified name of at least two labels (RFC 1123 section 2.1), lower case after
 * jaco_name_fold_domain(); with @allow_wildcard also "*.example.com".  No trailing dot. */
int jaco_name_check_domain(const char *name, bool allow_wildcard, struct jaco_err *err);

/* A name a container may look up or be known by: labels of [a-zA-Z0-9_-] joined by dots. */
bool jaco_name_is_dns(const char *name);

/* A container's environment variable: anything but empty, '=' and NUL. */
bool jaco_name_is_env(const char *name);

/* Lower-case @name in place and drop one trailing dot. */
void jaco_name_fold_domain(char *name);
