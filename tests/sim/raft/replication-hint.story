# SPDX-License-Identifier: Apache-2.0
# Thesis 3.5, end: a refusal tells where to look next, so terms are skipped, not entries.
## a thousand entries of disagreement cost few messages
node 1 voters=1,2,3 term=9 log=1:a,8:b,8:c,8:d,8:e,8:f,8:g,8:h,8:i,8:j,8:k,8:l
node 2 voters=1,2,3 term=7 log=1:a,2:b,2:c,3:d,3:e,4:f,4:g,5:h,5:i,6:j,6:k,7:l
campaign 1
deliver type=vote_req
deliver type=vote_resp
? state 1 role=leader
# the first probe is refused, the second is taken
deliver to=2 type=app_req
? msgs from=2 type=app_resp count=1
deliver from=2 type=app_resp
deliver to=2 type=app_req
deliver from=2 type=app_resp
? log 2 = 1:1:a 2:8:b 3:8:c 4:8:d 5:8:e 6:8:f 7:8:g 8:8:h 9:8:i 10:8:j 11:8:k 12:8:l 13:10:-

## a hint below is taken over
node 1 voters=1,2,3 term=9 log=1:a,1:b,1:c,1:d,1:e
campaign 1
rpc 1 vote_resp from=2 term=10 granted=1
drop
rpc 1 app_resp from=2 term=10 ok=0 hint=2
? msgs to=2 type=app_req count=1
