/* SPDX-License-Identifier: Apache-2.0
 *
 * answers - the golden suite of dnsd: a standalone file, "---", then one query a line:
 *
 *     SCOPE NAME TYPE [tcp] [edns=BYTES] [do] [cd] [norec] [from=ADDRESS] [version=N] [opcode=N]
 *     [class=N] SCOPE hex BYTES
 *
 * Replies are read back by ldns, so that what is printed was understood by somebody else. */
#include <ldns/ldns.h>
#include <stdio.h>
#include <string.h>

#include "daemons/dnsd/answer.h"
#include "daemons/dnsd/standalone.h"
#include "libjaco/base/str.h"
#include "tests/unit/dnsd/dns_text.h"

#define SEED 20261121

static uint8_t msg[ANSWER_BUFFER_BYTES];
static struct answer_from from;

static const struct zone *find_scope(const struct standalone *file, char *scope)
{
	char *slash = strchr(scope, '/');

	if (slash)
		*slash = '\0';
	return zone_table_find(file->table, scope, slash ? slash + 1 : "default");
}

static unsigned number(const char *text)
{
	uint64_t value = 0;

	(void)jaco_str_to_u64(text, UINT32_MAX, &value); /* a wrong one shows in the output */
	return (unsigned)value;
}

/* The query a line's words describe; sets *@out_tcp. */
static size_t make_query(const char *name, const char *type, char *rest, bool *out_tcp)
{
	size_t n =
		dns_query(msg, jaco_str_eq(name, ".") ? "" : name, ldns_get_rr_type_by_name(type));
	unsigned edns = 0, version = 0;
	bool dnssec_ok = false;
	char *save = NULL;

	for (char *word = strtok_r(rest, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (jaco_str_eq(word, "tcp"))
			*out_tcp = true;
		else if (jaco_str_starts(word, "edns="))
			edns = number(word + 5);
		else if (jaco_str_eq(word, "do"))
			dnssec_ok = true;
		else if (jaco_str_eq(word, "cd"))
			msg[3] |= PACKET_CD;
		else if (jaco_str_eq(word, "norec"))
			msg[2] &= (uint8_t)~PACKET_RD;
		else if (jaco_str_starts(word, "from=") &&
			 jaco_ipv4_parse(word + 5, &from.source))
			continue;
		else if (jaco_str_starts(word, "version="))
			version = number(word + 8);
		else if (jaco_str_starts(word, "opcode="))
			msg[2] |= (uint8_t)(number(word + 7) << 3);
		else if (jaco_str_starts(word, "class="))
			packet_put16(msg + n - 2, number(word + 6));
		else
			printf("  unknown word %s\n", word);
	}
	return edns ? dns_query_edns(msg, n, edns, version, dnssec_ok) : n;
}

static size_t make_raw(char *hex)
{
	size_t n = strlen(hex) / 2;

	return jaco_hex_decode(hex, msg, n) ? n : 0;
}

static void print_list(const char *title, const ldns_rr_list *list)
{
	for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
		char *text = ldns_rr2str(ldns_rr_list_rr(list, i));

		printf("  %s %s", title, text);
		LDNS_FREE(text);
	}
}

static void print_reply(size_t n)
{
	ldns_pkt *pkt = NULL;
	ldns_status status = ldns_wire2pkt(&pkt, msg, n);
	char *rcode;

	if (status != LDNS_STATUS_OK) {
		printf("  unreadable: %s\n", ldns_get_errorstr_by_id(status));
		return;
	}
	rcode = ldns_pkt_rcode2str(ldns_pkt_get_rcode(pkt));
	printf("  %s%s%s%s%s%s%s %zu bytes\n", rcode, ldns_pkt_qr(pkt) ? " qr" : "",
	       ldns_pkt_aa(pkt) ? " aa" : "", ldns_pkt_tc(pkt) ? " tc" : "",
	       ldns_pkt_rd(pkt) ? " rd" : "", ldns_pkt_ra(pkt) ? " ra" : "",
	       ldns_pkt_cd(pkt) ? " cd" : "", n);
	LDNS_FREE(rcode);
	print_list("question", ldns_pkt_question(pkt));
	print_list("answer", ldns_pkt_answer(pkt));
	print_list("authority", ldns_pkt_authority(pkt));
	print_list("additional", ldns_pkt_additional(pkt));
	if (ldns_pkt_edns(pkt))
		printf("  edns version %u udp %u extended %u%s\n", ldns_pkt_edns_version(pkt),
		       ldns_pkt_edns_udp_size(pkt), ldns_pkt_edns_extended_rcode(pkt),
		       ldns_pkt_edns_do(pkt) ? " do" : "");
	ldns_pkt_free(pkt);
}

static void run_line(const struct standalone *file, char *line)
{
	char *save = NULL, *scope, *name, *type;
	uint64_t prng = SEED;
	struct answer answer;
	bool is_tcp = false;
	size_t n;

	printf("> %s\n", line);
	scope = strtok_r(line, " ", &save);
	name = strtok_r(NULL, " ", &save);
	type = strtok_r(NULL, " ", &save);
	if (!scope || !name || !type) {
		printf("  wants SCOPE NAME TYPE\n");
		return;
	}
	from = (struct answer_from){.zone = find_scope(file, scope)};
	n = jaco_str_eq(name, "hex") ? make_raw(type) : make_query(name, type, save, &is_tcp);
	switch (answer_query(&from, is_tcp, &prng, msg, n, sizeof(msg), &answer)) {
	case ANSWER_REPLY:
		print_reply(answer.n);
		return;
	case ANSWER_FORWARD:
		printf("  forwarded\n");
		return;
	case ANSWER_DROP:
		printf("  silence\n");
		return;
	}
}

int main(int argc, char **argv)
{
	static char text[1 << 20];
	struct standalone file = STANDALONE_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	FILE *in = argc == 2 ? fopen(argv[1], "r") : NULL;
	char *queries, *save = NULL;

	if (!in)
		return 2;
	text[fread(text, 1, sizeof(text) - 1, in)] = '\0';
	fclose(in);
	queries = strstr(text, "\n---\n");
	if (!queries || standalone_parse(text, (size_t)(queries - text), 7, &file, &err) < 0) {
		fprintf(stderr, "%s\n", queries ? err.text : "no ---");
		return 1;
	}
	for (char *line = strtok_r(queries + 5, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (*line != '#')
			run_line(&file, line);
	standalone_fini(&file);
	return 0;
}
