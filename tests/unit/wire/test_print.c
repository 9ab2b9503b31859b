/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/wire/print.h"
#include "libjaco/wire/wire.h"

#include "tests/lib/test.h"

static const char sample[] =
	"{\"id\":\"shop-web-0\",\"deployment\":\"shop\",\"service\":\"web\",\"host\":\"n1\","
	"\"generations\":"
	"[{\"generation\":3,\"state\":\"running\",\"healthy\":true,\"since\":\"2023-11-14T22:13:"
	"20Z\","
	"\"addresses\":[{\"network\":\"front\",\"address\":\"10.244.0.2\"}],\"exit_code\":-9}]}";

JT_CASE(json_round_trips_through_the_message)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct wire_obs_replica msg;
	json_t *json = json_loads(sample, 0, NULL);
	json_t *back;

	JT_OK(jaco_json_to_msg(&wire_obs_replica_desc, json, &arena, &msg, &err), &err);
	JT_EQ(msg.generations.v[0].since, 1700000000000);
	back = jaco_json_from_msg(&wire_obs_replica_desc, &msg);
	jaco_json_print_compact(&text, back);
	JT_STR(text.data, sample);
	json_decref(json);
	json_decref(back);
}

JT_CASE(typing_mistakes_are_named)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct wire_scale msg;
	json_t *json = json_loads("{\"deployment\":\"d\",\"servce\":\"web\"}", 0, NULL);

	JT_FAILS_WITH(jaco_json_to_msg(&wire_scale_desc, json, &arena, &msg, &err),
		      VALIDATION_FAILED, "scale has no field \"servce\"", &err);
	json_decref(json);
	json = json_loads("{\"deployment\":\"d\",\"service\":\"web\",\"replicas\":-1}", 0, NULL);
	JT_FAILS_WITH(jaco_json_to_msg(&wire_scale_desc, json, &arena, &msg, &err),
		      VALIDATION_FAILED, "scale.replicas: a number", &err);
	json_decref(json);
}

JT_CASE(yaml_quotes_what_would_change_its_meaning)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;
	json_t *json =
		json_loads("{\"a\":\"yes\",\"b\":[{\"c\":1,\"d\":\"x y\"},\"- z\"],\"e\":{},\"f\":"
			   "\"l1\\nl2\\n\",\"g\":\"10.0.0.1:80\"}",
			   0, NULL);

	jaco_yaml_from_json(&text, json);
	JT_STR(text.data, "a: \"yes\"\n"
			  "b:\n"
			  "- c: 1\n"
			  "  d: x y\n"
			  "- \"- z\"\n"
			  "e: {}\n"
			  "f: |\n"
			  "  l1\n"
			  "  l2\n"
			  "g: \"10.0.0.1:80\"\n");
	json_decref(json);
}

JT_MAIN(JT_RUN(json_round_trips_through_the_message), JT_RUN(typing_mistakes_are_named),
	JT_RUN(yaml_quotes_what_would_change_its_meaning))
