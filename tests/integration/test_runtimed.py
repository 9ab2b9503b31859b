# SPDX-License-Identifier: Apache-2.0
"""jaco-runtimed against a real Docker engine of its own: from replica records to containers and
back.  raftd is the fake one, ipamd is real, firewall and DNS are records that the test writes."""
import concurrent.futures
import os
import signal
import socket
import subprocess
import threading
import time

import msgpack
import pytest

from fake_raftd import FakeRaftd, Store
from lab_daemon import Daemon
from lab_engine import Engine, EngineError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces and an engine")

CLUSTER = "c1a5ter0-0000-4000-8000-%012d" % os.getpid()
CONFIG = "node_name: n1\nipam_pool: 10.203.0.0/16\nengine_socket: %s\nlog_level: debug\n"
ALL_APPLIED = 1 << 40
WAIT_S = 25     # less than the 30 s after which runtimed looks at everything again

WEB = """
services:
  web:
    image: jaco/test:1
    expose: ["8080"]
    stop_grace_period: 2s
    restart: always
"""


@pytest.fixture(scope="module")
def engine():
    made = Engine()
    yield made
    made.close()


class Answering:
    """A daemon's socket that only knows `status`: the firewall and dnsd of a node without raftd."""

    def __init__(self, root, name, revision):
        self.revision = revision
        path = os.path.join(root, "run", name)
        os.makedirs(path, exist_ok=True)
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(os.path.join(path, name + ".sock"))
        self.sock.listen(4)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def serve(self, conn):
        unpacker = msgpack.Unpacker(raw=False)
        try:
            while data := conn.recv(4096):
                unpacker.feed(data)
                for _, mid, _, _ in unpacker:
                    conn.sendall(msgpack.packb([1, mid, None, {
                        "name": "x", "state": "ready", "revision": self.revision}]))
        except OSError:
            pass  # killed in between

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


