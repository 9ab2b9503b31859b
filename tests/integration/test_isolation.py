# SPDX-License-Identifier: Apache-2.0
"""Real packets through the real jaco-fwd-nft (spec/network.md section 3, "What must hold").

Two hosts joined by a cable that plays the mesh.  Scopes: shop/web on both hosts, shop/db and
blog/default on n1 only (blog is another deployment, db another network of the same), vault/default
internal, zoo/default on n2."""
import os
import re
import select
import subprocess
import time

import pytest

from fwd_lab import (EVENT_S, Host, Lab, Netns, POOL, TOOL, ping_passes, run, send_spoofed,
                     tcp_passes, udp_passes)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")

FAIL_S = 0.15  # a dropped packet stays away; everything here is local and takes microseconds


def passes(ns, to, port=7, timeout=EVENT_S):
    return (tcp_passes(ns, to, port, timeout), udp_passes(ns, to, port, timeout),
            ping_passes(ns, to, timeout))


YES, NO = (True, True, True), (False, False, False)


class Net:
    """The cluster all tests look at."""

    def __init__(self):
        lab = self.lab = Lab()
        n1, n2 = self.n1, self.n2 = Host(lab, "n1"), Host(lab, "n2")
        lab.wire(n1, n2)
        n1.bridge("jaco-web", "10.210.0.1")
        n1.bridge("jaco-db", "10.210.2.1")
        n1.bridge("jaco-blog", "10.210.3.1")
        n1.bridge("jaco-vault", "10.210.4.1")
        n2.bridge("jaco-web", "10.210.1.1")
        n2.bridge("jaco-zoo", "10.210.5.1")
        self.web1 = n1.container("jaco-web", "10.210.0.2")
        self.web1b = n1.container("jaco-web", "10.210.0.3")
        self.db1 = n1.container("jaco-db", "10.210.2.2")
        self.blog1 = n1.container("jaco-blog", "10.210.3.2")
        self.vault1 = n1.container("jaco-vault", "10.210.4.2")
        self.web2 = n2.container("jaco-web", "10.210.1.2")
        self.zoo2 = n2.container("jaco-zoo", "10.210.5.2")
        for net in ("10.210.1.0/24", "10.210.5.0/24"):
            n1.ns.ip("route", "add", net, "via", "10.210.255.2")
        for net in ("10.210.0.0/24", "10.210.2.0/24", "10.210.3.0/24", "10.210.4.0/24"):
            n2.ns.ip("route", "add", net, "via", "10.210.255.1")
        # the world: a host beyond n1 that has no route back into the pool
        self.world = Netns("world")
        lab.closers.append(self.world)
        n1.ns.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns",
                 self.world.name)
        n1.ns.ip("addr", "add", "192.0.2.1/24", "dev", "eth0")
        n1.ns.ip("link", "set", "eth0", "up")
        self.world.ip("addr", "add", "192.0.2.9/24", "dev", "eth0")
        self.world.ip("link", "set", "eth0", "up")
        lab.echo.listen(self.world, "192.0.2.9")
        lab.echo.listen(n1.ns, "192.0.2.1")
        self.records = dict([
            lab.subnet("shop", "web", "n1", "10.210.0", "jaco-web"),
            lab.subnet("shop", "web", "n2", "10.210.1", "jaco-web"),
            lab.subnet("shop", "db", "n1", "10.210.2", "jaco-db"),
            lab.subnet("blog", "default", "n1", "10.210.3", "jaco-blog"),
            lab.subnet("vault", "default", "n1", "10.210.4", "jaco-vault", internal=True),
            lab.subnet("zoo", "default", "n2", "10.210.5", "jaco-zoo"),
        ])
        for i, name in enumerate(("n1", "n2"), 1):
            self.records["/node/" + name] = {"host": name, "raft_id": i, "intent": "active",
                                             "mesh_addr": "10.210.255.%d" % i}
        for host in (n1, n2):
            host.raftd.txn(self.records)

    def start(self):
        self.n1.start()
        self.n2.start()


