/* SPDX-License-Identifier: Apache-2.0
 *
 * job.h - one thing at a time done beside the loop: what waits for a disk and nobody waits for.
 *
 * The thread is made with the first job, so that it runs under the confinement of the process; it
 * takes no signals.  What the job touches is the job's until job_take() says it is done. */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "libjaco/base/err.h"

enum job_phase { JOB_IDLE, JOB_ASKED, JOB_DONE, JOB_OVER };

struct job {
	int fd; /* readable when a job is done; -1: not open */
	bool has_thread;
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	enum job_phase phase;
	void (*run)(void *ctx);
	void *ctx;
};

int job_open(struct job *job, struct jaco_err *err);

/* Waits for what runs.  Harmless on one that is not open (zeroed with fd -1). */
void job_close(struct job *job);

/* Run @run(@ctx) in the thread.  None may be under way.  Errors: INTERNAL - no thread to be had. */
int job_start(struct job *job, void (*run)(void *ctx), void *ctx, struct jaco_err *err);

/* Started and not taken yet. */
bool job_is_busy(struct job *job);

/* True once for each job that was started: it is done.  @is_waiting: when it is not, wait. */
bool job_take(struct job *job, bool is_waiting);