class Lab:
    def __init__(self, engine, root):
        self.engine, self.root, self.api = engine, str(root), engine.api
        self.store = Store()
        self.others = []
        self.serve()
        self.store.put("/cluster/meta", {"id": CLUSTER, "name": "t", "ca_cert": "x", "created": 1,
                                         "cluster_epoch": 1})
        self.store.put("/node/n1", {"host": "n1", "raft_id": 1, "intent": "active"})
        self.applied(ALL_APPLIED)
        config = CONFIG % engine.socket
        self.ipamd = Daemon("ipamd", root, config).start()
        self.runtimed = Daemon("runtimed", root, config, netns=engine.name).start()

    def serve(self):
        self.raftd = FakeRaftd(self.root + "/run", "n1", self.store, roles=("ipamd", "runtimed"))

    def applied(self, firewall, dns=None):
        self.store.put("/obs/node/n1/firewall", {"generation": firewall, "ready": True})
        self.store.put("/obs/node/n1/dns", {"generation": firewall if dns is None else dns})

    def apply(self, compose, revision=1, deployment="shop", jaco=""):
        self.store.put("/deployment/" + deployment, {
            "name": deployment, "revision": revision, "updated": 1,
            "networks": [{"name": n} for n in ("_default", "front", "back")]})
        self.store.put("/revision/%s/%d" % (deployment, revision), {
            "deployment": deployment, "number": revision, "author": "test", "time": 1,
            "jaco": ("deployment: %s\n%s" % (deployment, jaco)).encode(),
            "compose": compose.encode()})

    def want(self, service, index=0, generations=((1, "run"),), deployment="shop", image="jaco/test:1",
             revision=None):
        """generations: (number, intent) or (number, intent, revision)."""
        rid = "%s-%s-%d" % (deployment, service, index)
        self.store.put("/replica/%s/%s/%d" % (deployment, service, index), {
            "id": rid, "deployment": deployment, "service": service, "index": index,
            "generations": [{"generation": g[0], "host": "n1", "intent": g[1], "image": image,
                             "revision": g[2] if len(g) > 2 else (revision or 1),
                             "spec_hash": "hash-%d" % g[0]} for g in generations]})
        return rid

    def unwant(self, service, index=0, deployment="shop"):
        self.store.delete("/replica/%s/%s/%d" % (deployment, service, index))

    def seen(self, rid, generation=None):
        record = self.store.get("/obs/replica/%s@n1" % rid)
        if not record:
            return {}
        gens = record["generations"]
        if generation is None:
            return gens[-1]
        return next((g for g in gens if g["generation"] == generation), {})

    def wait(self, what, why, seconds=WAIT_S):
        end = time.monotonic() + seconds
        with self.store.lock:
            while not what():
                assert self.runtimed.process.poll() is None, self.runtimed.log()[-3000:]
                left = end - time.monotonic()
                assert left > 0, "not in %s s: %s\n%s\n%s" % (
                    seconds, why, {k: self.store.get(k) for k in self.store.keys("/obs/replica/")},
                    self.runtimed.log()[-4000:])
                self.store.changed.wait(min(left, 0.1))

    def wait_state(self, rid, state, seconds=WAIT_S, generation=None):
        self.wait(lambda: self.seen(rid, generation).get("state") == state,
                  "%s is %s" % (rid, state), seconds)
        return self.seen(rid, generation)

    def wait_healthy(self, rid, seconds=WAIT_S, generation=None, other_than=None):
        self.wait(lambda: self.seen(rid, generation).get("healthy") and
                  self.seen(rid, generation).get("container_id") != other_than,
                  "%s is healthy" % rid, seconds)
        return self.seen(rid, generation)

    def wait_told(self, rid, what, why, seconds=WAIT_S, since=0):
        """The first record of a replica for which @what holds of its newest generation, which may have been
        true for a moment only; looked for among those after the first @since."""
        found = []

        def look():
            found.extend(g for g in (r["generations"][-1] for r in self.history(rid)[since:]) if what(g))
            return found
        self.wait(look, "%s %s" % (rid, why), seconds)
        return found[0]

    def get(self, rid, path):
        """A request to the replica itself, from its host."""
        address = self.seen(rid)["addresses"][0]["address"]
        return subprocess.run(
            ["nsenter", "--net=/run/netns/" + self.engine.name, "curl", "-s", "-m", "30",
             "http://%s:8080%s" % (address, path)], capture_output=True, text=True).stdout

    def history(self, rid):
        """Every published record of a replica, oldest first."""
        key = "/obs/replica/%s@n1" % rid
        with self.store.lock:
            return [msgpack.unpackb(v) for _, changes in self.store.log
                    for k, v in changes if k == key and v]

    def close(self):
        self.runtimed.kill()
        self.ipamd.kill()
        self.raftd.close()
        for other in self.others:
            other.close()
        self.engine.tidy()


@pytest.fixture
def lab(engine, tmp_path):
    made = Lab(engine, tmp_path)
    try:
        yield made
    finally:
        made.close()


def test_a_record_becomes_a_container_as_specified(lab):
    lab.apply(WEB)
    lab.want("web")
    seen = lab.wait_healthy(lab.want("web", 1))
    c = lab.api.inspect("shop-web-1")
    assert c["Id"] == seen["container_id"]
    assert c["Config"]["Labels"]["jaco.cluster_id"] == CLUSTER
    assert c["Config"]["Labels"]["jaco.replica_index"] == "1"
    assert c["Config"]["Labels"]["jaco.generation"] == "1"
    assert c["Config"]["Labels"]["jaco.spec_hash"] == "hash-1"
    assert c["HostConfig"]["RestartPolicy"]["Name"] == "no"
    assert not c["HostConfig"]["PortBindings"]
    assert c["HostConfig"]["Dns"] == ["10.203.0.1"]
    assert c["HostConfig"]["LogConfig"] == {"Type": "json-file",
                                            "Config": {"max-file": "3", "max-size": "10m"}}
    net = lab.api.networks()["jaco_shop__default"]
    assert net["Options"]["com.docker.network.bridge.enable_ip_masquerade"] == "false"
    assert net["Options"]["com.docker.network.bridge.name"].startswith("jaco-")
    assert net["IPAM"]["Config"][0] == {"Subnet": "10.203.0.0/24", "Gateway": "10.203.0.1"}
    address = c["NetworkSettings"]["Networks"]["jaco_shop__default"]["IPAddress"]
    assert seen["addresses"] == [{"network": "_default", "address": address}]
    assert '"replica":"shop-web-1"' in lab.get("shop-web-1", "/")