@pytest.fixture(scope="module")
def net():
    net = Net()
    try:
        net.start()
        yield net
    finally:
        net.lab.close()


@pytest.fixture
def lab():
    lab = Lab()
    yield lab
    lab.close()


# --- packets ---

def test_same_scope_passes_on_one_node_and_across(net):
    assert passes(net.web1, "10.210.0.3") == YES
    assert passes(net.web1, "10.210.1.2") == YES
    assert passes(net.web2, "10.210.0.2") == YES


@pytest.mark.parametrize("source,to", [
    ("web1", "10.210.3.2"), ("blog1", "10.210.0.2"),  # another deployment, one node
    ("web1", "10.210.2.2"), ("db1", "10.210.0.3"),    # another network of the same deployment
    ("web1", "10.210.5.2"), ("zoo2", "10.210.0.2"),   # another deployment, across
    ("zoo2", "10.210.1.2"), ("web2", "10.210.2.2"),
    ("web1", "10.210.4.2"), ("vault1", "10.210.0.2"),
])
def test_cross_scope_fails(net, source, to):
    assert passes(getattr(net, source), to, timeout=FAIL_S) == NO


def test_a_gateway_answers_only_its_own_scope(net):
    assert passes(net.web1, "10.210.0.1") == YES
    assert passes(net.web2, "10.210.0.1") == YES
    for other in ("10.210.2.1", "10.210.3.1", "10.210.4.1"):
        assert passes(net.web1, other, timeout=FAIL_S) == NO
        assert passes(net.web2, other, timeout=FAIL_S) == NO


def test_spoofed_sources_are_dropped(net):
    """What is sent before must have come before, if it came at all."""
    where = ("10.210.0.3", 7)
    send_spoofed(net.blog1, "10.210.0.2", "10.210.0.3", b"blog as web, same node")
    send_spoofed(net.blog1, "10.210.1.2", "10.210.0.3", b"blog as web of n2")
    send_spoofed(net.web1, "10.210.1.2", "10.210.2.2", b"web as web of n2 to db")
    send_spoofed(net.blog1, "192.0.2.9", "10.210.0.3", b"blog as the world")
    send_spoofed(net.db1, "10.210.255.2", "10.210.0.3", b"db as the mesh")
    assert passes(net.web1, "10.210.0.3") == YES
    send_spoofed(net.web1, "10.210.0.2", "10.210.0.3", b"honest %d" % os.getpid())
    came = net.lab.echo.wait(where, b"honest %d" % os.getpid())
    assert {d for _, d in came if b" as " in d} == set()


def test_the_world_is_masqueraded_and_the_pool_is_not(net):
    before = len(net.lab.echo.got.get(("192.0.2.9", 7), []))
    assert passes(net.web1, "192.0.2.9") == YES
    assert net.lab.echo.got[("192.0.2.9", 7)][before][0] == "192.0.2.1"
    assert udp_passes(net.web1, "10.210.1.2")
    assert net.lab.echo.got[("10.210.1.2", 7)][-1][0] == "10.210.0.2"


def test_an_internal_network_answers_but_does_not_ask(net):
    assert passes(net.vault1, "192.0.2.9", timeout=FAIL_S) == NO
    assert passes(net.vault1, "192.0.2.1", timeout=FAIL_S) == NO
    assert passes(net.vault1, "10.210.4.1") == YES
    assert passes(net.n1.ns, "10.210.4.2") == YES  # the node itself: ingress, health


def test_a_node_reaches_containers_of_the_other_node(net):
    """proxyd on n2 to a replica on n1: from the mesh address, which is no container's."""
    assert passes(net.n2.ns, "10.210.0.2") == YES
    assert passes(net.n2.ns, "10.210.4.2") == YES


