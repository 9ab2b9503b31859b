# SPDX-License-Identifier: Apache-2.0
"""Containers of three hosts: who reaches whom (network.md 3), while everything around them is restarted,
damaged and cut, and what `jaco mesh` says about it."""
import json
import os
import subprocess
import time

import pytest

from lab import sh, wait_for, write_manifest
from lab_cluster import Cluster

PINGER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pinger.py")

ALPHA = """services:
  both: {image: "jaco/test:1", networks: [front, back], expose: ["8080"]}
  front: {image: "jaco/test:1", networks: [front], expose: ["8080"]}
  back: {image: "jaco/test:1", networks: [back], expose: ["8080"]}
  udp: {image: "jaco/test:1", networks: [front], command: ["udp"]}
networks: {front: {}, back: {}}
"""
ALPHA_JACO = """deployment: alpha
services:
  - {name: both, replicas: 3}
  - {name: front, replicas: 3}
  - {name: back, replicas: 3}
  - {name: udp, replicas: 3}
"""
BETA = """services:
  one: {image: "jaco/test:1", networks: [front], expose: ["8080"]}
networks: {front: {}}
"""
BETA_JACO = "deployment: %s\nservices:\n  - {name: one, replicas: %d}\n"


class Box:
    """A container somewhere: its addresses by network, and packets from inside it."""

    def __init__(self, cluster, row):
        self.id, self.service, self.deployment = row["id"], row["service"], row["deployment"]
        self.addresses = {a["network"]: a["address"] for a in row["addresses"]}
        self.host, self.container = cluster.container(row["id"])
        self.pid = self.host.api.inspect(self.container)["State"]["Pid"]

    def inside(self, *argv):
        return ["nsenter", "--net=/proc/%d/ns/net" % self.pid, "/usr/bin/python3", PINGER] + list(argv)

    def reaches(self, targets):
        r = subprocess.run(self.inside("probe", json.dumps(targets)), capture_output=True, text=True)
        assert r.returncode == 0, r.stderr
        return [tuple(t) for t in json.loads(r.stdout)]

    def may(self, other, network):
        return self.deployment == other.deployment and network in self.addresses


class Watch:
    """Echo requests from one container to many addresses while something happens."""

    def __init__(self, box, addresses):
        self.process = subprocess.Popen(box.inside("watch", *addresses), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "up\n"

    def end(self):
        self.process.stdin.close()
        rows = json.loads(self.process.stdout.read())
        self.process.wait()
        return rows


@pytest.fixture(scope="module")
def cluster():
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces and an engine")
    with Cluster(images=("test",)) as c:
        c.n1.apply(write_manifest(c.n1, "alpha", ALPHA, ALPHA_JACO))
        c.n1.apply(write_manifest(c.n1, "beta", BETA, BETA_JACO % ("beta", 3)))
        yield c


@pytest.fixture(autouse=True)
def whole_wire(cluster):
    yield
    cluster.wire.mend()


def boxes(cluster, ref=None):
    return [Box(cluster, row) for row in cluster.n1.replicas(ref) if row["state"] == "running"]


def on(all_boxes, service, node):
    return [b for b in all_boxes if b.service == service and b.host.name == node][0]


def targets_of(box, network):
    address = box.addresses[network]
    port = ("udp", address, 9000) if box.service == "udp" else ("tcp", address, 8080)
    return [port, ("icmp", address, 0)]


def expect_matrix(all_boxes, sources):
    for source in sources:
        want, targets = [], []
        for other in all_boxes:
            for network in other.addresses:
                if other is not source:
                    targets += targets_of(other, network)
                    want += targets_of(other, network) if source.may(other, network) else []
        end = time.monotonic() + 15
        got = source.reaches(targets)
        # The first answer of a path may be on its way still: what is refused must stay refused.
        assert not set(got) - set(want), (source.id, "reaches", set(got) - set(want))
        while sorted(got) != sorted(want) and time.monotonic() < end:
            got = source.reaches(targets)
        assert sorted(got) == sorted(want), (source.id, source.host.name, "lacks", set(want) - set(got))


def verdicts(cluster, by=None):
    return {(r["from"], r["to"]): r for r in (by or cluster.n1).get("mesh")}


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
            code, out = box.host.exec(box.container, "/bin/kit", "probe", "dns", service)
            assert code == 0 and all(b.addresses[service] in out for b in every if b.service == service), out
            code, out = box.host.exec(box.container, "/bin/kit", "probe", "http", service, "8080", "/")
            assert code == 0 and out.startswith("200"), (box.id, service, out)
        stranger = on(every, "one", node)
        code, out = stranger.host.exec(stranger.container, "/bin/kit", "probe", "dns", "front")
        assert "rcode 3" in out, out


def test_gateway_dns_of_other_scopes_is_refused_here_and_elsewhere(cluster):
    box = on(boxes(cluster), "one", "n1")
    for subnet in cluster.n1.get("get", "subnets"):
        if subnet["deployment"] != "alpha":
            continue
        targets = [("tcp", subnet["gateway"], 53), ("udp", subnet["gateway"], 53), ("icmp", subnet["gateway"], 0)]
        assert box.reaches(targets) == [], subnet


def test_spoofed_sources_are_dropped(cluster):
    every = boxes(cluster)
    attacker, victim, friend = on(every, "one", "n1"), on(every, "front", "n2"), on(every, "front", "n3")
    before = drops(cluster.n1, "prerouting")
    attacker.host.exec(attacker.container, "/bin/kit", "probe", "spoof", friend.addresses["front"],
                       victim.addresses["front"], "8080")
    assert drops(cluster.n1, "prerouting") > before


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

class Disturbed:
    """Two watchers on n1: what must pass has no gap longer than @gap, what must not pass never does."""

    def __init__(self, cluster, gap):
        every = boxes(cluster)
        self.gap = gap
        both, back, one = on(every, "both", "n1"), on(every, "back", "n1"), on(every, "one", "n1")
        self.good = Watch(both, [on(every, "front", "n2").addresses["front"],
                                 on(every, "back", "n3").addresses["back"]])
        self.bad = [Watch(back, [on(every, "front", n).addresses["front"] for n in ("n1", "n2", "n3")]),
                    Watch(one, [on(every, "both", n).addresses["back"] for n in ("n1", "n2", "n3")])]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        good, bad = self.good.end(), [w.end() for w in self.bad]
        if kind:
            return
        for address, row in good.items():
            assert row["got"] and row["gap"] <= self.gap, (address, row)
        for rows in bad:
            assert all(row["sent"] > 10 and row["got"] == 0 for row in rows.values()), rows


OWN = """table inet own {
 chain in {
  type filter hook input priority 0; policy accept;
  ip saddr 203.0.113.1 counter drop comment "of the administrator"
 }
}
"""


def rules_of_others(host):
    """Every rule but those of table inet jaco and what the engine itself writes about bridges of ours:
    the administrator's table with its counters, all others (the engine's, iptables') without."""
    lines, is_ours = [], False
    for line in sh(*host.enter("nft", "-s", "list", "ruleset")).splitlines():
        if line.startswith("table "):
            is_ours = line.startswith("table inet jaco ")
        if not is_ours and '"jaco-' not in line:
            lines.append(line)
    assert any("DOCKER" in line for line in lines) and "table inet own {" in lines
    return sh(*host.enter("nft", "list", "table", "inet", "own")) + "\n".join(lines)


@pytest.fixture(scope="module")
def own_rules(cluster):
    for host in cluster:
        subprocess.run(host.enter("nft", "-f", "-"), input=OWN, text=True, check=True)
    return {host.name: rules_of_others(host) for host in cluster}


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
                                        "  - {name: %s, replicas: %d}\n" % (name, count)))
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


