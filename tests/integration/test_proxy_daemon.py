# SPDX-License-Identifier: Apache-2.0
"""jaco-proxyd as a daemon of a node: it follows what raftd tells and says what it has applied."""
import socket

import pytest

from fake_raftd import FakeRaftd, Store
from lab_daemon import Daemon
from lab_proxy import GET, LIMIT, Peer, lab  # noqa: F401
from ports import free_port


class Node:
    def __init__(self, tmp_path, store):
        self.root = tmp_path / "n1"
        self.port = free_port()
        self.store = store
        self.raftd = FakeRaftd(str(self.root / "run"), "n1", store, roles=("proxyd",))
        self.daemon = Daemon("proxyd", self.root, "node_name: n1\ningress:\n  http_addr: 127.0.0.1:%d\n" % self.port)
        store.put("/node/n1", {"host": "n1", "raft_id": 1, "intent": "active"})
        self.daemon.start()

    def ask(self, raw=GET, port=None):
        peer = Peer(socket.create_connection(("127.0.0.1", port or self.port), LIMIT))
        peer.send(raw)
        out = peer.response()
        peer.close()
        return out

    def wait_status(self, status, seconds=LIMIT):
        def there():
            try:
                return self.ask()[0] == status
            except OSError:
                return False
        self.daemon.wait(there, seconds, "page answers %d" % status)

    def close(self):
        self.daemon.kill()
        if self.raftd:
            self.raftd.close()


def put_replica(store, index, port_ip, state="running", healthy=True, intent="run", generation=1):
    rid = "shop-web-%d" % index
    store.put("/replica/shop/web/%d" % index, {
        "id": rid, "deployment": "shop", "service": "web", "index": index, "generations": [
            {"generation": generation, "host": "n1", "revision": 1, "spec_hash": "x", "intent": intent}]})
    store.put("/obs/replica/%s@n1" % rid, {
        "id": rid, "deployment": "shop", "service": "web", "index": index, "host": "n1", "generations": [
            {"generation": generation, "state": state, "healthy": healthy, "since": 1,
             "addresses": [{"network": "default", "address": port_ip}]}]})


@pytest.fixture
def node(tmp_path):
    store = Store()
    made = Node(tmp_path, store)
    yield made
    made.close()


def ingress(store):
    return store.get("/obs/node/n1/ingress") or {}


def test_daemon_follows_routes_and_replicas(node, lab):
    r = lab.replica()
    store = node.store
    node.wait_status(404)
    store.put("/route/a.test/", {"deployment": "shop", "domain": "a.test", "path": "/", "service": "web",
                                 "port": r.port, "tls": "auto", "revision": 1})
    node.wait_status(503)
    put_replica(store, 0, "127.0.0.1", healthy=False)
    put_replica(store, 0, "127.0.0.1")
    node.wait_status(200)
    store.wait(lambda: ingress(store).get("generation", 0) >= store.revision - 2, why="generation published")
    put_replica(store, 0, "127.0.0.1", intent="drain")
    node.wait_status(503)
    store.wait(lambda: ingress(store).get("draining") == [{"replica": "shop-web-0", "generation": 1}],
               why="drain acknowledged: %r" % ingress(store))
    put_replica(store, 0, "127.0.0.1")
    node.wait_status(200)
    store.put("/obs/node/n1/liveness", {"state": "unreachable"})
    node.wait_status(503)
    store.put("/obs/node/n1/liveness", {"state": "alive"})
    node.wait_status(200)
    store.delete("/route/a.test/")
    node.wait_status(404)


def test_daemon_works_from_its_saved_view(node, lab):
    r = lab.replica()
    store = node.store
    store.put("/route/a.test/", {"deployment": "shop", "domain": "a.test", "path": "/", "service": "web",
                                 "port": r.port, "tls": "auto", "revision": 1})
    put_replica(store, 0, "127.0.0.1")
    node.wait_status(200)
    node.daemon.wait_saved("/route/a.test/", "/obs/replica/shop-web-0@n1")
    node.raftd.close()
    node.raftd = None
    assert node.ask()[0] == 200
    node.daemon.kill()
    node.daemon.start()
    node.wait_status(200)
    assert "waiting" in str(node.daemon.call("status"))


def test_daemon_opens_published_ports_and_says_when_it_cannot(node, lab):
    def serve(peer, n):
        peer.send(peer.rest()[::-1])

    r = lab.replica(serve)
    store = node.store
    port = free_port()
    blocker = socket.socket()
    blocker.bind(("0.0.0.0", port))
    blocker.listen(1)
    store.put("/tcproute/%d/tcp" % port, {"port": port, "protocol": "tcp", "deployment": "shop", "service": "web",
                                          "target_port": r.port})
    put_replica(store, 0, "127.0.0.1")
    store.wait(lambda: any(x["port"] == port and x["code"] == "port_in_use"
                           for x in ingress(store).get("problems", [])), why="problem published")
    blocker.close()
    store.wait(lambda: not ingress(store).get("problems"), why="port taken later")
    peer = Peer(socket.create_connection(("127.0.0.1", port), LIMIT))
    peer.send("abc")
    peer.sock.shutdown(socket.SHUT_WR)
    assert peer.rest() == b"cba"
    store.delete("/tcproute/%d/tcp" % port)

    def closed():
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return False
        except OSError:
            return True
    node.daemon.wait(closed, LIMIT, "port closed")
