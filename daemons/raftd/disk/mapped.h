/* SPDX-License-Identifier: Apache-2.0
 *
 * mapped.h - a last sentence before an unreadable page of a mapped file ends the process.
 *
 * LMDB reads its file through memory: a file that was cut short, a sector that cannot be read, or a
 * damaged tree that leads behind the file's end is no error code but SIGBUS (mmap(2)). */
#pragma once

#include <stddef.h>

/* Say on standard error that the state in @dir is damaged, and what to do, when SIGBUS hits
 * [@map, @map + @bytes); then the signal does what it did before.  One map at a time: the last one
 * told counts. */
void mapped_guard(const void *map, size_t bytes, const char *dir);

/* @map is going to be unmapped. */
void mapped_release(const void *map);
