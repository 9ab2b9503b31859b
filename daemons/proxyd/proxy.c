/* SPDX-License-Identifier: Apache-2.0
 *
 * proxy.c - see proxy.h. */
#include "daemons/proxyd/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "daemons/proxyd/client.h"
#include "daemons/proxyd/l4.h"
#include "daemons/proxyd/upstream.h"
#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/io/notify.h"

const struct worker_limits proxy_default_limits = {
	.client_head_ms = 30000, .client_idle_ms = 75000, .client_body_ms = 60000,
	.upstream_idle_ms = 60000, .linger_ms = 2000,
};

struct proxy_bound {
	struct proxy_listener spec;
	uint16_t https_port;
	bool is_wanted;
};

uint64_t proxy_listener_id(enum listen_kind kind, const char *address)
{
	uint64_t hash = (0xcbf29ce484222325ULL ^ (uint64_t)kind) * 0x100000001b3ULL;

	for (; *address; address++)
		hash = (hash ^ (uint8_t)*address) * 0x100000001b3ULL;
	return hash;
}

int proxy_open(struct proxy *proxy, unsigned n_workers, const struct worker_limits *limits,
	       struct jaco_err *err)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (n_workers == 0)
		n_workers = cores > 0 ? (unsigned)cores : 1;
	n_workers = JACO_MIN(n_workers, PROXY_WORKERS_MAX);
	*proxy = (struct proxy){.n_workers = n_workers};
	proxy->workers = jaco_alloc_n(n_workers, sizeof(*proxy->workers));
	proxy->stats = stats_new(n_workers);
	for (unsigned i = 0; i < n_workers; i++) {
		struct route_table *empty = route_table_new(0);

		if (worker_open(&proxy->workers[i], i, limits, err) < 0)
			return -(int)err->code;
		route_table_seal(empty);
		worker_set_table(&proxy->workers[i], empty);
	}
	for (unsigned i = 0; i < n_workers; i++)
		if (worker_start(&proxy->workers[i], err) < 0)
			return -(int)err->code;
	return 0;
}

void proxy_close(struct proxy *proxy)
{
	for (unsigned i = 0; i < proxy->n_workers; i++)
		worker_stop(&proxy->workers[i]);
	for (unsigned i = 0; i < proxy->n_workers; i++)
		worker_close(&proxy->workers[i]);
	jaco_free(proxy->workers);
	stats_free(proxy->stats);
	jaco_free(proxy->bound);
	jaco_free(proxy->problems);
	*proxy = (struct proxy){.n_workers = 0};
}

/* --- tasks on workers --- */

static void task_table(struct worker *worker, void *arg)
{
	worker_set_table(worker, arg);
}

static void task_tls(struct worker *worker, void *arg)
{
	tls_store_unref(worker->tls);
	worker->tls = arg;
}

static void task_listen(struct worker *worker, void *arg)
{
	listen_add(worker, arg);
	jaco_free(arg);
}

static void task_unlisten(struct worker *worker, void *arg)
{
	listen_remove(worker, *(uint64_t *)arg);
	jaco_free(arg);
}

static void task_drain(struct worker *worker, void *arg)
{
	(void)arg;
	worker->is_draining = true;
	listen_drain(worker);
	client_drain_all(worker);
	upstream_close_all(worker);
}

/* --- listeners --- */

static struct proxy_bound *find_bound(struct proxy *proxy, uint64_t id)
{
	for (size_t i = 0; i < proxy->n_bound; i++)
		if (proxy->bound[i].spec.id == id)
			return &proxy->bound[i];
	return NULL;
}

static void add_problem(struct proxy *proxy, const struct proxy_listener *spec,
			const struct jaco_err *err)
{
	struct proxy_problem *problem;

	proxy->problems = jaco_grow(proxy->problems, &proxy->cap_problems, proxy->n_problems + 1,
				    sizeof(*proxy->problems));
	problem = &proxy->problems[proxy->n_problems++];
	*problem = (struct proxy_problem){.listener = *spec, .sys_errno = err->sys_errno};
	(void)jaco_str_copy(problem->text, sizeof(problem->text), err->text);
}

static int bind_one(const struct proxy_listener *spec, struct jaco_err *err)
{
	unsigned flags = JACO_SOCK_REUSEPORT;
	struct jaco_addr addr;

	if (jaco_addr_parse(&addr, spec->address, 0, err) < 0)
		return -(int)err->code;
	if (addr.sa.sa_family == AF_INET6)
		flags |= JACO_SOCK_V6ONLY;
	return spec->kind == LISTEN_UDP ? jaco_sock_bind_udp(&addr, flags, err) :
					  jaco_sock_listen_tcp(&addr, flags, err);
}

