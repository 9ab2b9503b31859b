# SPDX-License-Identifier: Apache-2.0
# Thesis 4.2.3: followers that hear their leader do not listen to a candidate.
## a candidate is not answered inside the election time, and is after it
needs checkquorum
reset checkquorum=1
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
campaign 3
settle ids=2,3
? state 2 term=1 leader=1
? state 3 term=2
crash 1
tick 2 10
rpc 2 vote_req from=3 term=9 last=5:1
? state 2 term=9 vote=3

## a member with a higher term makes the leader move on
needs checkquorum
reset checkquorum=1 seed=4
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
cut 3 1
cut 3 2
run 40
? state 3 term>=2
heal
run 60
? leaders = 1
? state 3 leader>=1
