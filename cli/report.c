/* SPDX-License-Identifier: Apache-2.0
 *
 * report.c - joins /deployment, /replica and /obs/replica into rows. */
#include "cli/report.h"

#include <string.h>

#include "cli/out.h"
#include "libjaco/base/str.h"

const char *const report_prefixes[] = {
	"/cluster/meta", "/deployment/", "/replica/", "/rollout/", "/route/", "/tcproute/",
	"/obs/replica/", "/obs/node/",   "/node/",    "/subnet/",  NULL};

static const struct wire_obs_gen *find_observed(const struct jaco_view *view, const char *id,
						const struct wire_replica_gen *gen)
{
	const struct wire_obs_replica *seen =
		jaco_view_getf(view, "/obs/replica/%s@%s", id, gen->host);

	for (size_t i = 0; seen && i < seen->generations.n; i++)
		if (seen->generations.v[i].generation == gen->generation)
			return &seen->generations.v[i];
	return NULL;
}

/* What the scheduler says of it, or silence of its node, outweighs what that node said last. */
static void explain_absence(const struct jaco_view *view, const struct wire_replica *replica,
			    struct wire_replica_row *row, struct jaco_arena *arena)
{
	const struct wire_obs_liveness *node =
		jaco_view_getf(view, "/obs/node/%s/liveness", row->node);

	if (replica->code) {
		row->state = JACO_REPLICA_PENDING;
		row->code = replica->code;
		row->message = replica->message;
		row->since = replica->since;
	} else if (node && node->state == JACO_LIVENESS_UNREACHABLE) {
		row->state = JACO_REPLICA_DEGRADED;
		row->code = "node_unreachable";
		row->message = jaco_arena_printf(arena, "%s is unreachable", row->node);
		row->since = node->since;
	} else {
		return;
	}
	row->healthy = false;
}

/* One that has no node. */
static struct wire_replica_row make_unplaced(const struct wire_replica *replica)
{
	return (struct wire_replica_row){
		.id = replica->id,
		.deployment = replica->deployment,
		.service = replica->service,
		.state = JACO_REPLICA_PENDING,
		.node = "-",
		.since = replica->since,
		.code = replica->code,
		.message = replica->message,
	};
}

static struct wire_replica_row make_row(const struct jaco_view *view,
					const struct wire_replica *replica,
					const struct wire_replica_gen *gen,
					struct jaco_arena *arena)
{
	const struct wire_obs_gen *seen = find_observed(view, replica->id, gen);
	struct wire_replica_row row = {
		.id = replica->id,
		.deployment = replica->deployment,
		.service = replica->service,
		.state = JACO_REPLICA_PENDING,
		.node = gen->host,
		.generation = gen->generation,
		.revision = gen->revision,
		.image = gen->image,
		.spec_hash = gen->spec_hash,
		.since = gen->placed,
	};

	if (!seen) {
		explain_absence(view, replica, &row, arena);
		return row;
	}
	row.state = seen->state;
	row.healthy = seen->healthy;
	row.since = seen->since;
	row.restarts = seen->restarts;
	row.container = seen->container_id;
	row.code = seen->code;
	row.message = seen->message;
	if (!row.message && row.state == JACO_REPLICA_PULLING)
		row.message = gen->image;
	row.waits_for = seen->waits_for;
	row.addresses.v = seen->addresses.v;
	row.addresses.n = seen->addresses.n;
	if (seen->addresses.n)
		row.address = seen->addresses.v[0].address;
	explain_absence(view, replica, &row, arena);
	return row;
}

static void make_prefix(char out[static JACO_KEY_MAX], const char *space, const char *deployment,
			const char *service)
{
	if (!deployment)
		(void)jaco_str_format(out, JACO_KEY_MAX, "%s", space);
	else if (!service)
		(void)jaco_str_format(out, JACO_KEY_MAX, "%s%s/", space, deployment);
	else
		(void)jaco_str_format(out, JACO_KEY_MAX, "%s%s/%s/", space, deployment, service);
}

