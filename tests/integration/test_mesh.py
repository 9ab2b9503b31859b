# SPDX-License-Identifier: Apache-2.0
"""jaco-meshd on two and three hosts - network namespaces on one wire - through wireguard-go, with
real packets: peers, routes, repair, adoption, an absent implementation."""
import os
import shutil
import signal
import stat
import subprocess
import time

import pytest

from fake_raftd import FakeRaftd, Store
from lab_daemon import Daemon

PID = os.getpid()
needs_wg = pytest.mark.skipif(not shutil.which("wireguard-go") or not os.path.exists("/dev/net/tun"),
                              reason="no wireguard-go or no /dev/net/tun")


def run(*argv, check=True):
    return subprocess.run(argv, check=check, capture_output=True, text=True)


class Host:
    def __init__(self, lab, name, number):
        self.lab, self.name, self.number = lab, name, number
        self.netns = "jm%d-%s" % (PID, name)
        self.iface = "jm%d%s" % (PID % 100000, name)
        self.underlay = "192.0.2.%d" % number
        run("ip", "netns", "add", self.netns)
        run("ip", "-n", self.netns, "link", "set", "lo", "up")
        if lab.bridge:
            a = "v%d%s" % (PID % 100000, name)
            run("ip", "-n", lab.bridge, "link", "add", a, "type", "veth", "peer", "name", "eth0",
                "netns", self.netns)
            run("ip", "-n", lab.bridge, "link", "set", a, "master", "br0", "up")
            run("ip", "-n", self.netns, "addr", "add", self.underlay + "/24", "dev", "eth0")
            run("ip", "-n", self.netns, "link", "set", "eth0", "up")
        self.root = lab.tmp / name
        self.raftd = FakeRaftd(str(self.root / "run"), name, lab.store)
        self.daemon = Daemon("meshd", self.root, self.config(), netns=self.netns)

    def config(self, **more):
        rows = dict({"node_name": self.name, "wg_interface": self.iface,
                     "ipam_pool": "10.203.0.0/16"}, **more)
        return "".join("%s: %s\n" % row for row in rows.items())

    def join(self):
        self.lab.store.put("/node/" + self.name, {
            "host": self.name, "raft_id": self.number, "intent": "active",
            "peer_addr": self.underlay + ":7001"})
        return self

    def subnet(self, cidr):
        """A claimed subnet and something in it that answers."""
        gateway = cidr.replace(".0/24", ".1")
        run("ip", "-n", self.netns, "addr", "add", gateway + "/32", "dev", "lo")
        self.lab.store.put("/subnet/shop/front/" + self.name, {
            "deployment": "shop", "network": "front", "host": self.name, "cidr": cidr,
            "gateway": gateway, "bridge": "jaco-0000-0000", "scope": 1})
        return gateway

    def ip(self, *argv):
        return run("ip", "-n", self.netns, *argv).stdout

    def ping(self, addr, count=1, check=True):
        return run("nsenter", "--net=/run/netns/" + self.netns, "ping", "-c", str(count), "-i", "0.2",
                   "-W", "1", addr, check=check).returncode == 0

    def reaches(self, addr, seconds=15):
        end = time.monotonic() + seconds
        while not self.ping(addr, check=False):
            assert time.monotonic() < end, "%s does not reach %s\n%s\n%s" % (
                self.name, addr, self.daemon.log(), self.ip("route"))

    def wg(self, *argv):
        return run("nsenter", "--net=/run/netns/" + self.netns, "wg", *argv).stdout

    def deaf_to(self, other, is_deaf=True):
        """Nothing of the other host arrives here any more; what we send still reaches it."""
        self.nft("add table inet deaf; flush table inet deaf; delete table inet deaf")
        if is_deaf:
            self.nft("add table inet deaf; add chain inet deaf in { type filter hook prerouting "
                     "priority -350; }; add rule inet deaf in ip saddr %s drop" % other.underlay)

    def nft(self, text):
        run("nsenter", "--net=/run/netns/" + self.netns, "nft", text)

    def peer(self, host):
        """What this host publishes about another."""
        mesh = self.lab.store.get("/obs/node/%s/mesh" % self.name) or {}
        return [p for p in mesh.get("peers", []) if p["host"] == host][0]

    def wireguard_pid(self):
        for pid in os.listdir("/proc"):
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    if f.read() == b"wireguard-go\0-f\0%s\0" % self.iface.encode():
                        return int(pid)
            except OSError:
                pass
        return None

    def close(self):
        self.daemon.kill()
        self.raftd.close()
        pid = self.wireguard_pid()
        if pid:
            os.kill(pid, signal.SIGKILL)
        run("ip", "netns", "del", self.netns)


