/* SPDX-License-Identifier: Apache-2.0
 *
 * canon.c - the canonical form of a service: sorted pairs of a key path and a text.
 *
 * Two halves.  What a container would feel (spec/manifests.md section 5) makes the spec hash: equal
 * pairs, and the container is left alone.  The rest - how many, where, how rolled out, which ports
 * are published - is compared for people only: proxyd, dnsd and schedd follow such changes without
 * touching a container.  A new field of struct jaco_service belongs into exactly one half. */
#include <stdio.h>
#include <string.h>

#include "libjaco/base/buf.h"
#include "libjaco/base/digest.h"
#include "libjaco/base/str.h"
#include "libjaco/model/manifest/manifest.h"
#include "libjaco/model/manifest/read.h"

struct canon {
	struct jaco_arena *arena;
	struct jaco_pairs pairs;
	size_t cap;
};

static void add(struct canon *canon, const char *key, const char *value)
{
	if (!value)
		return;
	canon->pairs.items = jaco_arena_grow(canon->arena, canon->pairs.items, &canon->cap,
					     canon->pairs.n + 1, sizeof(*canon->pairs.items));
	canon->pairs.items[canon->pairs.n++] = (struct jaco_pair){.key = key, .value = value};
}

static void add_number(struct canon *canon, const char *key, int64_t value)
{
	add(canon, key, jaco_arena_printf(canon->arena, "%lld", (long long)value));
}

static void add_opt(struct canon *canon, const char *key, struct jaco_opt_i64 value)
{
	if (value.is_set)
		add_number(canon, key, value.value);
}

static void add_flag(struct canon *canon, const char *key, bool value)
{
	if (value)
		add(canon, key, "true");
}

/* "key.rest"; most of the form is made of these, so no format is parsed for them. */
static const char *joined(struct canon *canon, const char *key, const char *rest)
{
	size_t n_key = strlen(key);
	size_t n_rest = strlen(rest);
	char *out = jaco_arena_alloc(canon->arena, n_key + n_rest + 2);

	memcpy(out, key, n_key);
	out[n_key] = '.';
	memcpy(out + n_key + 1, rest, n_rest);
	return out;
}

/* The index has five digits so that the order of the list survives sorting by key. */
static const char *item_key(struct canon *canon, const char *key, size_t i)
{
	char digits[24] = "";
	size_t at = sizeof(digits) - 1;

	for (size_t n = 0; n < 5 || i > 0; n++, i /= 10)
		digits[--at] = (char)('0' + i % 10);
	return joined(canon, key, digits + at);
}

static void add_list(struct canon *canon, const char *key, const char *const *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add(canon, item_key(canon, key, i), items[i]);
}

static void add_argv(struct canon *canon, const char *key, const struct jaco_argv *argv)
{
	if (argv->is_set && argv->n == 0)
		add(canon, key, "[]");
	add_list(canon, key, argv->items, argv->n);
}

static void add_pairs(struct canon *canon, const char *key, const struct jaco_pairs *pairs)
{
	for (size_t i = 0; i < pairs->n; i++)
		add(canon, joined(canon, key, pairs->items[i].key), pairs->items[i].value);
}

static void add_mounts(struct canon *canon, const struct jaco_service *s)
{
	static const char *const types[] = {"bind", "volume", "tmpfs"};

	for (size_t i = 0; i < s->n_mounts; i++) {
		const struct jaco_mount *mount = &s->mounts[i];
		const char *source = mount->engine_name ? mount->engine_name : mount->source;

		add(canon, joined(canon, "volumes", mount->target),
		    jaco_arena_printf(
			    canon->arena, "%s %s%s%s%s%s%s%s%s%s size=%lld mode=%lld%s",
			    types[mount->type], source ? source : "", mount->read_only ? " ro" : "",
			    mount->no_copy ? " nocopy" : "", mount->subpath ? " subpath=" : "",
			    mount->subpath ? mount->subpath : "", mount->propagation ? " " : "",
			    mount->propagation ? mount->propagation : "", mount->selinux ? " " : "",
			    mount->selinux ? mount->selinux : "",
			    (long long)(mount->tmpfs_bytes.is_set ? mount->tmpfs_bytes.value : -1),
			    (long long)(mount->tmpfs_mode.is_set ? mount->tmpfs_mode.value : -1),
			    mount->create_host_path ? " create" : ""));
	}
	for (size_t i = 0; i < s->n_tmpfs; i++)
		add(canon, joined(canon, "tmpfs", s->tmpfs[i].target), s->tmpfs[i].options);
}

