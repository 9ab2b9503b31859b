# SPDX-License-Identifier: Apache-2.0
"""A real jaco-raftd on its sockets: rights, rude callers, watches, admission, and what survives kill -9."""
import os
import signal
import socket
import struct
import subprocess
import threading
import time

import msgpack
import pytest

from jacorpc import BUILD, Raftd, Rpc, RpcError

JACO = b"""deployment: shop
routes:
  - domain: shop.example.com
    service: web
    port: 80
    tls: off
"""
COMPOSE = b"""services:
  web:
    image: nginx:1
    ports: ["6379:6379"]
"""


@pytest.fixture
def blank(tmp_path):
    raftd = Raftd(tmp_path).start()
    yield raftd
    raftd.stop()


@pytest.fixture
def node(blank):
    blank.rpc().call("cluster.init", name="test")
    return blank


def counter(n):
    return msgpack.packb({"next": n})


def put(key, value):
    return {"key": key, "value": value}


def fails(code, part, fn, *args, **kw):
    with pytest.raises(RpcError) as caught:
        fn(*args, **kw)
    assert caught.value.code == code, str(caught.value)
    assert part in caught.value.message
    return caught.value


# --- before and after init -------------------------------------------------------------------


def test_before_init_only_a_few_methods_answer(blank):
    rpc = blank.rpc()
    assert rpc.call("cluster.status")["initialised"] is False
    assert rpc.call("hello")["name"] == "raftd"
    assert rpc.call("status")["state"] == "waiting"
    assert "jaco_raftd_" in rpc.call("metrics")["text"]
    for method, params in (("token.list", {}), ("deploy.delete", {"deployment": "x"}),
                           ("kv.get", {"key": "/node/x"}), ("logs.stream", {})):
        fails("cluster_uninitialized", "cluster init", rpc.call, method, **params)


def test_init_happens_once_and_survives(blank):
    rpc = blank.rpc()
    fails("validation_failed", "name", rpc.call, "cluster.init", name="no good")
    made = rpc.call("cluster.init", name="prod")
    assert len(made["token"]) == 64 and made["identity"] == "bootstrap"
    fails("cluster_already_initialized", made["cluster_id"], rpc.call, "cluster.init")
    assert blank.stop() == 0
    blank.start()
    status = blank.rpc().call("cluster.status")
    assert status["cluster_id"] == made["cluster_id"] and status["name"] == "prod"
    for name in ("ca.crt", "node.crt", "node.key", "seal.key"):
        assert os.stat(blank.root + "/lib/raftd/" + name).st_mode & 0o777 == 0o600


def test_an_init_that_dies_half_way_is_run_again(tmp_path):
    for fault in ("exit:commit*1", "exit:vote_save*3", "exit:log_flush*3", "exit:apply*1"):
        root = tmp_path / fault.replace(":", "_").replace("*", "_")
        root.mkdir()
        raftd = Raftd(root).start(env={"JACO_FAULT": fault})
        with pytest.raises((EOFError, ConnectionError)):
            raftd.rpc().call("cluster.init")
        assert raftd.process.wait(60) == 99
        raftd.start()
        raftd.wait_leader() if raftd.rpc().call("cluster.status")["initialised"] else None
        if not raftd.rpc().call("cluster.status")["initialised"]:
            raftd.rpc().call("cluster.init")
        assert raftd.rpc().call("cluster.status")["initialised"]
        raftd.stop()


# --- transactions and rights -----------------------------------------------------------------


