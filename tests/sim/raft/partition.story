# SPDX-License-Identifier: Apache-2.0
# Thesis 3.6.3: what was acknowledged on the majority side is what everyone has in the end.
## the minority's entries are lost, the majority's kept
node 1 voters=1,2,3,4,5
node 2 voters=1,2,3,4,5
node 3 voters=1,2,3,4,5
node 4 voters=1,2,3,4,5
node 5 voters=1,2,3,4,5
campaign 1
settle
propose 1 a
settle
cut 1 3
cut 1 4
cut 1 5
cut 2 3
cut 2 4
cut 2 5
propose 1 lost
settle
campaign 3
settle
propose 3 kept
settle
? state 3 role=leader commit=4
? applied 1 = a
heal
run 5
? leaders = 1
? applied 1 = a kept
? applied 2 = a kept
? applied 5 = a kept
? same-log 1,2,3,4,5

## a link that works in one direction only
needs prevote checkquorum
reset prevote=1 checkquorum=1 seed=9
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
cut1 1 3
run 80
propose 1 a
run 3
? applied 2 = a
heal
run 40
? applied 3 = a
? leaders = 1
