# SPDX-License-Identifier: Apache-2.0
"""A member of three dies at each named fault point (testing.md), before the step and after it, under
load: what was acknowledged is there, and it comes back without help."""
import threading

import msgpack
import pytest

from jacorpc import RpcError
from lab_raft import DOWN, entries
from lab_raftds import Cluster, hold_the_same, voters, wait

POINTS = ("log_append", "log_flush", "vote_save", "rename", "apply", "commit", "send",
          "compaction", "snapshot_write")


class Load:
    """Small writes to be found again and large ones that turn the log's files over."""

    def __init__(self, cluster):
        self.cluster, self.acknowledged, self.ending = cluster, [], threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(n, number))
                        for number, n in enumerate(cluster.nodes)]
        for thread in self.threads:
            thread.start()

    def run(self, node, number):
        fat = [{"key": "/restart/f%d-%d" % (number, i), "value": msgpack.packb(
            {"count": 1, "since": 1, "reason": "x" * 1000})} for i in range(200)]
        i = 0
        while not self.ending.is_set():
            try:
                rpc = node.rpc("schedd")
                while not self.ending.is_set():
                    i += 1
                    key = "/counter/c%d/%d" % (number, i)
                    rpc.call("kv.txn", puts=[{"key": key, "value": msgpack.packb({"next": i})}] +
                             (fat if i % 4 == 0 else []))
                    self.acknowledged.append(key)
            except RpcError as error:
                assert error.code in ("no_leader", "quorum_lost", "unavailable"), error
            except DOWN:
                self.ending.wait(0.05)  # that member is down

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(120)
            assert not thread.is_alive()


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("chaos")).grow(3)
    wait(lambda: voters(cluster.nodes[0]) == ["n1", "n2", "n3"])
    load = Load(cluster)
    yield cluster, load
    load.end()
    cluster.stop()


def stir(cluster):
    """Elections, so that votes are saved."""
    for node in cluster.alive():
        try:
            node.rpc().call("cluster.leader_transfer", to=node.name)
        except (RpcError,) + DOWN:
            pass


def behind(cluster, victim):
    """The victim is away until it can only be brought up by a snapshot."""
    victim.kill()
    other = next(n for n in cluster.nodes if n is not victim)
    seen = other.status()["revision"]
    wait(lambda: other.status()["revision"] > seen + 600, 180)  # some 30 MB


@pytest.mark.parametrize("passes", (1, 2))
@pytest.mark.parametrize("point", POINTS)
def test_a_death_there_loses_nothing(loaded, point, passes):
    cluster, load = loaded
    victim = cluster.nodes[POINTS.index(point) % 3]
    if point == "snapshot_write":
        behind(cluster, victim)
    else:
        victim.kill()
    try:
        victim.start(env={"JACO_FAULT": "exit:%s*%d" % (point, passes + 2 * (point == "commit"))})
    except RuntimeError:
        pass  # it died before it listened
    wait(lambda: victim.process.poll() is not None or
         (point == "vote_save" and stir(cluster)), 180)
    assert victim.process.returncode == 99
    told = list(load.acknowledged)
    victim.start()
    leader = cluster.leader()
    goal = leader.status()["revision"]
    for node in cluster.nodes:
        wait(lambda: node.status()["revision"] >= goal, 120)
        lost = set(told) - set(entries(node, "/counter/"))
        assert not lost, "%s: %s" % (node.name, sorted(lost)[:5])


def test_afterwards_all_hold_the_same(loaded):
    cluster, load = loaded
    load.end()
    wait(lambda: hold_the_same(cluster.nodes))
    assert len(load.acknowledged) > 100
