# SPDX-License-Identifier: Apache-2.0
# Thesis 3.5, figure 3.6: a leader makes followers' logs like its own, whatever they hold.
## missing entries, extra entries, both
node 1 voters=1,2,3,4,5,6,7 term=7 log=1:a,1:b,1:c,4:d,4:e,5:f,5:g,6:h,6:i,6:j
node 2 voters=1,2,3,4,5,6,7 term=6 log=1:a,1:b,1:c,4:d,4:e,5:f,5:g,6:h,6:i
node 3 voters=1,2,3,4,5,6,7 term=4 log=1:a,1:b,1:c,4:d
node 4 voters=1,2,3,4,5,6,7 term=6 log=1:a,1:b,1:c,4:d,4:e,5:f,5:g,6:h,6:i,6:j,6:k
node 5 voters=1,2,3,4,5,6,7 term=7 log=1:a,1:b,1:c,4:d,4:e,5:f,5:g,6:h,6:i,6:j,7:k,7:l
node 6 voters=1,2,3,4,5,6,7 term=4 log=1:a,1:b,1:c,4:d,4:e,4:k,4:l
node 7 voters=1,2,3,4,5,6,7 term=3 log=1:a,1:b,1:c,2:k,2:l,2:m,3:n,3:o,3:p,3:q,3:r
campaign 1
settle
? state 1 role=leader term=8
? same-log 1,2,3,4,5,6,7
? log 7 = 1:1:a 2:1:b 3:1:c 4:4:d 5:4:e 6:5:f 7:5:g 8:6:h 9:6:i 10:6:j 11:8:-
? log 4 = 1:1:a 2:1:b 3:1:c 4:4:d 5:4:e 6:5:f 7:5:g 8:6:h 9:6:i 10:6:j 11:8:-
? applied 5 = a b c d e f g h i j

## what agrees is not cut off by an old, shorter message
node 1 voters=1,2 log=1:a,1:b,1:c term=1
rpc 1 app_req from=2 term=1 prev=0:0 entries=1:a commit=0
? log 1 = 1:1:a 2:1:b 3:1:c
rpc 1 app_req from=2 term=1 prev=1:1 commit=1
? log 1 = 1:1:a 2:1:b 3:1:c
? state 1 commit=1
