#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Adapter of jaco-raftd for the bench raft.sh: three real members on loopback, TLS between them, every flush real.
# Env: R_DIR, R_PORT (base of 40 ports), BENCH_BIN; JACO_BUILD (default: build of this tree).
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${JACO_BUILD:-$(cd "$here/../.." && pwd)/build}
bin=${BENCH_BIN:-/tmp/bench-bin}
load=$bin/raft-load
if [ "$here/raft-load.c" -nt "$load" ]; then
	mkdir -p "$bin" && gcc -O2 -D_GNU_SOURCE -o "$load.$$" "$here/raft-load.c" && mv "$load.$$" "$load" || exit 1
fi
control() { echo "$R_DIR/$1/run/jaco.sock"; }
writer() { echo "$R_DIR/$1/run/raftd/schedd.sock"; }
cli() { local i=$1; shift; "$build/cli/jaco" --socket "$(control $i)" "$@"; }
wait_for() { local i; for ((i = 0; i < 1500; i++)); do "$@" >/dev/null 2>&1 && return 0; sleep 0.02; done; return 1; }
# A member becomes a voter when it has kept up with the log for a while.
are_voters() { [ "$(cli 1 cluster status --output json | grep -o '"voter": *true' | wc -l)" = 3 ]; }
leader() {
	local i
	for i in 1 2 3; do
		[ "$("$load" metric "$(control $i)" jaco_raftd_is_leader 2>/dev/null)" = 1 ] && { echo $i; return; }
	done
	return 1
}
# The first start of a member: found the cluster, or join it once the one before has joined.
found() {
	local i=$1
	wait_for test -S "$(control $i)"
	if [ $i = 1 ]; then
		cli 1 cluster init --no-systemd-enable --name bench
	else
		wait_for test -e "$R_DIR/joined.$((i - 1))"
		cli $i node join --no-systemd-enable "$(cli 1 node issue-join-token --output name)"
	fi >"$R_DIR/found.$i" 2>&1 && touch "$R_DIR/joined.$i"
}

case $1 in
member)
	i=$2
	if [ ! -d "$R_DIR/$i" ]; then
		mkdir -p "$R_DIR/$i"
		printf 'node_name: m%d\ncluster_addr: 127.0.0.1:%d\nlisten_addr: 127.0.0.1:%d\n' \
			$i $((R_PORT + 10 + i)) $((R_PORT + i)) >"$R_DIR/$i/jacod.yaml"
		(found $i </dev/null >/dev/null 2>&1 &)
	fi
	exec "$build/daemons/raftd/jaco-raftd" --root "$R_DIR/$i" ;;
leader) leader ;;
load)
	l=$(leader) || exit 1
	[ $2 -gt 64 ] && c=8 || c=1
	exec "$load" load "$(writer $l)" $c $(($2 / c)) $3 100 100000 ;;
fill)
	l=$(leader) || exit 1
	exec "$load" load "$(writer $l)" 8 32 n$2 100 $2 ;;
count) "$load" metric "$(control $2)" jaco_raftd_keys 2>/dev/null ;;
probe)
	ms=$2; shift 2; at=()
	# a first start is over when all three vote
	[ $# = 3 ] && [ ! -e "$R_DIR/founded" ] && wait_for are_voters && touch "$R_DIR/founded"
	for i; do at+=("$(writer $i)"); done
	exec "$load" probe $ms "${at[@]}" ;;
esac
