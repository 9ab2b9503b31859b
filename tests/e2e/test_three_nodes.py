# SPDX-License-Identifier: Apache-2.0
"""Three hosts with an engine and eight daemons each, joined by the real commands, the shop spread
over them: the page comes through every ingress and replicas find each other across nodes."""
import json
import os

import pytest

from conftest import EXAMPLES
from lab import wait_for, write_manifest
from lab_cluster import Cluster

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


def shop_page(host):
    """The whole chain: ingress -> web -> api, each on any node; one try."""
    status, body = host.http("shop.localhost")
    return (status, body) if status == 200 and "api says 200" in body else None


def names_behind(host, n=30):
    seen = set()
    for _ in range(n):
        status, body = host.http("trio.localhost")
        assert status == 200, (status, body)
        seen.add(json.loads(body)["replica"])
    return seen


# --- membership ---

def test_every_node_is_ready_a_voter_and_tells_the_same(cluster):
    wait_for("three voters", lambda: all(m["voter"] for m in cluster.members().values()))
    tables = [{h: (m["state"], m["voter"], m.get("leader", False))
               for h, m in cluster.members(host).items()} for host in cluster]
    assert tables[0] == {"n1": ("ready", True, True), "n2": ("ready", True, False),
                         "n3": ("ready", True, False)}
    assert tables[1:] == tables[:1] * 2


def test_the_replicas_are_spread(cluster):
    assert sorted(cluster.where("trio/echo").values()) == ["n1", "n2", "n3"]
    assert sorted(set(cluster.where("shop").values())) == ["n1", "n2", "n3"]
    assert [cluster.where("trio", by=h) for h in cluster] == [cluster.where("trio")] * 3


# --- traffic ---

def test_the_page_comes_through_the_ingress_of_every_node(cluster):
    for host in cluster:
        wait_for("the page through " + host.name, lambda: shop_page(host))


def test_every_ingress_uses_the_replicas_of_all_nodes(cluster):
    everyone = {"trio-echo-0", "trio-echo-1", "trio-echo-2"}
    for host in cluster:
        # A new replica's share grows over its slow start.
        wait_for("requests at all three through " + host.name, lambda: names_behind(host) == everyone)


def test_replicas_reach_each_other_by_name_and_by_address_across_nodes(cluster):
    rows = cluster.n1.replicas("trio/echo")
    for source in rows:
        host, box = cluster.container(source["id"])
        code, out = host.exec(box, "/bin/kit", "probe", "dns", "echo")
        assert code == 0, out
        for target in rows:
            address = target["addresses"][0]["address"]
            assert address in out, (source["id"], out)
            for probe in (["/bin/kit", "probe", "tcp", address, "8080"],
                          ["/bin/ping", "-c", "1", "-W", "2", address]):
                code, text = host.exec(box, *probe)
                assert code == 0, (source["id"], target["id"], probe, text)


def test_another_deployment_is_out_of_reach_on_every_node(cluster):
    victims = [a["address"] for r in cluster.n1.replicas("shop/api") for a in r["addresses"]]
    for replica in cluster.where("trio/echo"):
        host, box = cluster.container(replica)
        for victim in victims:
            code, text = host.exec(box, "/bin/ping", "-c", "1", "-W", "1", victim)
            assert code != 0, (replica, victim, text)
