/* SPDX-License-Identifier: Apache-2.0
 *
 * dnsd.c - see dnsd.h. */
#include "daemons/dnsd/dnsd.h"

#include <string.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/auto.h"
#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

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

static bool is_same_list(const struct resolver_list *a, const struct resolver_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!jaco_str_eq(a->servers[i], b->servers[i]))
			return false;
	return true;
}

static bool has_same_lists(const struct zone_table *a, const struct zone_table *b)
{
	size_t n_a = 0, n_b = 0;
	const struct resolver_list *lists_a = a ? zone_table_resolvers(a, &n_a) : NULL;
	const struct resolver_list *lists_b = zone_table_resolvers(b, &n_b);

	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (!is_same_list(&lists_a[i], &lists_b[i]))
			return false;
	return true;
}

/* Why @addr may not be asked for a service; NULL: it may. */
static const char *why_not(const struct dnsd *dnsd, const struct jaco_addr *addr,
			   const struct jaco_addr *own, size_t n_own)
{
	if (upstreams_is_loop(addr, &dnsd->pool, dnsd->n_pool, own, n_own))
		return "it is ours, or a container's";
	return !dnsd->is_alone && upstreams_is_loopback(addr) ? "it is inside this machine" : NULL;
}

/* "10.0.0.1", "10.0.0.1:5300", "2001:db8::1", "[2001:db8::1]:5300". */
static int parse_server(const char *text, struct jaco_addr *out, struct jaco_err *err)
{
	char whole[JACO_ADDR_TEXT_BYTES + 2];
	bool is_bare = text[0] != '[' && strchr(text, ':') != strrchr(text, ':');

	if (!jaco_str_format(whole, sizeof(whole), is_bare ? "[%s]" : "%s", text))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "%.40s... is no address", text);
	return jaco_addr_parse(out, whole, DNS_PORT, err);
}

static void read_list(const struct dnsd *dnsd, const struct resolver_list *list,
		      const struct jaco_addr *own, size_t n_own, struct forward_resolver *out)
{
	struct jaco_err err = JACO_ERR_INIT;

	out->n = 0;
	for (size_t i = 0; i < list->n && out->n < UPSTREAMS_MAX; i++) {
		const char *reason;

		if (parse_server(list->servers[i], &out->addrs[out->n], &err) < 0)
			reason = err.text;
		else
			reason = why_not(dnsd, &out->addrs[out->n], own, n_own);
		if (reason)
			jaco_log_warning("server of a service ignored",
					 KV_STR(address, list->servers[i]), KV_STR(reason, reason));
		else
			out->n++;
	}
}

static void set_resolvers(struct dnsd *dnsd, const struct zone_table *table,
			  const struct listen_want *wants, size_t n_wants)
{
	size_t n;
	const struct resolver_list *lists = zone_table_resolvers(table, &n);
	jaco_auto(jaco_ptr) struct forward_resolver *resolvers = NULL;
	jaco_auto(jaco_ptr) struct jaco_addr *own = NULL;

	if (has_same_lists(dnsd->table, table))
		return;
	resolvers = jaco_alloc_n(n + 1, sizeof(*resolvers));
	own = jaco_alloc_n(n_wants + 1, sizeof(*own));
	for (size_t i = 0; i < n_wants; i++)
		own[i] = wants[i].addr;
	for (size_t i = 0; i < n; i++)
		read_list(dnsd, &lists[i], own, n_wants, &resolvers[i]);
	forward_set_resolvers(dnsd->forward, resolvers, n);
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
	set_resolvers(dnsd, take_table, wants, n);
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
	struct jaco_addr addrs[UPSTREAMS_MAX];
	struct jaco_addr *ours = jaco_alloc_n(n_own + 1, sizeof(*ours));
	struct jaco_err err = JACO_ERR_INIT;
	size_t n = 0;

	JACO_ASSERT(n_pool <= 1);
	dnsd->n_pool = n_pool;
	if (n_pool > 0)
		dnsd->pool = pool[0];
	for (size_t i = 0; i < n_own; i++)
		ours[i] = own[i].addr;
	for (size_t i = 0; i < n_texts && n < UPSTREAMS_MAX; i++) {
		if (jaco_addr_parse(&addrs[n], texts[i], DNS_PORT, &err) < 0)
			JACO_LOG_FAILURE(JACO_LOG_WARNING, "upstream ignored", &err,
					 KV_STR(address, texts[i]));
		else if (upstreams_is_loop(&addrs[n], pool, n_pool, ours, n_own))
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