/* The socket that systemd holds for that address, duplicated; -1 when it has none. */
static int adopt(const struct proxy_listener *spec)
{
	struct jaco_addr want, have;
	int fd;

	if (spec->kind == LISTEN_UDP || jaco_addr_parse(&want, spec->address, 0, NULL) < 0)
		return -1;
	for (size_t i = 0; (fd = jaco_notify_fd("proxyd", i)) >= 0; i++) {
		char a[JACO_ADDR_TEXT_BYTES], b[JACO_ADDR_TEXT_BYTES];

		have.n = sizeof(have.storage);
		if (getsockname(fd, &have.sa, &have.n) < 0)
			continue;
		jaco_addr_render(a, &want);
		jaco_addr_render(b, &have);
		if (strcmp(a, b) != 0)
			continue;
		(void)jaco_fd_set_nonblock(fd, true,
					   NULL); /* ours work anyway: accept is retried */
		return fcntl(fd, F_DUPFD_CLOEXEC, 3);
	}
	return -1;
}

/* One socket per worker, all or none. */
static bool bind_listener(struct proxy *proxy, const struct proxy_listener *spec,
			  uint16_t https_port)
{
	struct jaco_err err = JACO_ERR_INIT;
	int fds[PROXY_WORKERS_MAX];
	unsigned n = 0;

	while (n < proxy->n_workers) {
		fds[n] = adopt(spec);
		if (fds[n] < 0)
			fds[n] = bind_one(spec, &err);
		if (fds[n] < 0)
			break;
		n++;
	}
	if (n == 0 && err.sys_errno == EAFNOSUPPORT)
		return false; /* a host without IPv6 has nobody to serve there */
	if (n < proxy->n_workers) {
		while (n > 0)
			jaco_fd_close(&fds[--n]);
		add_problem(proxy, spec, &err);
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "cannot listen", &err,
				 KV_STR(address, spec->address));
		return false;
	}
	for (unsigned i = 0; i < proxy->n_workers; i++) {
		struct listen_spec task = {.kind = spec->kind, .id = spec->id,
					   .https_port = https_port, .fd = fds[i]};

		worker_post(&proxy->workers[i], task_listen, jaco_memdup(&task, sizeof(task)));
	}
	return true;
}

static void unbind(struct proxy *proxy, size_t at)
{
	for (unsigned i = 0; i < proxy->n_workers; i++)
		worker_post(&proxy->workers[i], task_unlisten,
			    jaco_memdup(&proxy->bound[at].spec.id, sizeof(uint64_t)));
	proxy->bound[at] = proxy->bound[--proxy->n_bound];
}

/* Where plain HTTP sends people: the first HTTPS listener. */
static uint16_t find_https_port(const struct proxy_plan *plan)
{
	for (size_t i = 0; i < plan->n_listeners; i++) {
		struct jaco_addr addr;

		if (plan->listeners[i].kind == LISTEN_HTTPS &&
		    jaco_addr_parse(&addr, plan->listeners[i].address, 0, NULL) >= 0)
			return jaco_addr_port(&addr);
	}
	return 0;
}

static void follow_listeners(struct proxy *proxy, const struct proxy_plan *plan)
{
	uint16_t https_port = find_https_port(plan);

	proxy->n_problems = 0;
	for (size_t i = 0; i < proxy->n_bound; i++)
		proxy->bound[i].is_wanted = false;
	for (size_t i = 0; i < plan->n_listeners; i++) {
		struct proxy_bound *b = find_bound(proxy, plan->listeners[i].id);

		if (b && (b->spec.kind != LISTEN_HTTP || b->https_port == https_port))
			b->is_wanted = true;
	}
	for (size_t i = proxy->n_bound; i > 0; i--)
		if (!proxy->bound[i - 1].is_wanted)
			unbind(proxy, i - 1);
	for (size_t i = 0; i < plan->n_listeners; i++) {
		const struct proxy_listener *spec = &plan->listeners[i];

		if (find_bound(proxy, spec->id) || !bind_listener(proxy, spec, https_port))
			continue;
		proxy->bound = jaco_grow(proxy->bound, &proxy->cap_bound, proxy->n_bound + 1,
					 sizeof(*proxy->bound));
		proxy->bound[proxy->n_bound++] = (struct proxy_bound){.spec = *spec,
								      .https_port = https_port};
	}
}

