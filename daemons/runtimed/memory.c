/* SPDX-License-Identifier: Apache-2.0
 *
 * A JSON list of small objects, replaced whole; damage of any kind means remembering nothing. */
#include "daemons/runtimed/memory.h"

#include <string.h>

#include <jansson.h>

#include "daemons/runtimed/json_out.h"
#include "daemons/runtimed/runtimed.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/io/fs.h"

#define SAVE_MS   500
#define FILE_MAX  (4u << 20)

static bool read_item(const json_t *entry, struct memory_item *out)
{
	const char *id = json_string_value(json_object_get(entry, "id"));
	const char *container = json_string_value(json_object_get(entry, "container"));

	*out = (struct memory_item){
		.generation = (uint32_t)json_integer_value(json_object_get(entry, "generation")),
		.started_ms = json_integer_value(json_object_get(entry, "started_ms")),
		.is_good = json_is_true(json_object_get(entry, "good")),
		.is_exhausted = json_is_true(json_object_get(entry, "exhausted")),
		.restarts = (uint32_t)json_integer_value(json_object_get(entry, "restarts")),
		.backoff_count = (uint32_t)json_integer_value(json_object_get(entry, "backoff"))};
	return id && container && jaco_str_copy(out->id, sizeof(out->id), id) &&
	       jaco_str_copy(out->container, sizeof(out->container), container);
}

static void load(struct memory *memory)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	json_t *root, *entry;
	size_t i, cap = 0;

	if (jaco_fs_read(memory->path, FILE_MAX, &text, &err) < 0)
		return; /* the first start, or a cleaned cache */
	root = json_loadb(text.data, text.n, 0, NULL);
	json_array_foreach(root, i, entry)
	{
		struct memory_item item;

		if (i >= ENGINE_CONTAINERS_MAX || !read_item(entry, &item))
			continue;
		memory->items = jaco_grow(memory->items, &cap, memory->n + 1, sizeof(item));
		memory->items[memory->n++] = item;
	}
	json_decref(root);
}

static json_t *item_json(const struct memory_item *item)
{
	return json_pack("{s:s, s:I, s:s, s:I, s:b, s:b, s:I, s:I}", "id", item->id, "generation",
			 (json_int_t)item->generation, "container", item->container, "started_ms",
			 (json_int_t)item->started_ms, "good", item->is_good, "exhausted",
			 item->is_exhausted, "restarts", (json_int_t)item->restarts, "backoff",
			 (json_int_t)item->backoff_count);
}

/* Of a container that the engine has not described to us yet we know what an earlier life knew:
 * this one may end before it learns more. */
static json_t *slot_json(const struct runtimed *rt, const struct slot *slot)
{
	const struct memory_item *known = memory_find(rt, slot->id, slot->generation);
	struct memory_item item = {.generation = slot->generation,
				   .started_ms = slot->c.started_ms,
				   .is_good = slot->r.health.verdict == HEALTH_GOOD &&
					      slot->has_container && slot->c.is_inspected,
				   .is_exhausted = slot->r.is_exhausted,
				   .restarts = slot->r.restarts,
				   .backoff_count = slot->r.restart.count};

	if (slot->is_listed && known && jaco_str_eq(known->container, slot->c.id))
		return item_json(known);
	jaco_str_copy(item.id, sizeof(item.id), slot->id);
	jaco_str_copy(item.container, sizeof(item.container),
		      slot->has_container ? slot->c.id : "");
	return item_json(&item);
}

static void save(struct runtimed *rt)
{
	struct memory *memory = &rt->memory;
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	json_t *root = json_array();
	struct slot *slot;

	TAILQ_FOREACH(slot, &rt->slots, entry)
		json_array_append_new(root, slot_json(rt, slot));
	json_out_dump(root, false, &text);
	json_decref(root);
	if (jaco_str_eq(memory->saved, jaco_buf_str(&text)))
		return;
	if (jaco_fs_replace_cache(memory->path, text.data, text.n, 0600, &err) < 0) {
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "health memory not saved", &err);
		return;
	}
	jaco_free(memory->saved);
	memory->saved = jaco_buf_take(&text);
}

static void on_save(struct jaco_timer *timer, void *ctx)
{
	(void)timer;
	save(ctx);
}

void memory_open(struct runtimed *rt)
{
	jaco_str_format(rt->memory.path, sizeof(rt->memory.path), "%.490s/replicas.json",
			rt->daemon->cache_dir);
	jaco_timer_init(rt->loop, &rt->memory.save, on_save, rt);
	load(&rt->memory);
}

const struct memory_item *memory_find(const struct runtimed *rt, const char *id,
				      uint32_t generation)
{
	for (size_t i = 0; i < rt->memory.n; i++)
		if (rt->memory.items[i].generation == generation &&
		    jaco_str_eq(rt->memory.items[i].id, id))
			return &rt->memory.items[i];
	return NULL;
}

void memory_poke(struct runtimed *rt)
{
	/* Before the first listing there is nothing to say, and saying it would lose what is
	 * known. */
	if (rt->is_engine_up)
		jaco_timer_arm_if_idle(&rt->memory.save, SAVE_MS);
}

void memory_close(struct runtimed *rt)
{
	if (rt->memory.save.is_armed)
		save(rt);
	jaco_timer_fini(&rt->memory.save);
	jaco_free(rt->memory.items);
	jaco_free(rt->memory.saved);
	rt->memory.items = NULL;
	rt->memory.n = 0;
}
