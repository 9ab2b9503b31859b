# SPDX-License-Identifier: Apache-2.0
# Thesis 4.2.1: a new server catches up without a vote, then gets one.
## learner, then voter
needs learner
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
propose 1 a
settle
conf 1 +l4
node 4 voters=1,2,3
settle
run 2
? state 1 learners=4 voters=1,2,3
? applied 4 = a
# its storage counts for nothing
cut 1 2
cut 1 3
propose 1 b
settle
? state 4 last=4
? state 1 commit=3
heal
run 2
conf 1 +v4
settle
? state 4 voters=1,2,3,4 learners=-
? applied 4 = a b

## a learner never stands for election
needs learner
node 1 voters=1 learners=2
node 2 voters=1 learners=2
tick 2 100
? state 2 role=follower term=0
campaign 2
? state 2 role=follower term=0
? msgs count=0

## a learner votes, for it may have been promoted without knowing
needs learner
node 4 voters=1,2,3 learners=4
rpc 4 vote_req from=2 term=2 last=5:1
? state 4 vote=2
