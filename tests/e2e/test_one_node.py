# SPDX-License-Identifier: Apache-2.0
"""One node, a real engine, both examples: what issue "One node runs a real application" promises."""
import json
import os
import shutil
import signal

import pytest

from conftest import EXAMPLES
from lab import WAIT_S, talk, wait_for, write_manifest
from lab_load import THREADS, Load


def names_behind(host, domain, n=60):
    """Replicas that answered n requests."""
    seen = set()
    for _ in range(n):
        status, body = host.http(domain)
        assert status == 200, (status, body)
        seen.add(json.loads(body)["replica"])
    return seen


def container(host, replica):
    found = host.containers(jaco__replica_id=replica)
    assert len(found) == 1, found
    return found[0]


def ids(host, **labels):
    return {c["Labels"]["jaco.replica_id"]: c["Id"] for c in host.containers(**labels)}


def addresses(host, ref=None):
    return {r["id"]: r["addresses"] for r in host.replicas(ref)}


# --- serving ---

def test_the_page_comes_from_every_replica(host):
    # A new replica's share grows over its slow start.
    wait_for("all three", lambda: names_behind(host, "hello.localhost") == {
        "hello-web-0", "hello-web-1", "hello-web-2"})


def test_the_shop_answers_on_its_page_its_api_and_its_port(host):
    def page():
        status, body = host.http("shop.localhost")
        return status == 200 and "<h1>The little shop</h1>" in body and "api says 200" in body
    wait_for("the page", page)
    status, body = host.http("shop.localhost", "/api/items")
    assert status == 200 and json.loads(body)["api"].startswith("shop-api-")
    wait_for("the store", lambda: talk(host, 16379, "PING").startswith("+"))


def test_an_unknown_host_is_404_and_jaco_says_so(host):
    status, _ = host.http("nobody.localhost")
    assert status == 404


# --- names ---

def assert_unknown(host, replica, name):
    def said():
        out = host.exec(replica, "/bin/kit", "probe", "dns", name)[1]
        return out if "rcode" in out else None      # "silence": it came too late
    assert "rcode 3" in wait_for("an answer", said), name


def test_names_of_the_own_scope_resolve_and_others_do_not(host):
    mine = addresses(host, "shop/store")["shop-store-0"][0]["address"]
    assert mine in host.probe("shop-api-0", "dns", "store")
    host.probe("shop-api-0", "dns", "web.shop.jaco.internal")
    for stranger in ("web.hello.jaco.internal", "nobody"):
        assert_unknown(host, "shop-store-0", stranger)
    # web is only on front, store only on back: neither knows the other
    assert_unknown(host, "shop-store-0", "web")


# --- isolation ---

def passes(host, source, address, port):
    tcp, _ = host.exec(source, "/bin/kit", "probe", "tcp", address, str(port))
    icmp, _ = host.exec(source, "/bin/ping", "-c", "1", "-W", "1", address)
    return tcp == 0, icmp == 0


def first(host, ref, network=None):
    row = host.replicas(ref)[0]
    for a in row["addresses"]:
        if network in (None, a["network"]):
            return a["address"]
    raise KeyError(network)


def test_the_same_scope_passes(host):
    for source, address, port in (("shop-api-0", first(host, "shop/store"), 6379),
                                  ("shop-web-0", first(host, "shop/api", "front"), 8080)):
        wait_for(source + " to pass", lambda: passes(host, source, address, port) == (True, True))


def test_net_can_says_what_packets_meet(host):
    yes = host.get("net", "can", "shop/api", "shop/store:6379")
    assert yes and all(row["allowed"] and row["here"] for row in yes), yes
    assert any("accept" in row["rule"] for row in yes), yes
    r = host.jaco("net", "can", "shop-store-0", "hello/web", "-o", "json")
    no = json.loads(r.stdout)
    assert r.returncode == 1 and len(no) == 3 and not any(row["allowed"] for row in no), no
    assert all(row["rule"].startswith("forward: ") and "drop" in row["rule"] for row in no), no
    assert host.jaco("net", "can", "nobody", "1.2.3.4").returncode == 65
    scopes = {(s["deployment"], s["network"]): s for s in host.get("net")}
    assert ("shop", "front") in scopes and scopes[("shop", "front")]["subnets"].keys() == {"n1"}
    open_ = host.get("net", "exposure")
    assert {"route", "port", "bridge"} <= {row["kind"] for row in open_}
    assert any(row["what"].startswith("0.0.0.0:16379/tcp") for row in open_), open_
    assert "one node: no paths" in host.do("mesh")


