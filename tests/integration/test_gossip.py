# SPDX-License-Identifier: Apache-2.0
"""The observed plane of three real raftd, each in a namespace of its own, while links are cut."""
import threading
import time

import msgpack
import pytest

from jacorpc import Rpc
from lab_raft import Cluster, wait


def say(member, kind):
    """What its runtimed would publish; None withdraws it."""
    params = {"value": msgpack.packb({"state": "ready", "kind": kind})} if kind else {}
    member.call("obs.put", role="runtimed", key="/obs/node/%s/engine" % member.name, **params)


def seen(member, name, topic="engine"):
    entry = member.call("kv.get", key="/obs/node/%s/%s" % (name, topic)).get("entry")
    return msgpack.unpackb(entry["value"]) if entry else None


def kind(member, name):
    return (seen(member, name) or {}).get("kind")


def table(member):
    """Everything observed that is not this node's own opinion."""
    page = member.call("kv.range", prefix="/obs/")
    return {e["key"]: e["value"] for e in page.get("entries", [])
            if not e["key"].endswith("/liveness")}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    env = {"JACO_FAULT": "set1500:tombstone_ms"}
    with Cluster(tmp_path_factory.mktemp("gossip"), env=env) as made:
        yield made


def test_each_side_of_a_partition_sees_its_own_and_all_agree_afterwards(cluster):
    one, two, three = cluster.members
    for member in cluster.members:
        say(member, "before")
    for member in cluster.members:
        wait("all is seen", lambda: all(kind(member, m.name) == "before" for m in cluster.members))
    minority = three
    minority.cut_from(one, two)
    for other in (one, two):
        other.cut_from(minority)
    wait("the cut is noticed",
         lambda: seen(minority, "n1", "liveness")["state"] == "unreachable")
    wait("on both sides", lambda: seen(one, "n3", "liveness")["state"] == "unreachable")
    say(minority, "alone")
    assert kind(minority, "n3") == "alone", "its own health, at once and without a majority"
    say(one, "together")
    wait("the majority's own", lambda: kind(two, "n1") == "together")
    assert kind(minority, "n1") == "before" and kind(one, "n3") == "before"
    say(two, None)
    wait("a withdrawal", lambda: seen(one, "n2") is None)
    cluster.heal()
    for member in cluster.members:
        wait("the minority's is heard", lambda: kind(member, "n3") == "alone")
        wait("the majority's is heard", lambda: kind(member, "n1") == "together")
        wait("the withdrawal is heard", lambda: seen(member, "n2") is None)
    wait("all agree", lambda: table(one) == table(two) == table(three))
    say(two, "before")


def test_a_member_that_only_one_cannot_hear_is_not_gone(cluster):
    one, two, three = cluster.members
    one.cut_from(three)
    three.cut_from(one)
    opinion = wait("others are asked", lambda: (lambda o: o if o.get("indirect") else None)(
        seen(one, "n3", "liveness")))
    assert opinion["state"] == "suspect"
    wait("n2 hears it", lambda: seen(two, "n3", "liveness")["state"] == "alive")
    shown = {m["host"]: m for m in one.status()["members"]}["n3"]
    assert "through others only" in shown["message"] and shown["state"] != "unreachable"
    two.cut_from(three)
    three.cut_from(one, two)
    wait("nobody hears it now",
         lambda: seen(one, "n3", "liveness")["state"] == "unreachable")
    cluster.heal()
    wait("it is back", lambda: seen(one, "n3", "liveness")["state"] == "alive")


def test_who_stood_still_with_all_others_accuses_nobody(cluster):
    """A machine that was paused for longer than unreachable_after (2 s), with all nodes on it."""
    one = cluster.members[0]

    def log():
        with open(one.root + "/raftd.log") as file:
            return file.read()

    for _ in range(5):
        wait("all are heard", lambda: all(
            seen(one, m.name, "liveness")["state"] == "alive" for m in cluster.members[1:]))
        before = len(log())
        for member in cluster.members:
            member.pause()
        time.sleep(3)       # what it is about
        began = time.monotonic()
        one.resume()
        one.call("status")  # the first thing it does is to judge the others, who do nothing yet
        cluster.heal()
        if time.monotonic() - began < 1:
            break           # else they were silent for long enough while it was awake
    assert "stood still" in log()[before:]
    assert "unreachable" not in log()[before:], log()[before:]


def test_what_was_withdrawn_and_forgotten_is_not_brought_back(cluster):
    """n2 is away for longer than tombstones last, and n3, whose record it is, is dead when it returns."""
    one, two, three = cluster.members
    say(three, "ghost")
    for member in cluster.members:
        wait("it is known", lambda: kind(member, "n3") == "ghost")
    two.cut_from(one, three)
    one.cut_from(two)
    three.cut_from(two)
    wait("n2 is away", lambda: seen(two, "n1", "liveness")["state"] == "unreachable")
    observed = "jaco_raftd_observed_records "

    def count():
        text = one.call("metrics")["text"]
        return next(float(x.split()[1]) for x in text.splitlines() if x.startswith(observed))

    before = count()
    say(three, None)
    wait("it is withdrawn", lambda: seen(one, "n3") is None)
    wait("the tombstone is forgotten", lambda: count() < before)
    three.kill()
    values, done = [], threading.Event()

    def follow():
        rpc = Rpc(one.path("schedd"), 60)
        for event in rpc.stream("kv.watch", prefixes=["/obs/node/n3/"]):
            values.extend(e["key"] for e in event.get("entries", [])
                          if e["key"].endswith("/engine") and "value" in e)
            if done.is_set():
                return

    thread = threading.Thread(target=follow)
    thread.start()
    assert kind(two, "n3") == "ghost"
    for member in (one, two):
        member.drop([])
    wait("n2 drops it", lambda: seen(two, "n3") is None)
    done.set()
    three.start()
    thread.join(60)
    assert values == [], "it never came back on n1"
    wait("all agree", lambda: table(one) == table(two) == table(three))


def test_a_node_that_is_still_connecting_stops_in_order(cluster):
    """Nothing answers, not even with a refusal; what waits for the connection goes with it."""
    one, two, three = cluster.members
    one.kill()
    one.cut_from(two, three)
    one.start()
    assert one.stop() == 0
    cluster.heal()
    wait("it is back", lambda: one.status().get("quorum"))
