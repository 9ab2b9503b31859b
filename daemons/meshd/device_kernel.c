/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernel WireGuard over generic netlink: commands and attributes of linux/wireguard.h; nested
 * arrays as its comment describes them, where a peer that does not fit is continued in the next
 * message. */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/time_types.h>
#include <linux/wireguard.h>
#include <string.h>

#include "daemons/meshd/device.h"
#include "daemons/meshd/link.h"
#include "daemons/meshd/uapi.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/io/sock.h"

#define BUF_BYTES       32768
#define REQUEST_BYTES   1024
#define ALLOWED_PER_MSG 400 /* 28 bytes each: well below BUF_BYTES */

static struct nlmsghdr *request(char *buf, uint16_t family, uint8_t command, uint16_t flags)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *generic;

	header->nlmsg_type = family;
	header->nlmsg_flags = NLM_F_REQUEST | flags;
	generic = mnl_nlmsg_put_extra_header(header, sizeof(*generic));
	generic->cmd = command;
	generic->version = 1;
	return header;
}

/* --- which family --- */

static int take_family(const struct nlmsghdr *header, void *ctx)
{
	const struct nlattr *v[CTRL_ATTR_MAX + 1] = {NULL};
	struct link_attrs attrs = {v, JACO_ARRAY_SIZE(v)};

	if (mnl_attr_parse(header, sizeof(struct genlmsghdr), link_take_attr, &attrs) >= 0 &&
	    link_attr_has(v[CTRL_ATTR_FAMILY_ID], sizeof(uint16_t)))
		*(uint16_t *)ctx = mnl_attr_get_u16(v[CTRL_ATTR_FAMILY_ID]);
	return MNL_CB_OK;
}

