/* SPDX-License-Identifier: Apache-2.0
 *
 * compose_volumes.c - volumes:, tmpfs:, devices:, and the files of configs: and secrets:. */
#include <stdlib.h>
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/model/manifest/compose.h"

#define VOLUME_REMEDY "write \"name:/path\", \"/host/path:/path\" or \"name:/path:ro\""

const char *jaco_compose_clean_path(struct jaco_arena *arena, const char *path)
{
	size_t n = strlen(path);
	char *out = jaco_arena_alloc(arena, n + 2);
	size_t used = 0;

	while (*path) {
		size_t part;

		while (*path == '/')
			path++;
		part = strcspn(path, "/");
		if (part == 2 && memcmp(path, "..", 2) == 0) {
			while (used > 0 && out[--used] != '/')
				;
		} else if (part > 0 && !(part == 1 && *path == '.')) {
			out[used++] = '/';
			memcpy(out + used, path, part);
			used += part;
		}
		path += part;
	}
	if (used == 0)
		out[used++] = '/';
	out[used] = '\0';
	return out;
}

static bool is_path(const char *source)
{
	return *source == '/' || *source == '.' || *source == '~';
}

static void add_mount(struct jaco_read *read, struct jaco_service *service, struct jaco_mount mount)
{
	size_t n = service->n_mounts;

	if (n == 0 || (n >= 4 && (n & (n - 1)) == 0)) {
		struct jaco_mount *grown =
			jaco_arena_alloc_n(read->arena, n == 0 ? 4 : n * 2, sizeof(mount));

		if (n)
			memcpy(grown, service->mounts, n * sizeof(mount));
		service->mounts = grown;
	}
	service->mounts[service->n_mounts++] = mount;
}

/* Paths that begin with "." or "~" are made absolute by the client.  A server that still sees one
 * cannot know what they are relative to. */
static bool finish_bind(struct jaco_read *read, struct jaco_mount *mount)
{
	if (*mount->source == '/') {
		mount->source = jaco_compose_clean_path(read->arena, mount->source);
		return true;
	}
	/* left as written: resolve.c accepts it for placement hosts only */
	return true;
}

static bool check_target(struct jaco_read *read, struct jaco_mount *mount)
{
	if (!mount->target || *mount->target != '/')
		return jaco_read_error(read, mount->pos, VOLUME_REMEDY,
				       "the path in the container must be absolute, not \"%.80s\"",
				       mount->target ? mount->target : "");
	mount->target = jaco_compose_clean_path(read->arena, mount->target);
	return true;
}

static void read_option(struct jaco_read *read, struct jaco_mount *mount, const char *option)
{
	static const char *const propagation[] = {"private", "rprivate", "shared",
						  "rshared", "slave",    "rslave"};

	if (strcmp(option, "ro") == 0 || strcmp(option, "readonly") == 0) {
		mount->read_only = true;
		return;
	}
	if (strcmp(option, "z") == 0 || strcmp(option, "Z") == 0) {
		mount->selinux = option;
		return;
	}
	if (strcmp(option, "nocopy") == 0 || strcmp(option, "volume-nocopy") == 0) {
		mount->no_copy = true;
		return;
	}
	for (size_t i = 0; i < JACO_ARRAY_SIZE(propagation); i++)
		if (strcmp(option, propagation[i]) == 0) {
			mount->propagation = propagation[i];
			return;
		}
	if (strcmp(option, "rw") != 0 && strcmp(option, "cached") != 0 &&
	    strcmp(option, "delegated") != 0 && strcmp(option, "consistent") != 0 && *option)
		jaco_read_warn(read, mount->pos, "volume option \"%.40s\" is not known and ignored",
			       option);
}

