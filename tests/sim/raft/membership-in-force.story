# SPDX-License-Identifier: Apache-2.0
# Thesis 4.1: a configuration counts as soon as it is in the log.
## the new majority is needed for the change itself
node 1 voters=1,2
node 2 voters=1,2
campaign 1
settle
cut 1 2
conf 1 +v3
node 3 voters=-
? state 1 voters=1,2,3
? state 1 commit=1
# 1 and 3 are two of three
settle
run 2
? state 3 last=2 voters=1,2,3
? state 1 commit=2

## with a member removed the smaller majority is enough at once
node 1 voters=1,2,3
node 2 voters=1,2,3
campaign 1
settle
conf 1 -n3
settle
? state 1 commit=2 voters=1,2
conf 1 -n2
? state 1 commit=3 voters=1
