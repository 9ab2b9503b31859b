/* SPDX-License-Identifier: Apache-2.0
 *
 * job.c - a thread, a condition, an eventfd for the loop. */
#include "daemons/raftd/disk/job.h"

#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "libjaco/base/assert.h"

static void *work(void *ctx)
{
	struct job *job = ctx;
	uint64_t one = 1;

	pthread_setname_np(pthread_self(), "raftd/disk");
	pthread_mutex_lock(&job->lock);
	while (job->phase != JOB_OVER) {
		if (job->phase != JOB_ASKED) {
			pthread_cond_wait(&job->changed, &job->lock);
			continue;
		}
		pthread_mutex_unlock(&job->lock);
		job->run(job->ctx);
		pthread_mutex_lock(&job->lock);
		job->phase = JOB_DONE;
		pthread_cond_broadcast(&job->changed);
		(void)!write(job->fd, &one, sizeof(one)); /* cannot fail short of 2^64 jobs */
	}
	pthread_mutex_unlock(&job->lock);
	return NULL;
}

int job_open(struct job *job, struct jaco_err *err)
{
	*job = (struct job){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	if (job->fd < 0)
		return jaco_err_errno(err, "eventfd");
	pthread_mutex_init(&job->lock, NULL);
	pthread_cond_init(&job->changed, NULL);
	return 0;
}

static int make_thread(struct job *job, struct jaco_err *err)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all); /* signals belong to the loop's thread */
	pthread_sigmask(SIG_BLOCK, &all, &before);
	rc = pthread_create(&job->thread, NULL, work, job);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		return jaco_err_set(err, JACO_INTERNAL, "thread: %s", strerror(rc));
	job->has_thread = true;
	return 0;
}

int job_start(struct job *job, void (*run)(void *ctx), void *ctx, struct jaco_err *err)
{
	JACO_ASSERT(!job_is_busy(job));
	if (!job->has_thread && make_thread(job, err) < 0)
		return -(int)err->code;
	pthread_mutex_lock(&job->lock);
	job->run = run;
	job->ctx = ctx;
	job->phase = JOB_ASKED;
	pthread_cond_broadcast(&job->changed);
	pthread_mutex_unlock(&job->lock);
	return 0;
}

bool job_is_busy(struct job *job)
{
	bool is_busy;

	pthread_mutex_lock(&job->lock);
	is_busy = job->phase != JOB_IDLE;
	pthread_mutex_unlock(&job->lock);
	return is_busy;
}

bool job_take(struct job *job, bool is_waiting)
{
	uint64_t n_done;
	bool is_done;

	pthread_mutex_lock(&job->lock);
	while (is_waiting && job->phase == JOB_ASKED)
		pthread_cond_wait(&job->changed, &job->lock);
	is_done = job->phase == JOB_DONE;
	if (is_done) {
		job->phase = JOB_IDLE;
		(void)!read(job->fd, &n_done, sizeof(n_done)); /* written under this lock */
	}
	pthread_mutex_unlock(&job->lock);
	return is_done;
}

void job_close(struct job *job)
{
	if (job->fd < 0)
		return;
	(void)job_take(job, true);
	if (job->has_thread) {
		pthread_mutex_lock(&job->lock);
		job->phase = JOB_OVER;
		pthread_cond_broadcast(&job->changed);
		pthread_mutex_unlock(&job->lock);
		pthread_join(job->thread, NULL);
	}
	pthread_cond_destroy(&job->changed);
	pthread_mutex_destroy(&job->lock);
	close(job->fd);
	job->fd = -1;
	job->has_thread = false;
}
