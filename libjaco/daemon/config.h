/* SPDX-License-Identifier: Apache-2.0
 *
 * config.h - /etc/jaco/jacod.yaml (spec/cluster.md section 1): one table of rows drives parsing,
 * checking, --help, jacod.yaml(5) and the shipped template. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/buf.h"
#include "libjaco/base/err.h"

#define JACO_CONFIG_TEXT  256
#define JACO_CONFIG_LIST  16
#define JACO_CONFIG_OFF   (-1) /* a duration given as `off` */

struct jaco_config_list {
	char v[JACO_CONFIG_LIST][JACO_CONFIG_TEXT];
	size_t n;
};

struct jaco_config {
	char data_dir[JACO_CONFIG_TEXT];
	char listen_addr[JACO_CONFIG_TEXT];
	char cluster_addr[JACO_CONFIG_TEXT];
	char unix_socket[JACO_CONFIG_TEXT];
	int64_t wg_port;
	int64_t wg_mtu; /* 0: auto */
	int64_t wg_stale; /* ms */
	char wg_backend[JACO_CONFIG_TEXT];
	char wg_interface[JACO_CONFIG_TEXT];
	char ipam_pool[JACO_CONFIG_TEXT];
	int64_t ipam_prefix;
	char engine[JACO_CONFIG_TEXT];
	char engine_socket[JACO_CONFIG_TEXT]; /* "": by engine */
	char node_name[JACO_CONFIG_TEXT];     /* "": the host name */
	int64_t node_status_interval;         /* ms, like every duration here */
	int64_t unreachable_after;
	int64_t reschedule_after; /* JACO_CONFIG_OFF allowed */
	bool acme_enabled;
	char acme_ca[JACO_CONFIG_TEXT];
	char acme_ca_bundle[JACO_CONFIG_TEXT];
	char acme_email[JACO_CONFIG_TEXT];
	bool acme_skip_staging;
	struct jaco_config_list dns_forwarders; /* empty: /etc/resolv.conf */
	int64_t dns_forwarder_timeout;
	char dns_alias_zone[JACO_CONFIG_TEXT];
	struct jaco_config_list ingress_http_addr;
	struct jaco_config_list ingress_https_addr;
	struct jaco_config_list ingress_trusted_proxies;
	char metrics_addr[JACO_CONFIG_TEXT]; /* "off" allowed */
	char log_level[JACO_CONFIG_TEXT];
	bool require_privileged_label;
	int64_t revision_history;
	int64_t audit_max_events;
	int64_t audit_max_age;
};

enum jaco_config_kind {
	JACO_CONFIG_KIND_TEXT,
	JACO_CONFIG_KIND_PATH,     /* absolute */
	JACO_CONFIG_KIND_ADDR,     /* host:port */
	JACO_CONFIG_KIND_ADDRS,    /* list of them */
	JACO_CONFIG_KIND_LIST,     /* list of text */
	JACO_CONFIG_KIND_CIDRS,    /* list of CIDRs */
	JACO_CONFIG_KIND_CIDR,     /* min..max: prefix length */
	JACO_CONFIG_KIND_INT,      /* min..max */
	JACO_CONFIG_KIND_DURATION, /* min..max in ms */
	JACO_CONFIG_KIND_BOOL,
	JACO_CONFIG_KIND_CHOICE,   /* words separated by | */
};

struct jaco_config_row {
	const char *key; /* "dns.forwarders": a key of a nested map */
	enum jaco_config_kind kind;
	size_t offset;
	int64_t min, max;
	const char *fallback; /* the default as written in a file; NULL: none */
	const char *choices;  /* for CHOICE */
	const char *special;  /* a word accepted besides the kind: "auto", "off" */
	bool reloads;         /* re-read on reload; otherwise "needs restart" */
	bool is_hidden;       /* for tests: not in the manual */
	const char *doc;
};

extern const struct jaco_config_row jaco_config_rows[];
extern const size_t jaco_n_config_rows;

/* Defaults of every row. */
void jaco_config_init(struct jaco_config *config);

/* Overlay @data (YAML text of the file called @name) on @config.  Nothing is changed on failure.
 * Errors: PARSE_FAILED, VALIDATION_FAILED - with file, line, column and the nearest known key. */
int jaco_config_parse(struct jaco_config *config, const char *name, const char *data, size_t n,
		      struct jaco_err *err);

/*
 * Defaults, then the file.
 *
 * @is_named  somebody asked for this very file; else one that does not exist is all defaults
 *
 * Errors: those of jaco_config_parse(); VALIDATION_FAILED - named and not there; INTERNAL - there,
 * or perhaps, and not to be read: going on without it could do what it forbids.
 */
int jaco_config_load(struct jaco_config *config, const char *path, bool is_named,
		     struct jaco_err *err);

/* The first key whose value differs and that needs a restart, or NULL; others are taken over. */
const char *jaco_config_reload(struct jaco_config *current, const struct jaco_config *fresh);

/* The commented template that is installed as jacod.yaml. */
void jaco_config_template(struct jaco_buf *out);