static void read_short(struct jaco_read *read, struct jaco_service *service,
		       const struct jaco_yaml_node *node)
{
	struct jaco_mount mount = {.type = JACO_MOUNT_VOLUME, .pos = node->pos};
	char *text = jaco_arena_strdup(read->arena, node->text);
	char *colon = strchr(text, ':');
	char *mode = NULL;

	if (colon && colon == text + 1 && (text[2] == '\\' || text[2] == '/') &&
	    jaco_ascii_is_alnum(text[0]) && text[2] == '\\') {
		jaco_read_error(read, node->pos, VOLUME_REMEDY, "\"%.80s\" is a Windows path",
				node->text);
		return;
	}
	mount.target = text;
	if (colon) {
		*colon++ = '\0';
		mode = strchr(colon, ':');
		if (mode)
			*mode++ = '\0';
		else if (*text == '/' && *colon != '/' && *colon) {
			/* "/data:ro" is an anonymous volume with a mode */
			mode = colon;
			colon = NULL;
		}
	}
	if (colon) {
		mount.source = text;
		mount.target = colon;
		if (!*text) {
			jaco_read_warn(read, node->pos,
				       "no source is written: an anonymous volume is used");
			mount.source = NULL;
		} else if (is_path(text)) {
			mount.type = JACO_MOUNT_BIND;
			mount.create_host_path = true;
		}
	}
	if (!check_target(read, &mount))
		return;
	for (char *save = NULL, *option = mode ? strtok_r(mode, ",", &save) : NULL; option;
	     option = strtok_r(NULL, ",", &save))
		read_option(read, &mount, option);
	if (mount.type == JACO_MOUNT_BIND && !finish_bind(read, &mount))
		return;
	add_mount(read, service, mount);
}

struct long_mount {
	const char *type;
	struct jaco_mount mount;
	bool has_bind;
};

/* Digits of @base only, at most 07777; -1 otherwise. */
static int64_t parse_mode(const char *text, int base)
{
	int64_t mode = 0;

	if (!*text)
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text >= '0' + base || mode > 07777)
			return -1;
		mode = mode * base + (*text - '0');
	}
	return mode <= 07777 ? mode : -1;
}

static void fill_mode(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_opt_i64 *mode = out;
	bool is_octal = !node->is_plain || *node->text == '0';

	if (jaco_read_is_unset(node) || !jaco_read_is_scalar(read, node))
		return;
	/* 0440 and "440" are octal, a plain 288 is decimal: as YAML and compose read them */
	mode->value = parse_mode(node->text + (jaco_str_starts(node->text, "0o") ? 2 : 0),
				 is_octal ? 8 : 10);
	if (mode->value < 0) {
		jaco_read_error(read, node->pos, "write permission bits such as 0440",
				"\"%.40s\" is not a file mode", node->text);
		return;
	}
	mode->is_set = true;
}

static void fill_type(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct long_mount *form = out;

	if (!jaco_read_text(read, node, &form->type) || !form->type)
		return;
	if (strcmp(form->type, "bind") == 0)
		form->mount.type = JACO_MOUNT_BIND;
	else if (strcmp(form->type, "volume") == 0)
		form->mount.type = JACO_MOUNT_VOLUME;
	else if (strcmp(form->type, "tmpfs") == 0)
		form->mount.type = JACO_MOUNT_TMPFS;
	else
		jaco_read_error(read, node->pos, "use bind, volume or tmpfs",
				"mount type \"%.40s\" is not supported", form->type);
}

static const struct jaco_key_row bind_rows[] = {
	{"create_host_path", JACO_HONOURED, jaco_fill_bool,
	 offsetof(struct jaco_mount, create_host_path), NULL},
	{"propagation", JACO_HONOURED, jaco_fill_text, offsetof(struct jaco_mount, propagation),
	 NULL},
	{"recursive", JACO_IGNORED, NULL, 0, "recursive is ignored: a bind mount is recursive"},
	{"selinux", JACO_HONOURED, jaco_fill_text, offsetof(struct jaco_mount, selinux), NULL},
	{NULL},
};

static const struct jaco_key_row volume_rows[] = {
	{"labels", JACO_IGNORED, NULL, 0, "labels of a mount are ignored; label the volume"},
	{"nocopy", JACO_HONOURED, jaco_fill_bool, offsetof(struct jaco_mount, no_copy), NULL},
	{"subpath", JACO_HONOURED, jaco_fill_text, offsetof(struct jaco_mount, subpath), NULL},
	{NULL},
};