def test_a_transaction_is_all_or_nothing(node):
    schedd = node.rpc("schedd")
    first = schedd.call("kv.txn", compares=[{"key": "/counter/d/s", "revision": 0}],
                        puts=[put("/counter/d/s", counter(1))])
    assert first["succeeded"]
    again = schedd.call("kv.txn", compares=[{"key": "/counter/d/s", "revision": 0}],
                        puts=[put("/counter/d/t", counter(1))])
    assert not again["succeeded"] and again["failed_key"] == "/counter/d/s"
    assert "entry" not in schedd.call("kv.get", key="/counter/d/t")
    got = schedd.call("kv.get", key="/counter/d/s", linearizable=True)
    assert got["entry"]["revision"] == first["revision"]
    assert schedd.call("kv.txn", delete_prefixes=["/counter/d/"])["succeeded"]
    assert "entries" not in schedd.call("kv.range", prefix="/counter/")


def test_a_retry_with_the_same_id_is_applied_once(node):
    schedd = node.rpc("schedd")
    txn = {"compares": [{"key": "/counter/d/s", "revision": 0}],
           "puts": [put("/counter/d/s", counter(1))], "request_id": "one"}
    first = schedd.call("kv.txn", **txn)
    assert first == schedd.call("kv.txn", **txn)
    node.kill()
    node.start().wait_leader()
    assert first == node.rpc("schedd").call("kv.txn", **txn)


@pytest.mark.parametrize("role,key", [("dnsd", "/counter/d/s"), ("schedd", "/subnet/a/b/c"),
                                      ("proxyd", "/secret/registry/x"), ("schedd", "/token/x"),
                                      ("ipamd", "/replica/d/s/1"), ("runtimed", "/audit/1")])
def test_a_role_writes_only_its_own_keys(node, role, key):
    fails("permission_denied", key, node.rpc(role).call, "kv.txn", puts=[put(key, counter(1))])


def test_secrets_are_read_by_nobody(node):
    for role in ("dnsd", "proxyd", "runtimed", None):
        fails("permission_denied", "/secret/", node.rpc(role).call, "kv.range", prefix="/secret/")
        fails("permission_denied", "/token/", node.rpc(role).call, "kv.range", prefix="/token/")
    fails("permission_denied", "", lambda: list(node.rpc("dnsd").stream("kv.watch", prefixes=["/"])))
    fails("permission_denied", "kv.txn", node.rpc().call, "kv.txn")
    fails("permission_denied", "deploy.delete", node.rpc("dnsd").call, "deploy.delete", deployment="x")


def test_a_value_must_be_a_record_of_its_keyspace(node):
    schedd = node.rpc("schedd")
    error = fails("validation_failed", "/counter/d/s", schedd.call, "kv.txn",
                  puts=[put("/counter/d/s", msgpack.packb({"next": "five"}))])
    assert "next" in error.message
    fails("validation_failed", "next", schedd.call, "kv.txn",
          puts=[put("/counter/d/s", msgpack.packb({}))])
    fails("validation_failed", "no keyspace", schedd.call, "kv.txn",
          puts=[put("/nowhere/x", counter(1))])
    fails("validation_failed", "end in /", schedd.call, "kv.txn", delete_prefixes=["/counter/d"])


def test_meshd_changes_only_the_wireguard_fields_of_its_own_node(node):
    meshd = node.rpc("meshd")
    entry = meshd.call("kv.range", prefix="/node/")["entries"][0]
    record = msgpack.unpackb(entry["value"])
    record["wg_public_key"] = "k" * 43 + "="
    assert meshd.call("kv.txn", puts=[put(entry["key"], msgpack.packb(record))])["succeeded"]
    record["raft_id"] = 7
    fails("permission_denied", "WireGuard", meshd.call, "kv.txn",
          puts=[put(entry["key"], msgpack.packb(record))])
    fails("permission_denied", "not this node", meshd.call, "kv.txn",
          puts=[put("/node/other", msgpack.packb(record))])


# --- rude callers ----------------------------------------------------------------------------


