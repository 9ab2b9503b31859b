# SPDX-License-Identifier: Apache-2.0
"""Is a history of concurrent operations on a key-value store linearizable?

Wing and Gong's search in the just-in-time form of G. Lowe, "Testing for linearizability" (2017): an
operation is put in its place only when its answer forces it, and what has been reached is kept as a
set of configurations, so nothing is looked at twice.  Keys do not touch each other, so each has a
search of its own (his P-compositionality).

The state of a key is its value or None, when it is absent.  Every value is written once, so a
compare with a revision is a compare with the value it stands for.

An operation that was never answered may have happened at any later time, or not at all.  Of two
configurations that differ only in such operations the one that used fewer can do all that the other
can: the rest is forgotten, which is what keeps the search small when many calls time out."""
import heapq
import itertools

READ, WRITE, CAS = "read", "write", "cas"
OK, REFUSED, UNKNOWN, NEVER = "ok", "refused", "unknown", "never"


class Op:
    """One call.  @value: what was read, or is to be written (None deletes).  @expect: a CAS's.
    @outcome: OK; REFUSED, a CAS whose compare failed; UNKNOWN; NEVER, the answer says that it did
    not happen and will not.  @revision: of the value read, or of the write, None: not told.
    @horizon: of a read, the revision of the state it was answered from.  Times are of one clock."""

    __slots__ = ("key", "kind", "value", "expect", "start", "end", "outcome", "revision", "who",
                 "horizon")

    def __init__(self, key, kind, value, start, end, outcome=OK, expect=None, revision=None, who="",
                 horizon=None):
        self.key, self.kind, self.value, self.expect = key, kind, value, expect
        self.start, self.end, self.outcome, self.who = start, end, outcome, who
        self.revision, self.horizon = revision, horizon

    def __repr__(self):
        what = "%r" % (self.value,) if self.kind != CAS else "%r -> %r" % (self.expect, self.value)
        return "%s %s %s %s: %s [%s .. %s] revision %s" % (
            self.who, self.kind, self.key, what, self.outcome, self.start,
            "" if self.outcome == UNKNOWN else self.end, self.revision)


def step(state, op):
    """The states after @op in @state that agree with its answer; at most one."""
    if op.kind == READ:
        return (state,) if state == op.value else ()
    if op.kind == WRITE:
        return (op.value,)
    if op.outcome == REFUSED:
        return (state,) if state != op.expect else ()
    return (op.value,) if state == op.expect else ()


class Frontier:
    """Configurations (state, known operations already placed, unknown ones used), the last as small
    as can be."""

    def __init__(self, configs=()):
        self.masks = {}
        for config in configs:
            self.add(*config)

    def add(self, state, known, used):
        """False when what is here can do all that this one can."""
        masks = self.masks.setdefault((state, known), [])
        if any(m & used == m for m in masks):
            return False
        masks[:] = [m for m in masks if m & used != used]
        masks.append(used)
        return True

    def __iter__(self):
        for (state, known), masks in self.masks.items():
            for used in masks:
                yield state, known, used

    def __bool__(self):
        return bool(self.masks)


def useful(pending, seen_values):
    """What may be placed now: an unanswered operation waits until something under way needs what it
    leaves behind.  A refused compare needs any other value: of the unanswered writes whose value
    nobody ever saw one is as good as another, so those come as a list of their own, and the rest as
    a third."""
    wants = {op.value if op.kind == READ else op.expect for op in pending.values()
             if op.kind != WRITE and op.outcome != REFUSED}
    refusals = any(op.outcome == REFUSED for op in pending.values())
    known, spare, precious = [], [], []
    for item in pending.items():
        op = item[1]
        if op.outcome != UNKNOWN or op.value in wants:
            known.append(item)
        elif op.kind == WRITE and op.value not in seen_values:
            spare.append(item)
        else:
            precious.append(item)
    return (known, spare, precious) if refusals else (known, [], [])


def place(frontier, pending, wanted, seen_values):
    """All configurations in which the pending operation numbered @wanted has just returned."""
    bit, after, seen, count = 1 << wanted, Frontier(), Frontier(), itertools.count()
    work = []  # those that used fewest first: they make the others needless
    for state, known, used in frontier:
        if known & bit:
            after.add(state, known ^ bit, used)
        elif seen.add(state, known, used):
            heapq.heappush(work, (bin(used).count("1"), next(count), state, known, used))
    candidates, spare, precious = useful(pending, seen_values)
    while work:
        _, _, state, known, used = heapq.heappop(work)
        if used not in seen.masks[state, known]:
            continue
        one = next(([item] for item in spare if not used & 1 << item[0]), precious)
        for number, op in candidates + one:
            mine = 1 << number
            if (known | used) & mine:
                continue
            for then in step(state, op):
                if number == wanted:
                    after.add(then, known, used)
                    continue
                if op.outcome == UNKNOWN:
                    config = then, known, used | mine
                else:
                    config = then, known | mine, used
                if seen.add(*config):
                    heapq.heappush(work, (bin(config[2]).count("1"), next(count)) + config)
    return after