static const struct jaco_key_row tmpfs_rows[] = {
	{"mode", JACO_HONOURED, fill_mode, offsetof(struct jaco_mount, tmpfs_mode), NULL},
	{"size", JACO_HONOURED, jaco_fill_size, offsetof(struct jaco_mount, tmpfs_bytes), NULL},
	{NULL},
};

static void fill_bind(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	if (!jaco_read_is_unset(node) && jaco_read_is_map(read, node))
		jaco_read_rows(read, node, bind_rows, out, "bind options");
}

static void fill_volume(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	if (!jaco_read_is_unset(node) && jaco_read_is_map(read, node))
		jaco_read_rows(read, node, volume_rows, out, "volume options");
}

static void fill_tmpfs_options(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	if (!jaco_read_is_unset(node) && jaco_read_is_map(read, node))
		jaco_read_rows(read, node, tmpfs_rows, out, "tmpfs options");
}

static const struct jaco_key_row mount_rows[] = {
	{"bind", JACO_HONOURED, fill_bind, offsetof(struct long_mount, mount), NULL},
	{"consistency", JACO_SILENT, NULL, 0, NULL},
	{"read_only", JACO_HONOURED, jaco_fill_bool,
	 offsetof(struct long_mount, mount) + offsetof(struct jaco_mount, read_only), NULL},
	{"source", JACO_HONOURED, jaco_fill_text,
	 offsetof(struct long_mount, mount) + offsetof(struct jaco_mount, source), NULL},
	{"target", JACO_HONOURED, jaco_fill_text,
	 offsetof(struct long_mount, mount) + offsetof(struct jaco_mount, target), NULL},
	{"tmpfs", JACO_HONOURED, fill_tmpfs_options, offsetof(struct long_mount, mount), NULL},
	{"type", JACO_HONOURED, fill_type, 0, NULL},
	{"volume", JACO_HONOURED, fill_volume, offsetof(struct long_mount, mount), NULL},
	{NULL},
};

static void read_long(struct jaco_read *read, struct jaco_service *service,
		      const struct jaco_yaml_node *node)
{
	struct long_mount form = {
		.mount = {.type = JACO_MOUNT_VOLUME, .pos = node->pos, .create_host_path = true}};
	size_t n_before = read->findings->n_errors;

	jaco_read_rows(read, node, mount_rows, &form, "a volume");
	if (read->findings->n_errors > n_before)
		return;
	if (!form.type && form.mount.source && is_path(form.mount.source))
		form.mount.type = JACO_MOUNT_BIND;
	if (form.mount.type == JACO_MOUNT_TMPFS)
		form.mount.source = NULL;
	if (form.mount.type != JACO_MOUNT_BIND)
		form.mount.create_host_path = false;
	if (!check_target(read, &form.mount))
		return;
	if (form.mount.type == JACO_MOUNT_BIND) {
		if (!form.mount.source) {
			jaco_read_error(read, node->pos, "add source: with a path of the host",
					"a bind mount needs a source");
			return;
		}
		if (!is_path(form.mount.source))
			form.mount.source =
				jaco_arena_printf(read->arena, "./%s", form.mount.source);
		if (!finish_bind(read, &form.mount))
			return;
	}
	add_mount(read, service, form.mount);
}

void jaco_compose_fill_volumes(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct compose_service *service = out;

	if (jaco_read_is_unset(node) || !jaco_read_is_seq(read, node) ||
	    !jaco_compose_check_count(read, node, COMPOSE_MOUNTS_MAX, "volumes of one service"))
		return;
	jaco_compose_read_forms(read, node, &service->s, read_short, read_long);
}

