/* SPDX-License-Identifier: Apache-2.0
 *
 * The table at the end is the mapping; each row's function sets what its keys mean and nothing when
 * they were not written, so that images and engines keep their own defaults. */
#include "daemons/runtimed/create.h"

#include <string.h>

#include <jansson.h>

#include "daemons/runtimed/json_out.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/str.h"

#define LOG_MAX_SIZE "10m" /* spec/runtime.md section 2: 10 MB x 3 */
#define LOG_MAX_FILE "3"
#define NS_PER_MS    1000000

#define API_ENDPOINT_MAC 44 /* MacAddress moved into the endpoint */
#define API_ANNOTATIONS  43
#define API_START_PERIOD 44 /* Healthcheck.StartInterval */
#define API_UNPROTECTED  48 /* gateway_mode_ipv4=nat-unprotected */

struct out {
	const struct create_input *in;
	const struct jaco_service *service;
	json_t *root, *host;
	struct jaco_err *err;
	bool failed;
};

static bool has_api(const struct create_input *in, unsigned minor)
{
	return in->engine->api_major > 1 || in->engine->api_minor >= minor;
}

static json_t *string_list(const struct jaco_strings *strings)
{
	json_t *list = json_array();

	for (size_t i = 0; i < strings->n; i++)
		json_array_append_new(list, json_string(strings->items[i]));
	return list;
}

static json_t *string_map(const struct jaco_pairs *pairs)
{
	json_t *map = json_object();

	for (size_t i = 0; i < pairs->n; i++)
		json_out_str(map, pairs->items[i].key, pairs->items[i].value);
	return map;
}

static void set_list(json_t *object, const char *key, const struct jaco_strings *strings)
{
	if (strings->n > 0)
		json_object_set_new(object, key, string_list(strings));
}

static void set_map(json_t *object, const char *key, const struct jaco_pairs *pairs)
{
	if (pairs->n > 0)
		json_object_set_new(object, key, string_map(pairs));
}

static void set_int(json_t *object, const char *key, struct jaco_opt_i64 value)
{
	if (value.is_set)
		json_object_set_new(object, key, json_integer(value.value));
}

static void put_image(struct out *o)
{
	json_out_str(o->root, "Image", o->service->image);
}

static void put_argv(json_t *root, const char *key, const struct jaco_argv *argv)
{
	struct jaco_strings strings = {.items = argv->items, .n = argv->n};

	if (argv->is_set)
		json_object_set_new(root, key, string_list(&strings));
}

static void put_command(struct out *o)
{
	put_argv(o->root, "Cmd", &o->service->command);
}

static void put_entrypoint(struct out *o)
{
	put_argv(o->root, "Entrypoint", &o->service->entrypoint);
}

static void put_environment(struct out *o)
{
	const struct jaco_pairs *env = &o->service->environment;
	json_t *list;

	if (env->n == 0)
		return;
	list = json_array();
	for (size_t i = 0; i < env->n; i++)
		json_array_append_new(list, json_sprintf("%s=%s", env->items[i].key,
							 env->items[i].value));
	json_object_set_new(o->root, "Env", list);
}

static void put_user(struct out *o)
{
	json_out_str(o->root, "User", o->service->user);
}

static void put_working_dir(struct out *o)
{
	json_out_str(o->root, "WorkingDir", o->service->working_dir);
}

/* Without hostname: the replica id, where it is one host name label (RFC 1123 section 2.1). */
static void put_hostname(struct out *o)
{
	const char *name = o->service->hostname ? o->service->hostname : o->in->replica_id;

	if (jaco_str_eq(o->service->uts, "host") || /* an engine refuses both */
	    o->service->network_mode == JACO_NETMODE_SERVICE ||
	    o->service->network_mode == JACO_NETMODE_HOST)
		return;
	if (!o->service->hostname) {
		if (strlen(name) > JACO_NAME_MAX)
			return;
		for (const char *p = name; *p; p++)
			if (!jaco_ascii_is_alnum(*p) && *p != '-')
				return;
	}
	json_out_str(o->root, "Hostname", name);
}

