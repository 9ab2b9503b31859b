# SPDX-License-Identifier: Apache-2.0
"""What the firewall's tests share: network namespaces with bridges and "containers" in them, sockets
inside any namespace, a stand-in for raftd that serves a view, and a real jaco-fwd-nft on top.

Everything carries the pid of the test in its name; close() removes it all, and sweep() removes what
tests that died have left."""
import ctypes
import glob
import os
import re
import selectors
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

import msgpack

BUILD = os.environ.get("JACO_BUILD") or os.path.join(os.path.dirname(__file__), "..", "..", "build")
DAEMON = os.path.join(BUILD, "daemons", "fwd-nft", "jaco-fwd-nft")
TOOL = os.path.join(BUILD, "tests", "tools", "fwd-ruleset")

POOL = "10.210.0.0/16"
EVENT_S = 25  # less than the 30 s after which a daemon looks at everything again

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


def run(*args, **kw):
    kw.setdefault("check", True)
    kw.setdefault("text", True)
    kw.setdefault("stdout", subprocess.PIPE)
    kw.setdefault("stderr", subprocess.STDOUT)
    done = subprocess.run([str(a) for a in args], **{**kw, "check": False})
    if kw["check"] and done.returncode != 0:
        raise RuntimeError("%s: %d\n%s" % (" ".join(map(str, args)), done.returncode, done.stdout))
    return done.stdout


def sweep():
    """Remove namespaces of tests whose process is gone."""
    for path in glob.glob("/run/netns/jf*"):
        m = re.match(r"jf(\d+)-", os.path.basename(path))
        if m and not os.path.exists("/proc/" + m.group(1)):
            run("ip", "netns", "del", os.path.basename(path), check=False)


class Netns:
    """A network namespace; `with ns:` makes sockets of this thread belong to it."""

    count = 0

    def __init__(self, name):
        Netns.count += 1
        self.name = "jf%d-%d%s" % (os.getpid(), Netns.count, name)
        run("ip", "netns", "add", self.name)
        self.path = "/run/netns/" + self.name
        run("ip", "-n", self.name, "link", "set", "lo", "up")

    def __enter__(self):
        self._back = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self._set(os.open(self.path, os.O_RDONLY))

    def __exit__(self, *_):
        self._set(self._back)

    @staticmethod
    def _set(fd):
        rc = _libc.setns(fd, _CLONE_NEWNET)
        os.close(fd)
        if rc != 0:
            raise OSError(ctypes.get_errno(), "setns")

    def ip(self, *args):
        return run("ip", "-n", self.name, *args)

    def do(self, *args, **kw):
        """Run a program inside the network namespace only."""
        return run("nsenter", "--net=" + self.path, *args, **kw)

    def sysctl(self, key, value):
        with self:
            with open("/proc/sys/" + key, "w") as f:
                f.write(str(value))

    def close(self):
        run("ip", "netns", "del", self.name, check=False)


class Echo(threading.Thread):
    """Answers TCP and UDP port 7 in every namespace it is told of, by sending back what came; keeps
    what UDP brought, in order."""

    def __init__(self):
        super().__init__(daemon=True)
        self.sel = selectors.DefaultSelector()
        self.got = {}
        self.cond = threading.Condition()
        self.wake_r, self.wake_w = os.pipe()
        self.sel.register(self.wake_r, selectors.EVENT_READ, ("wake", None))
        self.ending = False
        self.start()

    def listen(self, ns, address, port=7):
        with ns:
            tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for s in (tcp, udp):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((address, port))
            s.setblocking(False)
        tcp.listen(64)
        self.sel.register(tcp, selectors.EVENT_READ, ("accept", None))
        self.sel.register(udp, selectors.EVENT_READ, ("udp", (address, port)))
        os.write(self.wake_w, b"x")

    def run(self):
        while not self.ending:
            for key, _ in self.sel.select():
                kind, what = key.data
                if kind == "wake":
                    os.read(self.wake_r, 64)
                elif kind == "accept":
                    conn, _ = key.fileobj.accept()
                    conn.setblocking(False)
                    self.sel.register(conn, selectors.EVENT_READ, ("tcp", None))
                elif kind == "tcp":
                    try:
                        data = key.fileobj.recv(65536)
                        if data:
                            key.fileobj.send(data)
                            continue
                    except OSError:
                        pass
                    self.sel.unregister(key.fileobj)
                    key.fileobj.close()
                else:
                    data, peer = key.fileobj.recvfrom(65536)
                    with self.cond:
                        self.got.setdefault(what, []).append((peer[0], data))
                        self.cond.notify_all()
                    try:
                        key.fileobj.sendto(data, peer)
                    except OSError:
                        pass

    def wait(self, what, data):
        """Until @data has come to address and port @what; everything that came before it."""
        with self.cond:
            assert self.cond.wait_for(lambda: any(d == data for _, d in self.got.get(what, [])),
                                      EVENT_S), "%r did not come to %s" % (data, what)
            return [x for x in self.got[what]]

    def close(self):
        self.ending = True
        os.write(self.wake_w, b"x")
        self.join()