struct wire_replica_row *report_replicas(const struct jaco_view *view, const char *deployment,
					 const char *service, struct jaco_arena *arena,
					 size_t *out_n)
{
	struct wire_replica_row *rows = NULL;
	const struct jaco_view_entry *entry;
	char prefix[JACO_KEY_MAX];
	size_t cap = 0;

	*out_n = 0;
	make_prefix(prefix, "/replica/", deployment, service);
	JACO_VIEW_FOREACH(view, prefix, entry) {
		const struct wire_replica *replica = entry->msg;

		for (size_t g = 0; g < replica->generations.n; g++) {
			rows = jaco_arena_grow(arena, rows, &cap, *out_n + 1, sizeof(*rows));
			rows[(*out_n)++] =
				make_row(view, replica, &replica->generations.v[g], arena);
		}
		if (replica->generations.n == 0) {
			rows = jaco_arena_grow(arena, rows, &cap, *out_n + 1, sizeof(*rows));
			rows[(*out_n)++] = make_unplaced(replica);
		}
	}
	return rows;
}

int report_find(const struct jaco_view *view, const char *deployment, const char *service,
		struct jaco_err *err)
{
	const struct wire_deployment *record = jaco_view_getf(view, "/deployment/%s", deployment);

	if (!record)
		return jaco_err_set(err, JACO_DEPLOYMENT_NOT_FOUND, "there is no deployment %s",
				    deployment);
	for (size_t i = 0; service && i < record->services.n; i++)
		if (jaco_str_eq(record->services.v[i].name, service))
			return 0;
	return service ? jaco_err_set(err, JACO_UNKNOWN_SERVICE, "deployment %s has no service %s",
				      deployment, service)
		       : 0;
}

static bool is_ready(const struct wire_replica_row *row)
{
	return row->state == JACO_REPLICA_COMPLETED ||
	       (row->state == JACO_REPLICA_RUNNING && row->healthy);
}

/* A container that is there, or on its way without an obstacle: what of it is too much has yet to
 * go. */
static bool is_live(const struct wire_replica_row *row)
{
	if (row->state == JACO_REPLICA_PENDING || row->state == JACO_REPLICA_PULLING)
		return row->code == NULL;
	if (row->state == JACO_REPLICA_DEGRADED) /* nobody can stop what is on a silent node */
		return !jaco_str_eq(row->code, "node_unreachable");
	return row->state != JACO_REPLICA_FAILED && row->state != JACO_REPLICA_STOPPED;
}

struct report_progress report_service(const struct jaco_view *view, const char *deployment,
				      const struct wire_service *service, struct jaco_arena *arena)
{
	struct report_progress progress = {.wanted = service->replicas};
	size_t n;
	struct wire_replica_row *rows = report_replicas(view, deployment, service->name, arena, &n);
	size_t live = 0;

	if (service->placement == JACO_PLACE_GLOBAL)
		progress.wanted = n ? n : 1;
	for (size_t i = 0; i < n; i++) {
		/* What the last revision did not manage says nothing about this one; one without a
		 * node will be of this. */
		if (rows[i].spec_hash && !jaco_str_eq(rows[i].spec_hash, service->spec_hash)) {
			progress.old++;
			progress.old_ready += is_ready(&rows[i]);
			continue;
		}
		live += is_live(&rows[i]);
		progress.failed += rows[i].state == JACO_REPLICA_FAILED;
		if (is_ready(&rows[i]))
			progress.ready++;
		else if (!progress.worst || progress.worst->state != JACO_REPLICA_FAILED)
			progress.worst = &rows[i];
	}
	if (live > progress.wanted)
		progress.old += live - progress.wanted;
	return progress;
}

const char *report_state(const struct wire_replica_row *row, struct jaco_arena *arena)
{
	const char *word = jaco_enum_word(&jaco_replica_state_enum, (int)row->state);
	bool is_starting = row->state == JACO_REPLICA_RUNNING && !row->healthy;

	if (row->message)
		return jaco_arena_printf(arena, "%s%s: %s", word,
					 is_starting ? ", not healthy yet" : "", row->message);
	if (row->waits_for)
		return jaco_arena_printf(arena, "%s: waits for %s", word, row->waits_for);
	return jaco_arena_printf(arena, "%s%s", word, is_starting ? ", not healthy yet" : "");
}

