# SPDX-License-Identifier: Apache-2.0
"""jaco-dnsd as a daemon of a node: a raftd of this file's own gives it records, sockets are asked."""
import array
import os
import signal
import socket
import subprocess
import threading
import time

import msgpack
import pytest

from dnslib import DNSD, LIMIT, NOERROR, NXDOMAIN, REFUSED, SERVFAIL, Message, Upstream, query
from ports import free_port


class Raftd:
    """kv.watch, obs.put and nothing else, on the socket a dnsd below @root connects to."""

    def __init__(self, root):
        self.path = os.path.join(root, "run", "raftd", "dnsd.sock")
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self.records, self.revision = {}, 10
        self.observed = {}
        self.lock = threading.Condition()
        self.conns, self.server = set(), None
        self.watches = []  # (conn, its call)

    def start(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(self.path)
        self.server.listen(4)
        threading.Thread(target=self.accept, args=(self.server,), daemon=True).start()

    def stop(self):
        if self.server:
            self.server.shutdown(socket.SHUT_RDWR)
            self.server.close()
            os.unlink(self.path)
        self.server = None
        with self.lock:
            for conn in self.conns:
                conn.shutdown(socket.SHUT_RDWR)

    def accept(self, server):
        while True:
            try:
                conn, _ = server.accept()
            except OSError:
                return
            with self.lock:
                self.conns.add(conn)
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def entry(self, key, value):
        out = {"key": key, "revision": self.revision}
        if value is not None:
            out["value"] = msgpack.packb(value)
        return out

    def event(self, watch_id, kind, entries):
        body = {"kind": kind, "revision": self.revision, "entries": entries}
        return msgpack.packb([2, "kv.watch", [{"id": watch_id, "event": body}]])

    def serve(self, conn):
        unpacker = msgpack.Unpacker(raw=False)
        try:
            while True:
                data = conn.recv(65536)
                if not data:
                    break
                unpacker.feed(data)
                for _, call, method, params in unpacker:
                    with self.lock:
                        conn.sendall(self.answer(conn, call, method, params[0]))
        except OSError:
            pass  # killed in between
        with self.lock:
            self.watches = [(c, call) for c, call in self.watches if c is not conn]
            self.conns.discard(conn)
            conn.close()

    def answer(self, conn, call, method, params):
        if method == "kv.watch":
            self.watches.append((conn, call))
            entries = [self.entry(k, v) for k, v in sorted(self.records.items())]
            return self.event(call, "snapshot", entries) + self.event(call, "synced", [])
        assert method == "obs.put", method
        value = params.get("value")
        self.observed[params["key"]] = msgpack.unpackb(value, raw=False) if value else None
        self.lock.notify_all()
        return msgpack.packb([1, call, None, {}])

    def change(self, records):
        """Commit: values of None delete.  Returns the revision."""
        with self.lock:
            self.revision += 1
            for key, value in records.items():
                if value is None:
                    self.records.pop(key, None)
                else:
                    self.records[key] = value
            for conn, watch in self.watches:
                try:
                    conn.sendall(self.event(watch, "change", [self.entry(k, v) for k, v in records.items()]))
                except OSError:
                    pass  # its thread is about to see that it ended
            return self.revision

    def wait_dns(self, revision, limit=LIMIT):
        end = time.monotonic() + limit
        with self.lock:
            while self.observed.get("/obs/node/n1/dns", {"generation": -1})["generation"] < revision:
                assert self.lock.wait(end - time.monotonic()), self.observed
            return self.observed["/obs/node/n1/dns"]


class Node:
    def __init__(self, root, forwarders):
        self.root, self.port = str(root), free_port()
        with open(os.path.join(self.root, "jacod.yaml"), "w") as f:
            f.write("node_name: n1\ndns:\n  forwarder_timeout: 10s\n  alias_zone: z.test\n  forwarders:\n")
            f.write("".join('    - "%s"\n' % x for x in forwarders))
        self.raftd = Raftd(self.root)
        self.log = os.path.join(self.root, "dnsd.log")
        self.process = None

    def start(self, **env):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([DNSD, "--root", self.root, "--port", str(self.port)],
                                            stderr=log, stdout=log, env=dict(os.environ, **env))

    def stop(self, sig=signal.SIGTERM):
        if self.process:
            self.process.send_signal(sig)
            code = self.process.wait(LIMIT)
            assert code == (0 if sig == signal.SIGTERM else -sig), open(self.log).read()
        self.process = None

    def ask(self, gateway, name, limit=LIMIT):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(limit)
            s.connect((gateway, self.port))
            s.send(query(name))
            return Message(s.recv(4096))

    def ask_patiently(self, gateway, name, limit=LIMIT):
        """While the listener is not there yet."""
        end = time.monotonic() + limit
        while True:
            try:
                return self.ask(gateway, name, 2)
            except (ConnectionRefusedError, socket.timeout):
                assert time.monotonic() < end, open(self.log).read()
                time.sleep(0.01)

    def until(self, gateway, name, test, limit=20):
        """@test holds for the addresses of @name, well before the 30 s after which dnsd looks again in any
        case."""
        end = time.monotonic() + limit
        while not test(self.ask(gateway, name).addresses):
            assert time.monotonic() < end
            time.sleep(0.005)

    def call(self, method):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(os.path.join(self.root, "run", "dnsd", "dnsd.sock"))
            s.sendall(msgpack.packb([0, 1, method, [{}]]))
            unpacker = msgpack.Unpacker(raw=False)
            while True:
                unpacker.feed(s.recv(65536))
                for _, _, error, result in unpacker:
                    assert error is None, error
                    return result


@pytest.fixture
def node(tmp_path):
    upstream = Upstream()
    n = Node(tmp_path, ["127.0.0.1:%d" % upstream.port])
    n.upstream = upstream
    n.raftd.change(cluster())
    n.raftd.start()
    yield n
    if n.process:
        n.stop()
    n.raftd.stop()
    upstream.close()


GATE, BACK = "127.210.0.1", "127.210.8.1"


def subnet(deployment, network, host, cidr, gateway, **more):
    return {"deployment": deployment, "network": network, "host": host, "cidr": cidr, "gateway": gateway,
            "bridge": "jaco-test", "scope": 1, **more}


def replica(index, host, generation=1, intent="run"):
    return {"id": "shop-web-%d" % index, "deployment": "shop", "service": "web", "index": index,
            "generations": [{"generation": generation, "host": host, "revision": 1, "spec_hash": "x",
                             "intent": intent}]}


def seen(index, host, address, generation=1, state="running", healthy=True):
    return {"id": "shop-web-%d" % index, "deployment": "shop", "service": "web", "index": index, "host": host,
            "generations": [{"generation": generation, "state": state, "healthy": healthy, "since": 1,
                             "addresses": [{"network": "default", "address": address}]}]}


def service(name, *networks):
    return {"name": name, "spec_hash": "x", "replicas": 2, "placement": "spread",
            "networks": [{"name": n, "aliases": a} for n, a in networks]}


def cluster():
    return {
        "/subnet/shop/default/n1": subnet("shop", "default", "n1", "10.128.0.0/24", GATE),
        "/subnet/shop/default/n2": subnet("shop", "default", "n2", "10.128.1.0/24", "10.128.1.1"),
        "/subnet/blog/default/n2": subnet("blog", "default", "n2", "10.128.2.0/24", "10.128.2.1"),
        "/deployment/shop": {"name": "shop", "revision": 1, "updated": 1,
                             "services": [service("web", ("default", ["www"])), service("idle", ("default", []))]},
        "/deployment/blog": {"name": "blog", "revision": 1, "updated": 1,
                             "services": [service("api", ("default", []))]},
        "/replica/shop/web/0": replica(0, "n1"),
        "/replica/shop/web/1": replica(1, "n2"),
        "/obs/replica/shop-web-0@n1": seen(0, "n1", "10.128.0.2"),
        "/obs/replica/shop-web-1@n2": seen(1, "n2", "10.128.1.2"),
        "/obs/node/n2/liveness": {"state": "alive"},
    }


BOTH = ["10.128.0.2", "10.128.1.2"]


def test_names_follow_the_view_and_the_generation_follows_the_names(node):
    node.start()
    out = node.raftd.wait_dns(node.raftd.revision)
    assert out["listeners"] == 1 and not out.get("draining")
    for name in ("web", "www", "web.shop.jaco.internal", "shop-web.z.test"):
        assert sorted(node.ask(GATE, name).addresses) == BOTH
    assert node.ask(GATE, "n2.web.shop.jaco.internal").addresses == ["10.128.1.2"]
    assert node.ask(GATE, "0.web").addresses == ["10.128.0.2"]
    assert node.ask(GATE, "idle").rcode == NOERROR
    assert node.ask(GATE, "api").rcode == NXDOMAIN and node.ask(GATE, "api.blog").rcode == NXDOMAIN
    assert node.ask(GATE, "example.com").addresses == ["192.0.2.1"]
    status = node.call("status")
    assert status["state"] == "ready" and status["facts"]["gateways"] == "1"
    assert 'jaco_dnsd_replies_total{rcode="NXDOMAIN"} 2' in node.call("metrics")["text"]


def test_servers_inside_this_machine_or_the_pool_are_not_asked_for_a_service(node):
    records = cluster()
    records["/deployment/shop"]["services"][0]["dns"] = ["127.0.0.1", "10.244.0.9", "::1"]
    records["/obs/replica/shop-web-0@n1"] = seen(0, "n1", "127.210.0.2")
    node.raftd.change(records)
    node.start()
    node.raftd.wait_dns(node.raftd.revision)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(LIMIT)
        s.bind(("127.210.0.2", 0))
        s.connect((GATE, node.port))
        s.send(query("example.com"))
        assert Message(s.recv(4096)).rcode == SERVFAIL
    assert node.ask(GATE, "example.com").addresses == ["192.0.2.1"]
    assert open(node.log).read().count("server of a service ignored") == 3


@pytest.mark.parametrize("change", [
    {"/obs/replica/shop-web-1@n2": seen(1, "n2", "10.128.1.2", healthy=False)},
    {"/obs/replica/shop-web-1@n2": seen(1, "n2", "10.128.1.2", state="degraded")},
    {"/obs/replica/shop-web-1@n2": seen(1, "n2", "10.128.1.2", state="draining")},
    {"/replica/shop/web/1": replica(1, "n2", intent="drain")},
    {"/replica/shop/web/1": None},
    {"/replica/shop/web/1": replica(1, "n1")},
    {"/obs/node/n2/liveness": {"state": "unreachable"}},
])
def test_what_is_not_fit_leaves_at_once_and_returns(node, change):
    node.start()
    node.raftd.wait_dns(node.raftd.revision)
    assert sorted(node.ask(GATE, "web").addresses) == BOTH
    node.raftd.change(change)
    node.until(GATE, "web", lambda a: a == ["10.128.0.2"])
    node.raftd.change({k: cluster()[k] for k in change})
    node.until(GATE, "web", lambda a: sorted(a) == BOTH)


def test_a_draining_generation_is_acknowledged_once_no_answer_names_it(node):
    node.start()
    node.raftd.wait_dns(node.raftd.revision)
    revision = node.raftd.change({"/replica/shop/web/1": replica(1, "n2", generation=1, intent="drain")})
    out = node.raftd.wait_dns(revision)
    assert out["draining"] == [{"replica": "shop-web-1", "generation": 1}]
    assert node.ask(GATE, "web").addresses == ["10.128.0.2"]


def test_gateways_come_and_go_with_subnets(node):
    node.start()
    node.raftd.wait_dns(node.raftd.revision)
    more = {"/subnet/shop/back/n1": subnet("shop", "back", "n1", "10.128.9.0/24", BACK, internal=True),
            # not on this machine: bound before its bridge exists
            "/subnet/shop/far/n1": subnet("shop", "far", "n1", "10.128.10.0/24", "198.51.100.77")}
    assert node.raftd.wait_dns(node.raftd.change(more))["listeners"] == 3
    assert node.ask(BACK, "web").rcode == NXDOMAIN
    assert node.ask(BACK, "example.com").rcode == REFUSED, "no way out of an internal network"
    assert node.raftd.wait_dns(node.raftd.change({k: None for k in more}))["listeners"] == 1
    with pytest.raises((ConnectionRefusedError, socket.timeout)):
        node.ask(BACK, "web", 0.3)


def test_a_gateway_that_cannot_be_served_holds_the_generation_back(node):
    squatter = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    squatter.bind((BACK, node.port))
    node.start()
    first = node.raftd.wait_dns(node.raftd.revision)["generation"]
    last = node.raftd.change({"/subnet/shop/back/n1": subnet("shop", "back", "n1", "10.128.9.0/24", BACK)})
    end = time.monotonic() + LIMIT
    while "not served" not in (node.raftd.observed["/obs/node/n1/dns"].get("message") or ""):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert node.raftd.observed["/obs/node/n1/dns"]["generation"] == first
    assert node.call("status")["state"] == "degraded"
    squatter.close()
    assert node.raftd.wait_dns(last)["listeners"] == 2
    assert node.ask(BACK, "web").rcode == NXDOMAIN


def test_without_raftd_names_stay_also_over_a_restart(node):
    node.start()
    node.raftd.wait_dns(node.raftd.revision)
    node.stop()
    assert os.path.exists(os.path.join(node.root, "cache", "dnsd", "view"))
    node.raftd.stop()
    for sig in (signal.SIGTERM, signal.SIGKILL):
        node.start()
        assert sorted(node.ask_patiently(GATE, "web").addresses) == BOTH
        assert "saved view" in node.call("status")["message"]
        node.stop(sig)
    node.raftd.observed.clear()
    node.start()
    node.raftd.start()
    node.raftd.wait_dns(node.raftd.revision)
    end = time.monotonic() + LIMIT
    while node.call("status")["state"] != "ready":
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_raftd_that_comes_back_empty_of_observations_takes_no_name_away(node):
    node.start()
    node.raftd.wait_dns(node.raftd.revision)
    node.raftd.stop()
    for key in list(node.raftd.records):
        if key.startswith("/obs/"):
            del node.raftd.records[key]
    node.raftd.revision += 5
    node.raftd.start()
    node.raftd.wait_dns(node.raftd.revision)
    assert sorted(node.ask(GATE, "web").addresses) == BOTH
    node.raftd.change({"/obs/replica/shop-web-1@n2": seen(1, "n2", "10.128.1.2", state="failed", healthy=False)})
    node.until(GATE, "web", lambda a: a == ["10.128.0.2"])


class ServiceManager:
    """The descriptor store of systemd: FDSTORE=1 with a name, given back at the next start."""

    def __init__(self, root):
        self.path = os.path.join(root, "notify")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.kept = {}
        self.ready = threading.Event()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            data, control, _, _ = self.sock.recvmsg(4096, socket.CMSG_SPACE(4))
            fields = dict(x.split("=", 1) for x in data.decode().splitlines() if "=" in x)
            fds = array.array("i")
            for level, kind, payload in control:
                assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
                fds.frombytes(payload)
            if fields.get("FDSTORE") == "1":
                assert ":" not in fields["FDNAME"]
                self.kept[fields["FDNAME"]] = fds[0]
            if fields.get("FDSTOREREMOVE") == "1":
                os.close(self.kept.pop(fields["FDNAME"]))
            if fields.get("READY") == "1":
                self.ready.set()

    def start(self, node):
        """Descriptors from 3 on; a shell sets LISTEN_PID, which only the process itself knows."""
        names = sorted(self.kept)
        self.ready.clear()

        def settle():
            high = [os.dup2(self.kept[n], 100 + i) for i, n in enumerate(names)]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i)

        with open(node.log, "ab") as log:
            node.process = subprocess.Popen(
                ["sh", "-c", 'LISTEN_PID=$$ exec "$0" "$@"', DNSD, "--root", node.root, "--port", str(node.port)],
                stderr=log, stdout=log, preexec_fn=settle, close_fds=False,
                env=dict(os.environ, NOTIFY_SOCKET=self.path, LISTEN_FDS=str(len(names)),
                         LISTEN_FDNAMES=":".join(names)))
        assert self.ready.wait(LIMIT), open(node.log).read()


