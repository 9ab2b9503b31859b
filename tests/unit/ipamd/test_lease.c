/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/ipamd/lease.h"

#include <stdio.h>

#include "tests/lib/test.h"

#define T0 1000000

/* What the book was told. */
struct told {
	int n_kept, n_gone;
	bool fails;
};

static int tell(void *ctx, const struct lease *lease, bool is_gone, struct jaco_err *err)
{
	struct told *told = ctx;

	if (told->fails)
		return jaco_err_set(err, JACO_INTERNAL, "disk full");
	if (is_gone)
		told->n_gone++;
	else
		told->n_kept++;
	return 0;
}

static struct lease_want want(const char *replica, uint64_t generation, const char *subnet)
{
	struct lease_want out = {.replica = replica, .deployment = "shop", .network = "front",
				 .generation = generation};
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(jaco_cidr_parse(subnet, &out.subnet, &err), &err);
	return out;
}

static void takes(struct lease_table *table, const char *replica, uint64_t generation,
		  int64_t now_ms, const char *address)
{
	struct lease_want w = want(replica, generation, "10.244.3.0/28");
	struct jaco_err err = JACO_ERR_INIT;
	char text[JACO_IPV4_TEXT_BYTES];
	struct told told = {0};
	uint32_t addr;

	JT_OK(lease_take(table, &w, now_ms, tell, &told, &addr, &err), &err);
	jaco_ipv4_render(text, addr);
	JT_STR(text, address);
}

JT_CASE(the_first_container_is_next_to_the_gateway)
{
	struct lease_table table = LEASE_TABLE_INIT;
	struct lease_want w = want("shop-web-0", 1, "10.244.3.0/28");

	takes(&table, "shop-web-0", 1, T0, "10.244.3.2");
	JT_EQ(lease_gateway(w.subnet), w.subnet.addr + 1);
	JT_EQ(lease_find(&table, &w)->addr, w.subnet.addr + 2);
	lease_fini(&table);
}

JT_CASE(asking_again_gives_the_same_address_and_writes_nothing)
{
	struct lease_table table = LEASE_TABLE_INIT;
	struct lease_want w = want("shop-web-0", 1, "10.244.3.0/28");
	struct jaco_err err = JACO_ERR_INIT;
	struct told told = {0};
	uint32_t first, again;

	JT_OK(lease_take(&table, &w, T0, tell, &told, &first, &err), &err);
	JT_OK(lease_take(&table, &w, T0 + 5, tell, &told, &again, &err), &err);
	JT_EQ(first, again);
	JT_EQ(told.n_kept, 1);
	lease_fini(&table);
}

JT_CASE(two_generations_of_one_replica_have_two_addresses)
{
	struct lease_table table = LEASE_TABLE_INIT;

	takes(&table, "shop-web-0", 1, T0, "10.244.3.2");
	takes(&table, "shop-web-0", 2, T0, "10.244.3.3");
	lease_fini(&table);
}

JT_CASE(a_released_address_waits_sixty_seconds)
{
	struct lease_table table = LEASE_TABLE_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct told told = {0};

	takes(&table, "shop-web-0", 1, T0, "10.244.3.2");
	JT_EQ(lease_release(&table, "shop-web-0", 1, T0, tell, &told, &err), 1);
	JT_EQ(lease_release(&table, "shop-web-0", 1, T0, tell, &told, &err), 0);
	takes(&table, "shop-web-1", 1, T0 + LEASE_QUARANTINE_MS - 1, "10.244.3.3");
	takes(&table, "shop-web-2", 1, T0 + LEASE_QUARANTINE_MS, "10.244.3.2");
	JT_EQ(table.n, 2); /* the entry in quarantine was taken over, not doubled */
	lease_fini(&table);
}

