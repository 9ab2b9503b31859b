#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Adapter for bench/nft.sh (its README): replace N | add N, inside a private network namespace.
#   OURS=$PWD/tests/bench/nft-ours.sh .../bench/nft.sh
# "add" starts a process that first builds what a running daemon has in memory; its own line
# (commit_us, apply_us) is what the daemon itself needs.
exec "${FWD_RULESET:-$(dirname "$0")/../../build/tests/tools/fwd-ruleset}" "$@"
