# SPDX-License-Identifier: Apache-2.0
# Thesis 6.4.1: inside the lease no message is needed; a hand-over ends it.
## at once, until followers were silent too long
needs lease
reset reads=lease checkquorum=1
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
run 2
read 1
? reads 1 = 1
? msgs count=0
tick 1 9
drop
read 1
? reads 1 = 1

## not after a hand-over was begun
needs lease transfer
reset reads=lease checkquorum=1
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
run 2
transfer 1 2
drop
read 1
? reads 1 = 0
settle
? reads 1 = 1
