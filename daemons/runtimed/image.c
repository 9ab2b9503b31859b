/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/runtimed/image.h"

#include "daemons/runtimed/credential.h"
#include "daemons/runtimed/runtimed.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

#define CREDENTIALS_DEADLINE_MS 3000

struct image *image_get(struct runtimed *rt, const char *name, const char *platform)
{
	struct image *image;

	TAILQ_FOREACH(image, &rt->images, entry)
		if (jaco_str_eq(image->name, name) && jaco_str_eq(image->platform, platform)) {
			image->is_used = true;
			return image;
		}
	image = jaco_alloc(sizeof(*image));
	image->rt = rt;
	image->is_used = true;
	jaco_str_copy(image->name, sizeof(image->name), name);
	jaco_str_copy(image->platform, sizeof(image->platform), platform);
	TAILQ_INSERT_TAIL(&rt->images, image, entry);
	return image;
}

static void drop(struct image *image)
{
	engine_cancel(image->call);
	if (image->rpc)
		jaco_client_cancel(image->rpc);
	TAILQ_REMOVE(&image->rt->images, image, entry);
	jaco_free(image);
}

static void on_looked(void *ctx, const char *id, const struct jaco_err *err)
{
	struct image *image = ctx;

	(void)id;
	image->call = NULL;
	if (!err)
		image->presence = PLAN_IMAGE_PRESENT;
	else if (err->code == JACO_IMAGE_NOT_FOUND)
		image->presence = PLAN_IMAGE_ABSENT;
	else /* asked again by the next pass, which a returning engine causes */
		jaco_str_copy(image->error, sizeof(image->error), err->text);
	runtimed_poke(image->rt);
}

void image_look(struct image *image)
{
	if (!image->call && !image->rpc)
		image->call =
			engine_image_inspect(image->rt->engine, image->name, on_looked, image);
}

static void on_progress(void *ctx, const struct engine_pull_line *line)
{
	struct image *image = ctx;
	char text[sizeof(image->progress)];

	image->done_bytes = line->done_bytes;
	image->total_bytes = line->total_bytes;
	if (line->total_bytes)
		jaco_str_format(text, sizeof(text), "%.40s %.12s %llu of %llu bytes", line->status,
				line->layer, (unsigned long long)line->done_bytes,
				(unsigned long long)line->total_bytes);
	else
		jaco_str_format(text, sizeof(text), "%.100s", line->status);
	if (!jaco_str_eq(text, image->progress)) {
		jaco_str_copy(image->progress, sizeof(image->progress), text);
		jaco_timer_arm_if_idle(&image->rt->pass,
				       200); /* people watch; the gossip need not */
	}
}

static void on_pulled(void *ctx, const struct jaco_err *err)
{
	struct image *image = ctx;
	struct runtimed *rt = image->rt;

	image->call = NULL;
	image->is_pulling = false;
	image->progress[0] = '\0';
	rt->n_pulls++;
	if (err) {
		backoff_fail(&image->backoff, runtimed_now(rt), BACKOFF_PULL_MAX_MS);
		jaco_str_format(image->error, sizeof(image->error), "%.380s (credential: %.60s)",
				err->text, image->credential[0] ? image->credential : "none");
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "pull failed", err, KV_STR(image, image->name),
				 KV_INT(ms, image->backoff.next_ms - runtimed_now(rt)));
	} else {
		image->backoff = BACKOFF_INIT;
		image->error[0] = '\0';
		image->presence = PLAN_IMAGE_PRESENT;
		image->pulled_ms = runtimed_now(rt);
		jaco_log_info("image pulled", KV_STR(image, image->name));
	}
	runtimed_poke(rt);
}

static void begin_pull(struct image *image, const char *auth)
{
	image->call = engine_image_pull(image->rt->engine, image->name,
					image->platform[0] ? image->platform : NULL, auth,
					on_progress, on_pulled, image);
}

static void on_credentials(void *ctx, const void *reply, const struct jaco_err *err)
{
	struct image *image = ctx;
	const struct wire_registry_secrets *secrets = reply;
	const struct wire_registry_secret *secret = NULL;
	jaco_auto(jaco_buf) struct jaco_buf auth = JACO_BUF_SECRET(0);

	image->rpc = NULL;
	image->credential[0] = '\0';
	if (!err)
		secret = credential_choose(secrets, image->name);
	if (secret) {
		jaco_str_copy(image->credential, sizeof(image->credential), secret->registry);
		credential_header(secret, &auth);
	}
	begin_pull(image, secret ? jaco_buf_str(&auth) : NULL);
}

void image_pull(struct image *image)
{
	static const struct wire_nothing nothing;

	if (image->call || image->rpc)
		return;
	image->is_pulling = true;
	image->rpc = jaco_client_call(&image->rt->daemon->raftd, &wire_raftd_registry_secrets,
				      &nothing, CREDENTIALS_DEADLINE_MS, on_credentials, image);
}

void image_is_gone(struct runtimed *rt, const char *name)
{
	struct image *image;

	TAILQ_FOREACH(image, &rt->images, entry)
		if (jaco_str_eq(image->name, name))
			image->presence = PLAN_IMAGE_UNKNOWN;
}

void image_hurry(struct image *image)
{
	image->backoff = BACKOFF_INIT;
	if (!image->is_pulling)
		image->presence = PLAN_IMAGE_UNKNOWN; /* it may have been removed meanwhile */
}

void image_sweep(struct runtimed *rt)
{
	struct image *image = TAILQ_FIRST(&rt->images);

	while (image) {
		struct image *next = TAILQ_NEXT(image, entry);

		if (!image->is_used)
			drop(image); /* a pull that nobody waits for any more ends here */
		else
			image->is_used = false;
		image = next;
	}
}

void image_fini(struct runtimed *rt)
{
	struct image *image;

	while ((image = TAILQ_FIRST(&rt->images)))
		drop(image);
}