RUDE = [b"\xc1", b"\xc1" * 100, b"GET / HTTP/1.1\r\n\r\n", b"\x94\x00", b"\x93\x00\x01\x02",
        b"\x94\x07\x01\xa5hello\x90", b"\x94\x00\x01\xdb\xff\xff\xff\xff", b"\xdd\xff\xff\xff\xff",
        b"\x94\x00\x01\xa5hello\xdd\xff\xff\xff\xff", b"\x94\x00\x01\xa5hello\x92\x80\x80",
        b"\x94\x00\x01\xa5hello\x91" + b"\x91" * 5000, os.urandom(4096), b"\x00" * 70000]


@pytest.mark.parametrize("role", ["schedd", None])
def test_malformed_bytes_end_a_connection_and_nothing_else(node, role):
    bystander = node.rpc(role)
    for data in RUDE:
        rpc = Rpc(node.path(role))
        try:
            rpc.send(data)
            rpc.sock.shutdown(socket.SHUT_WR)
            while rpc.sock.recv(65536):
                pass
        except (ConnectionError, BrokenPipeError):
            pass
        rpc.close()
        assert bystander.call("hello")["name"] == "raftd"
    assert node.process.poll() is None


def test_an_oversized_message_is_refused_and_memory_stays_bounded(node):
    rpc = node.rpc("schedd")
    try:
        rpc.send(b"\x94\x00\x01\xa6kv.txn\x91\x81\xa4puts\xc6" + struct.pack(">I", 500 << 20))
        for _ in range(64):
            rpc.send(b"x" * 65536)
        message = rpc.recv()
        assert message[2]["code"] == "message_too_large"
    except (ConnectionError, BrokenPipeError):
        pass
    if "san" not in BUILD:
        assert node.rpc().call("status")["rss_bytes"] < 64 << 20


def test_wrong_types_are_typed_errors_and_the_connection_goes_on(node):
    rpc = node.rpc()
    fails("validation_failed", "deployment", rpc.call, "deploy.delete", deployment=5)
    fails("validation_failed", "deployment", rpc.call, "deploy.delete")
    fails("unknown_method", "no.such", rpc.call, "no.such")
    fails("validation_failed", "replicas", rpc.call, "deploy.scale", deployment="x", service="y",
          replicas=-1)
    fails("validation_failed", "prefixes", lambda: list(rpc.stream("kv.watch", prefixes=[])))
    fails("deployment_not_found", "x", rpc.call, "deploy.delete", deployment="x", unknown_field=1)


def test_too_many_requests_in_flight_are_refused_one_by_one(node):
    rpc = node.rpc()
    ids = [rpc.request("leader.watch") for _ in range(300)]
    refused = 0
    while refused < 300 - 256:
        message = rpc.recv()
        if message[0] == 1:
            assert message[2]["code"] == "too_many_requests"
            refused += 1
    assert len(ids) - refused == 256
    rpc.close()
    assert node.rpc().call("hello")


# --- watch -----------------------------------------------------------------------------------


def test_a_watch_is_a_snapshot_and_then_every_change_in_order(node):
    schedd = node.rpc("schedd")
    for i in range(50):
        schedd.call("kv.txn", puts=[put("/counter/d/%03d" % i, counter(i))])
    table, seen = {}, []
    events = node.rpc("runtimed").stream("kv.watch", prefixes=["/counter/"])
    for event in events:
        for entry in event.get("entries", []):
            table[entry["key"]] = entry["value"]
        if event["kind"] == "synced":
            break
    assert len(table) == 50
    for i in range(200):
        schedd.call("kv.txn", puts=[put("/counter/d/%03d" % (i % 70), counter(1000 + i))])
    schedd.call("kv.txn", deletes=["/counter/d/000"])
    for event in events:
        assert event["kind"] == "change"
        for entry in event["entries"]:
            seen.append(entry["revision"])
            if "value" in entry:
                table[entry["key"]] = entry["value"]
            else:
                del table[entry["key"]]
        if "/counter/d/000" not in table:
            break
    assert seen == sorted(seen) and len(seen) == 201
    truth = {e["key"]: e["value"] for e in schedd.call("kv.range", prefix="/counter/")["entries"]}
    assert table == truth


