/* SPDX-License-Identifier: Apache-2.0
 *
 * The first byte chooses the parser, the rest is what the engine said. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "daemons/runtimed/demux.h"
#include "daemons/runtimed/engine_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_container(void *ctx, const struct engine_container *c)
{
	*(size_t *)ctx += c->n_networks + strlen(c->name);
}

static void on_network(void *ctx, const struct engine_network *net)
{
	*(size_t *)ctx += strlen(net->name);
}

static void on_line(void *ctx, bool is_stderr, const char *text, size_t n)
{
	*(size_t *)ctx += strlen(text) + n + is_stderr + demux_time_prefix(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct jaco_err err = JACO_ERR_INIT;
	union {
		struct engine_container container;
		struct engine_network network;
		struct engine_event event;
		struct engine_pull_line line;
		struct engine_info info;
		char id[ENGINE_ID_BYTES];
		char text[ENGINE_TEXT_BYTES];
	} out;
	struct demux demux;
	size_t sum = 0;
	const char *text = (const char *)data + 1;

	if (size == 0)
		return 0;
	size--;
	memset(&out, 0, sizeof(out));
	switch (data[0] % 10) {
	case 0:
		engine_json_container_list(text, size, "c1", on_container, &sum, &err);
		break;
	case 1:
		engine_json_container(text, size, &out.container, &err);
		break;
	case 2:
		engine_json_network(text, size, &out.network, &err);
		break;
	case 3:
		engine_json_network_list(text, size, "c1", on_network, &sum, &err);
		break;
	case 4:
		engine_json_event(text, size, &out.event, &err);
		break;
	case 5:
		engine_json_pull(text, size, &out.line, &err);
		break;
	case 6:
		engine_json_id(text, size, out.id, &err);
		break;
	case 7:
		engine_json_version(text, size, &out.info, &err);
		break;
	case 8:
		engine_json_message(text, size, out.text);
		break;
	default:
		demux_init(&demux, false, on_line, &sum);
		demux_feed(&demux, text, size, &err);
		demux_fini(&demux);
		break;
	}
	return 0;
}
