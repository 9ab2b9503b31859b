/* SPDX-License-Identifier: Apache-2.0
 *
 * proc.h - child processes watched by pidfd (pidfd_open(2)), so no SIGCHLD handler is shared. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "libjaco/base/err.h"
#include "libjaco/io/loop.h"

struct jaco_proc;
/* @status as waitpid(2) gives it. */
typedef void jaco_proc_fn(struct jaco_proc *proc, int status, void *ctx);

struct jaco_proc {
	pid_t pid; /* 0 when none runs */
	int pidfd;
	struct jaco_io io;
	jaco_proc_fn *fn;
	void *ctx;
};

#define JACO_PROC_INIT ((struct jaco_proc){.pidfd = -1})

struct jaco_proc_options {
	const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
	const char *const *env;  /* NULL-terminated additions "K=V", or NULL */
	int out_fd;              /* becomes standard output and error; -1: inherit */
	const int *fds;          /* passed on as sd_listen_fds(3) takes them; ascending, above 2 */
	size_t n_fds;            /* 0: none */
	const char *fd_names;    /* theirs, with ':' between them */
	bool own_group;          /* its own process group */
	bool die_with_parent;    /* SIGTERM when we die (prctl(2) PR_SET_PDEATHSIG) */
};

int jaco_proc_start(struct jaco_loop *loop, struct jaco_proc *proc,
		    const struct jaco_proc_options *options, jaco_proc_fn *fn, void *ctx,
		    struct jaco_err *err);

/* Send @signo to a running child through its pidfd: never to a recycled pid. */
void jaco_proc_signal(struct jaco_proc *proc, int signo);

/* SIGKILL, reap, forget; @fn is not called. */
void jaco_proc_fini(struct jaco_proc *proc);
