# SPDX-License-Identifier: Apache-2.0
# Thesis 3.10: leadership is handed over to a server whose log is complete.
## to an up-to-date follower at once
needs transfer
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
propose 1 a
settle
transfer 1 3
? msgs to=3 type=timeout_now count=1
? fails propose 1 b
? fails conf 1 +v4
settle
? state 3 role=leader term=2
? state 1 role=follower leader=3
propose 3 b
settle
? applied 1 = a b

## first the log, then the office
needs transfer
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
cut 1 3
propose 1 a
settle
heal
transfer 1 3
? msgs type=timeout_now count=0
run 2
? state 3 role=leader
? log 3 = 1:1:- 2:1:a 3:2:-

## it is given up after an election time
needs transfer
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
cut 1 3
transfer 1 3
? fails propose 1 a
run 11
? state 1 role=leader term=1
propose 1 a
settle
? applied 2 = a

## not to a learner, a stranger or oneself
needs transfer learner
node 1 voters=1,2 learners=3
node 2 voters=1,2 learners=3
campaign 1
settle
? fails transfer 1 3
? fails transfer 1 9
? fails transfer 1 1
? fails transfer 2 1
