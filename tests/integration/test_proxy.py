# SPDX-License-Identifier: Apache-2.0
"""jaco-proxyd over raw sockets: a scripted replica behind, a scripted client in front."""
import base64
import json
import os
import resource
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

from lab_daemon import BUILD, Daemon
from fake_raftd import FakeRaftd, Store

PROXYD = os.path.join(BUILD, "daemons", "proxyd", "jaco-proxyd")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Replica:
    """Listens; every connection is given to a handler(conn, n) in a thread of its own."""

    def __init__(self, handler, port=0):
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind(("127.0.0.1", port))
        self.sock.listen(128)
        self.port = self.sock.getsockname()[1]
        self.handler, self.count, self.heads = handler, 0, []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            self.count += 1
            threading.Thread(target=self.serve, args=(conn, self.count), daemon=True).start()

    def serve(self, conn, n):
        try:
            self.handler(Peer(conn, self), n)
        except (OSError, EOFError):
            pass
        finally:
            conn.close()

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


class Peer:
    """A socket with a buffer that reads HTTP messages."""

    def __init__(self, sock, replica=None):
        self.sock, self.buf, self.replica = sock, b"", replica
        sock.settimeout(10)

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode("latin1"))

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError
        self.buf += data

    def until(self, mark):
        while mark not in self.buf:
            self.more()
        at = self.buf.index(mark) + len(mark)
        out, self.buf = self.buf[:at], self.buf[at:]
        return out

    def take(self, n):
        while len(self.buf) < n:
            self.more()
        out, self.buf = self.buf[:n], self.buf[n:]
        return out

    def rest(self):
        try:
            while True:
                self.more()
        except EOFError:
            pass
        out, self.buf = self.buf, b""
        return out

    def head(self):
        head = self.until(b"\r\n\r\n").decode("latin1")
        if self.replica:
            self.replica.heads.append(head)
        return head

    def chunked(self):
        body, trailers = b"", ""
        while True:
            size = int(self.until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                while True:
                    line = self.until(b"\r\n")
                    if line == b"\r\n":
                        return body, trailers
                    trailers += line.decode()
            body += self.take(size)
            assert self.take(2) == b"\r\n"

    def body(self, head):
        low = head.lower()
        if "transfer-encoding: chunked" in low:
            return self.chunked()[0]
        for line in low.split("\r\n"):
            if line.startswith("content-length:"):
                return self.take(int(line.split(":")[1]))
        return b""

    def response(self, method="GET"):
        head = self.head()
        status = int(head.split()[1])
        body = b""
        if method != "HEAD" and status >= 200 and status not in (204, 304):
            low = head.lower()
            body = self.body(head) if "content-length" in low or "chunked" in low else self.rest()
        return status, head, body

    def is_closed(self):
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.sock.close()


def ok(body=b"ok", fields=""):
    return ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n" % (len(body), fields)).encode() + body


def echo(peer, n):
    """Keep-alive: answers with the request as it came."""
    while True:
        head = peer.head()
        body = peer.body(head)
        peer.send(ok(head.encode("latin1") + body))


class Proxy:
    def __init__(self, tmp_path, doc):
        self.path = str(tmp_path / "proxy.json")
        self.port = free_port()
        self.doc = {"workers": 2, "listeners": [{"kind": "http", "address": "127.0.0.1:%d" % self.port}]}
        self.doc.update(doc)
        if "more_listeners" in self.doc:
            self.doc["listeners"] += self.doc.pop("more_listeners")
        self.write()
        self.log = open(str(tmp_path / "proxy.log"), "w+")
        self.process = subprocess.Popen([PROXYD, "--standalone", self.path], stderr=self.log,
                                        stdout=self.log)
        self.wait_serving()

    def write(self):
        with open(self.path + ".new", "w") as f:
            json.dump(self.doc, f)
        os.rename(self.path + ".new", self.path)

    def wait_serving(self):
        end = time.monotonic() + 10
        while "serving" not in self.text():
            assert self.process.poll() is None and time.monotonic() < end, self.text()
            time.sleep(0.01)

    def text(self):
        self.log.flush()
        with open(self.log.name) as f:
            return f.read()

    def reload(self):
        before = self.text().count("tables read")
        self.write()
        self.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 10
        while self.text().count("tables read") == before:
            assert time.monotonic() < end, self.text()
            time.sleep(0.01)

    def connect(self, port=None):
        return Peer(socket.create_connection(("127.0.0.1", port or self.port), 10))

    def ask(self, raw, method="GET"):
        peer = self.connect()
        peer.send(raw)
        out = peer.response(method)
        peer.close()
        return out

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        assert "Sanitizer" not in self.text(), self.text()
        return self.process.returncode


@pytest.fixture
def lab(tmp_path):
    made = []

    class Lab:
        def replica(self, handler=echo, port=0):
            r = Replica(handler, port)
            made.append(r.close)
            return r

        def proxy(self, *replicas, route=None, **doc):
            base = {"services": {"a/web": {"replicas": [
                {"id": "r%d" % i, "address": "127.0.0.1", "port": getattr(r, "port", r)}
                for i, r in enumerate(replicas)]}},
                "routes": [dict({"domain": "a.test", "service": "a/web", "port": 80}, **(route or {}))]}
            base.update(doc)
            p = Proxy(tmp_path, base)
            made.append(lambda: self.stopped(p))
            return p

        def stopped(self, p):
            assert p.stop() == 0, p.text()

    yield Lab()
    for fn in reversed(made):
        fn()


GET = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"


def test_a_request_reaches_the_replica_with_forwarding_fields(lab):
    r = lab.replica()
    p = lab.proxy(r)
    status, head, body = p.ask(b"GET /x?y=1 HTTP/1.1\r\nHost: A.test:99\r\nX-Forwarded-For: 6.6.6.6\r\n"
                               b"Connection: X-Gone\r\nX-Gone: 1\r\n\r\n")
    text = body.decode()
    assert status == 200 and "Via: 1.1 jaco" in head
    assert text.startswith("GET /x?y=1 HTTP/1.1\r\nHost: A.test:99\r\n")
    assert "X-Forwarded-For: 127.0.0.1\r\n" in text and "6.6.6.6" not in text
    assert "X-Forwarded-Proto: http\r\n" in text and "X-Forwarded-Host: A.test:99\r\n" in text
    assert "X-Gone" not in text and "X-Request-Id: " in text


def test_without_descriptors_it_neither_spins_nor_fills_the_log(lab, tmp_path):
    p = lab.proxy(lab.replica(), workers=1)
    pid = p.process.pid
    used = len(os.listdir("/proc/%d/fd" % pid))
    hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 8, hard))
    crowd = [p.connect() for _ in range(40)]
    time.sleep(1)
    assert 1 <= p.text().count("no descriptor left") <= 20
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
    crowd[-1].send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert "200" in crowd[-1].head().split("\r\n")[0]  # the last of the backlog is served after all


