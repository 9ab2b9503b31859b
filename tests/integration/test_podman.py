# SPDX-License-Identifier: Apache-2.0
"""jaco-runtimed against a real Podman: the claims of test_runtimed.py in which engines could differ, and
a node of real daemons whose containers stand behind netavark's rules beside ours."""
import os
import shutil
import subprocess
import threading

import pytest

from fake_raftd import FakeRaftd
from lab_daemon import Daemon
from lab_podman import Podman
from test_runtimed import (  # noqa: F401 - each is a test, or the fixture of one
    WEB, Lab, lab,
    test_a_killed_container_is_back_with_its_address,
    test_a_restarted_runtimed_adopts_and_never_takes_out_of_service,
    test_files_volumes_and_two_networks,
    test_logs_are_streamed,
    test_nothing_starts_before_firewall_and_dns_have_its_subnet,
    test_strangers_are_left_alone_and_removed_replicas_go,
    test_the_dead_at_once_and_the_slow_are_stopped_alike,
)

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces and an engine"),
              pytest.mark.skipif(not shutil.which("podman"), reason="needs podman")]

REMOTE = "10.203.9.2"       # a container of shop on another node


@pytest.fixture(scope="module")
def engine():
    made = Podman()
    try:
        yield made
    finally:
        made.close()


def run(*argv, check=True):
    return subprocess.run(argv, check=check, capture_output=True, text=True)


def test_a_record_becomes_a_container_as_specified_by_podman(lab):
    lab.apply(WEB)
    seen = lab.wait_healthy(lab.want("web", 1))
    c = lab.api.inspect("shop-web-1")
    assert c["Id"] == seen["container_id"] and c["Config"]["Labels"]["jaco.spec_hash"] == "hash-1"
    assert c["HostConfig"]["Dns"] == ["10.203.0.1"]
    assert not any((c["HostConfig"]["PortBindings"] or {}).values())
    net = lab.api.networks()["jaco_shop__default"]
    assert net["Labels"]["jaco.bridge"] in run("ip", "-n", lab.engine.name, "link").stdout
    assert net["IPAM"]["Config"][0] == {"Subnet": "10.203.0.0/24", "Gateway": "10.203.0.1"}
    address = c["NetworkSettings"]["Networks"]["jaco_shop__default"]["IPAddress"]
    assert seen["addresses"] == [{"network": "_default", "address": address}]
    # the network is taken as it is when another container joins it, and by the next runtimed
    lab.runtimed.kill()
    lab.runtimed.start()
    lab.wait_healthy(lab.want("web", 2))
    assert lab.runtimed.log().count("network created") == 1 and "made anew" not in lab.runtimed.log()


