# SPDX-License-Identifier: Apache-2.0
"""jaco-ipamd as a process: claims through the store, leases on disk, races between hosts."""
import ipaddress
import threading

import pytest

from fake_raftd import FakeRaftd, RpcError, Store
from lab_daemon import Daemon

CONFIG = "node_name: %s\nipam_pool: 10.203.0.0/16\n"


@pytest.fixture
def lab(tmp_path):
    made = []

    class Lab:
        store = Store()

        def host(self, name, config=CONFIG):
            root = tmp_path / name
            raftd = FakeRaftd(str(root / "run"), name, self.store)
            daemon = Daemon("ipamd", root, config % name)
            self.store.put("/node/" + name, {"host": name, "raft_id": len(made) + 1,
                                             "intent": "active"})
            daemon.raftd = raftd
            made.append(daemon)
            daemon.start()
            daemon.wait_status("ready")
            return daemon

        def deployment(self, name, networks):
            self.store.put("/deployment/" + name, {
                "name": name, "revision": 1, "updated": 1,
                "networks": [{"name": n} for n in networks]})

    yield Lab()
    for daemon in made:
        daemon.kill()
        daemon.raftd.close()


def lease(daemon, replica, networks, generation=1, deployment="shop"):
    return daemon.call("ipamd.lease", deployment=deployment, replica=replica,
                       generation=generation, networks=[{"name": n} for n in networks])["items"]


def test_lease_claims_the_subnet_and_gives_its_second_address(lab):
    lab.deployment("shop", ["front", "back"])
    n1 = lab.host("n1")
    front, back = lease(n1, "shop-web-0", ["front", "back"])
    assert (front["cidr"], front["gateway"], front["address"]) == (
        "10.203.0.0/24", "10.203.0.1", "10.203.0.2")
    assert back["cidr"] == "10.203.1.0/24"
    assert front["bridge"] != back["bridge"] and front["bridge"].startswith("jaco-")
    record = lab.store.get("/subnet/shop/front/n1")
    assert record["scope"] == 1 and lab.store.get("/subnet/shop/back/n1")["scope"] == 2
    assert front["revision"] == lab.store.data["/subnet/shop/front/n1"][1]
    assert lease(n1, "shop-web-0", ["front"])[0]["address"] == "10.203.0.2"


def test_two_hosts_share_the_scope_number_and_not_the_subnet(lab):
    lab.deployment("shop", ["front"])
    n1, n2 = lab.host("n1"), lab.host("n2")
    one, two = lease(n1, "shop-web-0", ["front"])[0], lease(n2, "shop-web-1", ["front"])[0]
    assert one["cidr"] != two["cidr"]
    assert lab.store.get("/subnet/shop/front/n1")["scope"] == \
        lab.store.get("/subnet/shop/front/n2")["scope"]


def test_a_network_that_becomes_internal_is_so_in_its_records(lab):
    lab.deployment("shop", ["front"])
    n1 = lab.host("n1")
    lease(n1, "shop-web-0", ["front"])
    before = lab.store.get("/subnet/shop/front/n1")
    assert not before.get("internal")
    for internal in (True, False):
        lab.store.put("/deployment/shop", {"name": "shop", "revision": 2, "updated": 2,
                                           "networks": [{"name": "front", "internal": internal}]})
        lab.store.wait(lambda: bool(lab.store.get("/subnet/shop/front/n1").get("internal")) == internal,
                       why="internal is %s" % internal)
    after = dict(lab.store.get("/subnet/shop/front/n1"))
    after.pop("internal", None), before.pop("internal", None)
    assert after == before


