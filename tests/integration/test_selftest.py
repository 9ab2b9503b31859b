# SPDX-License-Identifier: Apache-2.0
"""jaco-fwd-nft --selftest=packets: two packets through the loaded table, with and without somebody in
their way."""
import os

import pytest

from fwd_lab import Host, Lab
from test_isolation import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")


@pytest.fixture
def host():
    lab = Lab()
    try:
        made = Host(lab, "n1")
        made.raftd.txn(dict([lab.subnet("shop", "web", "n1", "10.210.0", "jaco-web"),
                             lab.subnet("blog", "default", "n2", "10.210.1", "jaco-blog")]))
        yield made
    finally:
        lab.close()


def nothing_is_left(host):
    assert "selftest" not in host.ns.ip("link") + host.ns.do("nft", "list", "tables")
    assert "self-test" not in host.table() and "10.210.25" not in host.ns.ip("route")


def test_the_packets_pass_and_nothing_is_left(host):
    """Also where the host forwards nothing by itself and an engine drops strangers."""
    host.ns.sysctl("net/ipv4/ip_forward", 0)
    for key in ("all", "default"):
        host.ns.sysctl("net/ipv4/conf/%s/rp_filter" % key, 1)
    host.ns.do("iptables", "-P", "FORWARD", "DROP")
    host.start(options=["--selftest=packets"])
    assert "self-test passed" in host.text_of_log()
    nothing_is_left(host)
    # and again over the table that it finds, which it adopts
    host.kill()
    host.forget_said()
    host.start(options=["--selftest=packets"])
    assert host.text_of_log().count("self-test passed") == 2
    nothing_is_left(host)


@pytest.mark.parametrize("chain,rule", [
    ("type filter hook forward priority -20", "ip saddr 10.210.0.0/16 drop"),
    ("type nat hook prerouting priority -100", "ip saddr 10.210.0.0/16 dnat to 192.0.2.1"),
])
def test_who_takes_the_packets_before_us_makes_it_fail(host, chain, rule):
    host.ns.do("nft", "add table ip greedy; add chain ip greedy take { %s; }; add rule ip greedy take %s" % (
        chain, rule))
    host.start(wait=False, options=["--selftest=packets"])
    host.raftd.wait(lambda: host.firewall().get("code") == "isolation_self_test_failed", "the failure")
    assert not host.firewall().get("ready") and "never came" in host.firewall()["message"]
    host.ns.do("nft", "delete table ip greedy")
    host.raftd.wait(lambda: host.firewall().get("ready"), "readiness")
    assert "self-test passed" in host.text_of_log()
    nothing_is_left(host)


def test_a_packet_within_a_scope_that_is_dropped_makes_it_fail(host):
    """Dropped between the counters of the test, as our own chain would."""
    host.ns.do("nft", "add table ip greedy; add chain ip greedy take { type filter hook forward priority -5; }; "
               "add rule ip greedy take ip saddr 10.210.0.0/16 drop")
    host.start(wait=False, options=["--selftest=packets"])
    host.raftd.wait(lambda: host.firewall().get("code") == "isolation_self_test_failed", "the failure")
    assert "within one scope did not pass" in host.firewall()["message"]


def test_a_table_put_to_sleep_is_woken(host):
    """All its rules are there, and none is asked."""
    host.start()
    host.ns.do("nft", "add table inet jaco { flags dormant; }")
    wait_until(lambda: "dormant" not in host.table(), host)
    host.kill()
    host.forget_said()
    host.ns.do("nft", "add table inet jaco { flags dormant; }")
    host.start(options=["--selftest=packets"])
    assert "dormant" not in host.table()


def test_another_word_is_refused(host):
    host.start(wait=False, options=["--selftest=nonsense"])
    assert host.daemon.wait(60) != 0
    assert "nonsense: table or packets" in host.text_of_log()