static void add_files(struct canon *canon, const struct jaco_service *s)
{
	for (size_t i = 0; i < s->n_files; i++) {
		const struct jaco_file *file = &s->files[i];
		char digest[JACO_SHA256_TEXT_BYTES] = "external";

		if (file->content)
			jaco_sha256_text(file->content, file->content_bytes, digest);
		add(canon, joined(canon, "files", file->target),
		    jaco_arena_printf(canon->arena, "%s%s %s:%s %o %s",
				      file->is_secret ? "secret " : "config ",
				      file->is_external ? file->engine_name : "",
				      file->uid ? file->uid : "0", file->gid ? file->gid : "0",
				      file->mode, digest));
	}
}

static void add_devices(struct canon *canon, const struct jaco_service *s)
{
	for (size_t i = 0; i < s->n_devices; i++)
		add(canon, joined(canon, "devices", s->devices[i].target),
		    jaco_arena_printf(canon->arena, "%s %s", s->devices[i].source,
				      s->devices[i].permissions));
	for (size_t i = 0; i < s->n_device_requests; i++) {
		const struct jaco_device_request *request = &s->device_requests[i];
		const char *key = item_key(canon, "device_requests", i);

		add(canon, key,
		    jaco_arena_printf(canon->arena, "%s %lld",
				      request->driver ? request->driver : "",
				      (long long)request->count));
		add_list(canon, joined(canon, key, "ids"), request->device_ids.items,
			 request->device_ids.n);
		add_list(canon, joined(canon, key, "capabilities"),
			 request->capabilities.items, request->capabilities.n);
		add_pairs(canon, joined(canon, key, "options"), &request->options);
	}
	for (size_t i = 0; i < s->n_ulimits; i++)
		add(canon, joined(canon, "ulimits", s->ulimits[i].name),
		    jaco_arena_printf(canon->arena, "%lld:%lld", (long long)s->ulimits[i].soft,
				      (long long)s->ulimits[i].hard));
}

static void add_blkio(struct canon *canon, const char *key, const struct jaco_blkio_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		add(canon, jaco_arena_printf(canon->arena, "blkio.%s.%s", key, list->items[i].path),
		    jaco_arena_printf(canon->arena, "%llu",
				      (unsigned long long)list->items[i].value));
}

static void add_resources(struct canon *canon, const struct jaco_service *s)
{
	const struct jaco_resources *r = &s->resources;

	add_opt(canon, "resources.nano_cpus", r->nano_cpus);
	add_opt(canon, "resources.memory", r->memory_bytes);
	add_opt(canon, "resources.memory_reservation", r->memory_reservation);
	add_opt(canon, "resources.memswap", r->memswap_bytes);
	add_opt(canon, "resources.swappiness", r->mem_swappiness);
	add_opt(canon, "resources.pids", r->pids);
	add_opt(canon, "resources.cpu_shares", r->cpu_shares);
	add_opt(canon, "resources.cpu_quota", r->cpu_quota_us);
	add_opt(canon, "resources.cpu_period", r->cpu_period_us);
	add_opt(canon, "resources.cpu_rt_runtime", r->cpu_rt_runtime_us);
	add_opt(canon, "resources.cpu_rt_period", r->cpu_rt_period_us);
	add(canon, "resources.cpuset", r->cpuset);
	if (s->blkio.weight)
		add_number(canon, "blkio.weight", s->blkio.weight);
	add_blkio(canon, "weight_device", &s->blkio.weight_device);
	add_blkio(canon, "read_bps", &s->blkio.read_bps);
	add_blkio(canon, "write_bps", &s->blkio.write_bps);
	add_blkio(canon, "read_iops", &s->blkio.read_iops);
	add_blkio(canon, "write_iops", &s->blkio.write_iops);
	add_opt(canon, "shm_size", s->shm_bytes);
	add_opt(canon, "oom_score_adj", s->oom_score_adj);
	add_flag(canon, "oom_kill_disable", s->oom_kill_disable);
}

static void add_healthcheck(struct canon *canon, const struct jaco_healthcheck *check)
{
	static const char *const kinds[] = {"inherit", "disabled", "cmd", "shell"};

	if (!check->is_set)
		return;
	add(canon, "healthcheck.kind", kinds[check->kind]);
	add_list(canon, "healthcheck.test", check->test.items, check->test.n);
	if (check->kind == JACO_HEALTHCHECK_DISABLED)
		return;
	add_opt(canon, "healthcheck.interval", check->interval_ms);
	add_opt(canon, "healthcheck.timeout", check->timeout_ms);
	add_opt(canon, "healthcheck.start_period", check->start_period_ms);
	add_opt(canon, "healthcheck.start_interval", check->start_interval_ms);
	add_opt(canon, "healthcheck.retries", check->retries);
}

