# SPDX-License-Identifier: Apache-2.0
"""What a token lets its bearer do, see and give away, until when, and how the audit names him."""
import os
import socket
import ssl

import msgpack
import pytest

from jacorpc import RpcError
from lab_raftds import fails, three, wait  # noqa: F401
from lab_remote import COMPOSE, Remote, deploy, fixture_person, is_over, issue  # noqa: F401


# --- until when -------------------------------------------------------------------------------


def test_a_stream_ends_with_its_token_everywhere(three):
    token = issue(three.nodes[0], "walker")
    streams = [Remote(node, token) for node in three.nodes]
    asked = [s.request("kv.watch", prefixes=["/node/"]) for s in streams]
    for stream in streams:
        assert stream.recv()[0] == 2
    three.nodes[2].rpc().call("token.revoke", identity="walker")
    for stream, want in zip(streams, asked):
        with pytest.raises(RpcError) as caught:
            stream.reply(want)
        assert caught.value.code == "token_revoked"
        assert is_over(stream.sock)
    for node in three.nodes:
        fails("token_revoked", "walker", Remote, node, token)


def test_a_revoked_token_writes_nothing_more_through_any_node(three):
    """The revocation is acknowledged: from then on the next call fails, wherever it is made."""
    for i, node in enumerate(three.nodes * 3):
        name = "writer%d" % i
        far = Remote(node, issue(node, name))
        assert far.call("node.label", host="n1", set={"w": name})["revision"]
        three.nodes[(i + 1) % 3].rpc().call("token.revoke", identity=name)
        with pytest.raises((RpcError, EOFError, ConnectionError, ssl.SSLError)) as caught:
            far.call("node.label", host="n1", set={"w": "after"})
        if isinstance(caught.value, RpcError):
            assert caught.value.code == "token_revoked"
        assert three.nodes[i % 3].members()["n1"]["labels"]["w"] == name


def test_tokens_expire_and_are_not_given_twice(three):
    node = three.nodes[0]
    token = issue(node, "short", ttl_ms=4000)
    far = Remote(node, token)
    want = far.request("kv.watch", prefixes=["/node/"])
    with pytest.raises(RpcError) as caught:
        far.reply(want)
    assert caught.value.code == "token_expired"
    fails("token_expired", "short", Remote, node, token)
    issue(node, "once")
    fails("conflict", "once", issue, node, "once")
    fails("token_invalid", "not known", Remote, node, "0" * 64)


def test_nothing_that_an_expiring_token_gives_away_outlasts_it(three):
    node = three.nodes[0]
    far = Remote(node, issue(node, "guest", ttl_ms=60000))
    own, = [t for t in node.rpc().call("token.list")["tokens"] if t["identity"] == "guest"]
    for more in ({}, {"ttl_ms": 0}, {"ttl_ms": 3600000}, {"ttl_ms": 2 ** 63},
                 {"ttl_ms": 2 ** 64 - int(own["created"])}):
        with pytest.raises(RpcError) as caught:
            far.call("token.issue", identity="heir", **more)
        assert caught.value.code in ("permission_denied", "validation_failed"), caught.value
    fails("permission_denied", "the token of guest ends at 20", far.call, "token.issue",
          identity="heir")
    fails("permission_denied", "gives away ends no later", far.call, "node.issue_join_token",
          ttl_ms=120000)
    assert far.call("node.issue_join_token")["expires"] <= own["expires"]
    heir = far.call("token.issue", identity="heir", ttl_ms=20000)["token"]
    fails("permission_denied", "the token of heir ends", Remote(node, heir).call, "token.issue",
          identity="heir2", ttl_ms=30000)
    fails("permission_denied", "may not give a right that it does not have", far.call,
          "token.issue", identity="heir2", ttl_ms=1000, allow_privileged=True)
    fails("validation_failed", "at most 100 years", node.rpc().call, "token.issue",
          identity="heir2", ttl_ms=2 ** 63)
    full = Remote(node, issue(node, "host"))
    assert full.call("token.issue", identity="heir2")["token"]


# --- who it was -------------------------------------------------------------------------------


