# SPDX-License-Identifier: Apache-2.0
"""Three hosts with an engine and eight daemons each, joined by the real commands, the shop spread
over them: the page comes through every ingress, replicas find each other across nodes, a node is
drained under load, cut off and killed."""
import json
import os

import pytest

from conftest import EXAMPLES
from lab import JACO, begin, wait_for, write_manifest
from lab_cluster import Cluster
from lab_load import Load

TRIO = """services:
  echo:
    image: jaco/test:1
    networks: [n]
    expose: ["8080"]
networks:
  n:
"""


@pytest.fixture(scope="module")
def cluster():
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces and an engine")
    with Cluster(images=("test", "web", "api", "worker", "store")) as c:
        c.n2.apply(os.path.join(EXAMPLES, "shop", "jaco.yaml"))
        trio = write_manifest(c.n3, "trio", TRIO, "deployment: trio\nacme: off\nroutes:\n"
                              "  - {domain: trio.localhost, service: echo, port: 8080}\n"
                              "services:\n  - {name: echo, replicas: 3}\n")
        c.n3.apply(trio)
        yield c


def audit(host, kind):
    """Payloads of the audit events of one type, oldest first."""
    lines = host.do("audit", "--type", kind, "-o", "json").splitlines()
    return [json.loads(line)["event"]["payload"] for line in lines]


def at_two_places(cluster):
    """Addresses that two running containers hold."""
    seen, twice = set(), set()
    for host in cluster.alive():
        for c in host.containers():
            if c["State"] == "running":
                for net in c["NetworkSettings"]["Networks"].values():
                    (twice if net["IPAddress"] in seen else seen).add(net["IPAddress"])
    return twice


def names_behind(host, n=30):
    seen = set()
    for _ in range(n):
        status, body = host.http("trio.localhost")
        assert status == 200, (status, body)
        seen.add(json.loads(body)["replica"])
    return seen


# --- membership ---

def test_every_node_is_ready_a_voter_and_tells_the_same(cluster):
    def tables():
        return [sorted((h, m["state"], m["voter"], m.get("leader", False))
                       for h, m in cluster.members(host).items()) for host in cluster]

    def is_one():
        seen = tables()
        if seen != [[(h, "ready", True, h == leader) for h in ("n1", "n2", "n3")] for leader in (
                cluster.leader().name,) for _ in cluster]:
            raise ValueError(seen)
        return True
    wait_for("one table on every node", is_one)


def test_the_replicas_are_spread(cluster):
    assert sorted(cluster.where("trio/echo").values()) == ["n1", "n2", "n3"]
    assert sorted(set(cluster.where("shop").values())) == ["n1", "n2", "n3"]
    wait_for("one view", lambda: [cluster.where("trio", by=h) for h in cluster] == [cluster.where("trio")] * 3)


# --- traffic ---

def test_the_page_comes_through_the_ingress_of_every_node(cluster):
    def page(host):
        status, body = host.http("shop.localhost")
        return status == 200 and "<h1>The little shop</h1>" in body
    for host in cluster:
        wait_for("the page through " + host.name, lambda: page(host))


def test_every_ingress_uses_the_replicas_of_all_nodes(cluster):
    everyone = {"trio-echo-0", "trio-echo-1", "trio-echo-2"}
    for host in cluster:
        # A new replica's share grows over its slow start.
        wait_for("requests at all three through " + host.name, lambda: names_behind(host) == everyone)


def test_replicas_reach_each_other_by_name_and_by_address_across_nodes(cluster):
    rows = cluster.n1.replicas("trio/echo")
    addresses = [target["addresses"][0]["address"] for target in rows]
    for source in rows:
        host, box = cluster.container(source["id"])
        wait_for("all by name in " + source["id"],
                 lambda: set(addresses) <= set(host.probe(box, "dns", "echo").split()))
        for address in addresses:
            host.probe(box, "tcp", address, "8080")
            host.probe(box, "ping", address)


