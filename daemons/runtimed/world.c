/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/runtimed/world.h"

#include "libjaco/base/str.h"

#define PREFIX_BYTES (JACO_DEPLOYMENT_MAX + JACO_NAME_MAX + 32)

static bool holds(const struct wire_obs_gen *gen, enum jaco_condition condition)
{
	switch (condition) {
	case JACO_CONDITION_STARTED:
		return gen->state == JACO_REPLICA_RUNNING || gen->state == JACO_REPLICA_DEGRADED ||
		       gen->state == JACO_REPLICA_COMPLETED ||
		       (gen->state == JACO_REPLICA_STARTING && gen->started > 0);
	case JACO_CONDITION_HEALTHY:
		return gen->state == JACO_REPLICA_RUNNING && gen->healthy;
	case JACO_CONDITION_COMPLETED:
		return gen->state == JACO_REPLICA_COMPLETED;
	}
	return false;
}

/* Any replica, anywhere. */
static bool is_met(const struct jaco_view *view, const char *deployment,
		   const struct jaco_dependency *d)
{
	const struct jaco_view_entry *entry;
	char prefix[PREFIX_BYTES];

	jaco_str_format(prefix, sizeof(prefix), "/obs/replica/%s-%s-", deployment, d->service);
	JACO_VIEW_FOREACH(view, prefix, entry)
	{
		const struct wire_obs_replica *replica = entry->msg;

		if (!jaco_str_eq(replica->deployment, deployment) ||
		    !jaco_str_eq(replica->service, d->service))
			continue;
		for (size_t i = 0; i < replica->generations.n; i++)
			if (holds(&replica->generations.v[i], d->condition))
				return true;
	}
	return false;
}

static bool is_wanted_anywhere(const struct jaco_view *view, const char *deployment,
			       const char *service)
{
	char prefix[PREFIX_BYTES];

	jaco_str_format(prefix, sizeof(prefix), "/replica/%s/%s/", deployment, service);
	return jaco_view_below(view, jaco_view_lower(view, prefix), prefix);
}

bool world_unmet(const struct jaco_view *view, const char *deployment,
		 const struct jaco_service *service, char *out, size_t bytes)
{
	for (size_t i = 0; i < service->n_depends_on; i++) {
		const struct jaco_dependency *d = &service->depends_on[i];

		if (is_met(view, deployment, d) ||
		    (!d->required && !is_wanted_anywhere(view, deployment, d->service)))
			continue;
		jaco_str_format(out, bytes, "%s (%s)", d->service,
				jaco_condition_name(d->condition));
		return true;
	}
	return false;
}

uint64_t world_gate_revision(const struct jaco_view *view, const char *deployment,
			     const struct jaco_service *service, const char *host)
{
	uint64_t newest = 0;

	for (size_t i = 0; i < service->n_attachments; i++) {
		char key[JACO_KEY_MAX];
		const struct jaco_view_entry *entry;

		jaco_str_format(key, sizeof(key), "/subnet/%s/%s/%s", deployment,
				service->attachments[i].network, host);
		entry = jaco_view_entry(view, key);
		if (entry && entry->revision > newest)
			newest = entry->revision;
	}
	return newest;
}

static const struct wire_drain_ack *find_ack(const struct wire_drain_ack *acks, size_t n,
					     const char *replica, uint32_t generation)
{
	for (size_t i = 0; i < n; i++)
		if (acks[i].generation == generation && jaco_str_eq(acks[i].replica, replica))
			return &acks[i];
	return NULL;
}

static bool ingress_let_go(const struct wire_obs_ingress *ingress, const char *replica,
			   uint32_t generation)
{
	const struct wire_drain_ack *ack =
		find_ack(ingress->draining.v, ingress->draining.n, replica, generation);

	return ack ? ack->in_flight == 0
		   : !find_ack(ingress->serving.v, ingress->serving.n, replica, generation);
}

bool world_is_drained(const struct jaco_view *view, const char *replica, uint32_t generation)
{
	const struct jaco_view_entry *entry;

	JACO_VIEW_FOREACH(view, "/node/", entry)
	{
		const struct wire_node *node = entry->msg;
		const struct wire_obs_liveness *liveness =
			jaco_view_getf(view, "/obs/node/%s/liveness", node->host);
		const struct wire_obs_ingress *ingress =
			jaco_view_getf(view, "/obs/node/%s/ingress", node->host);
		const struct wire_obs_dns *dns =
			jaco_view_getf(view, "/obs/node/%s/dns", node->host);

		if (liveness && liveness->state == JACO_LIVENESS_UNREACHABLE)
			continue;
		if (ingress && !ingress_let_go(ingress, replica, generation))
			return false;
		/* A dnsd that serves nothing cannot name it. */
		if (dns && dns->listeners > 0 &&
		    !find_ack(dns->draining.v, dns->draining.n, replica, generation))
			return false;
	}
	return true;
}
