# SPDX-License-Identifier: Apache-2.0
# Thesis 3.3: whoever sees a higher term takes it over and follows; old terms are refused.
## a leader steps down for a higher term
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
rpc 1 app_resp from=2 term=8 ok=0 hint=0
? state 1 role=follower term=8 leader=0
? fails propose 1 a

## messages of an old leader are answered with the term and change nothing
node 1 voters=1,2,3 log=2:a term=5
rpc 1 app_req from=2 term=4 prev=0:0 entries=4:x commit=1
? log 1 = 1:2:a
? state 1 term=5 leader=0 commit=0
? msgs from=1 to=2 type=app_resp count=1
rpc 1 snap_req from=2 term=4 base=9:4 voters=1,2,3 data=x
? state 1 first=1 last=1

## a candidate gives way to a leader of its own term
node 1 voters=1,2,3
campaign 1
? state 1 role=candidate term=1
rpc 1 app_req from=2 term=1 prev=0:0 commit=0
? state 1 role=follower leader=2 term=1 vote=1