def check_key(ops, initial=None):
    """None when the operations of one key are linearizable, else the text of what cannot be."""
    ops = [op for op in ops if op.outcome != NEVER and
           not (op.kind == READ and op.outcome == UNKNOWN)]
    events = [(op.start, 0, i) for i, op in enumerate(ops)]
    events += [(op.end, 1, i) for i, op in enumerate(ops) if op.outcome != UNKNOWN]
    frontier, pending = Frontier([(initial, 0, 0)]), {}
    seen_values = {op.value if op.kind == READ else op.expect for op in ops if op.kind != WRITE}
    for _, is_return, i in sorted(events):
        if not is_return:
            pending[i] = ops[i]
            continue
        before, frontier = frontier, place(frontier, pending, i, seen_values)
        if not frontier:
            return explain(before, pending, ops, i)
        del pending[i]
    return None


def explain(frontier, pending, ops, i):
    lines = ["no order explains", "  %r" % ops[i],
             "before it the value may have been: %s" % sorted({repr(c[0]) for c in frontier}),
             "under way or never answered:"]
    lines += ["  %r" % op for n, op in sorted(pending.items()) if n != i]
    near = sorted((op for op in ops if op.end is not None and op.end <= ops[i].end),
                  key=lambda op: op.end)[-12:]
    return "\n".join(lines + ["the last answers:"] + ["  %r" % op for op in near])


def check(history):
    """None, or why the history of all keys is not linearizable."""
    by_key = {}
    for op in history:
        by_key.setdefault(op.key, []).append(op)
    for _, ops in sorted(by_key.items()):
        wrong = check_key(ops) or check_never(ops)
        if wrong:
            return wrong
    return check_revisions(history)


def check_never(ops):
    """What was said not to have happened is never seen."""
    never = {op.value: op for op in ops if op.outcome == NEVER and op.value is not None}
    for op in ops:
        seen = op.value if op.kind == READ else op.expect
        if op.outcome == OK and seen in never:
            return "this was said not to have happened\n  %r\nbut was seen by\n  %r" % (
                never[seen], op)
    return None


def check_revisions(history):
    """Revisions are one order of everything, over all keys: a value has one, and what begins after
    an answer has, or is read at, no lower one than that answer spoke of."""
    of_value = {}
    for op in history:
        if op.outcome == OK and op.value is not None and op.revision is not None:
            other = of_value.setdefault((op.key, op.value), op)
            if other.revision != op.revision:
                return "one value at two revisions\n  %r\n  %r" % (other, op)
    told = sorted((op for op in history if op.outcome == OK and op.revision is not None and
                   op.kind != READ), key=lambda op: op.end)
    asked = sorted((op for op in history if op.outcome == OK), key=lambda op: op.start)
    highest, at = None, 0
    for op in asked:
        while at < len(told) and told[at].end < op.start:
            if highest is None or told[at].revision > highest.revision:
                highest = told[at]
            at += 1
        mine = op.horizon if op.kind == READ else op.revision
        if highest is not None and mine is not None and mine < highest.revision:
            return "what began later has a lower revision\n  %r (state at %s)\nafter\n  %r" % (
                op, mine, highest)
    return None


def check_by_permutation(ops, initial=None):
    """The definition itself, for a handful of operations: True when some order explains them."""
    ops = [op for op in ops if op.outcome != NEVER and
           not (op.kind == READ and op.outcome == UNKNOWN)]
    sure = [op for op in ops if op.outcome != UNKNOWN]
    maybe = [op for op in ops if op.outcome == UNKNOWN]
    for n in range(len(maybe) + 1):
        for chosen in itertools.combinations(maybe, n):
            for order in itertools.permutations(sure + list(chosen)):
                if explains(order, initial):
                    return True
    return False


def explains(order, state):
    for i, op in enumerate(order):
        if any(later.outcome != UNKNOWN and later.end < op.start for later in order[i + 1:]):
            return False
        after = step(state, op)
        if not after:
            return False
        state = after[0]
    return True
