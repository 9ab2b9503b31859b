# SPDX-License-Identifier: Apache-2.0
"""The address pool against what a host routes already (network.md 1): refused before a node becomes a
member, told when it appears later."""
import json
import os

import pytest

from lab import Host, sh, wait_for
from lab_cluster import NET, Wire

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")


@pytest.fixture
def hosts():
    wire, made = Wire(), []
    try:
        for i in (1, 2):
            made.append(Host("n%d" % i, NET + str(i), wire=wire))
            made[-1].start()
        yield made
    finally:
        for host in made:
            host.stop()
            host.close()
        wire.close()


def network_of_another(host, kind):
    """A route of an engine's or a VPN's kind into the default pool, 10.244.0.0/16."""
    sh("ip", "-n", host.ns, "link", "add", kind, "type", "bridge")
    sh("ip", "-n", host.ns, "addr", "add", "10.244.77.1/24", "dev", kind)
    sh("ip", "-n", host.ns, "link", "set", kind, "up")


def ipamd(host):
    r = host.jaco("rpc", "status", "--daemon", "ipamd", "-o", "json")
    return json.loads(r.stdout) if r.returncode == 0 else {}


def test_an_overlap_is_refused_at_init_and_at_join_and_told_later(hosts):
    n1, n2 = hosts
    for host in hosts:
        wait_for("ipamd", lambda: ipamd(host))
    network_of_another(n1, "docker7")
    refused = n1.jaco("cluster", "init", "--no-systemd-enable")
    assert refused.returncode != 0 and "10.244.77.0/24, which this host routes to docker7" in refused.stderr
    assert not n1.get("get", "nodes")                              # nothing was begun
    sh("ip", "-n", n1.ns, "link", "del", "docker7")
    n1.init()
    network_of_another(n2, "tailnet0")
    token = n1.do("node", "issue-join-token", "-o", "name").strip()
    refused = n2.jaco("node", "join", token)
    assert refused.returncode != 0 and "10.244.77.0/24, which this host routes to tailnet0" in refused.stderr
    assert [m["host"] for m in n1.get("get", "nodes")] == ["n1"]
    sh("ip", "-n", n2.ns, "link", "del", "tailnet0")
    n2.do("node", "join", token)                                   # the token was not used up
    network_of_another(n2, "vpn9")
    wait_for("the status to name it", lambda: ipamd(n2)["state"] == "degraded" and "vpn9" in ipamd(n2)["message"])
    sh("ip", "-n", n2.ns, "link", "del", "vpn9")
    wait_for("all to be well", lambda: ipamd(n2)["state"] == "ready")