def test_traffic_of_the_host_is_untouched(net):
    other = Netns("lan")  # a second network n1 routes for
    net.lab.closers.append(other)
    net.n1.ns.ip("link", "add", "eth1", "type", "veth", "peer", "name", "eth0", "netns", other.name)
    net.n1.ns.ip("addr", "add", "198.51.100.1/24", "dev", "eth1")
    net.n1.ns.ip("link", "set", "eth1", "up")
    other.ip("addr", "add", "198.51.100.9/24", "dev", "eth0")
    other.ip("link", "set", "eth0", "up")
    other.ip("route", "add", "default", "via", "198.51.100.1")
    net.world.ip("route", "replace", "198.51.100.0/24", "via", "192.0.2.1")
    net.lab.echo.listen(other, "198.51.100.9")
    assert passes(net.world, "198.51.100.9") == YES
    assert net.lab.echo.got[("198.51.100.9", 7)][-1][0] == "192.0.2.9"


def test_forwarding_between_two_networks_of_one_container(net):
    """A container on two networks does not become a bridge between them: web1 routes for db1, and
    still db's packets do not come out of web's bridge."""
    net.web1.sysctl("net/ipv4/ip_forward", 1)
    send_spoofed(net.web1, "10.210.2.2", "10.210.0.3", b"db as forwarded")
    send_spoofed(net.web1, "10.210.2.2", "10.210.1.2", b"db as forwarded far")
    assert udp_passes(net.web1, "10.210.1.2")
    assert not [d for _, d in net.lab.echo.got[("10.210.1.2", 7)] if b"forwarded" in d]


# --- the kernel's table ---

def test_nft_prints_what_was_meant_and_loads_it_again(net):
    text = net.n1.table()
    assert "ip saddr & 255.255.255.0 . ip daddr & 255.255.255.0 @same_scope accept" in text
    assert "shop/web@n2" in text
    err, ours = net.n1.call("fwd.ruleset")
    assert err is None

    def lines(t):  # elements are printed in any order and wrapped; rules must match exactly
        return sorted(w for line in t.splitlines() for w in re.split(r",\s*|\{ | \}", line.strip())
                      if w)
    assert lines(text) == lines(ours["text"])
    other = Netns("reload")
    net.lab.closers.append(other)
    path = os.path.join(net.lab.dir, "saved.nft")
    with open(path, "w") as f:
        f.write(text)
    other.do("nft", "-f", path)
    assert lines(other.do("nft", "-s", "list", "table", "inet", "jaco")) == lines(text)


def test_can_answers_from_the_kernels_rules(net):
    err, yes = net.n1.call("fwd.can", {"from": "10.210.0.2", "to": "10.210.1.2", "port": 80})
    assert err is None and yes["allowed"] and yes["here"]
    assert yes["from"] == "shop/web@n1" and yes["to"] == "shop/web@n2"
    assert "@same_scope accept" in yes["rule"] and yes["chain"] == "forward"
    err, no = net.n1.call("fwd.can", {"from": "10.210.0.2", "to": "10.210.3.1", "port": 53})
    assert err is None and not no["allowed"] and no["chain"] == "input"
    assert "another scope" in no["sentence"] and "blog/default@n1" in no["sentence"]
    err, _ = net.n1.call("fwd.can", {"from": "nonsense", "to": "10.210.0.2"})
    assert err["code"] == "validation_failed" and "nonsense" in err["message"]


def test_status_and_metrics(net):
    err, status = net.n1.call("status")
    assert err is None and status["state"] == "ready"
    assert status["facts"]["local_subnets"] == "4"
    err, metrics = net.n1.call("metrics")
    assert "jaco_fwd_ready 1" in metrics["text"]
    dropped = re.search(r'dropped_packets_total\{chain="forward"\} (\d+)', metrics["text"])
    assert int(dropped.group(1)) > 0


# --- changes ---

