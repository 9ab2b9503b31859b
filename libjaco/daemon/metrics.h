/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics.h - Prometheus text exposition format 0.0.4, written line by line. */
#pragma once

#include <stdint.h>

#include "libjaco/base/buf.h"

/* "# HELP" and "# TYPE"; @type is counter, gauge or histogram. */
void jaco_metrics_family(struct jaco_buf *out, const char *name, const char *type,
			 const char *help);

/* One sample; @labels is `a="x",b="y"` or NULL. */
void jaco_metrics_sample(struct jaco_buf *out, const char *name, const char *labels, double value);

/* Family and single sample. */
void jaco_metrics_value(struct jaco_buf *out, const char *name, const char *type, const char *help,
			double value);

/* Append @value with backslash, quote and newline escaped. */
void jaco_metrics_escape(struct jaco_buf *out, const char *value);

/* Latency histogram in microseconds with fixed buckets, cheap to feed. */
#define JACO_HISTOGRAM_BUCKETS 16
struct jaco_histogram {
	uint64_t counts[JACO_HISTOGRAM_BUCKETS + 1];
	uint64_t sum_us;
	uint64_t n;
};
void jaco_histogram_add(struct jaco_histogram *histogram, uint64_t us);
void jaco_histogram_render(struct jaco_buf *out, const char *name, const char *help,
			   const struct jaco_histogram *histogram); /* in seconds */