def test_connections_to_replicas_are_reused(lab):
    r = lab.replica()
    p = lab.proxy(r, workers=1)
    peer = p.connect()
    for _ in range(50):
        peer.send(GET)
        assert peer.response()[0] == 200
    assert r.count == 1


def test_pipelined_requests_are_answered_in_order(lab):
    p = lab.proxy(lab.replica())
    peer = p.connect()
    peer.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a.test\r\n\r\n" % i for i in range(100)))
    for i in range(100):
        assert b"GET /%d " % i in peer.response()[2]
    peer.send(b"GET /nope HTTP/1.1\r\nHost: b.test\r\n\r\n" * 500 + GET)
    for i in range(500):
        assert peer.response()[0] == 404
    assert peer.response()[0] == 200


def test_one_byte_at_a_time(lab):
    p = lab.proxy(lab.replica())
    peer = p.connect()
    for byte in b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n":
        peer.send(bytes([byte]))
    status, _, body = peer.response()
    assert status == 200 and body.endswith(b"hello")


SMUGGLING = [
    b"GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.test\r\nX: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.test\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.test\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    b"GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1, 1\r\n\r\na",
    b"GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length: +1\r\n\r\na",
    b"GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length : 1\r\n\r\na",
    b"GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.test\x00\r\n\r\n",
    b"GET / HTTP/1.1 \r\nHost: a.test\r\n\r\n",
    b"GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.test\r\n" + b"A: b\r\n" * 101 + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: a.test\r\n" + (b"A: " + b"b" * 8000 + b"\r\n") * 9 + b"\r\n",
]


