/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_config.c - any bytes as jacod.yaml: refused with a sentence and nothing changed, or accepted
 * with the same result each time. */
#include <stdlib.h>
#include <string.h>

#include "libjaco/daemon/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct jaco_config fresh;
	static struct jaco_config config;
	static struct jaco_config again;
	struct jaco_err err = JACO_ERR_INIT;

	jaco_config_init(&fresh);
	config = again = fresh;
	if (jaco_config_parse(&config, "f", (const char *)data, size, &err) < 0) {
		must_be(err.text[0] != '\0');
		must_be(memcmp(&config, &fresh, sizeof(fresh)) == 0);
		return 0;
	}
	must_be(jaco_config_parse(&again, "f", (const char *)data, size, &err) >= 0);
	must_be(jaco_config_reload(&again, &config) == NULL);
	must_be(memcmp(&again, &config, sizeof(config)) == 0);
	return 0;
}
