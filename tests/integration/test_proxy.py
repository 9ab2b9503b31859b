# SPDX-License-Identifier: Apache-2.0
"""What jaco-proxyd makes of a request: where it goes, what is added, how long it may take."""
import base64
import os
import resource
import socket
import struct
import subprocess
import threading
import time

import pytest

from lab_proxy import GET, LIMIT, lab, ok  # noqa: F401


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
    end = time.monotonic() + LIMIT
    while "no descriptor left" not in p.text():
        assert time.monotonic() < end
        time.sleep(0.01)
    time.sleep(1)  # in which one that spins says it a thousand times
    assert p.text().count("no descriptor left") <= 20
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
    crowd[-1].send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert "200" in crowd[-1].head().split("\r\n")[0]  # the last of the backlog is served after all


def test_unknown_host_path_and_no_replica(lab):
    p = lab.proxy(route={"path": "/only"})
    status, head, _ = p.ask(b"GET / HTTP/1.1\r\nHost: nowhere\r\n\r\n")
    assert status == 404 and "Server: jaco" in head
    assert p.ask(b"GET /other HTTP/1.1\r\nHost: a.test\r\n\r\n")[0] == 404
    status, head, _ = p.ask(b"GET /only/x HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert status == 503 and "Retry-After" in head


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
            assert step.wait(LIMIT)
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

    # One that is short at a time: who is slow to write its request must meet no other.
    assert lab.proxy(lab.replica(silent), route={"timeouts": {"response": "300ms"}}).ask(GET)[0] == 504
    idle = lab.proxy(lab.replica(), timeouts={"keepalive": "500ms"}).connect()
    idle.send(GET)
    assert idle.response()[0] == 200 and idle.is_closed()
    p = lab.proxy(lab.replica(silent), timeouts={"head": "3s", "body": "400ms"})
    mute, slow, stuck = p.connect(), p.connect(), p.connect()
    slow.send("GET / HTT")
    stuck.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nabc")
    assert stuck.response()[0] == 408
    assert slow.response()[0] == 408
    assert mute.is_closed()


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


def crypted(password):
    return subprocess.run(["openssl", "passwd", "-5", password], check=True, capture_output=True, text=True).stdout.strip()


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
            {"user": "ops", "password_hash": crypted("geheim")}]},
        {"domain": "old.test", "redirect": {"to": "https://new.test", "code": 301}},
        {"domain": "older.test", "redirect": {"to": "https://new.test/fixed"}},
    ]
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