static int find_family(struct device *device, struct jaco_err *err)
{
	_Alignas(8) char buf[REQUEST_BYTES];
	struct nlmsghdr *header = request(buf, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, NLM_F_ACK);

	mnl_attr_put_strz(header, CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
	if (link_talk(NETLINK_GENERIC, header, take_family, &device->family) < 0 ||
	    device->family == 0)
		return jaco_err_set(err, JACO_UNAVAILABLE, "this kernel has no WireGuard: %s",
				    strerror(errno));
	return 0;
}

static int kernel_open(struct device *device, struct jaco_err *err)
{
	struct link_info link;
	int rc = link_find(device->name, &link, err);

	if (rc < 0)
		return rc;
	if (link.index && strcmp(link.kind, "wireguard") != 0)
		return jaco_err_set(err, JACO_UNAVAILABLE, "%s is no kernel WireGuard interface",
				    device->name);
	if (!link.index) {
		rc = link_create_wireguard(device->name, err);
		if (rc < 0)
			return rc;
	}
	return device->family ? 0 : find_family(device, err);
}

/* --- reading --- */

struct reading {
	struct jaco_arena *arena;
	struct mesh_device device;
	size_t cap_allowed; /* of the last peer */
	size_t n_allowed_total;
};

static int take_allowed(const struct nlattr *entry, void *ctx)
{
	const struct nlattr *v[WGALLOWEDIP_A_MAX + 1] = {NULL};
	struct link_attrs attrs = {v, JACO_ARRAY_SIZE(v)};
	struct reading *reading = ctx;
	struct mesh_peer *peer = &reading->device.peers[reading->device.n_peers - 1];
	struct jaco_cidr cidr;

	if (mnl_attr_parse_nested(entry, link_take_attr, &attrs) < 0 ||
	    !link_attr_has(v[WGALLOWEDIP_A_FAMILY], sizeof(uint16_t)) ||
	    !link_attr_has(v[WGALLOWEDIP_A_CIDR_MASK], sizeof(uint8_t)) ||
	    mnl_attr_get_u16(v[WGALLOWEDIP_A_FAMILY]) != AF_INET ||
	    !link_attr_has(v[WGALLOWEDIP_A_IPADDR], sizeof(uint32_t)))
		return MNL_CB_OK; /* IPv6 is not ours and gets replaced */
	cidr.bits = mnl_attr_get_u8(v[WGALLOWEDIP_A_CIDR_MASK]);
	cidr.addr = ntohl(mnl_attr_get_u32(v[WGALLOWEDIP_A_IPADDR]));
	if (cidr.bits > 32 || ++reading->n_allowed_total > UAPI_ALLOWED_MAX)
		return MNL_CB_ERROR;
	peer->allowed = jaco_arena_grow(reading->arena, peer->allowed, &reading->cap_allowed,
					peer->n_allowed + 1, sizeof(*peer->allowed));
	peer->allowed[peer->n_allowed++] = jaco_cidr_network(cidr);
	return MNL_CB_OK;
}

static struct mesh_peer *next_peer(struct reading *reading, const uint8_t *key)
{
	struct mesh_device *device = &reading->device;
	struct mesh_peer *last = device->n_peers ? &device->peers[device->n_peers - 1] : NULL;

	if (last && memcmp(last->key, key, MESH_KEY_BYTES) == 0)
		return last; /* continued from the message before */
	device->peers = jaco_arena_grow(reading->arena, device->peers, &device->cap_peers,
					device->n_peers + 1, sizeof(*device->peers));
	last = &device->peers[device->n_peers++];
	memset(last, 0, sizeof(*last));
	memcpy(last->key, key, MESH_KEY_BYTES);
	reading->cap_allowed = 0;
	return last;
}

static void take_endpoint(struct mesh_peer *peer, const struct nlattr *attr)
{
	struct jaco_addr addr = {.n = mnl_attr_get_payload_len(attr)};
	char text[JACO_ADDR_TEXT_BYTES];

	if (addr.n != sizeof(struct sockaddr_in) && addr.n != sizeof(struct sockaddr_in6))
		return;
	memcpy(&addr.storage, mnl_attr_get_payload(attr), addr.n);
	jaco_addr_render(text, &addr);
	(void)jaco_str_copy(peer->endpoint, sizeof(peer->endpoint), text);
}

static int take_peer(const struct nlattr *entry, void *ctx)
{
	const struct nlattr *v[WGPEER_A_MAX + 1] = {NULL};
	struct link_attrs attrs = {v, JACO_ARRAY_SIZE(v)};
	struct reading *reading = ctx;
	struct mesh_peer *peer;

	if (mnl_attr_parse_nested(entry, link_take_attr, &attrs) < 0 ||
	    !link_attr_has(v[WGPEER_A_PUBLIC_KEY], MESH_KEY_BYTES) ||
	    reading->device.n_peers >= UAPI_PEERS_MAX)
		return MNL_CB_ERROR;
	peer = next_peer(reading, mnl_attr_get_payload(v[WGPEER_A_PUBLIC_KEY]));
	if (v[WGPEER_A_ENDPOINT])
		take_endpoint(peer, v[WGPEER_A_ENDPOINT]);
	if (link_attr_has(v[WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL], sizeof(uint16_t)))
		peer->keepalive_s = mnl_attr_get_u16(v[WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL]);
	if (link_attr_has(v[WGPEER_A_LAST_HANDSHAKE_TIME], sizeof(struct __kernel_timespec))) {
		struct __kernel_timespec when;

		memcpy(&when, mnl_attr_get_payload(v[WGPEER_A_LAST_HANDSHAKE_TIME]), sizeof(when));
		peer->handshake_ms = when.tv_sec * 1000 + when.tv_nsec / 1000000;
	}
	if (link_attr_has(v[WGPEER_A_RX_BYTES], sizeof(uint64_t)))
		peer->rx_bytes = mnl_attr_get_u64(v[WGPEER_A_RX_BYTES]);
	if (link_attr_has(v[WGPEER_A_TX_BYTES], sizeof(uint64_t)))
		peer->tx_bytes = mnl_attr_get_u64(v[WGPEER_A_TX_BYTES]);
	if (v[WGPEER_A_ALLOWEDIPS])
		return mnl_attr_parse_nested(v[WGPEER_A_ALLOWEDIPS], take_allowed, reading);
	return MNL_CB_OK;
}

static int take_device(const struct nlmsghdr *header, void *ctx)
{
	const struct nlattr *v[WGDEVICE_A_MAX + 1] = {NULL};
	struct link_attrs attrs = {v, JACO_ARRAY_SIZE(v)};
	struct reading *reading = ctx;

	if (mnl_attr_parse(header, sizeof(struct genlmsghdr), link_take_attr, &attrs) < 0)
		return MNL_CB_ERROR;
	if (link_attr_has(v[WGDEVICE_A_PRIVATE_KEY], MESH_KEY_BYTES))
		memcpy(reading->device.private_key,
		       mnl_attr_get_payload(v[WGDEVICE_A_PRIVATE_KEY]), MESH_KEY_BYTES);
	if (link_attr_has(v[WGDEVICE_A_LISTEN_PORT], sizeof(uint16_t)))
		reading->device.port = mnl_attr_get_u16(v[WGDEVICE_A_LISTEN_PORT]);
	if (v[WGDEVICE_A_PEERS])
		return mnl_attr_parse_nested(v[WGDEVICE_A_PEERS], take_peer, reading);
	return MNL_CB_OK;
}

static int kernel_get(struct device *device, struct jaco_arena *arena, struct mesh_device *out,
		      struct jaco_err *err)
{
	_Alignas(8) char buf[REQUEST_BYTES];
	struct nlmsghdr *header = request(buf, device->family, WG_CMD_GET_DEVICE, NLM_F_DUMP);
	struct reading reading = {.arena = arena};
	int rc = 0;

	mnl_attr_put_strz(header, WGDEVICE_A_IFNAME, device->name);
	if (link_dump(NETLINK_GENERIC, header, take_device, &reading, sizeof(reading)) < 0) {
		device->family = 0; /* a module that was loaded anew has another number */
		rc = jaco_err_set(err, JACO_UNAVAILABLE, "WireGuard device %s: %s", device->name,
				  strerror(errno));
	} else {
		*out = reading.device;
	}
	jaco_wipe(reading.device.private_key, sizeof(reading.device.private_key));
	return rc;
}

/* --- writing --- */

static void put_endpoint(struct nlmsghdr *header, const char *text)
{
	struct jaco_err ignored = JACO_ERR_INIT;
	struct jaco_addr addr;

	if (jaco_addr_parse(&addr, text, 0, &ignored) == 0) /* a name is no endpoint here */
		mnl_attr_put(header, WGPEER_A_ENDPOINT, addr.n, &addr.storage);
}

static void put_allowed(struct nlmsghdr *header, const struct jaco_cidr *allowed, size_t n)
{
	struct nlattr *list = mnl_attr_nest_start(header, WGPEER_A_ALLOWEDIPS);

	for (size_t i = 0; i < n; i++) {
		struct nlattr *entry = mnl_attr_nest_start(header, 0);

		mnl_attr_put_u16(header, WGALLOWEDIP_A_FAMILY, AF_INET);
		mnl_attr_put_u32(header, WGALLOWEDIP_A_IPADDR, htonl(allowed[i].addr));
		mnl_attr_put_u8(header, WGALLOWEDIP_A_CIDR_MASK, allowed[i].bits);
		mnl_attr_nest_end(header, entry);
	}
	mnl_attr_nest_end(header, list);
}

/* Allowed addresses @from .. @from + @n of one peer; the first part carries everything else. */
static int set_peer(const struct device *device, const struct mesh_step *step, size_t from,
		    size_t n, struct jaco_err *err)
{
	_Alignas(8) char buf[BUF_BYTES];
	struct nlmsghdr *header = request(buf, device->family, WG_CMD_SET_DEVICE, NLM_F_ACK);
	struct nlattr *peers, *peer;
	uint32_t flags = 0;

	mnl_attr_put_strz(header, WGDEVICE_A_IFNAME, device->name);
	peers = mnl_attr_nest_start(header, WGDEVICE_A_PEERS);
	peer = mnl_attr_nest_start(header, 0);
	mnl_attr_put(header, WGPEER_A_PUBLIC_KEY, MESH_KEY_BYTES, step->peer->key);
	if (step->what == MESH_DROP_PEER)
		flags = WGPEER_F_REMOVE_ME;
	else if (from == 0 && step->replace_allowed)
		flags = WGPEER_F_REPLACE_ALLOWEDIPS;
	mnl_attr_put_u32(header, WGPEER_A_FLAGS, flags);
	if (step->what == MESH_SET_PEER && from == 0) {
		if (step->set_endpoint)
			put_endpoint(header, step->peer->endpoint);
		if (step->set_keepalive)
			mnl_attr_put_u16(header, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL,
					 (uint16_t)step->peer->keepalive_s);
	}
	if (n)
		put_allowed(header, step->allowed + from, n);
	mnl_attr_nest_end(header, peer);
	mnl_attr_nest_end(header, peers);
	return link_talk(NETLINK_GENERIC, header, NULL, NULL) < 0
		       ? jaco_err_errno(err, "WireGuard peer")
		       : 0;
}

static int set_device(const struct device *device, const struct mesh_device *desired,
		      struct jaco_err *err)
{
	_Alignas(8) char buf[REQUEST_BYTES];
	struct nlmsghdr *header = request(buf, device->family, WG_CMD_SET_DEVICE, NLM_F_ACK);
	int rc;

	mnl_attr_put_strz(header, WGDEVICE_A_IFNAME, device->name);
	mnl_attr_put(header, WGDEVICE_A_PRIVATE_KEY, MESH_KEY_BYTES, desired->private_key);
	mnl_attr_put_u16(header, WGDEVICE_A_LISTEN_PORT, desired->port);
	rc = link_talk(NETLINK_GENERIC, header, NULL, NULL);
	jaco_wipe(buf, sizeof(buf));
	return rc < 0 ? jaco_err_errno(err, "WireGuard key and port") : 0;
}

static int kernel_apply(struct device *device, const struct mesh_plan *plan,
			const struct mesh_device *desired, struct jaco_err *err)
{
	for (size_t i = 0; i < plan->n; i++) {
		const struct mesh_step *step = &plan->steps[i];
		size_t from = 0;
		int rc = 0;

		if (step->what == MESH_SET_DEVICE) {
			rc = set_device(device, desired, err);
			if (rc < 0)
				return rc;
			continue;
		}
		do {
			size_t n = JACO_MIN(step->n_allowed - from, (size_t)ALLOWED_PER_MSG);

			rc = set_peer(device, step, from, n, err);
			from += n;
		} while (rc >= 0 && from < step->n_allowed);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void kernel_leave(JACO_UNUSED struct device *device)
{
	/* the kernel keeps it */
}

static void kernel_remove(struct device *device)
{
	struct jaco_err ignored = JACO_ERR_INIT;

	(void)link_delete(device->name, &ignored); /* nobody is left to tell */
}

const struct device_ops device_kernel_ops = {
	.name = "kernel",
	.open = kernel_open,
	.get = kernel_get,
	.apply = kernel_apply,
	.leave = kernel_leave,
	.remove = kernel_remove,
};
