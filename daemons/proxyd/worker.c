/* SPDX-License-Identifier: Apache-2.0
 *
 * worker.c - see worker.h. */
#include "daemons/proxyd/worker.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "daemons/proxyd/client.h"
#include "daemons/proxyd/listen.h"
#include "daemons/proxyd/stream.h"
#include "daemons/proxyd/upstream.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/random.h"
#include "libjaco/base/str.h"
#include "libjaco/io/sock.h"

void worker_touch(struct worker *worker)
{
	worker->now_ms = jaco_time_now().ns / JACO_MS;
}

const char *worker_date(struct worker *worker)
{
	int64_t now_s = jaco_time_wall_ms() / 1000;
	time_t t = (time_t)now_s;
	struct tm tm;

	if (now_s != worker->date_s) {
		worker->date_s = now_s;
		gmtime_r(&t, &tm);
		strftime(worker->date, sizeof(worker->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	}
	return worker->date;
}

/* --- tables --- */

struct hold *hold_ref(struct hold *hold)
{
	hold->refs++;
	return hold;
}

void hold_unref(struct worker *worker, struct hold *hold)
{
	(void)worker;
	if (--hold->refs > 0)
		return;
	LIST_REMOVE(hold, link);
	for (uint32_t i = 0; i < hold->table->n_endpoints; i++)
		upstream_unref(hold->upstreams[i]);
	route_table_unref(hold->table);
	jaco_free(hold->upstreams);
	jaco_free(hold->rounds);
	jaco_free(hold);
}

void worker_set_table(struct worker *worker, struct route_table *take_table)
{
	struct hold *hold = jaco_alloc(sizeof(*hold));
	struct hold *old = worker->hold;
	struct route_table *table = take_table;

	worker_touch(worker);
	hold->table = table;
	hold->refs = 1;
	hold->upstreams = jaco_alloc_n(table->n_endpoints, sizeof(struct upstream *));
	hold->rounds = jaco_alloc_n(table->n_routes, sizeof(uint32_t));
	for (uint32_t i = 0; i < table->n_endpoints; i++) {
		hold->upstreams[i] = upstream_get(worker, &table->endpoints[i]);
		if (!old) /* replicas of the first table need no slow start */
			hold->upstreams[i]->peer.since_ms = INT64_MIN;
	}
	for (uint32_t i = 0; i < table->n_routes; i++)
		hold->rounds[i] = (uint32_t)jaco_prng_next(&worker->prng);
	LIST_INSERT_HEAD(&worker->holds, hold, link);
	worker->hold = hold;
	if (old)
		hold_unref(worker, old);
	upstream_sweep(worker);
}

/* --- life --- */

static void on_tick(struct jaco_timer *timer, void *ctx)
{
	struct worker *worker = ctx;

	worker_touch(worker);
	wheel_run(&worker->wheel, worker->now_ms);
	jaco_timer_arm(timer, WHEEL_TICK_MS);
}

static void run_tasks(struct worker *worker)
{
	struct worker_task *task;

	for (;;) {
		pthread_mutex_lock(&worker->lock);
		task = STAILQ_FIRST(&worker->tasks);
		if (task)
			STAILQ_REMOVE_HEAD(&worker->tasks, link);
		pthread_mutex_unlock(&worker->lock);
		if (!task)
			return;
		task->fn(worker, task->arg);
		jaco_free(task);
	}
}

static void on_wake(struct jaco_io *io, unsigned events, void *ctx)
{
	struct worker *worker = ctx;
	uint64_t count;

	(void)events;
	(void)!read(io->fd, &count, sizeof(count)); /* only a wake-up */
	worker_touch(worker);
	run_tasks(worker);
}

int worker_open(struct worker *worker, unsigned index, const struct worker_limits *limits,
		struct jaco_err *err)
{
	*worker = (struct worker){.index = index, .limits = *limits, .date_s = -1};
	if (jaco_loop_open_fast(&worker->loop, err) < 0)
		return -(int)err->code;
	worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (worker->wake_fd < 0)
		return jaco_err_errno(err, "eventfd");
	jaco_random_bytes(&worker->prng, sizeof(worker->prng));
	pthread_mutex_init(&worker->lock, NULL);
	STAILQ_INIT(&worker->tasks);
	LIST_INIT(&worker->holds);
	LIST_INIT(&worker->clients);
	LIST_INIT(&worker->listeners);
	LIST_INIT(&worker->l4s);
	worker->scratch = jaco_alloc(HTTP1_HEAD_MAX + 64);
	worker_touch(worker);
	wheel_init(&worker->wheel, worker->now_ms);
	jaco_io_start(&worker->loop, &worker->wake, worker->wake_fd, JACO_IO_READ, on_wake, worker);
	jaco_timer_init(&worker->loop, &worker->tick, on_tick, worker);
	jaco_timer_arm(&worker->tick, WHEEL_TICK_MS);
	return 0;
}

static void *thread_main(void *arg)
{
	struct worker *worker = arg;
	struct jaco_err err = JACO_ERR_INIT;
	char name[16];

	(void)jaco_str_format(name, sizeof(name), "proxyd/%u", worker->index);
	pthread_setname_np(pthread_self(), name);
	if (jaco_loop_run(&worker->loop, &err) < 0)
		JACO_LOG_FAILURE(JACO_LOG_ERR, "worker ended", &err);
	return NULL;
}

int worker_start(struct worker *worker, struct jaco_err *err)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all); /* signals belong to the control thread */
	pthread_sigmask(SIG_BLOCK, &all, &before);
	rc = pthread_create(&worker->thread, NULL, thread_main, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		return jaco_err_set(err, JACO_INTERNAL, "thread: %s", strerror(rc));
	worker->is_running = true;
	return 0;
}

void worker_post(struct worker *worker, void (*fn)(struct worker *, void *), void *arg)
{
	struct worker_task *task = jaco_alloc(sizeof(*task));
	uint64_t one = 1;

	task->fn = fn;
	task->arg = arg;
	pthread_mutex_lock(&worker->lock);
	STAILQ_INSERT_TAIL(&worker->tasks, task, link);
	pthread_mutex_unlock(&worker->lock);
	(void)!write(worker->wake_fd, &one, sizeof(one)); /* full means awake already */
}

struct call {
	void (*fn)(struct worker *, void *);
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool is_done;
};

static void run_call(struct worker *worker, void *arg)
{
	struct call *call = arg;

	call->fn(worker, call->arg);
	pthread_mutex_lock(&call->lock);
	call->is_done = true;
	pthread_cond_signal(&call->done);
	pthread_mutex_unlock(&call->lock);
}

void worker_call(struct worker *worker, void (*fn)(struct worker *, void *), void *arg)
{
	struct call call = {.fn = fn, .arg = arg, .lock = PTHREAD_MUTEX_INITIALIZER,
			    .done = PTHREAD_COND_INITIALIZER};

	if (!worker->is_running) {
		fn(worker, arg);
		return;
	}
	worker_post(worker, run_call, &call);
	pthread_mutex_lock(&call.lock);
	while (!call.is_done)
		pthread_cond_wait(&call.done, &call.lock);
	pthread_mutex_unlock(&call.lock);
}

static void stop_loop(struct worker *worker, void *arg)
{
	(void)arg;
	jaco_loop_stop(&worker->loop);
}

void worker_stop(struct worker *worker)
{
	if (!worker->is_running)
		return;
	worker_post(worker, stop_loop, NULL);
	pthread_join(worker->thread, NULL);
	worker->is_running = false;
}

void worker_close(struct worker *worker)
{
	if (!worker->scratch)
		return;
	run_tasks(worker);
	listen_close_all(worker);
	client_close_all(worker);
	upstream_close_all(worker);
	if (worker->hold)
		hold_unref(worker, worker->hold);
	worker->hold = NULL;
	upstream_close_all(worker);
	stream_pool_fini(worker);
	jaco_free(worker->upstream_slots);
	iobuf_pool_fini(&worker->bufs);
	jaco_timer_fini(&worker->tick);
	jaco_io_stop(&worker->wake);
	jaco_fd_close(&worker->wake_fd);
	jaco_free(worker->scratch);
	worker->scratch = NULL;
	jaco_loop_close(&worker->loop);
	pthread_mutex_destroy(&worker->lock);
}
