# SPDX-License-Identifier: Apache-2.0
# Thesis 3.4: silence longer than the drawn time starts an election, a heartbeat prevents it.
## time alone elects one leader, and a dead one is replaced
reset seed=3
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
tick all 9
? state 1 role=follower term=0
? state 2 role=follower term=0
? state 3 role=follower term=0
run 40
? leaders = 1

## heartbeats keep followers quiet
node 1 voters=1,2,3
node 2 voters=1,2,3
node 3 voters=1,2,3
campaign 1
settle
run 100
? state 1 role=leader term=1
? state 2 role=follower term=1
