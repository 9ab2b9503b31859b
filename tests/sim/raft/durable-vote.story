# SPDX-License-Identifier: Apache-2.0
# Thesis 3.8: term and vote are on disk before anyone hears of them.
## a vote waits for the disk
node 1 voters=1,2,3
sync 1 off
rpc 1 vote_req from=2 term=3 last=0:0
? msgs from=1 type=vote_resp count=0
sync 1 on
? msgs from=1 type=vote_resp count=1
? state 1 term=3 vote=2

## a vote that never reached the disk was never given
node 1 voters=1,2,3
sync 1 off
rpc 1 vote_req from=2 term=3 last=0:0
crash 1
restart 1
? state 1 vote=0
rpc 1 vote_req from=3 term=3 last=0:0
? state 1 term=3 vote=3

## a candidate asks when its own vote is safe
node 1 voters=1,2,3
sync 1 off
campaign 1
? msgs type=vote_req count=0
sync 1 on
? msgs type=vote_req count=2
