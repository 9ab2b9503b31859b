/* SPDX-License-Identifier: Apache-2.0
 *
 * compose_ports.c - ports: and expose: in all their spellings, expanded to single ports. */
#include <stdlib.h>
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/model/manifest/compose.h"

#define PORT_REMEDY "write \"8080:80\", \"8080:80/udp\", \"127.0.0.1:8080:80\" or \"80\""

struct port_range {
	uint16_t first;
	uint16_t last; /* both 0: none written, or 0 = any */
};

static bool parse_range(const char *text, size_t n, struct port_range *out)
{
	char part[16];
	char *dash;
	uint64_t first;
	uint64_t last;

	if (n == 0) {
		*out = (struct port_range){0, 0};
		return true;
	}
	if (n >= sizeof(part))
		return false;
	memcpy(part, text, n);
	part[n] = '\0';
	dash = strchr(part, '-');
	if (dash)
		*dash = '\0';
	if (!jaco_str_to_u64(part, 65535, &first) ||
	    !jaco_str_to_u64(dash ? dash + 1 : part, 65535, &last) || last < first)
		return false;
	*out = (struct port_range){(uint16_t)first, (uint16_t)last};
	return true;
}

static bool parse_proto(const char *text, enum jaco_proto *out)
{
	if (jaco_str_eq_nocase(text, "tcp") || !*text)
		*out = JACO_PROTO_TCP;
	else if (jaco_str_eq_nocase(text, "udp"))
		*out = JACO_PROTO_UDP;
	else
		return false;
	return true;
}

static bool add_port(struct jaco_read *read, struct jaco_service *service, struct jaco_port port)
{
	if (service->n_ports >= JACO_PORTS_PER_SERVICE)
		return jaco_read_error_code(
			read, JACO_LIMIT_EXCEEDED, port.pos, "publish fewer ports",
			"a service may have at most %d ports", JACO_PORTS_PER_SERVICE);
	if (!service->ports)
		service->ports = jaco_arena_alloc_n(read->arena, 4, sizeof(port));
	else if (service->n_ports >= 4 && (service->n_ports & (service->n_ports - 1)) == 0) {
		struct jaco_port *grown =
			jaco_arena_alloc_n(read->arena, service->n_ports * 2, sizeof(port));

		memcpy(grown, service->ports, service->n_ports * sizeof(port));
		service->ports = grown;
	}
	service->ports[service->n_ports++] = port;
	return true;
}

/* Pair the ranges and append each; @base carries mode, protocol, address, place.  @target is not
 * 0. */
static bool expand(struct jaco_read *read, struct jaco_service *service, struct jaco_port base,
		   struct port_range published, struct port_range target)
{
	unsigned n = (unsigned)(target.last - target.first) + 1;

	if (published.first == 0 || base.mode == JACO_PORT_EXPOSED) {
		base.mode = JACO_PORT_EXPOSED;
		base.host_ip = NULL;
	} else if (published.last - published.first != target.last - target.first) {
		if (target.first != target.last)
			return jaco_read_error(read, base.pos, "give both ranges the same length",
					       "the ranges %u-%u and %u-%u differ in length",
					       published.first, published.last, target.first,
					       target.last);
		base.last = published.last;
	}
	for (unsigned i = 0; i < n; i++) {
		base.target = (uint16_t)(target.first + i);
		base.published =
			base.mode == JACO_PORT_EXPOSED ? 0 : (uint16_t)(published.first + i);
		if (!add_port(read, service, base))
			return false;
	}
	return true;
}

static bool is_any_address(const char *ip)
{
	return strcmp(ip, "0.0.0.0") == 0 || strcmp(ip, "::") == 0;
}

static bool check_host_ip(struct jaco_read *read, struct jaco_pos pos, const char *ip)
{
	uint32_t addr;

	return jaco_ipv4_parse(ip, &addr) || jaco_ipv6_is(ip) ||
	       jaco_read_error(read, pos, PORT_REMEDY, "\"%.60s\" is not an IP address", ip);
}

/* [[IP:]HOST:]CONTAINER[/PROTO]; the address may be [v6]. */
static void read_short(struct jaco_read *read, struct jaco_service *service,
		       const struct jaco_yaml_node *node)
{
	struct jaco_port port = {.mode = JACO_PORT_CLUSTER, .pos = node->pos};
	const char *slash = strchr(node->text, '/');
	size_t n = slash ? (size_t)(slash - node->text) : strlen(node->text);
	char *text = jaco_arena_strndup(read->arena, node->text, n);
	struct port_range target;
	struct port_range published = {0, 0};
	char *last = strrchr(text, ':');
	char *middle = NULL;

	if (!parse_proto(slash ? slash + 1 : "", &port.proto)) {
		jaco_read_error(read, node->pos, "only tcp and udp are published",
				"protocol \"%.20s\" is not supported", slash + 1);
		return;
	}
	if (last) {
		*last++ = '\0';
		middle = strrchr(text, ':');
		if (middle && text[0] == '[' && text[strlen(text) - 1] == ']')
			middle = NULL;
	}
	if (last && middle) {
		*middle++ = '\0';
		port.mode = JACO_PORT_HOST;
		if (*text == '[' && text[strlen(text) - 1] == ']') {
			text[strlen(text) - 1] = '\0';
			text++;
		}
		if (*text && !check_host_ip(read, node->pos, text))
			return;
		port.host_ip = *text && !is_any_address(text) ? text : NULL;
		if (!*text)
			port.mode = JACO_PORT_CLUSTER;
	}
	if (!parse_range(last ? last : text, strlen(last ? last : text), &target) ||
	    (last &&
	     !parse_range(middle ? middle : text, strlen(middle ? middle : text), &published)) ||
	    target.first == 0) {
		jaco_read_error(read, node->pos, PORT_REMEDY, "\"%.60s\" is not a port",
				node->text);
		return;
	}
	if (last && published.first == 0)
		jaco_read_warn(read, node->pos,
			       "no host port is written: the port is documented, not published");
	(void)expand(read, service, port, published, target);
}