def test_another_deployment_is_out_of_reach(host):
    assert passes(host, "hello-web-0", first(host, "shop/api", "front"), 8080) == (False, False)
    assert passes(host, "shop-web-0", first(host, "hello/web"), 8080) == (False, False)


def test_another_network_of_the_same_deployment_is_out_of_reach(host):
    assert passes(host, "shop-web-0", first(host, "shop/store"), 6379) == (False, False)


def test_a_service_on_two_networks_does_not_forward(host):
    api_back = first(host, "shop/api", "back")
    host.exec("shop-web-0", "/bin/ip", "route", "add", first(host, "shop/store"), "via",
              first(host, "shop/api", "front"))
    assert passes(host, "shop-web-0", first(host, "shop/store"), 6379) == (False, False)
    assert passes(host, "shop-web-0", api_back, 8080) == (False, False)


def test_the_gateway_of_another_scope_answers_no_dns(host):
    gateways = {s["deployment"] + "/" + s["network"]: s["gateway"] for s in host.get("get", "subnets")}
    own, other = gateways["hello/_default"], gateways["shop/back"]
    host.probe("hello-web-0", "dns", "web", "A", own)
    code, out = host.exec("hello-web-0", "/bin/kit", "probe", "dns", "store", "A", other)
    assert code != 0 and first(host, "shop/store") not in out, out


# --- staying as wanted ---

def test_a_killed_container_is_back_and_gets_no_request_meanwhile(host):
    before = host.api.inspect(container(host, "hello-web-1")["Id"])["State"]
    load = Load(host, "hello.localhost")
    os.kill(before["Pid"], signal.SIGKILL)
    wait_for("the next life", lambda: [c for c in host.api.inspected(jaco__replica_id="hello-web-1") if c[
        "State"]["Running"] and c["State"]["StartedAt"] != before["StartedAt"]])
    wait_for("the replica to run again", lambda: host.running("hello/web", 3))
    good, bad = load.finish()
    assert good > 0
    # a request that was inside the killed process is lost with it; none is sent there afterwards
    assert len(bad) <= THREADS, bad


def test_scale_up_down_to_zero_and_back(host):
    host.do("scale", "hello/web", "5")
    wait_for("five replicas", lambda: host.running("hello/web", 5))
    host.do("scale", "hello/web", "2")
    rows = wait_for("two replicas", lambda: host.running("hello/web", 2))
    assert {r["id"] for r in rows} == {"hello-web-0", "hello-web-1"}
    wait_for("two containers", lambda: len(host.containers(jaco__deployment="hello")) == 2)
    assert "no replica is wanted" in host.do("scale", "hello/web", "0", "--wait")
    assert "web: scaled to 0 by hand" in host.do("status", "hello")
    wait_for("no container", lambda: not host.containers(jaco__deployment="hello"))
    status, _ = host.http("hello.localhost")
    assert status == 503
    host.do("scale", "hello/web", "--reset")
    rows = wait_for("three replicas", lambda: host.running("hello/web", 3))
    assert "hello-web-1" not in {r["id"] for r in rows}, "an index was used twice"
    wait_for("the page", lambda: host.http("hello.localhost")[0] == 200)


def copy_shop(host):
    path = os.path.join(host.dir, "shop")
    if not os.path.exists(path):
        shutil.copytree(os.path.join(EXAMPLES, "shop"), path)
    return path


def edit(path, old, new):
    with open(path) as f:
        text = f.read()
    assert old in text
    with open(path, "w") as f:
        f.write(text.replace(old, new))


def test_a_changed_environment_recreates_exactly_its_service(host):
    path = copy_shop(host)
    before = ids(host, jaco__deployment="shop")
    edit(path + "/compose.yaml", "API: api:8080", "API: api:8080\n      COLOR: red")
    host.apply(path + "/jaco.yaml")
    wait_for("the old containers to be gone",
             lambda: len(host.containers(jaco__deployment="shop")) == len(before))
    after = ids(host, jaco__deployment="shop")
    changed = {name for name in after if before.get(name) != after[name]}
    assert changed == {"shop-web-0", "shop-web-1"}, changed
    env = host.api.inspect(after["shop-web-0"])["Config"]["Env"]
    assert "COLOR=red" in env


def test_a_comment_recreates_nothing(host):
    path = copy_shop(host)
    before = ids(host)
    edit(path + "/compose.yaml", "services:\n", "# nothing to see\nservices:\n")
    host.apply(path + "/jaco.yaml")
    assert ids(host) == before


