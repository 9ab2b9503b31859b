/* SPDX-License-Identifier: Apache-2.0
 *
 * nft.c - see nft.h.
 *
 * After an increment the changed elements are asked for one by one: reading 24,000 elements back to
 * prove that three were added would make the cost of a change grow with the number of scopes.  That
 * nobody else changed the table meanwhile is the monitor's business (watch.c), and a full
 * comparison follows every 30 s. */
#include "daemons/fwd-nft/nft.h"

#include "daemons/fwd-nft/batch.h"
#include "daemons/fwd-nft/drift.h"
#include "daemons/fwd-nft/readback.h"
#include "libjaco/base/time.h"

int nft_open(struct nft *nft, struct jaco_err *err)
{
	*nft = NFT_INIT;
	return jaco_netlink_open(&nft->nl, NETLINK_NETFILTER, err);
}

void nft_close(struct nft *nft)
{
	if (!nft)
		return;
	ruleset_fini(&nft->present);
	jaco_netlink_close(&nft->nl);
	*nft = NFT_INIT;
}

int nft_refresh(struct nft *nft, struct jaco_err *err)
{
	ruleset_fini(&nft->present);
	nft->has_table = false;
	return readback_table(&nft->nl, &nft->present, &nft->has_table, err);
}

static int commit(struct nft *nft, struct batch *batch, struct jaco_err *err)
{
	struct jaco_time start = jaco_time_now();
	int rc;

	batch_end(batch);
	nft->nl.seq = batch->seq;
	rc = jaco_netlink_transact(&nft->nl, batch->bytes.data, batch->bytes.n, NULL, err);
	nft->stats.commit_ns = jaco_time_now().ns - start.ns;
	return rc;
}

static int send_plan(struct nft *nft, const struct plan *plan, const struct ruleset *desired,
		     struct jaco_err *err)
{
	jaco_auto(batch) struct batch batch = BATCH_INIT;

	batch_begin(&batch, nft->nl.seq + 1);
	if (plan->is_replacement)
		batch_add_replacement(&batch, desired);
	else
		batch_add_changes(&batch, plan);
	if (commit(nft, &batch, err) < 0) {
		nft->stats.failures++;
		return jaco_err_wrap(err, "loading table inet %s", RULESET_TABLE);
	}
	nft->stats.replacements += plan->is_replacement;
	nft->stats.increments += !plan->is_replacement;
	nft->stats.elements += plan->n_changes;
	return 0;
}

static int prove_whole(struct nft *nft, const struct ruleset *desired, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf why = JACO_BUF_BOUND(1024);
	size_t n = 0;

	if (nft_check(nft, desired, &why, &n, err) < 0)
		return -(int)err->code;
	if (n > 0)
		return jaco_err_set(err, JACO_ISOLATION_SELF_TEST_FAILED,
				    "the kernel does not hold what was loaded: %s",
				    jaco_buf_str(&why));
	return 0;
}

static int prove(struct nft *nft, const struct plan *plan, const struct ruleset *desired,
		 struct jaco_err *err)
{
	bool ok = false;

	if (plan->is_replacement || plan->n_changes > NFT_SINGLE_CHECKS_MAX)
		return prove_whole(nft, desired, err);
	if (readback_changes(&nft->nl, plan, &ok, err) < 0)
		return -(int)err->code;
	return ok ? 0 : prove_whole(nft, desired, err);
}

int nft_apply(struct nft *nft, struct ruleset *take_desired, struct jaco_err *err)
{
	jaco_auto(plan) struct plan plan = PLAN_INIT;

	plan_make(&plan, take_desired, nft->has_table ? &nft->present : NULL);
	if (!plan_is_empty(&plan) && (send_plan(nft, &plan, take_desired, err) < 0 ||
				      prove(nft, &plan, take_desired, err) < 0)) {
		nft->has_table = false; /* unknown until the next look */
		return -(int)err->code;
	}
	ruleset_fini(&nft->present);
	nft->present = *take_desired;
	nft->has_table = true;
	*take_desired = RULESET_INIT;
	return 0;
}

int nft_check(struct nft *nft, const struct ruleset *meant, struct jaco_buf *out_why, size_t *out_n,
	      struct jaco_err *err)
{
	if (nft_refresh(nft, err) < 0)
		return -(int)err->code;
	*out_n = drift_describe(out_why, meant, nft->has_table ? &nft->present : NULL);
	return 0;
}

int nft_remove(struct nft *nft, struct jaco_err *err)
{
	jaco_auto(batch) struct batch batch = BATCH_INIT;

	if (nft_refresh(nft, err) < 0)
		return -(int)err->code;
	if (!nft->has_table)
		return 0;
	batch_begin(&batch, nft->nl.seq + 1);
	batch_add_removal(&batch);
	if (commit(nft, &batch, err) < 0)
		return jaco_err_wrap(err, "removing table inet %s", RULESET_TABLE);
	ruleset_fini(&nft->present);
	nft->has_table = false;
	return 0;
}
