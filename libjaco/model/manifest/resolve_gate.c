/* SPDX-License-Identifier: Apache-2.0
 *
 * resolve_gate.c - which keys of a service need the right to run privileged workloads
 * (spec/manifests.md section 3.8). */
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/model/manifest/resolve.h"

#define GATES_MAX 32

static void add(struct resolve *resolve, struct jaco_service *service, struct jaco_pos pos,
		const char *key, const char *why)
{
	if (!service->gates)
		service->gates = jaco_arena_alloc_n(resolve->read->arena, GATES_MAX,
						    sizeof(*service->gates));
	if (service->n_gates < GATES_MAX)
		service->gates[service->n_gates++] =
			(struct jaco_gate){.key = key, .why = why, .pos = pos};
}

/* The same, at the key itself. */
static void add_key(struct resolve *resolve, struct compose_service *compose, const char *key,
		    const char *why)
{
	const struct jaco_yaml_entry *entry = jaco_yaml_entry(compose->map, key);

	add(resolve, &compose->s, entry ? entry->pos : compose->s.pos, key, why);
}

static const char *strip_cap(const char *name)
{
	return jaco_str_starts(name, "CAP_") || jaco_str_starts(name, "cap_") ? name + 4 : name;
}

static void check_caps(struct resolve *resolve, struct compose_service *compose)
{
	static const char *const gated[] = {"SYS_ADMIN", "SYS_MODULE", "SYS_RAWIO", "ALL"};
	const struct jaco_strings *caps = &compose->s.cap_add;

	for (size_t i = 0; i < caps->n; i++)
		for (size_t j = 0; j < JACO_ARRAY_SIZE(gated); j++)
			if (jaco_str_eq_nocase(strip_cap(caps->items[i]), gated[j]))
				add_key(resolve, compose, "cap_add",
					jaco_arena_printf(resolve->read->arena,
							  "capability %s", gated[j]));
}

/* Directories through which a container could take over the engine or JACO itself. */
static bool is_gated_path(const char *path)
{
	static const char *const exact[] = {"/",
					    "/etc",
					    "/run",
					    "/var/run",
					    "/var",
					    "/run/podman",
					    "/run/containerd",
					    "/run/docker.sock",
					    "/var/run/docker.sock",
					    "/run/podman/podman.sock",
					    "/var/run/podman/podman.sock",
					    "/var/run/podman",
					    "/run/containerd/containerd.sock",
					    "/var/run/containerd",
					    "/var/run/containerd/containerd.sock",
					    "/run/crio/crio.sock",
					    "/var/lib/docker",
					    "/var/lib/containers",
					    "/var/lib"};
	static const char *const trees[] = {"/run/jaco", "/var/run/jaco", "/etc/jaco",
					    "/var/lib/jaco"};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(exact); i++)
		if (strcmp(path, exact[i]) == 0)
			return true;
	for (size_t i = 0; i < JACO_ARRAY_SIZE(trees); i++) {
		size_t n = strlen(trees[i]);

		if (strncmp(path, trees[i], n) == 0 && (path[n] == '\0' || path[n] == '/'))
			return !jaco_str_starts(path, "/var/lib/jaco/files/");
	}
	return false;
}

/* The value of @name in mount options "a,b=c", as mount(8) takes them. */
static bool has_option(const char *options, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = options; at && *at; at += strcspn(at, ","), at += *at == ',')
		if (strncmp(at, name, n) == 0 && (at[n] == '\0' || at[n] == ',' || at[n] == '='))
			return true;
	return false;
}

/* What the engine mounts for a volume with options of its own: network and memory file systems are
 * nobody's, a directory counts as the bind mount it is, and any other type reaches into the
 * host. */
static const char *why_volume(struct resolve *resolve, const struct jaco_volume *volume)
{
	static const char *const free_types[] = {"nfs", "nfs4", "cifs", "smb3", "tmpfs"};
	const char *type = jaco_pairs_get(&volume->driver_opts, "type");
	const char *options = jaco_pairs_get(&volume->driver_opts, "o");
	const char *device = jaco_pairs_get(&volume->driver_opts, "device");

	if (!device && !options && !type)
		return NULL;
	if (has_option(options, "bind") || has_option(options, "rbind")) {
		device = jaco_compose_clean_path(resolve->read->arena, device ? device : "/");
		return is_gated_path(device)
			       ? jaco_arena_printf(resolve->read->arena, "bind mount of %s", device)
			       : NULL;
	}
	for (size_t i = 0; type && i < JACO_ARRAY_SIZE(free_types); i++)
		if (strcmp(type, free_types[i]) == 0)
			return NULL;
	return jaco_arena_printf(resolve->read->arena, "volume %s of type %s", volume->name,
				 type ? type : "none");
}

static void check_volume(struct resolve *resolve, struct jaco_service *service,
			 const struct jaco_mount *mount)
{
	const struct jaco_volume *volume = jaco_resolve_volume(resolve, mount->source);
	const char *why = volume ? why_volume(resolve, volume) : NULL;

	if (why)
		add(resolve, service, mount->pos, "volumes", why);
}

static void check_mounts(struct resolve *resolve, struct jaco_service *service)
{
	for (size_t i = 0; i < service->n_mounts; i++) {
		const struct jaco_mount *mount = &service->mounts[i];

		if (mount->type == JACO_MOUNT_BIND && is_gated_path(mount->source))
			add(resolve, service, mount->pos, "volumes",
			    jaco_arena_printf(resolve->read->arena, "bind mount of %s",
					      mount->source));
		else if (mount->type == JACO_MOUNT_VOLUME && mount->source)
			check_volume(resolve, service, mount);
	}
}

void jaco_resolve_gates(struct resolve *resolve, struct compose_service *compose)
{
	struct jaco_service *service = &compose->s;
	const char *label = jaco_pairs_get(&service->labels, JACO_PRIVILEGED_LABEL);

	service->has_privileged_label = jaco_str_eq(label, "true");
	if (service->privileged)
		add_key(resolve, compose, "privileged", "privileged: true");
	if (service->security_opt.n)
		add_key(resolve, compose, "security_opt", "security_opt");
	if (service->network_mode == JACO_NETMODE_HOST)
		add_key(resolve, compose, "network_mode", "network_mode: host");
	if (jaco_str_eq(service->pid, "host"))
		add_key(resolve, compose, "pid", "pid: host");
	if (jaco_str_eq(service->ipc, "host"))
		add_key(resolve, compose, "ipc", "ipc: host");
	if (jaco_str_eq(service->uts, "host"))
		add_key(resolve, compose, "uts", "uts: host");
	if (jaco_str_eq(service->userns_mode, "host"))
		add_key(resolve, compose, "userns_mode", "userns_mode: host");
	check_caps(resolve, compose);
	check_mounts(resolve, service);
	if (service->n_devices || service->device_cgroup_rules.n)
		add_key(resolve, compose, "devices", "devices");
}