class Node(Lab):
    """ipamd, fwd-nft, dnsd and runtimed, all real; raftd and meshd are the test: another node of shop is
    a namespace behind a veth pair that is called as the mesh is."""

    def serve(self):
        self.raftd = FakeRaftd(self.root + "/run", "n1", self.store, roles=("ipamd", "runtimed", "fwd", "fwd-nft",
                                                                              "dnsd"))

    def applied(self, firewall, dns=None):
        """Told by the daemons themselves."""
        self.other = self.engine.name + "o"
        run("ip", "netns", "add", self.other)
        run("ip", "-n", self.engine.name, "link", "add", "wg-jaco", "type", "veth", "peer", "name", "eth0",
            "netns", self.other)
        run("ip", "-n", self.engine.name, "addr", "add", "10.203.255.1/32", "dev", "wg-jaco")
        run("ip", "-n", self.engine.name, "link", "set", "wg-jaco", "up")
        run("ip", "-n", self.engine.name, "route", "add", "10.203.9.0/24", "dev", "wg-jaco")
        run("ip", "-n", self.other, "addr", "add", REMOTE + "/32", "dev", "eth0")
        run("ip", "-n", self.other, "link", "set", "eth0", "up")
        run("ip", "-n", self.other, "route", "add", "10.203.0.0/16", "dev", "eth0")
        self.store.put("/node/n2", {"host": "n2", "raft_id": 2, "intent": "active", "mesh_addr": "10.203.255.2"})
        self.store.put("/subnet/shop/_default/n2", {
            "deployment": "shop", "network": "_default", "host": "n2", "cidr": "10.203.9.0/24",
            "gateway": "10.203.9.1", "bridge": "jaco-0000-0000", "scope": 1})
        for name in ("fwd-nft", "dnsd"):
            config = "node_name: n1\nipam_pool: 10.203.0.0/16\nengine_socket: %s\n" % self.engine.socket
            self.others.append(Daemon(name, self.root, config, netns=self.engine.name).start())

    def names(self, deployment, *services):
        """What raftd writes beside an apply, for dnsd."""
        key = "/deployment/" + deployment
        self.store.put(key, dict(self.store.get(key), services=[
            {"name": name, "spec_hash": "x", "replicas": 1, "placement": "spread",
             "networks": [{"name": "_default", "aliases": []}]} for name in services]))

    def probe(self, rid, *words):
        return run("docker", "-H", "unix://" + self.engine.socket, "exec", rid, "/bin/kit", "probe", *words,
                   check=False).stdout.strip()

    def close(self):
        for other in self.others:
            other.kill()
        self.others = []
        super().close()
        run("ip", "netns", "del", self.other)


def listen(netns, found):
    """One datagram that arrives there on port 9999: from whom."""
    code = ("import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.bind(('',9999))\n"
            "print('up',flush=True)\ns.settimeout(60)\nprint(s.recvfrom(64)[1][0],flush=True)\n")
    child = subprocess.Popen(["nsenter", "--net=/run/netns/" + netns, "/usr/bin/python3", "-c", code],
                             stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "up\n"
    thread = threading.Thread(target=lambda: found.append(child.communicate()[0].strip()), daemon=True)
    thread.start()
    return thread


def test_names_and_isolation_beside_netavark(engine, tmp_path):
    node = Node(engine, tmp_path)
    try:
        node.apply(WEB + "  api:\n    image: jaco/test:1\n    expose: ['8080']\n")
        node.apply(WEB, deployment="blog")
        node.names("shop", "web", "api")
        node.names("blog", "web")
        for args in (("web",), ("api",)):
            node.wait_healthy(node.want(*args), 60)
        node.wait_healthy(node.want("web", deployment="blog"), 60)
        address = {rid: node.seen(rid)["addresses"][0]["address"]
                   for rid in ("shop-web-0", "shop-api-0", "blog-web-0")}
        # by name in the own scope
        node.runtimed.wait(lambda: '"replica":"shop-api-0"' in node.probe("shop-web-0", "http", "api", "8080", "/"),
                           60, "the neighbour answers by name")
        # by address and by name in another
        for rid, other in (("blog-web-0", "shop-api-0"), ("shop-web-0", "blog-web-0")):
            assert node.probe(rid, "tcp", address[other], "8080").startswith("failed")
        assert node.probe("blog-web-0", "dns", "api") == "rcode 3"
        # a container of another node sees who asks it, not the node: netavark would masquerade
        rules = run("nsenter", "--net=/run/netns/" + engine.name, "iptables", "-t", "nat", "-S", "POSTROUTING")
        assert "-s 10.203.0.0/16 -o wg-jaco" in rules.stdout and "jaco: mesh" in rules.stdout
        found = []
        thread = listen(node.other, found)
        node.probe("shop-web-0", "udp", REMOTE, "9999")
        thread.join(70)
        assert found == [address["shop-web-0"]]
        # and netavark takes its own rules away without ours
        for service in ("web", "api"):
            node.unwant(service)
        node.unwant("web", deployment="blog")
        node.wait(lambda: not node.store.keys("/obs/replica/"), "all is removed", 60)
    finally:
        node.close()
