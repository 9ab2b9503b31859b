/* SPDX-License-Identifier: Apache-2.0
 *
 * packet.h - the bytes of a DNS message, as far as a server must read them to answer or relay.
 *
 * Pure, bounded, no allocation.  A sticky-error cursor reads a query's header, question and EDNS
 * (RFC 1035 section 4, RFC 6891); a walker steps over resource records of anybody's message.
 * Answers are written behind the question, in the buffer the query came in. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_HEADER_BYTES   12
#define PACKET_NAME_MAX       255 /* RFC 1035 section 2.3.4, with the root */
#define PACKET_LABELS_MAX     127
#define PACKET_UDP_PLAIN      512   /* a reply without EDNS, RFC 1035 section 4.2.1 */
#define PACKET_UDP_LIMIT      1232  /* what we send and advertise with EDNS */
#define PACKET_MAX            65535 /* TCP, RFC 1035 section 4.2.2 */
#define PACKET_OPT_BYTES      11    /* an OPT record without options */
#define PACKET_RECORDS_MAX    4096  /* records of one message we are willing to walk */

/* Names are hashed eight bytes at a time: a buffer that holds one has this much room behind it. */
#define PACKET_SLACK 8

enum packet_type { /* RFC 1035 section 3.2.2 and later */
	PACKET_TYPE_A = 1,
	PACKET_TYPE_NS = 2,
	PACKET_TYPE_CNAME = 5,
	PACKET_TYPE_SOA = 6,
	PACKET_TYPE_PTR = 12,
	PACKET_TYPE_HINFO = 13,
	PACKET_TYPE_AAAA = 28,
	PACKET_TYPE_SRV = 33,
	PACKET_TYPE_OPT = 41,
	PACKET_TYPE_TSIG = 250,
	PACKET_TYPE_IXFR = 251,
	PACKET_TYPE_AXFR = 252,
	PACKET_TYPE_ANY = 255,
};

enum packet_class { PACKET_CLASS_IN = 1, PACKET_CLASS_ANY = 255 };

enum packet_rcode { /* RFC 1035 section 4.1.1; BADVERS needs EDNS */
	PACKET_NOERROR = 0,
	PACKET_FORMERR = 1,
	PACKET_SERVFAIL = 2,
	PACKET_NXDOMAIN = 3,
	PACKET_NOTIMP = 4,
	PACKET_REFUSED = 5,
	PACKET_BADVERS = 16,
};

/* Second and third header byte pairs, RFC 1035 section 4.1.1 and RFC 4035 section 3. */
#define PACKET_QR        0x80 /* byte 2 */
#define PACKET_OPCODE    0x78
#define PACKET_AA        0x04
#define PACKET_TC        0x02
#define PACKET_RD        0x01
#define PACKET_RA        0x80 /* byte 3 */
#define PACKET_AD        0x20
#define PACKET_CD        0x10
#define PACKET_RCODE     0x0f
#define PACKET_EDNS_DO   0x8000

enum packet_verdict {
	PACKET_OK,         /* a standard query with one question */
	PACKET_SILENT,     /* no header, or a response: answering could only start a loop */
	PACKET_IS_FORMERR, /* a header and then nonsense */
	PACKET_IS_NOTIMP,  /* another opcode */
};

/* What a query asks.  Offsets are into the message. */
struct packet_query {
	uint16_t id;
	uint16_t type;
	uint16_t class;
	uint16_t name_n;       /* wire bytes of the name at offset 12, with the root */
	uint16_t question_end; /* first byte behind the question */
	uint8_t n_labels;      /* without the root */
	bool has_edns;
	uint8_t edns_version;
	bool dnssec_ok;
	uint16_t udp_bytes; /* what the client takes over UDP: 512 or its EDNS size, at least 512 */
	uint16_t options_at;   /* EDNS options, 0 when there are none */
	uint16_t options_n;
};

/* Read a query.  @out_query is filled as far as reading came: on IS_FORMERR and IS_NOTIMP the id
 * only.  Trailing bytes, two OPT records or a compressed question are format errors. */
enum packet_verdict packet_parse(const uint8_t *msg, size_t n, struct packet_query *out_query);

/* A name, read. */
struct packet_name {
	size_t wire_n;    /* bytes at its place, a pointer counts two */
	unsigned n_labels;
};

/* Length of the uncompressed name at @at; 0 when it is none. */
size_t packet_name_length(const uint8_t *msg, size_t n, size_t at, unsigned *out_n_labels);

/* Copy @n bytes of an uncompressed wire name in lower case.  Label lengths are below 'A', so bytes
 * may be folded blindly. */
void packet_name_lower(uint8_t *out, const uint8_t *name, size_t n);

/* Hash of a wire name without regard to case.  Reads up to PACKET_SLACK bytes behind it. */
uint64_t packet_name_hash(const uint8_t *name, size_t n);

/* Same name without regard to case; @lower is in lower case already. */
bool packet_name_equals(const uint8_t *lower, const uint8_t *name, size_t n);

/* "web.shop" (dots at the end allowed) to lower-case wire form; 0 when it is not a name. */
size_t packet_name_from_text(const char *text, uint8_t out[static PACKET_NAME_MAX + PACKET_SLACK]);

/* One resource record of a message, by offset. */
struct packet_record {
	unsigned section; /* 0 answer, 1 authority, 2 additional */
	uint16_t type;
	uint16_t class;
	uint32_t ttl;
	size_t ttl_at;
	size_t data_at;
	size_t data_n;
};

/* Walks over the records of a message, questions skipped.  A malformed one ends the walk with
 * `bad` set, and bad stays set. */
struct packet_walk {
	const uint8_t *msg;
	size_t n;
	size_t at;
	unsigned section;
	unsigned left[3];
	bool bad;
};

void packet_walk_begin(struct packet_walk *walk, const uint8_t *msg, size_t n);
bool packet_walk_next(struct packet_walk *walk, struct packet_record *out_record);

/* Big-endian numbers. */
static inline uint16_t packet_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t packet_get32(const uint8_t *p)
{
	return (uint32_t)packet_get16(p) << 16 | packet_get16(p + 2);
}

static inline void packet_put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void packet_put32(uint8_t *p, uint32_t v)
{
	packet_put16(p, v >> 16);
	packet_put16(p + 2, v & 0xffff);
}

/* Turn the query in @msg into the header of its reply: QR, opcode, RD and CD kept, RA set, counts
 * as given, nothing behind it touched. */
void packet_reply_header(uint8_t *msg, enum packet_rcode rcode, bool authoritative,
			 unsigned n_questions);

/* Append our OPT record (RFC 6891 section 6.1) at @at and count it; returns the new length. */
size_t packet_put_opt(uint8_t *msg, size_t at, bool dnssec_ok, enum packet_rcode rcode);

/* A whole error reply for @query in place: question and OPT where they were understood.  Returns
 * its length. */
size_t packet_error(uint8_t *msg, const struct packet_query *query, enum packet_rcode rcode);
