# SPDX-License-Identifier: Apache-2.0
# Thesis 6.4: a read waits for a majority's answer to a heartbeat sent after it, and for the state.
## confirmed by a majority
needs readindex
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
propose 1 a
settle
read 1
? reads 1 = 0
settle
? reads 1 = 1
? read-index 1 >= 2
? fails read 2

## an answer to an earlier heartbeat confirms nothing
needs readindex
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
tick 1
deliver type=app_req
read 1
deliver type=app_resp
? reads 1 = 0
settle
? reads 1 = 1

## a lone voter needs no one
needs readindex
node 1 voters=1
campaign 1
read 1
? reads 1 = 1