static void add_rights(struct canon *canon, const struct jaco_service *s)
{
	add_flag(canon, "privileged", s->privileged);
	add_flag(canon, "read_only", s->read_only);
	add_list(canon, "cap_add", s->cap_add.items, s->cap_add.n);
	add_list(canon, "cap_drop", s->cap_drop.items, s->cap_drop.n);
	add_list(canon, "security_opt", s->security_opt.items, s->security_opt.n);
	add_list(canon, "device_cgroup_rules", s->device_cgroup_rules.items,
		 s->device_cgroup_rules.n);
	add(canon, "ipc", s->ipc);
	add(canon, "pid", s->pid);
	add(canon, "uts", s->uts);
	add(canon, "userns_mode", s->userns_mode);
	add(canon, "cgroup", s->cgroup);
	add(canon, "cgroup_parent", s->cgroup_parent);
	add(canon, "runtime", s->runtime);
	add_pairs(canon, "sysctls", &s->sysctls);
	add_pairs(canon, "storage_opt", &s->storage_opt);
}

static void add_network(struct canon *canon, const struct jaco_service *s)
{
	static const char *const modes[] = {"networks", "none", "host", "service"};

	add(canon, "network_mode", modes[s->network_mode]);
	add(canon, "network_service", s->network_service);
	for (size_t i = 0; i < s->n_attachments; i++) {
		const struct jaco_attachment *a = &s->attachments[i];
		const char *key = joined(canon, "networks", a->network);

		add(canon, key, a->mac_address ? a->mac_address : "");
		add_pairs(canon, joined(canon, key, "driver_opts"), &a->driver_opts);
		if (a->priority)
			add_number(canon, joined(canon, key, "priority"), a->priority);
		if (a->gw_priority)
			add_number(canon, joined(canon, key, "gw_priority"), a->gw_priority);
	}
	/* the engine records exposed ports in the container; where they are published it never
	 * learns */
	for (size_t i = 0; i < s->n_ports; i++)
		add(canon,
		    jaco_arena_printf(canon->arena, "exposed.%u/%s", s->ports[i].target,
				      jaco_proto_name(s->ports[i].proto)),
		    "");
	add_pairs(canon, "extra_hosts", &s->extra_hosts);
	/* in our networks dnsd asks these for the container, which never learns of them */
	if (s->network_mode != JACO_NETMODE_NETWORKS)
		add_list(canon, "dns", s->dns.items, s->dns.n);
	add_list(canon, "dns_search", s->dns_search.items, s->dns_search.n);
	add_list(canon, "dns_opt", s->dns_opt.items, s->dns_opt.n);
}

struct jaco_pairs jaco_service_canon(const struct jaco_service *s, struct jaco_arena *arena)
{
	struct canon canon = {.arena = arena};

	add(&canon, "image", s->image);
	add(&canon, "platform", s->platform);
	add_argv(&canon, "command", &s->command);
	add_argv(&canon, "entrypoint", &s->entrypoint);
	add_pairs(&canon, "environment", &s->environment);
	add_list(&canon, "environment_unset", s->environment_unset.items, s->environment_unset.n);
	add(&canon, "user", s->user);
	add(&canon, "working_dir", s->working_dir);
	add(&canon, "hostname", s->hostname);
	add(&canon, "domainname", s->domainname);
	add(&canon, "mac_address", s->mac_address);
	add_list(&canon, "group_add", s->group_add.items, s->group_add.n);
	add_pairs(&canon, "labels", &s->labels);
	add_pairs(&canon, "annotations", &s->annotations);
	add_flag(&canon, "tty", s->tty);
	add_flag(&canon, "stdin_open", s->stdin_open);
	add(&canon, "stop_signal", s->stop_signal);
	add_opt(&canon, "stop_grace_period", s->stop_grace_ms);
	if (s->init != JACO_TRI_UNSET)
		add(&canon, "init", s->init == JACO_TRI_TRUE ? "true" : "false");
	add(&canon, "logging.driver", s->logging.driver);
	add_pairs(&canon, "logging.options", &s->logging.options);
	add_mounts(&canon, s);
	add_files(&canon, s);
	add_devices(&canon, s);
	add_resources(&canon, s);
	add_healthcheck(&canon, &s->healthcheck);
	add_rights(&canon, s);
	add_network(&canon, s);
	jaco_pairs_sort(&canon.pairs);
	return canon.pairs;
}

static void add_probe(struct canon *canon, const struct jaco_probe *probe)
{
	static const char *const kinds[] = {"", "http", "tcp", "cmd"};

	if (probe->kind == JACO_PROBE_NONE)
		return;
	add(canon, "health",
	    jaco_arena_printf(canon->arena, "%s %s port=%u %u-%u every %lldms within %lldms x%u",
			      kinds[probe->kind], probe->path ? probe->path : "", probe->port,
			      probe->expect_min, probe->expect_max, (long long)probe->interval_ms,
			      (long long)probe->timeout_ms, probe->retries));
	add_list(canon, "health.cmd", probe->command.items, probe->command.n);
}