@pytest.fixture
def lab(tmp_path):
    class Lab:
        store, tmp, hosts = Store(), tmp_path, []
        bridge = "jm%d-wire" % PID

        def host(self, name, number):
            self.hosts.append(Host(self, name, number))
            return self.hosts[-1]

        def pair(self):
            a, b = self.host("n1", 1), self.host("n2", 2)
            for h in (a, b):
                h.join().daemon.start()
            for h in (a, b):
                h.daemon.wait_status("1 peers")
            return a, b

    lab_ = Lab()
    run("ip", "netns", "add", lab_.bridge)
    run("ip", "-n", lab_.bridge, "link", "add", "br0", "type", "bridge")
    run("ip", "-n", lab_.bridge, "link", "set", "br0", "up")
    try:
        yield lab_
    finally:
        for h in lab_.hosts:
            h.close()
        run("ip", "netns", "del", lab_.bridge)


@needs_wg
def test_one_node_has_a_device_and_no_peer(lab):
    n1 = lab.host("n1", 1).join()
    n1.daemon.start()
    n1.daemon.wait_status("userspace WireGuard, 0 peers")
    node = lab.store.get("/node/n1")
    assert node["wg_public_key"] == n1.wg("show", n1.iface, "public-key").strip()
    assert node["wg_endpoints"] == ["192.0.2.1:51820"]
    assert node["mesh_addr"] == "10.203.255.1" and node["peer_addr"] == "192.0.2.1:7001"
    key = n1.root / "lib" / "meshd" / "private.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_text() == n1.wg("show", n1.iface, "private-key")
    assert lab.store.get("/obs/node/n1/mesh")["state"] == "ready"
    assert "10.203.255.1/32" in n1.ip("addr", "show", n1.iface)
    assert n1.daemon.stop() == 0


@needs_wg
def test_subnets_of_two_nodes_reach_each_other(lab):
    a, b = lab.pair()
    gw_a, gw_b = a.subnet("10.203.0.0/24"), b.subnet("10.203.1.0/24")
    a.reaches(gw_b)
    b.reaches(gw_a)
    assert "10.203.1.0/24 dev %s proto 74" % a.iface in a.ip("route")
    assert "mtu 1420" in a.ip("link", "show", a.iface)
    a.daemon.wait(lambda: a.daemon.call("mesh.status")["peers"][0].get("rtt_us"), 15, "round trip")
    peer = a.daemon.call("mesh.status")["peers"][0]
    assert peer["host"] == "n2" and peer["endpoint"] == "192.0.2.2:51820"
    assert peer["handshake_age_ms"] >= 0 and peer["loss_permille"] == 0
    lab.store.delete("/subnet/shop/front/n2")
    a.daemon.wait(lambda: "10.203.1.0" not in a.ip("route"), 5, "route gone")
    assert "10.203.255.2" in a.ip("route")


@needs_wg
def test_a_one_way_fault_is_told_apart(lab):
    a, b = lab.pair()
    gw_b = b.subnet("10.203.1.0/24")
    a.reaches(gw_b)
    a.daemon.wait(lambda: a.peer("n2").get("hears") and b.peer("n1").get("hears"), 10, "both hear")
    b.deaf_to(a)
    a.daemon.wait(lambda: not b.peer("n1").get("hears"), 20, "n2 notices")
    assert a.peer("n2")["hears"] and b.peer("n1")["heard"] > 0
    a.daemon.wait(lambda: a.peer("n2")["loss_permille"] > 0, 20, "loss of n1's probes")
    b.deaf_to(a, False)
    a.daemon.wait(lambda: b.peer("n1").get("hears"), 20, "n2 hears again")
    a.reaches(gw_b)


@needs_wg
def test_damage_is_repaired(lab):
    a, b = lab.pair()
    gw_b = b.subnet("10.203.1.0/24")
    a.reaches(gw_b)
    key_b = lab.store.get("/node/n2")["wg_public_key"]

    a.wg("set", a.iface, "peer", key_b, "remove")
    a.daemon.wait(lambda: key_b in a.wg("show", a.iface, "peers"), 10, "peer is back")
    a.reaches(gw_b)

    a.ip("route", "del", "10.203.1.0/24", "dev", a.iface)
    a.daemon.wait(lambda: "10.203.1.0/24" in a.ip("route"), 2, "route is back")

    os.kill(a.wireguard_pid(), signal.SIGKILL)
    a.reaches(gw_b)

    a.ip("link", "del", a.iface)
    a.daemon.wait(lambda: a.iface in a.ip("link"), 10, "device is back")
    a.reaches(gw_b)
    text = a.daemon.call("metrics")["text"]
    assert "jaco_meshd_repairs_total" in text and "mesh repaired" in a.daemon.log()


