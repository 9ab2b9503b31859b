# SPDX-License-Identifier: Apache-2.0
# Thesis 6.2: a leader that cannot reach a majority for an election time stops being one.
## the minority side has no leader
needs checkquorum
reset checkquorum=1
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
cut 1 2
run 20
? state 1 role=leader
cut 1 3
run 8
? state 1 role=leader
run 4
? state 1 role!=leader
? fails propose 1 a

## answers alone keep it, in one direction they do not come
needs checkquorum
reset checkquorum=1 seed=2
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
cut1 2 1
cut1 3 1
run 60
heal
run 60
? leaders = 1
