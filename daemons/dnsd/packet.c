/* SPDX-License-Identifier: Apache-2.0
 *
 * packet.c - see packet.h. */
#include "daemons/dnsd/packet.h"

#include <string.h>

#include "libjaco/base/auto.h"
#include "libjaco/base/str.h"

/* Reads past the end set `bad` and yield zeroes, so many reads need one check. */
struct cursor {
	const uint8_t *msg;
	size_t n;
	size_t at;
	bool bad;
};

static bool cursor_has(struct cursor *c, size_t n)
{
	if (JACO_LIKELY(!c->bad && c->n - c->at >= n))
		return true;
	c->bad = true;
	return false;
}

static uint16_t cursor_u16(struct cursor *c)
{
	if (!cursor_has(c, 2))
		return 0;
	c->at += 2;
	return packet_get16(c->msg + c->at - 2);
}

static uint8_t cursor_u8(struct cursor *c)
{
	if (!cursor_has(c, 1))
		return 0;
	return c->msg[c->at++];
}

static void cursor_skip(struct cursor *c, size_t n)
{
	if (cursor_has(c, n))
		c->at += n;
}

/* Step over a name that may end in a compression pointer (RFC 1035 section 4.1.4).  The pointer is
 * not followed: nothing here needs the name. */
static void cursor_skip_name(struct cursor *c)
{
	size_t start = c->at;

	while (!c->bad) {
		uint8_t len = cursor_u8(c);

		if (len == 0)
			return;
		if (len >= 0xc0) {
			cursor_skip(c, 1);
			return;
		}
		if (len >= 0x40) {
			c->bad = true;
			return;
		}
		cursor_skip(c, len);
		if (c->at - start > PACKET_NAME_MAX)
			c->bad = true;
	}
}

size_t packet_name_length(const uint8_t *msg, size_t n, size_t at, unsigned *out_n_labels)
{
	size_t p = at;
	unsigned labels = 0;

	while (p < n && msg[p] != 0) {
		if (msg[p] > 63)
			return 0;
		p += msg[p] + 1u;
		labels++;
		if (p - at >= PACKET_NAME_MAX)
			return 0;
	}
	if (p >= n)
		return 0;
	*out_n_labels = labels;
	return p + 1 - at;
}

/* Every upper-case ASCII letter of eight bytes in lower case, without branches. */
static inline uint64_t fold8(uint64_t v)
{
	const uint64_t ones = 0x0101010101010101ull;
	uint64_t low7 = v & ones * 0x7f;
	uint64_t ge_a = low7 + ones * (0x80 - 'A');
	uint64_t gt_z = low7 + ones * (0x80 - 'Z' - 1);
	uint64_t is_upper = (ge_a & ~gt_z & ~v) & ones * 0x80;

	return v | is_upper >> 2;
}

static inline uint64_t load8(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* The last, partial word of a name with the bytes behind it blanked (little or big endian alike:
 * the mask is made of bytes). */
static inline uint64_t load_tail(const uint8_t *p, size_t n)
{
	static const uint8_t mask[16] = {255, 255, 255, 255, 255, 255, 255, 255};

	return load8(p) & load8(mask + 8 - n);
}

void packet_name_lower(uint8_t *out, const uint8_t *name, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)jaco_ascii_lower((char)name[i]);
}

uint64_t packet_name_hash(const uint8_t *name, size_t n)
{
	const uint64_t k = 0x9e3779b97f4a7c15ull;
	uint64_t h = n * k;
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		h = (h ^ fold8(load8(name + i))) * k;
		h ^= h >> 32;
	}
	if (i < n) {
		h = (h ^ fold8(load_tail(name + i, n - i))) * k;
		h ^= h >> 32;
	}
	return h;
}

bool packet_name_equals(const uint8_t *lower, const uint8_t *name, size_t n)
{
	uint64_t diff = 0;
	size_t i = 0;

	for (; i + 8 <= n; i += 8)
		diff |= load8(lower + i) ^ fold8(load8(name + i));
	if (i < n)
		diff |= load_tail(lower + i, n - i) ^ fold8(load_tail(name + i, n - i));
	return diff == 0;
}

size_t packet_name_from_text(const char *text, uint8_t out[static PACKET_NAME_MAX + PACKET_SLACK])
{
	size_t at = 0;

	while (*text != '\0') {
		size_t len = strcspn(text, ".");

		if (len == 0 || len > 63 || at + 1 + len + 1 > PACKET_NAME_MAX)
			return 0;
		out[at] = (uint8_t)len;
		packet_name_lower(out + at + 1, (const uint8_t *)text, len);
		at += 1 + len;
		text += len;
		if (*text == '.')
			text++;
	}
	if (at == 0)
		return 0;
	out[at] = 0;
	memset(out + at + 1, 0, PACKET_SLACK);
	return at + 1;
}

/* Options must fill the record's data exactly (RFC 6891 section 6.1.2). */
static bool options_are_sound(const uint8_t *data, size_t n)
{
	struct cursor c = {.msg = data, .n = n};

	while (!c.bad && c.at < n) {
		cursor_skip(&c, 2);
		cursor_skip(&c, cursor_u16(&c));
	}
	return !c.bad;
}

/* One OPT, in the additional section, owned by the root (RFC 6891 section 6.1.1). */
static bool take_opt(struct packet_query *query, const uint8_t *msg, size_t name_at,
		     const struct packet_record *record)
{
	if (query->has_edns || record->section != 2 || msg[name_at] != 0 ||
	    !options_are_sound(msg + record->data_at, record->data_n))
		return false;
	query->has_edns = true;
	query->edns_version = (uint8_t)(record->ttl >> 16);
	query->dnssec_ok = (record->ttl & PACKET_EDNS_DO) != 0;
	query->udp_bytes = JACO_MAX(record->class, PACKET_UDP_PLAIN);
	query->options_at = (uint16_t)record->data_at;
	query->options_n = (uint16_t)record->data_n;
	return true;
}

