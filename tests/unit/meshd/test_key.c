/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/meshd/key.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libjaco/io/fs.h"
#include "tests/lib/test.h"

static char dir[64];
static char path[96];

static int make_dir(JACO_UNUSED void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/jaco-key-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/private.key", dir);
	return 0;
}

static int drop_dir(JACO_UNUSED void **state)
{
	unlink(path);
	return rmdir(dir);
}

JT_CASE(a_key_is_made_once_and_for_its_owner_only)
{
	uint8_t first[MESH_KEY_BYTES], again[MESH_KEY_BYTES], zero[MESH_KEY_BYTES] = {0};
	struct jaco_err err = JACO_ERR_INIT;
	struct stat st;

	JT_OK(key_load(path, first, &err), &err);
	JT_NE(memcmp(first, zero, MESH_KEY_BYTES), 0);
	JT_EQ(first[0] & 7, 0); /* clamped, RFC 7748 section 5 */
	JT_EQ(first[31] & 192, 64);
	JT_EQ(stat(path, &st), 0);
	JT_EQ(st.st_mode & 0777, 0600);
	JT_OK(key_load(path, again, &err), &err);
	JT_MEM(first, again, MESH_KEY_BYTES);
}

JT_CASE(a_file_that_is_no_key_is_left_alone)
{
	uint8_t key[MESH_KEY_BYTES];
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(jaco_fs_replace(path, "bm90IGEga2V5\n", 13, 0600, &err), &err);
	JT_FAILS_WITH(key_load(path, key, &err), VALIDATION_FAILED, "is not a WireGuard key", &err);
	JT_TRUE(jaco_fs_exists(path));
}

/* What `wg pubkey` (wireguard-tools 1.0) prints for 32 zero bytes but the clamp. */
#define PUBLIC_OF_CLAMPED_ZERO "L+V9o0fNYkMVKNqsX7spBzD/9oSvxM/C7ZCZX1jLO3Q="
JT_CASE(public_keys_are_deterministic_and_differ)
{
	uint8_t a[MESH_KEY_BYTES] = {[31] = 64}, b[MESH_KEY_BYTES] = {8, [31] = 64};
	uint8_t pub_a[MESH_KEY_BYTES], pub_b[MESH_KEY_BYTES], again[MESH_KEY_BYTES];
	struct jaco_err err = JACO_ERR_INIT;
	char text[KEY_TEXT_BYTES];

	JT_OK(key_public(a, pub_a, &err), &err);
	JT_OK(key_public(b, pub_b, &err), &err);
	JT_OK(key_public(a, again, &err), &err);
	JT_MEM(pub_a, again, MESH_KEY_BYTES);
	JT_NE(memcmp(pub_a, pub_b, MESH_KEY_BYTES), 0);
	key_render(text, pub_a);
	JT_STR(text, PUBLIC_OF_CLAMPED_ZERO);
	JT_TRUE(key_parse(text, again));
	JT_MEM(pub_a, again, MESH_KEY_BYTES);
	JT_FALSE(key_parse("short", again));
}

#define IN_DIR(name) cmocka_unit_test_setup_teardown(name, make_dir, drop_dir)
JT_MAIN(IN_DIR(a_key_is_made_once_and_for_its_owner_only),
	IN_DIR(a_file_that_is_no_key_is_left_alone),
	JT_RUN(public_keys_are_deterministic_and_differ))
