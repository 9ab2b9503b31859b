/* SPDX-License-Identifier: Apache-2.0
 *
 * raftd_load - writes against a raftd role socket, exact latencies.
 *
 *   raftd_load SOCKET CLIENTS SECONDS [KEYS=100000] [VALUE=100]
 *
 * Each client is one connection with one kv.txn in flight (one put below /counter/ of a service
 * record padded to VALUE bytes is not possible there, so /rollout/ carries the text).  Prints
 * writes, rate and percentiles.  The messages are packed by hand: the load must cost little beside
 * the daemon it measures. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 1024
#define SAMPLES_MAX 8000000

struct client {
	int fd;
	uint64_t sent_ns;
	uint32_t id;
	size_t got;
	uint8_t in[512];
};

static struct client clients[CLIENTS_MAX];
static uint32_t *samples;
static size_t n_samples, n_failed;
static unsigned n_keys = 100000, value_bytes = 100, next_key;

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

/* {"count": 1, "since": 1, "reason": "xxx..."}: a /restart/ record of about value_bytes. */
static size_t put_record(uint8_t *out)
{
	static char pad[65536];
	size_t n = 0, reason = value_bytes > 30 ? value_bytes - 30 : 1;

	memset(pad, 'x', sizeof(pad));
	out[n++] = 0x83;
	n += put_text(out + n, "count", 5);
	out[n++] = 1;
	n += put_text(out + n, "since", 5);
	out[n++] = 1;
	n += put_text(out + n, "reason", 6);
	n += put_text(out + n, pad, reason);
	return n;
}

/* [0, id, "kv.txn", [{"puts": [{"key": K, "value": bin}]}]] */
static void send_write(struct client *client)
{
	uint8_t out[70000], record[66000];
	char key[32];
	size_t n = 0, record_n = put_record(record);

	out[n++] = 0x94;
	out[n++] = 0x00;
	out[n++] = 0xce;
	client->id++;
	for (int i = 3; i >= 0; i--)
		out[n++] = (uint8_t)(client->id >> (8 * i));
	n += put_text(out + n, "kv.txn", 6);
	out[n++] = 0x91;
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
	n += record_n;
	client->sent_ns = now_ns();
	client->got = 0;
	if (write(client->fd, out, n) != (ssize_t)n)
		die("write");
}

static void receive(struct client *client)
{
	ssize_t n = read(client->fd, client->in + client->got, sizeof(client->in) - client->got);
	uint64_t took = now_ns() - client->sent_ns;

	if (n <= 0)
		die("read");
	client->got += (size_t)n;
	/* a whole answer is short; one that is not an error has nil (0xc0) after the id */
	if (client->got < 20)
		return;
	if (!memchr(client->in, 0xc3, client->got))
		n_failed++;
	if (n_samples < SAMPLES_MAX)
		samples[n_samples++] = (uint32_t)(took / 1000);
	send_write(client);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	unsigned long n_clients = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	double seconds = argc > 3 ? strtod(argv[3], NULL) : 0;
	int epoll = epoll_create1(0);
	uint64_t end, begin;

	if (argc < 4 || n_clients < 1 || n_clients > CLIENTS_MAX)
		return fprintf(stderr, "usage: raftd_load SOCKET CLIENTS SECONDS [KEYS] [VALUE]\n"), 2;
	if (argc > 4)
		n_keys = (unsigned)strtoul(argv[4], NULL, 10);
	if (argc > 5)
		value_bytes = (unsigned)strtoul(argv[5], NULL, 10);
	samples = calloc(SAMPLES_MAX, sizeof(*samples));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", argv[1]);
	for (unsigned long i = 0; i < n_clients; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};

		clients[i].fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (connect(clients[i].fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
			die("connect");
		epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &event);
	}
	begin = now_ns();
	end = begin + (uint64_t)(seconds * 1e9);
	for (unsigned long i = 0; i < n_clients; i++)
		send_write(&clients[i]);
	while (now_ns() < end) {
		struct epoll_event events[64];
		int n = epoll_wait(epoll, events, 64, 100);

		for (int i = 0; i < n; i++)
			receive(events[i].data.ptr);
	}
	seconds = (double)(now_ns() - begin) / 1e9;
	qsort(samples, n_samples, sizeof(*samples), compare);
	if (n_samples == 0)
		return 1;
	printf("clients=%lu n=%zu failed=%zu rate=%.0f p50_us=%u p99_us=%u max_us=%u\n", n_clients,
	       n_samples, n_failed, (double)n_samples / seconds, samples[n_samples / 2],
	       samples[(size_t)((double)n_samples * .99)], samples[n_samples - 1]);
	return n_failed > 0;
}
