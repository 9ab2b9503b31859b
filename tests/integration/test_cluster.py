# SPDX-License-Identifier: Apache-2.0
"""Three real jaco-raftd on loopback addresses: join, agree, lose the leader, forget a member."""
import base64
import os
import signal
import socket
import ssl
import statistics
import threading
import time

import msgpack
import pytest

from jacorpc import RpcError
from lab_raftds import (Peer, cluster, commit, counter, fails, get, hold_the_same,  # noqa: F401
                         log_bytes, put, refused, three, voters, wait)


# --- join ------------------------------------------------------------------------------------


def test_join_and_the_voter_table(cluster):
    cluster.grow(2)
    one, two = cluster.nodes
    assert two.status()["cluster_id"] == one.status()["cluster_id"]
    assert voters(one) == ["n1"] and voters(two) == ["n1"]
    cluster.add().join(one.token())
    for node in cluster.nodes:
        wait(lambda: voters(node) == ["n1", "n2", "n3"])
    wait(lambda: hold_the_same(cluster.nodes))


def test_what_does_not_let_a_machine_in(three, cluster):
    one = three.nodes[0]
    stranger = cluster.add("stranger")
    fails("token_invalid", "not a whole join token", stranger.join, "jaco1.AAAA")
    fails("token_invalid", "not a whole join token", stranger.join, "nonsense")
    good = one.token()
    raw = good.split(".")[1]
    ca, secret, *addresses = base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)).decode().split(",")

    def forge(*parts):
        return "jaco1." + base64.urlsafe_b64encode(",".join(parts).encode()).decode().rstrip("=")

    fails("token_invalid", "never issued", stranger.join, forge(ca, "0" * 64, *addresses))
    fails("permission_denied", "nothing was sent", stranger.join, forge("0" * 64, secret, *addresses))
    short = one.token(ttl_ms=1)
    fails("token_expired", "expired", stranger.join, short)
    twin = cluster.add("n2")
    fails("node_already_member", "n2", twin.join, good)
    assert stranger.join(good)["host"] == "stranger"
    late = cluster.add("late")
    fails("token_revoked", "stranger", late.join, good)
    assert late.status()["initialised"] is False
    fails("cluster_already_initialized", "already", stranger.join, one.token())
    three.nodes[1].rpc().call("node.remove", host="stranger")
    wait(lambda: "stranger" not in one.members())
    wait(lambda: voters(one) == ["n1", "n2", "n3"])


def test_a_token_of_another_cluster_is_foreign(three, cluster):
    cluster.grow(1)
    stranger = cluster.add("stranger")
    raw = cluster.nodes[0].token().split(".")[1]
    ca, secret, _ = base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)).decode().split(",")
    fake = base64.urlsafe_b64encode(",".join((ca, secret, three.nodes[0].address)).encode())
    fails("permission_denied", "nothing was sent", stranger.join,
          "jaco1." + fake.decode().rstrip("="))
    assert stranger.status()["initialised"] is False


def join_request(node, **fields):
    raw = node.token().split(".")[1]
    secret = base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)).decode().split(",")[1]
    return dict({"host": "x", "secret": secret, "request": "none", "version": "0.1.0",
                 "clock": int(time.time() * 1000), "peer_addr": "127.0.0.9:7001"}, **fields)


@pytest.mark.parametrize("fields,code,part", [
    ({"clock": int(time.time() * 1000) - 7200000}, "validation_failed", "s behind the cluster's"),
    ({"clock": int(time.time() * 1000) + 7200000}, "validation_failed", "s ahead of the cluster's"),
    ({"host": "No Host"}, "validation_failed", "host"),
    ({"peer_addr": "nowhere"}, "validation_failed", "nowhere"),
    ({}, "validation_failed", "certificate request"),
])
def test_a_join_that_is_not_right_is_told_why(three, fields, code, part):
    peer = Peer(three.nodes[1])
    peer.hello()
    assert peer.recv()[1] == "raft.hello"
    peer.send([0, 1, "raft.join", [join_request(three.nodes[0], **fields)]])
    answer = peer.recv()
    assert answer[2]["code"] == code and part in answer[2]["message"], answer
    assert "x" not in three.nodes[0].members()


