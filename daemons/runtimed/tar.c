/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/runtimed/tar.h"

#include <stdio.h>
#include <string.h>

#include "libjaco/base/str.h"

#define BLOCK 512

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
	char link[100], magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155];
	char rest[12];
};
static_assert(sizeof(struct header) == BLOCK, "a header is one block");

/* Name and, for long paths, the prefix before a slash. */
static bool set_path(struct header *h, const char *path)
{
	size_t n = strlen(path);
	const char *cut;

	if (n <= sizeof(h->name)) {
		memcpy(h->name, path, n);
		return true;
	}
	cut = strchr(path + n - sizeof(h->name) - 1, '/');
	if (!cut || (size_t)(cut - path) > sizeof(h->prefix) || !cut[1])
		return false;
	memcpy(h->prefix, path, (size_t)(cut - path));
	memcpy(h->name, cut + 1, strlen(cut + 1));
	return true;
}

static void set_octal(char *field, size_t bytes, uint64_t value)
{
	snprintf(field, bytes, "%0*llo", (int)bytes - 1, (unsigned long long)value);
}

bool tar_add(struct jaco_buf *out, const char *path, uint32_t mode, uint32_t uid, uint32_t gid,
	     const void *data, size_t n)
{
	static const char zeros[BLOCK];
	struct header h = {.type = '0', .magic = "ustar", .version = {'0', '0'}};
	unsigned sum = 0;

	while (*path == '/')
		path++;
	if (!*path || !set_path(&h, path))
		return false;
	set_octal(h.mode, sizeof(h.mode), mode & 07777);
	set_octal(h.uid, sizeof(h.uid), uid & 07777777);
	set_octal(h.gid, sizeof(h.gid), gid & 07777777);
	set_octal(h.size, sizeof(h.size), n);
	set_octal(h.mtime, sizeof(h.mtime), 0);
	memset(h.checksum, ' ', sizeof(h.checksum));
	for (size_t i = 0; i < sizeof(h); i++)
		sum += ((const unsigned char *)&h)[i];
	snprintf(h.checksum, sizeof(h.checksum), "%06o", sum & 0777777);
	jaco_buf_add(out, &h, sizeof(h));
	jaco_buf_add(out, data, n);
	if (n % BLOCK)
		jaco_buf_add(out, zeros, BLOCK - n % BLOCK);
	return true;
}

void tar_end(struct jaco_buf *out)
{
	static const char zeros[2 * BLOCK];

	jaco_buf_add(out, zeros, sizeof(zeros));
}

uint32_t tar_number(const char *text)
{
	uint64_t value = 0;

	return text && jaco_str_to_u64(text, UINT32_MAX, &value) ? (uint32_t)value : 0;
}

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	while (n > 0 && dir[n - 1] == '/')
		n--;
	return strncmp(path, dir, n) == 0 && (path[n] == '/' || !path[n]);
}

bool tar_reaches(const struct jaco_service *service, const struct jaco_file *file)
{
	struct header h;

	if (service->read_only || !set_path(&h, file->target + strspn(file->target, "/")))
		return false;
	for (size_t i = 0; i < service->n_mounts; i++)
		if (is_below(file->target, service->mounts[i].target))
			return false;
	for (size_t i = 0; i < service->n_tmpfs; i++)
		if (is_below(file->target, service->tmpfs[i].target))
			return false;
	return true;
}

bool tar_files(const struct jaco_service *service, struct jaco_buf *out)
{
	bool is_any = false;

	for (size_t i = 0; i < service->n_files; i++) {
		const struct jaco_file *f = &service->files[i];

		if (f->content && tar_reaches(service, f))
			is_any |= tar_add(out, f->target, f->mode, tar_number(f->uid),
					  tar_number(f->gid), f->content, f->content_bytes);
	}
	tar_end(out);
	return is_any;
}
