/* SPDX-License-Identifier: Apache-2.0
 *
 * No secret of a manifest survives, wherever people write one. */
#include "daemons/raftd/api/redact.h"

#include <string.h>

#include "tests/lib/test.h"

static const char compose[] = "x-env: &env {ONE: secret-1}\n"
			      "services:\n"
			      "  web:\n"
			      "    image: busybox\n"
			      "    environment: {<<: *env, TWO: \"secret-2==\"}\n"
			      "    annotations: {three: secret-3}\n"
			      "    logging: {driver: syslog, options: {tag: secret-4}}\n"
			      "    command: server --password secret-5 --size=1\n"
			      "    x-mine: {a: secret-6}\n"
			      "  db:\n"
			      "    image: busybox\n"
			      "    environment: [\"SEVEN=secret-7\", \"no secret-8 name=x\"]\n"
			      "    healthcheck: {test: [CMD, \"a=secret-9\"]}\n"
			      "configs: {c: {content: \"secret-10\\nb=2\"}}\n";
static const char jaco[] = "deployment: shop\n"
			   "routes:\n"
			   "  - domain: a.example\n"
			   "    headers: {request: {set: {Authorization: secret-11}}}\n"
			   "    basic_auth: [{user: bob, password_hash: secret-12}]\n"
			   "services: [{name: web, health: {cmd: [probe, secret-13]}}]\n";

JT_CASE(a_revision_keeps_names_and_no_values)
{
	static const char *const kept[] = {"ONE", "TWO", "three", "SEVEN=", "busybox", "web",
					   "Authorization", "bob", "a.example", "syslog"};
	struct wire_revision revision = {.deployment = "shop", .number = 1, .author = "a",
					 .jaco = {jaco, sizeof(jaco) - 1},
					 .compose = {compose, sizeof(compose) - 1}};
	jaco_auto(jaco_buf) struct jaco_buf in = JACO_BUF_INIT, out = JACO_BUF_INIT;
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(jaco_pack(&in, &wire_revision_desc, &revision, &err), &err);
	JT_OK(redact_revision(in.data, in.n, &arena, &out, &err), &err);
	JT_FALSE(memmem(out.data, out.n, "secret", 6));
	for (size_t i = 0; i < JACO_ARRAY_SIZE(kept); i++)
		JT_TRUE(memmem(out.data, out.n, kept[i], strlen(kept[i])));
}

JT_CASE(a_route_keeps_names_and_no_values)
{
	struct wire_pair header = {"Authorization", "secret"};
	struct wire_basic_user user = {.user = "bob", .password_hash = "secret"};
	struct wire_route route = {.deployment = "shop", .domain = "a.example", .path = "/",
				   .request_set = {&header, 1}, .response_set = {&header, 1},
				   .basic_auth = {&user, 1}};
	jaco_auto(jaco_buf) struct jaco_buf in = JACO_BUF_INIT, out = JACO_BUF_INIT;
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(jaco_pack(&in, &wire_route_desc, &route, &err), &err);
	JT_OK(redact_route(in.data, in.n, &arena, &out, &err), &err);
	JT_FALSE(memmem(out.data, out.n, "secret", 6));
	JT_TRUE(memmem(out.data, out.n, "Authorization", 13));
	JT_TRUE(memmem(out.data, out.n, "bob", 3));
}

JT_MAIN(JT_RUN(a_revision_keeps_names_and_no_values), JT_RUN(a_route_keeps_names_and_no_values))