static void put_domainname(struct out *o)
{
	json_out_str(o->root, "Domainname", o->service->domainname);
}

static void put_labels(struct out *o)
{
	json_t *labels = string_map(&o->service->labels);

	json_out_str(labels, "jaco.cluster_id", o->in->cluster_id);
	json_out_str(labels, "jaco.deployment", o->in->deployment);
	json_out_str(labels, "jaco.service", o->service->name);
	json_out_str(labels, "jaco.replica_id", o->in->replica_id);
	json_out_str(labels, "jaco.replica_index", o->in->replica_index);
	json_out_str(labels, "jaco.spec_hash", o->in->spec_hash);
	json_object_set_new(labels, "jaco.revision",
			    json_sprintf("%llu", (unsigned long long)o->in->revision));
	json_object_set_new(labels, "jaco.generation",
			    json_sprintf("%llu", (unsigned long long)o->in->generation));
	json_object_set_new(o->root, "Labels", labels);
}

static void put_annotations(struct out *o)
{
	if (has_api(o->in, API_ANNOTATIONS) || o->in->engine->is_podman)
		set_map(o->host, "Annotations", &o->service->annotations);
}

static void put_tty(struct out *o)
{
	if (o->service->tty)
		json_object_set_new(o->root, "Tty", json_true());
}

static void put_stdin_open(struct out *o)
{
	if (o->service->stdin_open)
		json_object_set_new(o->root, "OpenStdin", json_true());
}

static void put_stop_signal(struct out *o)
{
	json_out_str(o->root, "StopSignal", o->service->stop_signal);
}

static void put_stop_grace_period(struct out *o)
{
	struct jaco_opt_i64 grace = o->service->stop_grace_ms;

	if (grace.is_set)
		json_object_set_new(o->root, "StopTimeout",
				    json_integer((grace.value + 999) / 1000));
}

static void put_init(struct out *o)
{
	if (o->service->init != JACO_TRI_UNSET)
		json_object_set_new(o->host, "Init",
				    json_boolean(o->service->init == JACO_TRI_TRUE));
}

static void put_expose(struct out *o)
{
	const struct jaco_service *service = o->service;
	json_t *ports;

	if (service->n_expose + service->n_ports == 0)
		return;
	ports = json_object();
	for (size_t i = 0; i < service->n_expose; i++)
		json_out_new_key(ports, json_object(), "%u/tcp", service->expose[i]);
	for (size_t i = 0; i < service->n_ports; i++)
		json_out_new_key(ports, json_object(), "%u/%s", service->ports[i].target,
				 jaco_proto_name(service->ports[i].proto));
	json_object_set_new(o->root, "ExposedPorts", ports);
}

static json_t *health_test(const char *kind, const struct jaco_strings *words)
{
	json_t *test = json_pack("[s]", kind);

	for (size_t i = 0; i < words->n; i++)
		json_array_append_new(test, json_string(words->items[i]));
	return test;
}

static void set_ns(json_t *object, const char *key, struct jaco_opt_i64 ms)
{
	if (ms.is_set)
		json_object_set_new(object, key, json_integer(ms.value * NS_PER_MS));
}

/* health: {cmd: ...} of the overlay wins over compose's healthcheck; the engine runs both. */
static void put_overlay_command(struct out *o)
{
	const struct jaco_probe *probe = &o->service->probe;
	json_t *check = json_object();

	json_object_set_new(check, "Test", health_test("CMD", &probe->command));
	json_object_set_new(check, "Interval", json_integer(probe->interval_ms * NS_PER_MS));
	json_object_set_new(check, "Timeout", json_integer(probe->timeout_ms * NS_PER_MS));
	json_object_set_new(check, "Retries", json_integer(probe->retries));
	json_object_set_new(o->root, "Healthcheck", check);
}

