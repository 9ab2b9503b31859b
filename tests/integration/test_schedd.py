# SPDX-License-Identifier: Apache-2.0
"""jaco-schedd as a process against a store in memory, with a runtimed of a few lines per test."""
import threading
import time

import msgpack
import pytest

from fake_raftd import FakeRaftd, Store
from lab_daemon import Daemon


ROLLOUT = {"order": "start-first", "parallel": 1, "timeout_ms": 120000, "drain_ms": 1000, "monitor_ms": 50,
           "on_failure": "rollback"}


class FakeRuntimed:
    """Reports every desired generation as running (or as told) and every drained one as stopped."""

    def __init__(self, store):
        self.store, self.stopped, self.sick = store, False, set()
        self.hosts_away = set()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        told = {}
        while not self.stopped:
            with self.store.lock:
                want = {}
                for key in self.store.keys("/replica/"):
                    record = self.store.get(key)
                    for gen in record.get("generations", []):
                        if gen["host"] in self.hosts_away:
                            continue
                        obs = want.setdefault("/obs/replica/%s@%s" % (record["id"], gen["host"]), {
                            "id": record["id"], "deployment": record["deployment"],
                            "service": record["service"], "host": gen["host"],
                            "generations": []})
                        state = "stopped" if gen["intent"] == "drain" else \
                            "starting" if gen["spec_hash"] in self.sick else "running"
                        obs["generations"].append({"generation": gen["generation"],
                                                   "state": state, "since": 1,
                                                   "healthy": state == "running"})
                changes = [(k, msgpack.packb(v)) for k, v in want.items() if told.get(k) != v]
                changes += [(k, None) for k in told if k not in want
                            and k.split("@")[1] not in self.hosts_away]
                told = dict(want)
                if changes:
                    self.store.commit(changes)
                self.store.changed.wait(0.2)


@pytest.fixture
def lab(tmp_path):
    made = []

    class Lab:
        store = Store()
        runtimed = None

        def node(self, name, raft_id=1, **more):
            self.store.put("/node/" + name, dict(
                {"host": name, "raft_id": raft_id, "intent": "active", "arch": "amd64"}, **more))
            self.store.put("/obs/node/%s/firewall" % name, {"generation": 1, "ready": True})
            self.store.put("/obs/node/%s/engine" % name, {"state": "ready"})
            self.liveness(name, "alive")

        def liveness(self, name, state, since=None):
            self.store.put("/obs/node/%s/liveness" % name, {
                "state": state, "since": since or int(time.time() * 1000)})

        def service(self, revision=1, previous=0, **fields):
            service = dict({"name": "web", "spec_hash": "a", "replicas": 3, "placement": "spread",
                            "rollout": ROLLOUT}, **fields)
            self.store.put("/deployment/shop", {"name": "shop", "revision": revision, "updated": 1,
                                                "previous": previous, "services": [service]})

        def daemon(self, name="n1", config=""):
            root = tmp_path / name
            raftd = FakeRaftd(str(root / "run"), name, self.store)
            daemon = Daemon("schedd", root, "node_name: %s\n%s" % (name, config))
            daemon.raftd = raftd
            made.append(daemon)
            self.runtimed = self.runtimed or FakeRuntimed(self.store)
            return daemon.start()

        def replicas(self):
            return {k.rsplit("/", 1)[1]: self.store.get(k) for k in
                    self.store.keys("/replica/shop/web/")}

        def settled(self, n, spec_hash="a"):
            all_ = self.replicas().values()
            return len(all_) == n and all(
                r["phase"] == "settled" and len(r["generations"]) == 1 and
                r["generations"][0]["spec_hash"] == spec_hash for r in all_)

    lab_ = Lab()
    yield lab_
    for daemon in made:
        daemon.kill()
        daemon.raftd.close()
    if lab_.runtimed:
        lab_.runtimed.stopped = True


def hosts(replicas):
    return sorted(r["generations"][-1]["host"] for r in replicas.values())


def test_replicas_are_spread_scaled_and_retired(lab):
    for i in (1, 2, 3):
        lab.node("n%d" % i, i)
    lab.service()
    d = lab.daemon()
    lab.store.wait(lambda: lab.settled(3), why="three replicas")
    assert hosts(lab.replicas()) == ["n1", "n2", "n3"]
    assert lab.store.get("/counter/shop/web") == {"next": 3}
    lab.service(2, 1, replicas=1)
    lab.store.wait(lambda: lab.settled(1), why="scaled down")
    assert list(lab.replicas()) == ["0"]
    lab.service(3, 2, replicas=2)
    lab.store.wait(lambda: lab.settled(2), why="scaled up")
    assert list(lab.replicas()) == ["0", "3"]
    lab.store.delete("/deployment/shop")
    lab.store.wait(lambda: not lab.replicas(), why="retired")
    assert d.stop() == 0


