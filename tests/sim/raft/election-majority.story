# SPDX-License-Identifier: Apache-2.0
# Thesis 3.4: a candidate that has the votes of a majority leads; the others follow it.
## a majority elects, the rest follows
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
? leaders = 0
campaign 1
? state 1 role=candidate term=1 vote=1
deliver type=vote_req to=2
? state 1 role=candidate
deliver type=vote_resp
? state 1 role=leader
settle
? state 2 role=follower leader=1 term=1 vote=1
? state 3 role=follower leader=1 term=1
? leaders = 1

## two of five votes are not enough
node 1 voters=1,2,3,4,5
node 2 voters=1,2,3,4,5
node 3 voters=1,2,3,4,5
node 4 voters=1,2,3,4,5
node 5 voters=1,2,3,4,5
campaign 1
deliver type=vote_req to=2
deliver type=vote_resp
? state 1 role=candidate
deliver type=vote_req to=3
deliver type=vote_resp
? state 1 role=leader

## a lone voter elects itself
node 1 voters=1
campaign 1
? state 1 role=leader term=1 commit=1
propose 1 a
? applied 1 = a
