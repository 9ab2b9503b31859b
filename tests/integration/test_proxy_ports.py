# SPDX-License-Identifier: Apache-2.0
"""The published ports of jaco-proxyd: TCP and UDP passed on as they are, TLS ended."""
import os
import socket
import ssl
import threading

import pytest

from lab_proxy import GET, LIMIT, lab, make_cert, tls_connect  # noqa: F401
from ports import free_port


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
        c.settimeout(LIMIT)
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
    thread.join(LIMIT)
    sock.close()


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
