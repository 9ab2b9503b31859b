# SPDX-License-Identifier: Apache-2.0
"""Who may not speak on listen_addr, or speaks too much: refused, bounded, and nobody else notices."""
import os
import re
import socket
import ssl

import msgpack
import pytest

from jacorpc import RpcError
from lab_raftds import Cluster, three  # noqa: F401
from lab_remote import Remote, is_over, issue, plain


def test_strangers_may_say_who_they_are_and_nothing_else(three):
    node = three.nodes[0]
    for method in ("hello", "status", "cluster.status", "kv.get", "metrics", "nothing"):
        far = Remote(node)
        with pytest.raises(RpcError) as caught:
            far.call(method, key="/node/n1")
        assert caught.value.code in ("token_invalid", "unknown_method", "validation_failed")
        assert is_over(far.sock)
    for rude in (b"\xc1" * 64, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(4096),
                 b"\x00" * 70000, msgpack.packb([0, 1, "auth", [{"token": "x" * 100000}]]),
                 msgpack.packb([0, 1, "auth", [{"token": 7}]]), b"\x94\x00\x01\xdb\xff\xff\xff\xff"):
        for sock in (Remote(node).sock, plain(node)):
            try:
                sock.sendall(rude)
                sock.shutdown(socket.SHUT_WR)
            except (ConnectionError, OSError):
                pass
            assert is_over(sock)
    # what follows a wrong token is not even looked at
    far = Remote(node)
    first = far.request("auth", token="0" * 64)
    for _ in range(50):
        far.request("cluster.status")
    with pytest.raises(RpcError) as caught:
        far.reply(first)
    assert caught.value.code == "token_invalid"
    assert is_over(far.sock)
    text = node.rpc().call("metrics")["text"]
    refused = re.search(r"^jaco_raftd_tokens_refused_total (\d+)", text, re.M)
    assert int(refused.group(1)) >= 1


def test_half_handshakes_are_bounded_in_number_and_time(three):
    node = three.nodes[1]
    token = issue(node, "patient")
    hello = client_hello()
    held = []
    for i in range(200):
        sock = plain(node)
        if i % 2:
            sock.sendall(hello[:i])
        held.append(sock)
        if i % 50 == 0:
            assert Remote(node, token).call("cluster.status")["host"] == "n2"
    # the oldest made room for the newest: most of them are over already
    over = 0
    for sock in held[:150]:
        over += is_over(sock)
    assert over == 150
    # and the last ones when their time is up
    slow = plain(node)
    for byte in hello[:4]:
        slow.sendall(bytes([byte]))
    assert is_over(slow)
    assert Remote(node, token).call("cluster.status")["host"] == "n2"
    for sock in held:
        sock.close()


def client_hello():
    """The first flight of a TLS client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname = False
    stream = context.wrap_bio(incoming, outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        stream.do_handshake()
    return outgoing.read()


def test_what_one_token_may_hold_is_bounded(three):
    node = three.nodes[2]
    token = issue(node, "greedy")
    others = Remote(node, issue(node, "modest"))
    connections = [Remote(node, token) for _ in range(3)]
    refused = 0
    for far in connections:
        asked = [far.request("leader.watch") for _ in range(70)]
        answers = {}
        last = far.request("hello")
        while last not in answers:
            message = far.recv()
            if message[0] == 1:
                answers[message[1]] = message[2]
        wrong = [answers[a] for a in asked if answers.get(a)]
        assert all(w["code"] == "too_many_requests" for w in wrong)
        refused += len(wrong)
    assert refused >= 3 * 70 - 128
    assert others.call("cluster.status")["host"] == "n3"
    many = []
    with pytest.raises(RpcError) as caught:
        while len(many) < 100:
            many.append(Remote(node, token))
    assert caught.value.code == "too_many_requests"
    with pytest.raises((RpcError, EOFError, ConnectionError, ssl.SSLError)):
        others.reply(others.request("kv.get", key="x" * 2000000))
    assert Remote(node, issue(node, "modest2")).call("cluster.status")["host"] == "n3"


def test_nobody_is_served_before_there_is_a_cluster(tmp_path):
    made = Cluster(tmp_path)
    node = made.add()
    assert is_over(plain(node))
    node.rpc().call("cluster.init")
    assert Remote(node, issue(node, "now")).call("cluster.status")["initialised"]
    made.stop()
