/* SPDX-License-Identifier: Apache-2.0
 *
 * create_limits.c - rows of how much the container may use: memory, processors, disks, log. */
#include "daemons/runtimed/create_row.h"

#include "daemons/runtimed/json_out.h"

#define LOG_MAX_SIZE "10m" /* spec/runtime.md section 2: 10 MB x 3 */
#define LOG_MAX_FILE "3"

static void put_memory(struct create_out *o)
{
	const struct jaco_resources *r = &o->service->resources;

	json_out_set_i64(o->host, "Memory", r->memory_bytes);
	json_out_set_i64(o->host, "MemoryReservation", r->memory_reservation);
	json_out_set_i64(o->host, "MemorySwap", r->memswap_bytes);
	json_out_set_i64(o->host, "MemorySwappiness", r->mem_swappiness);
}

static void put_cpu(struct create_out *o)
{
	const struct jaco_resources *r = &o->service->resources;

	json_out_set_i64(o->host, "NanoCpus", r->nano_cpus);
	json_out_set_i64(o->host, "CpuShares", r->cpu_shares);
	json_out_set_i64(o->host, "CpuQuota", r->cpu_quota_us);
	json_out_set_i64(o->host, "CpuPeriod", r->cpu_period_us);
	json_out_set_i64(o->host, "CpuRealtimeRuntime", r->cpu_rt_runtime_us);
	json_out_set_i64(o->host, "CpuRealtimePeriod", r->cpu_rt_period_us);
	json_out_str(o->host, "CpusetCpus", r->cpuset);
}

static void put_pids_limit(struct create_out *o)
{
	json_out_set_i64(o->host, "PidsLimit", o->service->resources.pids);
}

static void set_blkio(json_t *host, const char *key, const char *value_key,
		      const struct jaco_blkio_list *list)
{
	json_t *devices = json_array();

	for (size_t i = 0; i < list->n; i++)
		json_array_append_new(devices, json_pack("{s:s, s:I}", "Path", list->items[i].path,
							 value_key,
							 (json_int_t)list->items[i].value));
	json_out_list(host, key, devices);
}

static void put_blkio_config(struct create_out *o)
{
	const struct jaco_blkio *b = &o->service->blkio;

	if (b->weight)
		json_object_set_new(o->host, "BlkioWeight", json_integer(b->weight));
	set_blkio(o->host, "BlkioWeightDevice", "Weight", &b->weight_device);
	set_blkio(o->host, "BlkioDeviceReadBps", "Rate", &b->read_bps);
	set_blkio(o->host, "BlkioDeviceWriteBps", "Rate", &b->write_bps);
	set_blkio(o->host, "BlkioDeviceReadIOps", "Rate", &b->read_iops);
	set_blkio(o->host, "BlkioDeviceWriteIOps", "Rate", &b->write_iops);
}

static void put_shm_size(struct create_out *o)
{
	json_out_set_i64(o->host, "ShmSize", o->service->shm_bytes);
}

static void put_oom(struct create_out *o)
{
	json_out_set_i64(o->host, "OomScoreAdj", o->service->oom_score_adj);
	if (o->service->oom_kill_disable)
		json_object_set_new(o->host, "OomKillDisable", json_true());
}

static void put_logging(struct create_out *o)
{
	const struct jaco_logging *log = &o->service->logging;
	json_t *config = json_out_pairs(&log->options);

	if (!log->driver && log->options.n == 0) {
		json_out_str(config, "max-size", LOG_MAX_SIZE);
		json_out_str(config, "max-file", LOG_MAX_FILE);
	}
	json_object_set_new(o->host, "LogConfig",
			    json_pack("{s:s, s:o}", "Type", log->driver ? log->driver : "json-file",
				      "Config", config));
}

const struct create_row create_limits_rows[] = {
	{"mem_limit", put_memory},
	{"mem_reservation", NULL},
	{"memswap_limit", NULL},
	{"mem_swappiness", NULL},
	{"cpus", put_cpu},
	{"cpu_shares", NULL},
	{"cpu_quota", NULL},
	{"cpu_period", NULL},
	{"cpuset", NULL},
	{"pids_limit", put_pids_limit},
	{"blkio_config", put_blkio_config},
	{"shm_size", put_shm_size},
	{"oom_score_adj", put_oom},
	{"oom_kill_disable", NULL},
	{"logging", put_logging},
	{NULL, NULL},
};
