/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/ipamd/book.h"

#include <string.h>

#include "libjaco/base/arena.h"
#include "libjaco/base/buf.h"
#include "libjaco/base/str.h"
#include "libjaco/io/fs.h"
#include "libjaco/wire/wire.h"

/* Every address of the largest pool with its names fits several times over; the file is sparse. */
#define MAP_BYTES (64ull * 1024 * 1024)

static int failed(struct jaco_err *err, const char *what, int rc)
{
	return jaco_err_set(err, JACO_INTERNAL, "lease book: %s: %s", what, mdb_strerror(rc));
}

static int open_db(struct book *book, struct jaco_err *err)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(book->env, NULL, 0, &txn);

	if (rc)
		return failed(err, "begin", rc);
	rc = mdb_dbi_open(txn, NULL, 0, &book->dbi);
	if (rc) {
		mdb_txn_abort(txn);
		return failed(err, "open", rc);
	}
	rc = mdb_txn_commit(txn);
	return rc ? failed(err, "commit", rc) : 0;
}

int book_open(struct book *book, const char *dir, struct jaco_err *err)
{
	int rc = jaco_fs_mkdirs(dir, 0700, err);

	if (rc < 0)
		return rc;
	rc = mdb_env_create(&book->env);
	if (rc)
		return failed(err, "create", rc);
	rc = mdb_env_set_mapsize(book->env, MAP_BYTES);
	if (!rc)
		rc = mdb_env_open(book->env, dir, 0, 0600);
	if (rc) {
		book_close(book);
		return failed(err, dir, rc);
	}
	rc = open_db(book, err);
	if (rc < 0)
		book_close(book);
	return rc;
}

void book_close(struct book *book)
{
	if (book->env)
		mdb_env_close(book->env);
	*book = BOOK_INIT;
}

static bool take_entry(struct lease_table *table, const MDB_val *value, struct jaco_arena *arena)
{
	struct jaco_err ignored = JACO_ERR_INIT;
	struct wire_lease_item item;
	struct lease lease = {.generation = 0};

	if (jaco_unpack(&wire_lease_item_desc, value->mv_data, value->mv_size, arena, &item,
			&ignored) < 0 ||
	    !jaco_ipv4_parse(item.address, &lease.addr) ||
	    !jaco_str_copy(lease.replica, sizeof(lease.replica), item.replica) ||
	    !jaco_str_copy(lease.deployment, sizeof(lease.deployment), item.deployment) ||
	    !jaco_str_copy(lease.network, sizeof(lease.network), item.network))
		return false;
	lease.generation = item.generation;
	if (item.quarantined_until)
		lease.released_ms = (int64_t)item.quarantined_until - LEASE_QUARANTINE_MS;
	lease_restore(table, &lease);
	return true;
}

int book_load(struct book *book, struct lease_table *table, size_t *out_n_bad,
	      struct jaco_err *err)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	MDB_cursor *cursor;
	MDB_val key, value;
	MDB_txn *txn;
	int rc = mdb_txn_begin(book->env, NULL, MDB_RDONLY, &txn);

	*out_n_bad = 0;
	if (rc)
		return failed(err, "begin", rc);
	rc = mdb_cursor_open(txn, book->dbi, &cursor);
	if (rc) {
		mdb_txn_abort(txn);
		return failed(err, "cursor", rc);
	}
	while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		*out_n_bad += !take_entry(table, &value, &arena);
		jaco_arena_reset(&arena);
	}
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	return rc == MDB_NOTFOUND ? 0 : failed(err, "read", rc);
}

static int pack(struct jaco_buf *out, const struct lease *lease, const char *address,
		struct jaco_err *err)
{
	struct wire_lease_item item = {
		.replica = lease->replica,
		.generation = (uint32_t)lease->generation,
		.deployment = lease->deployment,
		.network = lease->network,
		.address = address,
	};

	if (lease->released_ms)
		item.quarantined_until = (uint64_t)(lease->released_ms + LEASE_QUARANTINE_MS);
	return jaco_pack(out, &wire_lease_item_desc, &item, err);
}

int book_change(void *ctx, const struct lease *lease, bool is_gone, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_INIT;
	char address[JACO_IPV4_TEXT_BYTES];
	struct book *book = ctx;
	MDB_val key, value;
	MDB_txn *txn;
	int rc;

	jaco_ipv4_render(address, lease->addr);
	rc = is_gone ? 0 : pack(&buf, lease, address, err);
	if (rc < 0)
		return jaco_err_wrap(err, "lease book");
	key = (MDB_val){.mv_data = address, .mv_size = strlen(address)};
	value = (MDB_val){.mv_data = buf.data, .mv_size = buf.n};
	rc = mdb_txn_begin(book->env, NULL, 0, &txn);
	if (rc)
		return failed(err, "begin", rc);
	rc = is_gone ? mdb_del(txn, book->dbi, &key, NULL)
		     : mdb_put(txn, book->dbi, &key, &value, 0);
	if (rc && !(is_gone && rc == MDB_NOTFOUND)) {
		mdb_txn_abort(txn);
		return failed(err, address, rc);
	}
	rc = mdb_txn_commit(txn);
	return rc ? failed(err, "commit", rc) : 0;
}
