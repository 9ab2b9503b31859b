/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/raftd/api/foresee.h"

#include <inttypes.h>
#include <string.h>

#include "daemons/raftd/api/api.h"
#include "libjaco/base/str.h"
#include "libjaco/model/cidr.h"

#define MESH_BITS  24 /* the last /24 belongs to the nodes, libjaco/model/meshaddr.h */
#define NOT_LEASED 3  /* network, gateway, broadcast */

int foresee_check(const struct foresee *foresee, struct jaco_err *err)
{
	uint64_t reserved = foresee->bits > MESH_BITS ? 1ull << (foresee->bits - MESH_BITS) : 1;
	uint64_t blocks = (1ull << (foresee->bits - foresee->pool.bits)) - reserved;
	uint64_t addresses = (1ull << (32 - foresee->bits)) - NOT_LEASED;
	char pool[JACO_CIDR_TEXT_BYTES];
	uint64_t wanted = 0;

	jaco_cidr_render(pool, foresee->pool);
	for (size_t i = 0; i < foresee->n_networks; i++) {
		const struct foresee_network *network = &foresee->networks[i];

		if (network->n_hosts > network->n_claimed)
			wanted += network->n_hosts - network->n_claimed;
		if (network->replicas > addresses * foresee->n_members)
			return jaco_err_set(err, JACO_ADDRESS_POOL_EXHAUSTED,
					    "network %s/%s: %" PRIu64
					    " replicas, but a /%u has room for %" PRIu64
					    " containers and there are %zu nodes",
					    foresee->deployment, network->name, network->replicas,
					    foresee->bits, addresses, foresee->n_members);
	}
	if (wanted == 0 || foresee->n_used + wanted <= blocks)
		return 0;
	return jaco_err_set(
		err, JACO_SUBNET_POOL_EXHAUSTED,
		"deployment %s needs %" PRIu64 " more subnets of /%u; ipam_pool %s holds %" PRIu64
		", %" PRIu64 " are in use",
		foresee->deployment, wanted, foresee->bits, pool, blocks, foresee->n_used);
}

static int count_members(struct raftd *raftd, struct jaco_call *call, size_t *out,
			 struct jaco_err *err)
{
	char key[JACO_KEY_MAX + 1] = "";
	struct wire_node node;
	int rc;

	*out = 0;
	while ((rc = api_next(raftd, "/node/", key, &wire_node_desc, call->arena, &node, NULL,
			      err)) > 0)
		++*out;
	return rc;
}

/* Blocks in use, and which of them are of the networks asked for. */
static int count_subnets(struct raftd *raftd, struct jaco_call *call, struct foresee *foresee,
			 struct foresee_network *networks, struct jaco_err *err)
{
	char key[JACO_KEY_MAX + 1] = "";
	struct wire_subnet subnet;
	int rc;

	while ((rc = api_next(raftd, "/subnet/", key, &wire_subnet_desc, call->arena, &subnet, NULL,
			      err)) > 0) {
		struct jaco_err ignored = JACO_ERR_INIT;
		struct jaco_cidr cidr;

		if (jaco_cidr_parse(subnet.cidr, &cidr, &ignored) < 0)
			continue;
		foresee->n_used +=
			cidr.bits < foresee->bits ? 1ull << (foresee->bits - cidr.bits) : 1;
		for (size_t i = 0; i < foresee->n_networks; i++)
			networks[i].n_claimed +=
				strcmp(subnet.deployment, foresee->deployment) == 0 &&
				strcmp(subnet.network, networks[i].name) == 0;
	}
	return rc;
}

static struct foresee_network *find(struct foresee_network *networks, size_t *n, const char *name)
{
	for (size_t i = 0; i < *n; i++)
		if (strcmp(networks[i].name, name) == 0)
			return &networks[i];
	networks[*n] = (struct foresee_network){.name = name};
	return &networks[(*n)++];
}

static void add_service(const struct wire_service *service, size_t n_members,
			struct foresee_network *networks, size_t *n)
{
	uint64_t replicas = service->replicas;
	size_t n_hosts = replicas > 0;

	if (service->placement == JACO_PLACE_GLOBAL) {
		replicas = n_members;
		n_hosts = service->constraints.n ? 1 : n_members;
	} else if (service->placement == JACO_PLACE_HOSTS) {
		n_hosts = service->hosts.n;
	}
	for (size_t i = 0; i < service->networks.n; i++) {
		struct foresee_network *network = find(networks, n, service->networks.v[i].name);

		network->n_hosts = JACO_MAX(network->n_hosts, n_hosts);
		network->replicas += replicas;
	}
}

int foresee_apply(struct raftd *raftd, struct jaco_call *call,
		  const struct wire_deployment *deployment, struct jaco_err *err)
{
	const struct jaco_config *config = &raftd->daemon->config;
	struct foresee foresee = {.bits = (unsigned)config->ipam_prefix,
				  .deployment = deployment->name};
	struct foresee_network *networks;
	size_t n_max = 1;

	for (size_t i = 0; i < deployment->services.n; i++)
		n_max += deployment->services.v[i].networks.n;
	networks = jaco_arena_alloc_n(call->arena, n_max, sizeof(*networks));
	if (jaco_cidr_parse(config->ipam_pool, &foresee.pool, err) < 0)
		return jaco_err_wrap(err, "ipam_pool");
	if (foresee.bits <= foresee.pool.bits)
		return 0; /* ipamd refuses such a configuration by itself */
	if (count_members(raftd, call, &foresee.n_members, err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < deployment->services.n; i++)
		add_service(&deployment->services.v[i], foresee.n_members, networks,
			    &foresee.n_networks);
	foresee.networks = networks;
	if (count_subnets(raftd, call, &foresee, networks, err) < 0)
		return -(int)err->code;
	return foresee_check(&foresee, err);
}
