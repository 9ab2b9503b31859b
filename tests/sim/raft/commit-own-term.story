# SPDX-License-Identifier: Apache-2.0
# Thesis 3.6.2, figure 3.7: an entry of an older term is not committed by counting.
## a majority stores term 2, and still it may be lost
node 1 voters=1,2,3,4,5 term=3 log=1:a,2:b
node 2 voters=1,2,3,4,5 term=3 log=1:a,2:b
node 3 voters=1,2,3,4,5 term=3 log=1:a
node 4 voters=1,2,3,4,5 term=3 log=1:a
node 5 voters=1,2,3,4,5 term=3 vote=5 log=1:a,3:c
campaign 1
deliver type=vote_req
deliver type=vote_resp
? state 1 role=leader term=4
drop
# (c) 1 leads and its entry of term 2, but nothing of term 4, is on 1, 2 and 3
rpc 3 app_req from=1 term=4 prev=1:1 entries=2:b commit=0
rpc 2 app_req from=1 term=4 prev=2:2 commit=0
? log 2 = 1:1:a 2:2:b
? log 3 = 1:1:a 2:2:b
deliver type=app_resp
? state 1 role=leader commit=0
drop
crash 1
# (d) 5 is elected by 2, 3 and 4 and replaces it
campaign 5
settle
campaign 5
settle
? state 5 role=leader term=5
? log 3 = 1:1:a 2:3:c 3:5:-
? same-log 2,3,4,5
? applied 2 = a c

## counting a majority of an old entry commits nothing until one of the own term is there
node 1 voters=1,2,3 term=2 log=1:a,2:b
campaign 1
rpc 1 vote_resp from=2 term=3 granted=1
? state 1 role=leader last=3
rpc 1 app_resp from=2 term=3 ok=1 match=2
? state 1 commit=0
rpc 1 app_resp from=2 term=3 ok=1 match=3
? state 1 commit=3
? applied 1 = a b
