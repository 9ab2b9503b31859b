# SPDX-License-Identifier: Apache-2.0
# Thesis 3.8: what was not on disk is gone after a crash, and nobody was told otherwise.
## an acknowledged write survives the crash of everyone, an unsynced one does not
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
propose 1 a
settle
sync 1 off
sync 2 off
sync 3 off
propose 1 b
settle
crash 1
crash 2
crash 3
restart 1
restart 2
restart 3
? log 2 = 1:1:- 2:1:a
campaign 2
settle
? applied 1 = a
? applied 2 = a
? applied 3 = a

## a follower that lost its tail gets it again
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
sync 3 off
propose 1 a
settle
? applied 1 = a
crash 3
restart 3
? state 3 last=1
run 2
? applied 3 = a
