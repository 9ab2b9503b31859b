/* SPDX-License-Identifier: Apache-2.0
 *
 * answer.c - see answer.h.
 *
 * Order of decisions: can it be read, is it a kind of query we serve, is the name ours (in the
 * asked scope, else in another one of the replica that asks), has the name that type.  The reply is
 * written behind the question, which thereby keeps its case. */
#include "daemons/dnsd/answer.h"

#include <string.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/auto.h"
#include "libjaco/base/random.h"

/* A name may come into being any moment, so absence is told with a lifetime that no cache keeps;
 * other types of a known name stay absent (RFC 2308 section 5). */
#define ABSENT_TTL_S     0
#define OTHER_TYPE_TTL_S ZONE_TTL_S

#define SOA_REFRESH_S 5
#define SOA_EXPIRE_S  60
#define SRV_FIXED     18 /* pointer, type, class, TTL, length, priority, weight, port */

/* The reply while it is written. */
struct reply {
	uint8_t *msg;
	size_t n;
	size_t limit; /* records end before this; room for OPT is kept apart */
	bool is_cut;
};

/* What a name without entry of its own is: below a service it may ask for its ports. */
struct service_name {
	const struct zone_entry *entry; /* the service, NULL when it is no such name */
	size_t at;                      /* where the service's name begins; 0: no such form */
	uint16_t port;                  /* 0: not a port we could know */
	bool is_parent;                 /* "_tcp.<service>" itself */
};

struct request {
	const struct zone *zone; /* that has the name; the asked one when none has */
	const struct packet_query *query;
	const struct zone_entry *entry;
	struct service_name service; /* known when there is no entry */
	const struct zone *const *siblings; /* known when the asked zone has neither */
	size_t n_siblings;
	uint64_t *prng;
	uint32_t source; /* of who asks; 0: unknown */
};

static const uint8_t *qname(const uint8_t *msg)
{
	return msg + PACKET_HEADER_BYTES;
}

static void count_up(uint8_t *msg, unsigned section, unsigned n)
{
	uint8_t *at = msg + 6 + 2 * section;

	packet_put16(at, packet_get16(at) + n);
}

/* A number below @n from one multiplication: the bias of 2^-32 is no matter for a rotation. */
static size_t pick_start(uint64_t *prng, size_t n)
{
	return n < 2 ? 0 : (size_t)((jaco_prng_next(prng) >> 32) * n >> 32);
}

static void put_addresses(struct reply *reply, const struct request *request)
{
	const struct zone_entry *e = request->entry;
	size_t want = JACO_MIN(e->n_members, ZONE_ANSWERS_MAX);
	size_t fit = (reply->limit - reply->n) / ZONE_RECORD_BYTES;
	size_t n = JACO_MIN(want, fit);
	size_t start = pick_start(request->prng, e->n_members);

	if (n > 0)
		memcpy(reply->msg + reply->n, e->body + start * ZONE_RECORD_BYTES,
		       n * ZONE_RECORD_BYTES);
	reply->n += n * ZONE_RECORD_BYTES;
	reply->is_cut = n < want;
	count_up(reply->msg, 0, (unsigned)n);
}

/* Start of a record owned by the question (@owner_at from the packet's start). */
static uint8_t *put_head(struct reply *reply, size_t owner_at, enum packet_type type, uint32_t ttl,
			 size_t data_n)
{
	uint8_t *p = reply->msg + reply->n;

	packet_put16(p, (unsigned)(0xc000 | owner_at));
	packet_put16(p + 2, type);
	packet_put16(p + 4, PACKET_CLASS_IN);
	packet_put32(p + 6, ttl);
	packet_put16(p + 10, (unsigned)data_n);
	return p + 12;
}

static bool has_room(struct reply *reply, size_t bytes)
{
	if (reply->limit - reply->n >= bytes)
		return true;
	reply->is_cut = true;
	return false;
}

/* SOA for a negative answer (RFC 2308 section 3).  Inside our domains the owner is the domain; a
 * bare name has no zone that is ours, so it is told as a zone of its own. */
