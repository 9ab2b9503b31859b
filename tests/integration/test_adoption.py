# SPDX-License-Identifier: Apache-2.0
"""A restarted jaco-runtimed between an engine that is slow to answer and a store it has not read yet:
what it does not know it leaves as it was told."""
import json
import os
import shutil
import signal
import time

import pytest

from engine_relay import Relay
from fake_raftd import FakeRaftd
from test_runtimed import WEB, Lab, engine  # noqa: F401 - the fixture

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces and an engine")


class Slow:
    """The engine behind a relay."""

    def __init__(self, engine, relay):
        self.name, self.api, self.tidy, self.socket = engine.name, engine.api, engine.tidy, relay.path


class Adopting(Lab):
    def __init__(self, engine, root):
        self.relay = Relay(os.path.join(str(root), "engine.sock"), engine.socket)
        super().__init__(Slow(engine, self.relay), root)

    def verdicts(self):
        try:
            with open(self.root + "/cache/runtimed/replicas.json") as f:
                return {x["id"]: x["good"] for x in json.load(f)}
        except FileNotFoundError:
            return {}

    def two_in_service(self):
        self.apply(WEB)
        self.rids = [self.want("web", i) for i in range(2)]
        self.before = {rid: self.wait_healthy(rid, 30)["container_id"] for rid in self.rids}
        self.wait(lambda: self.verdicts() == dict.fromkeys(self.rids, True), "verdicts are remembered", 30)
        self.runtimed.wait_saved(*("/replica/shop/web/%d" % i for i in range(2)))
        self.told = {rid: len(self.history(rid)) for rid in self.rids}
        return self.rids

    def wait_told(self, rid):
        self.wait(lambda: len(self.history(rid)) > self.told[rid], rid + " was told again", 30)

    def stayed_in_service(self):
        """Nothing that was told since says otherwise, and each has the container it had."""
        for rid in self.rids:
            for record in self.history(rid)[self.told[rid]:]:
                assert record["generations"][0].get("healthy"), record
            assert [c["Id"] for c in self.api.containers(jaco__replica_id=rid)] == [self.before[rid]]

    def close(self):
        self.relay.release()
        super().close()
        self.relay.close()


@pytest.fixture
def lab(engine, tmp_path):  # noqa: F811
    made = Adopting(engine, tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGKILL])
def test_a_verdict_outlives_a_life_that_was_too_short_to_ask(lab, signo):
    """Ended while the engine still owes what it knows of one container."""
    late, soon = lab.two_in_service()
    lab.runtimed.kill()
    part = "/containers/%s/json" % lab.before[late]
    lab.relay.hold(part)
    asked = len(lab.relay.asked)
    lab.runtimed.start()
    lab.wait_told(soon)
    lab.want("web", 2)      # something worth remembering
    lab.wait_healthy("shop-web-2", 30)
    lab.wait(lambda: lab.verdicts().get("shop-web-2"), "saved", 30)
    assert any(part in line for line in lab.relay.asked[asked:])
    lab.runtimed.process.send_signal(signo)
    lab.runtimed.process.wait(30)
    assert lab.verdicts()[late]
    lab.relay.release()
    lab.runtimed.start()
    lab.wait_told(late)
    lab.wait_healthy(late, 30)
    lab.stayed_in_service()


def test_a_failed_inspection_is_no_missing_container(lab):
    rid, _ = lab.two_in_service()
    lab.runtimed.kill()
    part = "/containers/%s/json" % lab.before[rid]
    lab.relay.fail(part)
    asked = sum(part in line for line in lab.relay.asked)
    lab.runtimed.start()
    lab.relay.wait_asked(part, asked + 2)
    lab.relay.release()
    lab.wait_told(rid)
    lab.stayed_in_service()


def test_a_late_inspection_of_what_is_gone_says_nothing_of_what_came_after_it(lab):
    rid, _ = lab.two_in_service()
    gone = lab.before[rid]
    part = "/containers/%s/json" % gone
    asked = sum(part in line for line in lab.relay.asked)
    lab.relay.hold(part)
    lab.api.call("DELETE", "/containers/%s?force=1" % gone)
    lab.relay.wait_asked(part, asked + 1)       # because it ended; the engine's answer will be: 404
    lab.wait(lambda: lab.seen(rid).get("healthy") and lab.seen(rid)["container_id"] != gone, "the next one", 30)
    lab.before[rid], lab.told[rid] = lab.seen(rid)["container_id"], len(lab.history(rid))
    lab.relay.release()
    lab.want("web", 2)
    lab.wait_healthy("shop-web-2", 30)
    lab.stayed_in_service()


def test_an_engine_that_has_yet_to_answer_takes_nothing_out_of_service(lab):
    """However long ago this runtimed was started; one that refuses is told."""
    rid, _ = lab.two_in_service()
    lab.runtimed.kill()
    lab.relay.hold("/_ping")
    lab.runtimed.env["JACO_FAULT"] = "set100:silence_ms"
    lab.runtimed.start()
    lab.relay.wait_asked("/_ping", 2)
    lab.want("web", 2)      # something to look at the replicas for
    time.sleep(1)
    lab.stayed_in_service()
    lab.relay.release()
    lab.wait_told(rid)
    lab.wait_healthy("shop-web-2")
    lab.stayed_in_service()
    lab.runtimed.kill()
    lab.relay.fail("/_ping")
    lab.runtimed.start()
    lab.wait(lambda: "engine unavailable" in lab.seen(rid).get("message", ""), "told", 30)


def test_what_the_engine_cannot_start_again_is_made_anew(lab):
    """As containerd after a restart: "failed to start shim: mkdir ...: file exists", for good."""
    rid, _ = lab.two_in_service()
    old = lab.before[rid]
    pid = lab.api.inspect(old)["State"]["Pid"]
    part = "/containers/%s/start" % old
    asked = sum(part in line for line in lab.relay.asked)
    lab.relay.fail(part)
    os.kill(pid, signal.SIGKILL)
    lab.wait(lambda: lab.seen(rid).get("healthy") and lab.seen(rid)["container_id"] != old, "a new one", 60)
    assert sum(part in line for line in lab.relay.asked) == asked + 3, "it was asked again and again"
    assert [c["Id"] for c in lab.api.containers(jaco__replica_id=rid)] == [lab.seen(rid)["container_id"]]


def test_a_saved_view_that_is_older_takes_nothing_out_of_service(lab):
    """The record of a replica was not in the store yet when it was saved."""
    lab.wait(lambda: os.path.exists(lab.root + "/cache/runtimed/view"), "the view is saved", 30)
    shutil.copy(lab.root + "/cache/runtimed/view", lab.root + "/older")
    rid, _ = lab.two_in_service()
    lab.runtimed.kill()
    lab.raftd.close()
    shutil.copy(lab.root + "/older", lab.root + "/cache/runtimed/view")
    lab.runtimed.start()
    lab.runtimed.wait(lambda: "engine ready" in lab.runtimed.log().rsplit("started", 1)[-1], 30, "adopted")
    lab.runtimed.wait_status("'replicas': '2'", 30)
    lab.raftd = FakeRaftd(lab.root + "/run", "n1", lab.store, roles=("ipamd", "runtimed"))
    lab.wait_told(rid)
    lab.stayed_in_service()
