/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/daemon/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "libjaco/base/str.h"

#include "tests/lib/test.h"

static int parse(struct jaco_config *config, const char *text, struct jaco_err *err)
{
	jaco_config_init(config);
	return jaco_config_parse(config, "jacod.yaml", text, strlen(text), err);
}

/* "#key: value" is a setting; "# sentence" stays a comment. */
static void uncomment(struct jaco_buf *out, const char *text)
{
	bool at_start = true;

	for (; *text; text++) {
		if (!(at_start && *text == '#' && text[1] != ' '))
			jaco_buf_add_char(out, *text);
		if (at_start && *text == '#' && strncmp(text, "#  ", 3) == 0)
			out->n--; /* a nested key keeps its indentation only */
		at_start = *text == '\n';
	}
	jaco_buf_add_char(out, '\n');
}

JT_CASE(the_shipped_template_uncommented_is_all_defaults)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;
	jaco_auto(jaco_buf) struct jaco_buf live = JACO_BUF_INIT;
	struct jaco_config defaults;
	struct jaco_config config;
	struct jaco_err err = JACO_ERR_INIT;

	jaco_config_template(&text);
	uncomment(&live, text.data);
	jaco_config_init(&defaults);
	JT_OK(parse(&config, live.data, &err), &err);
	JT_MEM(&config, &defaults, sizeof(config));
	JT_NOT_NULL(strstr(live.data, "\ndns:\n"));
	JT_NOT_NULL(strstr(live.data, "\n    - \"[::]:80\"\n"));
}

JT_CASE(every_row_has_a_default_its_own_rule_accepts)
{
	for (size_t i = 0; i < jaco_n_config_rows; i++) {
		const struct jaco_config_row *row = &jaco_config_rows[i];
		char text[512];
		struct jaco_config config;
		struct jaco_err err = JACO_ERR_INIT;
		const char *dot = strchr(row->key, '.');

		if (!row->fallback || strchr(row->fallback, ' '))
			continue;
		if (dot)
			(void)jaco_str_format(text, sizeof(text), "%.*s:\n  %s: %s\n",
					      (int)(dot - row->key), row->key, dot + 1,
					      row->fallback);
		else
			(void)jaco_str_format(text, sizeof(text), "%s: %s\n", row->key,
					      row->fallback);
		JT_OK(parse(&config, text, &err), &err);
	}
}

JT_CASE(mistakes_are_located_and_the_nearest_key_named)
{
	struct jaco_config config;
	struct jaco_err err = JACO_ERR_INIT;

	JT_FAILS_WITH(parse(&config, "log_level: info\nwg_prot: 1\n", &err), VALIDATION_FAILED,
		      "jacod.yaml:2:1: unknown key \"wg_prot\"; did you mean \"wg_port\"?", &err);
	JT_STR(jaco_err_get_detail(&err, "line"), "2");
	JT_FAILS_WITH(parse(&config, "wg_port: 70000\n", &err), VALIDATION_FAILED,
		      "jacod.yaml:1:10: wg_port: \"70000\" is not a number from 1 to 65535", &err);
	JT_FAILS_WITH(parse(&config, "node_status_interval: 1s\n", &err), VALIDATION_FAILED,
		      "is not a duration from 5s to 5m", &err);
	JT_FAILS_WITH(parse(&config, "ipam_pool: 10.0.0.0/24\n", &err), VALIDATION_FAILED,
		      "between /8 and /20", &err);
	JT_FAILS_WITH(parse(&config, "engine: lxc\n", &err), VALIDATION_FAILED,
		      "none of auto|docker|podman", &err);
	JT_FAILS_WITH(parse(&config, "dns:\n  forwarder: []\n", &err), VALIDATION_FAILED,
		      "did you mean \"dns.forwarders\"", &err);
	JT_FAILS_WITH(
		parse(&config, "listen_addr: 10.0.0.1:7001\ncluster_addr: 10.0.0.1:7001\n", &err),
		VALIDATION_FAILED, "must differ", &err);
	JT_FAILS_WITH(parse(&config, "a: [\n", &err), PARSE_FAILED, "jacod.yaml", &err);
}

JT_CASE(a_file_that_is_not_there_is_all_defaults_unless_somebody_named_it)
{
	struct jaco_config config;
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(jaco_config_load(&config, "/nonexistent/jacod.yaml", false, &err), &err);
	JT_EQ(err.code, JACO_OK);
	JT_STR(config.log_level, "info");
	JT_FAILS_WITH(jaco_config_load(&config, "/nonexistent/jacod.yaml", true, &err),
		      VALIDATION_FAILED, "there is no configuration /nonexistent/jacod.yaml", &err);
}

/* A path that goes round in circles may lead to the file, and is not to be read by root either. */
JT_CASE(a_file_that_cannot_be_read_is_not_all_defaults)
{
	char dir[] = "/tmp/jaco-config-XXXXXX", path[64];
	struct jaco_config config;
	struct jaco_err err = JACO_ERR_INIT;

	JT_NOT_NULL(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/jacod.yaml", dir);
	JT_EQ(symlink(path, path), 0);
	JT_FAILS_WITH(jaco_config_load(&config, path, false, &err), INTERNAL,
		      "open /tmp/jaco-config", &err);
	JT_EQ(unlink(path), 0);
	JT_EQ(rmdir(dir), 0);
}

JT_CASE(a_reload_takes_what_may_change_and_names_what_may_not)
{
	struct jaco_config now;
	struct jaco_config fresh;
	struct jaco_err err = JACO_ERR_INIT;

	jaco_config_init(&now);
	JT_OK(parse(&fresh, "log_level: debug\nwg_port: 1000\nreschedule_after: off\n", &err),
	      &err);
	JT_STR(jaco_config_reload(&now, &fresh), "wg_port");
	JT_STR(now.log_level, "debug");
	JT_EQ(now.wg_port, 51820);
	JT_EQ(now.reschedule_after, JACO_CONFIG_OFF);
}

JT_MAIN(JT_RUN(a_file_that_is_not_there_is_all_defaults_unless_somebody_named_it),
	JT_RUN(a_file_that_cannot_be_read_is_not_all_defaults),
	JT_RUN(the_shipped_template_uncommented_is_all_defaults),
	JT_RUN(every_row_has_a_default_its_own_rule_accepts),
	JT_RUN(mistakes_are_located_and_the_nearest_key_named),
	JT_RUN(a_reload_takes_what_may_change_and_names_what_may_not))
