# SPDX-License-Identifier: Apache-2.0
"""Who is a member and who is not: recovery, removal, certificates, addresses, on real raftd."""
import base64
import hashlib
import json
import os
import re
import resource
import socket
import ssl
import subprocess
import threading
import time

import msgpack
import pytest

from jacorpc import BUILD, RpcError
from lab_remote import Person, Remote, api, is_over, issue
from lab_raftds import (Peer, cluster, fails, get, hold_the_same, put, refused, voters,  # noqa: F401
                          wait)

JACO = os.path.join(BUILD, "cli/jaco")


def jaco(node, *argv, code=0):
    """The command line against this node; its output."""
    done = subprocess.run([JACO, "--socket", node.path(), *argv], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done
    return done.stdout if code == 0 else done.stderr


def membership(node):
    """What the daemons of the node are told: the record's sentence, None while it is a member."""
    rpc = node.rpc("runtimed")
    try:
        entry = rpc.call("kv.get", key="/obs/node/%s/membership" % node.name).get("entry")
        return msgpack.unpackb(entry["value"])["message"] if entry else None
    finally:
        rpc.close()


def three(cluster):
    cluster.grow(3)
    for node in cluster.nodes:
        wait(lambda: voters(node) == ["n1", "n2", "n3"])
    return cluster.nodes


def audit(node, *types):
    rpc = node.rpc()
    try:
        return [e["event"] for event in rpc.stream("audit.list", types=list(types))
                for e in event["events"]]
    finally:
        rpc.close()


# --- recovery --------------------------------------------------------------------------------


def test_two_of_three_are_lost_and_one_goes_on(cluster):
    one, two, three_ = three(cluster)
    assert put(one, "kept", 7)["succeeded"]
    fails("conflict", "reaches a majority", one.rpc().call, "cluster.recover", confirm=True)
    wait(lambda: get(one, "kept") == 7)
    two.kill()
    three_.kill()
    wait(lambda: refused(one))
    asked = one.rpc().call("cluster.recover")
    assert not asked["done"] if "done" in asked else True
    shown = {m["host"]: m for m in asked["members"]}
    assert shown["n1"]["reachable"] and shown["n1"]["last_index"] >= shown["n1"]["applied"] > 0
    assert len(shown["n1"]["state_hash"]) == 64
    assert not shown["n2"]["reachable"] and "last_index" not in shown["n2"]
    assert any("n2 does not answer" in line for line in asked["losses"])
    assert any("n3 is a member no more" in line for line in asked["losses"])
    assert refused(one), "a question changes nothing"
    assert "states of other nodes are as last known" in jaco(one, "cluster", "status")
    assert "pass --yes" in jaco(one, "cluster", "recover", code=65)
    assert "n1 is the only member now, cluster epoch 2" in jaco(one, "cluster", "recover", "--yes")
    status = one.status()
    assert status["cluster_epoch"] == 2 and status["quorum"] and status["is_leader"]
    assert [m["host"] for m in status["members"]] == ["n1"] and voters(one) == ["n1"]
    assert get(one, "kept") == 7 and put(one, "alone", 1)["succeeded"]
    event, = audit(one, "cluster_recovered")
    assert event["identity"].startswith("local:") and event["payload"]["cluster_epoch"] == "2"

    # they come back, a majority of what they think the cluster is
    for node in (two, three_):
        node.start()
        wait(lambda: node.status().get("removed"))
        said = "was recovered without %s and is in epoch 2, not 1" % node.name
        assert said in node.status()["removed"] and said in membership(node)
        fails("cluster_uninitialized", said, node.rpc("schedd").call, "kv.txn",
              puts=[{"key": "/counter/d/ghost", "value": msgpack.packb({"next": 1})}])
        assert said in jaco(node, "cluster", "status")
    assert [m["host"] for m in one.members().values()] == ["n1"]

    # what was learned survives, with nobody there to tell it again
    one.kill()
    two.kill()
    two.start()
    assert "epoch 2" in two.status()["removed"] and "epoch 2" in membership(two)
    one.start().wait_leader()

    # and they are taken in again, as new members
    for node in (two, three_):
        node.join(one.token())
        assert membership(node) is None and "removed" not in node.status()
    for node in cluster.nodes:
        wait(lambda: voters(node) == ["n1", "n2", "n3"])
        wait(lambda: get(node, "alone") == 1)
        assert node.status()["cluster_epoch"] == 2
    wait(lambda: hold_the_same(cluster.nodes))
    assert os.path.exists(two.root + "/lib/raftd/former/group"), "what it had is set aside"


def test_a_survivor_that_holds_less_names_the_one_that_holds_more(cluster):
    cluster.grow(5)
    wait(lambda: len(voters(cluster.nodes[0])) == 5)
    leader = cluster.leader()
    others = [n for n in cluster.nodes if n is not leader]
    behind, ahead = others[:2]
    behind.kill()
    assert put(ahead, "more", 1)["succeeded"]
    wait(lambda: get(ahead, "more") == 1)
    for node in [leader] + others[2:]:
        node.kill()
    behind.start()
    wait(lambda: refused(ahead))
    wait(lambda: refused(behind))
    fails("conflict", "%s holds more than this node" % ahead.name, behind.rpc().call,
          "cluster.recover", confirm=True)
    asked = behind.rpc().call("cluster.recover")
    assert any("recover there instead" in line for line in asked["losses"])
    jaco(ahead, "cluster", "recover", "--yes")
    assert get(ahead, "more") == 1
    wait(lambda: "epoch 2" in (behind.status().get("removed") or ""))


@pytest.mark.parametrize("point", ["takeover_term", "takeover_done"])
def test_a_recovery_that_dies_half_way_is_finished_by_the_next_start(cluster, point):
    one, two, three_ = three(cluster)
    put(one, "kept", 3)
    wait(lambda: get(one, "kept") == 3)
    for node in cluster.nodes:
        node.kill()
    one.start(env={"JACO_FAULT": "exit:" + point})
    wait(lambda: refused(one))
    with pytest.raises((EOFError, ConnectionError)):
        one.rpc().call("cluster.recover", confirm=True)
    assert one.process.wait(60) == 99
    one.start().wait_leader()
    wait(lambda: voters(one) == ["n1"])
    assert one.status()["cluster_epoch"] == 2 and get(one, "kept") == 3
    assert len(audit(one, "cluster_recovered")) == 1
    two.start()
    wait(lambda: "epoch 2" in (two.status().get("removed") or ""))


# --- removal ---------------------------------------------------------------------------------


def test_a_removed_node_learns_it_and_is_nobody(cluster):
    nodes = three(cluster)
    leader = cluster.leader()
    gone, stays = [n for n in nodes if n is not leader]
    gone.kill()  # it is away while it happens
    leader.rpc().call("node.remove", host=gone.name, force=True)
    wait(lambda: gone.name not in stays.members())
    gone.start()
    wait(lambda: gone.status().get("removed"))
    assert "%s was removed from cluster" % gone.name in membership(gone)
    fails("cluster_uninitialized", "was removed", gone.rpc().call, "node.cordon", host=stays.name)
    gone.kill()
    gone.start()  # from its own disk now: it does not even ask
    assert "was removed" in gone.status()["removed"] and "was removed" in membership(gone)
    peer = Peer(leader, gone)
    peer.hello(host=gone.name, epoch=1)
    peer.send([2, "raft.gossip", [{"id": 0, "event": {"records": []}}]], [0, 7, "raft.read", [{}]])
    assert "was removed" in peer.recv()[2][0]["event"]["refused"]
    peer.hello(host=gone.name, epoch=1)  # it was told: no second answer, no second line in the log
    assert peer.recv() is None
    gone.join(leader.token())
    wait(lambda: voters(leader) == ["n1", "n2", "n3"])
    assert membership(gone) is None


def test_a_node_that_is_removed_while_it_runs_learns_it_too(cluster):
    nodes = three(cluster)
    gone = next(n for n in nodes if n is not cluster.leader())
    cluster.leader().rpc().call("node.remove", host=gone.name)
    wait(lambda: "was removed" in (gone.status().get("removed") or ""))
    wait(lambda: "was removed" in (membership(gone) or ""))


def test_a_removed_node_serves_no_command_line_far_away(cluster, tmp_path):
    """It would hear of no revocation, and tell history as if it were the present."""
    nodes = three(cluster)
    leader = cluster.leader()
    gone = next(n for n in nodes if n is not leader)
    token = issue(leader, "far", allow_privileged=True)
    stands, silent = Remote(gone, token), Remote(gone)
    person = Person(tmp_path / "home").context(gone, "both", token)
    assert '"host": "%s"' % gone.name in person.ok("cluster", "status", "-o", "json")
    person.ok("context", "add", "both", "--server", api(gone), "--server", api(leader), "--token-file",
              person.home + "/both.token", "--ca-cert", leader.root + "/lib/raftd/ca.crt", "--force")
    leader.rpc().call("node.remove", host=gone.name)
    wait(lambda: gone.status().get("removed"))
    assert is_over(stands.sock)
    fails("unavailable", "was removed", silent.call, "auth", token=token)
    wait(lambda: turned_away(gone, token))
    assert '"host": "%s"' % leader.name in person.ok("cluster", "status", "-o", "json"), "the next"
    said = person.run("--socket", gone.path(), "node", "list", "-o", "json")
    assert said.returncode == 0 and "this is what the node knew last" in said.stderr
    json.loads(said.stdout)
    said = person.ok("--socket", gone.path(), "status")
    assert said.startswith("ALARM: %s was removed" % gone.name) and "all is well" not in said
    assert "removed" in gone.status(), "who is on the machine is told"
    gone.kill()
    gone.start()
    assert turned_away(gone, token)
    gone.join(leader.token())
    wait(lambda: not turned_away(gone, token))


def turned_away(node, token):
    try:
        Remote(node, token).sock.close()
        return False
    except (ConnectionError, ssl.SSLError, EOFError):
        return True


def observe(node):
    """What its daemons would publish once; a node is ready by it."""
    node.rpc("runtimed").call("obs.put", key="/obs/node/%s/engine" % node.name,
                              value=msgpack.packb({"state": "ready", "kind": "docker"}))
    node.rpc("fwd-nft").call("obs.put", key="/obs/node/%s/firewall" % node.name,
                             value=msgpack.packb({"ready": True, "generation": 1}))


def states(node):
    return {name: member["state"] for name, member in node.members().items()}


def test_a_node_that_joins_again_is_heard_by_all_and_hears_all(cluster):
    """Its daemons see nothing new and say nothing again; what all hold of all is there nevertheless,
    also on a node that reads the former life of the others in the log."""
    nodes = three(cluster)
    for node in nodes:
        observe(node)
    everyone = {n.name: "ready" for n in nodes}
    for node in nodes:
        wait(lambda: states(node) == everyone)
    for _ in range(2):
        leader = cluster.leader()
        for gone in [n for n in nodes if n is not leader]:
            leader.rpc().call("node.remove", host=gone.name, force=True)
            wait(lambda: gone.status().get("removed"))
            wait(lambda: gone.name not in states(leader))
            gone.join(leader.token())
            for node in nodes:
                wait(lambda: states(node) == everyone)
            assert "removed" not in gone.status() and membership(gone) is None
    last = cluster.add()
    last.join(nodes[0].token())
    observe(last)
    for node in cluster.nodes:
        wait(lambda: states(node) == dict(everyone, n4="ready"))
    for node in nodes:
        node.kill()
    for node in nodes:
        node.start()
    for node in nodes:
        wait(lambda: node.status()["initialised"])
        assert "removed" not in node.status() and membership(node) is None


def test_members_come_and_go_and_the_voter_table_holds(cluster):
    table = [None, 1, 1, 3, 3, 5]
    cluster.grow(1)
    for n in range(2, 6):
        new = cluster.add()
        new.join(cluster.nodes[0].token())
        for node in cluster.nodes:
            wait(lambda: len(node.members()) == n and len(voters(node)) == table[n])
        assert put(new, "step", n)["succeeded"]
    while len(cluster.nodes) > 1:  # the leader goes each time: the hardest one to let go
        leader = cluster.leader()
        rest = [n for n in cluster.nodes if n is not leader]
        rest[0].rpc().call("node.remove", host=leader.name)
        cluster.nodes = rest
        for node in rest:
            wait(lambda: len(node.members()) == len(rest))
            wait(lambda: len(voters(node)) == table[len(rest)])
        assert put(rest[-1], "step", len(rest))["succeeded"]
        wait(lambda: leader.status().get("removed"))
        leader.stop()
    last, = cluster.nodes
    assert last.status()["is_leader"] and get(last, "step", linearizable=True) == 1
    fails("validation_failed", "is the only member", last.rpc().call, "node.remove", host=last.name)


# --- joins that are refused ------------------------------------------------------------------


def parts(token):
    """(CA fingerprint, secret, [address ...]) of a join token."""
    raw = token.split(".")[1]
    ca, secret, *addresses = base64.urlsafe_b64decode(
        raw + "=" * (-len(raw) % 4)).decode().split(",")
    return ca, secret, addresses


def forge(ca, secret, *addresses):
    text = ",".join((ca, secret) + addresses).encode()
    return "jaco1." + base64.urlsafe_b64encode(text).decode().rstrip("=")


def outside(node):
    """Nothing of a join is left on that node."""
    left = set(os.listdir(node.root + "/lib/raftd")) - {"lock"}
    return not left and node.status()["initialised"] is False


class Relay:
    """A machine in the middle: TLS with a certificate of its own towards the joining node."""

    def __init__(self, directory, chain):
        def openssl(*argv):
            subprocess.run(["openssl", *argv], cwd=directory, check=True, capture_output=True)

        openssl("req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", "relay.key", "-out",
                "relay.crt", "-days", "1", "-subj", "/O=relay/CN=n1")
        with open(os.path.join(directory, "chain.crt"), "w") as file:
            for name in (os.path.join(directory, "relay.crt"), *chain):
                file.write(open(name).read())
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(os.path.join(directory, "chain.crt"),
                                     os.path.join(directory, "relay.key"))
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.sock.getsockname()[1]
        self.heard = b""
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        plain, _ = self.sock.accept()
        plain.settimeout(60)
        try:
            with self.context.wrap_socket(plain, server_side=True) as tls:
                while data := tls.recv(65536):
                    self.heard += data
        except (ssl.SSLError, ConnectionError):
            pass


def test_a_machine_in_the_middle_hears_nothing(cluster, tmp_path):
    cluster.grow(1)
    one = cluster.nodes[0]
    stranger = cluster.add("stranger")
    token = one.token()
    ca, secret, _ = parts(token)
    # its own certificate alone, and with the real CA's, which is no secret, as if it had made it
    for n, chain in enumerate(((), (one.root + "/lib/raftd/ca.crt",))):
        directory = tmp_path / ("relay%d" % n)
        directory.mkdir()
        relay = Relay(str(directory), chain)
        fails("permission_denied", "has no certificate of the cluster that issued the token; "
              "nothing was sent", stranger.join, forge(ca, secret, relay.address))
        relay.thread.join()
        assert relay.heard == b"" and outside(stranger)
    assert stranger.join(token)["host"] == "stranger"  # nobody used it


@pytest.mark.parametrize("hook,part", [
    ("set7200000:wall_behind", r"the clock of n1 is 7(199|200) s ahead of this node's"),
    ("set7200000:wall_ahead", r"the clock of n1 is 7(199|200) s behind this node's"),
])
def test_a_clock_two_hours_off_is_measured_and_refused(cluster, hook, part):
    cluster.grow(1)
    one = cluster.nodes[0]
    token = one.token()
    late = cluster.add("late")
    late.kill()
    late.start(env={"JACO_FAULT": hook})
    with pytest.raises(RpcError) as caught:
        late.join(token)
    assert caught.value.code == "validation_failed" and re.search(part, caught.value.message)
    assert "set the clocks" in caught.value.message and outside(late)
    assert list(one.members()) == ["n1"]
    late.kill()
    late.start()
    assert late.join(token)["host"] == "late"


def test_a_clock_some_seconds_off_is_taken_and_reported(cluster):
    cluster.grow(1)
    one = cluster.nodes[0]
    late = cluster.add("late")
    late.kill()
    late.start(env={"JACO_FAULT": "set20000:wall_behind"})
    late.join(one.token())
    wait(lambda: "its clock is" in one.members()["late"].get("message", ""))
    wait(lambda: -21000 < one.members()["late"]["skew_ms"] < -19000)
    wait(lambda: 19000 < late.members()["n1"]["skew_ms"] < 21000)


@pytest.mark.parametrize("version", ["0.0.9", "0", "rubbish", ""])
def test_a_version_too_old_is_told_which_one_may_join(cluster, version):
    cluster.grow(1)
    one = cluster.nodes[0]
    token = one.token()
    peer = Peer(one)
    peer.hello()
    assert peer.recv()[1] == "raft.hello"
    peer.send([0, 1, "raft.join", [{
        "host": "old", "secret": parts(token)[1], "request": "none", "version": version,
        "clock": int(time.time() * 1000), "peer_addr": "127.0.0.9:7001"}]])
    error = peer.recv()[2]
    assert error["code"] == "validation_failed"
    assert "which is too old for this cluster: it takes 0.1.0 or newer" in error["message"]
    assert list(one.members()) == ["n1"]
    cluster.add().join(token)  # it is not used up


def test_a_join_by_parts(cluster):
    cluster.grow(1)
    one = cluster.nodes[0]
    issued = json.loads(jaco(one, "node", "issue-join-token", "-o", "json"))
    assert (issued["secret"], issued["peers"]) == tuple(parts(issued["token"])[1:])
    ca = one.root + "/lib/raftd/ca.crt"
    two = cluster.add()
    for wrong in (["--peer", one.address], ["--peer", one.address, "--token", issued["secret"]],
                  [issued["token"], "--peer", one.address], []):
        assert "either the token" in jaco(two, "node", "join", *wrong, code=65)
    assert "not 64 hexadecimal" in jaco(two, "node", "join", "--peer", one.address, "--token", "12",
                                        "--ca-cert", ca, code=77)
    other = two.root + "/other.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", "/dev/null",
                    "-out", other, "-subj", "/CN=other"], check=True, capture_output=True)
    assert "nothing was sent" in jaco(two, "node", "join", "--peer", one.address, "--token",
                                      issued["secret"], "--ca-cert", other, code=77)
    assert outside(two)
    said = jaco(two, "node", "join", "--peer", one.address, "--token", issued["secret"], "--ca-cert",
                ca, "--no-systemd-enable")
    assert "n2 is a member of cluster test" in said


