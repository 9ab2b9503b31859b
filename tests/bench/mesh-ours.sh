#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: tests/bench/mesh-ours.sh [ROUNDS [SECONDS]]
#
# Throughput of the mesh as meshd makes it, relative to the same WireGuard set up by hand between the same
# two namespaces, in turns (iperf3, one TCP stream).  WG=kernel or WG=userspace (default: what the kernel
# has).  Root; JACO_BUILD (default build).  Prints a line per round and the ratio of the medians.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
rounds=${1:-5} seconds=${2:-4}
command -v iperf3 >/dev/null || { echo "needs iperf3" >&2; exit 77; }
if [ -z "${WG:-}" ]; then
	WG=userspace
	unshare --net ip link add wg type wireguard 2>/dev/null && WG=kernel
fi
export WG JACO_BUILD=${JACO_BUILD:-$here/../../build}
exec /usr/bin/python3 "$here/mesh_ours.py" "$rounds" "$seconds"