def tcp_passes(ns, to, port=7, timeout=EVENT_S):
    with ns:
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.settimeout(timeout)
    try:
        s.connect((to, port))
        s.sendall(b"tcp")
        return s.recv(16) == b"tcp"
    except OSError:
        return False
    finally:
        s.close()


def udp_passes(ns, to, port=7, timeout=EVENT_S):
    with ns:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(timeout)
    try:
        s.sendto(b"udp", (to, port))
        return s.recv(16) == b"udp"
    except OSError:
        return False
    finally:
        s.close()


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff


def ping_passes(ns, to, timeout=EVENT_S):
    head = struct.pack("!BBHHH", 8, 0, 0, os.getpid() & 0xffff, 1)
    packet = struct.pack("!BBHHH", 8, 0, checksum(head), os.getpid() & 0xffff, 1)
    with ns:
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    end = time.monotonic() + timeout
    try:
        s.sendto(packet, (to, 0))
        while time.monotonic() < end:
            s.settimeout(max(end - time.monotonic(), 0.001))
            data, peer = s.recvfrom(2048)
            if peer[0] == to and data[20] == 0:
                return True
    except OSError:
        pass
    finally:
        s.close()
    return False


def send_spoofed(ns, source, to, data, port=7):
    """One UDP datagram with any source address."""
    udp = struct.pack("!HHHH", 4444, port, 8 + len(data), 0) + data
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                       socket.inet_aton(source), socket.inet_aton(to))
    with ns:
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    s.sendto(head + udp, (to, 0))
    s.close()


class FakeRaftd(threading.Thread):
    """Serves hello, kv.watch, kv.txn and obs.put on one role socket, as raftd does."""

    def __init__(self, path):
        super().__init__(daemon=True)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.path = path
        self.keys = {}       # key -> (value, revision)
        self.revision = 1
        self.obs = {}
        self.audits = []
        self.conns = {}
        self.cond = threading.Condition()
        self.ending = False
        self.up()
        self.start()

    def up(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(8)
        self.listener.settimeout(0.2)

    def txn(self, changes):
        """{key: map, or None to delete} at one new revision, which is returned."""
        with self.cond:
            self.revision += 1
            entries = []
            for key, value in changes.items():
                entry = {"key": key, "revision": self.revision}
                if value is None:
                    self.keys.pop(key, None)
                else:
                    packed = msgpack.packb(value)
                    self.keys[key] = (packed, self.revision)
                    entry["value"] = packed
                entries.append(entry)
            event = {"kind": "change", "revision": self.revision, "entries": entries}
            for conn, watch in list(self.conns.items()):
                if watch is not None:
                    self._send(conn, [2, "kv.watch", [{"id": watch, "event": event}]])
            return self.revision

    def _send(self, conn, msg):
        try:
            conn.sendall(msgpack.packb(msg))
        except OSError:
            self.conns.pop(conn, None)

    def _handle(self, conn, msg):
        _, mid, method, params = msg
        params = params[0] if params else {}
        result = {}
        with self.cond:
            if method == "kv.watch":
                entries = [{"key": k, "value": v, "revision": r}
                           for k, (v, r) in sorted(self.keys.items())]
                for at in range(0, len(entries), 200):
                    self._send(conn, [2, method, [{"id": mid, "event": {
                        "kind": "snapshot", "revision": self.revision,
                        "entries": entries[at:at + 200]}}]])
                self._send(conn, [2, method, [{"id": mid, "event": {
                    "kind": "synced", "revision": self.revision}}]])
                self.conns[conn] = mid
                return
            if method == "obs.put":
                self.obs[params["key"]] = msgpack.unpackb(params["value"])
            elif method == "kv.txn":
                self.audits.append(params["audit"])
                self.revision += 1
                result = {"succeeded": True, "revision": self.revision}
            self.cond.notify_all()
        self._send(conn, [1, mid, None, result])

    def _serve(self, conn):
        unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)
        while True:
            try:
                data = conn.recv(65536)
            except OSError:
                data = b""
            if not data:
                with self.cond:
                    self.conns.pop(conn, None)
                conn.close()
                return
            unpacker.feed(data)
            for msg in unpacker:
                self._handle(conn, msg)

    def run(self):
        while not self.ending:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                continue
            with self.cond:
                self.conns[conn] = None
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def wait(self, predicate, what):
        with self.cond:
            assert self.cond.wait_for(predicate, EVENT_S), "waited in vain for %s; have %r" % (
                what, self.obs)

    def close(self):
        self.ending = True
        self.listener.close()
        with self.cond:
            for conn in list(self.conns):
                conn.close()
        self.join()


