/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor.c - jaco doctor: would JACO work on this machine, and if not, what to do.
 *
 * Looks, never changes.  Every check is a function that fills one row. */
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/out.h"
#include "libjaco/base/str.h"
#include "libjaco/daemon/config.h"
#include "libjaco/io/fs.h"
#include "libjaco/io/sock.h"
#include "libjaco/model/cidr.h"

static const struct out_column doctor_columns[] = {
	{"CHECK", "check"},   {"RESULT", "result"}, {"FOUND", "message"},
	{"REMEDY", "remedy"}, {NULL, NULL},
};

struct doctor {
	struct cli *cli;
	struct jaco_config config;
};

static struct wire_doctor_row row(const char *result, const char *message, const char *remedy)
{
	return (struct wire_doctor_row){.result = result, .message = message, .remedy = remedy};
}

/* One netlink request; 0 or -errno. */
static int ask_netlink(int family, struct nlmsghdr *nlh)
{
	struct mnl_socket *nl = mnl_socket_open(family);
	char buf[8192];
	ssize_t n;
	int rc = 0;

	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		rc = -errno;
	n = rc == 0 ? mnl_socket_recvfrom(nl, buf, sizeof(buf)) : 0;
	if (n >= (ssize_t)sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *reply = (const struct nlmsghdr *)buf;

		if (reply->nlmsg_type == NLMSG_ERROR)
			rc = ((const struct nlmsgerr *)mnl_nlmsg_get_payload(reply))->error;
	}
	mnl_socket_close(nl);
	return rc;
}

static struct wire_doctor_row check_nftables(struct doctor *doctor)
{
	char buf[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;
	int rc;

	(void)doctor;
	nlh->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = AF_UNSPEC;
	nfg->version = NFNETLINK_V0;
	rc = ask_netlink(NETLINK_NETFILTER, nlh);
	if (rc == -EPERM)
		return row("warning", "nftables: not allowed to ask", "run as root");
	return rc == 0 ? row("ok", "the kernel has nftables", NULL)
		       : row("failed", "the kernel has no nftables",
			     "modprobe nf_tables, or a kernel with it");
}

static struct wire_doctor_row check_wireguard(struct doctor *doctor)
{
	char buf[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *genl;

	(void)doctor;
	nlh->nlmsg_type = GENL_ID_CTRL;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	genl->cmd = CTRL_CMD_GETFAMILY;
	genl->version = 1;
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, "wireguard");
	if (ask_netlink(NETLINK_GENERIC, nlh) == 0)
		return row("ok", "the kernel has WireGuard", NULL);
	if (access("/dev/net/tun", R_OK | W_OK) == 0 &&
	    (access("/usr/bin/wireguard-go", X_OK) == 0 ||
	     access("/usr/local/bin/wireguard-go", X_OK) == 0))
		return row("ok", "userspace WireGuard: TUN and wireguard-go", NULL);
	return row("warning", "no WireGuard: one node works, several do not reach each other",
		   "modprobe wireguard, or apt-get install wireguard-go");
}

static struct wire_doctor_row check_bridge(struct doctor *doctor)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unsigned long args[3] = {0};
	int rc;

	(void)doctor;
	/* BRCTL_GET_VERSION asks the bridge module and changes nothing (linux/if_bridge.h). */
	rc = ioctl(fd, 0x8940 /* SIOCGIFBR */, args);
	(void)close(fd);
	return rc >= 0 || errno != ENOPKG
		       ? row("ok", "the kernel has bridges", NULL)
		       : row("failed", "the kernel has no bridges", "modprobe bridge");
}

static struct wire_doctor_row check_cgroups(struct doctor *doctor)
{
	(void)doctor;
	if (jaco_fs_exists("/sys/fs/cgroup/cgroup.controllers"))
		return row("ok", "cgroup v2", NULL);
	if (jaco_fs_exists("/sys/fs/cgroup/memory"))
		return row("ok", "cgroup v1", NULL);
	return row("failed", "no cgroup hierarchy is mounted",
		   "mount -t cgroup2 none /sys/fs/cgroup");
}

