/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics.c - the text exposition. */
#include "libjaco/daemon/metrics.h"

#include "libjaco/base/auto.h"

static const uint64_t bounds_us[JACO_HISTOGRAM_BUCKETS] = {
	50,    100,   250,    500,    1000,   2500,    5000,    10000,
	25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 10000000,
};

void jaco_metrics_family(struct jaco_buf *out, const char *name, const char *type, const char *help)
{
	jaco_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void jaco_metrics_sample(struct jaco_buf *out, const char *name, const char *labels, double value)
{
	if (labels)
		jaco_buf_printf(out, "%s{%s} %.17g\n", name, labels, value);
	else
		jaco_buf_printf(out, "%s %.17g\n", name, value);
}

void jaco_metrics_value(struct jaco_buf *out, const char *name, const char *type, const char *help,
			double value)
{
	jaco_metrics_family(out, name, type, help);
	jaco_metrics_sample(out, name, NULL, value);
}

void jaco_metrics_escape(struct jaco_buf *out, const char *value)
{
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			jaco_buf_add_char(out, '\\');
		if (*value == '\n')
			jaco_buf_add_str(out, "\\n");
		else
			jaco_buf_add_char(out, *value);
	}
}

void jaco_histogram_add(struct jaco_histogram *histogram, uint64_t us)
{
	size_t i = 0;

	while (i < JACO_HISTOGRAM_BUCKETS && us > bounds_us[i])
		i++;
	histogram->counts[i]++;
	histogram->sum_us += us;
	histogram->n++;
}

void jaco_histogram_render(struct jaco_buf *out, const char *name, const char *help,
			   const struct jaco_histogram *histogram)
{
	uint64_t below = 0;

	jaco_metrics_family(out, name, "histogram", help);
	for (size_t i = 0; i < JACO_HISTOGRAM_BUCKETS; i++) {
		below += histogram->counts[i];
		jaco_buf_printf(out, "%s_bucket{le=\"%g\"} %llu\n", name,
				(double)bounds_us[i] / 1e6, (unsigned long long)below);
	}
	jaco_buf_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n", name,
			(unsigned long long)histogram->n);
	jaco_buf_printf(out, "%s_sum %.6f\n%s_count %llu\n", name, (double)histogram->sum_us / 1e6,
			name, (unsigned long long)histogram->n);
}
