/* SPDX-License-Identifier: Apache-2.0
 *
 * kit APPLET ... - which applet: the first argument, or the name the program was called by. */
#include <stdio.h>
#include <string.h>

#include "kit.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} applets[] = {
	{"http", applet_http},     {"udp", applet_udp},     {"tcp", applet_tcp},
	{"probe", applet_probe},   {"pause", applet_pause}, {"exit", applet_exit},
	{"web", applet_web},       {"api", applet_api},     {"worker", applet_worker},
	{"store", applet_store},   {"first", applet_first},
};

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	const char *name = slash ? slash + 1 : argv[0];

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < sizeof(applets) / sizeof(applets[0]); i++)
			if (!strcmp(applets[i].name, name))
				return applets[i].run(argc, argv);
		if (argc < 2)
			break;
		argc--;
		argv++;
		name = argv[0];
	}
	kit_die("usage: kit http|udp|tcp|probe|first|pause|exit|web|api|worker|store ...");
}
