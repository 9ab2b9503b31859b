# SPDX-License-Identifier: Apache-2.0
# Thesis 6.4, step 1: a new leader answers no read before an entry of its term is committed.
## the no-op comes first
needs readindex noop
node 1 voters=1,2,3 term=1 log=1:a,1:b
node 2 voters=1,2,3 term=1 log=1:a,1:b
node 3 voters=1,2,3 term=1 log=1:a,1:b
campaign 1
deliver type=vote_req
deliver type=vote_resp
? state 1 role=leader commit=0
read 1
? reads 1 = 0
settle
? reads 1 = 1
? read-index 1 >= 3
