# SPDX-License-Identifier: Apache-2.0
"""Replicas that are gone, come back, die in a word or talk nonsense, as jaco-proxyd's clients see it."""
import socket
import threading

import pytest

from lab_proxy import GET, echo, lab, ok  # noqa: F401
from ports import free_port


def test_connections_to_replicas_are_reused(lab):
    r = lab.replica()
    p = lab.proxy(r, workers=1)
    peer = p.connect()
    for _ in range(50):
        peer.send(GET)
        assert peer.response()[0] == 200
    assert r.count == 1


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