def test_no_query_is_lost_over_restarts_under_load(node):
    """The kept sockets queue while no dnsd runs.  (kill -9 can lose what was read and not yet answered:
    a batch at most; it is no restart.)"""
    manager = ServiceManager(node.root)
    manager.start(node)
    node.raftd.wait_dns(node.raftd.revision)
    wanted = ["tcp-%s-%d" % (GATE, node.port), "udp-%s-%d" % (GATE, node.port)]
    end = time.monotonic() + LIMIT
    while sorted(manager.kept) != wanted:
        assert time.monotonic() < end, manager.kept
        time.sleep(0.005)
    stop, lost, n = threading.Event(), [], [0]

    def load():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect((GATE, node.port))
            s.settimeout(LIMIT)
            while not stop.is_set():
                burst = [query("web", qid=(n[0] + i) & 0xffff) for i in range(8)]
                for raw in burst:
                    s.send(raw)
                try:
                    for _ in burst:
                        assert len(Message(s.recv(4096)).addresses) == 2
                        n[0] += 1
                except (OSError, AssertionError) as e:
                    lost.append(repr(e))

    thread = threading.Thread(target=load)
    thread.start()
    restarts = int(os.environ.get("JACO_RESTARTS", "100"))
    for _ in range(restarts):
        had = n[0]
        while n[0] < had + 50 and not lost:
            time.sleep(0.002)
        node.stop()
        manager.start(node)
    stop.set()
    thread.join()
    print("%d queries over %d restarts, %d lost" % (n[0], restarts, len(lost)))
    assert not lost and n[0] > 50 * restarts