static void put_soa(struct reply *reply, const struct request *request, unsigned section,
		    uint32_t ttl)
{
	size_t owner = PACKET_HEADER_BYTES +
		       zone_owner_offset(request->zone, qname(reply->msg), request->query->name_n);
	uint8_t *p;

	if (!has_room(reply, 12 + 24))
		return;
	p = put_head(reply, owner, PACKET_TYPE_SOA, ttl, 24);
	packet_put16(p, (unsigned)(0xc000 | owner));     /* MNAME */
	packet_put16(p + 2, (unsigned)(0xc000 | owner)); /* RNAME */
	packet_put32(p + 4, zone_serial(request->zone));
	packet_put32(p + 8, SOA_REFRESH_S);
	packet_put32(p + 12, SOA_REFRESH_S);
	packet_put32(p + 16, SOA_EXPIRE_S);
	packet_put32(p + 20, ttl);
	reply->n += 12 + 24;
	count_up(reply->msg, section, 1);
}

static void put_pointer(struct reply *reply, const struct request *request)
{
	const struct zone_member *member = &request->entry->members[0];

	if (!has_room(reply, 12u + member->target_n))
		return;
	memcpy(put_head(reply, PACKET_HEADER_BYTES, PACKET_TYPE_PTR, ZONE_TTL_S, member->target_n),
	       member->target, member->target_n);
	reply->n += 12u + member->target_n;
	count_up(reply->msg, 0, 1);
}

/* RFC 8482 section 4.2: one HINFO instead of everything. */
static void put_hinfo(struct reply *reply)
{
	static const uint8_t hinfo[] = "\7RFC8482"; /* and the empty OS string, its NUL */

	if (!has_room(reply, 12 + sizeof(hinfo)))
		return;
	memcpy(put_head(reply, PACKET_HEADER_BYTES, PACKET_TYPE_HINFO, ZONE_TTL_S, sizeof(hinfo)),
	       hinfo, sizeof(hinfo));
	reply->n += 12 + sizeof(hinfo);
	count_up(reply->msg, 0, 1);
}

/* RFC 2782: target names are not compressed in the data; their addresses follow as additional
 * records, left out silently where there is no room (RFC 2181 section 9). */
static void put_services(struct reply *reply, const struct request *request, uint16_t port)
{
	const struct zone_entry *e = request->entry;
	size_t want = JACO_MIN(e->n_members, ZONE_ANSWERS_MAX);
	size_t start = pick_start(request->prng, e->n_members);
	size_t target_at[ZONE_ANSWERS_MAX];
	size_t n = 0;

	for (; n < want; n++) {
		const struct zone_member *m = &e->members[(start + n) % e->n_members];
		uint8_t *p;

		if (!has_room(reply, SRV_FIXED + (size_t)m->target_n))
			break;
		p = put_head(reply, PACKET_HEADER_BYTES, PACKET_TYPE_SRV, ZONE_TTL_S,
			     6u + m->target_n);
		packet_put32(p, 0); /* priority, weight: all alike */
		packet_put16(p + 4, port);
		memcpy(p + 6, m->target, m->target_n);
		target_at[n] = (size_t)(p + 6 - reply->msg);
		reply->n += SRV_FIXED + (size_t)m->target_n;
	}
	count_up(reply->msg, 0, (unsigned)n);
	for (size_t i = 0; i < n; i++) {
		const struct zone_member *m = &e->members[(start + i) % e->n_members];

		if (reply->limit - reply->n < ZONE_RECORD_BYTES || target_at[i] > 0x3fff)
			break;
		packet_put32(put_head(reply, target_at[i], PACKET_TYPE_A, ZONE_TTL_S, 4), m->addr);
		reply->n += ZONE_RECORD_BYTES;
		count_up(reply->msg, 2, 1);
	}
}

/* "_<port>" label: the port, or 0. */
static uint16_t port_of_label(const uint8_t *label)
{
	unsigned port = 0;

	if (label[0] < 2 || label[0] > 6 || label[1] != '_' || label[2] == '0')
		return 0;
	for (unsigned i = 2; i <= label[0]; i++) {
		if (label[i] < '0' || label[i] > '9')
			return 0;
		port = port * 10 + (label[i] - '0');
	}
	return port <= UINT16_MAX ? (uint16_t)port : 0;
}

