# SPDX-License-Identifier: Apache-2.0
"""Real jaco-raftd on loopback addresses that join each other, and small writes to ask them for."""
import os
import signal
import socket
import ssl
import time

import msgpack
import pytest

from jacorpc import Raftd, RpcError
from ports import free_port

WAIT_S = 60


class Node(Raftd):
    """A raftd with a name and addresses of its own."""

    def __init__(self, root, name, number):
        os.makedirs(root, exist_ok=True)
        super().__init__(root)
        self.name = name
        self.address = "127.0.0.%d:%d" % (number + 1, free_port())
        self.configure()

    def configure(self):
        with open(self.root + "/jacod.yaml", "w") as file:
            file.write("node_name: %s\ncluster_addr: %s\nlisten_addr: 127.0.0.1:%d\n"
                       "unreachable_after: 2s\n" % (self.name, self.address, free_port()))

    def status(self):
        rpc = self.rpc()
        try:
            return rpc.call("cluster.status")
        finally:
            rpc.close()

    def members(self):
        return {m["host"]: m for m in self.status().get("members", [])}

    def join(self, token, timeout=60):
        rpc = self.rpc()
        rpc.sock.settimeout(timeout)
        try:
            return rpc.call("node.join", token=token)
        finally:
            rpc.close()

    def token(self, **params):
        return led(lambda: self.rpc().call("node.issue_join_token", **params)["token"])


class Cluster:
    def __init__(self, root):
        self.root = str(root)
        self.nodes = []

    def add(self, name=None, env=None):
        number = len(self.nodes) + 1
        node = Node(self.root + "/n%d" % number, name or "n%d" % number, number)
        self.nodes.append(node)
        return node.start(env)

    def grow(self, n):
        first = self.add()
        first.rpc().call("cluster.init", name="test")
        while len(self.nodes) < n:
            token = first.token()
            self.add().join(token)
        return self

    def alive(self):
        return [n for n in self.nodes if n.process and n.process.poll() is None]

    def leader(self, timeout=WAIT_S):
        def look():
            for node in self.alive():
                if node.status().get("is_leader"):
                    return node
        return wait(look, timeout)

    def stop(self):
        for node in self.nodes:
            if node.process and node.process.poll() is None:
                node.process.send_signal(signal.SIGCONT)
                node.stop()


class Peer:
    """TLS to a cluster_addr by hand, as a stranger or with some node's certificate."""

    def __init__(self, node, identity=None):
        context = ssl.create_default_context(cafile=node.root + "/lib/raftd/ca.crt")
        context.check_hostname = False
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if identity:
            context.load_cert_chain(identity.root + "/lib/raftd/node.crt",
                                    identity.root + "/lib/raftd/node.key")
        host, port = node.address.split(":")
        self.sock = context.wrap_socket(socket.create_connection((host, int(port)), timeout=30))
        self.unpacker = msgpack.Unpacker(raw=False)

    def send(self, *messages):
        self.sock.sendall(b"".join(msgpack.packb(m) for m in messages))

    def hello(self, **fields):
        self.send([2, "raft.hello", [{"id": 0, "event": dict(
            {"protocol": 1, "version": "0.1.0", "host": "x", "clock": int(time.time() * 1000)},
            **fields)}]])

    def recv(self):
        """The next message, None at the end."""
        while True:
            for message in self.unpacker:
                return message
            try:
                data = self.sock.recv(65536)
            except (ConnectionError, ssl.SSLError):
                data = b""
            if not data:
                return None
            self.unpacker.feed(data)


def wait(condition, timeout=WAIT_S):
    """The condition's first true value; asks often, gives up loudly."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("not within %s s" % timeout)


def counter(n):
    return msgpack.packb({"next": n})


def led(call):
    """Its answer; asked again while a busy machine elects anew."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            return call()
        except RpcError as error:
            if error.code != "no_leader" or time.monotonic() > deadline:
                raise


def commit(rpc, **txn):
    """A transaction that is applied once however often it has to be asked for."""
    request = os.urandom(16).hex()
    return led(lambda: rpc.call("kv.txn", request_id=request, **txn))


def put(node, key, n):
    rpc = node.rpc("schedd")
    try:
        return commit(rpc, puts=[{"key": "/counter/d/" + key, "value": counter(n)}])
    finally:
        rpc.close()


def get(node, key, **params):
    rpc = node.rpc("schedd")
    try:
        got = rpc.call("kv.get", key="/counter/d/" + key, **params)
        return msgpack.unpackb(got["entry"]["value"])["next"] if "entry" in got else None
    finally:
        rpc.close()


def hold_the_same(nodes):
    """One state on all of them, at one moment of each."""
    return len({(s["revision"], s["state_hash"]) for s in (n.status() for n in nodes)}) == 1


def log_bytes(node):
    rpc = node.rpc()
    lines = rpc.call("metrics")["text"].splitlines()
    rpc.close()
    return next(float(line.split()[1]) for line in lines
                if line.startswith("jaco_raftd_log_bytes "))


def voters(node):
    return sorted(m["host"] for m in node.members().values() if m["voter"])


def fails(code, part, fn, *args, **kw):
    with pytest.raises(RpcError) as caught:
        fn(*args, **kw)
    assert caught.value.code == code, str(caught.value)
    assert part in caught.value.message, str(caught.value)


def refused(node):
    try:
        put(node, "minor", 1)
        return False
    except RpcError as error:
        return error.code == "quorum_lost"


@pytest.fixture
def cluster(tmp_path):
    made = Cluster(tmp_path)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("three")).grow(3)
    wait(lambda: voters(made.nodes[0]) == ["n1", "n2", "n3"])
    yield made
    made.stop()