void jaco_compose_fill_tmpfs(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct compose_service *service = out;
	struct jaco_strings items;

	if (!jaco_read_strings(read, node, &items))
		return;
	jaco_strings_sort(&items, true);
	service->s.tmpfs = jaco_arena_alloc_n(read->arena, items.n + 1, sizeof(struct jaco_tmpfs));
	service->s.n_tmpfs = 0;
	for (size_t i = 0; i < items.n; i++) {
		const char *colon = strchr(items.items[i], ':');
		size_t n = colon ? (size_t)(colon - items.items[i]) : strlen(items.items[i]);
		struct jaco_tmpfs tmpfs = {
			.target = jaco_arena_strndup(read->arena, items.items[i], n),
			.options = colon ? colon + 1 : "",
		};

		if (*tmpfs.target != '/') {
			jaco_read_error(read, node->pos, "write an absolute path such as /run",
					"tmpfs path \"%.80s\" is not absolute", tmpfs.target);
			continue;
		}
		tmpfs.target = jaco_compose_clean_path(read->arena, tmpfs.target);
		service->s.tmpfs[service->s.n_tmpfs++] = tmpfs;
	}
}

/* -- devices ------------------------------------------------------------------------------ */

static int compare_devices(const void *a, const void *b)
{
	const struct jaco_device *left = a;
	const struct jaco_device *right = b;
	int by_target = strcmp(left->target, right->target);

	return by_target ? by_target : strcmp(left->source, right->source);
}

static bool split_device(struct jaco_arena *arena, const char *text, struct jaco_device *out)
{
	char *copy = jaco_arena_strdup(arena, text);
	char *target = strchr(copy, ':');
	char *permissions = NULL;

	if (target)
		*target++ = '\0';
	if (target)
		permissions = strchr(target, ':');
	if (permissions)
		*permissions++ = '\0';
	/* "/dev/x:rwm": the second part may be the permissions */
	if (target && !permissions && *target != '/' && strspn(target, "rwm") == strlen(target)) {
		permissions = target;
		target = NULL;
	}
	out->source = copy;
	out->target = target && *target ? target : copy;
	out->permissions = permissions && *permissions ? permissions : "rwm";
	return *copy == '/' && *out->target == '/' &&
	       strspn(out->permissions, "rwm") == strlen(out->permissions);
}

static const struct jaco_key_row device_rows[] = {
	{"permissions", JACO_HONOURED, jaco_fill_text, offsetof(struct jaco_device, permissions),
	 NULL},
	{"source", JACO_HONOURED, jaco_fill_text, offsetof(struct jaco_device, source), NULL},
	{"target", JACO_HONOURED, jaco_fill_text, offsetof(struct jaco_device, target), NULL},
	{NULL},
};

static bool read_device(struct jaco_read *read, const struct jaco_yaml_node *node,
			struct jaco_device *out)
{
	const char *equals;

	*out = (struct jaco_device){.permissions = "rwm"};
	if (node->kind == JACO_YAML_MAP) {
		jaco_read_rows(read, node, device_rows, out, "a device");
		if (!out->source)
			return jaco_read_error(read, node->pos, "add source: /dev/...",
					       "a device needs a source");
		if (!out->target)
			out->target = out->source;
		if (!out->permissions)
			out->permissions = "rwm";
		out->is_cdi = *out->source != '/';
		return true;
	}
	if (!jaco_read_is_scalar(read, node) || jaco_read_is_unset(node))
		return false;
	equals = strchr(node->text, '=');
	if (*node->text != '/' && equals && strchr(node->text, '/')) {
		*out = (struct jaco_device){.source = node->text,
					    .target = node->text,
					    .permissions = "rwm",
					    .is_cdi = true};
		return true;
	}
	if (!split_device(read->arena, node->text, out))
		return jaco_read_error(read, node->pos, "write \"/dev/x:/dev/x:rwm\"",
				       "\"%.80s\" is not a device", node->text);
	return true;
}

void jaco_compose_fill_devices(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct compose_service *service = out;
	size_t kept = 0;

	if (jaco_read_is_unset(node) || !jaco_read_is_seq(read, node))
		return;
	service->s.devices =
		jaco_arena_alloc_n(read->arena, node->n + 1, sizeof(struct jaco_device));
	for (size_t i = 0; i < node->n; i++) {
		jaco_read_push_index(read, i);
		kept += read_device(read, node->entries[i].value, &service->s.devices[kept]);
		jaco_read_pop(read);
	}
	service->s.n_devices = kept;
	if (kept > 1)
		qsort(service->s.devices, kept, sizeof(struct jaco_device), compare_devices);
}

