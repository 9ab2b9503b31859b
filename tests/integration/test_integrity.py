# SPDX-License-Identifier: Apache-2.0
"""A member whose state is not the one that was agreed on is found, named by all, and copied by nobody."""
import os
import signal
import subprocess

import msgpack
import pytest

from jacorpc import BUILD, RpcError
from lab_raftds import cluster, commit, fails, get, hold_the_same, put, voters, wait  # noqa: F401

JACO = os.path.join(BUILD, "cli/jaco")
OFTEN = {"JACO_FAULT": "set300:integrity_ms"}
OTHER = {"JACO_FAULT": "set300:integrity_ms,fail:apply_other*1"}


def grow(cluster, n, env=OFTEN):
    for number in range(n):
        node = cluster.add(env=env)
        if number == 0:
            node.rpc().call("cluster.init", name="test")
        else:
            node.join(cluster.nodes[0].token())
    for node in cluster.nodes:
        wait(lambda: len(node.members()) == n and len(voters(node)) == n - 1 + n % 2)
    return cluster.nodes


def alarms(node):
    return node.status().get("alarms", [])


def named(node):
    """Names in the alarms of that node."""
    return [line.split(":")[0] for line in alarms(node)]


def doubts(node):
    lines = node.rpc().call("metrics")["text"].splitlines()
    return float(next(x for x in lines if x.startswith("jaco_raftd_state_doubted ")).split()[1])


def said(node, host):
    entry = node.rpc("schedd").call("kv.get", key="/obs/node/%s/state" % host).get("entry")
    return msgpack.unpackb(entry["value"]) if entry else {}


def backup(node, path):
    return subprocess.run([JACO, "--socket", node.path(), "backup", "--output", path],
                          capture_output=True, text=True, timeout=120)


def put_on_disk(node, key):
    """A value that is easy to find again in the file."""
    value = msgpack.packb({"count": 1, "since": 1, "reason": "findme" * 20})
    assert commit(node.rpc("schedd"), puts=[{"key": key, "value": value}])["succeeded"]


def damage(node, text):
    """One bit, in the state's file of a node that is stopped."""
    path = node.root + "/lib/raftd/state/data.mdb"
    with open(path, "r+b") as file:
        data = file.read()
        places = [i for i in range(len(data)) if data.startswith(text, i)]
        assert places
        for place in places:  # older pages may hold it too
            file.seek(place)
            file.write(bytes([data[place] ^ 1]))


def refuses(node):
    """A backup; the code of the refusal is the same for everything that makes a snapshot."""
    try:
        list(node.rpc().stream("backup.take"))
        return False
    except RpcError as error:
        assert error.code == "unavailable" and "no snapshot is made of it" in error.message
        return True


def is_led_by_another(nodes, doubted):
    leader = next((n for n in nodes if n.status().get("is_leader")), None)
    return leader and leader.name != doubted.name


def test_a_disk_that_changed_a_bit_is_found_named_and_not_copied(cluster, tmp_path):
    nodes = grow(cluster, 3)
    put_on_disk(nodes[0], "/restart/found")
    for node in nodes:
        wait(lambda: said(node, "n1").get("checked") and said(node, "n3").get("checked"))
        assert alarms(node) == []
    bad = cluster.leader()
    good = [n for n in nodes if n is not bad]
    wait(lambda: all(n.status()["revision"] == bad.status()["revision"] for n in good))
    bad.stop()
    damage(bad, b"findme" * 20)
    bad.start(env=OFTEN)
    for node in nodes:
        wait(lambda: named(node) == [bad.name])
        assert "its disk does not hold what was written" in alarms(node)[0]
        assert "jaco node remove and jaco node join" in alarms(node)[0]
        out = subprocess.run([JACO, "--socket", node.path(), "cluster", "status"],
                             capture_output=True, text=True, check=True).stdout
        assert "ALARM: %s: its disk" % bad.name in out
        out = subprocess.run([JACO, "--socket", node.path(), "status"], capture_output=True,
                             text=True, check=True).stdout
        assert out.startswith("ALARM: %s: its disk" % bad.name) and "all is well" not in out
    wait(lambda: doubts(bad) == 1 and doubts(good[0]) == 0)
    refused = backup(bad, str(tmp_path / "bad"))
    assert refused.returncode == 69 and "does not hold what was written" in refused.stderr
    assert not os.path.exists(tmp_path / "bad")
    assert backup(good[0], str(tmp_path / "good")).returncode == 0
    wait(lambda: is_led_by_another(nodes, bad))
    assert put(bad, "on", 1)["succeeded"], "it votes and serves: its log is right"
    # the remedy that the alarm names
    good[0].rpc().call("node.remove", host=bad.name, force=True)
    wait(lambda: bad.status().get("removed"))
    bad.join(good[0].token())
    for node in nodes:
        wait(lambda: alarms(node) == [] and said(node, bad.name).get("checked"))
    assert backup(bad, str(tmp_path / "bad")).returncode == 0


def test_a_file_cut_short_ends_raftd_with_a_sentence(cluster):
    [node] = grow(cluster, 1)
    for i in range(40):
        put_on_disk(node, "/restart/%d" % i)
    node.stop()
    path = node.root + "/lib/raftd/state/data.mdb"
    os.truncate(path, 2 * os.sysconf("SC_PAGE_SIZE"))       # LMDB's two first pages, and no tree
    with pytest.raises(RuntimeError) as told:       # with its log
        node.start()
    assert "the state in %s is damaged" % os.path.dirname(path) in str(told.value)
    assert "jaco node remove" in str(told.value)
    assert node.process.returncode == -signal.SIGBUS


def test_a_member_that_applies_another_thing_is_named_by_all(cluster, tmp_path):
    nodes = grow(cluster, 3)
    bad = next(n for n in nodes if n is not cluster.leader())
    others = [n for n in nodes if n is not bad]
    bad.stop()  # its state is saved: nothing is read again from the log
    bad.start(env=OTHER)
    for turn in range(3):
        assert put(others[0], "other%d" % turn, turn)["succeeded"]
    for node in nodes:
        wait(lambda: named(node) == [bad.name])
        assert "not the one that most members hold" in alarms(node)[0]
    wait(lambda: hold_the_same(others))
    wait(lambda: refuses(bad))
    assert backup(bad, str(tmp_path / "bad")).returncode == 69
    assert backup(others[1], str(tmp_path / "good")).returncode == 0


def test_of_two_that_differ_neither_is_trusted(cluster):
    nodes = grow(cluster, 2)
    bad = next(n for n in nodes if not n.status().get("is_leader"))
    bad.stop()
    bad.start(env=OTHER)
    assert put(nodes[0], "other", 1)["succeeded"]
    for node in nodes:
        wait(lambda: named(node) == ["n1", "n2"])
    for node in nodes:
        wait(lambda: refuses(node))
    nodes[0].rpc().call("node.remove", host=nodes[1].name, force=True)
    wait(lambda: alarms(nodes[0]) == [])  # who is alone is compared with nobody