def test_a_watch_resumes_without_a_snapshot(node):
    schedd = node.rpc("schedd")
    at = schedd.call("kv.txn", puts=[put("/counter/d/a", counter(1))])["revision"]
    schedd.call("kv.txn", puts=[put("/counter/d/b", counter(2))])
    event = next(node.rpc("runtimed").stream("kv.watch", prefixes=["/counter/"], from_revision=at))
    assert event["kind"] == "change"
    assert [e["key"] for e in event["entries"]] == ["/counter/d/b"]


def test_a_reader_that_sleeps_is_told_to_start_over_and_ends_with_the_truth(node):
    schedd = node.rpc("schedd")
    lazy = node.rpc("runtimed")
    lazy.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    want = lazy.request("kv.watch", prefixes=["/replica/"])
    value = msgpack.packb({"id": "x", "deployment": "d", "service": "s", "generations": [
        {"generation": 1, "host": "h", "revision": 1, "spec_hash": "a" * 64, "intent": "run",
         "image": "i" * 500}] * 4})
    for _ in range(40):
        schedd.call("kv.txn", puts=[put("/replica/d/s/%d" % i, value) for i in range(300)])
    if "san" not in BUILD:  # a sanitizer keeps freed memory
        assert node.rpc().call("status")["rss_bytes"] < 160 << 20
    schedd.call("kv.txn", delete_prefixes=["/replica/"], puts=[put("/counter/d/end", counter(1))])
    table, kinds, synced = {}, set(), False
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        message = lazy.recv()
        assert message[0] == 2 and message[2][0]["id"] == want
        event = message[2][0]["event"]
        kinds.add(event["kind"])
        if event["kind"] == "resync":
            table = {}
        for entry in event.get("entries", []):
            if "value" in entry:
                table[entry["key"]] = entry["value"]
            else:
                table.pop(entry["key"], None)
        synced = synced or event["kind"] == "synced"
        if synced and not table and event["revision"] >= 41:
            break
    assert not table
    assert "resync" in kinds


def test_observed_records_are_seen_and_belong_to_their_node(node):
    host = node.rpc().call("cluster.status")["host"]
    events = node.rpc("schedd").stream("kv.watch", prefixes=["/obs/"])
    while next(events)["kind"] != "synced":
        pass
    key = "/obs/node/%s/firewall" % host
    fwd = node.rpc("fwd-nft")
    fwd.call("obs.put", key=key, value=msgpack.packb({"generation": 3, "ready": True}))
    entry = next(events)["entries"][0]
    assert entry["key"] == key and msgpack.unpackb(entry["value"])["generation"] == 3
    state = lambda: node.rpc().call("cluster.status")["members"][0]["state"]
    assert state() == "joining", "its engine has not been heard of"
    engine = "/obs/node/%s/engine" % host
    node.rpc("runtimed").call("obs.put", key=engine, value=msgpack.packb({"state": "ready"}))
    assert next(events)["entries"][0]["key"] == engine
    assert state() == "ready"
    fwd.call("obs.put", key=key)
    assert "value" not in next(events)["entries"][0]
    fails("permission_denied", "does not belong", fwd.call, "obs.put",
          key="/obs/node/other/firewall", value=msgpack.packb({"generation": 3, "ready": True}))
    fails("permission_denied", "", node.rpc("dnsd").call, "obs.put", key=key,
          value=msgpack.packb({"generation": 3, "ready": True}))


# --- admission -------------------------------------------------------------------------------


