# SPDX-License-Identifier: Apache-2.0
"""People who are not on a node: TLS and a token on listen_addr, contexts, scopes, rude callers."""
import json
import os
import re
import socket
import ssl
import stat
import subprocess
import threading

import msgpack
import pytest

from jacorpc import BUILD, Rpc, RpcError
from test_cluster import Cluster, fails, wait

JACO = os.path.join(BUILD, "cli/jaco")
COMPOSE = """services:
  web:
    image: busybox
    command: [sh, -c, "sleep 1000"]
    environment:
      PASSWORD: hunter2
      MODE: plain
"""


class Remote(Rpc):
    """MessagePack-RPC over TLS; says who it is when a token is given."""

    def __init__(self, node, token=None, timeout=10):  # pylint: disable=super-init-not-called
        context = ssl.create_default_context(cafile=node.root + "/lib/raftd/ca.crt")
        context.check_hostname = False
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.sock = context.wrap_socket(plain(node, timeout))
        self.unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)
        self.next_id = 0
        if token:
            self.welcome = self.call("auth", token=token)


def api(node):
    with open(node.root + "/jacod.yaml", encoding="ascii") as file:
        return re.search(r"listen_addr: (\S+)", file.read()).group(1)


def plain(node, timeout=10):
    host, port = api(node).split(":")
    return socket.create_connection((host, int(port)), timeout=timeout)


def is_over(sock):
    """True when the other side ends the connection; waits for that."""
    try:
        while sock.recv(65536):
            pass
    except (ConnectionError, ssl.SSLError):
        pass
    return True


def issue(node, name, **params):
    return node.rpc().call("token.issue", identity=name, **params)["token"]


class Person:
    """A command line far away with a home directory of its own."""

    def __init__(self, home):
        self.home = str(home)
        os.makedirs(self.home, exist_ok=True)

    def run(self, *args, stdin="", **env):
        return subprocess.run([JACO, *args], input=stdin, capture_output=True, text=True, timeout=60,
                              cwd=self.home, check=False,
                              env={"HOME": self.home, "PATH": os.environ["PATH"], **env})

    def ok(self, *args, **kw):
        got = self.run(*args, **kw)
        assert got.returncode == 0, (args, got.stdout, got.stderr)
        return got.stdout

    def fails(self, code, status, part, *args, **kw):
        got = self.run(*args, **kw)
        assert got.returncode == status and "Error: %s: " % code in got.stderr, (args, got.stderr)
        assert part in got.stderr, (args, got.stderr)

    def context(self, node, name, token):
        """A context made of files, as an administrator without the import line would."""
        path = self.home + "/" + name + ".token"
        with open(path, "w", encoding="ascii") as file:
            file.write(token + "\n")
        self.ok("context", "add", name, "--server", api(node), "--token-file", path, "--ca-cert",
                node.root + "/lib/raftd/ca.crt", "--force")
        return self


@pytest.fixture(scope="module", name="three")
def fixture_three(tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("remote")).grow(3)
    yield made
    made.stop()


@pytest.fixture(name="person")
def fixture_person(tmp_path):
    return Person(tmp_path / "home")


def deploy(node, name):
    jaco = "deployment: %s\n" % name
    return node.rpc().call("deploy.apply", jaco=jaco.encode(), compose=COMPOSE.encode())


# --- every command on both transports ---------------------------------------------------------