def test_what_a_token_may_do_and_until_when_is_shown_and_audited(three, person):
    node = three.nodes[0]
    issue(node, "narrow", read_only=True, deployments=["shop", "blog"], ttl_ms=3600000)
    out = person.ok("--socket", node.path(), "token", "list")
    head = out.splitlines()[0]
    row = next(line for line in out.splitlines() if line.startswith("narrow "))
    assert row[head.index("EXPIRES"):].startswith(("in 59m", "in 60m")), out
    events = [e["event"]["payload"] for page in node.rpc().stream("audit.list", types=["token_issue"])
              for e in page["events"]]
    event = next(e for e in events if e.get("identity") == "narrow")
    assert event["read_only"] == "true" and event["deployments"] == "shop,blog"
    assert event["expires"].startswith("20") and "allow_privileged" not in event
    # all that it may touch, however many they are
    many = ["d%02d-%s" % (i, "x" * 36) for i in range(64)]
    issue(node, "wide", deployments=many)
    event, = [e["event"]["payload"] for page in node.rpc().stream("audit.list", types=["token_issue"])
              for e in page["events"] if e["event"]["payload"].get("identity") == "wide"]
    assert event["deployments"].split(",") == many and "incomplete" not in event


def test_labels_are_words_and_audited(three, person):
    node = three.nodes[0]
    person.ok("--socket", node.path(), "node", "label", "n1", "example.com/zone=a b", "gone=1")
    person.ok("--socket", node.path(), "node", "label", "n1", "gone-")
    for bad in ("up per=x", "a\x1b[2J=x", "\u00e4=x"):
        person.fails("validation_failed", 65, "letters, digits and", "--socket", node.path(), "node",
                     "label", "n1", bad)
    person.fails("validation_failed", 65, "control characters", "--socket", node.path(), "node",
                 "label", "n1", "a=x\x1b[2J")
    labels = node.members()["n1"]["labels"]
    assert labels["example.com/zone"] == "a b" and "gone" not in labels
    events = [e["event"] for page in node.rpc().stream("audit.list", types=["node_label"])
              for e in page["events"]]
    assert [e["payload"]["labels"] for e in events][-2:] == ["example.com/zone=a b,gone=1", "gone-"]
    assert events[-1]["identity"] == "local:root" and events[-1]["payload"]["host"] == "n1"
    node.rpc().call("node.label", host="n1", set={"a": "1", "long": "x" * 5000})
    payload = [e["event"]["payload"] for page in node.rpc().stream("audit.list", types=["node_label"])
               for e in page["events"]][-1]
    assert payload == {"host": "n1", "labels": "a=1", "incomplete": "true"}


def test_a_request_id_is_its_callers_own(three):
    """Two who choose the same id get their own answer; one who asks again gets the first."""
    node, other = three.nodes[:2]
    tokens = [issue(node, name) for name in ("ann", "ben")]
    answers = []
    for i, token in enumerate(tokens):
        apply = {"jaco": b"deployment: once%d\n" % i, "compose": COMPOSE.encode(),
                 "request_id": "same"}
        first = Remote(node, token).call("deploy.apply", **apply)
        assert first["changed"] and first["deployment"] == "once%d" % i
        node.rpc().call("deploy.delete", deployment="once%d" % i)
        wait(lambda: "entry" not in other.rpc().call("kv.get", key="/deployment/once%d" % i))
        again = Remote(other, token).call("deploy.apply", **apply)
        assert again["store_revision"] == first["store_revision"], "not applied a second time"
        assert "entry" not in node.rpc().call("kv.get", key="/deployment/once%d" % i)
        answers.append(first["store_revision"])
    assert answers[0] < answers[1]
    writes = [n.rpc("schedd").call("kv.txn", request_id="same", puts=[
        {"key": "/counter/d/same%d" % i, "value": msgpack.packb({"next": i})}])
        for i, n in enumerate((node, other))]
    assert all(w["succeeded"] for w in writes) and writes[0]["revision"] < writes[1]["revision"]
    assert "entry" in node.rpc("schedd").call("kv.get", key="/counter/d/same1", linearizable=True)


