/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_join_token - what people paste into jaco node join. */
#include <stdlib.h>
#include <string.h>

#include "daemons/raftd/api/join_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char text[JOIN_TOKEN_MAX + 1], again[JOIN_TOKEN_MAX + 1];
	struct join_token token, back;
	struct jaco_err err = JACO_ERR_INIT;

	if (n > JOIN_TOKEN_MAX)
		return 0;
	memcpy(text, data, n);
	text[n] = '\0';
	(void)join_version_is_older(text, JOIN_VERSION_OLDEST);
	(void)join_token_compose(text, text, text, &token, &err);
	if (join_token_parse(text, &token, &err) < 0)
		return 0;
	/* what was read is what is written */
	join_token_render(&token, again);
	if (join_token_parse(again, &back, &err) < 0 || back.n_addresses != token.n_addresses ||
	    strcmp(back.secret, token.secret) != 0)
		abort();
	return 0;
}