def test_nothing_starts_before_firewall_and_dns_have_its_subnet(lab):
    lab.applied(0)
    lab.apply(WEB)
    rid = lab.want("web")
    lab.wait(lambda: lab.seen(rid).get("code") == "isolation_pending", "the gate is shut")
    revision = lab.store.data["/subnet/shop/_default/n1"][1]
    lab.applied(revision, dns=revision - 1)
    lab.wait(lambda: lab.seen(rid).get("waits_for") == "dns", "dns is what it waits for")
    c = lab.api.inspect(rid)
    assert c["State"]["Status"] == "created" and c["State"]["StartedAt"].startswith("0001")
    lab.applied(revision)
    lab.wait_healthy(rid)


def test_a_killed_container_is_back_with_its_address(lab):
    lab.apply(WEB)
    rid = lab.want("web")
    before = lab.wait_healthy(rid)
    told, began = len(lab.history(rid)), time.monotonic()
    os.kill(lab.api.inspect(rid)["State"]["Pid"], signal.SIGKILL)
    lab.wait_told(rid, lambda g: not g.get("healthy"), "is out of service", since=told)
    out = time.monotonic() - began
    degraded = lab.wait_told(rid, lambda g: g["state"] == "degraded", "is degraded", since=told)
    assert degraded["code"] == "container_exited" and "signal 9" in degraded["message"]
    after = lab.wait_healthy(rid)
    print("out of service after %.0f ms, healthy again after %.0f ms" % (
        out * 1e3, (time.monotonic() - began) * 1e3))
    assert after["addresses"] == before["addresses"]
    assert after["container_id"] == before["container_id"]
    assert after["restarts"] == 1


def test_a_crash_loop_ends_when_its_budget_is_used_up(lab):
    lab.apply("services:\n  web:\n    image: jaco/test:1\n    command: [exit, '3']\n"
              "    restart: on-failure:2\n")
    rid = lab.want("web")
    failed = lab.wait_state(rid, "failed", 60)
    assert failed["code"] == "restart_exhausted"
    assert "status 3" in failed["message"] and failed["restarts"] == 2
    assert [g["generations"][0]["state"] for g in lab.history(rid)].count("degraded") >= 2
    lab.want("web", generations=((2, "run"),))  # the next apply begins anew
    lab.wait_told(rid, lambda g: g["generation"] == 2 and g["state"] in ("starting", "degraded"), "tries again")


def test_an_unhealthy_container_leaves_service_and_is_restarted(lab):
    lab.apply(WEB, jaco="services:\n  - name: web\n    health: {http: /health, port: 8080, "
                        "interval: 200ms, timeout: 1s}\n")
    rid = lab.want("web")
    lab.wait_healthy(rid)
    told = len(lab.history(rid))
    lab.get(rid, "/unhealthy")
    degraded = lab.wait_told(rid, lambda g: g["state"] == "degraded", "is degraded", since=told)
    assert "HTTP 503" in degraded["message"] and degraded["code"] == "health_gate_failed"
    assert not degraded.get("healthy")
    after = lab.wait_healthy(rid)
    assert after["restarts"] == 1


def test_the_engines_health_check_is_believed(lab):
    lab.apply(WEB + "    healthcheck:\n      test: [CMD, /bin/kit, probe, http, localhost, '8080',"
                    " /health]\n      interval: 300ms\n      retries: 2\n")
    rid = lab.want("web")
    lab.wait_healthy(rid)
    told = len(lab.history(rid))
    lab.get(rid, "/unhealthy")
    degraded = lab.wait_told(rid, lambda g: g["state"] == "degraded", "is degraded", since=told)
    assert "503" in degraded["message"]
    lab.wait_healthy(rid)