static void put_healthcheck(struct out *o)
{
	const struct jaco_healthcheck *health = &o->service->healthcheck;
	json_t *check;

	if (o->service->probe.kind == JACO_PROBE_CMD) {
		put_overlay_command(o);
		return;
	}
	if (!health->is_set)
		return;
	check = json_object();
	switch (health->kind) {
	case JACO_HEALTHCHECK_INHERIT:
		break;
	case JACO_HEALTHCHECK_DISABLED:
		json_object_set_new(check, "Test", json_pack("[s]", "NONE"));
		break;
	case JACO_HEALTHCHECK_CMD:
		json_object_set_new(check, "Test", health_test("CMD", &health->test));
		break;
	case JACO_HEALTHCHECK_SHELL:
		json_object_set_new(check, "Test", health_test("CMD-SHELL", &health->test));
		break;
	}
	set_ns(check, "Interval", health->interval_ms);
	set_ns(check, "Timeout", health->timeout_ms);
	set_ns(check, "StartPeriod", health->start_period_ms);
	if (has_api(o->in, API_START_PERIOD))
		set_ns(check, "StartInterval", health->start_interval_ms);
	set_int(check, "Retries", health->retries);
	json_object_set_new(o->root, "Healthcheck", check);
}

static json_t *bind_text(const struct jaco_mount *m)
{
	struct jaco_buf text = JACO_BUF_INIT;
	json_t *bind;

	jaco_buf_printf(&text, "%s:%s:%s", m->source, m->target, m->read_only ? "ro" : "rw");
	if (m->selinux)
		jaco_buf_printf(&text, ",%s", m->selinux);
	if (m->propagation)
		jaco_buf_printf(&text, ",%s", m->propagation);
	bind = json_string(jaco_buf_str(&text));
	jaco_buf_fini(&text);
	return bind;
}

static json_t *volume_options(const struct out *o, const struct jaco_mount *m)
{
	const struct jaco_volume *volume =
		m->source ? jaco_manifest_volume(o->in->manifest, m->source) : NULL;
	json_t *options = json_object();

	if (m->no_copy)
		json_object_set_new(options, "NoCopy", json_true());
	json_out_str(options, "Subpath", m->subpath);
	if (m->source && !m->is_external) {
		json_t *labels = volume ? string_map(&volume->labels) : json_object();

		json_out_str(labels, "jaco.deployment", o->in->deployment);
		json_out_str(labels, "jaco.volume", m->source);
		json_out_str(labels, "jaco.cluster_id", o->in->cluster_id);
		json_object_set_new(options, "Labels", labels);
		if (volume && volume->driver_opts.n > 0)
			json_object_set_new(options, "DriverConfig",
					    json_pack("{s:s, s:o}", "Name", "local", "Options",
						      string_map(&volume->driver_opts)));
	}
	return options;
}

static json_t *mount_object(const struct out *o, const struct jaco_mount *m)
{
	json_t *mount = json_object(), *options = json_object();

	json_out_str(mount, "Target", m->target);
	if (m->read_only)
		json_object_set_new(mount, "ReadOnly", json_true());
	switch (m->type) {
	case JACO_MOUNT_BIND:
		json_out_str(mount, "Type", "bind");
		json_out_str(mount, "Source", m->source);
		json_out_str(options, "Propagation", m->propagation);
		json_object_set_new(mount, "BindOptions", options);
		break;
	case JACO_MOUNT_VOLUME:
		json_decref(options);
		json_out_str(mount, "Type", "volume");
		json_out_str(mount, "Source", m->engine_name);
		json_object_set_new(mount, "VolumeOptions", volume_options(o, m));
		break;
	case JACO_MOUNT_TMPFS:
		json_out_str(mount, "Type", "tmpfs");
		set_int(options, "SizeBytes", m->tmpfs_bytes);
		set_int(options, "Mode", m->tmpfs_mode);
		json_object_set_new(mount, "TmpfsOptions", options);
		break;
	}
	return mount;
}

