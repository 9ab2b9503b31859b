# SPDX-License-Identifier: Apache-2.0
"""Clients of a cluster under faults, and the history of what they asked and were told.

Registers: a few keys at a time are read (linearizable), written, deleted, compared-and-swapped by
several clients through every member, then others take their place, so that no key's history grows
long.  The set: keys written once, to be found again.  Fat writes: they turn the log's files over.
Local reads: each member must answer them whatever happens, as long as it runs."""
import itertools
import os
import random
import sys
import threading
import time

import msgpack

from jacorpc import Rpc, RpcError
from lab_raft import DOWN

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from linearize import CAS, NEVER, OK, READ, REFUSED, UNKNOWN, WRITE, Op  # noqa: E402

CALL_S = 8        # raftd itself waits 5 s for a leader
KEYS = 4
KEYS_LAST_S = 3.0
FAT_BYTES = 60000

# What these say did not happen did not: their other form ends in "may or may not have happened".
DEFINITE = ("no_leader", "quorum_lost", "unavailable", "too_many_requests")


def outcome_of(error):
    return UNKNOWN if error.code not in DEFINITE or "may or may not" in error.message else NEVER


class Load:
    def __init__(self, cluster, seed, pace=0.004, set_pace=0.035):
        self.cluster, self.pace, self.set_pace = cluster, pace, set_pace
        self.rng = random.Random(seed)
        self.ending, self.begun = threading.Event(), time.monotonic()
        self.numbers = itertools.count(1)
        self.threads, self.history = [], []
        self.kept = {}          # of the set: key -> revision, acknowledged
        self.refusals = {}      # code -> count
        self.reasons = set()    # of `unavailable`
        self.local_reads = 0
        self.broken = []        # what must never happen
        for member in cluster.members:
            for i in range(3):
                self.go(self.registers, member, "%s/%d" % (member.name, i))
            self.go(self.set_writer, member)
            self.go(self.local_reader, member)
        self.go(self.fat_writer, cluster.members[0])

    def go(self, body, member, who=None):
        thread = threading.Thread(target=self.run, daemon=True, args=(
            body, member, random.Random(self.rng.random()), who or member.name))
        self.threads.append(thread)
        thread.start()

    def run(self, body, member, rng, who):
        """@body until the end, with a new connection whenever the old one is of no more use."""
        while not self.ending.is_set():
            try:
                rpc = Rpc(member.path("schedd"), CALL_S)
            except OSError:
                self.ending.wait(0.02)  # it is down: there is nothing to wait for but its return
                continue
            try:
                body(member, rpc, rng, who)
            except DOWN:
                pass
            except Exception as error:  # a client that dies is a test that lies
                self.broken.append("%s: %r" % (who, error))
                raise
            finally:
                rpc.close()

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(CALL_S + 30)
            assert not thread.is_alive()

    def rest(self, rng):
        self.ending.wait(rng.random() * 2 * self.pace)

    def count(self, error):
        self.refusals[error.code] = self.refusals.get(error.code, 0) + 1
        if error.code == "unavailable":
            self.reasons.add(error.message)

    # --- registers ---

    def key(self, rng):
        return "/counter/nemesis/%d-%d" % ((time.monotonic() - self.begun) / KEYS_LAST_S,
                                           rng.randrange(KEYS))

    def registers(self, member, rpc, rng, who):
        known = {}  # of the key at hand: what this client saw last, value and revision
        while not self.ending.is_set():
            key = self.key(rng)
            if key not in known:
                known = {k: v for k, v in known.items() if k.split("-")[0] == key.split("-")[0]}
            kind = rng.choice((READ, READ, WRITE, CAS, CAS)) if key in known else READ
            if kind == READ:
                known[key] = self.read(rpc, key, who)
            else:
                known[key] = self.write(rpc, rng, key, kind, known[key], who)
            self.rest(rng)

    def read(self, rpc, key, who):
        op = Op(key, READ, None, time.monotonic(), None, UNKNOWN, who=who)
        try:
            got = rpc.call("kv.get", key=key, linearizable=True)
        except RpcError as error:
            self.count(error)
            return None, 0
        op.end, op.outcome, op.horizon = time.monotonic(), OK, got["revision"]
        if "entry" in got:
            op.value = msgpack.unpackb(got["entry"]["value"])["next"]
            op.revision = got["entry"]["revision"]
        self.history.append(op)
        return op.value, op.revision or 0

    def write(self, rpc, rng, key, kind, known, who):
        """What this client knows of the key afterwards."""
        number = next(self.numbers)
        is_delete = kind == WRITE and rng.random() < 0.15
        params = {"deletes": [key]} if is_delete else {
            "puts": [{"key": key, "value": msgpack.packb({"next": number})}]}
        if kind == CAS:
            params["compares"] = [{"key": key, "revision": known[1]}]
        op = Op(key, kind, None if is_delete else number, time.monotonic(), None, UNKNOWN,
                expect=known[0], who=who)
        self.history.append(op)  # before it is sent: whatever happens, it may happen
        try:
            done = rpc.call("kv.txn", **params)
        except RpcError as error:
            self.count(error)
            op.end, op.outcome = time.monotonic(), outcome_of(error)
            return known
        op.end = time.monotonic()
        op.outcome = OK if done["succeeded"] else REFUSED
        if not done["succeeded"]:
            return known
        op.revision = done["revision"]
        return op.value, 0 if is_delete else op.revision

    # --- what is written once, what is large, what is asked here ---

    def set_writer(self, member, rpc, rng, who):
        while not self.ending.is_set():
            key = "/counter/set/%d" % next(self.numbers)
            try:
                done = rpc.call("kv.txn", puts=[{"key": key, "value": msgpack.packb({"next": 1})}])
                self.kept[key] = done["revision"]
            except RpcError as error:
                self.count(error)
            self.ending.wait(rng.random() * 2 * self.set_pace)

    def fat_writer(self, member, rpc, rng, who):
        while not self.ending.is_set():
            value = {"count": 1, "since": 1, "reason": "x" * (FAT_BYTES // 60)}
            try:
                rpc.call("kv.txn", puts=[
                    {"key": "/restart/fat-%d" % i, "value": msgpack.packb(value)}
                    for i in range(60)])
            except RpcError as error:
                self.count(error)
            self.ending.wait(rng.random() * 0.06)

    def local_reader(self, member, rpc, rng, who):
        """Not linearizable: needs nobody else.  An error is an answer that must not be."""
        while not self.ending.is_set():
            try:
                rpc.call("kv.get", key="/counter/set/1")
                self.local_reads += 1
            except RpcError as error:
                self.broken.append("%s: a local read was refused: %s" % (who, error))
            self.ending.wait(0.01)
