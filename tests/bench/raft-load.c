/* SPDX-License-Identifier: Apache-2.0
 *
 * raft-load - writes against the role sockets of raftd, exact latencies.
 *
 *   raft-load load SOCKET CONNS STREAMS SECS|nCOUNT [VALUE=100] [KEYS=100000]
 *             closed loop, CONNS * STREAMS writes in flight; prints n= secs= err= p50_us= p99_us=
 *             max_us= cpu_us_per_op=
 *   raft-load probe MS SOCKET...   a write at one socket after the other, each given 100 ms, until
 *             one commits or MS are over; prints ok=1 ms= at=
 *   raft-load metric SOCKET NAME   one value of `metrics`, from a control socket
 *
 * A write is a kv.txn with one put of VALUE bytes below /restart/, as schedd sends them.  The
 * messages are packed by hand: the load must cost little beside the daemon it measures. */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CONNS_MAX   1024
#define STREAMS_MAX 256
#define SAMPLES_MAX 8000000
#define IN_BYTES    262144
#define OUT_BYTES   (STREAMS_MAX * 1200)
#define VALUE_MAX   1000

struct conn {
	int fd;
	uint64_t sent_ns[STREAMS_MAX];
	size_t in_n, out_n;
	size_t n_inflight;
	uint8_t *in, *out;
};

static struct conn conns[CONNS_MAX];
static uint32_t *samples;
static size_t n_samples, n_failed, n_started, n_limit = SIZE_MAX;
static unsigned n_keys = 100000, next_key;
static uint8_t record[VALUE_MAX + 64];
static size_t record_n;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* --- packing --- */

static size_t put_text(uint8_t *out, const char *text, size_t n)
{
	if (n < 32) {
		out[0] = (uint8_t)(0xa0 | n);
		memcpy(out + 1, text, n);
		return n + 1;
	}
	out[0] = 0xda;
	out[1] = (uint8_t)(n >> 8);
	out[2] = (uint8_t)n;
	memcpy(out + 3, text, n);
	return n + 3;
}

/* {"count": 1, "since": 1, "reason": "xxx..."}: a /restart/ record of @bytes. */
static void make_record(size_t bytes)
{
	char pad[VALUE_MAX];

	memset(pad, 'x', sizeof(pad));
	record[record_n++] = 0x83;
	record_n += put_text(record + record_n, "count", 5);
	record[record_n++] = 1;
	record_n += put_text(record + record_n, "since", 5);
	record[record_n++] = 1;
	record_n += put_text(record + record_n, "reason", 6);
	record_n +=
		put_text(record + record_n, pad, bytes > record_n + 3 ? bytes - record_n - 3 : 1);
}

static size_t put_head(uint8_t *out, uint32_t id, const char *method)
{
	size_t n = 0;

	out[n++] = 0x94;
	out[n++] = 0x00;
	out[n++] = 0xce;
	for (int i = 3; i >= 0; i--)
		out[n++] = (uint8_t)(id >> (8 * i));
	n += put_text(out + n, method, strlen(method));
	out[n++] = 0x91;
	return n;
}

/* [0, id, "kv.txn", [{"puts": [{"key": K, "value": bin}]}]] */
static size_t put_write(uint8_t *out, uint32_t id)
{
	size_t n = put_head(out, id, "kv.txn");
	char key[32];

	out[n++] = 0x81;
	n += put_text(out + n, "puts", 4);
	out[n++] = 0x91;
	out[n++] = 0x82;
	n += put_text(out + n, "key", 3);
	snprintf(key, sizeof(key), "/restart/load-%08u", next_key++ % n_keys);
	n += put_text(out + n, key, strlen(key));
	n += put_text(out + n, "value", 5);
	out[n++] = 0xc5;
	out[n++] = (uint8_t)(record_n >> 8);
	out[n++] = (uint8_t)record_n;
	memcpy(out + n, record, record_n);
	return n + record_n;
}

/* --- reading --- */

static size_t be(const uint8_t *at, size_t n)
{
	size_t value = 0;

	while (n-- > 0)
		value = value << 8 | *at++;
	return value;
}

