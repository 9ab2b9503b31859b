/* SPDX-License-Identifier: Apache-2.0
 *
 * A small HTTP/1.1 server (keep-alive, Content-Length and chunked bodies) and the `http` applet
 * that tests command by path, query and environment:
 *
 *   /                 who answers: replica, address, request line, headers, sha256 of the body
 *   (JSON) /slow?ms=N        answers after N ms          /status?code=N     that status
 *   /bytes?n=N        N bytes of 'x'              /log?line=T        T on standard output
 *   /unhealthy        /health becomes 503         /healthy           and 200 again
 *   /exit?code=N      ends the process            /crash             by SIGSEGV
 *   /health           200 or 503                  /count             requests so far
 *
 *   PORT 8080  NAME (shown)  START_DELAY_MS  UNHEALTHY=1  EXIT_AFTER_MS and EXIT_CODE
 *   SIGTERM=drain|now|ignore  FAIL_UNTIL=<file>: exits 1 until the file exists, then creates it */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "kit.h"

volatile bool kit_is_draining;
int kit_n_open;
static kit_handler *handler;

static void on_term(int signo)
{
	const char *how = kit_env("SIGTERM", "drain");

	(void)signo;
	if (!strcmp(how, "now"))
		_exit(0);
	if (strcmp(how, "ignore"))
		kit_is_draining = true;
}

void kit_signals(void)
{
	struct sigaction action = {.sa_handler = on_term};

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
}

const char *kit_header(const struct request *req, const char *name)
{
	for (int i = 0; i < req->n_headers; i++)
		if (!strcasecmp(req->headers[i][0], name))
			return req->headers[i][1];
	return NULL;
}

bool kit_query(const struct request *req, const char *name, char *out, size_t bytes)
{
	size_t n = strlen(name), used = 0;
	const char *at = req->query;

	while (at && *at) {
		if (!strncmp(at, name, n) && at[n] == '=') {
			for (at += n + 1; *at && *at != '&' && used + 1 < bytes; at++) {
				unsigned c;

				if (*at == '%' && sscanf(at + 1, "%2x", &c) == 1) {
					out[used++] = (char)c;
					at += 2;
				} else {
					out[used++] = *at == '+' ? ' ' : *at;
				}
			}
			out[used] = '\0';
			return true;
		}
		at = strchr(at, '&');
		at = at ? at + 1 : NULL;
	}
	return false;
}

void kit_reply_text(struct reply *rep, int status, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&rep->body, fmt, ap);
	va_end(ap);
	rep->status = status;
	rep->n_body = n > 0 ? (size_t)n : 0;
}

struct stream {
	int fd;
	size_t n, at;
	char data[16384];
};

static int get_char(struct stream *s)
{
	if (s->at == s->n) {
		ssize_t n = recv(s->fd, s->data, sizeof(s->data), 0);

		if (n <= 0)
			return -1;
		s->n = (size_t)n;
		s->at = 0;
	}
	return (unsigned char)s->data[s->at++];
}

static bool get_line(struct stream *s, char *line, size_t bytes)
{
	size_t n = 0;
	int c;

	while ((c = get_char(s)) >= 0) {
		if (c == '\n') {
			if (n > 0 && line[n - 1] == '\r')
				n--;
			line[n] = '\0';
			return true;
		}
		if (n + 1 >= bytes)
			return false;
		line[n++] = (char)c;
	}
	return false;
}

static bool add_body(struct stream *s, struct request *req, size_t n)
{
	if (req->n_body + n > BODY_MAX)
		return false;
	req->body = realloc(req->body, req->n_body + n + 1);
	for (size_t i = 0; i < n; i++) {
		int c = get_char(s);

		if (c < 0)
			return false;
		req->body[req->n_body++] = (char)c;
	}
	return true;
}

static bool read_body(struct stream *s, struct request *req)
{
	const char *coding = kit_header(req, "Transfer-Encoding");
	const char *length = kit_header(req, "Content-Length");
	char line[1024];

	if (coding && strcasestr(coding, "chunked")) {
		for (;;) {
			size_t n;

			if (!get_line(s, line, sizeof(line)))
				return false;
			n = strtoul(line, NULL, 16);
			if (n == 0)
				break;
			if (!add_body(s, req, n) || !get_line(s, line, sizeof(line)))
				return false;
		}
		while (get_line(s, line, sizeof(line)) && *line)
			;
		return true;
	}
	return !length || add_body(s, req, strtoul(length, NULL, 10));
}