def test_a_scope_comes_and_goes_in_one_increment_each(net):
    n1, lab = net.n1, net.lab
    n1.bridge("jaco-new", "10.210.9.1")
    new = n1.container("jaco-new", "10.210.9.2")
    loads = metric(n1, "table_loads_total")
    assert passes(new, "10.210.0.2", timeout=FAIL_S) == NO  # unknown to the firewall: still not let in
    key, value = lab.subnet("new", "default", "n1", "10.210.9", "jaco-new")
    n1.wait_applied(n1.raftd.txn({key: value}))
    assert passes(new, "10.210.9.1") == YES
    assert passes(new, "10.210.0.2", timeout=FAIL_S) == NO
    assert passes(new, "192.0.2.9") == YES
    n1.wait_applied(n1.raftd.txn({key: None}))
    assert "10.210.9.0" not in n1.table()
    assert metric(n1, "table_loads_total") == loads
    assert passes(net.web1, "10.210.1.2") == YES


def metric(host, name):
    _, metrics = host.call("metrics")
    return int(re.search(r"^jaco_fwd_%s (\d+)" % name, metrics["text"], re.M).group(1))


@pytest.mark.parametrize("command", [
    "flush ruleset",
    "delete table inet jaco",
    "flush chain inet jaco forward",
    "insert rule inet jaco forward accept",
    "chain inet jaco forward { policy drop; }",
    "delete element inet jaco same_scope { 10.210.0.0 . 10.210.1.0 }",
    "add element inet jaco same_scope { 10.210.0.0 . 10.210.3.0 }",
    "add element inet jaco nodes { 10.210.3.2 }",
    "flush set inet jaco port",
    "add chain inet jaco extra",
])
def test_foreign_changes_are_undone_and_audited(net, command):
    n1 = net.n1
    before, audits = n1.table(), len(n1.raftd.audits)
    repairs = n1.firewall().get("repairs", 0)
    n1.ns.do("nft", command)
    n1.raftd.wait(lambda: n1.firewall().get("repairs", 0) > repairs, "a repair")
    n1.raftd.wait(lambda: len(n1.raftd.audits) > audits, "an audit record")
    assert sorted(n1.table().split()) == sorted(before.split())
    assert n1.raftd.audits[-1]["type"] == "isolation_ruleset_reconciled"
    assert len(n1.raftd.audits[-1]["payload"]["diff"]) > 10
    assert passes(net.web1, "10.210.1.2") == YES
    assert passes(net.web1, "10.210.3.2", timeout=FAIL_S) == NO


def test_other_tables_are_byte_identical(net):
    n1 = net.n1
    n1.ns.do("nft", "table inet admin { set s { type ipv4_addr; elements = { 192.0.2.77 }; }; "
             "chain input { type filter hook input priority 0; policy accept; "
             "ip saddr @s counter drop; }; }")

    def others():
        return re.sub(r"table inet jaco \{.*?\n\}\n", "", n1.ns.do("nft", "-a", "list", "ruleset"),
                      flags=re.S)
    before = others()
    assert "192.0.2.77" in before
    key, value = net.lab.subnet("tmp", "default", "n1", "10.210.20", "jaco-tmp")
    n1.wait_applied(n1.raftd.txn({key: value}))
    n1.kill()
    n1.start()
    n1.wait_applied(n1.raftd.txn({key: None}))
    assert others() == before
    n1.ns.do("nft", "delete", "table", "inet", "admin")


def test_a_restart_adopts_the_table_and_traffic_never_stops(net):
    n1 = net.n1
    handles = re.findall(r"# handle (\d+)", n1.ns.do("nft", "-a", "list", "chain", "inet", "jaco",
                                                     "forward"))
    n1.kill()
    assert passes(net.web1, "10.210.1.2") == YES  # without the daemon
    assert passes(net.web1, "10.210.3.2", timeout=FAIL_S) == NO
    n1.forget_said()
    n1.start()
    assert re.findall(r"# handle (\d+)", n1.ns.do("nft", "-a", "list", "chain", "inet", "jaco",
                                                  "forward")) == handles
    assert metric(n1, "table_loads_total") == 0


def test_without_raftd_the_saved_view_serves(lab):
    host = Host(lab, "n1")
    host.raftd.txn(dict([lab.subnet("shop", "web", "n1", "10.210.0", "jaco-web")]))
    host.start()
    cache = os.path.join(host.root, "cache", "fwd-nft", "view")
    host.kill("terminate")
    assert os.path.exists(cache)
    host.raftd.close()
    host.ns.do("nft", "flush", "ruleset")
    host.start(wait=False)
    wait_until(lambda: "shop/web@n1" in host.table(), host)