def test_a_restarted_runtimed_adopts_and_never_takes_out_of_service(lab):
    lab.apply(WEB)
    rids = [lab.want("web", i) for i in range(3)]
    before = {rid: lab.wait_healthy(rid) for rid in rids}
    pids = {rid: lab.api.inspect(rid)["State"]["Pid"] for rid in rids}
    lab.wait(lambda: os.path.exists(lab.root + "/cache/runtimed/replicas.json") and
             open(lab.root + "/cache/runtimed/replicas.json").read().count('"good":true') == 3,
             "verdicts are remembered")
    told = {rid: len(lab.history(rid)) for rid in rids}
    for signo in (signal.SIGKILL, signal.SIGTERM):
        lab.runtimed.process.send_signal(signo)
        lab.runtimed.process.wait(WAIT_S)
        lab.runtimed.start()
        lab.runtimed.wait_status("'ready'")
        lab.runtimed.wait_status("'replicas': '3'")
    lab.want("web", 3)
    lab.wait_healthy("shop-web-3")
    for rid in rids:
        assert lab.seen(rid)["container_id"] == before[rid]["container_id"]
        assert lab.api.inspect(rid)["State"]["Pid"] == pids[rid]
        for record in lab.history(rid)[told[rid]:]:
            assert record["generations"][0].get("healthy"), record


def test_an_adopted_container_keeps_its_address_on_an_internal_network(lab):
    lab.apply("""
services:
  web:
    image: jaco/test:1
    expose: ["8080"]
    networks: [front, back]
networks: {front: {}, back: {internal: true}}
""")
    rid = lab.want("web")
    before = lab.wait_healthy(rid)["addresses"]
    assert {a["network"] for a in before} == {"front", "back"}
    told = len(lab.history(rid))
    lab.runtimed.kill()
    lab.runtimed.start()
    lab.runtimed.wait_status("'replicas': '1'")
    lab.wait(lambda: len(lab.history(rid)) > told, "said again")
    for record in lab.history(rid)[told:]:
        said = record["generations"][0]["addresses"]
        assert sorted(said, key=str) == sorted(before, key=str), record


def test_strangers_are_left_alone_and_removed_replicas_go(lab):
    def make(name, labels):
        cid = lab.api.call("POST", "/containers/create?name=" + name, {
            "Image": "jaco/test:1", "Cmd": ["pause"], "Labels": labels,
            "HostConfig": {"NetworkMode": "none"}})["Id"]
        lab.api.call("POST", "/containers/%s/start" % cid)
        return cid
    strangers = [make("plain", {}), make("other", {
        "jaco.cluster_id": "another", "jaco.replica_id": "shop-web-0", "jaco.generation": "1"})]
    leftover = make("leftover", {"jaco.cluster_id": CLUSTER, "jaco.replica_id": "gone-web-0",
                                 "jaco.generation": "1", "jaco.deployment": "gone",
                                 "jaco.service": "web", "jaco.spec_hash": "x"})
    lab.apply(WEB)
    rid = lab.want("web")
    lab.wait_healthy(rid)
    lab.runtimed.kill()
    lab.runtimed.start()
    lab.wait(lambda: not lab.api.containers(jaco__replica_id="gone-web-0"), "the leftover is removed")
    lab.unwant("web")
    lab.wait(lambda: not lab.api.containers(jaco__replica_id=rid, jaco__cluster_id=CLUSTER),
             "the container is removed")
    lab.wait(lambda: not lab.seen(rid), "the record is withdrawn")
    held = [x for x in lab.ipamd.call("ipamd.list")["items"] if not x.get("quarantined_until")]
    assert not held, "the lease is given back"
    for cid in strangers:
        assert lab.api.inspect(cid)["State"]["Running"]
    assert leftover not in [c["Id"] for c in lab.api.call("GET", "/containers/json?all=1")]


