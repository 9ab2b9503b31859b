/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/ipamd/book.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/test.h"

#define T0 1700000000000

static char dir[64];

static int make_dir(JACO_UNUSED void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/jaco-book-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(JACO_UNUSED void **state)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/lock.mdb", dir);
	unlink(path);
	return rmdir(dir);
}

static struct lease_want want(const char *replica)
{
	return (struct lease_want){.replica = replica, .deployment = "shop", .network = "front",
				   .generation = 3,
				   .subnet = {.addr = 0x0af40300, .bits = 24}};
}

static void load(struct book *book, struct lease_table *table, size_t n_bad_wanted)
{
	struct jaco_err err = JACO_ERR_INIT;
	size_t n_bad;

	JT_OK(book_open(book, dir, &err), &err);
	JT_OK(book_load(book, table, &n_bad, &err), &err);
	JT_EQ(n_bad, n_bad_wanted);
}

JT_CASE(leases_and_quarantine_survive_a_reopen)
{
	struct lease_table table = LEASE_TABLE_INIT;
	struct lease_want web = want("shop-web-0"), api = want("shop-api-0");
	struct jaco_err err = JACO_ERR_INIT;
	struct book book = BOOK_INIT;
	uint32_t addr;

	load(&book, &table, 0);
	JT_EQ(table.n, 0);
	JT_OK(lease_take(&table, &web, T0, book_change, &book, &addr, &err), &err);
	JT_OK(lease_take(&table, &api, T0, book_change, &book, &addr, &err), &err);
	JT_EQ(lease_release(&table, "shop-web-0", 3, T0, book_change, &book, &err), 1);
	book_close(&book);
	lease_fini(&table);

	load(&book, &table, 0);
	JT_EQ(table.n, 2);
	JT_NULL(lease_find(&table, &web));
	JT_EQ(lease_find(&table, &api)->addr, 0x0af40303);
	JT_OK(lease_take(&table, &web, T0 + 1, book_change, &book, &addr, &err), &err);
	JT_EQ(addr, 0x0af40304); /* .2 is in quarantine */
	JT_EQ(lease_expire(&table, T0 + LEASE_QUARANTINE_MS, book_change, &book, &err), 1);
	book_close(&book);
	lease_fini(&table);
	load(&book, &table, 0);
	JT_EQ(table.n, 2);
	book_close(&book);
	lease_fini(&table);
}

JT_CASE(a_lease_given_is_known_after_kill_9)
{
	struct lease_table table = LEASE_TABLE_INIT;
	struct lease_want web = want("shop-web-0");
	struct jaco_err err = JACO_ERR_INIT;
	struct book book = BOOK_INIT;
	int fds[2], status;
	uint32_t addr = 0;
	pid_t pid;

	JT_EQ(pipe(fds), 0);
	pid = fork();
	JT_TRUE(pid >= 0);
	if (pid == 0) {
		size_t n_bad;

		if (book_open(&book, dir, &err) < 0 || book_load(&book, &table, &n_bad, &err) < 0 ||
		    lease_take(&table, &web, T0, book_change, &book, &addr, &err) < 0 ||
		    write(fds[1], &addr, sizeof(addr)) != sizeof(addr))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	JT_EQ(read(fds[0], &addr, sizeof(addr)), sizeof(addr));
	JT_EQ(waitpid(pid, &status, 0), pid);
	JT_TRUE(WIFSIGNALED(status));
	close(fds[0]);
	close(fds[1]);
	load(&book, &table, 0);
	JT_EQ(lease_find(&table, &web)->addr, addr);
	book_close(&book);
	lease_fini(&table);
}

JT_CASE(an_unreadable_entry_is_counted_and_left_out)
{
	struct lease_table table = LEASE_TABLE_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct book book = BOOK_INIT;
	MDB_val key = {8, (void *)"10.1.2.3"}, value = {4, (void *)"junk"};
	MDB_txn *txn;

	JT_OK(book_open(&book, dir, &err), &err);
	JT_EQ(mdb_txn_begin(book.env, NULL, 0, &txn), 0);
	JT_EQ(mdb_put(txn, book.dbi, &key, &value, 0), 0);
	JT_EQ(mdb_txn_commit(txn), 0);
	book_close(&book);
	load(&book, &table, 1);
	JT_EQ(table.n, 0);
	book_close(&book);
	lease_fini(&table);
}

JT_CASE(a_file_in_the_way_is_said)
{
	struct jaco_err err = JACO_ERR_INIT;
	struct book book = BOOK_INIT;

	JT_FAILS_WITH(book_open(&book, "/proc/self/status/x", &err), INTERNAL, "/proc/self/status",
		      &err);
	JT_NULL(book.env);
}

#define IN_DIR(name) cmocka_unit_test_setup_teardown(name, make_dir, drop_dir)
JT_MAIN(IN_DIR(leases_and_quarantine_survive_a_reopen), IN_DIR(a_lease_given_is_known_after_kill_9),
	IN_DIR(an_unreadable_entry_is_counted_and_left_out), JT_RUN(a_file_in_the_way_is_said))
