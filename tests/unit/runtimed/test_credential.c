/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/runtimed/credential.h"

#include "libjaco/base/str.h"
#include "tests/lib/test.h"

JT_CASE(short_names_are_spelled_out)
{
	static const struct {
		const char *image, *repository;
	} cases[] = {
		{"nginx", "docker.io/library/nginx"},
		{"team/web:1.2", "docker.io/team/web"},
		{"ghcr.io/a/b@sha256:00", "ghcr.io/a/b"},
		{"host:5000/a:3", "host:5000/a"},
		{"localhost/a", "localhost/a"},
		{"a.b/c:1@sha256:00", "a.b/c"},
	};
	char out[600];

	for (size_t i = 0; i < JACO_ARRAY_SIZE(cases); i++) {
		JT_TRUE(credential_repository(cases[i].image, out, sizeof(out)));
		JT_STR(out, cases[i].repository);
	}
}

static const char *chosen(const char *image)
{
	static struct wire_registry_secret items[] = {
		{.registry = "ghcr.io/acme", .user = "acme", .password = "x"},
		{.registry = "ghcr.io/acme/deep", .user = "deep", .password = "x"},
		{.registry = "one.example/only/here", .user = "only", .password = "x"},
		{.registry = "docker.io", .user = "hub", .password = "x"},
	};
	struct wire_registry_secrets secrets = {.items = {items, JACO_ARRAY_SIZE(items)}};
	const struct wire_registry_secret *s = credential_choose(&secrets, image);

	return s ? s->user : "-";
}

JT_CASE(the_longest_aligned_prefix_wins)
{
	JT_STR(chosen("ghcr.io/acme/web"), "acme");
	JT_STR(chosen("ghcr.io/acme/deep/web:1"), "deep");
	JT_STR(chosen("ghcr.io/acme/deeper"), "acme");
	JT_STR(chosen("ghcr.io/acmecorp/web"), "-");
	JT_STR(chosen("nginx"), "hub");
}

JT_CASE(a_hosts_only_credential_serves_all_its_paths)
{
	JT_STR(chosen("one.example/elsewhere"), "only");
	JT_STR(chosen("ghcr.io/other"), "-");
	JT_STR(chosen("two.example/only/here"), "-");
}

JT_CASE(the_header_is_base64url_of_json)
{
	struct wire_registry_secret s = {
		.registry = "ghcr.io/acme", .user = "u", .password = "p?>"};
	struct jaco_buf out = JACO_BUF_INIT;

	credential_header(&s, &out);
	JT_STR(jaco_buf_str(&out),
	       "eyJ1c2VybmFtZSI6InUiLCJwYXNzd29yZCI6InA_PiIsInNlcnZlcmFkZHJlc3MiOiJnaGNy"
	       "LmlvIn0=");
	jaco_buf_fini(&out);
}

JT_MAIN(JT_RUN(short_names_are_spelled_out), JT_RUN(the_longest_aligned_prefix_wins),
	JT_RUN(a_hosts_only_credential_serves_all_its_paths),
	JT_RUN(the_header_is_base64url_of_json))