def test_the_audit_names_the_token_and_so_do_relayed_calls(three):
    node = three.nodes[1]
    token = issue(node, "alice")
    far = Remote(node, token)
    assert far.welcome["identity"] == "alice" and far.welcome["host"] == "n2"
    deployed = far.call("deploy.apply", jaco=b"deployment: audited\n",
                        compose=COMPOSE.encode())
    assert deployed["changed"]
    events = [e["event"] for page in node.rpc().stream("audit.list") for e in page["events"]]
    assert [e["identity"] for e in events if e["type"] == "apply"][-1] == "alice"
    # what raftd passes on to another daemon of its node
    path = node.root + "/run/schedd/schedd.sock"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        for caller, who in ((far, "alice"), (node.rpc(), "local:root")):
            want = caller.request("schedd.plan")
            sock = listener.accept()[0]
            sock.settimeout(60)
            unpacker = msgpack.Unpacker(raw=False)
            while True:
                unpacker.feed(sock.recv(4096))
                message = next(unpacker, None)
                if message:
                    break
            assert message[2:] == ["schedd.plan", [{}, who]]
            sock.sendall(msgpack.packb([1, message[1], None, {"text": "said"}]))
            assert caller.reply(want)["text"] == "said"
            sock.close()
    os.remove(path)
    fails("permission_denied", "speak for others", relayed, far, "bob")
    with open(node.root + "/raftd.log", encoding="utf-8") as log:
        assert token not in log.read()


def relayed(rpc, who):
    rpc.next_id += 1
    rpc.send(msgpack.packb([0, rpc.next_id, "hello", [{}, who]]))
    return rpc.reply(rpc.next_id)


# --- scopes -----------------------------------------------------------------------------------


def test_a_read_only_token_reads_and_sees_no_values(three):
    node = three.nodes[0]
    deploy(node, "shop")
    far = Remote(node, issue(node, "reader", read_only=True))
    apply = {"jaco": b"deployment: shop\n", "compose": COMPOSE.encode()}
    for method, params in (("deploy.delete", {"deployment": "shop"}), ("deploy.apply", apply),
                           ("token.issue", {"identity": "x"}), ("node.cordon", {"host": "n1"}),
                           ("node.issue_join_token", {}), ("token.revoke", {"identity": "reader"}),
                           ("daemon.call", {"daemon": "meshd", "method": "mesh.rotate_key",
                                            "params": msgpack.packb({})}),
                           ("volumes.remove", {"deployment": "shop"}), ("mesh.rotate_key", {})):
        fails("permission_denied", "only reads", far.call, method, **params)
    assert far.call("deploy.apply", dry_run=True, **apply)["dry_run"]
    assert far.call("cluster.status")["initialised"]
    number = far.call("kv.get", key="/deployment/shop")["entry"]
    number = msgpack.unpackb(number["value"])["revision"]
    got = far.call("kv.get", key="/revision/shop/%020d" % number)
    ranged = far.call("kv.range", prefix="/revision/shop/")["entries"]
    for entry in ([got["entry"]] if "entry" in got else []) + ranged:
        compose = msgpack.unpackb(entry["value"])["compose"].decode()
        assert "hunter2" not in compose and "PASSWORD" in compose and "busybox" in compose
        assert "(redacted)" in compose
    assert ranged
    fails("permission_denied", "watch revisions", next, far.stream("kv.watch",
                                                                   prefixes=["/revision/shop/"]))
    full = node.rpc().call("kv.range", prefix="/revision/shop/")["entries"]
    assert b"hunter2" in msgpack.unpackb(full[0]["value"])["compose"]


ROUTE = """deployment: %s
routes:
  - domain: %s.example.com
    service: web
    port: 80
    headers: {request: {set: {Authorization: hunter3}}}
    basic_auth: [{user: bob, password_hash: "$2y$05$hunter3hunter3hunter3uZLkm9cUNsnhlWXuJ7PbL5T7N3F1xLiab"}]
"""