/* "GET /version" in plain HTTP/1.0: the engine's JSON has "Version". */
static bool ask_engine(const char *path, char *version, size_t version_bytes)
{
	static const char request[] = "GET /version HTTP/1.0\r\nHost: engine\r\n\r\n";
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_BOUND(65536);
	jaco_auto(jaco_fd) int fd = -1;
	struct jaco_addr addr;
	bool pending;
	const char *at;
	char chunk[4096];
	ssize_t n;

	if (jaco_addr_unix(&addr, path, NULL) < 0 ||
	    (fd = jaco_sock_connect(&addr, &pending, NULL)) < 0 ||
	    jaco_fd_set_nonblock(fd, false, NULL) < 0 ||
	    send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
		return false;
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		jaco_buf_add(&text, chunk, (size_t)n);
	at = strstr(jaco_buf_str(&text), "\"Version\":\"");
	if (!at)
		return false;
	at += strlen("\"Version\":\"");
	(void)jaco_str_format(version, version_bytes, "%.*s", (int)strcspn(at, "\""), at);
	return true;
}

static struct wire_doctor_row check_engine(struct doctor *doctor)
{
	const char *paths[] = {doctor->config.engine_socket, "/var/run/docker.sock",
			       "/run/podman/podman.sock"};
	char version[64];

	for (size_t i = 0; i < JACO_ARRAY_SIZE(paths); i++)
		if (*paths[i] && ask_engine(paths[i], version, sizeof(version)))
			return row("ok",
				   jaco_arena_printf(&doctor->cli->arena, "engine %s at %s",
						     version, paths[i]),
				   NULL);
	return row("failed", "no container engine answers",
		   "apt-get install docker.io and start it, or set engine_socket");
}

static bool is_free(const char *text)
{
	struct jaco_addr addr;
	jaco_auto(jaco_fd) int fd = -1;

	if (jaco_addr_parse(&addr, text, 0, NULL) < 0)
		return true; /* "off" */
	fd = jaco_sock_listen_tcp(&addr, 0, NULL);
	return fd >= 0 || errno != EADDRINUSE;
}

static struct wire_doctor_row check_ports(struct doctor *doctor)
{
	struct jaco_buf busy = JACO_BUF_INIT;
	const char *text;

	if (!is_free(doctor->config.listen_addr))
		jaco_buf_printf(&busy, "%s ", doctor->config.listen_addr);
	if (!is_free(doctor->config.cluster_addr))
		jaco_buf_printf(&busy, "%s ", doctor->config.cluster_addr);
	for (size_t i = 0; i < doctor->config.ingress_http_addr.n; i++)
		if (!is_free(doctor->config.ingress_http_addr.v[i]))
			jaco_buf_printf(&busy, "%s ", doctor->config.ingress_http_addr.v[i]);
	for (size_t i = 0; i < doctor->config.ingress_https_addr.n; i++)
		if (!is_free(doctor->config.ingress_https_addr.v[i]))
			jaco_buf_printf(&busy, "%s ", doctor->config.ingress_https_addr.v[i]);
	text = jaco_arena_printf(&doctor->cli->arena, "in use: %s", jaco_buf_str(&busy));
	if (busy.n == 0) {
		jaco_buf_fini(&busy);
		return row("ok", "API, peer and ingress ports are free", NULL);
	}
	jaco_buf_fini(&busy);
	return row("warning", text,
		   "fine when JACO runs already; otherwise stop the other program");
}

/* /proc/net/route: destination and mask in little-endian hex. */
static struct wire_doctor_row check_pool(struct doctor *doctor)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;
	struct jaco_cidr pool;
	char *save = NULL;

	if (jaco_cidr_parse(doctor->config.ipam_pool, &pool, NULL) < 0 ||
	    jaco_fs_read("/proc/net/route", 1u << 20, &text, NULL) < 0)
		return row("warning", "the routing table cannot be read", NULL);
	for (char *line = strtok_r(text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char name[32];
		unsigned destination;
		unsigned mask;
		struct jaco_cidr route;

		if (sscanf(line, "%31s %x %*x %*x %*d %*d %*d %x", name, &destination, &mask) !=
			    3 ||
		    mask == 0 || strncmp(name, "jaco", 4) == 0 ||
		    jaco_str_eq(name, doctor->config.wg_interface))
			continue;
		route = (struct jaco_cidr){__builtin_bswap32(destination),
					   (uint8_t)__builtin_popcount(mask)};
		if (jaco_cidr_overlaps(pool, route))
			return row("failed",
				   jaco_arena_printf(&doctor->cli->arena,
						     "pool %s overlaps a route of %s",
						     doctor->config.ipam_pool, name),
				   "set ipam_pool in jacod.yaml to a free range");
	}
	return row(
		"ok",
		jaco_arena_printf(&doctor->cli->arena, "pool %s is free", doctor->config.ipam_pool),
		NULL);
}

static struct wire_doctor_row check_clock(struct doctor *doctor)
{
	struct timex tx = {0};

	(void)doctor;
	if (adjtimex(&tx) == TIME_ERROR)
		return row("warning", "the clock is not synchronised",
			   "run chrony or systemd-timesyncd");
	return row("ok", "the clock is synchronised", NULL);
}

static struct wire_doctor_row check_disk(struct doctor *doctor)
{
	struct statvfs vfs;
	const char *path =
		jaco_fs_exists(doctor->config.data_dir) ? doctor->config.data_dir : "/var/lib";
	unsigned long mib;

	if (statvfs(path, &vfs) < 0)
		return row("warning", "free space is not known", NULL);
	mib = (unsigned long)(vfs.f_bavail * (vfs.f_frsize / 1024) / 1024);
	if (mib < 512 || (vfs.f_files && vfs.f_favail < 10000))
		return row("failed",
			   jaco_arena_printf(&doctor->cli->arena,
					     "%lu MiB and %lu inodes free at %s", mib,
					     (unsigned long)vfs.f_favail, path),
			   "make room");
	return row("ok", jaco_arena_printf(&doctor->cli->arena, "%lu MiB free at %s", mib, path),
		   NULL);
}

static struct wire_doctor_row check_dns(struct doctor *doctor)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;
	char *save = NULL;

	if (doctor->config.dns_forwarders.n)
		return row("ok", "dns.forwarders is set", NULL);
	if (jaco_fs_read("/etc/resolv.conf", 65536, &text, NULL) >= 0 && text.n)
		for (char *line = strtok_r(text.data, "\n", &save); line;
		     line = strtok_r(NULL, "\n", &save))
			if (strncmp(line, "nameserver ", 11) == 0 && !strstr(line, "127.0.0.11"))
				return row("ok", jaco_arena_strdup(&doctor->cli->arena, line),
					   NULL);
	return row("warning", "no upstream resolver: external names will not resolve in containers",
		   "set dns.forwarders in jacod.yaml");
}

