# SPDX-License-Identifier: Apache-2.0
# Thesis 4.1: a configuration entry that is overwritten takes its configuration with it.
## a change that was never committed is forgotten
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
cut 1 2
cut 1 3
conf 1 +v4
? state 1 voters=1,2,3,4
campaign 2
settle
? state 2 role=leader voters=1,2,3
heal
run 3
? state 1 role=follower voters=1,2,3
? same-log 1,2,3

## also when it came from someone else's log
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
cut 1 3
cut 2 3
conf 1 -n3
deliver to=2
? state 2 voters=1,2
drop
crash 1
crash 2
restart 2
? state 2 voters=1,2
rpc 2 app_req from=3 term=9 prev=1:1 entries=9:x commit=1
? state 2 voters=1,2,3
