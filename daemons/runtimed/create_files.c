/* SPDX-License-Identifier: Apache-2.0
 *
 * create_files.c - rows of what the container sees as files: volumes, tmpfs, its root. */
#include "daemons/runtimed/create_row.h"

#include "daemons/runtimed/json_out.h"
#include "daemons/runtimed/tar.h"
#include "libjaco/base/str.h"

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

static json_t *volume_options(const struct create_out *o, const struct jaco_mount *m)
{
	const struct jaco_volume *volume =
		m->source ? jaco_manifest_volume(o->in->manifest, m->source) : NULL;
	json_t *options = json_object();

	if (m->no_copy)
		json_object_set_new(options, "NoCopy", json_true());
	json_out_str(options, "Subpath", m->subpath);
	if (m->source && !m->is_external) {
		json_t *labels = volume ? json_out_pairs(&volume->labels) : json_object();

		json_out_str(labels, "jaco.deployment", o->in->deployment);
		json_out_str(labels, "jaco.volume", m->source);
		json_out_str(labels, "jaco.cluster_id", o->in->cluster_id);
		json_object_set_new(options, "Labels", labels);
		if (volume && volume->driver_opts.n > 0)
			json_object_set_new(options, "DriverConfig",
					    json_pack("{s:s, s:o}", "Name", "local", "Options",
						      json_out_pairs(&volume->driver_opts)));
	}
	return options;
}

static json_t *mount_object(const struct create_out *o, const struct jaco_mount *m)
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
		json_out_set_i64(options, "SizeBytes", m->tmpfs_bytes);
		json_out_set_i64(options, "Mode", m->tmpfs_mode);
		json_object_set_new(mount, "TmpfsOptions", options);
		break;
	}
	return mount;
}

static json_t *bound_file(const struct create_out *o, size_t index)
{
	json_t *mount = json_pack("{s:s, s:s, s:b}", "Type", "bind", "Target",
				  o->service->files[index].target, "ReadOnly", 1);

	json_object_set_new(mount, "Source", json_sprintf("%s/%zu", o->in->files_dir, index));
	return mount;
}

/* A bind whose source may be missing goes into Binds: the engine then creates the directory, which
 * Mounts does only from API 1.42 on.  SELinux relabelling exists in Binds alone. */
static void put_volumes(struct create_out *o)
{
	json_t *binds = json_array(), *mounts = json_array();

	for (size_t i = 0; i < o->service->n_mounts; i++) {
		const struct jaco_mount *m = &o->service->mounts[i];

		if (m->type == JACO_MOUNT_BIND && (m->create_host_path || m->selinux))
			json_array_append_new(binds, bind_text(m));
		else
			json_array_append_new(mounts, mount_object(o, m));
	}
	for (size_t i = 0; i < o->service->n_files; i++)
		if (o->service->files[i].content && !tar_reaches(o->service, &o->service->files[i]))
			json_array_append_new(mounts, bound_file(o, i));
	json_out_list(o->host, "Binds", binds);
	json_out_list(o->host, "Mounts", mounts);
}

static void put_tmpfs(struct create_out *o)
{
	json_t *map;

	if (o->service->n_tmpfs == 0)
		return;
	map = json_object();
	for (size_t i = 0; i < o->service->n_tmpfs; i++)
		json_out_str(map, o->service->tmpfs[i].target, o->service->tmpfs[i].options);
	json_object_set_new(o->host, "Tmpfs", map);
}

static void put_read_only(struct create_out *o)
{
	if (o->service->read_only)
		json_object_set_new(o->host, "ReadonlyRootfs", json_true());
}

static void put_storage_opt(struct create_out *o)
{
	json_out_set_pairs(o->host, "StorageOpt", &o->service->storage_opt);
}

const struct create_row create_files_rows[] = {
	{"volumes", put_volumes},
	{"configs", NULL}, /* those that are bound */
	{"secrets", NULL},
	{"tmpfs", put_tmpfs},
	{"read_only", put_read_only},
	{"storage_opt", put_storage_opt},
	{NULL, NULL},
};