def test_another_deployment_is_out_of_reach_on_every_node(cluster):
    victims = [a["address"] for r in cluster.n1.replicas("shop/api") for a in r["addresses"]]
    for replica in cluster.where("trio/echo"):
        host, box = cluster.container(replica)
        for victim in victims:
            code, text = host.exec(box, "/bin/ping", "-c", "1", "-W", "1", victim)
            assert code != 0, (replica, victim, text)


# --- logs ---

def test_logs_come_from_all_nodes_through_any(cluster):
    where = cluster.where("trio/echo")
    for i, (replica, node) in enumerate(sorted(where.items())):
        host, box = cluster.container(replica)
        code, out = host.exec(box, "/bin/wget", "-q", "-O", "/dev/null",
                              "http://127.0.0.1:8080/log?line=hello-from-%s" % replica)
        assert code == 0, out
    wanted = {"[%s@%s] hello-from-%s" % (r, n, r) for r, n in where.items()}
    for host in cluster:
        wait_for("all lines on " + host.name,
                 lambda: wanted <= set(host.do("logs", "trio/echo").splitlines()))
    one = sorted(where)[0]
    for host in cluster:
        lines = host.do("logs", one).splitlines()
        assert lines and all(line.startswith("[%s@" % one) for line in lines), lines


def test_a_log_that_is_followed_crosses_nodes_whole(cluster):
    replica, node = next((r, n) for r, n in sorted(cluster.where("trio/echo").items()) if n != "n1")
    path = cluster.n1.dir + "/followed"
    with open(path, "w") as out:
        begin(*cluster.n1.enter(JACO, "--root", cluster.n1.root, "logs", replica, "-f", "--tail", "0"),
              stdout=out, stderr=out)
    host, box = cluster.container(replica)
    wait_for("the follower", lambda: host.exec(
        box, "/bin/wget", "-q", "-O", "/dev/null",
        "http://127.0.0.1:8080/log?line=begin")[0] == 0 and "begin" in open(path).read())
    # more than the window of one call
    code, out = host.exec(box, "/bin/sh", "-c", "i=0; while [ $i -lt 4000 ]; do echo line-$i-%s; "
                          "i=$((i+1)); done >/proc/1/fd/1" % ("x" * 60))
    assert code == 0, out
    wait_for("the last line, whole", lambda: "line-3999-%s\n" % ("x" * 60) in open(path).read())
    seen = [line for line in open(path).read().splitlines() if "line-" in line]
    assert [line.split("line-")[1].split("-")[0] for line in seen] == [str(i) for i in range(4000)]


# --- cordon, drain ---

def test_a_cordoned_node_gets_nothing_new_and_every_node_says_so(cluster):
    cluster.n1.do("node", "cordon", "n3")
    for host in cluster:
        cluster.wait_state("n3", "cordoned", by=host)
    cluster.n2.do("scale", "trio/echo", "5")
    wait_for("five", lambda: cluster.n2.running("trio/echo", 5))
    assert sorted(cluster.where("trio/echo").values()) == ["n1", "n1", "n2", "n2", "n3"]
    cluster.n2.do("node", "uncordon", "n3")
    cluster.wait_state("n3", "ready", by=cluster.n1)
    cluster.n2.do("scale", "trio/echo", "3")
    wait_for("three", lambda: cluster.n2.running("trio/echo", 3))


def test_what_cannot_move_is_a_reason_to_refuse(cluster):
    home = cluster.where("shop/store")["shop-store-0"]
    r = cluster.n2.jaco("node", "drain", home)
    assert r.returncode == 1 and "shop-store-0 (its data is there)" in r.stderr, r.stderr
    cluster.wait_state(home, "ready")


