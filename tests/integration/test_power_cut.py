# SPDX-License-Identifier: Apache-2.0
"""The power goes, at any moment, to one raftd or to three at once: each starts without help on every
state the disk may then be in, and what was acknowledged is there.

JACO_POWER_CUTS: how many (default: a few).  JACO_POWER_SEED: repeats the choices of a run; what the
disk was asked is another run's all the same.  A state that fails is kept and named."""
import os
import random
import shutil
import threading
import time

import msgpack
import pytest

from jacorpc import BUILD, Raftd, RpcError
from lab_raft import DOWN, entries, wait
from power_cut import Recorder, cuts, moments_of
from lab_raftds import Node, commit, hold_the_same

SEED = int(os.environ.get("JACO_POWER_SEED", random.SystemRandom().randrange(1 << 32)))
CUTS = int(os.environ.get("JACO_POWER_CUTS", 60))
SMALL_WRITES = 400
FAT_WRITES = 90  # of 100 KB: the log's files turn over, old ones go


class Writer(threading.Thread):
    """Writes keys once and one key again and again; keeps when each answer came."""

    def __init__(self, member, number, n, fat):
        super().__init__(daemon=True)
        self.member, self.number, self.n, self.fat = member, number, n, fat
        self.acknowledged, self.begun = [], {}  # (ns, key, value); (key, value) -> ns
        self.start()

    def run(self):
        rpc = self.member.rpc("schedd")
        again = "/counter/again/%d" % self.number
        for i in range(1, self.n + 1):
            puts = {"/counter/once/%d-%d" % (self.number, i): i, again: i}
            for key, value in puts.items():
                self.begun[key, value] = time.monotonic_ns()
            parts = [{"key": key, "value": msgpack.packb({"next": value})}
                     for key, value in puts.items()]
            if self.fat:
                reason = "x" * 1000
                parts += [{"key": "/restart/%d-%d" % (self.number, k), "value": msgpack.packb(
                    {"count": 1, "since": 1, "reason": reason})} for k in range(100)]
            commit(rpc, puts=parts)
            now = time.monotonic_ns()
            self.acknowledged += [(now, key, value) for key, value in puts.items()]
        rpc.close()


def write_through(members):
    writers = [Writer(m, 10 * i + k, SMALL_WRITES, False)
               for i, m in enumerate(members) for k in range(2)]
    writers.append(Writer(members[0], 99, FAT_WRITES, True))
    for writer in writers:
        writer.join(400)
        assert not writer.is_alive()
    return writers


def judge(found, writers, moment):
    """What was acknowledged before @moment is there; nothing is that nobody asked for by then."""
    for writer in writers:
        for when, key, value in writer.acknowledged:
            if when > moment:
                break
            have = found.get(key, ({"next": 0}, 0))[0]["next"]
            assert have == value or (key.startswith("/counter/again/") and have > value), \
                "%s was acknowledged as %d and is %d" % (key, value, have)
        for (key, value), when in writer.begun.items():
            if when > moment and found.get(key, ({"next": 0}, 0))[0]["next"] >= value:
                raise AssertionError("%s has %d, which was not yet asked for" % (key, value))


