# SPDX-License-Identifier: Apache-2.0
"""HTTP/1 through jaco-proxyd: every framing both ways, and none that two parsers read differently."""
import os

import pytest

from lab_proxy import GET, lab, ok  # noqa: F401


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
