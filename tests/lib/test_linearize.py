# SPDX-License-Identifier: Apache-2.0
"""The linearizability checker against histories whose answer is known, and against the definition
itself on some thousand small random ones."""
import os
import random
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from linearize import (CAS, NEVER, OK, READ, REFUSED, UNKNOWN, WRITE, Op, check,  # noqa: E402
                       check_by_permutation, check_key)


def read(value, start, end, **kw):
    return Op("k", READ, value, start, end, **kw)


def write(value, start, end, outcome=OK, **kw):
    return Op("k", WRITE, value, start, end, outcome, **kw)


def cas(expect, value, start, end, outcome=OK, **kw):
    return Op("k", CAS, value, start, end, outcome, expect=expect, **kw)


LINEARIZABLE = {
    "nothing": [],
    "a read of nothing": [read(None, 0, 1)],
    "a read beside the write sees the old": [write(1, 0, 9), read(None, 1, 2), read(1, 10, 11)],
    "a read beside the write sees the new": [write(1, 0, 9), read(1, 1, 2)],
    "two writes beside each other in either order": [
        write(1, 0, 9), write(2, 0, 9), read(2, 10, 11)],
    "the first of two concurrent writes ends later": [
        write(1, 0, 9), write(2, 1, 2), read(2, 3, 4), read(1, 5, 6)],
    "compare and swap in a row": [
        cas(None, 1, 0, 1), cas(1, 2, 2, 3), cas(1, 3, 4, 5, REFUSED), read(2, 6, 7)],
    "one of two equal compares wins": [
        write(1, 0, 1), cas(1, 2, 2, 5), cas(1, 3, 2, 5, REFUSED), read(2, 6, 7)],
    "a refused compare before the delete": [
        write(1, 0, 1), cas(None, 2, 2, 9, REFUSED), write(None, 2, 9), cas(None, 3, 10, 11)],
    "never answered and never seen": [write(1, 0, 1), write(2, 2, None, UNKNOWN), read(1, 3, 4)],
    "never answered and seen late": [
        write(1, 0, 1), write(2, 2, None, UNKNOWN), read(1, 3, 4), read(2, 90, 91)],
    "never answered, seen, overwritten": [
        write(2, 0, None, UNKNOWN), read(2, 3, 4), write(3, 5, 6), read(3, 7, 8)],
    "an unanswered swap makes an answered one possible": [
        write(1, 0, 1), cas(1, 2, 2, None, UNKNOWN), cas(2, 3, 3, 4), read(3, 5, 6)],
    "an unanswered write explains a refusal": [
        write(1, 0, 1), write(2, 1, None, UNKNOWN), cas(1, 3, 3, 4, REFUSED)],
    "said not to have happened": [write(1, 0, 1), write(2, 2, 3, NEVER), read(1, 4, 5)],
}

NOT_LINEARIZABLE = {
    "a stale read": [write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)],
    "a lost write": [write(1, 0, 1), read(None, 2, 3)],
    "a read from the future": [read(1, 0, 1), write(1, 2, 3)],
    "a value that nobody wrote": [write(1, 0, 1), read(7, 2, 3)],
    "new, then old": [write(1, 0, 1), write(2, 2, 9), read(2, 3, 4), read(1, 5, 6)],
    "two readers disagree on the order": [
        write(1, 0, 9), write(2, 0, 9), read(1, 10, 11), read(2, 12, 13)],
    "two equal compares both win": [write(1, 0, 1), cas(1, 2, 2, 5), cas(1, 3, 2, 5)],
    "a compare refused without a reason": [write(1, 0, 1), cas(1, 2, 2, 3, REFUSED)],
    "a compare wins against the wrong value": [write(1, 0, 1), cas(2, 3, 2, 3)],
    "never answered, but seen before it began": [read(2, 0, 1), write(2, 2, None, UNKNOWN)],
    "never answered, seen, then unseen": [
        write(1, 0, 1), write(2, 2, None, UNKNOWN), read(2, 3, 4), read(1, 5, 6)],
    "an unanswered swap from a value that was gone": [
        write(1, 0, 1), write(2, 2, 3), cas(1, 3, 4, None, UNKNOWN), read(3, 5, 6)],
    "a deleted value comes back": [write(1, 0, 1), write(None, 2, 3), read(1, 4, 5)],
    "said not to have happened, but seen": [
        write(1, 0, 1), write(2, 2, 3, NEVER), read(2, 4, 5)],
}


