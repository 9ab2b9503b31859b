/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/meshd/rotate.h"

#include <stdio.h>
#include <string.h>

#include "daemons/meshd/key.h"
#include "daemons/meshd/meshd.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/io/fs.h"

static void next_path(const struct meshd *meshd, char out[static 608])
{
	(void)jaco_str_format(out, 608, "%s.next", meshd->key_path); /* fits: key_path is shorter */
}

static int load_next(struct meshd *meshd, struct jaco_err *err)
{
	char path[608];

	next_path(meshd, path);
	if (key_load(path, meshd->next_private, err) < 0 ||
	    key_public(meshd->next_private, meshd->next_public, err) < 0)
		return -(int)err->code;
	meshd->has_next = true;
	return 0;
}

int rotate_open(struct meshd *meshd, struct jaco_err *err)
{
	char path[608];

	next_path(meshd, path);
	return jaco_fs_exists(path) ? load_next(meshd, err) : 0;
}

int rotate_begin(struct meshd *meshd, struct jaco_err *err)
{
	return meshd->has_next ? 0 : load_next(meshd, err); /* makes the file where there is none */
}

/* The record names the new key: it is the node's key from now on. */
static int adopt(struct meshd *meshd, struct jaco_err *err)
{
	char path[608];

	next_path(meshd, path);
	if (rename(path, meshd->key_path) < 0)
		return jaco_err_errno(err, "%s", path);
	memcpy(meshd->private_key, meshd->next_private, MESH_KEY_BYTES);
	memcpy(meshd->public_key, meshd->next_public, MESH_KEY_BYTES);
	jaco_wipe(meshd->next_private, sizeof(meshd->next_private));
	meshd->has_next = false;
	jaco_log_notice("key rotated", KV_STR(iface, meshd->device.name));
	return 0;
}

void rotate_follow(struct meshd *meshd)
{
	const struct wire_node *node =
		jaco_view_getf(&meshd->daemon->view, "/node/%s", meshd->daemon->host);
	struct jaco_err err = JACO_ERR_INIT;
	char text[KEY_TEXT_BYTES] = "";
	int rc = 0;

	if (!node)
		return;
	if (!meshd->has_next && node->wg_rotate > node->wg_rotated)
		rc = rotate_begin(meshd, &err);
	if (meshd->has_next)
		key_render(text, meshd->next_public);
	if (rc >= 0 && meshd->has_next && jaco_str_eq(node->wg_public_key, text))
		rc = adopt(meshd, &err);
	if (rc < 0)
		JACO_LOG_FAILURE(JACO_LOG_ERR, "key not rotated", &err);
}
