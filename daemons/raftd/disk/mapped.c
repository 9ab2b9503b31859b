/* SPDX-License-Identifier: Apache-2.0
 *
 * mapped.c - a last sentence before an unreadable page of a mapped file ends the process. */
#include "daemons/raftd/disk/mapped.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Written before any fault: the handler may only read it (signal-safety(7)). */
static struct {
	uintptr_t begin, end;
	char text[1024];
	size_t n;
	bool is_installed;
	struct sigaction before;
} guarded;

/* The action of before is in force again when this returns: the instruction faults once more, and
 * the process ends as it would have, core dump or a sanitizer's report included. */
static void on_fault(int signo, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;

	(void)context;
	if (at >= guarded.begin && at < guarded.end)
		(void)!write(STDERR_FILENO, guarded.text, guarded.n);
	(void)sigaction(signo, &guarded.before, NULL);
}

static void install(void)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

	sigemptyset(&action.sa_mask);
	guarded.is_installed = sigaction(SIGBUS, &action, &guarded.before) == 0;
}

void mapped_guard(const void *map, size_t bytes, const char *dir)
{
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
	if (!guarded.is_installed)
		install();
}

void mapped_release(const void *map)
{
	if (guarded.begin == (uintptr_t)map)
		guarded.begin = guarded.end = 0;
}