def random_history(rng, n):
    """Times and answers at random: some are linearizable, some are not."""
    ops = []
    for i in range(n):
        start = rng.randrange(20)
        end = start + 1 + rng.randrange(8)
        outcome = UNKNOWN if rng.random() < 0.25 else OK
        kind = rng.choice((READ, WRITE, CAS))
        seen = rng.choice([None] + list(range(n)))
        if kind == READ:
            ops.append(read(seen, start, end))
        elif kind == WRITE:
            ops.append(write(rng.choice((i, i, None)), start, end, outcome))
        else:
            ops.append(cas(seen, i, start, end, rng.choice((outcome, REFUSED))))
    return ops


def real_history(rng, n_clients, n_ops):
    """What a correct register answers to clients that overlap, call by call: each happens at a
    moment inside it, those never answered perhaps long after."""
    moments, ops = [], []
    clock = [0.0] * n_clients
    for i in range(n_ops):
        client = rng.randrange(n_clients)
        start = clock[client] + rng.random()
        end = start + rng.random() * 5
        clock[client] = end
        kind = rng.choice((READ, WRITE, CAS))
        op = Op("k", kind, i if kind != READ else None, start, end, who=client)
        if kind != READ and rng.random() < 0.1:
            op.outcome = UNKNOWN
            moments.append((start + rng.random() * 50, op, rng.random() < 0.5))
        else:
            moments.append((rng.uniform(start, end), op, True))
        ops.append(op)
    state, known = None, [None]
    for _, op, happens in sorted(moments, key=lambda m: m[0]):
        if op.kind == READ:
            op.value = state
            known = (known + [state])[-3:]
        elif op.kind == WRITE:
            state = op.value if happens else state
        else:
            op.expect = rng.choice(known)
            if not happens:
                continue
            if state == op.expect:
                state = op.value
            elif op.outcome == OK:
                op.outcome = REFUSED
    return ops


class Checker(unittest.TestCase):
    def test_known_histories(self):
        for name, history in LINEARIZABLE.items():
            self.assertIsNone(check(history), name)
        for name, history in NOT_LINEARIZABLE.items():
            self.assertIsNotNone(check(history), name)

    def test_the_same_verdict_as_the_definition(self):
        rng = random.Random(7)
        verdicts = {True: 0, False: 0}
        for _ in range(6000):
            history = random_history(rng, rng.randrange(1, 6))
            right = check_by_permutation(history)
            self.assertEqual(check_key(history) is None, right, history)
            verdicts[right] += 1
        self.assertGreater(min(verdicts.values()), 500)

    def test_long_histories_of_a_real_register_pass_and_one_wrong_read_does_not(self):
        rng = random.Random(11)
        for _ in range(8):
            history = real_history(rng, 5, 300)
            self.assertIsNone(check(history))
            writes = [op for op in history if op.kind == WRITE and op.outcome == OK]
            reads = [op for op in history if op.kind == READ]
            old = writes[10].value
            reads[-1].value = old
            later = [op for op in writes if writes[10].end < op.start and op.end < reads[-1].start]
            self.assertTrue(later)
            self.assertIsNotNone(check(history))

    def test_many_unanswered_writes_cost_no_explosion(self):
        history = [write(i, i, None, UNKNOWN) for i in range(200)]
        for i in range(200, 1200):
            history += [write(i, i, i + 0.4), read(i, i + 0.5, i + 0.6)]
        history.append(read(150, 1201, 1202))
        self.assertIsNone(check(history))
        history.append(read(149, 1203, 1204))
        history.append(read(150, 1205, 1206))
        self.assertIsNotNone(check(history))

    def test_keys_are_apart_and_revisions_are_not(self):
        a = Op("a", WRITE, 1, 0, 1, revision=10)
        self.assertIsNone(check([a, Op("b", READ, None, 2, 3)]))
        self.assertIn("lower revision", check([a, Op("b", WRITE, 2, 2, 3, revision=9)]))
        self.assertIn("lower revision", check([a, Op("b", READ, None, 2, 3, horizon=9)]))
        self.assertIn("two revisions", check([a, Op("a", READ, 1, 2, 3, revision=11, horizon=11)]))
        self.assertIsNone(check([a, Op("b", WRITE, 2, 0.5, 3, revision=9)]))


if __name__ == "__main__":
    unittest.main()