/* A bind whose source may be missing goes into Binds: the engine then creates the directory, which
 * Mounts does only from API 1.42 on.  SELinux relabelling exists in Binds alone. */
static void put_volumes(struct out *o)
{
	json_t *binds = json_array(), *mounts = json_array();

	for (size_t i = 0; i < o->service->n_mounts; i++) {
		const struct jaco_mount *m = &o->service->mounts[i];

		if (m->type == JACO_MOUNT_BIND && (m->create_host_path || m->selinux))
			json_array_append_new(binds, bind_text(m));
		else
			json_array_append_new(mounts, mount_object(o, m));
	}
	json_out_list(o->host, "Binds", binds);
	json_out_list(o->host, "Mounts", mounts);
}

static void put_tmpfs(struct out *o)
{
	json_t *map;

	if (o->service->n_tmpfs == 0)
		return;
	map = json_object();
	for (size_t i = 0; i < o->service->n_tmpfs; i++)
		json_out_str(map, o->service->tmpfs[i].target, o->service->tmpfs[i].options);
	json_object_set_new(o->host, "Tmpfs", map);
}

static void put_read_only(struct out *o)
{
	if (o->service->read_only)
		json_object_set_new(o->host, "ReadonlyRootfs", json_true());
}

static void put_storage_opt(struct out *o)
{
	set_map(o->host, "StorageOpt", &o->service->storage_opt);
}

static void put_privileged(struct out *o)
{
	if (o->service->privileged)
		json_object_set_new(o->host, "Privileged", json_true());
}

static void put_cap_add(struct out *o)
{
	set_list(o->host, "CapAdd", &o->service->cap_add);
}

static void put_cap_drop(struct out *o)
{
	set_list(o->host, "CapDrop", &o->service->cap_drop);
}

static void put_security_opt(struct out *o)
{
	set_list(o->host, "SecurityOpt", &o->service->security_opt);
}

static void put_group_add(struct out *o)
{
	set_list(o->host, "GroupAdd", &o->service->group_add);
}

/* "service:<x>" becomes the container that runs x here. */
static void set_namespace(struct out *o, const char *key, const char *mode)
{
	const char *container;

	if (!mode)
		return;
	if (!jaco_str_starts(mode, "service:")) {
		json_out_str(o->host, key, mode);
		return;
	}
	mode += strlen("service:");
	container = o->in->container_of ? o->in->container_of(o->in->ctx, mode) : NULL;
	if (!container) {
		o->failed = true;
		jaco_err_set(o->err, JACO_DEPENDS_ON_UNMET,
			     "service %s shares a namespace with %s, which has no container here",
			     o->service->name, mode);
		return;
	}
	json_object_set_new(o->host, key, json_sprintf("container:%s", container));
}

static void put_ipc(struct out *o)
{
	set_namespace(o, "IpcMode", o->service->ipc);
}

static void put_pid(struct out *o)
{
	set_namespace(o, "PidMode", o->service->pid);
}

static void put_uts(struct out *o)
{
	json_out_str(o->host, "UTSMode", o->service->uts);
}

static void put_userns_mode(struct out *o)
{
	json_out_str(o->host, "UsernsMode", o->service->userns_mode);
}

static void put_cgroup(struct out *o)
{
	json_out_str(o->host, "CgroupnsMode", o->service->cgroup);
}

static void put_cgroup_parent(struct out *o)
{
	json_out_str(o->host, "CgroupParent", o->service->cgroup_parent);
}

static void put_runtime(struct out *o)
{
	json_out_str(o->host, "Runtime", o->service->runtime);
}

static void put_sysctls(struct out *o)
{
	set_map(o->host, "Sysctls", &o->service->sysctls);
}

