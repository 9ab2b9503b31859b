# SPDX-License-Identifier: Apache-2.0
# Thesis 3.5: stored by a majority is committed; followers learn it with the next message.
## one follower is enough in three
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
cut 1 3
propose 1 a
? state 1 commit=1
deliver type=app_req to=2
? state 1 commit=1
deliver type=app_resp from=2
? state 1 commit=2
? applied 1 = a
settle
? applied 2 = a
? applied 3 =
heal
run 1
? applied 3 = a
? same-log 1,2,3

## without a majority nothing is committed, however long it takes
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
cut 1 2
cut 1 3
propose 1 a
run 5
? state 1 commit=1
? applied 1 =
