/* SPDX-License-Identifier: Apache-2.0
 *
 * mapped.c - a last sentence before an unreadable page of a mapped file ends the process. */
#include "daemons/raftd/disk/mapped.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Written before any fault: the handler may only read it (signal-safety(7)). */
static struct {
	uintptr_t begin, end;
	char text[1024];
	size_t n;
} guarded;

/* The handler is gone when it runs (SA_RESETHAND): the instruction faults again behind it, and the
 * process ends as it would have, core dump included. */
static void on_fault(int signo, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;

	(void)signo;
	(void)context;
	if (at >= guarded.begin && at < guarded.end)
		(void)!write(STDERR_FILENO, guarded.text, guarded.n);
}

void mapped_guard(const void *map, size_t bytes, const char *dir)
{
	struct sigaction action = {.sa_sigaction = on_fault,
				   .sa_flags = SA_SIGINFO | SA_RESETHAND};
	int n;

	guarded.begin = guarded.end = 0;
	n = snprintf(guarded.text, sizeof(guarded.text),
		     "raftd: the state in %s is damaged: a page of its file cannot be read; on a "
		     "cluster, jaco node remove this node and jaco node join on it, on a single "
		     "node restore a backup (jaco-raftd(8), State integrity)\n",
		     dir);
	guarded.n = n < 0 ? 0 : (size_t)n < sizeof(guarded.text) ? (size_t)n
								 : sizeof(guarded.text) - 1;
	guarded.begin = (uintptr_t)map;
	guarded.end = guarded.begin + bytes;
	sigemptyset(&action.sa_mask);
	(void)sigaction(SIGBUS, &action, NULL);
	(void)sigaction(SIGSEGV, &action, NULL);
}

void mapped_release(const void *map)
{
	if (guarded.begin == (uintptr_t)map)
		guarded.begin = guarded.end = 0;
}