class Host:
    """A "host": a namespace with bridges, containers behind them, a raftd stand-in and a firewall."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.ns = Netns(name)
        lab.closers.append(self.ns)
        self.ns.sysctl("net/ipv4/ip_forward", 1)
        for key in ("all", "default"):
            self.ns.sysctl("net/ipv4/conf/%s/rp_filter" % key, 0)
        self.root = os.path.join(lab.dir, name)
        os.makedirs(self.root)
        self.raftd = FakeRaftd(os.path.join(self.root, "run", "raftd", "fwd-nft.sock"))
        lab.closers.append(self.raftd)
        self.daemon = None
        self.bridges = {}
        with open(os.path.join(self.root, "jacod.yaml"), "w") as f:
            f.write("node_name: %s\nipam_pool: %s\nwg_interface: mesh0\n" % (name, POOL))

    # --- the daemon ---

    def start(self, wait=True, options=()):
        self.log = open(os.path.join(self.root, "log"), "ab")
        env = dict(os.environ, NO_COLOR="1")
        self.daemon = subprocess.Popen(
            ["nsenter", "--net=" + self.ns.path, DAEMON, "--root", self.root, "--log-level", "debug",
             *options],
            stdout=self.log, stderr=self.log, env=env)
        self.lab.daemons.append(self.daemon)
        if wait:
            self.wait_applied(self.raftd.revision)

    def kill(self, how="kill"):
        getattr(self.daemon, how)()
        self.daemon.wait(EVENT_S)
        self.log.close()

    def forget_said(self):
        """Of a daemon that was killed: what it had sent is read, and forgotten."""
        self.raftd.wait(lambda: not self.raftd.conns, "the end of its connection")
        self.raftd.obs.clear()

    def text_of_log(self):
        with open(os.path.join(self.root, "log")) as f:
            return f.read()

    def firewall(self):
        return self.raftd.obs.get("/obs/node/%s/firewall" % self.name, {})

    def wait_applied(self, revision):
        self.raftd.wait(lambda: self.firewall().get("ready") and
                        self.firewall().get("generation", 0) >= revision,
                        "generation %d on %s" % (revision, self.name))

    def call(self, method, params=None):
        """One call of the daemon's own socket; (error, result)."""
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(EVENT_S)
        s.connect(os.path.join(self.root, "run", "fwd-nft", "fwd-nft.sock"))
        s.sendall(msgpack.packb([0, 1, method, [params or {}]]))
        unpacker = msgpack.Unpacker(raw=False)
        while True:
            unpacker.feed(s.recv(65536))
            for msg in unpacker:
                s.close()
                return msg[2], msg[3]

    # --- the network ---

    def bridge(self, name, gateway):
        self.ns.ip("link", "add", name, "type", "bridge")
        self.ns.ip("addr", "add", gateway + "/24", "dev", name)
        self.ns.ip("link", "set", name, "up")
        self.lab.echo.listen(self.ns, gateway)
        self.bridges[name] = gateway

    def container(self, bridge, address):
        n = len(self.lab.containers)
        ns = Netns("c%d" % n)
        self.lab.closers.append(ns)
        self.ns.ip("link", "add", "v%d" % n, "type", "veth", "peer", "name", "eth0", "netns", ns.name)
        self.ns.ip("link", "set", "v%d" % n, "master", bridge, "up")
        ns.ip("addr", "add", address + "/24", "dev", "eth0")
        ns.ip("link", "set", "eth0", "up")
        ns.ip("route", "add", "default", "via", self.bridges[bridge])
        ns.address = address
        self.lab.echo.listen(ns, address)
        self.lab.containers.append(ns)
        return ns

    def table(self):
        return self.ns.do("nft", "--stateless", "list", "table", "inet", "jaco", check=False)


class Lab:
    def __init__(self):
        sweep()
        self.closers, self.daemons, self.containers = [], [], []
        self.dir = tempfile.mkdtemp(prefix="jf%d-" % os.getpid())
        self.echo = Echo()

    def subnet(self, deployment, network, host, net, bridge, **more):
        """A record of the store: key and value."""
        return "/subnet/%s/%s/%s" % (deployment, network, host), dict(
            deployment=deployment, network=network, host=host, cidr=net + ".0/24",
            gateway=net + ".1", bridge=bridge, scope=1, **more)

    def wire(self, a, b):
        """A cable between two hosts that plays the mesh: mesh0 on both ends, addresses as meshd gives
        them, inside the pool."""
        a.ns.ip("link", "add", "mesh0", "type", "veth", "peer", "name", "mesh0", "netns", b.ns.name)
        for host, address in ((a, "10.210.255.1/24"), (b, "10.210.255.2/24")):
            host.ns.ip("addr", "add", address, "dev", "mesh0")
            host.ns.ip("link", "set", "mesh0", "up")

    def close(self):
        for daemon in self.daemons:
            if daemon.poll() is None:
                daemon.kill()
                daemon.wait()
        self.echo.close()
        for closer in reversed(self.closers):
            closer.close()
        shutil.rmtree(self.dir, ignore_errors=True)
