# SPDX-License-Identifier: Apache-2.0
# Thesis 9.6: who cannot win does not raise the term.
## a member that was cut off comes back without harm
needs prevote
reset prevote=1
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
cut 1 3
cut 2 3
run 50
? state 3 role=precandidate term=1
heal
run 3
? state 1 role=leader term=1
? state 3 role=follower term=1 leader=1

## the question changes neither term nor vote
needs prevote
reset prevote=1
node 1 voters=1,2,3
rpc 1 prevote_req from=2 term=1 last=0:0
? msgs from=1 to=2 type=prevote_resp count=1
? state 1 term=0 vote=0
rpc 1 prevote_req from=3 term=1 last=0:0
? state 1 term=0 vote=0

## an old log is told no, and does not stand
needs prevote
reset prevote=1
node 1 voters=1,2,3 term=2 log=1:a
node 2 voters=1,2,3 term=2 log=1:a,2:b
node 3 voters=1,2,3 term=2 log=1:a,2:b
campaign 1
settle
? state 1 role=precandidate|follower term=2
? state 2 term=2
campaign 3
settle
? state 3 role=leader term=3

## while a leader is heard the answer is no
needs prevote
reset prevote=1
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
campaign 2
settle
? state 1 role=leader term=1
run 1
? state 2 role=follower leader=1
