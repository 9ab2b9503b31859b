# SPDX-License-Identifier: Apache-2.0
"""Containers of three hosts: who reaches whom (network.md 3), while everything around them is restarted
and changed, and what their names say meanwhile (network.md 4)."""
import json
import os
import signal
import subprocess
import time

import pytest

from lab import sh, wait_for, write_manifest
from lab_net import (BETA, BETA_JACO, LATE_S, Disturbed, Follow, Inside, Seen, Watch, boxes, expect_matrix, first,
                     gateway, load_own, on, own_table, rules_of_others)


@pytest.fixture(scope="module")
def own_rules(cluster):
    return {host.name: rules_of_others(host) for host in cluster}


# --- who reaches whom ---

def test_the_full_matrix_by_address(cluster):
    every = boxes(cluster)
    assert len(every) == 15 and {b.host.name for b in every if b.service == "both"} == {"n1", "n2", "n3"}
    expect_matrix(every, every)


def test_names_of_both_networks_and_of_no_other_scope(cluster):
    every = boxes(cluster)
    for node in ("n1", "n3"):
        box = on(every, "both", node)
        for service in ("front", "back"):
            wanted = {b.addresses[service] for b in every if b.service == service}
            wait_for("all of " + service, lambda: wanted <= set(
                box.host.probe(box.container, "dns", service).split()))
            assert box.host.probe(box.container, "http", service, "8080", "/").startswith("200")
        stranger = on(every, "one", node)
        wait_for("the refusal of a name", lambda: "rcode 3" in stranger.host.exec(
            stranger.container, "/bin/kit", "probe", "dns", "front")[1])


def test_gateway_dns_of_other_scopes_is_refused_here_and_elsewhere(cluster):
    gateways = [s["gateway"] for s in cluster.n1.get("get", "subnets") if s["deployment"] == "alpha"]
    assert len(gateways) == 6
    assert on(boxes(cluster), "one", "n1").reaches(
        [(kind, g, port) for g in gateways for kind, port in (("tcp", 53), ("udp", 53), ("icmp", 0))]) == []


def test_spoofed_sources_are_dropped(cluster):
    every = boxes(cluster)
    attacker, victim, friend = on(every, "one", "n1"), on(every, "front", "n2"), on(every, "front", "n3")
    before = drops(cluster.n1, "prerouting")
    attacker.host.exec(attacker.container, "/bin/kit", "probe", "spoof", friend.addresses["front"],
                       victim.addresses["front"], "8080")
    assert drops(cluster.n1, "prerouting") > before


