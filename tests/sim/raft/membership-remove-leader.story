# SPDX-License-Identifier: Apache-2.0
# Thesis 4.2.2: a leader that is removed manages until that is committed, then steps down.
## the leader leaves
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
conf 1 -n1
? state 1 role=leader voters=2,3
propose 1 a
# it does not count itself
deliver to=2
deliver from=2
? state 1 role=leader commit=1
settle
? state 1 role=follower commit>=2
tick 1 100
? state 1 role=follower term=1
campaign 2
settle
? state 2 role=leader
? msgs to=1 count=0
? applied 2 = a
? applied 3 = a

## one who holds its own removal alone must still be able to lead
# thesis 4.2.2: its log is the longer one, so the other cannot win without it
node 1 voters=1,2
node 2 voters=1,2
campaign 1
settle
cut 1 2
conf 1 -n1
crash 1
restart 1
heal
? state 1 voters=2 last=2
campaign 2
settle
? leaders = 0
campaign 1
settle
? state 1 commit=3 voters=2
campaign 2
settle
? state 2 role=leader voters=2