def test_nothing_is_removed_on_a_saved_view(lab):
    lab.apply(WEB)
    rid = lab.want("web")
    lab.wait_healthy(rid)
    lab.runtimed.wait_saved("/replica/shop/web/0", "/subnet/shop/_default/n1")
    lab.runtimed.stop()
    lab.raftd.close()
    cid = lab.api.call("POST", "/containers/create?name=newer", {
        "Image": "jaco/test:1", "Cmd": ["pause"], "HostConfig": {"NetworkMode": "none"},
        "Labels": {"jaco.cluster_id": CLUSTER, "jaco.replica_id": "shop-web-7",
                   "jaco.generation": "1", "jaco.deployment": "shop", "jaco.service": "web"}})["Id"]
    lab.api.call("POST", "/containers/%s/start" % cid)
    lab.runtimed.start()
    lab.runtimed.wait_status("'replicas': '2'")
    pid = lab.api.inspect(rid)["State"]["Pid"]
    subnet = lab.store.data["/subnet/shop/_default/n1"][1]
    lab.others = [Answering(lab.root, n, subnet) for n in ("fwd-nft", "dnsd")]
    os.kill(pid, signal.SIGKILL)  # and what crashes is started again without any leader
    lab.wait(lambda: lab.api.inspect(rid)["State"]["Pid"] not in (0, pid), "restarted without raftd")
    assert lab.api.inspect(cid)["State"]["Running"]


def test_without_raftd_the_gate_asks_the_daemons_themselves(lab):
    lab.apply(WEB)
    rid = lab.want("web")
    lab.wait_healthy(rid)
    lab.runtimed.wait_saved("/replica/shop/web/0", "/subnet/shop/_default/n1")
    lab.runtimed.stop()
    lab.raftd.close()
    lab.api.call("POST", "/containers/%s/kill" % rid)
    lab.runtimed.start()
    lab.runtimed.wait(lambda: "not applied its subnet" in lab.runtimed.log(), 15, "the gate is shut")
    assert not lab.api.inspect(rid)["State"]["Running"]
    subnet = lab.store.data["/subnet/shop/_default/n1"][1]
    lab.others = [Answering(lab.root, n, subnet) for n in ("fwd-nft", "dnsd")]
    lab.wait(lambda: lab.api.inspect(rid)["State"]["Running"], "started once both answer")


def test_two_generations_live_side_by_side_and_the_old_one_drains(lab):
    patient = "services:\n  - name: web\n    rollout: {drain: 10m}\n"
    lab.apply(WEB, jaco=patient)
    lab.apply(WEB.replace("jaco/test:1", "jaco/test:2"), revision=2, jaco=patient)
    rid = lab.want("web")
    old = lab.wait_healthy(rid)
    lab.store.put("/obs/node/n1/ingress", {"generation": 1, "serving": [
        {"replica": rid, "generation": 1, "in_flight": 2}]})
    lab.want("web", generations=((1, "run", 1), (2, "run", 2)))
    new = lab.wait_healthy(rid, generation=2)
    assert lab.seen(rid, 1)["healthy"]
    assert new["addresses"] != old["addresses"]
    assert {c["Names"][0] for c in lab.api.containers(jaco__replica_id=rid)} == {
        "/" + rid, "/%s.2" % rid}
    lab.want("web", generations=((1, "drain", 1), (2, "run", 2)))
    lab.wait_state(rid, "draining", generation=1)
    lab.store.put("/obs/node/n1/ingress", {"generation": 2, "draining": [
        {"replica": rid, "generation": 1, "in_flight": 1}]})
    lab.want("web", 1)  # something else happens meanwhile
    lab.wait_healthy("shop-web-1")
    assert lab.api.inspect(rid)["State"]["Running"], "in-flight work is waited for"
    lab.store.put("/obs/node/n1/ingress", {"generation": 2, "draining": [
        {"replica": rid, "generation": 1, "in_flight": 0}]})
    lab.wait_state(rid, "stopped", generation=1)
    lab.want("web", generations=((2, "run", 2),))
    lab.wait(lambda: not lab.seen(rid, 1), "the old generation is gone")
    assert lab.seen(rid, 2)["healthy"]


def test_a_drain_without_acknowledgement_ends_at_its_deadline(lab):
    lab.apply(WEB, jaco="services:\n  - name: web\n    rollout: {drain: 1s}\n")
    rid = lab.want("web")
    lab.wait_healthy(rid)
    lab.store.put("/obs/node/n1/ingress", {"generation": 1, "serving": [
        {"replica": rid, "generation": 1, "in_flight": 1}]})
    lab.unwant("web")
    lab.wait_told(rid, lambda g: g["state"] == "draining", "drains")
    lab.wait(lambda: not lab.seen(rid), "removed at the deadline")