static void put_ulimits(struct out *o)
{
	json_t *list = json_array();

	for (size_t i = 0; i < o->service->n_ulimits; i++) {
		const struct jaco_ulimit *u = &o->service->ulimits[i];

		json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "Name", u->name, "Soft",
						      (json_int_t)u->soft, "Hard",
						      (json_int_t)u->hard));
	}
	json_out_list(o->host, "Ulimits", list);
}

static void put_devices(struct out *o)
{
	json_t *list = json_array();

	for (size_t i = 0; i < o->service->n_devices; i++) {
		const struct jaco_device *d = &o->service->devices[i];

		if (d->is_cdi)
			continue; /* put_gpus */
		json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "PathOnHost", d->source,
						      "PathInContainer", d->target,
						      "CgroupPermissions", d->permissions));
	}
	json_out_list(o->host, "Devices", list);
}

static void put_device_cgroup_rules(struct out *o)
{
	set_list(o->host, "DeviceCgroupRules", &o->service->device_cgroup_rules);
}

static void put_gpus(struct out *o)
{
	json_t *list = json_array();

	for (size_t i = 0; i < o->service->n_device_requests; i++) {
		const struct jaco_device_request *r = &o->service->device_requests[i];
		json_t *request = json_object();

		json_out_str(request, "Driver", r->driver);
		json_object_set_new(request, "Count", json_integer(r->count));
		set_list(request, "DeviceIDs", &r->device_ids);
		json_object_set_new(request, "Capabilities",
				    json_pack("[o]", string_list(&r->capabilities)));
		set_map(request, "Options", &r->options);
		json_array_append_new(list, request);
	}
	for (size_t i = 0; i < o->service->n_devices; i++)
		if (o->service->devices[i].is_cdi)
			json_array_append_new(list, json_pack("{s:s, s:[s]}", "Driver", "cdi",
							      "DeviceIDs",
							      o->service->devices[i].source));
	json_out_list(o->host, "DeviceRequests", list);
}

static void put_memory(struct out *o)
{
	const struct jaco_resources *r = &o->service->resources;

	set_int(o->host, "Memory", r->memory_bytes);
	set_int(o->host, "MemoryReservation", r->memory_reservation);
	set_int(o->host, "MemorySwap", r->memswap_bytes);
	set_int(o->host, "MemorySwappiness", r->mem_swappiness);
}

static void put_cpu(struct out *o)
{
	const struct jaco_resources *r = &o->service->resources;

	set_int(o->host, "NanoCpus", r->nano_cpus);
	set_int(o->host, "CpuShares", r->cpu_shares);
	set_int(o->host, "CpuQuota", r->cpu_quota_us);
	set_int(o->host, "CpuPeriod", r->cpu_period_us);
	set_int(o->host, "CpuRealtimeRuntime", r->cpu_rt_runtime_us);
	set_int(o->host, "CpuRealtimePeriod", r->cpu_rt_period_us);
	json_out_str(o->host, "CpusetCpus", r->cpuset);
}

static void put_pids_limit(struct out *o)
{
	set_int(o->host, "PidsLimit", o->service->resources.pids);
}

static void set_blkio(json_t *host, const char *key, const char *value_key,
		      const struct jaco_blkio_list *list)
{
	json_t *devices = json_array();

	for (size_t i = 0; i < list->n; i++)
		json_array_append_new(devices, json_pack("{s:s, s:I}", "Path", list->items[i].path,
							 value_key,
							 (json_int_t)list->items[i].value));
	json_out_list(host, key, devices);
}

