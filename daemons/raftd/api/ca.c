/* SPDX-License-Identifier: Apache-2.0
 *
 * ca.c - /cluster/meta and /secret/ca together. */
#include "daemons/raftd/api/ca.h"

#include "daemons/raftd/api/api.h"
#include "daemons/raftd/api/seal.h"
#include "libjaco/base/str.h"

int ca_open(struct raftd *raftd, struct jaco_arena *arena, struct identity *out_ca,
	    struct wire_cluster_meta *out_meta, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf key = JACO_BUF_SECRET(0);
	struct wire_sealed sealed;

	if (api_get(raftd, "/cluster/meta", &wire_cluster_meta_desc, arena, out_meta, NULL, err) <=
		    0 ||
	    api_get(raftd, "/secret/ca", &wire_sealed_desc, arena, &sealed, NULL, err) <= 0)
		return err->code ? -(int)err->code
				 : jaco_err_set(err, JACO_CLUSTER_UNINITIALIZED,
						"this node has no state of a cluster yet");
	if (seal_open(raftd->seal_key, "/secret/ca", sealed.data.data, sealed.data.n, &key, err) <
	    0)
		return -(int)err->code;
	(void)jaco_str_copy(out_ca->cert, sizeof(out_ca->cert), out_meta->ca_cert);
	(void)jaco_str_format(out_ca->key, sizeof(out_ca->key), "%.*s", (int)key.n, key.data);
	return 0;
}
