#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# List replicas and follow events from a shell: `jaco rpc` and `jaco events` speak for it.
# usage: replicas.sh [ROOT]     needs jq
set -eu
[ $# -eq 0 ] || export JACO_ROOT="$1"
jaco=${JACO:-jaco}

$jaco get replicas -o json | jq -r '.[] | "\(.id)@\(.node) \(.state)"'
exec $jaco events -o json | jq -r --unbuffered 'select(.key | startswith("/obs/replica/")) |
	"\(.key | ltrimstr("/obs/replica/")) \(.value.generations // [] | map(.state) | join(" "))"'