def test_flushed_rules_are_back_within_a_second(cluster, own_rules):
    every = boxes(cluster)
    bad = Watch(on(every, "back", "n1"), [on(every, "front", "n1").addresses["front"]])
    sh(*cluster.n1.enter("iptables", "-F"))
    when = time.time()
    sh(*cluster.n1.enter("nft", "flush", "ruleset"))
    wait_for("the table", lambda: subprocess.run(cluster.n1.enter("nft", "list", "table", "inet", "jaco"),
                                                 capture_output=True).returncode == 0)
    assert time.time() - when < 1.0
    expect_matrix(every, [on(every, s, "n1") for s in ("both", "back", "one")])
    row = list(bad.end().values())[0]
    assert not row["got"] or row["last"] - when < 1.0, row
    subprocess.run(cluster.n1.enter("nft", "-f", "-"), input=OWN, text=True, check=True)


# --- the wire ---

def all_ok(cluster):
    return all(r["verdict"] in ("ok", "lossy") for r in verdicts(cluster).values())


def test_a_cut_and_a_one_way_cut_are_named_and_heal(cluster):
    wait_for("a whole mesh", lambda: all_ok(cluster))
    every = boxes(cluster)
    watch = Watch(on(every, "front", "n1"), [on(every, "front", "n2").addresses["front"],
                                             on(every, "front", "n3").addresses["front"]])
    cluster.wire.drop('iifname "n2" oifname "n1" udp dport 51820')
    wait_for("the direction", lambda: verdicts(cluster)[("n2", "n1")]["verdict"] == "lost")
    seen = verdicts(cluster)
    # what was lost of the round trips is told as well, but not as a break
    assert {seen[p]["verdict"] for p in seen if p != ("n2", "n1")} <= {"ok", "lossy"}, seen
    assert seen[("n2", "n1")]["since"] and "n1 hears nothing from n2" in seen[("n2", "n1")]["message"]
    cluster.wire.mend()
    wait_for("a whole mesh", lambda: all_ok(cluster))
    cluster.wire.drop('udp dport 51820 iifname "n2"')
    cluster.wire.drop('udp dport 51820 oifname "n2"')
    wait_for("both directions", lambda: {p for p, r in verdicts(cluster).items() if r["verdict"] == "lost"} ==
             {("n1", "n2"), ("n2", "n1"), ("n2", "n3"), ("n3", "n2")})
    cluster.wire.mend()
    wait_for("a whole mesh", lambda: all_ok(cluster))
    rows = watch.end()
    expect_matrix(every, [on(every, "both", "n1"), on(every, "both", "n2")])
    assert rows[on(every, "front", "n3").addresses["front"]]["gap"] < 1.0, rows


