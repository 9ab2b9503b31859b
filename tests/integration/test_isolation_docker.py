# SPDX-License-Identifier: Apache-2.0
"""jaco-fwd-nft beside a real dockerd (testing.md, "The host rig"): the engine's own filter drops what
comes from the mesh until it is accommodated, puts itself back after a restart, and stays otherwise as
it was."""
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from fwd_lab import EVENT_S, Host, Lab, Netns, ping_passes, run, tcp_passes, udp_passes
from test_isolation import NO, YES, FAIL_S, passes, wait_until

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces"),
    pytest.mark.skipif(not shutil.which("dockerd"), reason="needs dockerd"),
]

IMAGE = "jaco-fwd-test"


class Engine:
    """A dockerd inside a host's network namespace, with everything else of its own."""

    def __init__(self, lab, host):
        self.dir = os.path.join(lab.dir, "engine")
        self.host, self.proc = host, None
        self.name = host.ns.name.replace("-", "")
        os.makedirs(self.dir)
        self.sock = "unix://" + os.path.join(self.dir, "docker.sock")

    def start(self):
        d = self.dir
        pid = os.path.join(d, "pid")
        if os.path.exists(pid):
            os.unlink(pid)
        self.log = open(os.path.join(d, "log"), "ab")
        self.proc = subprocess.Popen(
            ["nsenter", "--net=" + self.host.ns.path, "dockerd", "-H", self.sock, "--data-root",
             d + "/data", "--exec-root", d + "/exec", "--pidfile", pid, "--containerd-namespace",
             self.name, "--containerd-plugins-namespace", self.name + "p", "--bridge", "none"],
            stdout=self.log, stderr=self.log)
        for _ in range(100):
            # the API itself says when it is up: each try waits for it
            done = subprocess.run(["curl", "-s", "--retry", "20", "--retry-delay", "1",
                                   "--retry-all-errors", "--unix-socket", d + "/docker.sock",
                                   "http://d/_ping"], stdout=subprocess.PIPE)
            if done.stdout == b"OK":
                return
        raise AssertionError("dockerd does not come up: " + open(d + "/log").read()[-2000:])

    def stop(self, sig=signal.SIGTERM):
        self.proc.send_signal(sig)
        self.proc.wait(60)
        self.log.close()

    def docker(self, *args):
        return run("docker", "-H", self.sock, *args)

    def close(self):
        if self.proc and self.proc.poll() is None:
            for c in self.docker("ps", "-aq").split():
                run("docker", "-H", self.sock, "rm", "-f", c, check=False)
            self.stop()
        for line in run("mount").splitlines():
            at = line.split()[2]
            if at.startswith(self.dir):
                run("umount", "-l", at, check=False)


@pytest.fixture(scope="module")
def rig():
    lab = Lab()
    try:
        yield make_rig(lab)
    finally:
        lab.close()


class Rig:
    pass


def make_rig(lab):
    rig = Rig()
    rig.lab = lab
    rig.n1, rig.n2 = Host(lab, "n1"), Host(lab, "n2")
    lab.wire(rig.n1, rig.n2)
    rig.engine = Engine(lab, rig.n1)
    lab.closers.append(rig.engine)
    rig.n1.ns.sysctl("net/ipv4/ip_forward", 0)  # the engine turns it on, and forwarding's policy to drop
    rig.engine.start()
    make_image(lab, rig.engine)
    for name, net in (("web", "10.210.0"), ("blog", "10.210.3")):
        rig.engine.docker("network", "create", "--subnet", net + ".0/24", "--gateway", net + ".1",
                          "-o", "com.docker.network.bridge.name=jaco-" + name,
                          "-o", "com.docker.network.bridge.enable_ip_masquerade=false",
                          "jaco_" + name)
        rig.engine.docker("run", "-d", "--stop-timeout", "0", "--name", name, "--network", "jaco_" + name, "--ip",
                          net + ".2", IMAGE, "/busybox", "nc", "-ll", "-p", "7", "-e", "/busybox",
                          "cat")
    rig.n2.bridge("jaco-web", "10.210.1.1")
    rig.n2.bridge("jaco-zoo", "10.210.5.1")
    rig.web2 = rig.n2.container("jaco-web", "10.210.1.2")
    rig.zoo2 = rig.n2.container("jaco-zoo", "10.210.5.2")
    for net in ("10.210.1.0/24", "10.210.5.0/24"):
        rig.n1.ns.ip("route", "add", net, "via", "10.210.255.2")
    for net in ("10.210.0.0/24", "10.210.3.0/24"):
        rig.n2.ns.ip("route", "add", net, "via", "10.210.255.1")
    records = dict([
        lab.subnet("shop", "web", "n1", "10.210.0", "jaco-web"),
        lab.subnet("shop", "web", "n2", "10.210.1", "jaco-web"),
        lab.subnet("blog", "default", "n1", "10.210.3", "jaco-blog"),
        lab.subnet("zoo", "default", "n2", "10.210.5", "jaco-zoo"),
    ])
    for i, name in enumerate(("n1", "n2"), 1):
        records["/node/" + name] = {"host": name, "raft_id": i, "intent": "active",
                                    "mesh_addr": "10.210.255.%d" % i}
    for host in (rig.n1, rig.n2):
        host.raftd.txn(records)
    return rig


