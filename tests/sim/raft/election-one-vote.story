# SPDX-License-Identifier: Apache-2.0
# Thesis 3.4: first come, first served, one vote a term.  3.8: the vote survives a crash.
## the second candidate of a term gets nothing
node 1 voters=1,2,3
rpc 1 vote_req from=2 term=5 last=0:0
? state 1 term=5 vote=2
? msgs from=1 to=2 type=vote_resp count=1
rpc 1 vote_req from=3 term=5 last=9:4
? state 1 vote=2
drop
crash 1
restart 1
? state 1 term=5 vote=2
rpc 1 vote_req from=3 term=5 last=9:4
? state 1 vote=2
drop
# asked again by the same candidate, whose answer was lost, the answer is the same
rpc 1 vote_req from=2 term=5 last=0:0
? state 1 vote=2
? msgs from=1 to=2 type=vote_resp count=1
