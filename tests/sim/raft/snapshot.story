# SPDX-License-Identifier: Apache-2.0
# Thesis 5.1, 5.2: who needs what is no longer in the log gets the state instead.
## a member that was away
needs snapshot
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
cut 1 3
propose 1 a
propose 1 b
settle
compact 1
? state 1 first=4
propose 1 c
settle
heal
run 2
? state 3 first=4 last=4
? applied 3 = a b c
? applied 1 = a b c
propose 1 d
settle
? applied 3 = a b c d

## entries are preferred while the log has them
needs snapshot
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
propose 1 a
settle
cut 1 3
propose 1 b
settle
compact 1 2
heal
tick 1
settle
? state 3 first=1
? applied 3 = a b