/* Bytes of the value at @at, 0 when it is not whole yet. */
static size_t value_size(const uint8_t *at, size_t n)
{
	static const uint8_t sizes[32] = {1, 1, 1, 1, 2, 3, 5, 3, 4, 6, 5, 9, 2, 3, 5, 9,
					  2, 3, 5, 9, 3, 4, 6, 10, 18, 2, 3, 5, 3, 5, 3, 5};
	size_t head, items = 0, bytes = 0, used;
	uint8_t b;

	if (n == 0)
		return 0;
	b = at[0];
	head = b >= 0xc0 && b < 0xe0 ? sizes[b - 0xc0] : 1;
	if (n < head)
		return 0;
	if ((b & 0xe0) == 0xa0)
		bytes = b & 31;
	else if ((b & 0xf0) == 0x90)
		items = b & 15;
	else if ((b & 0xf0) == 0x80)
		items = 2 * (size_t)(b & 15);
	else if (b >= 0xc4 && b <= 0xc6)
		bytes = be(at + 1, (size_t)1 << (b - 0xc4));
	else if (b >= 0xd9 && b <= 0xdb)
		bytes = be(at + 1, (size_t)1 << (b - 0xd9));
	else if (b == 0xdc || b == 0xdd)
		items = be(at + 1, head - 1);
	else if (b == 0xde || b == 0xdf)
		items = 2 * be(at + 1, head - 1);
	used = head + bytes;
	while (used <= n && items-- > 0) {
		size_t one = value_size(at + used, n - used);

		if (one == 0)
			return 0;
		used += one;
	}
	return used <= n ? used : 0;
}

/* [1, id, error, result]: nil stands where the error would, and "succeeded" is true. */
static bool is_success(const uint8_t *reply, size_t n, uint32_t *out_id)
{
	size_t at = 2, size = value_size(reply + at, n - at);

	*out_id = size == 1 ? reply[at] : (uint32_t)be(reply + at + 1, size - 1);
	at += size;
	return reply[at] == 0xc0 && memchr(reply + at, 0xc3, n - at);
}

static int dial(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* One question, one answer.  Answers its size, 0: not within @ms. */
static size_t ask(int fd, const uint8_t *question, size_t n, uint8_t *in, size_t in_max, int ms)
{
	uint64_t end = now_ns() + (uint64_t)ms * 1000000;
	size_t got = 0, size;

	if (write(fd, question, n) != (ssize_t)n)
		return 0;
	for (;;) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		uint64_t now = now_ns();
		ssize_t part;

		if (now >= end || poll(&poll_fd, 1, (int)((end - now) / 1000000) + 1) <= 0)
			return 0;
		part = read(fd, in + got, in_max - got);
		if (part <= 0)
			return 0;
		got += (size_t)part;
		size = value_size(in, got);
		if (size > 0)
			return size;
	}
}

/* --- load --- */

static void start_write(struct conn *conn, uint32_t slot)
{
	if (n_started >= n_limit)
		return;
	n_started++;
	conn->n_inflight++;
	conn->sent_ns[slot] = now_ns();
	conn->out_n += put_write(conn->out + conn->out_n, slot);
}

static void send_out(struct conn *conn)
{
	size_t sent = 0;

	while (sent < conn->out_n) {
		ssize_t n = write(conn->fd, conn->out + sent, conn->out_n - sent);

		if (n < 0)
			die("write");
		sent += (size_t)n;
	}
	conn->out_n = 0;
}

