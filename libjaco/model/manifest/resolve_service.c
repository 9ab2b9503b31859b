/* SPDX-License-Identifier: Apache-2.0
 *
 * resolve_service.c - one service: compose, then the overlay over it, then the defaults. */
#include <stdlib.h>
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/model/ids.h"
#include "libjaco/model/imageref.h"
#include "libjaco/model/manifest/resolve.h"
#include "libjaco/model/name.h"

const char *jaco_placement_name(enum jaco_placement placement)
{
	return jaco_enum_word(&jaco_placement_enum, (int)placement);
}

static void resolve_image(struct resolve *resolve, struct compose_service *service)
{
	struct jaco_service *s = &service->s;

	if (!s->image && !s->build.is_set) {
		jaco_resolve_error(resolve, JACO_VALIDATION_FAILED, s->pos, s->name, NULL,
				   "add image:", "the service has neither image nor build");
		s->image = "";
	} else if (!s->image) {
		s->image = jaco_arena_printf(resolve->read->arena, "%s-%s",
					     resolve->read->deployment, s->name);
	} else if (!jaco_imageref_is_valid(s->image)) {
		jaco_resolve_warn(resolve, service->image_pos, s->name, "image",
				  "\"%.120s\" is not an image reference the engine will accept",
				  s->image);
	}
}

static void prefer(struct jaco_opt_i64 *base, const struct jaco_opt_i64 *winner)
{
	if (winner->is_set)
		*base = *winner;
}

static void resolve_resources(struct compose_service *service)
{
	struct jaco_resources *base = &service->s.resources;
	const struct jaco_resources *deploy = &service->deploy_resources;

	prefer(&base->nano_cpus, &deploy->nano_cpus);
	prefer(&base->memory_bytes, &deploy->memory_bytes);
	prefer(&base->memory_reservation, &deploy->memory_reservation);
	prefer(&base->reserved_nano_cpus, &deploy->reserved_nano_cpus);
	prefer(&base->pids, &deploy->pids);
	if (service->has_deploy_restart)
		service->s.restart = service->deploy_restart;
}

/* -- place -------------------------------------------------------------------------------- */

static void resolve_rollout(struct compose_service *service, const struct overlay_service *overlay)
{
	struct jaco_rollout *rollout = &service->s.rollout;

	if (overlay && overlay->rollout.order_is_set) {
		rollout->order = overlay->rollout.order;
		rollout->order_is_set = true;
	}
	if (overlay && overlay->on_failure_is_set)
		rollout->on_failure = overlay->rollout.on_failure;
	if (overlay && overlay->parallel.is_set)
		rollout->parallel = (uint32_t)overlay->parallel.value;
	if (overlay && overlay->timeout_ms.is_set)
		rollout->timeout_ms = overlay->timeout_ms.value;
	if (overlay && overlay->drain_ms.is_set)
		rollout->drain_ms = overlay->drain_ms.value;
	if (overlay && overlay->monitor_ms.is_set)
		rollout->monitor_ms = overlay->monitor_ms.value;
	if (overlay && overlay->delay_ms.is_set)
		rollout->delay_ms = overlay->delay_ms.value;
	if (!rollout->order_is_set)
		rollout->order =
			service->s.is_stateful ? JACO_ORDER_STOP_FIRST : JACO_ORDER_START_FIRST;
}

static void resolve_replicas(struct resolve *resolve, struct compose_service *service,
			     const struct overlay_service *overlay)
{
	struct jaco_service *s = &service->s;
	struct jaco_pos pos = service->replicas_pos;
	struct jaco_opt_i64 replicas = service->deploy_replicas;

	if (!replicas.is_set)
		replicas = service->scale;
	if (overlay && overlay->replicas.is_set) {
		replicas = overlay->replicas;
		pos = overlay->replicas_pos;
	}
	s->replicas = replicas.is_set ? (uint32_t)replicas.value : 1;
	s->replicas_is_set = replicas.is_set;
	if (s->placement == JACO_PLACE_GLOBAL && overlay && overlay->per_host.is_set)
		jaco_resolve_error(resolve, JACO_VALIDATION_FAILED, overlay->replicas_pos, s->name,
				   "per_host", "remove per_host",
				   "placement global runs one replica on every node");
	if (s->placement == JACO_PLACE_GLOBAL && replicas.is_set)
		jaco_resolve_error(resolve, JACO_VALIDATION_FAILED, pos, s->name, "replicas",
				   "remove replicas, or choose another placement",
				   "placement global runs one replica on every node");
	if (!overlay || !overlay->per_host.is_set)
		return;
	s->per_host = (uint32_t)overlay->per_host.value;
	if (overlay->replicas.is_set)
		jaco_resolve_error(resolve, JACO_VALIDATION_FAILED, overlay->replicas_pos, s->name,
				   "per_host", "keep one of them",
				   "replicas and per_host exclude each other");
	else if (s->placement == JACO_PLACE_HOSTS)
		s->replicas = (uint32_t)JACO_MIN((uint64_t)s->per_host * s->hosts.n, UINT32_MAX);
	else if (s->placement != JACO_PLACE_GLOBAL)
		jaco_resolve_error(resolve, JACO_VALIDATION_FAILED, overlay->replicas_pos, s->name,
				   "per_host", "add placement: hosts",
				   "per_host needs placement: hosts");
}

