/* SPDX-License-Identifier: Apache-2.0
 *
 * One peer over several passes: what its record names, what the device has, what is chosen. */
#include "daemons/meshd/memory.h"

#include <string.h>

#include "daemons/meshd/endpoint.h"
#include "libjaco/base/str.h"
#include "tests/lib/test.h"

#define MESH_ADDR 0x64400001u

static const char *const home[] = {"10.0.0.1:1", "10.0.0.2:1"};
static const char *const away[] = {"192.0.2.1:1", "10.0.0.2:1"};

struct story {
	struct memory memory;
	struct mesh_peer want, have;
	struct mesh_device desired, observed;
	int64_t ms;
	bool has_moved;
};

static void begin(struct story *story)
{
	*story = (struct story){.memory = MEMORY_INIT, .ms = 1000000};
	story->want = (struct mesh_peer){
		.key = {1}, .endpoints = home, .n_endpoints = 2, .mesh_addr = MESH_ADDR};
	story->have = (struct mesh_peer){.key = {1}};
	story->desired = (struct mesh_device){.peers = &story->want, .n_peers = 1};
	story->observed = (struct mesh_device){.peers = &story->have, .n_peers = 0};
}

/* A pass @ms later, a handshake @age_ms ago (< 0: none); the device then has what was chosen. */
static const char *pass(struct story *story, int64_t ms, int64_t age_ms)
{
	uint32_t moved[1] = {0};
	size_t n;

	story->ms += ms;
	story->want.endpoint[0] = '\0';
	story->have.handshake_ms = age_ms < 0 ? 0 : story->ms - age_ms;
	n = memory_choose(&story->memory, &story->desired, &story->observed,
			  (struct memory_now){.time = {.ns = story->ms * JACO_MS},
					      .wall_ms = story->ms,
					      .stale_ms = ENDPOINT_STALE_MS},
			  moved);
	story->has_moved = n == 1 && moved[0] == MESH_ADDR;
	if (story->want.endpoint[0])
		JT_TRUE(jaco_str_copy(story->have.endpoint, sizeof(story->have.endpoint),
				      story->want.endpoint));
	story->observed.n_peers = 1;
	return story->want.endpoint;
}

JT_CASE(a_new_peer_gets_the_first_address_and_keeps_it)
{
	struct story story;

	begin(&story);
	JT_STR(pass(&story, 0, -1), "10.0.0.1:1");
	JT_FALSE(story.has_moved);
	JT_STR(pass(&story, 2000, 100), "");
	JT_TRUE(story.has_moved);
	JT_STR(pass(&story, 2000, 2100), "");
	JT_FALSE(story.has_moved);
	memory_fini(&story.memory);
}

JT_CASE(without_a_handshake_the_next_address_gets_its_time_from_when_it_was_set)
{
	struct story story;

	begin(&story);
	JT_STR(pass(&story, 0, -1), "10.0.0.1:1");
	JT_STR(pass(&story, ENDPOINT_TRY_MS - 1, -1), "");
	JT_STR(pass(&story, 1, -1), "10.0.0.2:1");
	JT_STR(pass(&story, ENDPOINT_TRY_MS - 1, -1), "");
	JT_STR(pass(&story, 1, -1), "10.0.0.1:1");
	memory_fini(&story.memory);
}

JT_CASE(another_record_is_followed_by_what_came_from_the_record)
{
	struct story story;

	begin(&story);
	(void)pass(&story, 0, -1);
	(void)pass(&story, 2000, 100);
	story.want.endpoints = away;
	JT_STR(pass(&story, 2000, 100), "192.0.2.1:1");
	memory_fini(&story.memory);
}

JT_CASE(another_record_leaves_what_was_learned_from_packets)
{
	struct story story;

	begin(&story);
	(void)pass(&story, 0, -1);
	(void)pass(&story, 2000, 100);
	JT_TRUE(jaco_str_copy(story.have.endpoint, sizeof(story.have.endpoint), "203.0.113.9:7"));
	JT_STR(pass(&story, 2000, 100), "");
	JT_TRUE(story.has_moved);
	story.want.endpoints = away;
	JT_STR(pass(&story, 2000, 100), "");
	memory_fini(&story.memory);
}

JT_CASE(a_counter_that_moves_is_a_peer_that_is_heard)
{
	struct story story;

	begin(&story);
	(void)pass(&story, 0, -1);
	JT_EQ(memory_heard(&story.memory, story.want.key).ns, 0);
	story.have.rx_bytes = 148;
	(void)pass(&story, 2000, 0);
	JT_EQ(memory_heard(&story.memory, story.want.key).ns, story.ms * JACO_MS);
	(void)pass(&story, 2000, 2000);
	JT_EQ(memory_heard(&story.memory, story.want.key).ns, (story.ms - 2000) * JACO_MS);
	story.have.rx_bytes = 0; /* another device: its counter begins anew */
	(void)pass(&story, 2000, 4000);
	story.have.rx_bytes = 32;
	(void)pass(&story, 2000, 0);
	JT_EQ(memory_heard(&story.memory, story.want.key).ns, story.ms * JACO_MS);
	memory_fini(&story.memory);
}

JT_CASE(who_is_wanted_no_more_is_forgotten)
{
	struct story story;

	begin(&story);
	(void)pass(&story, 0, -1);
	story.have.rx_bytes = 148;
	(void)pass(&story, 2000, 0);
	story.desired.n_peers = 0;
	(void)pass(&story, 2000, 0);
	JT_EQ(story.memory.n, 0);
	JT_EQ(memory_heard(&story.memory, story.want.key).ns, 0);
	memory_fini(&story.memory);
}

JT_MAIN(JT_RUN(a_new_peer_gets_the_first_address_and_keeps_it),
	JT_RUN(without_a_handshake_the_next_address_gets_its_time_from_when_it_was_set),
	JT_RUN(another_record_is_followed_by_what_came_from_the_record),
	JT_RUN(another_record_leaves_what_was_learned_from_packets),
	JT_RUN(a_counter_that_moves_is_a_peer_that_is_heard),
	JT_RUN(who_is_wanted_no_more_is_forgotten))