static bool read_request(struct stream *s, struct request *req)
{
	char line[4096], target[3072];
	char *question;

	if (!get_line(s, line, sizeof(line)) ||
	    sscanf(line, "%15s %3071s", req->method, target) != 2)
		return false;
	question = strchr(target, '?');
	if (question) {
		*question = '\0';
		snprintf(req->query, sizeof(req->query), "%s", question + 1);
	}
	snprintf(req->path, sizeof(req->path), "%.*s", (int)sizeof(req->path) - 1, target);
	while (get_line(s, line, sizeof(line)) && *line) {
		char *colon = strchr(line, ':');

		if (!colon || req->n_headers == 64)
			return false;
		*colon = '\0';
		for (colon++; isspace((unsigned char)*colon); colon++)
			;
		snprintf(req->headers[req->n_headers][0], 512, "%.511s", line);
		snprintf(req->headers[req->n_headers++][1], 512, "%.511s", colon);
	}
	return read_body(s, req);
}

static bool serve_one(struct stream *s, const char *peer)
{
	struct request *req = calloc(1, sizeof(*req));
	struct reply rep = {.status = 200, .type = "text/plain"};
	const char *connection;
	bool keep = read_request(s, req);
	char head[512];
	int n;

	if (keep) {
		snprintf(req->peer, sizeof(req->peer), "%s", peer);
		handler(req, &rep);
		connection = kit_header(req, "Connection");
		keep = !rep.close && !kit_is_draining &&
		       !(connection && strcasestr(connection, "close"));
		n = snprintf(head, sizeof(head),
			     "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n",
			     rep.status, rep.status < 400 ? "OK" : "Error", rep.type, rep.n_body,
			     keep ? "" : "Connection: close\r\n");
		keep = kit_write(s->fd, head, (size_t)n) &&
		       (!strcmp(req->method, "HEAD") || kit_write(s->fd, rep.body, rep.n_body)) &&
		       keep;
	}
	free(rep.body);
	free(req->body);
	free(req);
	return keep;
}

static void *serve_connection(void *arg)
{
	struct stream *s = calloc(1, sizeof(*s));
	struct sockaddr_in addr;
	socklen_t n = sizeof(addr);
	char host[16] = "?", peer[64];

	s->fd = (int)(intptr_t)arg;
	if (getpeername(s->fd, (struct sockaddr *)&addr, &n) == 0)
		inet_ntop(AF_INET, &addr.sin_addr, host, sizeof(host));
	snprintf(peer, sizeof(peer), "%s:%u", host, ntohs(addr.sin_port));
	/* An idle connection ends when the server drains, one with a request in it is served. */
	while ((s->at < s->n || kit_wait(s->fd)) && serve_one(s, peer))
		;
	close(s->fd);
	free(s);
	__atomic_sub_fetch(&kit_n_open, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

void kit_http_serve(uint16_t port, kit_handler *fn)
{
	int listener = kit_listen(SOCK_STREAM, port);
	pthread_attr_t attr;
	pthread_t thread;
	int fd;

	handler = fn;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 * 1024);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	kit_log("listening on port %u", port);
	/* After SIGTERM what waits in the backlog is served too, but not whoever comes for ever. */
	for (int late = 0; late < 64 && (fd = kit_accept(listener)) >= 0; late += kit_is_draining) {
		/* Head and body are two writes: without this the second waits for an ACK, 40 ms. */
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
		__atomic_add_fetch(&kit_n_open, 1, __ATOMIC_SEQ_CST);
		if (pthread_create(&thread, &attr, serve_connection, (void *)(intptr_t)fd)) {
			__atomic_sub_fetch(&kit_n_open, 1, __ATOMIC_SEQ_CST);
			close(fd);
		}
	}
	close(listener);
	for (int i = 0; i < 50 && __atomic_load_n(&kit_n_open, __ATOMIC_SEQ_CST) > 0; i++)
		usleep(100 * 1000);
	kit_log("drained");
	exit(0);
}

int kit_http_get(const char *host, uint16_t port, const char *path, char *out, size_t bytes)
{
	const char *why;
	char request[1024], *body;
	char *data = calloc(1, 65536);
	size_t used = 0;
	int status = -1, n, fd = kit_connect(host, port, 3000, &why);
	ssize_t got;

	if (fd >= 0) {
		n = snprintf(request, sizeof(request),
			     "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path,
			     host);
		kit_write(fd, request, (size_t)n);
		while (used < 65535 && (got = recv(fd, data + used, 65535 - used, 0)) > 0)
			used += (size_t)got;
		close(fd);
		if (sscanf(data, "HTTP/1.%*d %d", &status) != 1)
			status = -1;
	}
	body = strstr(data, "\r\n\r\n");
	snprintf(out, bytes, "%s", body ? body + 4 : "");
	free(data);
	return status;
}

static bool is_unhealthy;
static long n_requests;

static void add_json_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++)
		if (*text == '"' || *text == '\\' || (unsigned char)*text < 0x20)
			fprintf(out, "\\u%04x", (unsigned char)*text);
		else
			fputc(*text, out);
	fputc('"', out);
}

