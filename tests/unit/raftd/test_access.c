/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/raftd/kv/access.h"

#include "tests/lib/test.h"

JT_CASE(nobody_reads_or_writes_secrets_and_tokens)
{
	struct jaco_err err = JACO_ERR_INIT;
	const char *const prefixes[] = {"/secret/", "/secret/ca", "/token/", "/jointoken/"};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(prefixes); i++) {
		JT_FAILS_WITH(access_read(ROLE_ALL & ~ROLE_RAFTD, prefixes[i], &err),
			      PERMISSION_DENIED, prefixes[i], &err);
		JT_FAILS_WITH(access_write(ROLE_DAEMONS, prefixes[i], &err), PERMISSION_DENIED,
			      prefixes[i], &err);
	}
}

JT_CASE(a_prefix_above_a_forbidden_keyspace_is_forbidden)
{
	struct jaco_err err = JACO_ERR_INIT;

	JT_FAILS_WITH(access_read(ROLE_SCHEDD, "/", &err), PERMISSION_DENIED, "/", &err);
	JT_FAILS_WITH(access_read(ROLE_SCHEDD, "/s", &err), PERMISSION_DENIED, "/s", &err);
	JT_OK(access_read(ROLE_SCHEDD, "/replica/", &err), &err);
	JT_OK(access_read(ROLE_SCHEDD, "/replica/shop/web/1", &err), &err);
	JT_OK(access_read(ROLE_DNSD, "/obs/", &err), &err);
	JT_FAILS_WITH(access_read(ROLE_SCHEDD, "/nowhere/", &err), VALIDATION_FAILED,
		      "no keys below", &err);
}

/* The whole table, once: who may write what is a decision, and a change of it must be seen. */
JT_CASE(the_writers_are_as_designed)
{
	static const struct {
		const char *key;
		uint32_t writers;
	} rows[] = {
		{"/cluster/meta", 0},
		{"/node/n1", ROLE_MESHD | ROLE_SCHEDD},
		{"/deployment/d", ROLE_SCHEDD},
		{"/revision/d/1", 0},
		{"/replica/d/s/1", ROLE_SCHEDD},
		{"/rollout/d/s", ROLE_SCHEDD},
		{"/counter/d/s", ROLE_SCHEDD},
		{"/restart/d-s-1", ROLE_SCHEDD},
		{"/subnet/d/n/h", ROLE_IPAMD},
		{"/route/example.com/", 0},
		{"/tcproute/6379/tcp", 0},
		{"/cert/example.com", ROLE_PROXYD},
		{"/obs/node/n1/firewall", ROLE_FWD},
		{"/obs/node/n1/dns", ROLE_DNSD},
		{"/obs/replica/d-s-1@n1", ROLE_RUNTIMED},
	};
	struct jaco_err err = JACO_ERR_INIT;

	for (size_t i = 0; i < JACO_ARRAY_SIZE(rows); i++)
		for (uint32_t role = 1; role <= ROLE_ADMIN; role <<= 1)
			JT_EQ(access_write(role, rows[i].key, &err) == 0,
			      (rows[i].writers & role) != 0);
}

JT_CASE(an_observed_key_belongs_to_the_host_in_its_name)
{
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(access_owner("/obs/node/n1/dns", "n1", &err), &err);
	JT_OK(access_owner("/obs/replica/d-s-1@n1", "n1", &err), &err);
	JT_OK(access_owner("/obs/replica/d-s@x-1@n1", "n1", &err), &err);
	JT_FAILS_WITH(access_owner("/obs/node/n10/dns", "n1", &err), PERMISSION_DENIED, "n10",
		      &err);
	JT_FAILS_WITH(access_owner("/obs/replica/d-s-1@n", "n1", &err), PERMISSION_DENIED, "@n",
		      &err);
	JT_FAILS_WITH(access_owner("/obs/replica/d-s-1", "n1", &err), PERMISSION_DENIED, "d-s-1",
		      &err);
}

JT_MAIN(JT_RUN(nobody_reads_or_writes_secrets_and_tokens),
	JT_RUN(a_prefix_above_a_forbidden_keyspace_is_forbidden),
	JT_RUN(the_writers_are_as_designed),
	JT_RUN(an_observed_key_belongs_to_the_host_in_its_name))