static void resolve_placement(struct resolve *resolve, struct compose_service *service,
			      const struct overlay_service *overlay)
{
	struct jaco_service *s = &service->s;

	s->placement = service->is_global ? JACO_PLACE_GLOBAL : JACO_PLACE_SPREAD;
	if (overlay && overlay->placement_is_set)
		s->placement = overlay->placement;
	if (overlay) {
		s->hosts = overlay->hosts;
		s->hosts_pos = overlay->hosts_pos;
	}
	resolve_replicas(resolve, service, overlay);
	if (s->placement == JACO_PLACE_HOSTS && s->hosts.n == 0)
		jaco_resolve_error(resolve, JACO_VALIDATION_FAILED, overlay->placement_pos, s->name,
				   "hosts", "add hosts: [n1]", "placement hosts needs hosts");
	else if (s->placement != JACO_PLACE_HOSTS && s->hosts.n)
		jaco_resolve_error(resolve, JACO_VALIDATION_FAILED, overlay->hosts_pos, s->name,
				   "hosts", "add placement: hosts", "hosts need placement: hosts");
	else if (s->placement == JACO_PLACE_HOSTS && !s->per_host && s->replicas > s->hosts.n)
		jaco_resolve_error(resolve, JACO_REPLICAS_EXCEED_PINNED_HOSTS,
				   overlay->replicas.is_set ? overlay->replicas_pos
							    : overlay->hosts_pos,
				   s->name, "replicas", "name more hosts, or use per_host",
				   "%u replicas, but only %zu hosts", s->replicas, s->hosts.n);
}

static void resolve_constraints(struct resolve *resolve, struct jaco_service *s,
				const struct overlay_service *overlay)
{
	size_t n_overlay = overlay ? overlay->n_constraints : 0;
	struct jaco_constraint *all = jaco_arena_alloc_n(
		resolve->read->arena, s->n_constraints + n_overlay + 1, sizeof(*all));

	if (s->n_constraints)
		memcpy(all, s->constraints, s->n_constraints * sizeof(*all));
	if (n_overlay)
		memcpy(all + s->n_constraints, overlay->constraints, n_overlay * sizeof(*all));
	s->n_constraints += n_overlay;
	if (s->platform && strchr(s->platform, '/')) {
		const char *arch = strchr(s->platform, '/') + 1;

		all[s->n_constraints++] = (struct jaco_constraint){
			.subject = JACO_CONSTRAINT_ARCH,
			.value = jaco_arena_strndup(resolve->read->arena, arch, strcspn(arch, "/")),
		};
	}
	s->constraints = all;
}

/* -- volumes and files -------------------------------------------------------------------- */

static struct jaco_volume *declare_volume(struct resolve *resolve, const struct jaco_mount *mount)
{
	struct compose_doc *doc = resolve->compose;
	char name[JACO_ENGINE_NAME_BYTES];
	size_t at = 0;

	if (!doc->volumes)
		doc->volumes = jaco_arena_alloc_n(resolve->read->arena, COMPOSE_VOLUMES_MAX,
						  sizeof(*doc->volumes));
	(void)jaco_engine_name_render(name, resolve->read->deployment, mount->source);
	while (at < doc->n_volumes && strcmp(doc->volumes[at].name, mount->source) < 0)
		at++;
	memmove(doc->volumes + at + 1, doc->volumes + at,
		(doc->n_volumes - at) * sizeof(*doc->volumes));
	doc->n_volumes++;
	doc->volumes[at] = (struct jaco_volume){
		.name = mount->source,
		.engine_name = jaco_arena_strdup(resolve->read->arena, name),
		.pos = mount->pos,
	};
	return &doc->volumes[at];
}

static void resolve_named_volume(struct resolve *resolve, struct jaco_service *s,
				 struct jaco_mount *mount)
{
	struct jaco_volume *volume = jaco_resolve_volume(resolve, mount->source);
	struct jaco_err err;

	if (!volume) {
		if (jaco_name_check_volume(mount->source, &err) < 0) {
			jaco_resolve_error(resolve, JACO_VALIDATION_FAILED, mount->pos, s->name,
					   "volumes", "a path begins with / or ./", "%s", err.text);
			return;
		}
		if (resolve->compose->n_volumes >= COMPOSE_VOLUMES_MAX) {
			jaco_resolve_error(resolve, JACO_LIMIT_EXCEEDED, mount->pos, s->name,
					   "volumes", "use fewer", "more than %d volumes",
					   COMPOSE_VOLUMES_MAX);
			return;
		}
		jaco_resolve_warn(resolve, mount->pos, s->name, "volumes",
				  "volume \"%.63s\" is not declared: declared implicitly",
				  mount->source);
		volume = declare_volume(resolve, mount);
	}
	mount->engine_name = volume->engine_name;
	mount->is_external = volume->is_external;
}

