# SPDX-License-Identifier: Apache-2.0
# Thesis 6.4: a leader that was replaced without knowing answers no read.
## cut off, the old leader stays silent
needs readindex
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
cut 1 2
cut 1 3
campaign 2
settle
propose 2 new
settle
? state 1 role=leader
? state 2 role=leader
read 1
settle
run 5
? reads 1 = 0
heal
run 3
? reads 1 = 0
? state 1 role=follower
read 2
settle
? reads 2 = 1