/* Records behind the question: only EDNS matters, the others must be well-formed. */
static bool parse_rest(const uint8_t *msg, size_t n, struct packet_query *query)
{
	struct packet_walk walk;
	struct packet_record record;
	size_t name_at;

	packet_walk_begin(&walk, msg, n);
	name_at = walk.at;
	while (packet_walk_next(&walk, &record)) {
		if (record.type == PACKET_TYPE_OPT && !take_opt(query, msg, name_at, &record))
			return false;
		name_at = walk.at;
	}
	return !walk.bad && walk.at == n;
}

enum packet_verdict packet_parse(const uint8_t *msg, size_t n, struct packet_query *out_query)
{
	struct packet_query *query = out_query;
	unsigned labels = 0;

	*query = (struct packet_query){.udp_bytes = PACKET_UDP_PLAIN};
	if (n < PACKET_HEADER_BYTES || n > PACKET_MAX || (msg[2] & PACKET_QR))
		return PACKET_SILENT;
	query->id = packet_get16(msg);
	if (msg[2] & PACKET_OPCODE)
		return PACKET_IS_NOTIMP;
	if (packet_get16(msg + 4) != 1)
		return PACKET_IS_FORMERR;
	query->name_n = (uint16_t)packet_name_length(msg, n, PACKET_HEADER_BYTES, &labels);
	if (query->name_n == 0 || n - PACKET_HEADER_BYTES - query->name_n < 4)
		return PACKET_IS_FORMERR;
	query->n_labels = (uint8_t)labels;
	query->question_end = (uint16_t)(PACKET_HEADER_BYTES + query->name_n + 4);
	query->type = packet_get16(msg + query->question_end - 4);
	query->class = packet_get16(msg + query->question_end - 2);
	/* The common query: nothing behind the question, all three counts zero. */
	if (n == query->question_end && (packet_get16(msg + 6) | packet_get32(msg + 8)) == 0)
		return PACKET_OK;
	if (!parse_rest(msg, n, query)) {
		query->question_end = 0;
		return PACKET_IS_FORMERR;
	}
	return PACKET_OK;
}

void packet_walk_begin(struct packet_walk *walk, const uint8_t *msg, size_t n)
{
	struct cursor c = {.msg = msg, .n = n, .at = PACKET_HEADER_BYTES};
	unsigned n_questions, total;

	*walk = (struct packet_walk){.msg = msg, .n = n, .bad = true};
	if (n < PACKET_HEADER_BYTES)
		return;
	n_questions = packet_get16(msg + 4);
	for (unsigned i = 0; i < 3; i++)
		walk->left[i] = packet_get16(msg + 6 + 2 * i);
	total = walk->left[0] + walk->left[1] + walk->left[2];
	if (n_questions > 1 || total > PACKET_RECORDS_MAX)
		return;
	if (n_questions == 1) {
		cursor_skip_name(&c);
		cursor_skip(&c, 4);
	}
	walk->at = c.at;
	walk->bad = c.bad;
}

bool packet_walk_next(struct packet_walk *walk, struct packet_record *out_record)
{
	struct cursor c = {.msg = walk->msg, .n = walk->n, .at = walk->at, .bad = walk->bad};

	while (walk->section < 3 && walk->left[walk->section] == 0)
		walk->section++;
	if (walk->bad || walk->section == 3)
		return false;
	walk->left[walk->section]--;
	out_record->section = walk->section;
	cursor_skip_name(&c);
	out_record->type = cursor_u16(&c);
	out_record->class = cursor_u16(&c);
	out_record->ttl_at = c.at;
	out_record->ttl = (uint32_t)cursor_u16(&c) << 16;
	out_record->ttl |= cursor_u16(&c);
	out_record->data_n = cursor_u16(&c);
	out_record->data_at = c.at;
	cursor_skip(&c, out_record->data_n);
	walk->at = c.at;
	walk->bad = c.bad;
	return !c.bad;
}

void packet_reply_header(uint8_t *msg, enum packet_rcode rcode, bool authoritative,
			 unsigned n_questions)
{
	msg[2] = (uint8_t)((msg[2] & (PACKET_OPCODE | PACKET_RD)) | PACKET_QR |
			   (authoritative ? PACKET_AA : 0));
	msg[3] = (uint8_t)((msg[3] & PACKET_CD) | PACKET_RA | (rcode & PACKET_RCODE));
	packet_put16(msg + 4, n_questions);
	memset(msg + 6, 0, 6);
}

size_t packet_put_opt(uint8_t *msg, size_t at, bool dnssec_ok, enum packet_rcode rcode)
{
	uint8_t *p = msg + at;

	p[0] = 0;
	packet_put16(p + 1, PACKET_TYPE_OPT);
	packet_put16(p + 3, PACKET_UDP_LIMIT);
	p[5] = (uint8_t)(rcode >> 4);
	p[6] = 0;
	packet_put16(p + 7, dnssec_ok ? PACKET_EDNS_DO : 0);
	packet_put16(p + 9, 0);
	packet_put16(msg + 10, packet_get16(msg + 10) + 1u);
	return at + PACKET_OPT_BYTES;
}

size_t packet_error(uint8_t *msg, const struct packet_query *query, enum packet_rcode rcode)
{
	bool has_question = query->question_end != 0;
	size_t n = has_question ? query->question_end : PACKET_HEADER_BYTES;

	packet_reply_header(msg, rcode, false, has_question);
	if (query->has_edns && has_question)
		n = packet_put_opt(msg, n, query->dnssec_ok, rcode);
	return n;
}