def make_image(lab, engine):
    """A static busybox is all it takes."""
    root = os.path.join(lab.dir, "image")
    os.makedirs(root)
    shutil.copy(shutil.which("busybox"), os.path.join(root, "busybox"))
    tar = os.path.join(lab.dir, "image.tar")
    run("tar", "-C", root, "-cf", tar, ".")
    engine.docker("import", tar, IMAGE)


def tcp_and_ping(ns, to, timeout=EVENT_S):
    return tcp_passes(ns, to, 7, timeout), ping_passes(ns, to, timeout)


def wait_served(ns, to):
    """Until the program in a container that was just started listens."""
    end = time.monotonic() + EVENT_S
    while not tcp_passes(ns, to):
        assert time.monotonic() < end, "nobody listens at %s" % to
        time.sleep(0.05)


def user_chain(host):
    return host.ns.do("iptables", "-S", "DOCKER-USER")


def test_the_engine_drops_what_comes_from_the_mesh_until_it_is_accommodated(rig):
    assert tcp_and_ping(rig.web2, "10.210.0.2", FAIL_S) == (False, False)
    rig.before = rig.n1.ns.do("iptables-save", "-t", "filter")
    rig.n1.start()
    rig.n2.start()
    wait_served(rig.web2, "10.210.0.2")
    assert tcp_and_ping(rig.web2, "10.210.0.2") == (True, True)
    assert tcp_and_ping(rig.n2.ns, "10.210.0.2") == (True, True)  # ingress of the other node
    assert tcp_and_ping(rig.zoo2, "10.210.0.2", FAIL_S) == (False, False)
    assert tcp_and_ping(rig.web2, "10.210.3.2", FAIL_S) == (False, False)
    out = rig.engine.docker("exec", "web", "/busybox", "ping", "-c1", "-W10", "10.210.1.2")
    assert "1 packets received" in out


def test_iptables_shows_our_rules_and_nothing_else_changed(rig):
    text = user_chain(rig.n1)
    assert '-d 10.210.0.0/16 -i mesh0 -m comment --comment "jaco: mesh" -j ACCEPT' in text
    assert '-s 10.210.0.0/16 -o mesh0 -m comment --comment "jaco: mesh" -j ACCEPT' in text

    def rules(dump):
        return [line for line in dump.splitlines() if line.startswith("-A") and "jaco: mesh" not in line]
    assert rules(rig.n1.ns.do("iptables-save", "-t", "filter")) == rules(rig.before)


def test_containers_of_two_scopes_on_one_node_stay_apart(rig):
    out = run("docker", "-H", rig.engine.sock, "exec", "web", "/busybox", "ping", "-c1", "-W1",
              "10.210.3.2", check=False)
    assert "0 packets received" in out


@pytest.mark.parametrize("command", [("iptables", "-F", "DOCKER-USER"), ("iptables", "-F")])
def test_our_rules_come_back(rig, command):
    rig.n1.ns.do(*command)
    wait_until(lambda: user_chain(rig.n1).count("jaco: mesh") == 2, rig.n1)


def test_a_flushed_ruleset_and_a_restarted_engine(rig):
    """Everybody's rules are gone; ours are back at once, the engine's when it restarts (20.10 then
    leaves out DOCKER-USER, and its policy does not drop)."""
    rig.n1.ns.do("nft", "flush", "ruleset")
    wait_until(lambda: rig.n1.table().count("same scope") == 2, rig.n1)
    rig.engine.stop()
    rig.engine.start()
    rig.engine.docker("start", "web", "blog")
    wait_served(rig.web2, "10.210.0.2")
    assert tcp_and_ping(rig.web2, "10.210.0.2") == (True, True)
    assert tcp_and_ping(rig.web2, "10.210.3.2", FAIL_S) == (False, False)
    assert "DOCKER-ISOLATION-STAGE-1" in rig.n1.ns.do("iptables", "-S", "FORWARD")


def test_a_raw_drop_of_newer_engines_is_accommodated(rig):
    """What Docker 28 puts into raw prerouting, put there by hand."""
    rig.n1.ns.do("iptables", "-t", "raw", "-A", "PREROUTING", "-d", "10.210.0.2/32", "!", "-i",
                 "jaco-web", "-j", "DROP")
    wait_until(lambda: "jaco: mesh" in rig.n1.ns.do("iptables", "-t", "raw", "-S"), rig.n1)
    assert tcp_and_ping(rig.web2, "10.210.0.2") == (True, True)
    rig.n1.ns.do("iptables", "-t", "raw", "-D", "PREROUTING", "-d", "10.210.0.2/32", "!", "-i",
                 "jaco-web", "-j", "DROP")
    wait_until(lambda: "jaco: mesh" not in rig.n1.ns.do("iptables", "-t", "raw", "-S"), rig.n1)


def test_remove_takes_our_rules_out_of_the_engines_chains(rig):
    from fwd_lab import DAEMON
    rig.n1.kill("terminate")
    rig.n1.ns.do(DAEMON, "--root", rig.n1.root, "--remove")
    text = rig.n1.ns.do("nft", "list", "ruleset")
    assert "jaco: mesh" not in text and "table inet jaco" not in text