/* A relative source has no meaning on a node; pinned services keep it under a directory of ours. */
static void resolve_bind(struct resolve *resolve, struct jaco_service *s, struct jaco_mount *mount)
{
	if (*mount->source == '/')
		return;
	if (s->placement == JACO_PLACE_HOSTS && *mount->source == '.') {
		mount->source = jaco_compose_clean_path(
			resolve->read->arena,
			jaco_arena_printf(
				resolve->read->arena, "/var/lib/jaco/files/%s%s",
				resolve->read->deployment,
				jaco_compose_clean_path(resolve->read->arena, mount->source)));
		jaco_resolve_warn(resolve, mount->pos, s->name, "volumes",
				  "the relative source is %.200s on each listed host",
				  mount->source);
		return;
	}
	jaco_resolve_error(resolve, JACO_VALIDATION_FAILED, mount->pos, s->name, "volumes",
			   "use an absolute path, a named volume, or placement: hosts",
			   "the relative bind source \"%.120s\" has no meaning on a cluster",
			   mount->source);
	mount->source = "/";
}

static int compare_mounts(const void *a, const void *b)
{
	return strcmp(((const struct jaco_mount *)a)->target,
		      ((const struct jaco_mount *)b)->target);
}

static void resolve_mounts(struct resolve *resolve, struct jaco_service *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n_mounts; i++) {
		struct jaco_mount *mount = &s->mounts[i];

		if (mount->type == JACO_MOUNT_VOLUME && mount->source)
			resolve_named_volume(resolve, s, mount);
		else if (mount->type == JACO_MOUNT_BIND)
			resolve_bind(resolve, s, mount);
		if (!mount->read_only && (mount->type == JACO_MOUNT_BIND ||
					  (mount->type == JACO_MOUNT_VOLUME && mount->source)))
			s->is_stateful = true;
	}
	if (s->n_mounts > 1)
		qsort(s->mounts, s->n_mounts, sizeof(*s->mounts), compare_mounts);
	for (size_t i = 0; i < s->n_mounts; i++) {
		if (kept > 0 && strcmp(s->mounts[kept - 1].target, s->mounts[i].target) == 0) {
			jaco_resolve_error(resolve, JACO_VALIDATION_FAILED, s->mounts[i].pos,
					   s->name, "volumes", "keep one of them",
					   "two volumes have the target %.200s",
					   s->mounts[i].target);
			continue;
		}
		s->mounts[kept++] = s->mounts[i];
	}
	s->n_mounts = kept;
}

static const struct compose_blob *find_blob(const struct compose_doc *doc, const char *name,
					    bool is_secret)
{
	for (size_t i = 0; i < doc->n_blobs; i++)
		if (doc->blobs[i].is_secret == is_secret && strcmp(doc->blobs[i].name, name) == 0)
			return &doc->blobs[i];
	return NULL;
}

static int compare_files(const void *a, const void *b)
{
	return strcmp(((const struct jaco_file *)a)->target, ((const struct jaco_file *)b)->target);
}

static void resolve_files(struct resolve *resolve, struct jaco_service *s)
{
	for (size_t i = 0; i < s->n_files; i++) {
		struct jaco_file *file = &s->files[i];
		const struct compose_blob *blob =
			find_blob(resolve->compose, file->name, file->is_secret);
		const char *kind = file->is_secret ? "secrets" : "configs";

		if (!blob) {
			jaco_resolve_error(resolve, JACO_VALIDATION_FAILED, file->pos, s->name,
					   kind, "declare it at the top level",
					   "\"%.63s\" is not among the top-level %s", file->name,
					   kind);
			continue;
		}
		file->is_external = blob->is_external;
		file->engine_name = blob->engine_name;
		file->content = blob->content;
		file->content_bytes = blob->content_bytes;
		file->host_path = blob->host_path;
	}
	if (s->n_files > 1)
		qsort(s->files, s->n_files, sizeof(*s->files), compare_files);
}

void jaco_resolve_service(struct resolve *resolve, struct compose_service *service,
			  const struct overlay_service *overlay)
{
	struct jaco_service *s = &service->s;

	resolve_image(resolve, service);
	resolve_resources(service);
	resolve_placement(resolve, service, overlay);
	resolve_constraints(resolve, s, overlay);
	resolve_mounts(resolve, s);
	resolve_files(resolve, s);
	jaco_resolve_dns(resolve, service);
	resolve_rollout(service, overlay);
	s->failover_stay = s->is_stateful;
	if (overlay) {
		if (overlay->failover_is_set)
			s->failover_stay = overlay->failover_stay;
		s->is_single = overlay->is_single;
		s->probe = overlay->probe;
	}
	s->is_one_shot = s->restart.is_set && s->restart.kind == JACO_RESTART_NO;
	jaco_resolve_gates(resolve, service);
	jaco_strings_sort(&s->dns_names, true);
}
