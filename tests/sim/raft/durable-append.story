# SPDX-License-Identifier: Apache-2.0
# Thesis 3.8: an acknowledgement means the disk has it.  10.2.1: the leader's own disk is one vote.
## a follower answers when its disk is done, with all of it at once
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
sync 2 off
cut 1 3
propose 1 a
propose 1 b
deliver to=2
? msgs from=2 type=app_resp count=0
? state 1 commit=1
sync 2 on
? msgs from=2 type=app_resp count=1
deliver from=2
? state 1 commit=3

## the leader sends before its own disk is done, and commits without it
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
sync 1 off
propose 1 a
? msgs from=1 type=app_req count=2
settle ids=1,2
? state 1 commit=1
settle
? state 1 commit=2 last=1

## the leader's undurable entry counts for nothing
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
sync 1 off
cut 1 3
propose 1 a
settle
? state 2 last=2
? state 1 commit=1
sync 1 on
settle
? state 1 commit=2