const char *report_override(const char *deployment, const struct wire_service *service,
			    int64_t manifest, struct jaco_arena *arena)
{
	const char *says = manifest < 0 ? ""
					: jaco_arena_printf(arena, ", the manifest says %lld",
							    (long long)manifest);

	return jaco_arena_printf(arena,
				 "%s: scaled to %u by hand%s; jaco scale %s/%s --reset undoes it",
				 service->name, service->replicas, says, deployment, service->name);
}

static void judge(const struct jaco_view *view, const struct wire_deployment *deployment,
		  struct wire_deployment_row *row, struct jaco_arena *arena)
{
	bool is_updating = deployment->deleting;
	const struct wire_replica_row *worst = NULL;

	row->status = JACO_DEPLOYMENT_ACTIVE;
	for (size_t i = 0; i < deployment->services.n; i++) {
		const struct wire_service *service = &deployment->services.v[i];
		struct report_progress p = report_service(view, deployment->name, service, arena);

		row->wanted += (uint32_t)p.wanted;
		row->ready += (uint32_t)JACO_MIN(p.ready, p.wanted);
		row->old_ready += (uint32_t)p.old_ready;
		is_updating = is_updating || p.old > 0;
		if (p.ready >= p.wanted)
			continue;
		if (p.failed)
			row->status = JACO_DEPLOYMENT_FAILED;
		else if (row->status == JACO_DEPLOYMENT_ACTIVE)
			row->status = JACO_DEPLOYMENT_PENDING;
		if (p.worst && (!worst || p.worst->state == JACO_REPLICA_FAILED))
			worst = p.worst;
		else if (!row->reason)
			row->reason = jaco_arena_printf(arena, "%s: %zu of %zu replicas placed",
							service->name, p.ready, p.wanted);
	}
	if (worst)
		row->reason =
			jaco_arena_printf(arena, "%s %s", worst->id, report_state(worst, arena));
	if (is_updating && row->status != JACO_DEPLOYMENT_FAILED)
		row->status = JACO_DEPLOYMENT_UPDATING;
	for (size_t i = 0; i < deployment->services.n && !row->reason; i++)
		if (deployment->services.v[i].scaled)
			row->reason = report_override(deployment->name, &deployment->services.v[i],
						      -1, arena);
}

struct wire_deployment_row *report_deployments(const struct jaco_view *view, const char *deployment,
					       struct jaco_arena *arena, size_t *out_n)
{
	struct wire_deployment_row *rows = NULL;
	const struct jaco_view_entry *entry;
	size_t cap = 0;

	*out_n = 0;
	JACO_VIEW_FOREACH(view, "/deployment/", entry) {
		const struct wire_deployment *record = entry->msg;

		if (deployment && !jaco_str_eq(record->name, deployment))
			continue;
		rows = jaco_arena_grow(arena, rows, &cap, *out_n + 1, sizeof(*rows));
		rows[*out_n] =
			(struct wire_deployment_row){.name = record->name,
						     .revision = record->revision,
						     .services = (uint32_t)record->services.n,
						     .updated = record->updated};
		judge(view, record, &rows[(*out_n)++], arena);
	}
	return rows;
}

static void count_backends(const struct jaco_view *view, const char *deployment,
			   const char *service, struct jaco_arena *arena, uint32_t *out_ready,
			   uint32_t *out_total)
{
	size_t n;
	struct wire_replica_row *rows = report_replicas(view, deployment, service, arena, &n);

	for (size_t i = 0; i < n; i++)
		*out_ready += rows[i].state == JACO_REPLICA_RUNNING && rows[i].healthy;
	*out_total = (uint32_t)n;
}

struct wire_route_row *report_routes(const struct jaco_view *view, const char *deployment,
				     struct jaco_arena *arena, size_t *out_n)
{
	struct wire_route_row *rows = NULL;
	const struct jaco_view_entry *entry;
	size_t cap = 0;

