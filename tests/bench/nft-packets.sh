#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Forwarded packets per second through our table, by number of scopes, as root:
#   BENCH=.../bench tests/bench/nft-packets.sh [ROUNDS]
# The sender of bench/nft.sh (lib/pktblast.c: 4,096 flows of 64 bytes, on the core that also forwards) in
# namespaces of its own, our table where nft.sh has its shapes.  SIZES, SECS and PCPU as there.
# One line for each number of scopes ("none": no table), medians of the rounds, which take turns.  Of the
# packets within a scope 5 of 9 pairs of subnets are of this host and forwarded; those between two other
# hosts never come here and are dropped.
set -eu
tool=${FWD_RULESET:-$(cd "$(dirname "$0")/../.." && pwd)/build/tests/tools/fwd-ruleset}
sizes=${SIZES:-"1 100 1000 4000 none"} rounds=${1:-5} secs=${SECS:-1} cpu=${PCPU:-1}
x=jb$$ work=$(mktemp -d)
trap 'for n in a r b; do ip netns del $x-$n 2>/dev/null || true; done; rm -rf "$work"' EXIT
gcc -O2 -w -o "$work/pktblast" "$BENCH/lib/pktblast.c"

for n in a r b; do ip netns add $x-$n; done
ip -n $x-a link add va type veth peer name vra netns $x-r
ip -n $x-b link add vb type veth peer name vrb netns $x-r
for pair in "a va" "b vb" "r vra" "r vrb"; do
	read -r n link <<<"$pair"
	ip -n $x-$n link set "$link" up
done
router() { ip netns exec $x-r "$@"; }
mac() { ip -n $x-$1 -o link show "$2" | sed 's/.*link\/ether \([^ ]*\).*/\1/'; }
router sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.vra.rp_filter=0
ip -n $x-r addr add 192.168.1.1/24 dev vra
ip -n $x-r addr add 192.168.2.1/24 dev vrb
ip -n $x-r neigh add 192.168.2.2 lladdr "$(mac b vb)" dev vrb
ip -n $x-r route add 10.0.0.0/8 via 192.168.2.2 dev vrb
for pair in "a va" "b vb"; do # nobody answers
	read -r n link <<<"$pair"
	ip netns exec $x-$n nft "add table netdev t; add chain netdev t c { type filter hook ingress device $link priority 0; policy drop; }"
done
count() { ip -n $x-$1 -s -j link show "$2" | sed 's/.*"rx":{[^}]*"packets":\([0-9]*\).*/\1/'; }

for ((r = 0; r < rounds; r++)); do
	for n in $sizes; do
		router nft flush ruleset
		[ "$n" = none ] || router "$tool" replace "$n" >"$work/load.$n"
		scopes=$([ "$n" = none ] && echo 100 || echo "$n")
		for mode in in out; do
			[ "$n$mode" = noneout ] && continue
			before=$(count b vb) seen=$(count r vra)
			out=$(taskset -c "$cpu" ip netns exec $x-a "$work/pktblast" va "$(mac r vra)" "$scopes" $mode "$secs")
			after=$(count b vb) took=${out##*secs=}
			echo "$n $mode $(count r vra) $seen $after $before $took" >>"$work/raw"
		done
	done
done
echo "scopes   within/s  forwarded    ratio  between/s"
awk -v sizes="$sizes" '
	function median(text, v, n, i, j, t) {
		n = split(text, v, " ")
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && v[j] + 0 < v[j - 1] + 0; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
		return v[int((n + 1) / 2)]
	}
	{ rate[$1 $2] = rate[$1 $2] " " ($3 - $4) / $7; share[$1 $2] = share[$1 $2] " " 100 * ($5 - $6) / ($3 - $4) }
	END {
		n = split(sizes, size, " ")
		base = median(rate[size[1] "in"])
		for (i = 1; i <= n; i++)
			printf "%6s  %10.0f  %8.1f%%  %7.3f  %9.0f\n", size[i], median(rate[size[i] "in"]),
			       median(share[size[i] "in"]), median(rate[size[i] "in"]) / base, median(rate[size[i] "out"])
	}' "$work/raw"
grep -h commit_us "$work"/load.* | sed 's/^/load: /' || true