def test_drain_under_load_fails_no_request(cluster):
    loads = [Load(h, "trio.localhost") for h in cluster]
    out = cluster.n1.do("node", "drain", "n2", "--force")
    results = [load.finish() for load in loads]
    drained = cluster.members()
    cluster.n1.do("node", "uncordon", "n2")
    print("requests during the drain:", sum(good for good, _ in results))
    assert [bad for _, bad in results] == [[]] * len(loads)
    assert sum(good for good, _ in results) > 50
    assert "n2 is drained" in out and "cordoned" in out, out
    stays = {r for r, node in cluster.where("shop/store").items() if node == "n2"}
    assert {r for r, node in cluster.where().items() if node == "n2"} == stays
    wait_for("the last containers' end", lambda: {
        c["Labels"]["jaco.replica_id"] for c in cluster.n2.containers()} == stays)
    assert drained["n2"]["state"] == "cordoned"
    assert audit(cluster.n3, "node_drain")[-1]["host"] == "n2"
    assert not at_two_places(cluster)


def test_a_drain_that_cannot_end_is_given_up_and_says_what_is_left(cluster):
    stuck = write_manifest(cluster.n1, "stuck", TRIO, "deployment: stuck\nservices:\n"
                           "  - {name: echo, replicas: 2, placement: hosts, hosts: [n1, n2]}\n")
    cluster.n1.apply(stuck)
    r = cluster.n3.jaco("node", "drain", "n1", "--force", "--drain-timeout", "3s")
    assert r.returncode == 124 and "drain_timeout" in r.stderr and "stuck-echo-" in r.stderr, r.stderr
    for host in cluster:
        cluster.wait_state("n1", "drain_timeout", by=host)
    assert "stuck-echo-" in cluster.members()["n1"]["message"]
    cluster.n3.do("node", "uncordon", "n1")
    cluster.wait_state("n1", "ready")
    cluster.n1.delete("stuck")


# --- loss ---

def test_a_cut_node_loses_what_can_move_and_stops_it_when_it_returns(cluster):
    wait_for("rest", lambda: cluster.n1.running("trio/echo", 3))
    victim = next(h for h in cluster if h is not cluster.leader() and
                  h.name in cluster.where("trio").values())
    others = [h for h in cluster if h is not victim]
    moved = {r for r, node in cluster.where("trio").items() if node == victim.name}
    cluster.wire.cut(victim.name)
    cluster.wait_state(victim.name, "unreachable", by=others[0])
    wait_for("the moved ones elsewhere",
             lambda: moved <= set(cluster.where("trio", by=others[0])) and
             victim.name not in cluster.where("trio", by=others[0]).values())
    assert victim.name in [e["host"] for e in audit(others[0], "node_lost")]
    assert moved <= {e["replica"] for e in audit(others[0], "replica_rescheduled")}
    stay = others[0].do("logs", "shop").splitlines()
    bound = [r for r in ("shop-store-0",) if cluster.where("shop", by=others[0]).get(r) is None]
    assert not bound or "[-@%s] does not answer: what it has is missing here" % victim.name in stay
    # what it cannot know it does not stop: people prefer two to none
    assert moved <= {c["Labels"]["jaco.replica_id"] for c in victim.containers()
                     if c["State"] == "running"}
    cluster.wire.mend()
    cluster.wait_state(victim.name, "ready", by=others[0])
    wait_for("the old ones' end", lambda: not moved & {
        c["Labels"]["jaco.replica_id"] for c in victim.containers()})
    assert not at_two_places(cluster)
    for host in cluster:
        wait_for("the page through " + host.name, lambda: host.http("trio.localhost")[0] == 200)


def test_a_killed_host_its_volume_and_its_return(cluster):
    wait_for("rest", lambda: cluster.n1.running("trio/echo", 3))
    home = cluster.where("shop/store")["shop-store-0"]
    victim = getattr(cluster, home)
    others = [h for h in cluster if h is not victim]
    movable = {r for r, node in cluster.where("trio").items() if node == home}
    victim.power_cut()
    cluster.wait_state(home, "unreachable", by=others[0])
    wait_for("the movable ones elsewhere",
             lambda: movable <= set(cluster.where("trio", by=others[0])) and
             home not in cluster.where("trio", by=others[0]).values())
    wait_for("the store's reason", lambda: [r for r in others[0].replicas("shop/store") if r[
        "state"] == "pending" and r["code"] == "home_unreachable" and home in r["message"]])
    wait_for("the page", lambda: others[0].http("trio.localhost")[0] == 200)
    victim.power_on()
    cluster.wait_state(home, "ready", by=others[0])
    wait_for("the store at home", lambda: cluster.where("shop/store") == {"shop-store-0": home})
    wait_for("one container per replica", lambda: sorted(
        c["Labels"]["jaco.replica_id"] for h in cluster for c in h.containers()) == sorted(
        cluster.where()))
    assert not at_two_places(cluster)


