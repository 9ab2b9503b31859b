#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Adapter of jaco-dnsd for the bench dns.sh: exec the daemon in the foreground, one thread.
# Env: D_PORT, D_ADDRS (lines "name a b c"), D_DIR; JACO_BUILD (default: build of this tree).
build=${JACO_BUILD:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/build}
{
	printf '{"listeners":[{"address":"127.0.0.1:%s","scope":"bench"}],"scopes":[{"deployment":"bench","services":[' "$D_PORT"
	sep=
	while read -r name addrs; do
		printf '%s{"name":"%s","replicas":[' "$sep" "$name"
		sep=, i=0 comma=
		for a in $addrs; do
			printf '%s{"index":%d,"address":"%s"}' "$comma" $i "$a"
			comma=, i=$((i + 1))
		done
		printf ']}'
	done <"$D_ADDRS"
	printf ']}]}\n'
} >"$D_DIR/dnsd.json"
exec "$build/daemons/dnsd/jaco-dnsd" --standalone "$D_DIR/dnsd.json"
