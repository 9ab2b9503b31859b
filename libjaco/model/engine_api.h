/* SPDX-License-Identifier: Apache-2.0
 *
 * engine_api.h - minors of Docker's API 1.x at which fields of a container appeared.
 *
 * runtimed does not send a field to an engine that is older; admission says so to who applies. */
#pragma once

#define JACO_API_ANNOTATIONS    43 /* Docker 24 */
#define JACO_API_ENDPOINT_MAC   44 /* Docker 25: MacAddress moved into the endpoint */
#define JACO_API_START_INTERVAL 44 /* Docker 25: Healthcheck.StartInterval */
#define JACO_API_GW_PRIORITY    48 /* Docker 28; before, the name that sorts first leads out */
