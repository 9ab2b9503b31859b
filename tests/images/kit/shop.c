/* SPDX-License-Identifier: Apache-2.0
 *
 * The example application of contrib/examples/shop: four processes that need each other.
 *
 *   store    lines over TCP 6379, kept in DATA_DIR/store: GET k | SET k v | INCR k | PUSH k v |
 *            LEN k | POP k | PING       (answers "+...", "-..."; survives a restart)
 *   api      HTTP 8080: GET /items, POST /items (a line of text), GET /health; needs the store
 *   worker   takes what api queued and counts it as done; no port
 *   web      HTTP 8080: the page; asks api; GET /health
 *
 *   STORE=store:6379  API=api:8080  PORT  TITLE (web)  DATA_DIR=/data (store) */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kit.h"

#define KEYS_MAX   256
#define VALUES_MAX 1000

/* --- store --- */

static struct entry {
	char key[64];
	char *values[VALUES_MAX]; /* SET uses the first */
	int n;
} entries[KEYS_MAX];
static int n_entries;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *journal;

static struct entry *find(const char *key, bool create)
{
	for (int i = 0; i < n_entries; i++)
		if (!strcmp(entries[i].key, key))
			return &entries[i];
	if (!create || n_entries == KEYS_MAX)
		return NULL;
	snprintf(entries[n_entries].key, sizeof(entries[0].key), "%s", key);
	return &entries[n_entries++];
}

static void set_first(struct entry *e, const char *value)
{
	if (e->n == 0)
		e->n = 1;
	free(e->values[0]);
	e->values[0] = strdup(value);
}

/* Returns whether it changed anything; @answer always. */
static bool execute(const char *line, char *answer, size_t bytes)
{
	char verb[8] = "", key[64] = "", value[1024] = "";
	struct entry *e;

	sscanf(line, "%7s %63s %1023[^\n]", verb, key, value);
	e = find(key, *key != '\0');
	if (!strcmp(verb, "PING")) {
		snprintf(answer, bytes, "+PONG");
	} else if (!e) {
		snprintf(answer, bytes, "-no key");
	} else if (!strcmp(verb, "GET")) {
		snprintf(answer, bytes, e->n ? "+%s" : "-none", e->n ? e->values[0] : "");
	} else if (!strcmp(verb, "SET")) {
		set_first(e, value);
		snprintf(answer, bytes, "+OK");
		return true;
	} else if (!strcmp(verb, "INCR")) {
		snprintf(value, sizeof(value), "%ld",
			 (e->n ? strtol(e->values[0], NULL, 10) : 0) + 1);
		set_first(e, value);
		snprintf(answer, bytes, "+%s", value);
		return true;
	} else if (!strcmp(verb, "PUSH") && e->n < VALUES_MAX) {
		e->values[e->n++] = strdup(value);
		snprintf(answer, bytes, "+%d", e->n);
		return true;
	} else if (!strcmp(verb, "LEN")) {
		snprintf(answer, bytes, "+%d", e->n);
	} else if (!strcmp(verb, "POP") && e->n > 0) {
		snprintf(answer, bytes, "+%s", e->values[0]);
		free(e->values[0]);
		memmove(e->values, e->values + 1, (size_t)(--e->n) * sizeof(e->values[0]));
		e->values[e->n] = NULL;
		return true;
	} else {
		snprintf(answer, bytes, "-cannot");
	}
	return false;
}

static void open_journal(void)
{
	char path[512], line[2048], answer[2048];

	snprintf(path, sizeof(path), "%s/store", kit_env("DATA_DIR", "/data"));
	journal = fopen(path, "a+e");
	if (!journal)
		kit_die("cannot open %s", path);
	rewind(journal);
	while (fgets(line, sizeof(line), journal)) {
		line[strcspn(line, "\n")] = '\0';
		execute(line, answer, sizeof(answer));
	}
	kit_log("store: %d keys from %s", n_entries, path);
}

static void *serve_store(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char line[2048], answer[2048];

	while (kit_read_line(fd, line, sizeof(line))) {
		pthread_mutex_lock(&lock);
		if (execute(line, answer, sizeof(answer) - 1)) {
			fprintf(journal, "%s\n", line);
			fflush(journal);
		}
		pthread_mutex_unlock(&lock);
		strcat(answer, "\n");
		if (!kit_write(fd, answer, strlen(answer)))
			break;
	}
	close(fd);
	return NULL;
}