static void put_blkio_config(struct out *o)
{
	const struct jaco_blkio *b = &o->service->blkio;

	if (b->weight)
		json_object_set_new(o->host, "BlkioWeight", json_integer(b->weight));
	set_blkio(o->host, "BlkioWeightDevice", "Weight", &b->weight_device);
	set_blkio(o->host, "BlkioDeviceReadBps", "Rate", &b->read_bps);
	set_blkio(o->host, "BlkioDeviceWriteBps", "Rate", &b->write_bps);
	set_blkio(o->host, "BlkioDeviceReadIOps", "Rate", &b->read_iops);
	set_blkio(o->host, "BlkioDeviceWriteIOps", "Rate", &b->write_iops);
}

static void put_shm_size(struct out *o)
{
	set_int(o->host, "ShmSize", o->service->shm_bytes);
}

static void put_oom(struct out *o)
{
	set_int(o->host, "OomScoreAdj", o->service->oom_score_adj);
	if (o->service->oom_kill_disable)
		json_object_set_new(o->host, "OomKillDisable", json_true());
}

static void put_logging(struct out *o)
{
	const struct jaco_logging *log = &o->service->logging;
	json_t *config = string_map(&log->options);

	if (!log->driver && log->options.n == 0) {
		json_out_str(config, "max-size", LOG_MAX_SIZE);
		json_out_str(config, "max-file", LOG_MAX_FILE);
	}
	json_object_set_new(o->host, "LogConfig",
			    json_pack("{s:s, s:o}", "Type", log->driver ? log->driver : "json-file",
				      "Config", config));
}

static void put_extra_hosts(struct out *o)
{
	const struct jaco_pairs *hosts = &o->service->extra_hosts;
	json_t *list = json_array();

	for (size_t i = 0; i < hosts->n; i++) {
		const char *at = hosts->items[i].value;

		while (*at) { /* several addresses are joined by commas */
			size_t n = strcspn(at, ",");

			json_array_append_new(list, json_sprintf("%s:%.*s", hosts->items[i].key,
								 (int)n, at));
			at += n + (at[n] == ',');
		}
	}
	json_out_list(o->host, "ExtraHosts", list);
}

static json_t *address_text(uint32_t address)
{
	char text[JACO_IPV4_TEXT_BYTES];

	jaco_ipv4_render(text, address);
	return json_string(text);
}

static void put_dns(struct out *o)
{
	json_t *list;

	if (o->service->dns.n > 0) {
		set_list(o->host, "Dns", &o->service->dns);
		return;
	}
	list = json_array();
	for (size_t i = 0; i < o->in->n_networks; i++)
		json_array_append_new(list, address_text(o->in->networks[i].gateway));
	json_out_list(o->host, "Dns", list);
}

static void put_dns_search(struct out *o)
{
	set_list(o->host, "DnsSearch", &o->service->dns_search);
}

static void put_dns_opt(struct out *o)
{
	set_list(o->host, "DnsOptions", &o->service->dns_opt);
}

static json_t *endpoint(const struct create_input *in, size_t index)
{
	const struct jaco_service *service = in->service;
	const struct jaco_attachment *a =
		index < service->n_attachments ? &service->attachments[index] : NULL;
	const char *mac = a ? a->mac_address : NULL;
	json_t *config = json_object();

	json_object_set_new(config, "IPAMConfig",
			    json_pack("{s:o}", "IPv4Address",
				      address_text(in->networks[index].address)));
	if (!mac && index == 0)
		mac = service->mac_address;
	if (has_api(in, API_ENDPOINT_MAC))
		json_out_str(config, "MacAddress", mac);
	if (a)
		set_map(config, "DriverOpts", &a->driver_opts);
	return config;
}

