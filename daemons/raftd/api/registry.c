/* SPDX-License-Identifier: Apache-2.0
 *
 * registry.c - credentials for pulling images, sealed in the store; only runtimed gets them
 * open. */
#include <string.h>

#include "daemons/raftd/api/api.h"
#include "daemons/raftd/api/seal.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"

#define PREFIX       "/secret/registry/"
#define ITEMS_MAX    256
#define REGISTRY_MAX 400 /* a key is shorter than JACO_KEY_MAX */

/*
 * host[:port][/namespace] in its one canonical form (spec/cli.md): no scheme, query, fragment or
 * trailing slash, lower case, Docker Hub's other names folded, a default port dropped.
 */
static int canonical(const char *text, char out[static REGISTRY_MAX], struct jaco_err *err)
{
	static const char *const schemes[] = {"https://", "http://"};
	static const char *const hub[] = {"index.docker.io", "registry-1.docker.io"};
	const char *default_port = ":443";
	char host[REGISTRY_MAX];
	size_t n, host_n;

	for (size_t i = 0; i < JACO_ARRAY_SIZE(schemes); i++) {
		if (!jaco_str_starts(text, schemes[i]))
			continue;
		text += strlen(schemes[i]);
		default_port = i == 0 ? ":443" : ":80";
		break;
	}
	n = strcspn(text, "?#");
	while (n > 0 && text[n - 1] == '/')
		n--;
	if (n == 0 || n >= REGISTRY_MAX)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "registry: host[:port][/namespace] is wanted");
	for (size_t i = 0; i < n; i++) {
		host[i] = jaco_ascii_lower(text[i]);
		if (!jaco_ascii_is_alnum(host[i]) && !strchr("._-:/[]", host[i]))
			return jaco_err_set(err, JACO_VALIDATION_FAILED,
					    "registry: '%c' cannot stand in a registry name",
					    host[i]);
	}
	host[n] = '\0';
	host_n = strcspn(host, "/");
	if (host_n > strlen(default_port) &&
	    memcmp(host + host_n - strlen(default_port), default_port, strlen(default_port)) == 0) {
		memmove(host + host_n - strlen(default_port), host + host_n, n - host_n + 1);
		host_n -= strlen(default_port);
	}
	for (size_t i = 0; i < JACO_ARRAY_SIZE(hub); i++)
		if (strlen(hub[i]) == host_n && memcmp(host, hub[i], host_n) == 0) {
			/* ".../v1/" is how Docker's own configuration writes the hub itself */
			(void)jaco_str_format(out, REGISTRY_MAX, "docker.io%s",
					      strcmp(host + host_n, "/v1") == 0 ? ""
										: host + host_n);
			return 0;
		}
	(void)jaco_str_copy(out, REGISTRY_MAX, host);
	return 0;
}

int raftd_on_registry_login(struct raftd *raftd, struct jaco_call *call,
			    const struct wire_registry_login *req, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf packed = JACO_BUF_SECRET(0), sealed = JACO_BUF_INIT;
	struct api_txn txn = api_begin(raftd, call);
	struct wire_registry_secret secret = {.user = req->user, .password = req->password};
	struct wire_sealed record = {.updated = (uint64_t)jaco_time_wall_ms(), .note = req->user};
	char registry[REGISTRY_MAX];
	const char *key;
	int rc;

	if (canonical(req->registry, registry, err) < 0)
		return -(int)err->code;
	key = jaco_arena_printf(call->arena, PREFIX "%s", registry);
	secret.registry = registry;
	rc = jaco_pack(&packed, &wire_registry_secret_desc, &secret, err);
	if (rc >= 0)
		rc = seal_close(raftd->seal_key, key, packed.data, packed.n, &sealed, err);
	if (rc < 0)
		return rc;
	record.data = (struct wire_bin){sealed.data, sealed.n};
	api_put(&txn, key, &wire_sealed_desc, &record);
	api_audit(&txn, JACO_AUDIT_REGISTRY_CREDENTIAL_UPSERT, call->identity,
		  (const char *const[]){"registry", registry, "user", req->user, NULL});
	return api_commit(&txn, call, NULL, NULL, api_reply_changed, NULL, err);
}

int raftd_on_registry_logout(struct raftd *raftd, struct jaco_call *call,
			     const struct wire_registry_ref *req, struct jaco_err *err)
{
	struct api_txn txn = api_begin(raftd, call);
	char registry[REGISTRY_MAX];
	const char *key;
	int rc;

	if (canonical(req->registry, registry, err) < 0)
		return -(int)err->code;
	key = jaco_arena_printf(call->arena, PREFIX "%s", registry);
	rc = machine_get(&raftd->store.machine, KV_TEXT(key), NULL, NULL, err);
	if (rc < 0)
		return rc;
	if (rc == 0) { /* forgetting what is not known succeeds (spec/cli.md) */
		api_reply_changed(raftd, call, raftd->store.machine.applied, NULL);
		return 0;
	}
	api_delete(&txn, key);
	api_audit(&txn, JACO_AUDIT_REGISTRY_CREDENTIAL_REMOVE, call->identity,
		  (const char *const[]){"registry", registry, NULL});
	return api_commit(&txn, call, NULL, NULL, api_reply_changed, NULL, err);
}

int raftd_on_registry_list(struct raftd *raftd, struct jaco_call *call,
			   const struct wire_nothing *req, struct jaco_err *err)
{
	struct wire_registry_list list = {.has = 0};
	char key[JACO_KEY_MAX + 1] = "";
	struct wire_sealed record;
	int rc = 0;

	(void)req;
	list.items.v = jaco_arena_alloc_n(call->arena, ITEMS_MAX, sizeof(*list.items.v));
	while (list.items.n < ITEMS_MAX && (rc = api_next(raftd, PREFIX, key, &wire_sealed_desc,
							  call->arena, &record, NULL, err)) > 0)
		list.items.v[list.items.n++] = (struct wire_registry_item){
			.registry = jaco_arena_strdup(call->arena, key + sizeof(PREFIX) - 1),
			.user = record.note,
			.updated = record.updated};
	if (rc < 0)
		return rc;
	jaco_call_reply(call, &list);
	return 0;
}

int raftd_on_registry_secrets(struct raftd *raftd, struct jaco_call *call,
			      const struct wire_nothing *req, struct jaco_err *err)
{
	struct wire_registry_secrets secrets = {.has = 0};
	char key[JACO_KEY_MAX + 1] = "";
	struct wire_sealed record;
	int rc = 0;

	(void)req;
	secrets.items.v = jaco_arena_alloc_n(call->arena, ITEMS_MAX, sizeof(*secrets.items.v));
	while (secrets.items.n < ITEMS_MAX &&
	       (rc = api_next(raftd, PREFIX, key, &wire_sealed_desc, call->arena, &record, NULL,
			      err)) > 0) {
		jaco_auto(jaco_buf) struct jaco_buf packed = JACO_BUF_SECRET(0);

		rc = seal_open(raftd->seal_key, key, record.data.data, record.data.n, &packed, err);
		if (rc >= 0)
			rc = jaco_unpack(&wire_registry_secret_desc, packed.data, packed.n,
					 call->arena, &secrets.items.v[secrets.items.n], err);
		if (rc < 0)
			return jaco_err_wrap(err, "%s", key);
		secrets.items.n++;
	}
	if (rc < 0)
		return rc;
	jaco_call_reply(call, &secrets);
	return 0;
}