def test_a_stranger_may_do_nothing_else(three):
    node = three.nodes[0]
    peer = Peer(node)
    peer.hello()
    assert peer.recv()[1] == "raft.hello"
    peer.send([2, "raft.gossip", [{"id": 0, "event": {}}]], [0, 7, "raft.read", [{}]])
    assert peer.recv()[2]["code"] == "permission_denied"
    for rude in (b"\xc1" * 64, b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096), b"\x00" * 70000,
                 msgpack.packb([2, "raft.message", [{"id": 0, "event": {}}]])):
        peer = Peer(node)
        try:
            peer.sock.sendall(rude)
        except (ConnectionError, ssl.SSLError):
            pass  # cut off in the middle
        while peer.recv():
            pass
        plain = socket.create_connection(tuple(node.address.split(":")), timeout=30)
        plain.sendall(rude)
        plain.close()
    assert put(node, "rude", 1)["succeeded"] and node.process.poll() is None


# --- agreement -------------------------------------------------------------------------------


def test_every_node_takes_writes_and_reads_them(three):
    for i, node in enumerate(three.nodes):
        assert put(node, "via", i)["succeeded"]
        assert get(node, "via") == i
        for other in three.nodes:
            assert get(other, "via", linearizable=True) == i


def test_a_compare_that_fails_is_an_answer_on_every_node(three):
    put(three.nodes[0], "cmp", 1)
    for node in three.nodes:
        answer = commit(
            node.rpc("schedd"), compares=[{"key": "/counter/d/cmp", "revision": 0}],
            puts=[{"key": "/counter/d/cmp", "value": counter(9)}])
        assert not answer["succeeded"] and answer["failed_key"] == "/counter/d/cmp"


def test_status_is_the_same_truth_everywhere(three):
    def agrees(node, leader):
        status = node.status()
        return status.get("leader") == leader and status["quorum"] and all(
            m["leader"] == (m["host"] == leader) and m["voter"] and m["lag"] < 100 and abs(m["skew_ms"]) < 1000
            for m in status["members"])

    def all_agree():  # a busy machine may elect anew in the middle
        leader = three.leader().name
        return all(agrees(node, leader) for node in three.nodes)
    wait(all_agree)


def test_the_leader_dies_and_writes_go_on(three):
    times = []
    for round_ in range(5):
        leader = three.leader()
        survivors = [n for n in three.nodes if n is not leader]
        assert put(survivors[0], "fail", round_)["succeeded"]
        leader.kill()
        begun = time.monotonic()
        assert wait(lambda: try_put(survivors[round_ % 2], "fail", 100 + round_))
        times.append(time.monotonic() - begun)
        assert get(survivors[1], "fail", linearizable=True) == 100 + round_
        leader.start()
        wait(lambda: get(leader, "fail") == 100 + round_)
    print("failover: median %.0f ms, worst %.0f ms" % (statistics.median(times) * 1000,
                                                       max(times) * 1000))


def try_put(node, key, n):
    try:
        return put(node, key, n)["succeeded"]
    except RpcError as error:
        assert error.code in ("no_leader", "quorum_lost", "unavailable"), str(error)
        return False