def wait_until(condition, host):
    """Driven by the kernel's own notifications, so nothing is slept away."""
    monitor = subprocess.Popen(["nsenter", "--net=" + host.ns.path, "nft", "monitor"],
                               stdout=subprocess.PIPE)
    end = time.monotonic() + EVENT_S
    try:
        while not condition():
            assert time.monotonic() < end, "waited in vain; %s" % host.text_of_log()
            if select.select([monitor.stdout], [], [], 0.1)[0]:
                os.read(monitor.stdout.fileno(), 65536)
    finally:
        monitor.kill()
        monitor.wait()


def test_a_table_that_cannot_be_loaded_is_told(lab):
    """Two records that overlap: nothing sensible can be loaded; what is loaded stays."""
    host = Host(lab, "n1")
    good = lab.subnet("shop", "web", "n1", "10.210.0", "jaco-web")
    host.raftd.txn(dict([good]))
    host.start()
    before = host.table()
    key, value = lab.subnet("evil", "x", "n2", "10.210.0", "b")
    host.raftd.txn({key: value})
    host.raftd.wait(lambda: host.firewall().get("code") == "isolation_unavailable", "the failure")
    assert host.firewall()["ready"] is False and "overlap" in host.firewall()["message"]
    assert host.raftd.audits[-1]["type"] == "isolation_unavailable"
    assert host.table() == before
    _, status = host.call("status")
    assert status["state"] == "degraded" and "overlap" in status["message"]
    host.wait_applied(host.raftd.txn({key: None}))


def test_remove_leaves_nothing(lab):
    host = Host(lab, "n1")
    host.ns.do("nft", "table inet admin { chain c { }; }")
    before = host.ns.do("nft", "-a", "list", "ruleset")
    host.raftd.txn(dict([lab.subnet("shop", "web", "n1", "10.210.0", "jaco-web")]))
    host.start()
    host.kill("terminate")
    assert "table inet jaco" in host.ns.do("nft", "list", "ruleset")
    from fwd_lab import DAEMON
    host.ns.do(DAEMON, "--root", host.root, "--remove")
    assert host.ns.do("nft", "-a", "list", "ruleset") == before


def test_a_released_address_is_forgotten(net):
    """conntrack and neighbour entries of a container that left its node."""
    n1 = net.n1
    replica = {"id": "shop-web-1", "deployment": "shop", "service": "web", "host": "n1",
               "generations": [{"generation": 1, "state": "running", "since": 1,
                                "addresses": [{"network": "web", "address": "10.210.0.3"}]}]}
    n1.wait_applied(n1.raftd.txn({"/obs/replica/shop-web-1@n1": replica}))
    assert passes(net.web1b, "192.0.2.9") == YES
    assert passes(n1.ns, "10.210.0.3") == YES
    assert "10.210.0.3" in n1.ns.ip("neigh")
    assert "10.210.0.3" in n1.ns.do("conntrack", "-L")
    replica["generations"][0]["addresses"] = []
    n1.wait_applied(n1.raftd.txn({"/obs/replica/shop-web-1@n1": replica}))
    assert "10.210.0.3" not in n1.ns.do("conntrack", "-L")
    assert not re.search(r"^10\.210\.0\.3 .*(REACHABLE|STALE|DELAY)", n1.ns.ip("neigh"), re.M)
    assert passes(net.web1b, "192.0.2.9") == YES
    err, flushed = n1.call("fwd.flush", {"addresses": ["10.210.0.3"]})
    assert err is None and flushed["connections"] > 0


def test_four_thousand_scopes_load_and_one_more_is_an_increment():
    ns = Netns("many")
    try:
        assert "replacements=1" in ns.do(TOOL, "replace", 4000)
        assert re.search(r"increments=1 elements=7 ", ns.do(TOOL, "add", 4000))
    finally:
        ns.close()