@pytest.mark.parametrize("i", range(len(SMUGGLING)))
def test_ambiguous_requests_are_refused_and_the_connection_ends(lab, i):
    r = lab.replica()
    p = lab.proxy(r)
    peer = p.connect()
    peer.send(SMUGGLING[i] + GET)
    status, head, _ = peer.response()
    assert status in (400, 501, 505) and "Connection: close" in head
    assert peer.rest() == b""
    assert r.heads == []


def test_bad_chunks_break_the_request(lab):
    r = lab.replica()
    p = lab.proxy(r)
    for body in (b"5\r\nhelloX\r\n0\r\n\r\n", b"-1\r\n", b"5;\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n",
                 b"ffffffffffffffff1\r\n", b"5\r\nhello\r\n0\r\nA : b\r\n\r\n"):
        peer = p.connect()
        peer.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
        status, head, _ = peer.response()
        assert status == 400, body
        assert peer.is_closed()


def test_bodies_of_all_framings_go_up(lab):
    p = lab.proxy(lab.replica())
    big = os.urandom(300000).hex().encode()
    peer = p.connect()
    peer.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: %d\r\n\r\n" % len(big) + big)
    assert peer.response()[2].endswith(big)
    peer.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n")
    for at in range(0, len(big), 7777):
        part = big[at:at + 7777]
        peer.send(b"%x;ext=1\r\n" % len(part) + part + b"\r\n")
    peer.send(b"0\r\nX-T: 1\r\n\r\n")
    assert peer.response()[2].endswith(big)
    peer.send(GET)
    assert peer.response()[0] == 200


def test_responses_of_all_framings_come_down(lab):
    big = os.urandom(500000).hex().encode()

    def serve(peer, n):
        while True:
            path = peer.head().split()[1]
            if path == "/length":
                peer.send(ok(big))
            elif path == "/chunked":
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for at in range(0, len(big), 9999):
                    part = big[at:at + 9999]
                    peer.send(b"%x\r\n" % len(part) + part + b"\r\n")
                peer.send("0\r\nX-Sum: 7\r\n\r\n")
            elif path == "/none":
                peer.send("HTTP/1.1 204 No Content\r\n\r\n")
            elif path == "/same":
                peer.send("HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 99\r\n\r\n")
            else:
                peer.send(b"HTTP/1.0 200 OK\r\n\r\n" + big)
                return

    p = lab.proxy(lab.replica(serve))
    peer = p.connect()
    for path in ("/length", "/chunked", "/none", "/same", "/close", "/length"):
        peer.send("GET %s HTTP/1.1\r\nHost: a.test\r\n\r\n" % path)
        status, head, body = peer.response()
        if path in ("/none", "/same"):
            assert body == b"" and status in (204, 304)
            assert ("Content-Length: 99" in head) == (path == "/same")
        else:
            assert status == 200 and body == big, path
    one = p.connect()
    one.send("GET /chunked HTTP/1.0\r\nHost: a.test\r\n\r\n")
    status, head, body = one.response()
    assert "chunked" not in head and body == big


def test_trailers_pass_both_ways(lab):
    def serve(peer, n):
        peer.head()
        body, trailers = peer.chunked()
        assert trailers == "X-Up: 1\r\n"
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Down: 2\r\n\r\n")

    p = lab.proxy(lab.replica(serve))
    peer = p.connect()
    peer.send("POST / HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n"
              "1\r\na\r\n0\r\nX-Up: 1\r\nContent-Length: 9\r\n\r\n")
    head = peer.head()
    assert "200" in head
    assert peer.chunked() == (b"hi", "X-Down: 2\r\n")