def test_a_rejected_apply_changes_nothing(host):
    path = write_manifest(host, "thief", "services:\n  a:\n    image: jaco/test:1\n"
                          "    ports: ['16379:6379']\n", "deployment: thief\nacme: off\n")
    r = host.jaco("apply", path)
    assert r.returncode == 65 and "port_conflict" in r.stderr and "shop" in r.stderr, r.stderr
    assert "thief" not in host.do("get", "deployments")


# --- daemons come and go ---

DAEMONS = ["raftd", "schedd", "ipamd", "meshd", "fwd-nft", "dnsd", "proxyd", "runtimed"]


@pytest.mark.parametrize("daemon", DAEMONS)
def test_a_killed_daemon_recovers_and_disturbs_nothing(host, daemon):
    before, where = ids(host), addresses(host)
    load = Load(host, "hello.localhost") if daemon != "proxyd" else None
    host.kill(daemon)
    if load:
        good, bad = load.finish()
        assert good > 0 and not bad, bad
    wait_for("the page", lambda: host.http("hello.localhost")[0] == 200)
    host.probe("shop-api-0", "dns", "store")
    wait_for("everything healthy", lambda: "all is well" in host.do("status"))
    assert ids(host) == before
    assert addresses(host) == where


def test_stopped_and_started_daemons_adopt_everything(host):
    before, where = ids(host), addresses(host)
    host.stop()
    assert ids(host) == before, "containers run on without us"
    host.start()
    wait_for("everything healthy", lambda: "all is well" in host.do("status"))
    wait_for("the page", lambda: host.http("hello.localhost")[0] == 200)
    assert ids(host) == before
    assert addresses(host) == where


def test_without_raftd_the_page_and_names_are_served_also_after_restarts(host):
    pid = host.pause("raftd")
    try:
        for daemon in ("proxyd", "dnsd"):
            host.end(daemon)
        wait_for("the page", lambda: host.http("hello.localhost")[0] == 200)
        host.probe("shop-api-0", "dns", "store")
        assert len(names_behind(host, "hello.localhost", 30)) >= 2
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for("everything healthy", lambda: "all is well" in host.do("status"))


def test_a_new_raftd_that_has_not_heard_of_replicas_takes_none_out_of_service(host):
    """runtimed stands still while everybody else is connected again."""
    pid = host.pause("runtimed")
    try:
        load = Load(host, "hello.localhost")
        host.kill("raftd")
        for topic in ("ingress", "dns"):
            wait_for("what is told by the one of " + topic, lambda: host.get("rpc", "kv.get", json.dumps(
                {"key": "/obs/node/n1/" + topic})).get("entry"))
        names_behind(host, "hello.localhost", 30)
        host.probe("shop-api-0", "dns", "store")
        good, bad = load.finish()
        assert good > 0 and not bad, bad[:5]
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for("everything healthy", lambda: "all is well" in host.do("status"))


def test_other_containers_and_networks_of_the_engine_are_left_alone(host):
    host.api.call("POST", "/networks/create", {"Name": "foreign", "CheckDuplicate": True})
    made = host.api.call("POST", "/containers/create?name=foreign",
                         {"Image": "jaco/test:1", "Cmd": ["pause"],
                          "Labels": {"jaco.cluster_id": "another", "jaco.replica_id": "shop-web-0"}})
    host.api.call("POST", "/containers/%s/start" % made["Id"])
    before = host.api.inspect("foreign")["State"]["StartedAt"]
    host.kill("runtimed")
    wait_for("everything healthy", lambda: "all is well" in host.do("status"))
    state = host.api.inspect("foreign")["State"]
    assert state["Running"] and state["StartedAt"] == before
    assert "foreign" in host.api.networks()
    host.api.call("DELETE", "/containers/foreign?force=1")
    host.api.call("DELETE", "/networks/foreign")


def test_after_a_power_cut_everything_returns_by_itself(host):
    where = addresses(host)
    host.power_cut()
    host.start_engine()
    host.start()
    wait_for("everything healthy", lambda: "all is well" in host.do("status"), 2 * WAIT_S)
    wait_for("the page", lambda: host.http("hello.localhost")[0] == 200)
    assert addresses(host) == where


# --- the end ---

def test_delete_removes_all_but_the_data(host):
    host.delete("shop")
    host.delete("hello")
    wait_for("no container", lambda: not [c for c in host.containers()
                                          if "jaco.deployment" in c["Labels"]])
    assert host.http("hello.localhost")[0] == 404
    volumes = host.api.call("GET", "/volumes")["Volumes"] or []
    assert "jaco_shop_data" in [v["Name"] for v in volumes], "data goes only when asked"
    types = [json.loads(line)["event"]["type"] for line in
             host.do("audit", "-o", "json").splitlines()]
    assert types[0] == "cluster_init" and types[-2:] == ["delete", "delete"]