# What is told apart: a command about the cluster, and one about this machine (None).
COMMANDS = {
    "apply": ["jaco.yaml", "--no-wait"], "diff": ["jaco.yaml"], "validate": ["jaco.yaml"],
    "config": ["jaco.yaml"], "status": [], "logs": ["shop/web"],
    "scale": ["shop/web", "2", "--no-wait"], "restart": ["shop"],
    "rollback": ["shop", "--no-wait"], "history": ["shop"], "delete": ["gone", "--yes"],
    "get deployments": [], "get deployment": ["shop"], "get replicas": [], "get replica": ["x"],
    "get routes": [], "get route": ["x.example.com"], "get ports": [], "get nodes": [],
    "get node": ["n1"], "get subnets": [], "get certs": [], "get rollouts": [],
    "cluster init": None, "cluster status": [], "cluster leader transfer": ["nobody"],
    "cluster recover": [], "mesh": [], "net": [], "net can": ["10.0.0.1", "10.0.0.2"],
    "net exposure": [], "node issue-join-token": ["--ttl", "0"], "node join": None,
    "node remove": ["nobody"], "node list": [], "node cordon": ["n1"], "node uncordon": ["n1"],
    "node drain": ["nobody"], "node rotate-key": ["nobody"], "node label": ["n1", "a=b"],
    "token issue": ["--name", "bootstrap"], "token revoke": ["nobody"], "token list": [],
    "registry login": ["r.example", "-u", "me", "--password-stdin"], "registry logout": ["nowhere"],
    "registry list": [], "audit": ["--type", "cluster_init"], "rpc": ["hello"],
    "daemons": [], "version": ["-o", "json"],
    "context add": None, "context import": None, "context use": None, "context list": None,
    "context remove": None, "doctor": None, "supervise": None, "completion": None,
    "complete": None, "describe": None, "events": None, "restore": None, "backup verify": None,
    "backup": ["--output", "out.jacobak"],
}
TIMES = re.compile(r'"?(revision|created|updated|time|uptime|cpu_ms|rss_bytes|fds|started|skew_ms|lag)"?'
                   r'[":= ]+\S+|\b\d+(ms|s|m)\b|\brevision \d+|\d{4}-\d\d-\d\dT[\d:.]+Z|jaco1\.\S+')


def known_commands():
    lines = subprocess.run([JACO, "--help"], capture_output=True, text=True, check=True).stdout
    for line in lines.split("\n"):
        found = re.match(r"  ([a-z]+(?: [a-z-]+)*) ", line)
        if found:
            yield found.group(1)


def test_the_table_knows_every_command():
    assert set(known_commands()) <= set(COMMANDS)


def test_a_noun_lists_its_commands_and_each_names_its_page(person):
    for argv, status in ((["cluster", "--help"], 0), (["cluster", "-h"], 0), (["cluster"], 64)):
        got = person.run(*argv)
        assert got.returncode == status, got
        assert "usage: jaco cluster COMMAND" in got.stdout and "man jaco-cluster" in got.stdout
        listed = re.findall(r"^  (\w+) ", got.stdout, re.M)
        assert set(listed) == {"cluster"}, got.stdout
        assert "cluster leader transfer [HOST]" in got.stdout
    assert "man jaco-node\n" in person.ok("node", "drain", "--help")
    assert "man jaco\n" in person.ok("scale", "--help")
    person.fails("validation_failed", 65, 'did you mean "jaco status"', "stauts")
    person.fails("validation_failed", 65, 'no command "cluster stats"', "cluster", "stats")
    for word, said in (("up", "here it is: jaco apply"), ("ps", "here it is: jaco status"),
                       ("foo", "see jaco --help"), ("rmx", "see jaco --help")):
        person.fails("validation_failed", 65, 'no command "%s"; %s' % (word, said), word)
    assert person.ok("help") == person.ok("--help")
    assert person.ok("help", "cluster") == person.ok("cluster", "--help")
    assert person.ok("help", "node", "drain") == person.ok("node", "drain", "--help")
    for page in re.findall(r"man (jaco-\w+)", "".join(
            person.run(*c.split(), "--help").stdout for c in COMMANDS)):
        assert os.path.exists(os.path.join(BUILD, "../man", page + ".1")), page


def test_without_a_terminal_a_question_is_refused_and_names_the_option(person):
    for more in ([], ["--volumes"]):
        person.fails("validation_failed", 65, "pass --yes", "delete", "shop", *more)