	*out_n = 0;
	JACO_VIEW_FOREACH(view, "/route/", entry) {
		const struct wire_route *route = entry->msg;
		struct wire_route_row *row;

		if (deployment && !jaco_str_eq(route->deployment, deployment))
			continue;
		rows = jaco_arena_grow(arena, rows, &cap, *out_n + 1, sizeof(*rows));
		row = &rows[(*out_n)++];
		*row = (struct wire_route_row){.domain = route->domain,
					       .path = route->path,
					       .deployment = route->deployment,
					       .service = route->service,
					       .port = route->port,
					       .tls = route->tls,
					       .strip_path = route->strip_path,
					       .redirect_to = route->redirect_to};
		if (route->service)
			count_backends(view, route->deployment, route->service, arena, &row->ready,
				       &row->total);
	}
	return rows;
}

static const char *find_problem(const struct jaco_view *view, const struct wire_tcproute *port,
				struct jaco_arena *arena)
{
	const struct jaco_view_entry *entry;

	JACO_VIEW_FOREACH(view, "/obs/node/", entry) {
		const struct wire_obs_ingress *ingress = entry->msg;

		if (entry->desc != &wire_obs_ingress_desc)
			continue;
		for (size_t i = 0; i < ingress->problems.n; i++)
			if (ingress->problems.v[i].port == port->port &&
			    ingress->problems.v[i].protocol == port->protocol)
				return jaco_arena_printf(arena, "%s: %s",
							 entry->key + strlen("/obs/node/"),
							 ingress->problems.v[i].code);
	}
	return NULL;
}

struct wire_port_row *report_ports(const struct jaco_view *view, const char *deployment,
				   struct jaco_arena *arena, size_t *out_n)
{
	struct wire_port_row *rows = NULL;
	const struct jaco_view_entry *entry;
	size_t cap = 0;

	*out_n = 0;
	JACO_VIEW_FOREACH(view, "/tcproute/", entry) {
		const struct wire_tcproute *port = entry->msg;
		uint32_t total = 0;
		struct wire_port_row *row;

		if (deployment && !jaco_str_eq(port->deployment, deployment))
			continue;
		rows = jaco_arena_grow(arena, rows, &cap, *out_n + 1, sizeof(*rows));
		row = &rows[(*out_n)++];
		*row = (struct wire_port_row){.port = port->port,
					      .protocol = port->protocol,
					      .deployment = port->deployment,
					      .service = port->service,
					      .target_port = port->target_port,
					      .address = port->host_ip,
					      .problem = find_problem(view, port, arena)};
		count_backends(view, port->deployment, port->service, arena, &row->ready, &total);
	}
	return rows;
}

static const char *summarise(const struct wire_status_report *report, struct jaco_arena *arena)
{
	size_t n = report->deployments.n;
	size_t active = 0;
	uint32_t ready = 0;
	uint32_t wanted = 0;
	uint32_t old = 0;

	for (size_t i = 0; i < n; i++) {
		active += report->deployments.v[i].status == JACO_DEPLOYMENT_ACTIVE;
		ready += report->deployments.v[i].ready;
		wanted += report->deployments.v[i].wanted;
		old += report->deployments.v[i].old_ready;
	}
	if (n == 0)
		return "nothing is deployed";
	if (active == n && report->alarms.n == 0)
		return jaco_arena_printf(arena, "all is well: %zu deployment%s, %u replica%s",
					 active, OUT_S(active), ready, OUT_S(ready));
	if (old)
		return jaco_arena_printf(
			arena, "%zu of %zu deployment%s active, %u of %u updated, %u old one%s",
			active, n, OUT_S(n), ready, wanted, old, old == 1 ? " serves" : "s serve");
	return jaco_arena_printf(arena, "%zu of %zu deployment%s active, %u of %u replica%s ready",
				 active, n, OUT_S(n), ready, wanted, OUT_S(wanted));
}

struct wire_status_report report_status(const struct jaco_view *view, const char *deployment,
					const char *service, struct wire_strs alarms,
					struct jaco_arena *arena)
{
	struct wire_status_report report = {.alarms = alarms};

	report.deployments.v = report_deployments(view, deployment, arena, &report.deployments.n);
	report.replicas.v = report_replicas(view, deployment, service, arena, &report.replicas.n);
	report.routes.v = report_routes(view, deployment, arena, &report.routes.n);
	report.ports.v = report_ports(view, deployment, arena, &report.ports.n);
	report.summary = summarise(&report, arena);
	return report;
}