size_t proxy_apply(struct proxy *proxy, const struct proxy_plan *plan)
{
	proxy->generation = plan->table->generation;
	proxy->n_routes = plan->table->n_routes;
	for (unsigned i = 0; i < proxy->n_workers; i++) {
		worker_post(&proxy->workers[i], task_tls,
			    plan->tls ? tls_store_ref(plan->tls) : NULL);
		worker_post(&proxy->workers[i], task_table, route_table_ref(plan->table));
	}
	tls_store_unref(plan->tls);
	route_table_unref(plan->table);
	follow_listeners(proxy, plan);
	return proxy->n_problems;
}

/* --- looking --- */

void proxy_drain(struct proxy *proxy)
{
	for (unsigned i = 0; i < proxy->n_workers; i++)
		worker_post(&proxy->workers[i], task_drain, NULL);
	proxy->n_bound = 0;
}

struct idle_answer {
	size_t open;
};

static void task_count_open(struct worker *worker, void *arg)
{
	struct idle_answer *answer = arg;
	struct client *c;
	struct l4_conn *l4 = LIST_FIRST(&worker->l4s);

	LIST_FOREACH(c, &worker->clients, link)
		answer->open++;
	answer->open += l4 != NULL;
}

bool proxy_is_idle(const struct proxy *proxy)
{
	struct idle_answer answer = {0};

	for (unsigned i = 0; i < proxy->n_workers; i++)
		worker_call(&proxy->workers[i], task_count_open, &answer);
	return answer.open == 0;
}

static void task_nothing(struct worker *worker, void *arg)
{
	(void)worker;
	(void)arg;
}

void proxy_sync(struct proxy *proxy)
{
	for (unsigned i = 0; i < proxy->n_workers; i++)
		worker_call(&proxy->workers[i], task_nothing, NULL);
}

struct flight_ask {
	const struct netmatch_ip *ip;
	uint64_t sum;
};

static void task_in_flight(struct worker *worker, void *arg)
{
	struct flight_ask *ask = arg;

	for (size_t i = 0; i < worker->n_upstream_slots; i++) {
		const struct upstream *u = worker->upstream_slots[i];

		if (u && memcmp(&u->endpoint.ip, ask->ip, sizeof(*ask->ip)) == 0)
			ask->sum += u->peer.in_flight;
	}
}

uint64_t proxy_in_flight(struct proxy *proxy, const struct netmatch_ip *ip)
{
	struct flight_ask ask = {.ip = ip};

	for (unsigned i = 0; i < proxy->n_workers; i++)
		worker_call(&proxy->workers[i], task_in_flight, &ask);
	return ask.sum;
}

static void task_oldest(struct worker *worker, void *arg)
{
	uint64_t *oldest = arg;
	struct hold *hold;

	LIST_FOREACH(hold, &worker->holds, link)
		*oldest = JACO_MIN(*oldest, hold->table->generation);
}

uint64_t proxy_oldest_generation(struct proxy *proxy)
{
	uint64_t oldest = UINT64_MAX;

	for (unsigned i = 0; i < proxy->n_workers; i++)
		worker_call(&proxy->workers[i], task_oldest, &oldest);
	return oldest;
}

size_t proxy_addresses(const struct proxy *proxy, const char **out, size_t cap)
{
	size_t n = JACO_MIN(proxy->n_bound, cap);

	for (size_t i = 0; i < n; i++)
		out[i] = proxy->bound[i].spec.address;
	return n;
}

static void put_counter(struct jaco_buf *out, const struct proxy *proxy, const char *name,
			size_t offset)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < proxy->n_workers; i++) {
		const char *base = (const char *)&proxy->workers[i].counters;

		sum += atomic_load_explicit((const _Atomic uint64_t *)(const void *)(base + offset),
					    memory_order_relaxed);
	}
	jaco_buf_printf(out, "jaco_proxyd_%s %llu\n", name, (unsigned long long)sum);
}

void proxy_metrics(struct proxy *proxy, struct jaco_buf *out)
{
#define PUT(field, name) put_counter(out, proxy, name, offsetof(struct worker_counters, field))
	PUT(accepted, "connections_accepted_total");
	PUT(requests, "http_requests_total");
	PUT(refused, "http_malformed_total");
	PUT(not_found, "http_unrouted_total");
	PUT(unavailable, "unavailable_total");
	PUT(bad_gateway, "bad_gateway_total");
	PUT(timeouts, "timeouts_total");
	PUT(retries, "upstream_retries_total");
	PUT(ejections, "upstream_ejections_total");
	PUT(connects, "upstream_connects_total");
	PUT(l4_connections, "tcp_connections_total");
	PUT(udp_flows, "udp_flows_total");
	PUT(open_clients, "open_connections");
	PUT(open_streams, "open_requests");
#undef PUT
	jaco_buf_printf(out, "jaco_proxyd_table_generation %llu\n",
			(unsigned long long)proxy->generation);
	stats_render(proxy->stats, out);
}