def test_dependencies_are_waited_for(lab):
    lab.apply("""
services:
  db:
    image: jaco/test:1
    expose: ["8080"]
    environment: {START_DELAY_MS: "700"}
  init:
    image: jaco/test:1
    command: [exit, "0"]
    restart: "no"
    depends_on: {db: {condition: service_healthy}}
  web:
    image: jaco/test:1
    expose: ["8080"]
    depends_on: {init: {condition: service_completed_successfully}}
""")
    web = lab.want("web")
    pending = lab.wait_state(web, "pending")
    lab.wait(lambda: lab.seen(web).get("code") == "depends_on_unmet", "web says what it waits for")
    assert lab.seen(web)["waits_for"] == "init (service_completed_successfully)"
    assert pending.get("container_id") is None
    lab.want("init")
    lab.want("db")
    lab.wait_healthy(web, 60)
    assert lab.seen("shop-init-0")["state"] == "completed"
    assert lab.seen("shop-init-0")["exit_code"] == 0


def test_an_absent_image_is_explained_and_tried_again(lab):
    lab.apply(WEB.replace("jaco/test:1", "jaco/later:1"))
    rid = lab.want("web", image="jaco/later:1")
    failed = lab.wait_told(rid, lambda g: g.get("code") == "image_pull_failed", "cannot be pulled", 60)
    assert failed["state"] == "pending" and failed["retry_at"] > 0
    assert "credential: none" in failed["message"]
    lab.api.call("POST", "/images/jaco%2Ftest:1/tag?repo=jaco/later&tag=1")
    lab.want("web", image="jaco/later:1", generations=((2, "run"),))  # a new revision cuts it short
    lab.wait_healthy(rid, 60)
    lab.api.call("DELETE", "/images/jaco%2Flater:1", ok=(200, 404, 409))


def test_an_engine_restart_is_survived(lab):
    lab.apply(WEB)
    rid = lab.want("web")
    lab.wait_healthy(rid)
    lab.engine.stop(signal.SIGKILL)
    lab.wait(lambda: lab.store.get("/obs/node/n1/engine")["state"] == "engine_unavailable",
             "engine_unavailable is published")
    assert lab.store.get("/obs/node/n1/engine")["message"]
    assert lab.seen(rid)["state"] == "running", "what runs is left as it was"
    lab.engine.start()
    lab.wait(lambda: lab.store.get("/obs/node/n1/engine")["state"] == "ready", "back", 60)
    lab.wait_healthy(rid)


def test_logs_are_streamed(lab):
    lab.apply(WEB)
    rid = lab.want("web")
    lab.wait_healthy(rid)
    for word in ("one", "two", "three"):
        lab.get(rid, "/log?line=" + word)

    def stream(rpc, **params):
        mid = rpc.send("logs.stream", **params)
        while True:
            message = rpc.receive()
            if message[0] == 2:
                assert message[2][0]["id"] == mid
                yield message[2][0]["event"]
            else:
                assert message[2] is None, message
                return

    lines = []

    def is_whole():  # the engine writes a line after its container did
        lines[:] = stream(lab.runtimed.rpc(), replica=rid, timestamps=True)
        return lines[-1:] and lines[-1]["text"] == "three"
    lab.wait(is_whole, "three lines are written")
    assert [x["text"] for x in lines] == ["listening on port 8080", "one", "two", "three"]
    assert lines[0]["replica"] == rid and lines[0]["host"] == "n1" and lines[0]["time"].endswith("Z")
    assert [x["text"] for x in stream(lab.runtimed.rpc(), deployment="shop", tail=1)] == ["three"]
    assert list(stream(lab.runtimed.rpc(), replica="nobody")) == []
    follow = stream(lab.runtimed.rpc(), deployment="shop", service="web", follow=True, tail=1)
    assert next(follow)["text"] == "three"
    lab.get(rid, "/log?line=four")
    assert next(follow)["text"] == "four"
    follow.close()