JT_CASE(a_clock_set_back_does_not_lengthen_quarantine)
{
	struct lease_table table = LEASE_TABLE_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct told told = {0};

	takes(&table, "shop-web-0", 1, T0, "10.244.3.2");
	lease_release(&table, "shop-web-0", 1, T0 + 3600 * 1000, tell, &told, &err);
	JT_EQ(lease_expire(&table, T0, tell, &told, &err), 0);
	JT_EQ(lease_expire(&table, T0 + 3600 * 1000 + LEASE_QUARANTINE_MS, tell, &told, &err), 1);
	JT_EQ(told.n_gone, 1);
	JT_EQ(table.n, 0);
	lease_fini(&table);
}

JT_CASE(exhaustion_counts_leased_and_quarantined_and_says_the_wait)
{
	struct lease_table table = LEASE_TABLE_INIT;
	struct lease_want w = want("shop-web-13", 1, "10.244.3.0/28");
	struct jaco_err err = JACO_ERR_INIT;
	struct told told = {0};
	char replica[32], address[JACO_IPV4_TEXT_BYTES];
	uint32_t addr = 0;

	for (int i = 0; i < 13; i++) {
		snprintf(replica, sizeof(replica), "shop-web-%d", i);
		snprintf(address, sizeof(address), "10.244.3.%d", i + 2);
		takes(&table, replica, 1, T0, address);
	}
	lease_release(&table, "shop-web-4", 1, T0, tell, &told, &err);
	JT_FAILS_WITH(lease_take(&table, &w, T0 + 15000, tell, &told, &addr, &err),
		      ADDRESS_POOL_EXHAUSTED,
		      "13 usable, 12 leased, 1 in quarantine; the next is free in 45 s", &err);
	JT_EQ(addr, 0);
	JT_EQ(lease_count(&table, "shop", "front"), 13);
	lease_fini(&table);
}

JT_CASE(a_lease_that_cannot_be_written_is_not_given)
{
	struct lease_table table = LEASE_TABLE_INIT;
	struct lease_want w = want("shop-web-0", 1, "10.244.3.0/28");
	struct told told = {.fails = true};
	struct jaco_err err = JACO_ERR_INIT;
	uint32_t addr;

	JT_FAILS_WITH(lease_take(&table, &w, T0, tell, &told, &addr, &err), INTERNAL, "disk full",
		      &err);
	JT_NULL(lease_find(&table, &w));
	takes(&table, "shop-web-0", 1, T0, "10.244.3.2");
	JT_FAILS_WITH(lease_release(&table, "shop-web-0", 1, T0, tell, &told, &err), INTERNAL,
		      "disk full", &err);
	JT_NOT_NULL(lease_find(&table, &w));
	lease_fini(&table);
}

JT_CASE(a_subnet_claimed_anew_renumbers)
{
	struct lease_table table = LEASE_TABLE_INIT;
	struct lease_want w = want("shop-web-0", 1, "10.244.9.0/28");
	struct jaco_err err = JACO_ERR_INIT;
	struct told told = {0};
	uint32_t addr;

	takes(&table, "shop-web-0", 1, T0, "10.244.3.2");
	JT_OK(lease_take(&table, &w, T0, tell, &told, &addr, &err), &err);
	JT_EQ(addr, w.subnet.addr + 2);
	JT_EQ(told.n_gone, 1);
	JT_EQ(table.n, 1);
	lease_fini(&table);
}

JT_MAIN(JT_RUN(the_first_container_is_next_to_the_gateway),
	JT_RUN(asking_again_gives_the_same_address_and_writes_nothing),
	JT_RUN(two_generations_of_one_replica_have_two_addresses),
	JT_RUN(a_released_address_waits_sixty_seconds),
	JT_RUN(a_clock_set_back_does_not_lengthen_quarantine),
	JT_RUN(exhaustion_counts_leased_and_quarantined_and_says_the_wait),
	JT_RUN(a_lease_that_cannot_be_written_is_not_given),
	JT_RUN(a_subnet_claimed_anew_renumbers))