def test_apply_to_delete(node):
    rpc = node.rpc()
    dry = rpc.call("deploy.apply", jaco=JACO, compose=COMPOSE, dry_run=True)
    assert {"service web", "route shop.example.com/", "port 6379/tcp"} <= {
        c["object"] for c in dry["changes"]}
    done = rpc.call("deploy.apply", jaco=JACO, compose=COMPOSE, plan=dry["plan"], message="hello")
    assert done["revision"] == 1 and done["changed"]
    fails("conflict", "plan", rpc.call, "deploy.apply", jaco=JACO,
          compose=COMPOSE.replace(b":1", b":2"), plan=dry["plan"])
    assert rpc.call("deploy.apply", jaco=JACO, compose=COMPOSE)["changed"] is False
    rpc.call("deploy.scale", deployment="shop", service="web", replicas=3)
    assert rpc.call("deploy.apply", jaco=JACO, compose=COMPOSE.replace(b":1", b":2"))["revision"] == 2
    record = msgpack.unpackb(rpc.call("kv.get", key="/deployment/shop")["entry"]["value"])
    assert record["services"][0]["replicas"] == 3  # the override holds
    rpc.call("deploy.scale", deployment="shop", service="web", reset=True)
    assert rpc.call("deploy.rollback", deployment="shop")["revision"] == 3
    history = rpc.call("deploy.history", deployment="shop")["revisions"]
    assert [r["number"] for r in history] == [3, 2, 1]
    rpc.call("deploy.delete", deployment="shop")
    for prefix in ("/deployment/", "/revision/", "/route/", "/tcproute/"):
        assert "entries" not in rpc.call("kv.range", prefix=prefix)
    types = [e["event"]["type"] for page in rpc.stream("audit.list") for e in page["events"]]
    assert types == ["cluster_init", "apply", "scale", "apply", "scale", "rollback", "delete"]


def test_addresses_of_one_port_are_published_each(node):
    rpc = node.rpc()

    def compose(*addresses):
        return b"services:\n" + b"".join(b"  s%d: {image: 'x:1', ports: ['%s:7070:70']}\n" % pair
                                        for pair in enumerate(addresses))

    def published():
        return {e["key"]: msgpack.unpackb(e["value"])["service"]
                for e in rpc.call("kv.range", prefix="/tcproute/").get("entries", [])}
    rpc.call("deploy.apply", jaco=b"deployment: a\n", compose=compose(b"127.0.0.1", b"127.0.0.2", b"[::1]"))
    assert published() == {"/tcproute/7070/tcp/127.0.0.1": "s0", "/tcproute/7070/tcp/127.0.0.2": "s1",
                           "/tcproute/7070/tcp/::1": "s2"}
    for other in (compose(b"127.0.0.9"), b"services: {s: {image: 'x:1', ports: ['7070:70']}}"):
        fails("port_conflict", '"a"', rpc.call, "deploy.apply", jaco=b"deployment: b\n", compose=other)
    rpc.call("deploy.apply", jaco=b"deployment: a\n", compose=compose(b"127.0.0.1"))
    assert published() == {"/tcproute/7070/tcp/127.0.0.1": "s0"}
    rpc.call("deploy.delete", deployment="a")
    assert published() == {}


def jaco(node, *argv, **kw):
    return subprocess.run([os.path.join(BUILD, "cli/jaco"), "--root", str(node.root), *argv],
                          text=True, stderr=subprocess.PIPE, timeout=120, **kw)


def test_the_command_line_on_bad_options_numbers_and_full_disks(node, tmp_path):
    (tmp_path / "jaco.yaml").write_bytes(JACO)
    (tmp_path / "compose.yaml").write_bytes(COMPOSE)
    r = jaco(node, "apply", str(tmp_path / "jaco.yaml"), "--timeout", "soon")
    assert r.returncode == 65 and "soon" in r.stderr
    assert not node.rpc().call("kv.get", key="/deployment/shop").get("entry")  # nothing happened
    node.rpc().call("deploy.apply", jaco=JACO, compose=COMPOSE)
    assert jaco(node, "get", "ports", "-o", "name", stdout=subprocess.PIPE).stdout == "6379\n"
    with open("/dev/full", "w") as full:
        r = jaco(node, "get", "deployments", stdout=full)
    assert r.returncode != 0 and "standard output" in r.stderr