static void put_networks(struct out *o)
{
	const struct create_network *first = o->in->networks;

	switch (o->service->network_mode) {
	case JACO_NETMODE_NONE:
		json_out_str(o->host, "NetworkMode", "none");
		return;
	case JACO_NETMODE_HOST:
		json_out_str(o->host, "NetworkMode", "host");
		return;
	case JACO_NETMODE_SERVICE: {
		char mode[JACO_NAME_MAX + 16];

		jaco_str_format(mode, sizeof(mode), "service:%s", o->service->network_service);
		set_namespace(o, "NetworkMode", mode);
		return;
	}
	case JACO_NETMODE_NETWORKS:
		break;
	}
	JACO_ASSERT(o->in->n_networks > 0);
	json_out_str(o->host, "NetworkMode", first->engine_name);
	json_object_set_new(o->root, "NetworkingConfig",
			    json_pack("{s:{s:o}}", "EndpointsConfig", first->engine_name,
				      endpoint(o->in, 0)));
}

static void put_mac_address(struct out *o)
{
	if (!has_api(o->in, API_ENDPOINT_MAC))
		json_out_str(o->root, "MacAddress", o->service->mac_address);
}

/* key: the compose key; one function may serve several keys, then the first row of them calls it
 * and the others carry NULL. */
static const struct row {
	const char *key;
	void (*put)(struct out *o);
} rows[] = {
	{"image", put_image},
	{"command", put_command},
	{"entrypoint", put_entrypoint},
	{"environment", put_environment},
	{"user", put_user},
	{"working_dir", put_working_dir},
	{"hostname", put_hostname},
	{"domainname", put_domainname},
	{"labels", put_labels},
	{"annotations", put_annotations},
	{"tty", put_tty},
	{"stdin_open", put_stdin_open},
	{"stop_signal", put_stop_signal},
	{"stop_grace_period", put_stop_grace_period},
	{"init", put_init},
	{"expose", put_expose},
	{"ports", NULL},
	{"healthcheck", put_healthcheck},
	{"volumes", put_volumes},
	{"tmpfs", put_tmpfs},
	{"read_only", put_read_only},
	{"storage_opt", put_storage_opt},
	{"privileged", put_privileged},
	{"cap_add", put_cap_add},
	{"cap_drop", put_cap_drop},
	{"security_opt", put_security_opt},
	{"group_add", put_group_add},
	{"ipc", put_ipc},
	{"pid", put_pid},
	{"uts", put_uts},
	{"userns_mode", put_userns_mode},
	{"cgroup", put_cgroup},
	{"cgroup_parent", put_cgroup_parent},
	{"runtime", put_runtime},
	{"sysctls", put_sysctls},
	{"ulimits", put_ulimits},
	{"devices", put_devices},
	{"device_cgroup_rules", put_device_cgroup_rules},
	{"gpus", put_gpus},
	{"mem_limit", put_memory},
	{"mem_reservation", NULL},
	{"memswap_limit", NULL},
	{"mem_swappiness", NULL},
	{"cpus", put_cpu},
	{"cpu_shares", NULL},
	{"cpu_quota", NULL},
	{"cpu_period", NULL},
	{"cpuset", NULL},
	{"pids_limit", put_pids_limit},
	{"blkio_config", put_blkio_config},
	{"shm_size", put_shm_size},
	{"oom_score_adj", put_oom},
	{"oom_kill_disable", NULL},
	{"logging", put_logging},
	{"extra_hosts", put_extra_hosts},
	{"dns", put_dns},
	{"dns_search", put_dns_search},
	{"dns_opt", put_dns_opt},
	{"networks", put_networks},
	{"network_mode", NULL},
	{"mac_address", put_mac_address},
};

int create_container_json(const struct create_input *in, bool is_pretty, struct jaco_buf *out,
			  struct jaco_err *err)
{
	struct out o = {.in = in,
			.service = in->service,
			.root = json_object(),
			.host = json_object(),
			.err = err};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(rows); i++)
		if (rows[i].put)
			rows[i].put(&o);
	/* The engine must never restart behind our back: back-off and budget are ours. */
	json_object_set_new(o.host, "RestartPolicy", json_pack("{s:s}", "Name", "no"));
	json_object_set_new(o.root, "HostConfig", o.host);
	if (!o.failed)
		json_out_dump(o.root, is_pretty, out);
	json_decref(o.root);
	return o.failed ? -(int)err->code : 0;
}

