# SPDX-License-Identifier: Apache-2.0
# Thesis 5.1: a snapshot carries the configuration of its last entry.
## a newcomer learns the members from it
needs snapshot learner
node 1 voters=1,2
node 2 voters=1,2
campaign 1
settle
propose 1 a
settle
conf 1 +l3
settle
compact 1
node 3 voters=-
run 3
? state 3 voters=1,2 learners=3
? applied 3 = a

## after a restart the configuration is still known
needs snapshot
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
conf 1 -n3
settle
propose 1 a
settle
compact 2
crash 2
restart 2
? state 2 voters=1,2 first=4
campaign 2
settle
? state 2 role=leader

## a change behind the snapshot is rolled back to it
needs snapshot
node 1 voters=1,2 base=4:2 term=2
rpc 1 app_req from=2 term=3 prev=4:2 entries=3:x commit=4
? state 1 voters=1,2 last=5
