/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/meshd/endpoint.h"

#include "tests/lib/test.h"

static const char *const known[] = {"10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"};

JT_CASE(a_new_peer_gets_the_best_address)
{
	JT_STR(endpoint_pick(known, 3, "", false, -1, 0, ENDPOINT_STALE_MS), "10.0.0.1:1");
	JT_NULL(endpoint_pick(NULL, 0, "", false, -1, 0, ENDPOINT_STALE_MS));
}

JT_CASE(a_roamed_address_is_left_while_the_handshake_is_fresh)
{
	JT_NULL(endpoint_pick(known, 3, "192.0.2.7:999", false, 10000, ENDPOINT_STALE_MS,
			      ENDPOINT_STALE_MS));
	JT_NULL(endpoint_pick(known, 3, "192.0.2.7:999", false, ENDPOINT_STALE_MS - 1, 1,
			      ENDPOINT_STALE_MS));
	JT_STR(endpoint_pick(known, 3, "192.0.2.7:999", false, ENDPOINT_STALE_MS, 1,
			     ENDPOINT_STALE_MS),
	       "10.0.0.1:1");
}

JT_CASE(an_address_of_the_record_follows_the_record)
{
	JT_STR(endpoint_pick(known, 3, "10.0.0.9:1", true, 10000, ENDPOINT_STALE_MS,
			     ENDPOINT_STALE_MS),
	       "10.0.0.1:1");
	/* also when the one in use is still among the others: the API's address, say */
	JT_STR(endpoint_pick(known, 3, "10.0.0.2:1", true, 10000, ENDPOINT_STALE_MS,
			     ENDPOINT_STALE_MS),
	       "10.0.0.1:1");
	JT_NULL(endpoint_pick(known, 3, "10.0.0.1:1", true, 10000, ENDPOINT_STALE_MS,
			      ENDPOINT_STALE_MS));
}

JT_CASE(stale_candidates_are_tried_in_turn)
{
	JT_NULL(endpoint_pick(known, 3, "10.0.0.1:1", false, -1, ENDPOINT_TRY_MS - 1,
			      ENDPOINT_STALE_MS));
	JT_STR(endpoint_pick(known, 3, "10.0.0.1:1", false, -1, ENDPOINT_TRY_MS, ENDPOINT_STALE_MS),
	       "10.0.0.2:1");
	JT_STR(endpoint_pick(known, 3, "10.0.0.3:1", false, ENDPOINT_STALE_MS, ENDPOINT_TRY_MS,
			     ENDPOINT_STALE_MS),
	       "10.0.0.1:1");
	JT_NULL(endpoint_pick(known, 1, "10.0.0.1:1", false, -1, ENDPOINT_STALE_MS,
			      ENDPOINT_STALE_MS));
}

JT_CASE(a_shorter_patience_is_for_tests)
{
	JT_NULL(endpoint_pick(known, 3, "192.0.2.7:999", false, 1999, 1, 2000));
	JT_STR(endpoint_pick(known, 3, "192.0.2.7:999", false, 2000, 1, 2000), "10.0.0.1:1");
	JT_STR(endpoint_pick(known, 3, "10.0.0.1:1", false, 2000, 2000, 2000), "10.0.0.2:1");
}

JT_MAIN(JT_RUN(a_shorter_patience_is_for_tests), JT_RUN(a_new_peer_gets_the_best_address),
	JT_RUN(a_roamed_address_is_left_while_the_handshake_is_fresh),
	JT_RUN(an_address_of_the_record_follows_the_record),
	JT_RUN(stale_candidates_are_tried_in_turn))