def test_a_slow_reader_of_relayed_logs_loses_no_line(node):
    """`jaco logs | less`: the daemon behind waits instead of lines being dropped."""
    os.makedirs(os.path.join(node.root, "run/runtimed"), exist_ok=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind(os.path.join(node.root, "run/runtimed/runtimed.sock"))
    server.listen(1)
    lines = 600

    def serve():
        conn, _ = server.accept()
        unpacker = msgpack.Unpacker(raw=False)
        while True:
            unpacker.feed(conn.recv(65536))
            for message in unpacker:
                for i in range(lines):
                    conn.sendall(msgpack.packb([2, "logs.stream", [{"id": message[1], "event": {
                        "replica": "a-b-0", "host": "n", "text": "%06d" % i + "x" * 40000}}]]))
                conn.sendall(msgpack.packb([1, message[1], None, None]))
                return

    threading.Thread(target=serve, daemon=True).start()
    rpc = node.rpc()
    stream = rpc.stream("logs.stream", replica="a-b-0")
    got = [next(stream)["text"][:6]]
    time.sleep(1)  # 24 MB would wait now, three times the bound
    got += [event["text"][:6] for event in stream]
    assert got == ["%06d" % i for i in range(lines)]


def test_a_second_raftd_on_one_directory_is_refused(node):
    r = subprocess.run([os.path.join(BUILD, "daemons/raftd/jaco-raftd"), "--root", str(node.root)],
                       text=True, capture_output=True, timeout=60)
    assert r.returncode != 0 and "held by another process" in r.stderr
    assert node.rpc().call("cluster.status")["initialised"]  # its sockets are untouched


def test_a_rejected_apply_changes_nothing_and_names_every_finding(node):
    rpc = node.rpc()
    rpc.call("deploy.apply", jaco=JACO, compose=COMPOSE)
    before = rpc.call("cluster.status")["state_hash"]
    error = fails("route_conflict", "shop.example.com", rpc.call, "deploy.apply",
                  jaco=JACO.replace(b"deployment: shop", b"deployment: other"), compose=COMPOSE)
    assert error.details["owner"] == "shop"
    assert "port_conflict" in error.details["finding_2"]
    error = fails("unknown_host", "n9", rpc.call, "deploy.apply",
                  jaco=b"deployment: a\nservices: [{name: web, placement: hosts, hosts: [n9]}]\n",
                  compose=b"services: {web: {image: x}}")
    assert error.details["line"] == "2", "of hosts:"
    assert rpc.call("cluster.status")["state_hash"] == before


def test_two_applies_that_race_for_a_port_cannot_both_win(node):
    results = []

    def run(name):
        try:
            node.rpc().call("deploy.apply", jaco=b"deployment: %s\n" % name,
                            compose=b"services: {a: {image: x, ports: ['7777:1']}}")
            results.append("won")
        except RpcError as error:
            results.append(error.code)

    threads = [threading.Thread(target=run, args=(b"d%d" % i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["port_conflict"] * 7 + ["won"]


def test_tokens_are_shown_once_and_registry_secrets_reach_only_runtimed(node):
    rpc = node.rpc()
    issued = rpc.call("token.issue", identity="ci", deployments=["shop"], read_only=True)
    assert len(issued["token"]) == 64
    fails("conflict", "ci", rpc.call, "token.issue", identity="ci")
    fails("validation_failed", "Shop", rpc.call, "token.issue", identity="b", deployments=["shop", "Shop"])
    rpc.call("token.revoke", identity="ci")
    assert [t.get("revoked", False) for t in rpc.call("token.list")["tokens"]] == [False, True]
    rpc.call("registry.login", registry="https://Registry.Example.com:443/team/", user="u",
             password="hunter2-hunter2")
    assert rpc.call("registry.list")["items"][0]["registry"] == "registry.example.com/team"
    rpc.call("registry.login", registry="https://index.docker.io/v1/", user="u", password="p")
    assert rpc.call("registry.list")["items"][0]["registry"] == "docker.io"
    rpc.call("registry.logout", registry="docker.io")
    rpc.call("registry.logout", registry="never.seen")
    secret = node.rpc("runtimed").call("registry.secrets")["items"][0]
    assert secret["password"] == "hunter2-hunter2"
    fails("permission_denied", "", node.rpc("proxyd").call, "registry.secrets")
    node.stop()
    for base, _, files in os.walk(node.root):
        for name in files:
            data = open(os.path.join(base, name), "rb").read()
            assert b"hunter2" not in data and issued["token"].encode() not in data, name


def test_audit_can_be_followed(node):
    events = node.rpc().stream("audit.list", follow=True, types=["token_issue"])
    node.rpc().call("token.issue", identity="a")
    node.rpc().call("node.cordon", host=node.rpc().call("cluster.status")["host"])
    node.rpc().call("token.issue", identity="b")
    seen = []
    while len(seen) < 2:
        seen += [e["event"]["payload"]["identity"] for e in next(events)["events"]]
    assert seen == ["a", "b"]
    error = fails("validation_failed", "nonsense",
                  lambda: list(node.rpc().stream("audit.list", types=["nonsense"])))
    assert "token_issue" in error.message


# --- what survives ---------------------------------------------------------------------------


def write_until_dead(raftd, acknowledged, worker):
    rpc = raftd.rpc("schedd")
    n = 0
    try:
        while True:
            n += 1
            rpc.call("kv.txn", puts=[put("/counter/w%d/%06d" % (worker, n), counter(n))])
            acknowledged.append("/counter/w%d/%06d" % (worker, n))
    except (EOFError, OSError, RpcError):
        pass


def present(raftd):
    rpc, keys, after = raftd.rpc("schedd"), set(), None
    while True:
        page = rpc.call("kv.range", prefix="/counter/", **({"after": after} if after else {}))
        entries = page.get("entries", [])
        keys |= {e["key"] for e in entries}
        if not page.get("more"):
            return keys
        after = entries[-1]["key"]


def run_and_kill(raftd, seconds):
    acknowledged = []
    threads = [threading.Thread(target=write_until_dead, args=(raftd, acknowledged, i))
               for i in range(4)]
    for thread in threads:
        thread.start()
    if seconds:
        deadline = time.monotonic() + seconds
        while (time.monotonic() < deadline or len(acknowledged) < 15) and raftd.process.poll() is None:
            time.sleep(0.005)
        raftd.kill()
    raftd.process.wait(60)
    for thread in threads:
        thread.join()
    return acknowledged


def test_kill_9_under_load_loses_nothing_acknowledged(node):
    everything = set()
    for round_ in range(8):
        everything |= set(run_and_kill(node, 0.05 + 0.15 * round_))
        node.start().wait_leader()
        assert everything <= present(node)
    assert len(everything) > 100


@pytest.mark.parametrize("fault", ["log_append*40", "log_append*41", "log_flush*50", "log_flush*51",
                                   "apply*200", "commit*3", "commit*4"])
def test_a_death_at_a_named_point_loses_nothing_acknowledged(node, fault):
    node.stop()
    node.start(env={"JACO_FAULT": "exit:" + fault}).wait_leader()
    acknowledged = run_and_kill(node, 0)
    assert node.process.returncode == 99
    node.start().wait_leader()
    assert set(acknowledged) <= present(node)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small tmpfs: needs root")
def test_a_full_disk_refuses_writes_keeps_reading_and_recovers(tmp_path):
    lib = tmp_path / "lib"
    lib.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(lib)], check=True)
    try:
        raftd = Raftd(tmp_path).start()
        raftd.rpc().call("cluster.init")
        rpc = raftd.rpc("schedd")
        filler = open(str(lib) + "/filler", "wb")
        filler.write(b"x" * (9 << 20))
        filler.close()
        record = msgpack.packb({"count": 1, "since": 1, "reason": "r" * 1000})
        acknowledged, error = [], None
        for i in range(40000):
            key = "/restart/k%05d" % i
            try:
                rpc.call("kv.txn", puts=[put(key, record)])
                acknowledged.append(key)
            except RpcError as refused:
                error = refused
                break
        assert error and error.code == "unavailable", error
        assert raftd.process.poll() is None
        assert "entry" in rpc.call("kv.get", key=acknowledged[0])
        raftd.kill()
        raftd.start().wait_leader()
        rpc = raftd.rpc("schedd")
        for key in acknowledged[::97] + acknowledged[-3:]:
            assert "entry" in rpc.call("kv.get", key=key), key
        os.unlink(str(lib) + "/filler")
        deadline = time.monotonic() + 60
        while True:  # the next try of the state's commit comes by itself
            try:
                rpc.call("kv.txn", puts=[put("/restart/after", record)])
                break
            except RpcError as refused:
                assert refused.code == "unavailable" and time.monotonic() < deadline
                time.sleep(0.1)
        raftd.kill()
        raftd.start().wait_leader()
        assert "entry" in raftd.rpc("schedd").call("kv.get", key="/restart/after")
        raftd.stop()
    finally:
        subprocess.run(["umount", "-l", str(lib)], check=False)


def test_a_small_disk_has_room_for_the_state_beside_the_log(tmp_path):
    """2 MB of state on 16 MB, also after somebody else had all the rest for a while."""
    lib = tmp_path / "lib"
    lib.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(lib)], check=True)
    record = msgpack.packb({"count": 1, "since": 1, "reason": "r" * 1000})

    def write(rpc, batch):
        rpc.call("kv.txn", puts=[put("/restart/k%d-%d" % (batch, i), record) for i in range(60)])

    def is_written(rpc, batch):
        try:
            write(rpc, batch)
            return True
        except RpcError as refused:
            assert refused.code == "unavailable", refused
            return False

    try:
        raftd = Raftd(tmp_path).start()
        raftd.rpc().call("cluster.init")
        rpc = raftd.rpc("schedd")
        for batch in range(33):
            write(rpc, batch)
        with open(str(lib) + "/filler", "wb", buffering=0) as filler:
            for piece in (1 << 20, 4096):
                try:
                    while True:
                        filler.write(b"x" * piece)
                except OSError:
                    pass
        for n in range(1000):  # the same keys: the log fills, the state does not grow
            if not is_written(rpc, n % 33):
                break
        else:
            raise AssertionError("the disk was never full")
        os.unlink(str(lib) + "/filler")
        deadline = time.monotonic() + 60
        while not is_written(rpc, 0):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        for n in range(200):
            write(rpc, n % 33)
        raftd.stop()
    finally:
        subprocess.run(["umount", "-l", str(lib)], check=False)


def test_a_damaged_log_is_refused_with_its_place(node):
    schedd = node.rpc("schedd")
    for i in range(200):
        schedd.call("kv.txn", puts=[put("/counter/d/%d" % i, counter(i))])
    node.kill()
    path = node.root + "/lib/raftd/wal/00000000000000000001.log"
    with open(path, "r+b") as log:
        log.seek(3000)
        log.write(b"\xff" * 16)
    with pytest.raises(RuntimeError) as caught:
        node.start()
    assert "damaged at byte" in str(caught.value) and "00000000000000000001.log" in str(caught.value)


def test_a_failed_flush_stops_the_daemon_before_it_acknowledges(node):
    node.stop()
    # the first flush is the new leader's own entry: the process must not go on
    try:
        node.start(env={"JACO_FAULT": "fail:log_flush*1"})
    except RuntimeError as died:
        assert "flushing the log" in str(died)
    assert node.process.wait(60) != 0
    node.start().wait_leader()
    assert node.rpc().call("cluster.status")["initialised"]