def test_concurrent_writers_through_all_nodes_lose_nothing(three):
    """Each adds to one counter by compare and retry, while leadership is handed around."""
    done = []

    def add(node):
        rpc = node.rpc("schedd")
        rpc.sock.settimeout(60)
        for _ in range(20):
            while True:
                got = rpc.call("kv.get", key="/counter/d/sum").get("entry")
                value = msgpack.unpackb(got["value"])["next"] if got else 0
                answer = commit(rpc, puts=[{"key": "/counter/d/sum", "value": counter(value + 1)}],
                                compares=[{"key": "/counter/d/sum",
                                           "revision": got["revision"] if got else 0}])
                if answer["succeeded"]:
                    break
        done.append(node.name)

    threads = [threading.Thread(target=add, args=(n,)) for n in three.nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == ["n1", "n2", "n3"]
    assert get(three.nodes[0], "sum", linearizable=True) == 60


def test_leadership_is_handed_over_on_request(three):
    for asked in three.nodes:
        old = three.leader().name
        heir = next(n.name for n in three.nodes if n.name != old)
        assert asked.rpc().call("cluster.leader_transfer", to=heir)["leader"] == heir
        assert three.leader().name == heir
        again = asked.rpc().call("cluster.leader_transfer", to=heir)  # it leads already: no wait
        assert again["leader"] == heir
    fails("node_not_found", "nobody", three.nodes[0].rpc().call, "cluster.leader_transfer",
          to="nobody")


def test_a_minority_says_so_and_comes_back(three):
    leader = three.leader()
    others = [n for n in three.nodes if n is not leader]
    for node in others:
        node.process.send_signal(signal.SIGSTOP)
    wait(lambda: refused(leader))
    assert get(leader, "via") is not None
    for node in others:
        node.process.send_signal(signal.SIGCONT)
    wait(lambda: try_put(leader, "back", 1))
    wait(lambda: get(others[0], "back") == 1)


# --- the observed plane ----------------------------------------------------------------------


def engine(kind):
    return msgpack.packb({"state": "ready", "kind": kind})


def test_observed_records_spread_and_silence_is_noticed(three):
    one, two, three_ = three.nodes
    rpc = two.rpc("runtimed")
    rpc.call("obs.put", key="/obs/node/n2/engine", value=engine("docker"))

    def seen(node, key="/obs/node/n2/engine"):
        return node.rpc("schedd").call("kv.get", key=key).get("entry")

    for node in (one, three_):
        wait(lambda: seen(node))
    rpc.call("obs.put", key="/obs/node/n2/engine")
    for node in (one, three_):
        wait(lambda: not seen(node))

    def liveness(node, host):
        entry = seen(node, "/obs/node/%s/liveness" % host)
        return msgpack.unpackb(entry["value"])["state"] if entry else None

    wait(lambda: liveness(one, "n3") == liveness(one, "n2") == "alive")
    three_.process.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    wait(lambda: one.members()["n3"]["state"] == "unreachable")
    assert liveness(one, "n3") == "unreachable"
    print("silence noticed after %.1f s" % (time.monotonic() - begun))
    three_.process.send_signal(signal.SIGCONT)
    wait(lambda: liveness(one, "n3") == "alive")


# --- a member that was away ------------------------------------------------------------------


def test_a_member_is_removed_and_stays_out(cluster):
    cluster.grow(3)
    wait(lambda: voters(cluster.nodes[0]) == ["n1", "n2", "n3"])
    leader = cluster.leader()
    other = next(n for n in cluster.nodes if n is not leader)
    other.rpc().call("node.remove", host=leader.name)
    rest = [n for n in cluster.nodes if n is not leader]
    for node in rest:
        wait(lambda: leader.name not in node.members())
        wait(lambda: len(voters(node)) == 1)
    leader.kill()
    nobody = Peer(rest[0], leader)  # its certificate is nobody's now
    nobody.hello()
    assert "was removed" in nobody.recv()[2][0]["event"]["refused"]
    assert "refused" not in Peer(rest[0], rest[1]).recv()[2][0]["event"]
    leader.start()
    assert put(rest[0], "without", 1)["succeeded"]
    assert put(rest[1], "without", 2)["succeeded"]
    fails("node_not_found", leader.name, rest[0].rpc().call, "node.remove", host=leader.name)


def test_a_snapshot_brings_back_who_was_away_too_long(cluster):
    cluster.grow(3)
    wait(lambda: voters(cluster.nodes[0]) == ["n1", "n2", "n3"])
    leader = cluster.leader()
    away = next(n for n in cluster.nodes if n is not leader)
    away.kill()
    rpc = leader.rpc("schedd")
    record = msgpack.packb({"count": 1, "since": 1, "reason": "x" * 1000})
    for i in range(30):  # more than the log keeps
        commit(rpc, puts=[{"key": "/restart/r%d" % k, "value": record} for k in range(800)])
    wait(lambda: log_bytes(leader) <= 12 << 20)
    away.start()
    wait(lambda: hold_the_same([away, leader]))
    assert "state replaced" in open(away.root + "/raftd.log").read()
    away.kill()
    away.start()
    assert put(away, "after", 1)["succeeded"]
    wait(lambda: hold_the_same([away, leader]))
    rpc.close()