@needs_wg
def test_a_stopped_child_is_replaced(lab):
    a, b = lab.pair()
    gw_b = b.subnet("10.203.1.0/24")
    a.reaches(gw_b)
    before = a.wireguard_pid()
    os.kill(before, signal.SIGSTOP)
    a.daemon.wait(lambda: a.wireguard_pid() not in (None, before), 20, "another child")
    a.reaches(gw_b)


@needs_wg
def test_restart_adopts_the_device_and_its_sessions(lab):
    a, b = lab.pair()
    gw_b = b.subnet("10.203.1.0/24")
    a.reaches(gw_b)
    before = a.wireguard_pid()
    a.daemon.wait(lambda: (a.root / "cache" / "meshd" / "view").exists(), 10, "view saved")
    pinging = subprocess.Popen(["nsenter", "--net=/run/netns/" + a.netns, "ping", "-i", "0.05", "-c",
                                "60", "-W", "1", gw_b], stdout=subprocess.PIPE, text=True)
    a.daemon.kill()
    a.raftd.close()             # and it comes back while raftd is away
    a.daemon.start()
    a.daemon.wait_status("userspace WireGuard, 1 peers, waiting for raftd")
    out = pinging.communicate()[0]
    assert " 0% packet loss" in out, out
    assert a.wireguard_pid() == before


@needs_wg
def test_only_the_node_that_changed_is_touched(lab):
    a, b = lab.pair()
    c = lab.host("n3", 3).join()
    c.daemon.start()
    gw_b = b.subnet("10.203.1.0/24")
    a.daemon.wait_status("2 peers")
    a.reaches(gw_b)
    key_b = lab.store.get("/node/n2")["wg_public_key"]

    def handshake():
        return [l.split()[1] for l in a.wg("show", a.iface, "latest-handshakes").splitlines()
                if l.startswith(key_b)][0]
    shaken = handshake()
    c.subnet("10.203.2.0/24")
    a.daemon.wait(lambda: "10.203.2.0/24" in a.wg("show", a.iface, "allowed-ips"), 5)
    lab.store.delete("/node/n3")
    a.daemon.wait_status("1 peers")
    a.daemon.wait(lambda: "10.203.2.0/24" not in a.ip("route"), 5)
    assert handshake() == shaken and a.ping(gw_b)


@needs_wg
def test_rotated_key_is_published_and_traffic_goes_on(lab):
    a, b = lab.pair()
    gw_b = b.subnet("10.203.1.0/24")
    a.reaches(gw_b)
    old = lab.store.get("/node/n1")["wg_public_key"]
    from fake_raftd import RpcError
    try:
        a.daemon.call("mesh.rotate_key")
    except RpcError as e:       # the daemon's own socket may not be an administrator's
        assert e.code == "permission_denied"
        return
    lab.store.wait(lambda: lab.store.get("/node/n1")["wg_public_key"] != old, why="new key")
    a.reaches(gw_b)


def test_mesh_unavailable_is_said_and_the_daemon_lives(lab):
    n1 = lab.host("n1", 1).join()
    n1.daemon.env["PATH"] = "/nonexistent"
    nsenter = shutil.which("nsenter")
    n1.daemon.netns = None
    argv = [nsenter, "--net=/run/netns/" + n1.netns,
            os.path.join(os.environ.get("JACO_BUILD") or os.path.join(
                os.path.dirname(os.path.abspath(__file__)), "..", "..", "build"),
                "daemons", "meshd", "jaco-meshd"), "--root", n1.daemon.root]
    n1.daemon.process = subprocess.Popen(argv, env=n1.daemon.env, stdout=subprocess.DEVNULL,
                                         stderr=open(n1.daemon.log_path, "a"))
    n1.daemon.wait_status("mesh unavailable")
    mesh = lab.store.get("/obs/node/n1/mesh")
    assert mesh["state"] == "unavailable" and "WireGuard" in mesh["message"]
    assert lab.store.get("/node/n1")["wg_public_key"]
    assert n1.daemon.log().count("mesh unavailable") == 1
    assert n1.daemon.stop() == 0


@needs_wg
def test_down_takes_the_device_away(lab):
    n1 = lab.host("n1", 1).join()
    n1.daemon.start()
    n1.daemon.wait_status("0 peers")
    assert n1.daemon.stop() == 0
    assert n1.wireguard_pid()       # it outlives the daemon
    build = os.environ.get("JACO_BUILD") or os.path.join(
        os.path.dirname(os.path.abspath(__file__)), "..", "..", "build")
    run("nsenter", "--net=/run/netns/" + n1.netns, os.path.join(build, "daemons/meshd/jaco-meshd"),
        "--root", str(n1.root), "--down")
    end = time.monotonic() + 5
    while n1.wireguard_pid() or n1.iface in n1.ip("link"):
        assert time.monotonic() < end
        time.sleep(0.05)