int applet_store(int argc, char **argv)
{
	int listener = kit_listen(SOCK_STREAM, (uint16_t)kit_env_long("PORT", 6379));
	pthread_t thread;
	int fd;

	(void)argc;
	(void)argv;
	kit_signals();
	open_journal();
	while ((fd = kit_accept(listener)) >= 0)
		if (pthread_create(&thread, NULL, serve_store, (void *)(intptr_t)fd) == 0)
			pthread_detach(thread);
	fclose(journal);
	return 0;
}

/* --- the others --- */

/* "host:port" from the environment. */
static uint16_t split(const char *name, const char *fallback, char *host, size_t bytes)
{
	const char *text = kit_env(name, fallback);
	const char *colon = strrchr(text, ':');

	snprintf(host, bytes, "%.*s", (int)(colon ? (size_t)(colon - text) : strlen(text)), text);
	return colon ? (uint16_t)strtoul(colon + 1, NULL, 10) : 80;
}

static bool ask_store(const char *command, char *answer, size_t bytes)
{
	char host[256];
	uint16_t port = split("STORE", "store:6379", host, sizeof(host));
	const char *why;
	int fd = kit_connect(host, port, 2000, &why);
	bool ok;

	snprintf(answer, bytes, "-%s", fd < 0 ? why : "no answer");
	if (fd < 0)
		return false;
	ok = kit_write(fd, command, strlen(command)) && kit_write(fd, "\n", 1) &&
	     kit_read_line(fd, answer, bytes);
	close(fd);
	return ok && answer[0] == '+';
}

static void on_api(const struct request *req, struct reply *rep)
{
	char host[256] = "", answer[2048], done[2048], command[1200];

	gethostname(host, sizeof(host) - 1);
	if (!strcmp(req->path, "/health")) {
		bool ok = ask_store("PING", answer, sizeof(answer));

		kit_reply_text(rep, ok ? 200 : 503, "%s\n", answer);
	} else if (!strcmp(req->path, "/items") && !strcmp(req->method, "POST")) {
		snprintf(command, sizeof(command), "PUSH queue %.*s",
			 (int)(req->n_body > 1000 ? 1000 : req->n_body),
			 req->body ? req->body : "");
		for (char *p = command; *p; p++)
			if (*p == '\n')
				*p = ' ';
		kit_reply_text(rep, ask_store(command, answer, sizeof(answer)) ? 201 : 503, "%s\n",
			       answer);
	} else if (!strcmp(req->path, "/items")) {
		bool ok = ask_store("LEN queue", answer, sizeof(answer));

		if (!ask_store("GET done", done, sizeof(done)))
			snprintf(done, sizeof(done), "+0");
		kit_reply_text(rep, ok ? 200 : 503,
			       "{\"api\":\"%s\",\"waiting\":%ld,\"done\":%ld}\n", host,
			       ok ? strtol(answer + 1, NULL, 10) : -1, strtol(done + 1, NULL, 10));
		rep->type = "application/json";
	} else {
		kit_reply_text(rep, 404, "no such path\n");
	}
}

int applet_api(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	kit_signals();
	kit_http_serve((uint16_t)kit_env_long("PORT", 8080), on_api);
}

static void on_web(const struct request *req, struct reply *rep)
{
	char host[256] = "", api[256], body[2048];
	uint16_t port = split("API", "api:8080", api, sizeof(api));
	int status;

	if (!strcmp(req->path, "/health")) {
		kit_reply_text(rep, 200, "ok\n");
		return;
	}
	gethostname(host, sizeof(host) - 1);
	status = kit_http_get(api, port, "/items", body, sizeof(body));
	rep->type = "text/html";
	kit_reply_text(rep, 200,
		       "<!doctype html><title>%s</title><h1>%s</h1>\n"
		       "<p>served by <b>%s</b>; api says %d: <code>%s</code></p>\n",
		       kit_env("TITLE", "shop"), kit_env("TITLE", "shop"), host, status, body);
}

int applet_web(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	kit_signals();
	kit_http_serve((uint16_t)kit_env_long("PORT", 8080), on_web);
}

int applet_worker(int argc, char **argv)
{
	char answer[2048];

	(void)argc;
	(void)argv;
	kit_signals();
	kit_log("worker started");
	while (!kit_is_draining) {
		if (ask_store("POP queue", answer, sizeof(answer))) {
			kit_log("did %s", answer + 1);
			ask_store("INCR done", answer, sizeof(answer));
		} else {
			usleep(500 * 1000);
		}
	}
	return 0;
}