static void describe(const struct request *req, struct reply *rep)
{
	char host[256] = "", hash[65];
	FILE *out = open_memstream(&rep->body, &rep->n_body);

	gethostname(host, sizeof(host) - 1);
	kit_sha256_hex(req->body ? req->body : "", req->n_body, hash);
	fprintf(out, "{\"replica\":");
	add_json_text(out, host);
	fprintf(out, ",\"name\":");
	add_json_text(out, kit_env("NAME", ""));
	fprintf(out, ",\"method\":\"%s\",\"path\":", req->method);
	add_json_text(out, req->path);
	fprintf(out, ",\"query\":");
	add_json_text(out, req->query);
	fprintf(out, ",\"peer\":\"%s\",\"body_bytes\":%zu,\"body_sha256\":\"%s\",\"headers\":{",
		req->peer, req->n_body, hash);
	for (int i = 0; i < req->n_headers; i++) {
		fputs(i ? "," : "", out);
		add_json_text(out, req->headers[i][0]);
		fputc(':', out);
		add_json_text(out, req->headers[i][1]);
	}
	fprintf(out, "}}\n");
	fclose(out);
	rep->type = "application/json";
}

static void on_request(const struct request *req, struct reply *rep)
{
	char value[1024] = "";
	long number = __atomic_add_fetch(&n_requests, 1, __ATOMIC_SEQ_CST);

	if (!strcmp(req->path, "/health")) {
		bool bad = __atomic_load_n(&is_unhealthy, __ATOMIC_SEQ_CST);

		kit_reply_text(rep, bad ? 503 : 200, "%s\n", bad ? "unhealthy" : "healthy");
	} else if (!strcmp(req->path, "/unhealthy") || !strcmp(req->path, "/healthy")) {
		__atomic_store_n(&is_unhealthy, req->path[1] == 'u', __ATOMIC_SEQ_CST);
		kit_reply_text(rep, 200, "ok\n");
	} else if (!strcmp(req->path, "/slow") && kit_query(req, "ms", value, sizeof(value))) {
		usleep((useconds_t)strtoul(value, NULL, 10) * 1000);
		describe(req, rep);
	} else if (!strcmp(req->path, "/status") && kit_query(req, "code", value, sizeof(value))) {
		kit_reply_text(rep, (int)strtol(value, NULL, 10), "as asked\n");
	} else if (!strcmp(req->path, "/bytes") && kit_query(req, "n", value, sizeof(value))) {
		rep->n_body = strtoul(value, NULL, 10) % (64u << 20);
		rep->body = malloc(rep->n_body + 1);
		memset(rep->body, 'x', rep->n_body);
	} else if (!strcmp(req->path, "/log") && kit_query(req, "line", value, sizeof(value))) {
		kit_log("%s", value);
		kit_reply_text(rep, 200, "ok\n");
	} else if (!strcmp(req->path, "/exit")) {
		kit_query(req, "code", value, sizeof(value));
		_exit((int)strtol(value, NULL, 10));
	} else if (!strcmp(req->path, "/crash")) {
		raise(SIGSEGV);
	} else if (!strcmp(req->path, "/count")) {
		kit_reply_text(rep, 200, "%ld\n", number);
	} else {
		describe(req, rep);
	}
}

static void *exit_later(void *arg)
{
	usleep((useconds_t)((intptr_t)arg * 1000));
	_exit((int)kit_env_long("EXIT_CODE", 1));
}

int applet_http(int argc, char **argv)
{
	const char *until = kit_env("FAIL_UNTIL", NULL);
	long after = kit_env_long("EXIT_AFTER_MS", -1);
	pthread_t thread;

	kit_signals();
	if (until && access(until, F_OK) < 0) {
		FILE *mark = fopen(until, "we");

		if (mark)
			fclose(mark);
		kit_die("failing once, as asked");
	}
	if (after >= 0 && pthread_create(&thread, NULL, exit_later, (void *)(intptr_t)after))
		kit_die("thread");
	is_unhealthy = kit_env_long("UNHEALTHY", 0);
	usleep((useconds_t)kit_env_long("START_DELAY_MS", 0) * 1000);
	kit_http_serve((uint16_t)(argc > 1 ? strtoul(argv[1], NULL, 10)
					   : (unsigned long)kit_env_long("PORT", 8080)),
		       on_request);
}