void create_connect_json(const struct create_input *in, size_t index, const char *container_id,
			 struct jaco_buf *out)
{
	json_t *root = json_pack("{s:s, s:o}", "Container", container_id, "EndpointConfig",
				 endpoint(in, index));

	json_out_dump(root, false, out);
	json_decref(root);
}

bool create_has_engine_health(const struct jaco_service *service)
{
	switch (service->probe.kind) {
	case JACO_PROBE_CMD:
		return true;
	case JACO_PROBE_HTTP:
	case JACO_PROBE_TCP:
		return false;
	case JACO_PROBE_NONE:
		break;
	}
	return service->healthcheck.is_set && (service->healthcheck.kind == JACO_HEALTHCHECK_CMD ||
					       service->healthcheck.kind == JACO_HEALTHCHECK_SHELL);
}

static json_t *network_labels(const struct create_network_spec *spec, const char *subnet)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "jaco.cluster_id", spec->cluster_id,
			 "jaco.deployment", spec->deployment, "jaco.network", spec->network,
			 "jaco.subnet", subnet);
}

/* "internal" is never asked of the engine: its rules would also drop what comes over the mesh;
 * fwd-nft keeps such a network in (spec/network.md section 3). */
void create_network_json(const struct create_network_spec *spec, const struct engine_info *engine,
			 struct jaco_buf *out)
{
	char subnet[JACO_CIDR_TEXT_BYTES];
	json_t *options = json_pack("{s:s, s:s, s:s}", "com.docker.network.bridge.name",
				    spec->bridge, "com.docker.network.bridge.enable_ip_masquerade",
				    "false", "com.docker.network.bridge.enable_icc", "true");
	json_t *root;

	jaco_cidr_render(subnet, spec->subnet);
	if (spec->mtu)
		json_object_set_new(options, "com.docker.network.driver.mtu",
				    json_sprintf("%u", spec->mtu));
	if (engine->api_major > 1 || engine->api_minor >= API_UNPROTECTED)
		json_out_str(options, "com.docker.network.bridge.gateway_mode_ipv4",
			     "nat-unprotected");
	root = json_pack("{s:s, s:s, s:b, s:o, s:o, s:{s:s, s:[{s:s, s:o}]}}", "Name",
			 spec->engine_name, "Driver", "bridge", "CheckDuplicate", 1, "Labels",
			 network_labels(spec, subnet), "Options", options, "IPAM", "Driver",
			 "default", "Config", "Subnet", subnet, "Gateway",
			 address_text(spec->gateway));
	JACO_ASSERT(root);
	json_out_dump(root, false, out);
	json_decref(root);
}

bool create_network_matches(const struct create_network_spec *spec,
			    const struct engine_network *net, const char **out_what)
{
	char subnet[JACO_CIDR_TEXT_BYTES], gateway[JACO_IPV4_TEXT_BYTES];

	jaco_cidr_render(subnet, spec->subnet);
	jaco_ipv4_render(gateway, spec->gateway);
	*out_what = !jaco_str_eq(net->cluster_id, spec->cluster_id) ? "cluster"
		    : !jaco_str_eq(net->subnet, subnet)             ? "subnet"
		    : !jaco_str_eq(net->gateway, gateway)           ? "gateway"
		    : !jaco_str_eq(net->bridge, spec->bridge)       ? "bridge name"
		    : net->has_masquerade                           ? "masquerading"
		    : spec->mtu && net->mtu != spec->mtu            ? "mtu"
								    : NULL;
	return !*out_what;
}

const char *const *create_keys(void)
{
	static const char *keys[JACO_ARRAY_SIZE(rows) + 1];

	for (size_t i = 0; i < JACO_ARRAY_SIZE(rows); i++)
		keys[i] = rows[i].key;
	return keys;
}