def test_head_has_no_body(lab):
    def serve(peer, n):
        while True:
            assert peer.head().startswith("HEAD")
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")

    p = lab.proxy(lab.replica(serve))
    peer = p.connect()
    for _ in range(3):
        peer.send("HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        status, head, _ = peer.response("HEAD")
        assert status == 200 and "Content-Length: 1000" in head
    peer.send("HEAD / HTTP/1.1\r\nHost: no.test\r\n\r\n")
    assert peer.response("HEAD")[0] == 404


def test_interim_responses_and_100_continue(lab):
    def serve(peer, n):
        while True:
            head = peer.head()
            if "Expect: 100-continue" in head:
                peer.send("HTTP/1.1 100 Continue\r\n\r\n")
            peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            peer.send(ok(peer.body(head)))

    p = lab.proxy(lab.replica(serve))
    peer = p.connect()
    peer.send("POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert peer.head().startswith("HTTP/1.1 100")
    peer.send("abc")
    early = peer.head()
    assert early.startswith("HTTP/1.1 103") and "Link: </a>" in early
    assert peer.response()[2] == b"abc"
    old = p.connect()
    old.send("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n")
    assert old.head().startswith("HTTP/1.1 200")


def test_unknown_host_path_and_no_replica(lab):
    p = lab.proxy(route={"path": "/only"})
    status, head, _ = p.ask(b"GET / HTTP/1.1\r\nHost: nowhere\r\n\r\n")
    assert status == 404 and "Server: jaco" in head
    assert p.ask(b"GET /other HTTP/1.1\r\nHost: a.test\r\n\r\n")[0] == 404
    status, head, _ = p.ask(b"GET /only/x HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert status == 503 and "Retry-After" in head


def test_a_dead_replica_is_skipped_and_nobody_notices(lab):
    dead = free_port()
    r = lab.replica()
    p = lab.proxy(dead, r, dead + 0, route={"balance": "round"})
    for _ in range(60):
        assert p.ask(GET)[0] == 200
    only = lab.proxy(free_port())
    status, head, _ = only.ask(GET)
    assert status == 503 and "Retry-After" in head


def test_a_replica_that_comes_back_is_used_at_once(lab):
    port = free_port()
    p = lab.proxy(port)
    assert p.ask(GET)[0] == 503
    lab.replica(port=port)
    assert p.ask(GET)[0] == 200


def test_a_dead_keep_alive_connection_is_retried_only_when_harmless(lab):
    gone = threading.Event()

    def serve(peer, n):
        if n > 1:
            echo(peer, n)
        peer.head()
        peer.send(ok())
        # Takes the next request without a word and closes: it had given up the connection.
        peer.head()
        gone.set()

    r = lab.replica(serve)
    p = lab.proxy(r, workers=1)
    peer = p.connect()
    peer.send(GET)
    assert peer.response()[0] == 200
    peer.send(GET)
    assert peer.response()[0] == 200 and gone.is_set()

    r2 = lab.replica(serve)
    p2 = lab.proxy(r2, workers=1)
    peer = p2.connect()
    peer.send(GET)
    assert peer.response()[0] == 200
    peer.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n")
    assert peer.response()[0] == 502
    assert r2.count == 1


def test_a_replica_that_dies_in_the_body_breaks_the_response(lab):
    def serve(peer, n):
        path = peer.head().split()[1]
        if path == "/length":
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        else:
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")

    p = lab.proxy(lab.replica(serve))
    for path in ("/length", "/chunked"):
        peer = p.connect()
        peer.send("GET %s HTTP/1.1\r\nHost: a.test\r\n\r\n" % path)
        head = peer.head()
        assert "200" in head
        with pytest.raises((EOFError, ConnectionResetError)):
            peer.body(head)


def test_nonsense_from_a_replica_is_502(lab):
    answers = [b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
               b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
               b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
               b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", b""]
    for raw in answers:
        def serve(peer, n):
            peer.head()
            peer.send(raw)
        p = lab.proxy(lab.replica(serve))
        assert p.ask(GET)[0] == 502, raw


def test_an_early_answer_to_an_upload(lab):
    def serve(peer, n):
        peer.head()
        peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        peer.sock.shutdown(socket.SHUT_WR)
        try:
            while peer.sock.recv(65536):
                pass
        except OSError:
            pass

    p = lab.proxy(lab.replica(serve))
    peer = p.connect()
    peer.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000\r\n\r\n" + b"x" * 20000)
    status, head, _ = peer.response()
    assert status == 413 and "Connection: close" in head


def test_websocket_is_a_tunnel_with_half_close(lab):
    def serve(peer, n):
        head = peer.head()
        assert "Upgrade: websocket" in head and "Connection: upgrade" in head
        peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  "Sec-WebSocket-Accept: x\r\n\r\nhello")
        data = peer.rest()
        peer.send(data[::-1])

    p = lab.proxy(lab.replica(serve))
    peer = p.connect()
    peer.send("GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              "Sec-WebSocket-Key: k\r\n\r\n")
    head = peer.head()
    assert head.startswith("HTTP/1.1 101") and "Sec-WebSocket-Accept: x" in head
    assert peer.take(5) == b"hello"
    payload = os.urandom(200000)
    peer.send(payload)
    peer.sock.shutdown(socket.SHUT_WR)
    assert peer.rest() == payload[::-1]


def test_server_sent_events_are_not_held_back(lab):
    step = threading.Event()

    def serve(peer, n):
        peer.head()
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for i in range(3):
            peer.send("data: %d\n\n" % i)
            assert step.wait(10)
            step.clear()

    p = lab.proxy(lab.replica(serve))
    peer = p.connect()
    peer.send(GET)
    peer.head()
    for i in range(3):
        size = int(peer.until(b"\r\n"), 16)
        assert peer.take(size) == b"data: %d\n\n" % i
        peer.take(2)
        step.set()
    assert peer.until(b"0\r\n\r\n")


def test_timeouts(lab):
    def silent(peer, n):
        peer.head()
        peer.rest()

    p = lab.proxy(lab.replica(silent), route={"timeouts": {"response": "300ms"}},
                  timeouts={"head": "400ms", "keepalive": "500ms", "body": "400ms"})
    start = time.monotonic()
    assert p.ask(GET)[0] == 504 and time.monotonic() - start < 3
    slow = p.connect()
    slow.send("GET / HTT")
    assert slow.response()[0] == 408
    idle = p.connect()
    assert idle.is_closed()
    stuck = p.connect()
    stuck.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nabc")
    assert stuck.response()[0] == 408


def test_idle_limit_of_a_response(lab):
    def serve(peer, n):
        peer.head()
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        peer.rest()

    p = lab.proxy(lab.replica(serve), route={"timeouts": {"idle": "300ms"}})
    peer = p.connect()
    peer.send(GET)
    peer.head()
    with pytest.raises((EOFError, ConnectionResetError)):
        peer.take(10)


def test_route_options(lab):
    r = lab.replica()
    routes = [
        {"domain": "a.test", "path": "/api", "service": "a/web", "strip_path": True,
         "headers": {"request": {"set": {"X-Set": "1"}, "remove": ["X-Secret"]},
                     "response": {"set": {"Strict-Transport-Security": "max-age=1"}, "remove": ["Server"]}}},
        {"domain": "a.test", "path": "/small", "service": "a/web", "max_body": 10},
        {"domain": "a.test", "path": "/in", "service": "a/web", "allow": ["10.0.0.0/8"]},
        {"domain": "a.test", "path": "/down", "service": "a/web", "maintenance": "back soon\n"},
        {"domain": "a.test", "path": "/secret", "service": "a/web", "basic_auth": [
            {"user": "ops", "password_hash": "$5$abcdefgh$ZLdkj8mkc2XVSrPVjskDAgZPGjtj1VGVaa1aUkrMTU/"}]},
        {"domain": "old.test", "redirect": {"to": "https://new.test", "code": 301}},
        {"domain": "older.test", "redirect": {"to": "https://new.test/fixed"}},
    ]
    import crypt
    routes[4]["basic_auth"][0]["password_hash"] = crypt.crypt("geheim", "$5$abcdefgh$")
    p = lab.proxy(r, routes=routes)
    _, head, body = p.ask(b"GET /api/v1?q HTTP/1.1\r\nHost: a.test\r\nX-Secret: s\r\n\r\n")
    assert body.startswith(b"GET /v1?q HTTP/1.1") and b"X-Set: 1\r\n" in body and b"X-Secret" not in body
    assert "Strict-Transport-Security: max-age=1" in head
    assert p.ask(b"POST /small HTTP/1.1\r\nHost: a.test\r\nContent-Length: 11\r\n\r\n")[0] == 413
    assert p.ask(b"POST /small HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"
                 b"14\r\n01234567890123456789\r\n0\r\n\r\n")[0] == 413
    assert p.ask(b"POST /small HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc")[0] == 200
    assert p.ask(b"GET /in HTTP/1.1\r\nHost: a.test\r\n\r\n")[0] == 403
    status, head, body = p.ask(b"GET /down HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert status == 503 and "Retry-After" in head and body == b"back soon\n"
    status, head, _ = p.ask(b"GET /secret HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert status == 401 and "WWW-Authenticate: Basic" in head
    for user, want in (("ops:geheim", 200), ("ops:falsch", 401), ("nobody:geheim", 401), ("ops:geheim", 200)):
        cred = base64.b64encode(user.encode())
        assert p.ask(b"GET /secret HTTP/1.1\r\nHost: a.test\r\nAuthorization: Basic " + cred +
                     b"\r\n\r\n")[0] == want
    status, head, _ = p.ask(b"GET /x?y HTTP/1.1\r\nHost: old.test\r\n\r\n")
    assert status == 301 and "Location: https://new.test/x?y\r\n" in head
    status, head, _ = p.ask(b"GET /x?y HTTP/1.1\r\nHost: older.test\r\n\r\n")
    assert status == 308 and "Location: https://new.test/fixed\r\n" in head


def test_sticky_cookie(lab):
    names = {}

    def named(peer, n):
        while True:
            peer.head()
            peer.send(ok(str(peer.sock.getsockname()[1]).encode()))

    replicas = [lab.replica(named) for _ in range(4)]
    p = lab.proxy(*replicas, route={"sticky": {"cookie": "JACOID"}})
    _, head, first = p.ask(GET)
    cookie = [l for l in head.split("\r\n") if l.startswith("Set-Cookie: ")][0].split(" ", 1)[1].split(";")[0]
    for _ in range(30):
        _, head, body = p.ask(b"GET / HTTP/1.1\r\nHost: a.test\r\nCookie: a=b; " + cookie.encode() + b"\r\n\r\n")
        assert body == first and "Set-Cookie" not in head


def test_proxy_protocol_from_trusted_proxies_only(lab):
    r = lab.replica()
    p = lab.proxy(r, trusted_proxies=["127.0.0.0/8"])
    status, _, body = p.ask(b"PROXY TCP4 192.0.2.9 10.0.0.1 1 2\r\n" + GET)
    assert status == 200 and b"X-Forwarded-For: 192.0.2.9\r\n" in body
    v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack(">H", 12) + bytes([192, 0, 2, 10, 10, 0, 0, 1, 0, 1, 0, 2])
    assert b"X-Forwarded-For: 192.0.2.10\r\n" in p.ask(v2 + GET)[2]
    body = p.ask(b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 1.2.3.4\r\nX-Request-Id: abc\r\n\r\n")[2]
    assert b"X-Forwarded-For: 1.2.3.4, 127.0.0.1\r\n" in body and b"X-Request-Id: abc\r\n" in body
    q = lab.proxy(r)
    assert q.ask(b"PROXY TCP4 192.0.2.9 10.0.0.1 1 2\r\n" + GET)[0] == 400


def test_tcp_port_passes_bytes_and_half_closes(lab):
    def serve(peer, n):
        data = peer.rest()
        peer.send(data[::-1])

    r = lab.replica(serve)
    port = free_port()
    p = lab.proxy(r, more_listeners=[{"kind": "tcp", "address": "127.0.0.1:%d" % port, "service": "a/web"}])
    for size in (0, 1, 1000, 5000000):
        peer = p.connect(port)
        data = os.urandom(size)
        peer.send(data)
        peer.sock.shutdown(socket.SHUT_WR)
        assert peer.rest() == data[::-1]


def test_tcp_port_with_a_dead_replica_and_with_proxy_header(lab):
    def serve(peer, n):
        peer.send(peer.take(28 + 3))

    port = free_port()
    p = lab.proxy(free_port(), lab.replica(serve), more_listeners=[
        {"kind": "tcp", "address": "127.0.0.1:%d" % port, "service": "a/web", "send_proxy": True}])
    for _ in range(10):
        peer = p.connect(port)
        peer.send("abc")
        got = peer.take(31)
        assert got.startswith(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01") and got.endswith(b"abc")


def test_udp_port_keeps_flows_apart(lab):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                data, who = sock.recvfrom(65536)
            except OSError:
                return
            if data == b"end":
                return
            sock.sendto(data[::-1], who)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    port = free_port()
    lab.proxy(sock.getsockname()[1], more_listeners=[
        {"kind": "udp", "address": "127.0.0.1:%d" % port, "service": "a/web"}])
    clients = []
    for i in range(20):
        c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        c.settimeout(5)
        c.connect(("127.0.0.1", port))
        clients.append(c)
    for round_ in range(3):
        for i, c in enumerate(clients):
            c.send(b"%d-%d" % (i, round_))
        for i, c in enumerate(clients):
            assert c.recv(100) == (b"%d-%d" % (i, round_))[::-1]
    clients[0].send(os.urandom(8000))
    assert len(clients[0].recv(65536)) == 8000
    sock.sendto(b"end", sock.getsockname())
    thread.join(5)
    sock.close()


def make_cert(tmp_path, name):
    crt, key = str(tmp_path / (name + ".crt")), str(tmp_path / (name + ".key"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:" + name, "-keyout", key,
                    "-out", crt], check=True, capture_output=True)
    return {"cert": crt, "key": key}


def tls_connect(port, name, alpn=None, version=None):
    ctx = ssl.create_default_context()
    ctx.check_hostname = False
    ctx.verify_mode = ssl.CERT_NONE
    if alpn:
        ctx.set_alpn_protocols(alpn)
    if version:
        ctx.maximum_version = version
    sock = socket.create_connection(("127.0.0.1", port), 10)
    return Peer(ctx.wrap_socket(sock, server_hostname=name))


def test_tls_chooses_certificates_and_redirects(lab, tmp_path):
    port = free_port()
    a, wild = make_cert(tmp_path, "a.test"), make_cert(tmp_path, "*.b.test")
    p = lab.proxy(lab.replica(), certificates=[a, wild], routes=[
        {"domain": "a.test", "service": "a/web"}, {"domain": "x.b.test", "service": "a/web", "tls": "off"},
        {"domain": "c.test", "service": "a/web"}],
        more_listeners=[{"kind": "https", "address": "127.0.0.1:%d" % port}])
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        peer = tls_connect(port, "a.test", ["http/1.1"], version)
        assert b"a.test" in peer.sock.getpeercert(True) and peer.sock.selected_alpn_protocol() == "http/1.1"
        for _ in range(3):
            peer.send(GET)
            status, _, body = peer.response()
            assert status == 200 and b"X-Forwarded-Proto: https\r\n" in body
    big = os.urandom(200000).hex().encode()
    peer.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: %d\r\n\r\n" % len(big) + big)
    assert peer.response()[2].endswith(big)
    peer = tls_connect(port, "x.b.test")
    assert b"*.b.test" in peer.sock.getpeercert(True)
    with pytest.raises(ssl.SSLError) as e:
        tls_connect(port, "unknown.test")
    assert "UNRECOGNIZED_NAME" in str(e.value).upper()
    status, head, _ = p.ask(b"GET /x?y HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert status == 308 and "Location: https://a.test:%d/x?y\r\n" % port in head
    assert p.ask(b"GET / HTTP/1.1\r\nHost: x.b.test\r\n\r\n")[0] == 200
    assert p.ask(b"GET / HTTP/1.1\r\nHost: c.test\r\n\r\n")[0] == 200  # no certificate yet


def test_certificates_are_swapped_without_dropping(lab, tmp_path):
    port = free_port()
    p = lab.proxy(lab.replica(), certificates=[make_cert(tmp_path, "a.test")],
                  more_listeners=[{"kind": "https", "address": "127.0.0.1:%d" % port}])
    peer = tls_connect(port, "a.test")
    peer.send(GET)
    assert peer.response()[0] == 200
    old = peer.sock.getpeercert(True)
    make_cert(tmp_path, "a.test")
    p.reload()
    assert tls_connect(port, "a.test").sock.getpeercert(True) != old
    peer.send(GET)
    assert peer.response()[0] == 200


def test_reload_under_load_fails_no_request(lab):
    replicas = [lab.replica() for _ in range(3)]
    p = lab.proxy(*replicas)
    counts = {"ok": 0, "bad": 0}
    stop = threading.Event()
    lock = threading.Lock()

    def load(keep):
        peer = None
        while not stop.is_set():
            try:
                if peer is None:
                    peer = p.connect()
                peer.send(GET)
                good = peer.response()[0] == 200
            except (OSError, EOFError):
                good = False
                peer = None
            with lock:
                counts["ok" if good else "bad"] += 1
            if peer and not keep:
                peer.close()
                peer = None

    ws_down = threading.Event()
    threads = [threading.Thread(target=load, args=(i % 2 == 0,)) for i in range(4)]
    for t in threads:
        t.start()
    for i in range(30):
        p.doc["routes"] = [{"domain": "a.test", "service": "a/web"}] + [
            {"domain": "n%d-%d.test" % (i, k), "service": "a/web"} for k in range(50)]
        p.doc["services"]["a/web"]["replicas"][i % 3]["state"] = "running"
        p.doc["services"]["a/web"]["replicas"][(i + 1) % 3]["state"] = "draining"
        p.reload()
    stop.set()
    for t in threads:
        t.join()
    print("requests", counts)
    assert counts["bad"] == 0 and counts["ok"] > 100


def test_a_broken_file_keeps_the_old_tables(lab):
    p = lab.proxy(lab.replica())
    with open(p.path, "w") as f:
        f.write("{\"routes\": 1}")
    p.process.send_signal(signal.SIGHUP)
    end = time.monotonic() + 5
    while "old tables kept" not in p.text():
        assert time.monotonic() < end
        time.sleep(0.02)
    assert p.ask(GET)[0] == 200
    p.write()


def test_stop_finishes_requests_under_way(lab):
    go = threading.Event()

    def serve(peer, n):
        peer.head()
        assert go.wait(10)
        peer.send(ok(b"late"))

    p = lab.proxy(lab.replica(serve))
    peer = p.connect()
    idle = p.connect()
    peer.send(GET)
    time.sleep(0.2)
    p.process.terminate()
    assert idle.is_closed()
    go.set()
    status, head, body = peer.response()
    assert (status, body) == (200, b"late")
    assert p.process.wait(5) == 0


def test_three_restarts_under_load_fail_no_request(lab):
    """The next process listens beside the old one, which then takes what waits and finishes."""
    p = lab.proxy(lab.replica())
    counts = {"ok": 0, "bad": 0}
    stop = threading.Event()

    def load():
        peer = p.connect()
        while not stop.is_set():
            try:
                peer.send(GET)
                status, head, _ = peer.response()
                counts["ok" if status == 200 else "bad"] += 1
                if "Connection: close" in head:
                    peer = p.connect()
            except (OSError, EOFError):
                counts["bad"] += 1
                peer = p.connect()

    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    for _ in range(3):
        old, before = p.process, p.text().count("serving")
        p.process = subprocess.Popen([PROXYD, "--standalone", p.path], stderr=p.log, stdout=p.log)
        end = time.monotonic() + 10
        while p.text().count("serving") == before:
            assert time.monotonic() < end
            time.sleep(0.01)
        old.terminate()
        assert old.wait(20) == 0
    stop.set()
    for t in threads:
        t.join()
    print("requests", counts)
    assert counts["bad"] == 0 and counts["ok"] > 100


def test_check_option_names_the_place(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"routes": [{"domain": "a", "service": "none"}]}')
    out = subprocess.run([PROXYD, "--standalone", str(path), "--check"], capture_output=True, text=True)
    assert out.returncode == 65 and "routes[0].service" in out.stderr
    path.write_text('{"routes": []}')
    assert subprocess.run([PROXYD, "--standalone", str(path), "--check"], capture_output=True).returncode == 0


# --- as a daemon of a node ---


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
        peer = Peer(socket.create_connection(("127.0.0.1", port or self.port), 10))
        peer.send(raw)
        out = peer.response()
        peer.close()
        return out

    def wait_status(self, status, seconds=10):
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
    node.daemon.wait(lambda: os.path.exists(str(node.root / "cache" / "proxyd" / "view")), 15, "view saved")
    time.sleep(0.1)
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
    store.wait(lambda: not ingress(store).get("problems"), 15, why="port taken later")
    peer = Peer(socket.create_connection(("127.0.0.1", port), 10))
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
    node.daemon.wait(closed, 10, "port closed")
