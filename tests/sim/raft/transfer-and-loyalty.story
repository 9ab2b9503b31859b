# SPDX-License-Identifier: Apache-2.0
# Thesis 4.2.3, 3.10: a hand-over goes through although everyone has just heard the old leader.
## neither pre-vote nor loyal followers are in the way
needs transfer prevote checkquorum
reset prevote=1 checkquorum=1
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
run 1
transfer 1 2
settle
? state 2 role=leader term=2
? leaders = 1

## a hand-over message of an old term is nothing
needs transfer
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
campaign 2
settle
rpc 3 timeout_now from=1 term=1
settle
? state 3 role=follower term=2