/* -- configs and secrets ------------------------------------------------------------------ */

struct file_use {
	const char *source, *target, *uid, *gid;
	struct jaco_opt_i64 mode;
};

static const struct jaco_key_row file_rows[] = {
	{"gid", JACO_HONOURED, jaco_fill_text, offsetof(struct file_use, gid), NULL},
	{"mode", JACO_HONOURED, fill_mode, offsetof(struct file_use, mode), NULL},
	{"source", JACO_HONOURED, jaco_fill_text, offsetof(struct file_use, source), NULL},
	{"target", JACO_HONOURED, jaco_fill_text, offsetof(struct file_use, target), NULL},
	{"uid", JACO_HONOURED, jaco_fill_text, offsetof(struct file_use, uid), NULL},
	{NULL},
};

static void read_file_use(struct jaco_read *read, const struct jaco_yaml_node *node, bool is_secret,
			  struct compose_service *service)
{
	struct file_use use = {0};
	struct jaco_file *file = &service->s.files[service->s.n_files];

	if (node->kind == JACO_YAML_MAP)
		jaco_read_rows(read, node, file_rows, &use, is_secret ? "a secret" : "a config");
	else if (!jaco_read_text(read, node, &use.source))
		return;
	if (!use.source) {
		jaco_read_error(read, node->pos, "add source: with its top-level name",
				"a %s needs a source", is_secret ? "secret" : "config");
		return;
	}
	*file = (struct jaco_file){.name = use.source,
				   .is_secret = is_secret,
				   .uid = use.uid,
				   .gid = use.gid,
				   .pos = node->pos,
				   .mode = use.mode.is_set ? (uint32_t)use.mode.value : 0444};
	file->target = use.target ? use.target : use.source;
	if (*file->target != '/')
		file->target = jaco_arena_printf(read->arena, "%s%s",
						 is_secret ? "/run/secrets/" : "/", file->target);
	file->target = jaco_compose_clean_path(read->arena, file->target);
	service->s.n_files++;
}

static void fill_files(struct jaco_read *read, const struct jaco_yaml_node *node, bool is_secret,
		       struct compose_service *service)
{
	struct jaco_file *files;

	if (jaco_read_is_unset(node) || !jaco_read_is_seq(read, node) ||
	    !jaco_compose_check_count(read, node, COMPOSE_BLOBS_MAX, "files of one service"))
		return;
	files = jaco_arena_alloc_n(read->arena, service->s.n_files + node->n + 1, sizeof(*files));
	if (service->s.n_files)
		memcpy(files, service->s.files, service->s.n_files * sizeof(*files));
	service->s.files = files;
	for (size_t i = 0; i < node->n; i++) {
		jaco_read_push_index(read, i);
		read_file_use(read, node->entries[i].value, is_secret, service);
		jaco_read_pop(read);
	}
}

void jaco_compose_fill_configs(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	fill_files(read, node, false, out);
}

void jaco_compose_fill_secrets(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	fill_files(read, node, true, out);
}

struct blob_form {
	bool is_external;
	const char *external_name, *name, *file, *environment, *content, *encoding;
};

static void fill_external(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct blob_form *form = out;

	form->is_external = true;
	if (node->kind == JACO_YAML_MAP) {
		const struct jaco_yaml_node *name = jaco_yaml_get(node, "name");

		if (name)
			(void)jaco_read_text(read, name, &form->external_name);
	} else if (!jaco_read_is_unset(node)) {
		(void)jaco_read_bool(read, node, &form->is_external);
	}
}

