# SPDX-License-Identifier: Apache-2.0
"""Every command says the same on a node's socket and from afar, where a context says which cluster."""
import json
import os
import re
import socket
import ssl
import stat
import subprocess
import threading

import pytest

from jacorpc import BUILD
from lab_raftds import Cluster, led, three  # noqa: F401
from lab_remote import COMPOSE, JACO, api, deploy, fixture_person, issue  # noqa: F401


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
                             timeout=120, check=False)
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
                led(lambda: three.nodes[0].rpc().call("node.label", host="n2", set={"k": os.urandom(4).hex()}))

        thread = threading.Thread(target=label)
        thread.start()
        for line in events.stdout:
            if json.loads(line)["key"] == "/node/n2":
                break
        heard.set()
        thread.join()
        node.rpc().call("token.revoke", identity="events")
        events.stdout.read()
        assert events.wait(60) == 77


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
        server.settimeout(60)
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
