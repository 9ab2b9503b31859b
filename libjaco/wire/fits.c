/* SPDX-License-Identifier: Apache-2.0
 *
 * fits.c - the records of a manifest against the bounds of the store. */
#include "libjaco/wire/fits.h"

#include <string.h>

#include "libjaco/base/limits.h"
#include "libjaco/wire/codec.h"
#include "libjaco/wire/records.h"

struct fits {
	const struct jaco_manifest *manifest;
	struct jaco_findings *findings;
	struct jaco_arena scratch; /* of one record */
	size_t bytes;              /* of all values so far */
};

static void report(struct fits *fits, struct jaco_pos pos, const char *path, const char *remedy,
		   const char *message)
{
	jaco_findings_error(fits->findings, JACO_LIMIT_EXCEEDED, pos, path, remedy, "%s", message);
}

/* As raftd packs it and every daemon reads it: what one of the two refuses must not be written. */
static bool try_record(struct fits *fits, const struct jaco_desc *desc, const void *msg,
		       struct jaco_pos pos, const char *path)
{
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_BOUND(JACO_VALUE_MAX);
	struct jaco_err err = JACO_ERR_INIT;
	int rc = jaco_pack(&buf, desc, msg, &err);

	if (rc == 0)
		rc = jaco_unpack(desc, buf.data, buf.n, &fits->scratch,
				 jaco_arena_alloc(&fits->scratch, desc->size), &err);
	if (rc < 0)
		report(fits, pos, path, "use fewer or shorter ones", err.text);
	fits->bytes += buf.n;
	return rc == 0;
}

static void check_services(struct fits *fits)
{
	const struct jaco_manifest *manifest = fits->manifest;
	struct wire_deployment *deployment = jaco_records_deployment(manifest, &fits->scratch);
	struct jaco_pos whole = {0};
	bool fit = true;

	for (size_t i = 0; i < deployment->services.n; i++) {
		struct wire_service *service = &deployment->services.v[i];
		struct jaco_pos pos = jaco_manifest_service(manifest, service->name)->pos;

		/* what `jaco restart` and `jaco scale` may add to it */
		service->restart_nonce = UINT64_MAX;
		service->scaled = true;
		fit &= try_record(
			fits, &wire_service_desc, service, pos,
			jaco_arena_printf(fits->findings->arena, "services.%s", service->name));
		whole = i == 0 || pos.line < whole.line ? pos : whole;
	}
	deployment->revision = deployment->previous = UINT64_MAX;
	deployment->created = deployment->updated = UINT64_MAX;
	fits->bytes = 0;
	if (fit)
		(void)try_record(fits, &wire_deployment_desc, deployment, whole, "services");
}

static void check_routes(struct fits *fits)
{
	const struct jaco_manifest *manifest = fits->manifest;

	for (size_t i = 0; i < manifest->n_routes; i++) {
		const struct jaco_route *route = &manifest->routes[i];
		const char *path = jaco_arena_printf(fits->findings->arena, "routes.%.80s%.80s",
						     route->domain, route->path);
		size_t n_key =
			strlen(jaco_records_route_key(route->domain, route->path, &fits->scratch));

		(void)try_record(
			fits, &wire_route_desc,
			jaco_records_route(route, manifest->deployment, UINT64_MAX, &fits->scratch),
			route->pos, path);
		if (n_key > JACO_KEY_MAX)
			jaco_findings_error(fits->findings, JACO_LIMIT_EXCEEDED, route->pos, path,
					    "shorten the path",
					    "domain and path have %zu bytes, at most %zu fit",
					    strlen(route->domain) + strlen(route->path),
					    strlen(route->domain) + strlen(route->path) +
						    JACO_KEY_MAX - n_key);
		jaco_arena_reset(&fits->scratch);
	}
}

static void check_ports(struct fits *fits)
{
	const struct jaco_manifest *manifest = fits->manifest;

	for (size_t i = 0; i < manifest->n_published; i++)
		(void)try_record(fits, &wire_tcproute_desc,
				 jaco_records_tcproute(&manifest->published[i],
						       manifest->deployment, &fits->scratch),
				 manifest->published[i].port.pos, "services");
	if (manifest->n_published > JACO_PORTS_PER_DEPLOYMENT)
		jaco_findings_error(fits->findings, JACO_LIMIT_EXCEEDED,
				    manifest->published[JACO_PORTS_PER_DEPLOYMENT].port.pos,
				    "services", "publish fewer ports, or split the deployment",
				    "%zu ports are published, at most %d fit into a deployment",
				    manifest->n_published, JACO_PORTS_PER_DEPLOYMENT);
}

static void check_document(struct fits *fits, const struct jaco_document *document,
			   struct jaco_pos pos, const char *what)
{
	if (document->n > JACO_DOCUMENT_MAX)
		jaco_findings_error(fits->findings, JACO_LIMIT_EXCEEDED, pos, "",
				    "split the deployment, or mount large files instead of "
				    "writing them out",
				    "%s has %zu bytes, at most %d fit", what, document->n,
				    JACO_DOCUMENT_MAX);
}

static void check_documents(struct fits *fits, const struct jaco_document *jaco,
			    const struct jaco_document *compose)
{
	struct jaco_pos overlay = {jaco->name, 1, 1};
	struct jaco_pos services = {compose->name, 1, 1};

	if (fits->manifest->n_services)
		services.file = fits->manifest->services[0].pos.file;
	check_document(fits, jaco, overlay, "jaco.yaml");
	check_document(fits, compose, services, "the resolved compose document");
	if (jaco->n <= JACO_DOCUMENT_MAX && compose->n <= JACO_DOCUMENT_MAX &&
	    jaco->n + compose->n > JACO_DOCUMENTS_MAX)
		jaco_findings_error(fits->findings, JACO_LIMIT_EXCEEDED, services, "",
				    "split the deployment",
				    "jaco.yaml and the resolved compose document have %zu bytes, "
				    "at most %d fit",
				    jaco->n + compose->n, JACO_DOCUMENTS_MAX);
	fits->bytes += jaco->n + compose->n;
	if (fits->bytes > JACO_TXN_VALUES_MAX)
		jaco_findings_error(fits->findings, JACO_LIMIT_EXCEEDED, services, "",
				    "split the deployment",
				    "the deployment takes %zu bytes of one transaction, at most "
				    "%d fit",
				    fits->bytes, JACO_TXN_VALUES_MAX);
}

int jaco_fits_check(const struct jaco_manifest *manifest, const struct jaco_document *jaco,
		    const struct jaco_document *compose, struct jaco_findings *findings,
		    struct jaco_err *err)
{
	struct fits fits = {.manifest = manifest, .findings = findings, .scratch = JACO_ARENA_INIT};

	check_services(&fits);
	jaco_arena_reset(&fits.scratch);
	check_routes(&fits);
	check_ports(&fits);
	check_documents(&fits, jaco, compose);
	jaco_arena_fini(&fits.scratch);
	jaco_findings_sort(findings);
	return jaco_findings_to_err(findings, err);
}
