# SPDX-License-Identifier: Apache-2.0
# Thesis 3.6.1: a vote only for a log that is at least as up to date as the voter's own.
## the later last term wins over the longer log
node 1 voters=1,2,3 log=1:a,1:b,3:c term=3
rpc 1 vote_req from=2 term=4 last=9:2
? state 1 term=4 vote=0
rpc 1 vote_req from=2 term=5 last=1:4
? state 1 term=5 vote=2

## the same last term: length decides
node 1 voters=1,2,3 log=1:a,1:b,3:c term=3
rpc 1 vote_req from=2 term=4 last=2:3
? state 1 vote=0
rpc 1 vote_req from=2 term=5 last=3:3
? state 1 vote=2

## a member with an old log cannot win against those who have more
node 1 voters=1,2,3 log=1:a term=2
node 2 voters=1,2,3 log=1:a,2:b term=2
node 3 voters=1,2,3 log=1:a,2:b term=2
campaign 1
settle
? state 1 role!=leader term=3
campaign 2
settle
? state 2 role=leader
? same-log 1,2,3
? applied 1 = a b
