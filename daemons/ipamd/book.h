/* SPDX-License-Identifier: Apache-2.0
 *
 * book.h - the leases of this host on disk.
 *
 * One LMDB file, address -> lease_item.  Every change is one committed transaction before anybody
 * is told, so an address once given is known after kill -9 and after a power cut. */
#pragma once

#include <lmdb.h>

#include "daemons/ipamd/lease.h"
#include "libjaco/base/err.h"

struct book {
	MDB_env *env; /* NULL when closed */
	MDB_dbi dbi;
};

#define BOOK_INIT ((struct book){.env = NULL})

/* Open or create the file in @dir, which is created 0700.  Errors: INTERNAL - LMDB's words. */
int book_open(struct book *book, const char *dir, struct jaco_err *err);
void book_close(struct book *book);

/* Fill @table; entries that cannot be read are left out and counted in @out_n_bad. */
int book_load(struct book *book, struct lease_table *table, size_t *out_n_bad,
	      struct jaco_err *err);

/* Write one change through to the disk; a lease_changed_fn with the book as its context. */
int book_change(void *book, const struct lease *lease, bool is_gone, struct jaco_err *err);