def test_loss_is_told_and_traffic_goes_on(cluster):
    cluster.wire.lose(15, "n2", "n3")
    wait_for("a lossy path", lambda: "lossy" in (verdicts(cluster)[("n2", "n3")]["verdict"],
                                                 verdicts(cluster)[("n3", "n2")]["verdict"]))
    every = boxes(cluster)
    expect_matrix(every, [on(every, "front", "n2")])
    cluster.wire.mend()


# --- damage ---

def test_damage_to_one_node_is_repaired_and_leaves_the_others_alone(cluster):
    wait_for("a whole mesh", lambda: all_ok(cluster))
    every = boxes(cluster)
    f1, f2, f3 = [on(every, "front", n) for n in ("n1", "n2", "n3")]

    def disturb(what):
        mine = Watch(f1, [f2.addresses["front"]])
        others = Watch(f2, [f3.addresses["front"]])
        what()
        wait_for("the path", lambda: f1.reaches([("icmp", f2.addresses["front"], 0)]))
        mine.end()
        row = others.end()[f3.addresses["front"]]
        assert row["got"] and row["gap"] < 1.0, row

    key = sh(*cluster.n1.enter("wg", "show", iface(cluster.n1), "peers")).split()
    disturb(lambda: sh(*cluster.n1.enter("wg", "set", iface(cluster.n1), "peer", key[0], "remove")))
    disturb(lambda: sh("ip", "-n", cluster.n1.ns, "link", "del", iface(cluster.n1)))
    child = [p for p in sh("ip", "netns", "pids", cluster.n1.ns).split()
             if "wireguard-go" in open("/proc/%s/cmdline" % p).read()]
    assert len(child) == 1
    disturb(lambda: sh("kill", "-9", *child))
    wait_for("a whole mesh", lambda: all_ok(cluster))


def test_a_rotated_key_breaks_no_flow(cluster):
    # One handshake; WireGuard repeats one that was lost after 5 s and up to 0.33 s.
    with Disturbed(cluster, gap=6.0):
        before = [public_key(h) for h in cluster]
        cluster.n3.do("node", "rotate-key", "n1")
        wait_for("the new key", lambda: public_key(cluster.n1) != before[0])
        wait_for("it to be known", lambda: all(public_key(cluster.n1) in sh(
            *h.enter("wg", "show", iface(h), "peers")) for h in (cluster.n2, cluster.n3)))
        expect_matrix(boxes(cluster), [on(boxes(cluster), "both", n) for n in ("n1", "n2")])
    assert [public_key(h) for h in cluster][1:] == before[1:]


def iface(host):
    return "wg%d%s" % (os.getpid() % 100000, host.name)


def public_key(host):
    return sh(*host.enter("wg", "show", iface(host), "public-key")).strip()


# --- names ---

def names_at(cluster, every, node, service):
    """Addresses that a container of front on that node gets for a name."""
    box = on(every, "front", node)
    return set(box.host.exec(box.container, "/bin/kit", "probe", "dns", service)[1].split()[2:])


def test_a_name_follows_what_runs_on_all_nodes(cluster):
    every = boxes(cluster)
    victim = on(every, "udp", "n2")
    address = victim.addresses["front"]
    for node in ("n1", "n2", "n3"):
        assert address in names_at(cluster, every, node, "udp")
    sh("docker", "-H", "unix://" + victim.host.socket, "pause", victim.container)
    sh("docker", "-H", "unix://" + victim.host.socket, "kill", victim.container)
    for node in ("n1", "n2", "n3"):
        wait_for("the address to go at " + node, lambda: address not in names_at(cluster, every, node, "udp") or
                 cluster.n1.running("alpha/udp", 3))
    wait_for("it to run again", lambda: cluster.n1.running("alpha/udp", 3))
    for node in ("n1", "n2", "n3"):
        wait_for("the address to be back at " + node, lambda: address in names_at(cluster, every, node, "udp"))


def test_a_replica_that_moved_is_reached_where_it_is(cluster):
    cluster.n1.do("node", "drain", "n3")
    wait_for("beta on two nodes", lambda: sorted(set(cluster.where("beta/one").values())) == ["n1", "n2"] and
             len(cluster.where("beta/one")) == 3)
    when = time.time()
    rows = {r["id"]: r["addresses"][0]["address"] for r in cluster.n1.replicas("beta/one")}
    assert len(set(rows.values())) == 3     # an address is never at two places
    every = boxes(cluster, "beta")
    for box in every:
        wait_for("the moved one", lambda: len(box.reaches([("tcp", a, 8080) for a in rows.values()])) == 3)
    assert time.time() - when < 15
    cluster.n1.do("node", "uncordon", "n3")
