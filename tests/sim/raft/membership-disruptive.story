# SPDX-License-Identifier: Apache-2.0
# Thesis 4.2.3: a server that was removed cannot disturb those that go on.
## a removed server asks in vain
needs checkquorum
reset checkquorum=1
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
cut 1 3
cut 2 3
conf 1 -n3
settle
heal
tick 3 30
? state 3 role=candidate
run 1
campaign 3
settle
? state 1 role=leader term=1
? state 2 role=follower term=1
