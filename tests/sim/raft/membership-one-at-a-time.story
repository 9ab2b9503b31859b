# SPDX-License-Identifier: Apache-2.0
# Thesis 4.1: one server at a time, the next change after the commit of the last.
## a second change waits
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
conf 1 +v4
? fails conf 1 +v5
? fails conf 1 -n3
settle
? fails conf 1 +v4
conf 1 +v5
settle
? state 2 voters=1,2,3,4,5

## not before something of the own term is committed (the correction of 2015)
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
deliver type=vote_req
deliver type=vote_resp
? state 1 role=leader commit=0
? fails conf 1 +v4
settle
conf 1 +v4

## only a leader, only real members, never the last voter
node 1 voters=1
node 2 voters=1,2
? fails conf 2 +v3
campaign 1
? fails conf 1 -n7
? fails conf 1 -n1
? fails conf 1 +v1