static bool is_transport_label(const uint8_t *label)
{
	static const uint8_t tcp[5 + PACKET_SLACK] = "\4_tcp", udp[5 + PACKET_SLACK] = "\4_udp";

	return label[0] == 4 &&
	       (packet_name_equals(tcp, label, 5) || packet_name_equals(udp, label, 5));
}

static struct service_name find_service_name(const struct zone *zone, const uint8_t *name,
					     size_t name_n)
{
	struct service_name found = {.entry = NULL};
	size_t first = name[0] + 1u;

	if (name[0] == 0 || name[1] != '_' || first >= name_n)
		return found;
	if (is_transport_label(name)) {
		found.at = first;
		found.is_parent = true;
	} else if (is_transport_label(name + first)) {
		found.at = first + name[first] + 1u;
		found.port = port_of_label(name);
	}
	if (found.at > 0)
		found.entry = zone_find(zone, name + found.at, name_n - found.at);
	if (found.entry && found.entry->kind != ZONE_ADDRESSES)
		found.entry = NULL;
	return found;
}

/* Everything a name that exists can be asked. */
static void put_known(struct reply *reply, const struct request *request)
{
	const struct zone_entry *e = request->entry;
	unsigned type = request->query->type;

	if (type == PACKET_TYPE_ANY)
		put_hinfo(reply);
	else if (e->kind == ZONE_ADDRESSES && type == PACKET_TYPE_A && e->n_members > 0)
		put_addresses(reply, request);
	else if (e->kind == ZONE_POINTER && type == PACKET_TYPE_PTR)
		put_pointer(reply, request);
	else if (e->kind == ZONE_APEX && type == PACKET_TYPE_SOA)
		put_soa(reply, request, 0, OTHER_TYPE_TTL_S);
	else
		put_soa(reply, request, 1,
			type == PACKET_TYPE_A ? ABSENT_TTL_S : OTHER_TYPE_TTL_S);
}

/* A port of a service, or the name above its ports. */
static void put_service_answer(struct reply *reply, const struct request *request)
{
	const struct service_name *service = &request->service;
	struct request at_service = *request;

	at_service.entry = service->entry;
	if (service->port != 0 && request->query->type == PACKET_TYPE_ANY)
		put_hinfo(reply);
	else if (service->port != 0 && request->query->type == PACKET_TYPE_SRV &&
		 service->entry->n_members > 0)
		put_services(reply, &at_service, service->port);
	else
		put_soa(reply, request, 1, ABSENT_TTL_S);
}

static struct reply reply_begin(uint8_t *msg, const struct packet_query *query, bool is_tcp,
				size_t cap)
{
	struct reply reply = {.msg = msg, .n = query->question_end, .limit = cap};

	if (!is_tcp)
		reply.limit = JACO_MIN(cap, JACO_MIN(query->udp_bytes, PACKET_UDP_LIMIT));
	if (query->has_edns)
		reply.limit -= PACKET_OPT_BYTES;
	JACO_ASSERT(reply.n <= reply.limit);
	return reply;
}

static enum answer_verdict reply_end(struct reply *reply, struct answer *answer)
{
	if (reply->is_cut)
		reply->msg[2] |= PACKET_TC;
	answer->n = reply->n;
	if (answer->query.has_edns)
		answer->n = packet_put_opt(reply->msg, reply->n, answer->query.dnssec_ok,
					   answer->rcode);
	return ANSWER_REPLY;
}

static enum answer_verdict refuse(uint8_t *msg, struct answer *answer, enum packet_rcode rcode)
{
	answer->rcode = rcode;
	answer->n = packet_error(msg, &answer->query, rcode);
	return ANSWER_REPLY;
}

/* Has @zone the name, or a service the name is a port of? */
static bool find_in(struct request *request, const struct zone *zone, const uint8_t *name)
{
	request->zone = zone;
	request->entry = zone_find(zone, name, request->query->name_n);
	if (request->entry)
		return true;
	request->service = find_service_name(zone, name, request->query->name_n);
	return request->service.entry != NULL;
}

static bool find_in_siblings(struct request *request, const uint8_t *name)
{
	const struct zone *asked = request->zone;

	request->n_siblings = zone_siblings(asked, request->source, &request->siblings);
	for (size_t i = 0; i < request->n_siblings; i++)
		if (request->siblings[i] != asked && find_in(request, request->siblings[i], name))
			return true;
	request->zone = asked;
	return false;
}