def test_racing_hosts_never_overlap(lab):
    names = ["net%d" % i for i in range(12)]
    lab.deployment("shop", names)
    hosts = [lab.host("n%d" % i) for i in range(1, 5)]
    errors = []

    def grab(daemon, part):
        try:
            for n in part:
                lease(daemon, "shop-%s-%s" % (daemon.root[-2:], n), [n])
        except Exception as e:      # collected: a thread's failure must fail the test
            errors.append(e)
    threads = [threading.Thread(target=grab, args=(d, names[k::3]))
               for d in hosts for k in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors
    records = [lab.store.get(k) for k in lab.store.keys("/subnet/")]
    assert len(records) == 48
    nets = sorted(ipaddress.ip_network(r["cidr"]) for r in records)
    assert all(not a.overlaps(b) for a, b in zip(nets, nets[1:]))
    scopes = {}
    for r in records:
        scopes.setdefault(r["network"], set()).add(r["scope"])
    assert all(len(s) == 1 for s in scopes.values())
    assert len(set.union(*scopes.values())) == len(names)
    print("conflicts lost and retried:", lab.store.conflicts)


def test_addresses_survive_kill_9_and_a_start_without_raftd(lab):
    lab.deployment("shop", ["front"])
    n1 = lab.host("n1")
    before = [lease(n1, "shop-web-%d" % i, ["front"])[0]["address"] for i in range(5)]
    n1.call("ipamd.release", replica="shop-web-1", generation=1)
    n1.wait_saved("/deployment/shop", "/subnet/shop/front/n1")
    n1.kill()
    n1.raftd.close()
    n1.start()
    after = [lease(n1, "shop-web-%d" % i, ["front"])[0]["address"] for i in (0, 2, 3, 4)]
    assert after == [before[0]] + before[2:]
    items = n1.call("ipamd.list")["items"]
    assert [i["address"] for i in items] == before
    assert [bool(i.get("quarantined_until")) for i in items] == [False, True, False, False, False]
    assert lease(n1, "shop-web-9", ["front"])[0]["address"] not in before
    with pytest.raises(RpcError) as e:
        lease(n1, "shop-web-9", ["other"])
    assert e.value.code == "unavailable" and "raftd is away" in e.value.message
    assert "waiting for raftd" in n1.call("status")["message"]


def test_exhaustion_has_its_code_and_counts(lab):
    lab.deployment("shop", ["front"])
    n1 = lab.host("n1", CONFIG + "ipam_prefix: 28\n")
    for i in range(13):
        lease(n1, "shop-web-%d" % i, ["front"])
    n1.call("ipamd.release", replica="shop-web-3", generation=1)
    with pytest.raises(RpcError) as e:
        lease(n1, "shop-web-13", ["front"])
    assert e.value.code == "address_pool_exhausted"
    assert "13 usable, 12 leased, 1 in quarantine; the next is free in" in e.value.message
    assert e.value.details["leased"] == "12"


def test_pool_exhaustion_is_told_to_the_caller(lab):
    lab.deployment("shop", ["a", "b"])
    n1 = lab.host("n1", "node_name: %s\nipam_pool: 10.203.0.0/20\nipam_prefix: 21\n")
    lease(n1, "shop-web-0", ["a"])
    with pytest.raises(RpcError) as e:
        lease(n1, "shop-web-0", ["b"])
    assert e.value.code == "subnet_pool_exhausted" and "no free /21" in e.value.message


def test_a_deleted_deployment_frees_its_subnets_once_quarantine_allows(lab):
    lab.deployment("shop", ["front"])
    n1 = lab.host("n1")
    lease(n1, "shop-web-0", ["front"])
    lab.store.delete("/deployment/shop")
    lab.store.put("/node/n1", {"host": "n1", "raft_id": 1, "intent": "active"})
    n1.wait(lambda: n1.call("hello")["revision"] == lab.store.revision)
    assert lab.store.keys("/subnet/") == ["/subnet/shop/front/n1"]      # a lease is held
    # a network that never leased here goes at once, its scope number with it
    lab.store.put("/scope/old/x", {"id": 77})
    lab.store.put("/subnet/old/x/n1", {
        "deployment": "old", "network": "x", "host": "n1", "cidr": "10.203.9.0/24",
        "gateway": "10.203.9.1", "bridge": "jaco-0000-0000", "scope": 77})
    lab.store.wait(lambda: not lab.store.keys("/subnet/old/"), why="unused subnet freed")
    assert not lab.store.keys("/scope/old/")


def test_subnets_of_a_removed_member_are_freed(lab):
    lab.deployment("shop", ["front"])
    n1, n2 = lab.host("n1"), lab.host("n2")
    lease(n2, "shop-web-0", ["front"])
    n2.kill()
    lab.store.delete("/node/n2")
    lab.store.wait(lambda: not lab.store.keys("/subnet/shop/front/n2"), why="subnet of n2 freed")
    assert n1.process.poll() is None


def test_overlap_with_a_route_of_the_host_is_reported(tmp_path):
    import subprocess
    ns = "jaco-ipam-%d" % __import__("os").getpid()
    subprocess.run(["ip", "netns", "add", ns], check=True)
    try:
        for cmd in ("link add vpn0 type veth peer name vpn1", "link set vpn0 up", "link set vpn1 up",
                    "route add 10.203.7.0/24 dev vpn0"):
            subprocess.run(["ip", "-n", ns] + cmd.split(), check=True)
        daemon = Daemon("ipamd", tmp_path, CONFIG % "n1", netns=ns)
        daemon.start()
        try:
            answer = daemon.call("ipamd.preflight")
            assert not answer["ok"] and "10.203.7.0/24, which this host routes to vpn0" in \
                answer["message"]
            subprocess.run(["ip", "-n", ns, "link", "del", "vpn0"], check=True)
            assert daemon.call("ipamd.preflight")["ok"]
        finally:
            assert daemon.stop() == 0
    finally:
        subprocess.run(["ip", "netns", "del", ns], check=True)


def test_bad_requests_have_typed_errors_and_the_daemon_lives(lab):
    n1 = lab.host("n1")
    for params in ({}, {"deployment": 7, "replica": "r", "generation": 1, "networks": []},
                   {"deployment": "x" * 64, "replica": "r", "generation": 1, "networks": []}):
        with pytest.raises(RpcError) as e:
            n1.call("ipamd.lease", **params)
        assert e.value.code == "validation_failed"
    with pytest.raises(RpcError) as e:
        n1.call("ipamd.nonsense")
    assert e.value.code == "unknown_method"
    assert "jaco_ipamd_leases" in n1.call("metrics")["text"]
    assert n1.stop() == 0
