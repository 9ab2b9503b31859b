/* SPDX-License-Identifier: Apache-2.0
 *
 * ids.c - identifiers made from names. */
#include "libjaco/model/ids.h"

#include <inttypes.h>
#include <string.h>

#include "libjaco/base/digest.h"
#include "libjaco/base/str.h"

bool jaco_replica_id_render(char out[static JACO_REPLICA_ID_BYTES], const char *deployment,
			    const char *service, uint64_t index)
{
	return jaco_str_format(out, JACO_REPLICA_ID_BYTES, "%s-%s-%" PRIu64, deployment, service,
			       index);
}

bool jaco_replica_id_render_host(char out[static JACO_REPLICA_ID_BYTES], const char *deployment,
				 const char *service, const char *host)
{
	return jaco_str_format(out, JACO_REPLICA_ID_BYTES, "%s-%s-%s", deployment, service, host);
}

bool jaco_replica_id_suffix(const char *id, const char *deployment, const char *service,
			    const char **out_suffix)
{
	size_t n_deployment = strlen(deployment);
	size_t n_service = strlen(service);

	if (strncmp(id, deployment, n_deployment) != 0 || id[n_deployment] != '-')
		return false;
	id += n_deployment + 1;
	if (strncmp(id, service, n_service) != 0 || id[n_service] != '-' || !id[n_service + 1])
		return false;
	*out_suffix = id + n_service + 1;
	return true;
}

bool jaco_container_name_render(char out[static JACO_CONTAINER_NAME_BYTES], const char *replica_id,
				uint64_t generation, bool is_coexisting)
{
	if (!is_coexisting)
		return jaco_str_copy(out, JACO_CONTAINER_NAME_BYTES, replica_id);
	return jaco_str_format(out, JACO_CONTAINER_NAME_BYTES, "%s.%" PRIu64, replica_id,
			       generation);
}

bool jaco_engine_network_name_render(char out[static JACO_ENGINE_NAME_BYTES],
				     const char *deployment, const char *network, bool is_internal)
{
	return jaco_str_format(out, JACO_ENGINE_NAME_BYTES, "jaco%s_%s_%s", is_internal ? "i" : "",
			       deployment, network);
}

bool jaco_engine_name_render(char out[static JACO_ENGINE_NAME_BYTES], const char *deployment,
			     const char *name)
{
	return jaco_str_format(out, JACO_ENGINE_NAME_BYTES, "jaco_%s_%s", deployment, name);
}

void jaco_bridge_name_render(char out[static JACO_BRIDGE_NAME_BYTES], const char *deployment,
			     const char *network, unsigned extra)
{
	uint8_t digest[JACO_SHA1_BYTES];
	char hex_deployment[2 * JACO_SHA1_BYTES + 1];
	char hex_network[2 * JACO_SHA1_BYTES + 1];

	jaco_sha1(deployment, strlen(deployment), digest);
	jaco_hex_encode(hex_deployment, digest, sizeof(digest));
	jaco_sha1(network, strlen(network), digest);
	jaco_hex_encode(hex_network, digest, sizeof(digest));
	/* 36 further windows of the network's digest before a name could repeat */
	(void)jaco_str_format(out, JACO_BRIDGE_NAME_BYTES, "jaco-%.4s-%.4s", hex_deployment,
			      hex_network + extra % (2 * JACO_SHA1_BYTES - 3));
}