static void add_ports(struct canon *canon, const struct jaco_service *s)
{
	static const char *const modes[] = {"exposed", "cluster", "host"};

	for (size_t i = 0; i < s->n_ports; i++) {
		const struct jaco_port *port = &s->ports[i];

		if (port->mode != JACO_PORT_EXPOSED)
			add(canon,
			    jaco_arena_printf(canon->arena, "ports.%u/%s%s%s", port->published,
					      jaco_proto_name(port->proto),
					      port->host_ip ? "@" : "",
					      port->host_ip ? port->host_ip : ""),
			    jaco_arena_printf(canon->arena, "%u %s", port->target,
					      modes[port->mode]));
	}
}

static void add_rollout(struct canon *canon, const struct jaco_rollout *rollout)
{
	static const char *const actions[] = {"rollback", "pause", "continue"};

	add(canon, "rollout.order",
	    rollout->order == JACO_ORDER_STOP_FIRST ? "stop-first" : "start-first");
	add_number(canon, "rollout.parallel", rollout->parallel);
	add_number(canon, "rollout.timeout", rollout->timeout_ms);
	add_number(canon, "rollout.drain", rollout->drain_ms);
	add_number(canon, "rollout.monitor", rollout->monitor_ms);
	add_number(canon, "rollout.delay", rollout->delay_ms);
	add(canon, "rollout.on_failure", actions[rollout->on_failure]);
	add(canon, "rollout.max_failure_ratio",
	    jaco_arena_printf(canon->arena, "%g", rollout->max_failure_ratio));
}

static void add_constraints(struct canon *canon, const struct jaco_service *s)
{
	static const char *const subjects[] = {"node.hostname", "node.labels.",
					       "node.platform.arch", "node.platform.os"};

	for (size_t i = 0; i < s->n_constraints; i++) {
		const struct jaco_constraint *c = &s->constraints[i];

		add(canon, item_key(canon, "constraints", i),
		    jaco_arena_printf(canon->arena, "%s%s %s %s", subjects[c->subject],
				      c->label ? c->label : "",
				      c->is_negated ? "!=" : "==", c->value));
	}
}

struct jaco_pairs jaco_service_canon_place(const struct jaco_service *s, struct jaco_arena *arena)
{
	static const char *const restarts[] = {"always", "on-failure", "no"};
	static const char *const pulls[] = {"missing", "always", "never"};
	struct canon canon = {.arena = arena};

	add_number(&canon, "replicas", s->replicas);
	if (s->per_host)
		add_number(&canon, "per_host", s->per_host);
	add(&canon, "placement", jaco_placement_name(s->placement));
	add_list(&canon, "hosts", s->hosts.items, s->hosts.n);
	add_constraints(&canon, s);
	if (s->max_replicas_per_node)
		add_number(&canon, "max_replicas_per_node", s->max_replicas_per_node);
	add_opt(&canon, "resources.reserved_nano_cpus", s->resources.reserved_nano_cpus);
	add_probe(&canon, &s->probe);
	if (s->default_probe_port)
		add_number(&canon, "health.default_port", s->default_probe_port);
	add_rollout(&canon, &s->rollout);
	add(&canon, "failover", s->failover_stay ? "stay" : "reschedule");
	add_flag(&canon, "single", s->is_single);
	add(&canon, "restart", restarts[s->restart.kind]);
	if (s->restart.max_attempts)
		add_number(&canon, "restart.max_attempts", s->restart.max_attempts);
	add_opt(&canon, "restart.delay", s->restart.delay_ms);
	add_opt(&canon, "restart.window", s->restart.window_ms);
	add_flag(&canon, "one_shot", s->is_one_shot);
	add(&canon, "pull_policy", pulls[s->pull_policy]);
	add_ports(&canon, s);
	if (s->network_mode == JACO_NETMODE_NETWORKS)
		add_list(&canon, "dns", s->dns.items, s->dns.n);
	add_list(&canon, "names", s->dns_names.items, s->dns_names.n);
	for (size_t i = 0; i < s->n_attachments; i++)
		add_list(&canon,
			 jaco_arena_printf(arena, "networks.%s.aliases", s->attachments[i].network),
			 s->attachments[i].aliases.items, s->attachments[i].aliases.n);
	for (size_t i = 0; i < s->n_depends_on; i++)
		add(&canon, jaco_arena_printf(arena, "depends_on.%s", s->depends_on[i].service),
		    jaco_arena_printf(arena, "%s%s%s",
				      jaco_condition_name(s->depends_on[i].condition),
				      s->depends_on[i].required ? "" : " optional",
				      s->depends_on[i].restart ? " restart" : ""));
	jaco_pairs_sort(&canon.pairs);
	return canon.pairs;
}