static const struct jaco_key_row blob_rows[] = {
	{"content", JACO_HONOURED, jaco_fill_text, offsetof(struct blob_form, content), NULL},
	{"driver", JACO_REFUSED, NULL, 0, "use file:, content: or external: true"},
	{"driver_opts", JACO_REFUSED, NULL, 0, "use file:, content: or external: true"},
	{"environment", JACO_HONOURED, jaco_fill_text, offsetof(struct blob_form, environment),
	 NULL},
	{"external", JACO_HONOURED, fill_external, 0, NULL},
	{"file", JACO_HONOURED, jaco_fill_text, offsetof(struct blob_form, file), NULL},
	{"labels", JACO_IGNORED, NULL, 0, "labels of configs and secrets are ignored"},
	{"name", JACO_HONOURED, jaco_fill_text, offsetof(struct blob_form, name), NULL},
	{"template_driver", JACO_REFUSED, NULL, 0, "write the final text"},
	{"x-jaco-encoding", JACO_HONOURED, jaco_fill_text, offsetof(struct blob_form, encoding),
	 NULL},
	{NULL},
};

/* content: as text, or base64 where the client folded bytes that YAML cannot carry. */
static bool take_content(struct jaco_read *read, const struct blob_form *form,
			 struct compose_blob *blob)
{
	size_t n = strlen(form->content);

	if (jaco_str_eq(form->encoding, "base64")) {
		uint8_t *data = jaco_arena_alloc(read->arena, n + 1);
		long decoded = jaco_base64_decode(form->content, data, n);

		if (decoded < 0)
			return jaco_read_error(read, blob->pos, NULL, "content is not base64");
		blob->content = data;
		blob->content_bytes = (size_t)decoded;
		return true;
	}
	blob->content = (const uint8_t *)form->content;
	blob->content_bytes = n;
	return true;
}

static void read_blob(struct jaco_read *read, const struct jaco_yaml_entry *entry, bool is_secret,
		      struct compose_doc *doc)
{
	struct blob_form form = {0};
	struct compose_blob *blob = &doc->blobs[doc->n_blobs];
	const struct jaco_yaml_node *content = jaco_yaml_get(entry->value, "content");

	if (!jaco_read_is_map(read, entry->value))
		return;
	jaco_read_rows(read, entry->value, blob_rows, &form, is_secret ? "a secret" : "a config");
	*blob = (struct compose_blob){
		.name = entry->key,
		.is_secret = is_secret,
		.is_external = form.is_external,
		.engine_name = form.external_name ? form.external_name
			       : form.name        ? form.name
						  : entry->key,
		.host_path = form.file,
		.environment = form.environment,
		.pos = entry->pos,
	};
	if (content && content->kind == JACO_YAML_SCALAR && !form.content)
		form.content = content->text; /* an empty file is a file */
	/* declared in any case, so that its users are not reported as well */
	if (form.content)
		(void)take_content(read, &form, blob);
	if (!form.is_external && !form.file && !form.environment && !form.content)
		jaco_read_error(read, entry->pos,
				"add file:, content:, environment: or external: true",
				"a %s needs a source", is_secret ? "secret" : "config");
	else if (!form.is_external && !form.content)
		jaco_read_error(read, entry->pos,
				"apply with the jaco command, which folds files in",
				"\"%s\" must be folded into content: by the client",
				form.file ? "file" : "environment");
	doc->n_blobs++;
}

void jaco_compose_read_blobs(struct jaco_read *read, const struct jaco_yaml_node *map,
			     bool is_secret, struct compose_doc *doc)
{
	struct compose_blob *blobs;

	if (jaco_read_is_unset(map) || !jaco_read_is_map(read, map) ||
	    !jaco_compose_check_count(read, map, COMPOSE_BLOBS_MAX, "configs or secrets"))
		return;
	blobs = jaco_arena_alloc_n(read->arena, doc->n_blobs + map->n + 1, sizeof(*blobs));
	if (doc->n_blobs)
		memcpy(blobs, doc->blobs, doc->n_blobs * sizeof(*blobs));
	doc->blobs = blobs;
	for (size_t i = 0; i < map->n; i++) {
		jaco_read_push(read, map->entries[i].key);
		read_blob(read, &map->entries[i], is_secret, doc);
		jaco_read_pop(read);
	}
}
