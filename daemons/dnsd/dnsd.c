/* SPDX-License-Identifier: Apache-2.0
 *
 * dnsd.c - see dnsd.h. */
#include "daemons/dnsd/dnsd.h"

#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"

#define DNS_PORT 53

static void on_retry(struct jaco_timer *timer, void *ctx)
{
	struct dnsd *dnsd = ctx;
	size_t n = listen_retry(dnsd->listen, NULL);

	if (n < dnsd->n_closed)
		jaco_log_notice("listeners opened", KV_INT(count, dnsd->n_closed - n));
	dnsd->n_closed = n;
	if (n > 0)
		jaco_timer_arm(&dnsd->retry, DNSD_RETRY_MS);
}

void dnsd_open(struct dnsd *dnsd, struct jaco_loop *loop)
{
	*dnsd = (struct dnsd){.loop = loop};
	dnsd->forward = forward_new(loop, &dnsd->stats);
	dnsd->listen = listen_new(loop, dnsd->forward, &dnsd->stats);
	jaco_timer_init(loop, &dnsd->retry, on_retry, dnsd);
}

void dnsd_drain(struct dnsd *dnsd)
{
	struct jaco_time end = jaco_time_add_ms(jaco_loop_now(dnsd->loop), DNSD_DRAIN_MS);

	listen_pause(dnsd->listen);
	while (forward_waiting(dnsd->forward) > 0 &&
	       jaco_time_before(jaco_loop_now(dnsd->loop), end))
		jaco_loop_once(dnsd->loop, 50);
}

void dnsd_close(struct dnsd *dnsd)
{
	if (!dnsd->loop)
		return;
	jaco_timer_fini(&dnsd->retry);
	listen_free(dnsd->listen);
	forward_free(dnsd->forward);
	zone_table_free(dnsd->table);
	*dnsd = (struct dnsd){.loop = NULL};
}

void dnsd_apply(struct dnsd *dnsd, struct zone_table *take_table, const struct listen_want *wants,
		size_t n)
{
	struct zone_table *old = dnsd->table;
	struct jaco_err err = JACO_ERR_INIT;
	size_t n_closed = listen_apply(dnsd->listen, wants, n, &err);

	if (n_closed > 0 && n_closed != dnsd->n_closed)
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "listeners not open, trying again", &err,
				 KV_INT(count, n_closed));
	dnsd->n_closed = n_closed;
	dnsd->table = take_table;
	zone_table_free(old);
	if (n_closed > 0)
		jaco_timer_arm_if_idle(&dnsd->retry, DNSD_RETRY_MS);
	else
		jaco_timer_disarm(&dnsd->retry);
}

void dnsd_set_upstreams(struct dnsd *dnsd, const char *const *texts, size_t n_texts,
			const struct jaco_cidr *pool, size_t n_pool, const struct listen_want *own,
			size_t n_own, int64_t timeout_ms, size_t cache_bytes)
{
	struct jaco_addr addrs[FORWARD_UPSTREAMS_MAX];
	struct jaco_addr *ours = jaco_alloc_n(n_own + 1, sizeof(*ours));
	struct jaco_err err = JACO_ERR_INIT;
	size_t n = 0;

	for (size_t i = 0; i < n_own; i++)
		ours[i] = own[i].addr;
	for (size_t i = 0; i < n_texts && n < FORWARD_UPSTREAMS_MAX; i++) {
		if (jaco_addr_parse(&addrs[n], texts[i], DNS_PORT, &err) < 0)
			JACO_LOG_FAILURE(JACO_LOG_WARNING, "upstream ignored", &err,
					 KV_STR(address, texts[i]));
		else if (forward_is_loop(&addrs[n], pool, n_pool, ours, n_own))
			jaco_log_warning("upstream ignored", KV_STR(address, texts[i]),
					 KV_STR(reason, "asking it would come back to us"));
		else
			n++;
	}
	if (n == 0)
		jaco_log_warning("no usable upstream",
				 KV_STR(reason, "external names get SERVFAIL"));
	forward_configure(dnsd->forward, addrs, n, timeout_ms, cache_bytes);
	jaco_free(ours);
}
