# SPDX-License-Identifier: Apache-2.0
# Thesis 3.4: votes that are split elect no one; a later election with other timers does.
## two candidates of one term, none wins, time decides
reset seed=7
node 1 voters=1,2,3,4
node 2 voters=1,2,3,4
node 3 voters=1,2,3,4
node 4 voters=1,2,3,4
campaign 1
campaign 2
deliver type=vote_req from=1 to=3
deliver type=vote_req from=2 to=4
settle
? leaders = 0
? state 1 term=1 vote=1
? state 2 term=1 vote=2
? state 3 vote=1
? state 4 vote=2
run 60
? leaders = 1