def test_what_is_secret_in_a_route_is_its_owners(three):
    node = three.nodes[0]
    for name in ("ours", "yours"):
        node.rpc().call("deploy.apply", jaco=(ROUTE % (name, name)).encode(),
                        compose=COMPOSE.encode())
    keys = {name: "/route/%s.example.com/" % name for name in ("ours", "yours")}
    seen = [(Remote(node, issue(node, "looker", read_only=True)), ()),
            (Remote(node, issue(node, "owner", deployments=["ours"])), ("ours",)),
            (Remote(node, issue(node, "all")), ("ours", "yours"))]
    for far, whole in seen:
        got = {e["key"]: e["value"] for e in far.call("kv.range", prefix="/route/")["entries"]}
        told = {}
        for event in far.stream("kv.watch", prefixes=["/route/"]):
            told.update((e["key"], e["value"]) for e in event.get("entries", []))
            if keys.keys() and set(keys.values()) <= set(told):
                break
        for name, key in keys.items():
            for value in (got[key], told[key], far.call("kv.get", key=key)["entry"]["value"]):
                assert (b"hunter3" in value) == (name in whole), (name, whole, value)
                assert b"Authorization" in value and b"bob" in value


def test_a_scoped_token_mounts_no_volume_of_another_deployment(three):
    node = three.nodes[0]
    far = Remote(node, issue(node, "mounter", deployments=["safe"]))
    for how in ("name: jaco_theirs_data", "{external: true, name: jaco_theirs_data}"):
        compose = ("services: {web: {image: busybox, volumes: ['d:/d']}}\nvolumes: {d: %s}\n"
                   % (how if how[0] == "{" else "{%s}" % how)).encode()
        fails("permission_denied", "jaco_theirs_data", far.call, "deploy.apply",
              jaco=b"deployment: safe\n", compose=compose, dry_run=True)
        assert node.rpc().call("deploy.apply", jaco=b"deployment: safe\n", compose=compose,
                               dry_run=True)["dry_run"]


def test_a_scoped_token_acts_on_its_deployments_only(three):
    node = three.nodes[2]
    for name in ("mine", "theirs"):
        deploy(node, name)
    far = Remote(node, issue(node, "tenant", deployments=["mine"]))
    assert far.welcome["deployments"] == ["mine"]
    other = {"jaco": b"deployment: theirs\n", "compose": COMPOSE.encode()}
    mine = {"jaco": b"deployment: mine\n",
            "compose": COMPOSE.replace("plain", "other").encode()}
    assert far.call("deploy.apply", **mine)["changed"]
    assert far.call("deploy.restart", deployment="mine")["revision"]
    assert far.call("kv.range", prefix="/revision/mine/")["entries"]
    assert far.call("kv.get", key="/deployment/theirs")["entry"]
    for method, params in (("deploy.apply", other), ("deploy.apply", dict(other, dry_run=True)),
                           ("deploy.restart", {"deployment": "theirs"}),
                           ("deploy.history", {"deployment": "theirs"}),
                           ("deploy.delete", {"deployment": "theirs"}),
                           ("deploy.scale", {"deployment": "theirs", "service": "web", "replicas": 2}),
                           ("deploy.rollback", {"deployment": "theirs"}),
                           ("volumes.remove", {"deployment": "theirs"}),
                           ("logs.stream", {"deployment": "theirs"}),
                           ("logs.stream", {"replica": "theirs-web-0"}), ("logs.stream", {}),
                           ("kv.range", {"prefix": "/revision/theirs/"}),
                           ("kv.range", {"prefix": "/revision/"}), ("kv.range", {"prefix": "/rev"}),
                           ("kv.range", {"prefix": "/revision/mine"}),
                           ("kv.watch", {"prefixes": ["/node/", "/revision/"]}),
                           ("node.cordon", {"host": "n1"}), ("token.issue", {"identity": "y"}),
                           ("registry.login", {"registry": "r", "user": "u", "password": "p"}),
                           ("mesh.rotate_key", {}), ("node.issue_join_token", {})):
        fails("permission_denied", "tenant", far.call, method, **params)
    weak = Remote(node, issue(node, "weak"))
    fails("permission_denied", "right", weak.call, "token.issue", identity="z", allow_privileged=True)
