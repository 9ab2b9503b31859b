# SPDX-License-Identifier: Apache-2.0
# Thesis 3.8: term, vote and log survive; everything else is learnt again.
## a restarted follower comes back where it was
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
propose 1 a
settle
crash 2
propose 1 b
settle
restart 2
? state 2 role=follower term=1 vote=1 leader=0 last=2
run 2
? applied 2 = a b

## a restarted leader is a follower, and a new leader is found
reset seed=5
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
propose 1 a
settle
crash 1
restart 1
? state 1 role=follower term=1 vote=1
run 60
? leaders = 1
? applied 1 = a
