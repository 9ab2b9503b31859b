# SPDX-License-Identifier: Apache-2.0
# Thesis 5.1: what a received snapshot does to the log it meets.
## it replaces a log that disagrees
needs snapshot
node 1 voters=1,2,3 term=3 log=1:a,2:x,2:y
rpc 1 snap_req from=2 term=4 base=5:3 voters=1,2,3 data=a,b,c
? state 1 first=6 last=5 lastterm=3 commit=5 applied=5
? applied 1 = a b c
? msgs from=1 to=2 type=app_resp count=1

## it keeps what follows when the log agrees
needs snapshot
node 1 voters=1,2,3 term=3 log=1:a,2:b,3:c
rpc 1 snap_req from=2 term=4 base=2:2 voters=1,2,3 data=a,b
? log 1 = 3:3:c
? state 1 commit=2 applied=2

## an old one changes nothing
needs snapshot
node 1 voters=1,2,3 term=3 log=1:a,2:b,3:c commit=3
rpc 1 snap_req from=2 term=4 base=2:2 voters=1,2,3 data=a,b
? log 1 = 1:1:a 2:2:b 3:3:c
? state 1 commit=3
? applied 1 = a b c

## it is acknowledged when the disk has it
needs snapshot
node 1 voters=1,2,3
sync 1 off
rpc 1 snap_req from=2 term=4 base=5:3 voters=1,2,3 data=a
? msgs from=1 type=app_resp count=0
crash 1
restart 1
? state 1 commit=0 last=0
? applied 1 =