def test_a_changed_spec_is_rolled_out_one_by_one(lab):
    for i in (1, 2, 3):
        lab.node("n%d" % i, i)
    lab.service()
    lab.daemon()
    lab.store.wait(lambda: lab.settled(3))

    def done():
        rollout = lab.store.get("/rollout/shop/web")
        return rollout and rollout["state"] == "completed"
    lab.service(2, 1, spec_hash="b")
    lab.store.wait(done, 60, "rollout completed")
    assert lab.settled(3, "b")
    generations, most = {}, 0
    for _, changes in lab.store.log:
        generations.update((k, len(msgpack.unpackb(v)["generations"])) for k, v in changes
                           if v and k.startswith("/replica/"))
        most = max(most, sum(n > 1 for n in generations.values()))
    assert most == 1
    assert all(r["generations"][0]["generation"] == 2 for r in lab.replicas().values())


def test_a_gate_that_fails_asks_for_the_previous_revision(lab):
    lab.node("n1")
    lab.service(replicas=1)
    d = lab.daemon()
    lab.store.wait(lambda: lab.settled(1))
    lab.runtimed.sick.add("b")
    lab.service(2, 1, spec_hash="b", replicas=1, rollout=dict(ROLLOUT, timeout_ms=2000))
    lab.store.wait(lambda: lab.store.rollbacks, 60, "rollback asked")
    assert lab.store.rollbacks[0] == {"deployment": "shop", "to": 1}
    assert lab.settled(1, "a")
    rollout = lab.store.get("/rollout/shop/web")
    assert (rollout["state"], rollout["code"]) == ("rolled_back", "health_gate_failed")
    assert "rolling back" in d.log()


def test_replicas_of_a_lost_node_go_elsewhere(lab):
    for i in (1, 2, 3):
        lab.node("n%d" % i, i)
    lab.service()
    lab.daemon(config="reschedule_after: 5s\n")
    lab.store.wait(lambda: lab.settled(3))
    lab.runtimed.hosts_away.add("n3")
    lab.liveness("n3", "unreachable", int(time.time() * 1000) - 4000)
    lab.store.wait(lambda: lab.settled(3) and "n3" not in hosts(lab.replicas()), 60, "rescheduled")
    lab.store.wait(lambda: {a["type"] for a in lab.store.audits} ==
                   {"node_lost", "replica_rescheduled"}, 60, "audited")


def test_a_drained_node_is_emptied_and_cordon_keeps(lab):
    for i in (1, 2):
        lab.node("n%d" % i, i)
    lab.service(replicas=2)
    lab.daemon()
    lab.store.wait(lambda: lab.settled(2))
    lab.node("n2", 2, intent="draining")
    lab.store.wait(lambda: lab.settled(2) and hosts(lab.replicas()) == ["n1", "n1"], 60, "drained")


def test_nothing_is_written_without_leadership_and_the_next_leader_goes_on(lab):
    lab.node("n1")
    lab.store.is_leader = False
    lab.service(replicas=2)
    d = lab.daemon()
    d.wait_status("another node leads")
    plan = d.call("schedd.plan")
    assert "put replica shop-web-0 settled now=n1/1/a@1" in plan["text"]
    assert not plan.get("is_leader") and lab.store.txns == 0 and not lab.replicas()
    with lab.store.lock:
        lab.store.is_leader = True
        lab.store.changed.notify_all()
    lab.store.wait(lambda: lab.settled(2))


def test_kill_9_in_the_middle_of_a_rollout_changes_nothing(lab):
    for i in (1, 2, 3):
        lab.node("n%d" % i, i)
    lab.service()
    d = lab.daemon()
    lab.store.wait(lambda: lab.settled(3))
    lab.service(2, 1, spec_hash="b")
    for phase in ("starting", "yielding", "monitoring"):
        lab.store.wait(lambda: any(r["phase"] in (phase, "settled") and r["generations"][-1]
                                   ["spec_hash"] == "b" for r in lab.replicas().values()),
                       60, phase)
        d.kill()
        d.start()
    lab.store.wait(lambda: lab.settled(3, "b"), 60, "rolled out")
    generations = [r["generations"][0]["generation"] for r in lab.replicas().values()]
    assert generations == [2, 2, 2]


def test_two_schedulers_at_once_do_not_both_win(lab):
    for i in (1, 2, 3):
        lab.node("n%d" % i, i)
    lab.daemon("n1")
    lab.daemon("n2")
    for revision in range(1, 6):
        lab.service(revision, 0, replicas=revision * 3)
        lab.store.wait(lambda: lab.settled(revision * 3), 60, "settled")
    assert sorted(int(i) for i in lab.replicas()) == list(range(15))
    print("conflicts:", lab.store.conflicts)
