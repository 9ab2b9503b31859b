# SPDX-License-Identifier: Apache-2.0
# Thesis 10.2.1 and 11.3: entries are pipelined, within a window of unanswered messages.
## no more than the window, and it slides
reset maxinflight=2
node 1 voters=1,2
node 2 voters=1,2
campaign 1
settle
propose 1 a
propose 1 b
propose 1 c
propose 1 d
? msgs to=2 type=app_req count=2
deliver to=2 max=1
deliver from=2 max=1
? msgs to=2 type=app_req count=+2
settle
? applied 2 = a b c d