static struct wire_doctor_row check_root(struct doctor *doctor)
{
	(void)doctor;
	return geteuid() == 0
		       ? row("ok", "running as root", NULL)
		       : row("warning", "not root: some checks see less", "sudo jaco doctor");
}

static const struct {
	const char *name;
	struct wire_doctor_row (*run)(struct doctor *doctor);
} checks[] = {
	{"privilege", check_root}, {"nftables", check_nftables}, {"wireguard", check_wireguard},
	{"bridge", check_bridge},  {"cgroups", check_cgroups},	 {"engine", check_engine},
	{"ports", check_ports},	   {"pool", check_pool},	 {"clock", check_clock},
	{"disk", check_disk},	   {"dns", check_dns},
};

int doctor_run(struct cli *cli, struct jaco_err *err)
{
	struct doctor doctor = {.cli = cli};
	struct wire_doctor_row rows[JACO_ARRAY_SIZE(checks)];
	const char *root = cli_opt(cli, "root") ? cli_opt(cli, "root") : getenv("JACO_ROOT");
	const char *path = cli_opt(cli, "config");
	bool is_named, failed = false;

	if (!path && !root) /* as the daemons choose it */
		path = getenv("JACO_CONFIG");
	is_named = path != NULL;
	if (!path)
		path = root ? jaco_arena_printf(&cli->arena, "%s/jacod.yaml", root)
			    : "/etc/jaco/jacod.yaml";
	if (jaco_config_load(&doctor.config, path, is_named, err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < JACO_ARRAY_SIZE(checks); i++) {
		rows[i] = checks[i].run(&doctor);
		rows[i].check = checks[i].name;
		failed = failed || jaco_str_eq(rows[i].result, "failed");
	}
	out_rows(cli, &wire_doctor_row_desc, rows, JACO_ARRAY_SIZE(rows), doctor_columns);
	return failed ? 1 : 0;
}
