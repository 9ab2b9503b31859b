/* SPDX-License-Identifier: Apache-2.0
 *
 * Sealing and certificates. */
#include "daemons/raftd/api/seal.h"

#include "daemons/raftd/link/identity.h"
#include "tests/lib/test.h"

static const uint8_t key[SEAL_KEY_BYTES] = "0123456789abcdef0123456789abcde";

JT_CASE(what_is_sealed_opens_under_its_own_name_only)
{
	jaco_auto(jaco_buf) struct jaco_buf sealed = JACO_BUF_INIT, open = JACO_BUF_INIT;
	uint8_t other[SEAL_KEY_BYTES] = "another";
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(seal_close(key, "/secret/a", "hunter2", 7, &sealed, &err), &err);
	JT_OK(seal_open(key, "/secret/a", sealed.data, sealed.n, &open, &err), &err);
	JT_EQ(open.n, 7);
	JT_MEM(open.data, "hunter2", 7);
	JT_NULL(memmem(sealed.data, sealed.n, "hunter", 6));
	JT_FAILS_WITH(seal_open(key, "/secret/b", sealed.data, sealed.n, &open, &err), INTERNAL,
		      "/secret/b", &err);
	JT_FAILS_WITH(seal_open(other, "/secret/a", sealed.data, sealed.n, &open, &err), INTERNAL,
		      "cannot be opened", &err);
	for (size_t n = 0; n < sealed.n; n++)
		JT_EQ(seal_open(key, "/secret/a", sealed.data, n, &open, &err), -JACO_INTERNAL);
	sealed.data[3] ^= 1;
	JT_EQ(seal_open(key, "/secret/a", sealed.data, sealed.n, &open, &err), -JACO_INTERNAL);
}

JT_CASE(sealing_twice_never_looks_the_same)
{
	jaco_auto(jaco_buf) struct jaco_buf one = JACO_BUF_INIT, two = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(seal_close(key, "/secret/a", "", 0, &one, &err), &err);
	JT_OK(seal_close(key, "/secret/a", "", 0, &two, &err), &err);
	JT_EQ(one.n, two.n);
	JT_NE(memcmp(one.data, two.data, one.n), 0);
}

JT_CASE(a_node_certificate_is_vouched_for_by_its_own_ca_only)
{
	static struct identity ca, foreign, node;
	char fingerprint[IDENTITY_FINGERPRINT_TEXT], again[IDENTITY_FINGERPRINT_TEXT];
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(identity_make_ca("one", &ca, &err), &err);
	JT_OK(identity_make_ca("one", &foreign, &err), &err);
	JT_OK(identity_make_node(&ca, "one", "n1", &node, &err), &err);
	JT_OK(identity_verify(ca.cert, node.cert, &err), &err);
	JT_FAILS_WITH(identity_verify(foreign.cert, node.cert, &err), VALIDATION_FAILED,
		      "not signed by this cluster's CA", &err);
	JT_OK(identity_fingerprint(node.cert, fingerprint, &err), &err);
	JT_OK(identity_fingerprint(ca.cert, again, &err), &err);
	JT_EQ(strlen(fingerprint), 64);
	JT_NE(strcmp(fingerprint, again), 0);
	JT_FAILS_WITH(identity_fingerprint("junk", again, &err), VALIDATION_FAILED, "not a PEM",
		      &err);
	JT_TRUE(strstr(node.key, "PRIVATE KEY") != NULL);
	identity_wipe(&node);
	JT_EQ(node.key[0], 0);
}

JT_CASE(a_renewed_certificate_has_the_key_and_a_life_of_its_own)
{
	static struct identity ca, node, other;
	static char renewed[IDENTITY_PEM_MAX];
	char pin[IDENTITY_FINGERPRINT_TEXT], again[IDENTITY_FINGERPRINT_TEXT];
	struct jaco_err err = JACO_ERR_INIT;
	struct identity_life life;

	JT_OK(identity_make_ca("one", &ca, &err), &err);
	JT_OK(identity_make_node(&ca, "one", "n1", &node, &err), &err);
	JT_OK(identity_make_node(&ca, "one", "n1", &other, &err), &err);
	JT_OK(identity_renew(&ca, "one", "n1", node.key, renewed, &err), &err);
	JT_OK(identity_verify(ca.cert, renewed, &err), &err);
	JT_NE(strcmp(renewed, node.cert), 0);
	JT_OK(identity_key_fingerprint(node.cert, pin, &err), &err);
	JT_OK(identity_key_fingerprint(renewed, again, &err), &err);
	JT_EQ(strcmp(pin, again), 0);
	JT_OK(identity_key_fingerprint(other.cert, again, &err), &err);
	JT_NE(strcmp(pin, again), 0);
	JT_OK(identity_get_life(renewed, &life, &err), &err);
	JT_EQ(life.not_after - life.issued, IDENTITY_NODE_DAYS * 86400);
	JT_TRUE(identity_renew(&ca, "one", "n1", "junk", renewed, &err) < 0);
	JT_FAILS_WITH(identity_get_life("junk", &life, &err), VALIDATION_FAILED, "not a PEM", &err);
}

JT_MAIN(JT_RUN(what_is_sealed_opens_under_its_own_name_only),
	JT_RUN(sealing_twice_never_looks_the_same),
	JT_RUN(a_node_certificate_is_vouched_for_by_its_own_ca_only),
	JT_RUN(a_renewed_certificate_has_the_key_and_a_life_of_its_own))