static bool has_way_out(const struct request *request)
{
	if (!zone_is_internal(request->zone))
		return true;
	for (size_t i = 0; i < request->n_siblings; i++)
		if (!zone_is_internal(request->siblings[i]))
			return true;
	return false;
}

/* To the upstreams, or to the servers that the replica's service has of its own. */
static enum answer_verdict forward(const struct request *request, uint8_t *msg,
				   struct answer *answer)
{
	answer->resolver = zone_resolver(request->zone, request->source);
	return answer->resolver == RESOLVERS_NONE ? refuse(msg, answer, PACKET_SERVFAIL)
						  : ANSWER_FORWARD;
}

/* A name no zone of the client has: certainly absent, or somebody else's. */
static enum answer_verdict answer_other(const struct request *request, struct reply *reply,
					struct answer *answer)
{
	const struct packet_query *query = request->query;
	const struct service_name *service = &request->service;
	const uint8_t *name = qname(reply->msg);
	unsigned n_above = service->at == 0 ? 0 : service->is_parent ? 1 : 2;

	/* A port of a name shares that name's fate. */
	if (zone_classify(request->zone, name + service->at, query->name_n - service->at,
			  query->n_labels - n_above) == ZONE_NOTHING)
		return has_way_out(request) ? forward(request, reply->msg, answer)
					    : refuse(reply->msg, answer, PACKET_REFUSED);
	answer->rcode = PACKET_NXDOMAIN;
	packet_reply_header(reply->msg, answer->rcode, true, 1);
	put_soa(reply, request, 1, ABSENT_TTL_S);
	return reply_end(reply, answer);
}

static enum answer_verdict answer_name(const struct answer_from *from, bool is_tcp, uint64_t *prng,
				       uint8_t *msg, size_t cap, struct answer *answer)
{
	struct request request = {
		.query = &answer->query, .prng = prng, .source = from->source};
	struct reply reply = reply_begin(msg, &answer->query, is_tcp, cap);
	bool exists;

	if (!find_in(&request, from->zone, qname(msg)) &&
	    !find_in_siblings(&request, qname(msg)))
		return answer_other(&request, &reply, answer);
	exists = request.entry || request.service.port != 0 || request.service.is_parent;
	answer->rcode = exists ? PACKET_NOERROR : PACKET_NXDOMAIN;
	packet_reply_header(msg, answer->rcode, true, 1);
	if (request.entry)
		put_known(&reply, &request);
	else if (exists)
		put_service_answer(&reply, &request);
	else
		put_soa(&reply, &request, 1, ABSENT_TTL_S);
	return reply_end(&reply, answer);
}

enum answer_verdict answer_query(const struct answer_from *from, bool is_tcp, uint64_t *prng,
				 uint8_t *msg, size_t n, size_t cap, struct answer *out_answer)
{
	struct answer *answer = out_answer;
	const struct packet_query *query = &answer->query;

	answer->n = 0;
	answer->resolver = 0;
	answer->rcode = PACKET_NOERROR;
	switch (packet_parse(msg, n, &answer->query)) {
	case PACKET_SILENT:
		return ANSWER_DROP;
	case PACKET_IS_FORMERR:
		return refuse(msg, answer, PACKET_FORMERR);
	case PACKET_IS_NOTIMP:
		return refuse(msg, answer, PACKET_NOTIMP);
	case PACKET_OK:
		break;
	}
	if (query->has_edns && query->edns_version != 0)
		return refuse(msg, answer, PACKET_BADVERS);
	/* No other classes, and no zone transfers of either kind (RFC 5936). */
	if ((query->class != PACKET_CLASS_IN && query->class != PACKET_CLASS_ANY) ||
	    query->type == PACKET_TYPE_AXFR || query->type == PACKET_TYPE_IXFR)
		return refuse(msg, answer, PACKET_REFUSED);
	if (query->type == PACKET_TYPE_OPT) /* a meta type cannot be asked for, RFC 6891 6.1.1 */
		return refuse(msg, answer, PACKET_FORMERR);
	return from->zone ? answer_name(from, is_tcp, prng, msg, cap, answer)
			  : ANSWER_FORWARD;
}
