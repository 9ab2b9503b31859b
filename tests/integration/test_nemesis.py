# SPDX-License-Identifier: Apache-2.0
"""Three real raftd under a random nemesis with clients through all of them: the history is
linearizable, what was acknowledged is on every member after healing, their states are equal, nobody
stops by itself and local reads never stop.

JACO_NEMESIS_SECONDS: how long each test rages (default: short).  JACO_NEMESIS_SEED: repeats the
choices of a run.  A history that is wrong is kept in /tmp and named."""
import os
import pickle
import random
import statistics
import tempfile
import threading
import time

import pytest

from jacorpc import Rpc, RpcError
from lab_raft import DOWN, Cluster, entries, wait
from raft_clients import OK, READ, UNKNOWN, Load, Op
from linearize import check

SEED = int(os.environ.get("JACO_NEMESIS_SEED", random.SystemRandom().randrange(1 << 32)))


class Nemesis:
    """Does one thing at a time and takes it back; what it did is in `done`."""

    def __init__(self, cluster, rng, faults):
        self.cluster, self.rng, self.faults = cluster, rng, faults
        self.done = {name: 0 for name in faults}
        self.died = []

    def victim(self):
        """The leader as often as not."""
        if self.rng.random() < 0.5:
            for member in self.cluster.members:
                try:
                    if member.is_running() and member.status().get("is_leader"):
                        return member
                except (RpcError,) + DOWN:
                    pass
        return self.rng.choice(self.cluster.members)

    def rage(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            name = self.rng.choice(self.faults)
            self.done[name] += 1
            getattr(self, name)(self.victim())
            self.look_after()
            self.hold(0.1, 1.2)

    def hold(self, least, most):
        threading.Event().wait(self.rng.uniform(least, most))

    def look_after(self):
        """Nobody stops who was not killed."""
        for member in self.cluster.members:
            if not member.is_running():
                self.died.append("%s stopped by itself, status %s:\n%s" % (
                    member.name, member.process.returncode,
                    "".join(open(member.root + "/raftd.log").readlines()[-5:])))
                member.start()

    # --- faults ---

    def kill(self, victim):
        others = [m for m in self.cluster.others(victim) if self.rng.random() < 0.2]
        for member in [victim] + others:
            if member.is_running():
                member.kill()
        self.hold(0, 1.5)
        for member in [victim] + others:
            member.start()

    def pause(self, victim):
        victim.pause()
        self.hold(0.1, 3)
        victim.resume()

    def cut(self, victim):
        others = self.cluster.others(victim)
        victim.cut_from(*others)
        for other in others:
            other.cut_from(victim)
        self.hold(0.2, 4)
        self.mend()

    def shatter(self, victim):
        """Nobody hears anybody."""
        for member in self.cluster.members:
            member.cut_from(*self.cluster.others(member))
        self.hold(0.2, 2)
        self.mend()

    def one_way(self, victim):
        """It hears, or is heard, but not both; or one link of the three is deaf on one side."""
        others = self.cluster.others(victim)
        if self.rng.random() < 0.4:
            victim.cut_from(*others)
        elif self.rng.random() < 0.6:
            for other in others:
                other.cut_from(victim)
        else:
            victim.cut_from(self.rng.choice(others))
        self.hold(0.2, 4)
        self.mend()

    def lose(self, victim):
        for member in self.cluster.members:
            if self.rng.random() < 0.6:
                member.lose(self.rng.choice((2, 10, 30)))
        self.hold(0.5, 3)
        self.mend()

    def fill(self, victim):
        """One disk is full, sometimes two, sometimes while something else happens."""
        filled = [victim] + [m for m in self.cluster.others(victim) if self.rng.random() < 0.3]
        for member in filled:
            member.fill_disk()
        self.hold(0.5, 4)
        if self.rng.random() < 0.3:
            self.rng.choice((self.kill, self.pause, self.transfer))(self.victim())
        for member in filled:
            member.free_disk()

    def transfer(self, victim):
        heir = self.rng.choice(self.cluster.members)
        try:
            victim.call("cluster.leader_transfer", to=heir.name, timeout=3)
        except (RpcError,) + DOWN:
            pass  # there may be no leader, or it is there already

    def mend(self):
        for member in self.cluster.members:
            member.drop([])


def judge(cluster, load, nemesis):
    """After healing: everything that must hold."""
    cluster.heal()
    healed = time.monotonic()
    for member in cluster.members:
        wait("a write through " + member.name, lambda: member.call(
            "kv.txn", role="schedd", puts=[{"key": "/counter/set/0", "value": b"\x81\xa4next\x01"}]))
    print("writes through all members %.1f s after healing" % (time.monotonic() - healed))
    wait("enough was done to be judged", lambda: len(load.kept) > 20 and load.local_reads > 20 and
         sum(op.outcome == OK for op in list(load.history)) > 100)
    load.end()
    revision, state_hash = cluster.agree()
    found = [entries(m, "/counter/") for m in cluster.members]
    now = time.monotonic()
    for member, state in zip(cluster.members, found):
        assert state == found[0], "%s differs" % member.name
        lost = [k for k, r in load.kept.items() if state.get(k, (None, 0))[1] != r]
        assert not lost, "acknowledged and not on %s: %s" % (member.name, sorted(lost)[:20])
    for key in {op.key for op in load.history}:
        value, at = found[0].get(key, ({"next": None}, None))
        load.history.append(Op(key, READ, value["next"], now, now + 1, OK, revision=at,
                               horizon=revision, who="afterwards"))
    report(load, nemesis)
    wrong = check(load.history)
    if wrong:
        fd, path = tempfile.mkstemp(prefix="jaco-history-", dir="/tmp")
        with os.fdopen(fd, "wb") as file:
            pickle.dump([{k: getattr(op, k) for k in Op.__slots__} for op in load.history], file)
        raise AssertionError("not linearizable (history: %s)\n%s" % (path, wrong))
    assert not load.broken, "\n".join(load.broken[:10])
    assert not nemesis.died, "\n".join(nemesis.died[:10])


def report(load, nemesis):
    kinds = {}
    for op in load.history:
        kinds[op.kind, op.outcome] = kinds.get((op.kind, op.outcome), 0) + 1
    print("seed %d, faults %s" % (SEED, nemesis.done))
    print("%d operations: %s" % (len(load.history), ", ".join(
        "%s %s %d" % (k + (n,)) for k, n in sorted(kinds.items()))))
    print("set: %d acknowledged; local reads: %d; refusals: %s" % (
        len(load.kept), load.local_reads, load.refusals))
    for reason in sorted(load.reasons)[:5]:
        print("  unavailable: " + reason)


FAMILIES = {
    "everything": (["kill", "pause", "cut", "shatter", "one_way", "lose", "transfer"], 0, 14),
    "one_way_cuts": (["one_way", "cut"], 0, 6),
    "paused": (["pause"], 0, 5),
    "full_disk": (["fill", "fill", "kill", "transfer"], 16384, 10),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_history_under_faults_is_linearizable(tmp_path, family):
    faults, disk, seconds = FAMILIES[family]
    seconds = float(os.environ.get("JACO_NEMESIS_SECONDS", seconds))
    print("seed %d" % SEED)
    rng = random.Random("%d %s" % (SEED, family))
    with Cluster(tmp_path, disk=disk) as cluster:
        # a disk of 16 MB has no place for a set that grows for ten minutes, nor for the 200,000 requests
        # that the state remembers (80 bytes each, and a snapshot of them): some 50,000 it has to hold
        paces = {"pace": max(0.004, seconds / 15000), "set_pace": max(0.035, seconds / 1000)}
        load = Load(cluster, rng.random(), **(paces if disk else {}))
        nemesis = Nemesis(cluster, rng, faults)
        nemesis.rage(seconds)
        judge(cluster, load, nemesis)


def test_the_leader_is_killed_twenty_times(tmp_path):
    """How long until the next acknowledged write; the survivors answer reads all the while."""
    with Cluster(tmp_path) as cluster:
        gaps, reads = [], []
        for round_ in range(20):
            leader = cluster.leader()
            survivors = cluster.others(leader)
            for member in survivors:
                wait("the write before", lambda: write(member, round_))
            ending = threading.Event()
            readers = [threading.Thread(target=read_on, args=(m, ending, reads))
                       for m in survivors]
            for reader in readers:
                reader.start()
            begun = time.monotonic()
            leader.kill()
            wait("the next write", lambda: write(survivors[round_ % 2], 1000 + round_))
            gaps.append(time.monotonic() - begun)
            ending.set()
            for reader in readers:
                reader.join()
            leader.start()
        print("next acknowledged write after kill -9 of the leader: median %.0f ms, worst %.0f ms; "
              "%d local reads meanwhile, slowest %.0f ms" % (
                  statistics.median(gaps) * 1000, max(gaps) * 1000, len(reads),
                  max(r for r in reads if r is not None) * 1000))
        assert None not in reads and len(reads) >= 40
        cluster.agree()


def write(member, n):
    try:
        return member.call("kv.txn", role="schedd", puts=[
            {"key": "/counter/d/fail", "value": b"\x81\xa4next\xcd" + n.to_bytes(2, "big")}])
    except RpcError as error:
        assert error.code in ("no_leader", "quorum_lost", "unavailable"), error
        return None


def read_on(member, ending, reads):
    """How long each read took; None: it failed."""
    rpc = Rpc(member.path("schedd"))
    is_over = False
    while not is_over:
        is_over = ending.is_set()
        begun = time.monotonic()
        try:
            found = "entry" in rpc.call("kv.get", key="/counter/d/fail")
        except (RpcError,) + DOWN:
            found = False
        reads.append(time.monotonic() - begun if found else None)
    rpc.close()
