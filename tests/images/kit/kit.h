/* SPDX-License-Identifier: Apache-2.0
 *
 * kit.h - small servers and probes for containers in tests and examples: one static program, an
 * applet per name (see main.c).  Test code: it stands alone, without libjaco, so that a static
 * binary is one cc call. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BODY_MAX (8u << 20)

/* env.c-like helpers (net.c) */
const char *kit_env(const char *name, const char *fallback);
long kit_env_long(const char *name, long fallback);
void kit_die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
void kit_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* net.c: an IPv4 listener; a connection to a name or address, -1 and *out_why on failure. */
int kit_listen(int type, uint16_t port);
/* Both end with SIGTERM: the next connection, -1 then; true when @fd has something to read (or
 * ended). */
int kit_accept(int listener);
bool kit_wait(int fd);
int kit_connect(const char *host, uint16_t port, int timeout_ms, const char **out_why);
bool kit_read_line(int fd, char *line, size_t bytes); /* one byte at a time: short lines only */
bool kit_write(int fd, const void *data, size_t n);

/* dns.c: ask @server (NULL: the first of /etc/resolv.conf) over UDP or TCP.  Prints or collects A
 * records; returns the rcode, -1 for silence. */
int kit_dns(const char *name, uint16_t type, const char *server, bool use_tcp, int timeout_ms,
	    char addresses[][16], int max, int *out_n);
bool kit_resolve(const char *host, char out[16]);

/* sha256.c (FIPS 180-4) */
void kit_sha256_hex(const void *data, size_t n, char out[65]);

/* http.c: a small HTTP/1.1 server, a thread per connection. */
struct request {
	char method[16], path[1024], query[2048];
	char headers[64][2][512];
	int n_headers;
	char *body;
	size_t n_body;
	char peer[64];
};
struct reply {
	int status;
	const char *type;
	char *body; /* malloc'ed */
	size_t n_body;
	bool close;
};
typedef void kit_handler(const struct request *req, struct reply *rep);
void kit_http_serve(uint16_t port, kit_handler *handler) __attribute__((noreturn));
const char *kit_header(const struct request *req, const char *name);
bool kit_query(const struct request *req, const char *name, char *out, size_t bytes);
void kit_reply_text(struct reply *rep, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A whole GET; the body's first bytes in @out.  Returns the status, -1 without an answer. */
int kit_http_get(const char *host, uint16_t port, const char *path, char *out, size_t bytes);

/* Install SIGTERM: "now" dies at once, "drain" (default) finishes what is open, "ignore". */
void kit_signals(void);
extern volatile bool kit_is_draining;
extern int kit_n_open;

int applet_http(int argc, char **argv);
int applet_udp(int argc, char **argv);
int applet_tcp(int argc, char **argv);
int applet_probe(int argc, char **argv);
int applet_first(int argc, char **argv);
int applet_pause(int argc, char **argv);
int applet_exit(int argc, char **argv);
int applet_web(int argc, char **argv);
int applet_api(int argc, char **argv);
int applet_worker(int argc, char **argv);
int applet_store(int argc, char **argv);
