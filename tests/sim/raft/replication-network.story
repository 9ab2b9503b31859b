# SPDX-License-Identifier: Apache-2.0
# Thesis 3.5: messages may be doubled, swapped and lost without effect on what is agreed.
## doubled and reversed
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
propose 1 a
propose 1 b
propose 1 c
dup
reverse
settle
run 3
? applied 1 = a b c
? applied 2 = a b c
? applied 3 = a b c

## lost entries are sent again after the next heartbeat
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
propose 1 a
drop
propose 1 b
drop
run 2
? applied 3 = a b
? same-log 1,2,3
