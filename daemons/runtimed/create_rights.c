/* SPDX-License-Identifier: Apache-2.0
 *
 * create_rights.c - rows of what the container may do: privileges, namespaces, devices. */
#include "daemons/runtimed/create_row.h"

#include <string.h>

#include "daemons/runtimed/json_out.h"
#include "libjaco/base/str.h"

static void put_privileged(struct create_out *o)
{
	if (o->service->privileged)
		json_object_set_new(o->host, "Privileged", json_true());
}

static void put_cap_add(struct create_out *o)
{
	json_out_set_strings(o->host, "CapAdd", &o->service->cap_add);
}

static void put_cap_drop(struct create_out *o)
{
	json_out_set_strings(o->host, "CapDrop", &o->service->cap_drop);
}

static void put_security_opt(struct create_out *o)
{
	json_out_set_strings(o->host, "SecurityOpt", &o->service->security_opt);
}

static void put_group_add(struct create_out *o)
{
	json_out_set_strings(o->host, "GroupAdd", &o->service->group_add);
}

/* "service:<x>" becomes the container that runs x here. */
void create_set_namespace(struct create_out *o, const char *key, const char *mode)
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

static void put_ipc(struct create_out *o)
{
	create_set_namespace(o, "IpcMode", o->service->ipc);
}

static void put_pid(struct create_out *o)
{
	create_set_namespace(o, "PidMode", o->service->pid);
}

static void put_uts(struct create_out *o)
{
	json_out_str(o->host, "UTSMode", o->service->uts);
}

static void put_userns_mode(struct create_out *o)
{
	json_out_str(o->host, "UsernsMode", o->service->userns_mode);
}

static void put_cgroup(struct create_out *o)
{
	json_out_str(o->host, "CgroupnsMode", o->service->cgroup);
}

static void put_cgroup_parent(struct create_out *o)
{
	json_out_str(o->host, "CgroupParent", o->service->cgroup_parent);
}

static void put_runtime(struct create_out *o)
{
	json_out_str(o->host, "Runtime", o->service->runtime);
}

static void put_sysctls(struct create_out *o)
{
	json_out_set_pairs(o->host, "Sysctls", &o->service->sysctls);
}

static void put_ulimits(struct create_out *o)
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

static void put_devices(struct create_out *o)
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

static void put_device_cgroup_rules(struct create_out *o)
{
	json_out_set_strings(o->host, "DeviceCgroupRules", &o->service->device_cgroup_rules);
}

static void put_gpus(struct create_out *o)
{
	json_t *list = json_array();

	for (size_t i = 0; i < o->service->n_device_requests; i++) {
		const struct jaco_device_request *r = &o->service->device_requests[i];
		json_t *request = json_object();

		json_out_str(request, "Driver", r->driver);
		json_object_set_new(request, "Count", json_integer(r->count));
		json_out_set_strings(request, "DeviceIDs", &r->device_ids);
		json_object_set_new(request, "Capabilities",
				    json_pack("[o]", json_out_strings(&r->capabilities)));
		json_out_set_pairs(request, "Options", &r->options);
		json_array_append_new(list, request);
	}
	for (size_t i = 0; i < o->service->n_devices; i++)
		if (o->service->devices[i].is_cdi)
			json_array_append_new(list, json_pack("{s:s, s:[s]}", "Driver", "cdi",
							      "DeviceIDs",
							      o->service->devices[i].source));
	json_out_list(o->host, "DeviceRequests", list);
}

const struct create_row create_rights_rows[] = {
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
	{NULL, NULL},
};