def test_files_volumes_and_two_networks(lab):
    lab.apply("""
services:
  web:
    image: jaco/test:1
    expose: ["8080"]
    networks: [front, back]
    volumes: ["data:/data"]
    configs: [{source: motd, target: /etc/motd, mode: 0440, uid: "7"}]
    environment: {NAME: "it's"}
    hostname: myself
    ulimits: {nofile: 1234, nproc: 4096}
networks: {front: {}, back: {}}
volumes: {data: {}}
configs: {motd: {content: "hello file\\n"}}
""")
    rid = lab.want("web")
    lab.wait_healthy(rid)
    c = lab.api.inspect(rid)
    assert set(c["NetworkSettings"]["Networks"]) == {"jaco_shop_front", "jaco_shop_back"}
    assert c["Mounts"][0]["Name"] == "jaco_shop_data"
    assert len(c["HostConfig"]["Dns"]) == 2
    assert c["Config"]["Hostname"] == "myself"
    assert '"name":"it\'s"' in lab.get(rid, "/")
    out = subprocess.run(["docker", "-H", "unix://" + lab.engine.socket, "exec", rid, "/bin/sh", "-c",
                          "cat /etc/motd; stat -c '%a %u' /etc/motd"], capture_output=True, text=True)
    assert out.stdout == "hello file\n440 7\n", out
    lab.unwant("web")
    lab.wait(lambda: not lab.seen(rid), "removed")
    assert lab.api.call("GET", "/volumes/jaco_shop_data")["Labels"]["jaco.deployment"] == "shop"
    lab.runtimed.call("volumes.remove", deployment="shop")
    lab.api.call("GET", "/volumes/jaco_shop_data", ok=(404,))


def test_the_dead_at_once_and_the_slow_are_stopped_alike(lab):
    lab.apply(WEB.replace("jaco/test:1\n", "jaco/test:1\n    environment: {SIGTERM: ignore}\n")
              .replace("stop_grace_period: 2s", "stop_grace_period: 1s"))
    rid = lab.want("web")
    lab.wait_healthy(rid)
    began = time.monotonic()
    lab.unwant("web")
    lab.wait(lambda: not lab.seen(rid), "killed after its grace period")
    assert time.monotonic() - began >= 1


def direct(lab, i):
    """What the engine itself needs: create, start, first connection."""
    name = "direct-%d" % i
    lab.api.call("POST", "/containers/create?name=" + name, {
        "Image": "jaco/test:1", "ExposedPorts": {"8080/tcp": {}},
        "HostConfig": {"NetworkMode": "jaco_shop__default", "Dns": ["10.203.0.1"]},
        "NetworkingConfig": {"EndpointsConfig": {"jaco_shop__default": {
            "IPAMConfig": {"IPv4Address": "10.203.0.%d" % (100 + i)}}}}})
    for last in (False, False, True):   # runc gives up at times on a machine with too much to do
        try:
            return lab.api.call("POST", "/containers/%s/start" % name)
        except EngineError:
            if last:
                raise


def median(values):
    return sorted(values)[len(values) // 2]


def test_overhead_and_size(lab):
    """Prints figures; asserts only that everything came up."""
    lab.apply(WEB)
    lab.wait_healthy(lab.want("web", 99))
    ours, engines = [], []
    for i in range(10):
        began = time.monotonic()
        direct(lab, i)
        engines.append(time.monotonic() - began)
        began = time.monotonic()
        rid = lab.want("web", i)
        lab.wait(lambda: lab.seen(rid).get("state") in ("starting", "running") and
                 lab.seen(rid).get("container_id"), "started")
        lab.wait(lambda: lab.seen(rid).get("started"), "started")
        ours.append(time.monotonic() - began)
    print("one at a time: engine %.0f ms, ours %.0f ms" % (median(engines) * 1e3, median(ours) * 1e3))
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: direct(lab, i), range(20, 40)))
    engine = time.monotonic() - began
    began = time.monotonic()
    rids = [lab.want("web", i) for i in range(20, 40)]
    for rid in rids:
        lab.wait_healthy(rid, 60)
    took = time.monotonic() - began
    status = lab.runtimed.call("status")
    print("20 at once: engine %.0f ms, ours until healthy %.0f ms; rss %.1f MB, cpu %d ms" % (
        engine * 1e3, took * 1e3, status["rss_bytes"] / 1e6, status["cpu_ms"]))
