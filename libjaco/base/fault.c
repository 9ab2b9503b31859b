/* SPDX-License-Identifier: Apache-2.0
 *
 * fault.c - reads JACO_FAULT once and acts at the named points. */
#include "libjaco/base/fault.h"

#ifdef JACO_FAULTS

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libjaco/base/str.h"

#define RULES_MAX       16
#define FAULT_EXIT_CODE 99

struct rule {
	char verb[16];
	char name[40];
	unsigned passes;
	unsigned ms;
};

static struct rule rules[RULES_MAX];
static size_t n_rules;
static bool is_read;

static void read_rule(const char *text)
{
	struct rule *rule = &rules[n_rules];
	unsigned passes = 1;

	memset(rule, 0, sizeof(*rule));
	if (sscanf(text, "%15[a-z]%u:%39[a-z_]*%u", rule->verb, &rule->ms, rule->name, &passes) <
		    3 &&
	    sscanf(text, "%15[a-z]:%39[a-z_]*%u", rule->verb, rule->name, &passes) < 2)
		return;
	rule->passes = passes;
	n_rules++;
}

static void read_rules(void)
{
	const char *text = getenv("JACO_FAULT");
	char copy[512];
	char *save = NULL;

	is_read = true;
	if (!text || !jaco_str_copy(copy, sizeof(copy), text))
		return;
	for (char *at = strtok_r(copy, ",", &save); at && n_rules < RULES_MAX;
	     at = strtok_r(NULL, ",", &save))
		read_rule(at);
}

static struct rule *find(const char *verb, const char *name)
{
	if (!is_read)
		read_rules();
	for (size_t i = 0; i < n_rules; i++)
		if (strcmp(rules[i].verb, verb) == 0 && strcmp(rules[i].name, name) == 0 &&
		    rules[i].passes > 0)
			return &rules[i];
	return NULL;
}

void jaco_fault_point(const char *name)
{
	struct rule *rule = find("exit", name);

	if (rule && --rule->passes == 0)
		_exit(FAULT_EXIT_CODE);
	rule = find("sleep", name);
	if (rule)
		(void)poll(NULL, 0, (int)rule->ms);
}

bool jaco_fault_fails(const char *name)
{
	struct rule *rule = find("fail", name);

	if (!rule)
		return false;
	rule->passes--;
	return true;
}

long jaco_fault_number(const char *name, long otherwise)
{
	struct rule *rule = find("set", name);

	return rule ? (long)rule->ms : otherwise;
}

#endif