struct long_port {
	struct jaco_opt_i64 target;
	const char *published, *host_ip, *protocol, *mode, *name;
};

static const struct jaco_key_row long_rows[] = {
	{"app_protocol", JACO_SILENT, NULL, 0, NULL},
	{"host_ip", JACO_HONOURED, jaco_fill_text, offsetof(struct long_port, host_ip), NULL},
	{"mode", JACO_HONOURED, jaco_fill_text, offsetof(struct long_port, mode), NULL},
	{"name", JACO_SILENT, NULL, 0, NULL},
	{"protocol", JACO_HONOURED, jaco_fill_text, offsetof(struct long_port, protocol), NULL},
	{"published", JACO_HONOURED, jaco_fill_text, offsetof(struct long_port, published), NULL},
	{"target", JACO_HONOURED, jaco_fill_i64, offsetof(struct long_port, target), NULL},
	{NULL},
};

static void read_long(struct jaco_read *read, struct jaco_service *service,
		      const struct jaco_yaml_node *node)
{
	struct long_port form = {.protocol = "tcp", .mode = "ingress"};
	struct jaco_port port = {.pos = node->pos};
	struct port_range published = {0, 0};
	struct port_range target;

	jaco_read_rows(read, node, long_rows, &form, "a port");
	if (!form.target.is_set || form.target.value < 1 || form.target.value > 65535) {
		jaco_read_error(read, node->pos, "add target: with the container's port",
				"a port in long form needs a target from 1 to 65535");
		return;
	}
	if (!parse_proto(form.protocol ? form.protocol : "", &port.proto)) {
		jaco_read_error(read, node->pos, "only tcp and udp are published",
				"protocol \"%.20s\" is not supported", form.protocol);
		return;
	}
	if (form.published && !parse_range(form.published, strlen(form.published), &published)) {
		jaco_read_error(read, node->pos, "write a port such as 8080",
				"\"%.60s\" is not a port", form.published);
		return;
	}
	if (form.host_ip && !check_host_ip(read, node->pos, form.host_ip))
		return;
	if (form.mode && strcmp(form.mode, "host") != 0 && strcmp(form.mode, "ingress") != 0) {
		jaco_read_error(read, node->pos, "write ingress or host",
				"\"%.40s\" is not a port mode", form.mode);
		return;
	}
	port.mode = (form.mode && strcmp(form.mode, "host") == 0) || form.host_ip
			    ? JACO_PORT_HOST
			    : JACO_PORT_CLUSTER;
	port.host_ip = form.host_ip && !is_any_address(form.host_ip) ? form.host_ip : NULL;
	target.first = target.last = (uint16_t)form.target.value;
	(void)expand(read, service, port, published, target);
}

void jaco_compose_fill_ports(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct compose_service *service = out;

	if (jaco_read_is_unset(node) || !jaco_read_is_seq(read, node))
		return;
	jaco_compose_read_forms(read, node, &service->s, read_short, read_long);
}

void jaco_compose_fill_expose(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct compose_service *service = out;
	struct jaco_strings items;

	if (!jaco_read_strings(read, node, &items))
		return;
	for (size_t i = 0; i < items.n; i++) {
		struct jaco_port port = {.mode = JACO_PORT_EXPOSED, .pos = node->pos};
		const char *slash = strchr(items.items[i], '/');
		size_t n = slash ? (size_t)(slash - items.items[i]) : strlen(items.items[i]);
		const char *colon = memchr(items.items[i], ':', n);
		const char *text = colon ? colon + 1 : items.items[i];
		struct port_range target;

		if (node->kind == JACO_YAML_SEQ)
			port.pos = node->entries[i].value->pos;
		jaco_read_push_index(read, i);
		if (!parse_range(text, n - (size_t)(text - items.items[i]), &target) ||
		    !parse_proto(slash ? slash + 1 : "", &port.proto) || target.first == 0)
			jaco_read_error(read, port.pos, "write a container port such as 8080",
					"\"%.60s\" is not a port", items.items[i]);
		else
			(void)expand(read, &service->s, port, (struct port_range){0, 0}, target);
		jaco_read_pop(read);
	}
}
