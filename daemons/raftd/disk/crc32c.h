/* SPDX-License-Identifier: Apache-2.0
 *
 * crc32c.h - CRC-32C (RFC 3720 appendix B.4), by the processor's own instruction where it has
 * one. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Continue from @crc (0 to begin). */
uint32_t crc32c(uint32_t crc, const void *data, size_t n);