def test_a_service_on_two_networks_forwards_nothing_between_them(cluster):
    """A container that takes one on both for a router, and one that forwards."""
    every = boxes(cluster)
    front, both = on(every, "front", "n1"), on(every, "both", "n1")
    others = [on(every, "back", n).addresses["back"] for n in ("n1", "n2")]
    sh("nsenter", "--net=/proc/%d/ns/net" % both.pid, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
    for address in others:
        sh("nsenter", "--net=/proc/%d/ns/net" % front.pid, "ip", "route", "add", address, "via",
           both.addresses["front"])
    try:
        assert front.reaches([("icmp", both.addresses["front"], 0)])
        assert front.reaches([(kind, a, port) for a in others for kind, port in (("icmp", 0), ("tcp", 8080))]) == []
    finally:
        for address in others:
            sh("nsenter", "--net=/proc/%d/ns/net" % front.pid, "ip", "route", "del", address)


def drops(host, chain):
    table = json.loads(sh(*host.enter("nft", "-j", "list", "chain", "inet", "jaco", chain)))
    return sum(e["counter"]["packets"] for item in table["nftables"] if "rule" in item
               for e in item["rule"]["expr"] if "counter" in e)


def test_net_can_agrees_on_every_node(cluster):
    for host in cluster:
        yes = host.jaco("net", "can", "alpha/both", "alpha/back:8080")
        no = host.jaco("net", "can", "alpha/front", "alpha/back:8080")
        assert (yes.returncode, no.returncode) == (0, 1), (host.name, yes.stdout, no.stdout)


# --- while things happen ---

@pytest.mark.parametrize("daemon", ["meshd", "fwd-nft", "dnsd", "ipamd", "proxyd", "schedd", "runtimed", "raftd"])
def test_a_daemon_that_is_killed_disturbs_no_flow(cluster, own_rules, daemon):
    with Disturbed(cluster, gap=1.0):
        cluster.n1.kill(daemon)
    assert rules_of_others(cluster.n1) == own_rules["n1"]


def test_another_deployment_comes_and_goes(cluster, own_rules):
    with Disturbed(cluster, gap=1.0):
        cluster.n2.apply(write_manifest(cluster.n2, "gamma", BETA, BETA_JACO % ("gamma", 3)))
        expect_matrix(boxes(cluster), [b for b in boxes(cluster, "gamma") if b.host.name == "n1"])
        cluster.n2.delete("gamma")
    assert {h.name: rules_of_others(h) for h in cluster} == own_rules


def test_a_node_without_isolation_says_so_and_gets_nothing(cluster):
    """Somebody holds a table of our name so that no other process may change it (nft's "owner")."""
    with subprocess.Popen(cluster.n3.enter("nft", "-i"), stdin=subprocess.PIPE, text=True,
                          stdout=subprocess.DEVNULL) as holder:
        holder.stdin.write("delete table inet jaco; add table inet jaco { flags owner; }\n")
        holder.stdin.flush()
        for host in cluster:
            wait_for("n3 to be told by " + host.name,
                     lambda: cluster.state("n3", host) == "isolation_unavailable")
        path = write_manifest(cluster.n1, "gamma", BETA, BETA_JACO % ("gamma", 4))
        cluster.n1.apply(path)
        assert sorted(cluster.where("gamma/one").values()) == ["n1", "n1", "n2", "n2"]
        assert not cluster.n3.containers(jaco__deployment="gamma")
        cluster.n1.delete("gamma")
        holder.stdin.close()
    cluster.wait_state("n3", "ready")
    expect_matrix(boxes(cluster), [on(boxes(cluster), "one", "n3")])


# --- the first packet ---

STARTS = int(os.environ.get("JACO_STARTS", "21"))
STARTERS = """services:
  peer: {image: "jaco/test:1", networks: [front], entrypoint: ["/bin/sh", "-c", "/bin/kit udp & exec /bin/kit http"]}
%snetworks: {front: {}}
"""
STARTERS_JACO = "deployment: starts\nservices:\n  - {name: peer, replicas: 3}\n"


def first_packets(cluster, replica):
    host, container = cluster.container(replica)

    def look():
        text = sh("docker", "-H", "unix://" + host.socket, "logs", container)
        return text if text.endswith("done\n") else None
    rows = [line.split() for line in wait_for("%s to tell" % replica, look).splitlines()[:-1]]
    return {row[1]: tuple(row[2:]) for row in rows if row[0] == "first"}


def test_the_first_packets_of_every_start(cluster):
    """A container's first act is to send to friends on all nodes and to strangers.  JACO_STARTS: how
    many starts; every round is a new service, so every start is a new container at a new address."""
    strangers = [b.addresses["front"] for b in boxes(cluster, "alpha") if b.service in ("both", "udp")]
    cluster.n1.apply(write_manifest(cluster.n1, "starts", STARTERS % "", STARTERS_JACO))
    friends = [b.addresses["front"] for b in boxes(cluster, "starts")]
    assert len(friends) == 3 and len(strangers) == 6
    begun, seen, wrong = 0, set(), []
    while begun < STARTS:
        count = min(60, STARTS - begun)
        name = "first%d" % begun
        service = "  %s: {image: \"jaco/test:1\", networks: [front], command: %s}\n" % (
            name, json.dumps(["first"] + friends + ["-"] + strangers))
        cluster.n1.apply(write_manifest(cluster.n1, "starts", STARTERS % service, STARTERS_JACO +
                                        "  - {name: %s, replicas: %d, rollout: {timeout: 5m}}\n" % (name, count)))
        where = cluster.where("starts/" + name)
        assert len(where) == count
        seen |= set(where.values())
        for replica in where:
            rows = first_packets(cluster, replica)
            want = {a: ("udp=answered", "tcp=connected", "resent=0") for a in friends}
            want.update({a: ("udp=silence", "tcp=silence", "resent=0") for a in strangers})
            wrong += [(replica, where[replica], a, rows.get(a)) for a in want if rows.get(a) != want[a]]
        begun += count
        print("starts: %d, wrong: %d" % (begun, len(wrong)))
    cluster.n1.delete("starts")
    assert seen == {"n1", "n2", "n3"} and not wrong, (len(wrong), wrong[:10])


def test_changed_chains_of_the_engine(cluster):
    """What others do to the chains that the engine made: traffic goes on, what must not pass never does,
    our two rules come back, and what others wrote stays as they wrote it."""
    with Disturbed(cluster, gap=LATE_S):
        for command in ("iptables -P FORWARD DROP", "iptables -A FORWARD -j DROP", "iptables -F DOCKER-USER",
                        "iptables -A DOCKER-USER -s 203.0.113.0/24 -j DROP"):
            sh(*cluster.n1.enter(*command.split()))
        wait_for("our rules", lambda: sh(*cluster.n1.enter("iptables", "-S")).count('--comment "jaco: mesh"') == 2)
        every = boxes(cluster)
        expect_matrix(every, [on(every, s, "n1") for s in ("both", "one")])
    chains = sh(*cluster.n1.enter("iptables", "-S")).splitlines()
    for rule in ("-P FORWARD DROP", "-A FORWARD -j DROP", "-A DOCKER-USER -s 203.0.113.0/24 -j DROP"):
        assert rule in chains, chains


def test_flushed_rules_are_back_at_once(cluster):
    every = boxes(cluster)
    bad = Watch(on(every, "back", "n1"), [on(every, "front", "n1").addresses["front"]])
    sh(*cluster.n1.enter("iptables", "-F"))
    when = time.time()
    sh(*cluster.n1.enter("nft", "flush", "ruleset"))
    wait_for("the table", lambda: subprocess.run(cluster.n1.enter("nft", "list", "table", "inet", "jaco"),
                                                 capture_output=True).returncode == 0)
    print("flushed: the table is back after %.0f ms" % ((time.time() - when) * 1000))
    expect_matrix(every, [on(every, s, "n1") for s in ("both", "back", "one")])
    row = list(bad.end().values())[0]
    assert not row["got"] or row["last"] - when < LATE_S, row
    load_own(cluster.n1)


def test_an_engine_is_restarted(cluster):
    """Its containers end with it.  All run again, at their addresses; meanwhile nobody notices on the other
    nodes, and who must not reach them never does."""
    every = boxes(cluster)
    before = {b.id: b.addresses for b in every}
    one, back, f1 = [on(every, service, "n1") for service in ("one", "back", "front")]
    bad = [Watch(box, [on(every, "front", "n2").addresses["front"], on(every, "both", "n2").addresses["front"]])
           for box in (one, back)]
    good = Watch(f1, [on(every, "front", "n3").addresses["front"]])
    began = time.monotonic()
    cluster.n2.stop_engine()
    wait_for("n2's containers to be missed", lambda: not cluster.n1.running("alpha", 12))
    cluster.n2.start_engine()
    wait_for("all to run again", lambda: cluster.n1.running("alpha", 12) and cluster.n1.running("beta", 3), 180)
    print("engine restart: everything runs after %.1f s" % (time.monotonic() - began))
    every = boxes(cluster)
    assert {b.id: b.addresses for b in every} == before
    expect_matrix(every, [b for b in every if b.host.name == "n2"] + [one])
    for watch in bad:
        assert all(row["sent"] > 10 and row["got"] == 0 for row in watch.end().values())
    assert list(good.end().values())[0]["gap"] < 1.0
    assert "of the administrator" in own_table(cluster.n2)


# --- names ---

def test_names_follow_health_on_all_nodes(cluster):
    every = boxes(cluster)
    victim = on(every, "front", "n2")
    address = victim.addresses["front"]
    followers = [Follow(on(every, "both", n), gateway(cluster, "alpha", "front", n), "front", 8080)
                 for n in ("n1", "n2", "n3")]
    seen = Seen([victim.host], victim.id)
    for follower in followers:
        follower.when("reached", address)
    seen.when(True, address)
    # It stays dead for a second or two, and twice that the next time: on a busy machine a glance may miss it.
    for lives in (1, 2):
        began, before = time.time(), restarts(victim)
        sh("docker", "-H", "unix://" + victim.host.socket, "kill", victim.container)
        wait_for("its next life", lambda: restarts(victim) > before and victim.host.running("alpha/front", 3))
        if all(saw(events, what, address, began) for what, events in
               [(False, seen.changes)] + [("gone", follower.events) for follower in followers]):
            break
    print("seen by all after %d lives" % lives)
    bad = seen.when(False, address, began)
    good = seen.when(True, address, bad)
    for what, known, since in (("gone", bad, began), ("named", good, bad), ("reached", good, bad)):
        late = [follower.when(what, address, since) - known for follower in followers]
        print("%s at n1, n2, n3: %s ms after its node knew" % (what, ", ".join("%.0f" % (x * 1000) for x in late)))
        assert max(late) < LATE_S
    seen.end()
    for follower in followers:
        follower.end()


def restarts(box):
    row, = [r for r in box.host.replicas(box.id.rsplit("-", 1)[0].replace("-", "/", 1)) if r["id"] == box.id]
    return row.get("restarts", 0)


def saw(events, what, address, since):
    try:
        return first(events, what, address, since)
    except IndexError:
        return None


def test_restarts_of_dnsd_lose_no_query(cluster):
    """`jaco supervise` keeps its sockets."""
    box = on(boxes(cluster), "both", "n1")
    load = Inside(box, "ask", gateway(cluster, "alpha", "front", "n1"), "front")
    for _ in range(4):
        cluster.n1.kill("dnsd", signal.SIGTERM)
    result = load.end()
    print("four restarts of dnsd:", result)
    assert result["lost"] == 0 and result["answered"] > 100