# --- removal ---

def test_a_node_removed_in_its_absence_stops_what_it_has_when_it_learns(cluster):
    wait_for("rest", lambda: cluster.n1.running("trio/echo", 3))
    victim = next(h for h in cluster if h is not cluster.leader() and
                  h.name in cluster.where("trio").values() and
                  h.name not in cluster.where("shop/store").values())
    others = [h for h in cluster if h is not victim]
    # The others are placed elsewhere in a while; this one keeps it from being a node without any.
    others[0].apply(write_manifest(others[0], "fixed", TRIO, "deployment: fixed\nservices:\n"
                                   "  - {name: echo, placement: hosts, hosts: [%s]}\n" % victim.name))
    cluster.wire.cut(victim.name)
    cluster.wait_state(victim.name, "unreachable", by=others[0])
    r = others[0].jaco("node", "remove", victim.name)
    assert r.returncode == 69 and "does not answer and hosts" in r.stderr, r.stderr
    others[0].do("node", "remove", victim.name, "--force")
    wait_for("the other to know", lambda: victim.name not in cluster.members(others[1]))
    assert [c for c in victim.containers() if c["State"] == "running"]
    cluster.wire.mend()
    wait_for("the end of its containers", lambda: victim.containers() == [])
    assert "NO MEMBER ANY MORE" in victim.do("cluster", "status")
    others[0].delete("fixed")
    wait_for("three elsewhere", lambda: others[0].running("trio/echo", 3))


def test_it_is_refused_everywhere_until_it_joins_again_and_then_is_a_node_like_any(cluster):
    """On the three whole hosts as the test before left them."""
    members = cluster.members(cluster.leader())
    back = next(h for h in cluster if h.name not in members)
    others = [h for h in cluster if h is not back]
    for words in (["node", "cordon", others[0].name], ["node", "issue-join-token"],
                  ["scale", "trio/echo", "2"], ["token", "issue", "--name", "ghost"]):
        r = back.jaco(*words)
        assert r.returncode != 0 and "was removed from cluster" in r.stderr, (words, r.stderr)
    assert all(back.name not in cluster.members(h) for h in others)
    cluster.join(back, by=others[0])
    for host in cluster:
        for name in ("n1", "n2", "n3"):
            cluster.wait_state(name, "ready", by=host)
    assert "NO MEMBER" not in back.do("cluster", "status")
    wait_for("three voters", lambda: all(m["voter"] for m in cluster.members().values()))
    back.do("scale", "trio/echo", "6")
    wait_for("replicas on it", lambda: back.name in
             [n for r, n in cluster.where("trio/echo", by=back).items()])
    wait_for("all six", lambda: others[0].running("trio/echo", 6))
    where = cluster.where("trio/echo", by=others[0])
    wait_for("one view", lambda: [cluster.where("trio/echo", by=h) for h in cluster] == [where] * 3)
    mine = {r for r, node in where.items() if node == back.name}
    assert mine == {c["Labels"]["jaco.replica_id"] for c in back.containers()
                    if c["State"] == "running"}
    for host in cluster:
        wait_for("its replicas through " + host.name, lambda: mine <= names_behind(host, 60))
    for replica in mine:
        host, box = cluster.container(replica)
        for target in others[0].replicas("trio/echo"):
            host.probe(box, "ping", target["addresses"][0]["address"])
    assert not at_two_places(cluster)
