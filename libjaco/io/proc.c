/* SPDX-License-Identifier: Apache-2.0
 *
 * proc.c - start, watch and stop children. */
#include "libjaco/io/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/str.h"
#include "libjaco/io/sock.h"

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */

/* In the child.  Ascending and distinct, the i-th is never below its place: none is overwritten
 * before it was moved. */
static void pass_fds(const struct jaco_proc_options *options)
{
	char number[24];

	for (size_t i = 0; i < options->n_fds; i++) {
		int place = FIRST_FD + (int)i;

		if (options->fds[i] != place ? dup2(options->fds[i], place) < 0
					     : fcntl(place, F_SETFD, 0) < 0)
			_exit(126);
	}
	(void)jaco_str_format(number, sizeof(number), "%zu", options->n_fds);
	(void)setenv("LISTEN_FDS", number, true);
	(void)jaco_str_format(number, sizeof(number), "%ld", (long)getpid());
	(void)setenv("LISTEN_PID", number, true);
	(void)setenv("LISTEN_FDNAMES", options->fd_names, true);
}

static void run_child(const struct jaco_proc_options *options)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (options->own_group)
		(void)setpgid(0, 0);
	if (options->die_with_parent)
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (options->out_fd >= 0 &&
	    (dup2(options->out_fd, STDOUT_FILENO) < 0 || dup2(options->out_fd, STDERR_FILENO) < 0))
		_exit(126);
	for (const char *const *e = options->env; e && *e; e++)
		(void)putenv((char *)*e);
	if (options->n_fds > 0)
		pass_fds(options);
	execvp(options->argv[0], (char *const *)options->argv);
	_exit(127);
}

static void on_exit_event(struct jaco_io *io, unsigned events, void *ctx)
{
	struct jaco_proc *proc = ctx;
	int status = 0;

	(void)events;
	if (waitpid(proc->pid, &status, WNOHANG) != proc->pid)
		return;
	jaco_io_stop(io);
	jaco_fd_close(&proc->pidfd);
	proc->pid = 0;
	proc->fn(proc, status, proc->ctx);
}

int jaco_proc_start(struct jaco_loop *loop, struct jaco_proc *proc,
		    const struct jaco_proc_options *options, jaco_proc_fn *fn, void *ctx,
		    struct jaco_err *err)
{
	pid_t pid;
	int pidfd;

	for (size_t i = 0; i < options->n_fds; i++)
		JACO_ASSERT(options->fds[i] > (i > 0 ? options->fds[i - 1] : STDERR_FILENO));
	pid = fork();
	if (pid == 0)
		run_child(options);
	if (pid < 0)
		return jaco_err_errno(err, "fork");
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		int rc = jaco_err_errno(err, "pidfd_open");

		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		return rc;
	}
	*proc = (struct jaco_proc){.pid = pid, .pidfd = pidfd, .fn = fn, .ctx = ctx};
	jaco_io_start(loop, &proc->io, pidfd, JACO_IO_READ, on_exit_event, proc);
	return 0;
}

void jaco_proc_signal(struct jaco_proc *proc, int signo)
{
	if (proc->pid > 0)
		(void)syscall(SYS_pidfd_send_signal, proc->pidfd, signo, NULL, 0);
}

void jaco_proc_fini(struct jaco_proc *proc)
{
	if (proc->pid > 0) {
		jaco_proc_signal(proc, SIGKILL);
		(void)waitpid(proc->pid, NULL, 0);
	}
	jaco_io_stop(&proc->io);
	jaco_fd_close(&proc->pidfd);
	proc->pid = 0;
}
