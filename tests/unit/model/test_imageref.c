/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/model/imageref.h"

#include "tests/lib/test.h"

JT_CASE(registry_keys_have_one_spelling)
{
	static const char *const same[][2] = {
		{"docker.io", "docker.io"},
		{"https://index.docker.io/v1/", "docker.io"},
		{"registry-1.docker.io", "docker.io"},
		{"GHCR.io/Owner/", "ghcr.io/owner"},
		{"https://reg.example.com:443/ns/?x#y", "reg.example.com/ns"},
		{"http://reg.example.com:80", "reg.example.com"},
		{"https://reg.example.com:80", "reg.example.com:80"},
		{"reg.example.com:5000", "reg.example.com:5000"},
		{"localhost:5000/a", "localhost:5000/a"},
	};
	char key[JACO_REGKEY_BYTES];

	for (size_t i = 0; i < JACO_ARRAY_SIZE(same); i++) {
		JT_TRUE(jaco_imageref_registry_key(same[i][0], key));
		JT_STR(key, same[i][1]);
	}
	JT_FALSE(jaco_imageref_registry_key("", key));
	JT_FALSE(jaco_imageref_registry_key("https://", key));
	JT_TRUE(jaco_imageref_server("https://reg.example.com:5000/ns", key));
	JT_STR(key, "reg.example.com:5000");
}

JT_CASE(repositories_are_canonical)
{
	static const char *const same[][2] = {
		{"nginx", "docker.io/library/nginx"},
		{"nginx:1.25", "docker.io/library/nginx"},
		{"bitnami/redis:7", "docker.io/bitnami/redis"},
		{"docker.io/nginx", "docker.io/library/nginx"},
		{"ghcr.io/a/b/c:1@sha256:0123456789012345678901234567890123456789",
		 "ghcr.io/a/b/c"},
		{"localhost/x", "localhost/x"},
		{"reg:5000/x:tag", "reg:5000/x"},
		{"index.docker.io/library/x", "docker.io/library/x"},
	};
	char key[JACO_REGKEY_BYTES];

	for (size_t i = 0; i < JACO_ARRAY_SIZE(same); i++) {
		JT_TRUE(jaco_imageref_repository(same[i][0], key));
		JT_STR(key, same[i][1]);
	}
	JT_FALSE(jaco_imageref_repository("", key));
}

JT_CASE(credentials_match_by_longest_whole_segments)
{
	static const char *const keys[] = {"ghcr.io", "ghcr.io/acme", "ghcr.io/acme/web",
					   "docker.io"};
	static const char *const one[] = {"reg.example.com/team"};

	JT_EQ(jaco_imageref_match("ghcr.io/acme/web:1", keys, 4), 2);
	JT_EQ(jaco_imageref_match("ghcr.io/acme/website", keys, 4), 1);
	JT_EQ(jaco_imageref_match("ghcr.io/other/x", keys, 4), 0);
	JT_EQ(jaco_imageref_match("nginx", keys, 4), 3);
	JT_EQ(jaco_imageref_match("quay.io/x/y", keys, 4), -1);
	JT_EQ(jaco_imageref_match("reg.example.com/elsewhere/x", one, 1), 0);
	JT_EQ(jaco_imageref_match("reg.example.com:5000/team/x", one, 1), -1);
}

JT_CASE(valid_references_are_those_an_engine_takes)
{
	static const char *const good[] = {"a",          "a:b",         "a/b:c",
					   "h.x:80/a/b", "localhost/a", "a__b/c-d.e:V1.2_x"};
	static const char *const bad[] = {"",   "A",    "a:",    "a b", "a//b", "/a",
					  "a/", "h.x/", "a:b:c", "a@x", "-a",   "a-"};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(good); i++)
		JT_TRUE(jaco_imageref_is_valid(good[i]));
	for (size_t i = 0; i < JACO_ARRAY_SIZE(bad); i++)
		if (jaco_imageref_is_valid(bad[i]))
			fail_msg("%s was accepted", bad[i]);
}

JT_MAIN(JT_RUN(registry_keys_have_one_spelling), JT_RUN(repositories_are_canonical),
	JT_RUN(credentials_match_by_longest_whole_segments),
	JT_RUN(valid_references_are_those_an_engine_takes))