static void receive(struct conn *conn, bool is_over)
{
	ssize_t n = read(conn->fd, conn->in + conn->in_n, IN_BYTES - conn->in_n);
	uint64_t now = now_ns();
	size_t at = 0, size;

	if (n <= 0)
		die("read");
	conn->in_n += (size_t)n;
	while ((size = value_size(conn->in + at, conn->in_n - at)) > 0) {
		uint32_t slot;

		if (!is_success(conn->in + at, size, &slot))
			n_failed++;
		else if (n_samples < SAMPLES_MAX)
			samples[n_samples++] = (uint32_t)((now - conn->sent_ns[slot]) / 1000);
		at += size;
		conn->n_inflight--;
		if (!is_over)
			start_write(conn, slot);
	}
	memmove(conn->in, conn->in + at, conn->in_n - at);
	conn->in_n -= at;
	send_out(conn);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int load(const char *path, size_t n_conns, size_t n_streams, double seconds)
{
	struct pollfd polls[CONNS_MAX];
	uint64_t begin, end;
	struct rusage usage;
	size_t n_live = 1;

	samples = calloc(SAMPLES_MAX, sizeof(*samples));
	for (size_t i = 0; i < n_conns; i++) {
		conns[i].fd = dial(path);
		if (conns[i].fd < 0)
			die(path);
		conns[i].in = malloc(IN_BYTES);
		conns[i].out = malloc(OUT_BYTES);
		polls[i] = (struct pollfd){.fd = conns[i].fd, .events = POLLIN};
	}
	begin = now_ns();
	end = begin + (uint64_t)(seconds * 1e9);
	for (size_t i = 0; i < n_conns; i++) {
		for (uint32_t slot = 0; slot < n_streams; slot++)
			start_write(&conns[i], slot);
		send_out(&conns[i]);
	}
	while (n_live > 0) {
		if (poll(polls, n_conns, 10000) <= 0)
			die("no answer for 10 s");
		n_live = 0;
		for (size_t i = 0; i < n_conns; i++) {
			if (polls[i].revents)
				receive(&conns[i], now_ns() >= end);
			n_live += conns[i].n_inflight;
		}
	}
	seconds = (double)(now_ns() - begin) / 1e9;
	qsort(samples, n_samples, sizeof(*samples), compare);
	getrusage(RUSAGE_SELF, &usage);
	if (n_samples == 0)
		return 1;
	printf("n=%zu secs=%.3f err=%zu p50_us=%u p99_us=%u max_us=%u cpu_us_per_op=%.2f\n",
	       n_samples, seconds, n_failed, samples[n_samples / 2],
	       samples[(size_t)((double)n_samples * .99)], samples[n_samples - 1],
	       ((double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
		(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)) /
		       (double)n_samples);
	return n_failed > 0;
}

/* --- probe, metric --- */

static bool try_write(const char *path)
{
	uint8_t out[VALUE_MAX + 256], in[4096];
	int fd = dial(path);
	uint32_t id;
	size_t n;

	if (fd < 0)
		return false;
	n = ask(fd, out, put_write(out, 1), in, sizeof(in), 100);
	close(fd);
	return n > 0 && is_success(in, n, &id);
}

static int probe(unsigned long ms, char **paths, int n_paths)
{
	uint64_t begin = now_ns();

	for (int i = 0; now_ns() - begin < ms * 1000000ull; i = (i + 1) % n_paths) {
		if (try_write(paths[i])) {
			printf("ok=1 ms=%.1f at=%s\n", (double)(now_ns() - begin) / 1e6, paths[i]);
			return 0;
		}
		usleep(500);
	}
	printf("ok=0\n");
	return 1;
}

static int metric(const char *path, const char *name)
{
	static uint8_t in[IN_BYTES + 1];
	uint8_t out[64];
	size_t n = put_head(out, 1, "metrics");
	int fd = dial(path);
	char line[128];
	char *at;

	out[n++] = 0x80;
	if (fd < 0 || ask(fd, out, n, in, IN_BYTES, 1000) == 0)
		return 1;
	snprintf(line, sizeof(line), "\n%s ", name);
	at = memmem(in, IN_BYTES, line, strlen(line));
	if (!at)
		return 1;
	printf("%.0f\n", strtod(at + strlen(line), NULL));
	return 0;
}

static unsigned long number(const char *text, unsigned long min, unsigned long max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || n < min || n > max) {
		fprintf(stderr, "%s is not from %lu to %lu\n", text, min, max);
		exit(2);
	}
	return n;
}

int main(int argc, char **argv)
{
	make_record(argc > 6 && strcmp(argv[1], "load") == 0 ? number(argv[6], 30, VALUE_MAX)
							     : 100);
	if (argc > 3 && strcmp(argv[1], "probe") == 0)
		return probe(number(argv[2], 1, 600000), argv + 3, argc - 3);
	if (argc == 4 && strcmp(argv[1], "metric") == 0)
		return metric(argv[2], argv[3]);
	if (argc < 6 || strcmp(argv[1], "load") != 0) {
		fprintf(stderr, "usage: see the head of raft-load.c\n");
		return 2;
	}
	if (argc > 7)
		n_keys = (unsigned)number(argv[7], 1, 99999999);
	if (argv[5][0] == 'n')
		n_limit = number(argv[5] + 1, 1, 99999999);
	return load(argv[2], number(argv[3], 1, CONNS_MAX), number(argv[4], 1, STREAMS_MAX),
		    argv[5][0] == 'n' ? 1e6 : (double)number(argv[5], 1, 3600));
}