# --- certificates ----------------------------------------------------------------------------

SHORT = {"JACO_FAULT": "set12:cert_seconds"}


def shown(node):
    """The certificate that the node shows now, DER."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host, port = node.address.split(":")
    with context.wrap_socket(socket.create_connection((host, int(port)), timeout=30)) as tls:
        return tls.getpeercert(binary_form=True)


def key_of(der):
    """Fingerprint of the public key, as /node/ has it (RFC 7469)."""
    def run(*argv, data):
        return subprocess.run(["openssl", *argv], input=data, capture_output=True, check=True).stdout

    pem = run("x509", "-inform", "DER", "-pubkey", "-noout", data=der)
    return hashlib.sha256(run("pkey", "-pubin", "-outform", "DER", data=pem)).hexdigest()


def recorded(node, host):
    entry = node.rpc("schedd").call("kv.get", key="/node/" + host)["entry"]
    return msgpack.unpackb(entry["value"])


def test_certificates_renew_themselves_and_no_connection_breaks(cluster):
    for number in range(3):
        node = cluster.add(env=SHORT)
        if number == 0:
            node.rpc().call("cluster.init", name="test")
        else:
            node.join(cluster.nodes[0].token())
    one = cluster.nodes[0]
    wait(lambda: voters(one) == ["n1", "n2", "n3"])
    logs = {n.name: os.path.getsize(n.root + "/raftd.log") for n in cluster.nodes}
    records = {n.name: recorded(one, n.name) for n in cluster.nodes}
    certs = {n.name: shown(n) for n in cluster.nodes}
    for node in cluster.nodes:
        record = records[node.name]
        assert 11000 <= record["cert_not_after"] - record["joined"] <= 13000 or \
            node.name == "n1"  # which may have renewed its own already
        assert key_of(certs[node.name]) == record["key_fingerprint"]
    for turn in range(2):  # past the end of the first ones
        for node in cluster.nodes:
            wait(lambda: shown(node) != certs[node.name])
            certs[node.name] = shown(node)
            assert key_of(certs[node.name]) == records[node.name]["key_fingerprint"]
            was = records[node.name]["cert_not_after"]
            wait(lambda: recorded(one, node.name)["cert_not_after"] > was)
            records[node.name] = recorded(one, node.name)
            assert put(node, "renewed", turn)["succeeded"]
    # Not the term: a machine that is busy elects anew with every connection standing.
    for node in cluster.nodes:
        with open(node.root + "/raftd.log") as log:
            log.seek(logs[node.name])
            text = log.read()
        assert "connection to a member is lost" not in text and "refused" not in text, text
        assert "the certificate of this node is renewed" in text
    assert {e["payload"]["host"] for e in audit(one, "certificate_renewed")} == {"n1", "n2", "n3"}


def test_a_certificate_made_while_the_clock_was_ahead_is_made_again(cluster):
    """A machine that starts with its clock far ahead renews; once the clock is right that certificate
    is in force for nobody, for as long as the clock was wrong."""
    life = "set%d:cert_seconds" % (40 * 24 * 3600)
    one, two = (cluster.add(env={"JACO_FAULT": life}) for _ in range(2))
    one.rpc().call("cluster.init", name="test")
    two.join(one.token())
    two.kill()
    two.start(env={"JACO_FAULT": "set4000000000:wall_ahead," + life})
    crt = two.root + "/lib/raftd/node.crt"

    def starts():
        text = subprocess.run(["openssl", "x509", "-in", crt, "-noout", "-startdate"],
                              capture_output=True, text=True, check=True).stdout
        return ssl.cert_time_to_seconds(text.strip().split("=")[1])

    wait(lambda: starts() > time.time() + 45 * 24 * 3600)
    two.stop()
    two.start()
    wait(lambda: starts() < time.time())
    wait(lambda: put(two, "back", 1)["succeeded"])
    wait(lambda: one.members()["n2"]["state"] != "unreachable")


def test_a_node_that_dies_right_after_its_join_goes_on(cluster):
    """Its log is on disk, its state is not: the members are those the join named."""
    cluster.grow(1)
    one = cluster.nodes[0]
    two = cluster.add()
    two.join(one.token())
    two.kill()
    two.start()
    wait(lambda: two.status()["initialised"])
    assert put(two, "on", 1)["succeeded"]


def test_who_was_off_longer_than_its_certificate_lasts_comes_back(cluster):
    """... and knows the others still, which renewed theirs meanwhile."""
    for number in range(3):
        node = cluster.add(env=SHORT)
        if number == 0:
            node.rpc().call("cluster.init", name="test")
        else:
            node.join(cluster.nodes[0].token())
    one, two, three_ = cluster.nodes
    three_.stop()
    end = recorded(one, "n3")["cert_not_after"] / 1000
    certs = [shown(one), shown(two)]
    for node in (one, two):
        for _ in range(2):
            cert = shown(node)
            wait(lambda: shown(node) != cert)
    assert time.time() > end, "two renewals take longer than one life"
    three_.start(env=SHORT)
    assert put(three_, "back", 1)["succeeded"]
    assert shown(one) not in certs and shown(two) not in certs


# --- the peer port ---------------------------------------------------------------------------


def test_without_a_free_descriptor_callers_wait_and_then_are_heard(cluster):
    cluster.grow(2)
    one, two = cluster.nodes
    wait(lambda: put(two, "before", 1)["succeeded"])
    rpc = one.rpc()
    assert rpc.call("cluster.status")["initialised"]  # accepted, before there is no descriptor left
    pid = one.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE,
                     (len(os.listdir("/proc/%d/fd" % pid)), before[1]))
    host, port = one.address.split(":")
    waiting = [socket.create_connection((host, int(port)), timeout=60) for _ in range(8)]
    for _ in range(20):  # it goes on with what it has
        assert rpc.call("cluster.status")["initialised"]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for plain in waiting:  # the ones that came then, not new ones
        with context.wrap_socket(plain) as tls:
            assert tls.version() == "TLSv1.3"
    wait(lambda: put(two, "after", 1)["succeeded"])


def test_strangers_keep_nobody_from_the_peer_port(cluster):
    cluster.grow(2)
    one, two = cluster.nodes
    wait(lambda: put(two, "before", 1)["succeeded"])
    host, port = one.address.split(":")
    held = [socket.create_connection((host, int(port)), timeout=60) for _ in range(300)]
    two.kill()
    two.start()
    wait(lambda: two.rpc().call("cluster.status")["initialised"])
    wait(lambda: put(two, "through", 1)["succeeded"])
    peer = Peer(one)
    peer.hello()
    assert peer.recv()[1] == "raft.hello"
    for plain in held:
        plain.close()


def test_a_stranger_asks_once_and_little(cluster):
    cluster.grow(1)
    one = cluster.nodes[0]
    peer = Peer(one)
    peer.hello()
    assert peer.recv()[1] == "raft.hello"
    peer.send(*[[0, n, "raft.join", [{
        "host": "x", "secret": "0" * 64, "request": "none", "version": "0.1.0",
        "clock": int(time.time() * 1000), "peer_addr": "127.0.0.9:7001"}]] for n in range(50)])
    answers = []
    while (answer := peer.recv()) is not None:
        answers.append(answer)
    assert len(answers) == 1 and answers[0][2]["code"] == "token_invalid", answers
    peer = Peer(one)
    with pytest.raises((ConnectionError, ssl.SSLError)):
        # a frame of 5 MB whose end never comes
        peer.sock.sendall(b"\x93\x02\xaaraft.hello\x91\xc6\x00\x50\x00\x00" + b"x" * 5000000)
        while peer.sock.recv(1):
            pass
        pytest.fail("all of it was taken")


# --- addresses -------------------------------------------------------------------------------


def test_all_nodes_change_their_address_at_once_and_find_each_other(cluster, tmp_path):
    """By their names: hosts(5) of each node's own mount namespace is what changes with them."""
    nodes = three(cluster)
    assert put(nodes[0], "moved", 1)["succeeded"]
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n" + "".join(
        "127.0.1.%d %s\n" % (i + 2, n.name) for i, n in enumerate(nodes)))
    for node in nodes:
        node.kill()
    for i, node in enumerate(nodes):
        node.address = "127.0.1.%d:%s" % (i + 2, node.address.split(":")[1])
        node.configure()
        node.enter = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"',
                      str(hosts)]
    for node in nodes:
        node.start()
    cluster.leader()
    for i, node in enumerate(nodes):
        wait(lambda: put(node, "moved", 2 + i)["succeeded"])
        wait(lambda: all(node.members()[n.name]["peer_addr"] == n.address for n in nodes))
    wait(lambda: hold_the_same(nodes))
