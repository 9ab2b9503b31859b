# SPDX-License-Identifier: Apache-2.0
"""jaco-proxyd over raw sockets: a scripted replica behind, a scripted client in front."""
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from lab_daemon import BUILD
from ports import free_port

PROXYD = os.path.join(BUILD, "daemons", "proxyd", "jaco-proxyd")
GET = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
LIMIT = 30  # seconds for what takes milliseconds on a machine that has time


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
        sock.settimeout(LIMIT)

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
        end = time.monotonic() + LIMIT
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
        end = time.monotonic() + LIMIT
        while self.text().count("tables read") == before:
            assert time.monotonic() < end, self.text()
            time.sleep(0.01)

    def connect(self, port=None):
        return Peer(socket.create_connection(("127.0.0.1", port or self.port), LIMIT))

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
                self.process.wait(LIMIT)
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
    sock = socket.create_connection(("127.0.0.1", port), LIMIT)
    return Peer(ctx.wrap_socket(sock, server_hostname=name))