def test_one_raftd_survives_every_power_cut(tmp_path):
    print("seed %d" % SEED)
    rng = random.Random(SEED)
    root = tmp_path / "n"
    root.mkdir()
    recorder = Recorder(str(tmp_path / "record"), str(root) + "/lib", BUILD)
    raftd = Raftd(root, env=recorder.env).start()
    raftd.rpc().call("cluster.init")
    made = time.monotonic_ns()
    writers = write_through([raftd])
    raftd.kill()
    counts = {}
    events = recorder.events()
    first = moments_of([e for e in events if e[1] <= made], rng, CUTS // 6)  # the making of it
    moments = sorted(first + moments_of(events, rng, CUTS - len(first)))
    for moment, path, kind in cuts(recorder, moments, rng, str(tmp_path)):
        after = tmp_path / ("after" + os.path.basename(path))
        after.mkdir()
        os.rename(path, str(after) + "/lib")
        check_one(after, moment, made, writers, kind)
        shutil.rmtree(after)
        counts[kind] = counts.get(kind, 0) + 1
    print("%d cuts of %d events survived: %s" % (CUTS, len(events), counts))
    # the same on a disk that lies has to be noticed, or nothing was shown
    _, path, _ = next(cuts(recorder, [events[-1][1]], random.Random(3), str(tmp_path / "lies"),
                           obeys=False))
    root = tmp_path / "liar"
    root.mkdir()
    os.rename(path, str(root) + "/lib")
    with pytest.raises((AssertionError, RuntimeError)):
        check_one(root, events[-1][1], made, writers, "a disk that lies", keep=False)


def check_one(root, moment, made, writers, kind, keep=True):
    raftd = Raftd(root)
    try:
        raftd.start()
        if moment < made and not raftd.rpc().call("cluster.status")["initialised"]:
            raftd.rpc().call("cluster.init")  # it is run again, as its caller would
        raftd.wait_leader()
        judge(entries(raftd, "/counter/"), writers, moment)
    except (AssertionError, RuntimeError, RpcError) + DOWN as error:
        kept = "/tmp/jaco-power-cut-%d" % os.getpid()
        raftd.stop()
        if keep:
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(str(root), kept)
        raise AssertionError("%s: %s\n(%s)" % (kind, error, kept))
    finally:
        raftd.stop()


def test_three_raftd_survive_a_power_cut_of_all_at_once(tmp_path):
    print("seed %d" % SEED)
    rng = random.Random(SEED)
    nodes, recorders = [], []
    for number in (1, 2, 3):
        node = Node(str(tmp_path / ("n%d" % number)), "n%d" % number, number)
        recorders.append(Recorder(str(tmp_path / ("record%d" % number)), node.root + "/lib", BUILD))
        node.env.update(recorders[-1].env)
        node.start()
        if nodes:
            node.join(nodes[0].token())
        else:
            node.rpc().call("cluster.init", name="cut")
        nodes.append(node)
    wait("three voters", lambda: sum(m["voter"] for m in nodes[0].status()["members"]) == 3)
    grown = time.monotonic_ns()
    writers = write_through(nodes)
    for node in nodes:
        node.kill()
    n = max(CUTS // 10, 6)
    events = [e for e in sorted(sum((r.events() for r in recorders), []), key=lambda e: e[1])
              if e[1] >= grown]
    moments = sorted(moments_of(events, rng, n))
    states = [cuts(r, moments, rng, str(tmp_path / ("cuts%d" % i)))
              for i, r in enumerate(recorders)]
    for each in zip(*states):
        moment, kinds = each[0][0], [kind for _, _, kind in each]
        for node, (_, path, _) in zip(nodes, each):
            shutil.rmtree(node.root + "/lib")
            os.rename(path, node.root + "/lib")
        check_three(nodes, moment, writers, kinds)
    print("%d cuts of three at once survived" % n)


def check_three(nodes, moment, writers, kinds):
    try:
        for node in nodes:
            node.env.pop("LD_PRELOAD", None)
            node.start()
        for node in nodes:
            wait("%s reads" % node.name, lambda: node.rpc("schedd").call(
                "kv.get", key="/counter/x", linearizable=True))
            judge(entries(node, "/counter/"), writers, moment)
        wait("all hold one state", lambda: hold_the_same(nodes))
    except (AssertionError, RuntimeError, RpcError) + DOWN as error:
        logs = ["%s %s\n%s" % (n.name, n.process.poll(), "".join(
            open(n.root + "/raftd.log").readlines()[-12:])) for n in nodes]
        raise AssertionError("%s: %r\n%s" % (kinds, error, "\n".join(logs)))
    finally:
        for node in nodes:
            node.stop()