def test_a_number_of_replicas_that_is_none_is_told_so(person):
    for argv, said in ((["shop/web", "-1"], "-1 is not a number of replicas; from 0 to 10000"),
                       (["shop/web", "100000"], "100000 is not a number of replicas; from 0 to 10000"),
                       (["web=5"], "write it as DEPLOYMENT/SERVICE N, not web=5"),
                       (["shop/web"], "how many replicas?")):
        person.fails("validation_failed", 65, said, "scale", *argv)


def test_whoever_may_not_use_the_socket_is_told_who_may(tmp_path):
    path = str(tmp_path / "jaco.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        os.chmod(path, 0)
        plain = ["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []
        got = subprocess.run([*plain, JACO, "--socket", path, "status"], capture_output=True, text=True,
                             timeout=60, check=False)
    assert got.returncode == 77 and "Error: permission_denied: " in got.stderr, got.stderr
    assert "Hint: run as root, or be in group jaco\n" in got.stderr


@pytest.mark.parametrize("command", [c for c in COMMANDS if COMMANDS[c] is not None])
def test_every_command_says_the_same_on_both_transports(three, person, command):
    if command not in set(known_commands()):
        pytest.fail("jaco has no command %s" % command) if command not in LATER else None
        return
    node = three.nodes[0]
    with open(person.home + "/jaco.yaml", "w", encoding="ascii") as file:
        file.write("deployment: shop\n")
    with open(person.home + "/compose.yaml", "w", encoding="ascii") as file:
        file.write(COMPOSE)
    deploy(node, "shop")
    token = issue(node, "both-" + command.replace(" ", "-"), allow_privileged=True)
    person.context(node, "far", token)
    words = command.split() + COMMANDS[command]
    local = person.run("--socket", node.path(), *words, stdin="secret\n")
    if command == "backup":
        os.remove(person.home + "/out.jacobak")
    remote = person.run(*words, stdin="secret\n")
    same = [[TIMES.sub("T", text) for text in (got.stdout, got.stderr)] + [got.returncode]
            for got in (local, remote)]
    if command == "daemons":  # raftd lives, the others are away, each transport says why in its way
        same = [[re.findall(r"^\S+ +(?:ready|away)", row[0], re.M), row[2]] for row in same]
    elif command in ("token list", "cluster status", "get nodes", "get node", "node list"):
        same = [[re.sub(r"[-\d]+|\s+", "", text) if isinstance(text, str) else text for text in row]
                for row in same]
    assert same[0] == same[1]
    person.fails("validation_failed", 65, "about this machine", "--context", "far", "cluster", "init")


# Commands that another part of the project brings.
LATER = {"cluster recover", "backup", "backup verify", "restore"}


def test_events_follow_from_afar(three, person):
    node = three.nodes[1]
    person.context(node, "far", issue(node, "events"))
    with subprocess.Popen([JACO, "events", "-o", "json"], stdout=subprocess.PIPE, text=True,
                          env={"HOME": person.home}) as events:
        heard = threading.Event()

        def label():  # the watch is there once it tells of something
            while not heard.is_set():
                three.nodes[0].rpc().call("node.label", host="n2", set={"k": os.urandom(4).hex()})

        thread = threading.Thread(target=label)
        thread.start()
        for line in events.stdout:
            if json.loads(line)["key"] == "/node/n2":
                break
        heard.set()
        thread.join()
        node.rpc().call("token.revoke", identity="events")
        events.stdout.read()
        assert events.wait(20) == 77


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
    token = issue(node, "short", ttl_ms=1500)
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
            sock.settimeout(10)
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


# --- contexts ---------------------------------------------------------------------------------


def test_a_context_travels_as_one_line(three, person):
    node = three.nodes[0]
    line = person.ok("--socket", node.path(), "token", "issue", "--name", "traveller", "--context")
    words = line.split()
    assert words[:3] == ["jaco", "context", "import"]
    person.ok("context", "import", words[3], "--name", "prod")
    path = person.home + "/.config/jaco/contexts.yaml"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    row = json.loads(person.ok("context", "list", "-o", "json"))[0]
    assert row["in_use"] and row["name"] == "prod"
    assert sorted(row["servers"]) == sorted(api(n) for n in three.nodes)
    assert json.loads(person.ok("cluster", "status", "-o", "json"))["cluster_id"]
    person.fails("conflict", 1, "--force", "context", "import", "-", "--name", "prod",
                 stdin=words[3] + "\n")
    person.ok("context", "import", "-", "--name", "second", stdin=words[3] + "\n")
    person.ok("context", "use", "second")
    person.ok("context", "remove", "prod")
    assert [r["name"] for r in json.loads(person.ok("context", "list", "-o", "json"))] == ["second"]
    person.ok("token", "list", JACO_CONTEXT="second")
    person.fails("validation_failed", 65, "no context", "token", "list", JACO_CONTEXT="prod")
    person.ok("context", "use", "local")
    person.fails("unavailable", 69, "raftd does not answer", "token", "list")
    person.fails("validation_failed", 65, "whole context", "context", "import", words[3][:-40])
    person.fails("validation_failed", 65, "whole context", "context", "import", "jacoctx1.xx")
    os.chmod(path, 0o644)
    person.fails("permission_denied", 77, "chmod 600", "context", "list")


def test_servers_are_tried_in_turn(three, person):
    token = issue(three.nodes[0], "many")
    dead = socket.socket()
    dead.bind(("127.0.0.1", 0))  # never listens
    nowhere = "127.0.0.1:%d" % dead.getsockname()[1]
    with open(person.home + "/t", "w", encoding="ascii") as file:
        file.write(token)
    ca = three.nodes[0].root + "/lib/raftd/ca.crt"
    how = ["--ca-cert", ca, "--token-file", person.home + "/t"]
    got = person.ok("--server", nowhere, "--server", api(three.nodes[1]), *how, "rpc", "cluster.status")
    assert json.loads(got)["host"] == "n2"
    got = person.ok("--server", nowhere + "," + api(three.nodes[2]), "rpc", "cluster.status",
                    JACO_TOKEN=token, JACO_CA_CERT=ca)
    assert json.loads(got)["host"] == "n3"
    person.fails("unavailable", 69, "none of 2 servers", "--server", nowhere, "--server", nowhere,
                 *how, "cluster", "status")
    dead.close()


def test_never_an_unverified_connection(three, cluster_ca, person):
    node = three.nodes[0]
    token = issue(node, "careful")
    person.fails("validation_failed", 65, "jaco context import", "--server", api(node), "--token", token,
                 "cluster", "status")
    person.fails("validation_failed", 65, "no token", "--server", api(node), "--ca-cert",
                 node.root + "/lib/raftd/ca.crt", "cluster", "status")
    person.fails("permission_denied", 77, "nothing was sent", "--server", api(node), "--token", token,
                 "--ca-cert", cluster_ca.root + "/lib/raftd/ca.crt", "cluster", "status")
    # a machine in the middle with a certificate of another cluster hears nothing but the handshake
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cluster_ca.root + "/lib/raftd/node.crt",
                            cluster_ca.root + "/lib/raftd/node.key")
    heard = []

    def listen(sock):
        try:
            with context.wrap_socket(sock.accept()[0], server_side=True) as stream:
                heard.append(stream.recv(4096))
        except (ssl.SSLError, ConnectionError):
            heard.append(b"")

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        thread = threading.Thread(target=listen, args=(server,))
        thread.start()
        person.fails("permission_denied", 77, "nothing was sent", "--server",
                     "127.0.0.1:%d" % server.getsockname()[1], "--token", token, "--ca-cert",
                     node.root + "/lib/raftd/ca.crt", "cluster", "status")
        thread.join()
    assert heard == [b""]


@pytest.fixture(name="cluster_ca")
def fixture_cluster_ca(tmp_path):
    made = Cluster(tmp_path / "other").grow(1)
    yield made.nodes[0]
    made.stop()


# --- rude callers -----------------------------------------------------------------------------


def test_strangers_may_say_who_they_are_and_nothing_else(three):
    node = three.nodes[0]
    for method in ("hello", "status", "cluster.status", "kv.get", "metrics", "nothing"):
        far = Remote(node)
        with pytest.raises(RpcError) as caught:
            far.call(method, key="/node/n1")
        assert caught.value.code in ("token_invalid", "unknown_method", "validation_failed")
        assert is_over(far.sock)
    for rude in (b"\xc1" * 64, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(4096),
                 b"\x00" * 70000, msgpack.packb([0, 1, "auth", [{"token": "x" * 100000}]]),
                 msgpack.packb([0, 1, "auth", [{"token": 7}]]), b"\x94\x00\x01\xdb\xff\xff\xff\xff"):
        for sock in (Remote(node).sock, plain(node)):
            try:
                sock.sendall(rude)
                sock.shutdown(socket.SHUT_WR)
            except (ConnectionError, OSError):
                pass
            assert is_over(sock)
    # what follows a wrong token is not even looked at
    far = Remote(node)
    first = far.request("auth", token="0" * 64)
    for _ in range(50):
        far.request("cluster.status")
    with pytest.raises(RpcError) as caught:
        far.reply(first)
    assert caught.value.code == "token_invalid"
    assert is_over(far.sock)
    text = node.rpc().call("metrics")["text"]
    refused = re.search(r"^jaco_raftd_tokens_refused_total (\d+)", text, re.M)
    assert int(refused.group(1)) >= 1


def test_half_handshakes_are_bounded_in_number_and_time(three):
    node = three.nodes[1]
    token = issue(node, "patient")
    hello = client_hello()
    held = []
    for i in range(200):
        sock = plain(node)
        if i % 2:
            sock.sendall(hello[:i])
        held.append(sock)
        if i % 50 == 0:
            assert Remote(node, token).call("cluster.status")["host"] == "n2"
    # the oldest made room for the newest: most of them are over already
    over = 0
    for sock in held[:150]:
        over += is_over(sock)
    assert over == 150
    # and the last ones when their time is up
    slow = plain(node, timeout=30)
    for byte in hello[:4]:
        slow.sendall(bytes([byte]))
    assert is_over(slow)
    assert Remote(node, token).call("cluster.status")["host"] == "n2"
    for sock in held:
        sock.close()


def client_hello():
    """The first flight of a TLS client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname = False
    stream = context.wrap_bio(incoming, outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        stream.do_handshake()
    return outgoing.read()


def test_what_one_token_may_hold_is_bounded(three):
    node = three.nodes[2]
    token = issue(node, "greedy")
    others = Remote(node, issue(node, "modest"))
    connections = [Remote(node, token) for _ in range(3)]
    refused = 0
    for far in connections:
        asked = [far.request("leader.watch") for _ in range(70)]
        answers = {}
        last = far.request("hello")
        while last not in answers:
            message = far.recv()
            if message[0] == 1:
                answers[message[1]] = message[2]
        wrong = [answers[a] for a in asked if answers.get(a)]
        assert all(w["code"] == "too_many_requests" for w in wrong)
        refused += len(wrong)
    assert refused >= 3 * 70 - 128
    assert others.call("cluster.status")["host"] == "n3"
    many = []
    with pytest.raises(RpcError) as caught:
        while len(many) < 100:
            many.append(Remote(node, token))
    assert caught.value.code == "too_many_requests"
    with pytest.raises((RpcError, EOFError, ConnectionError, ssl.SSLError)):
        others.reply(others.request("kv.get", key="x" * 2000000))
    assert Remote(node, issue(node, "modest2")).call("cluster.status")["host"] == "n3"


def test_nobody_is_served_before_there_is_a_cluster(tmp_path):
    made = Cluster(tmp_path)
    node = made.add()
    assert is_over(plain(node))
    node.rpc().call("cluster.init")
    assert Remote(node, issue(node, "now")).call("cluster.status")["initialised"]
    made.stop()
