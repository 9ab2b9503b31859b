# SPDX-License-Identifier: Apache-2.0
# Thesis 6.4: a leader begins its term with an entry of its own, which commits what came before.
## the entries of the last leader become committed
needs noop
node 1 voters=1,2,3 term=1 log=1:a,1:b
node 2 voters=1,2,3 term=1 log=1:a,1:b
node 3 voters=1,2,3 term=1 log=1:a
campaign 1
settle
? log 3 = 1:1:a 2:1:b 3:2:-
? applied 1 = a b
? applied 3 = a b
