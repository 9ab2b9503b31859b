# SPDX-License-Identifier: Apache-2.0
"""Scripts on the control socket, and rude callers on every socket of a node."""
import os
import socket
import subprocess

import pytest

from lab import JACO, TOP, WAIT_S, wait_for, write_manifest

DAEMONS = ["raftd", "schedd", "ipamd", "meshd", "fwd-nft", "dnsd", "proxyd", "runtimed"]
RUDE = {
    "not msgpack": b"GET / HTTP/1.1\r\n\r\n",
    "not rpc": b"\x81\xa1a\x01",
    "wrong arity": b"\x93\x00\x01\xa1x",
    "a length of 4 GiB": b"\x94\x00\x01\xdb\xff\xff\xff\xff",
    "an array of 4 G": b"\xdd\xff\xff\xff\xff",
    "nested too deep": b"\x91" * 100000,
    "larger than a message may be": b"\x94\x00\x01\xa6status\xdb\x00\x20\x00\x00" + b"x" * 2097152,
    "unknown method": b"\x94\x00\x01\xa4nope\x90",
    "params of another type": b"\x94\x00\x01\xa6status\x91\x01",
    "nothing": b"",
}


def paths(host):
    run = host.root + "/run"
    yield run + "/jaco.sock"
    for name in DAEMONS:
        yield "%s/%s/%s.sock" % (run, name, name)
        role = "%s/raftd/%s.sock" % (run, name)
        if name != "raftd" and os.path.exists(role):
            yield role


@pytest.mark.parametrize("what", sorted(RUDE))
def test_a_rude_caller_is_answered_or_dropped_and_nobody_dies(host, what):
    before = host.pids()
    for path in paths(host):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(WAIT_S)
            s.connect(path)
            try:
                s.sendall(RUDE[what])
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
            except (BrokenPipeError, ConnectionResetError):
                pass
    assert host.pids() == before
    for daemon in DAEMONS:
        assert host.ask(daemon).returncode == 0, daemon


@pytest.mark.parametrize("script,argument", [("replicas.py", "run/jaco.sock"), ("replicas.sh", "")])
def test_a_script_lists_replicas_and_follows_them(host, script, argument):
    seen = os.path.join(host.dir, script + ".out")
    argv = ["/usr/bin/python3"] if script.endswith(".py") else []
    with open(seen, "w") as out:
        p = subprocess.Popen(argv + [os.path.join(TOP, "contrib", "scripts", script),
                                     os.path.join(host.root, argument).rstrip("/")],
                             stdout=out, env=dict(os.environ, JACO=JACO), start_new_session=True)
    try:
        wait_for("the list", lambda: "hello-web-2@n1" in open(seen).read())
        host.do("scale", "hello/web", "4")
        wait_for("the fourth", lambda: len(host.replicas("hello/web")) == 4)
        new = max(host.replicas("hello/web"), key=lambda r: int(r["id"].rsplit("-", 1)[1]))["id"]
        wait_for("the new one to run",
                 lambda: any(new in line and "running" in line for line in open(seen)))
        host.do("scale", "hello/web", "--reset")
    finally:
        os.killpg(p.pid, 15)
        p.wait(WAIT_S)
    wait_for("three replicas", lambda: host.running("hello/web", 3))


def test_rpc_speaks_every_method_of_a_shell(host):
    assert host.get("rpc", "cluster.status")["quorum"] is True
    r = host.jaco("rpc", "kv.txn", '{"puts": [{"key": "/node/x", "value": "y"}]}')
    assert r.returncode == 77 and "permission_denied" in r.stderr
    r = host.jaco("rpc", "kv.gte")
    assert r.returncode == 69 and "did you mean \"kv.get\"" in r.stderr
    r = host.jaco("rpc", "kv.get", '{"kee": 1}')
    assert r.returncode == 65 and "no field \"kee\"" in r.stderr


def datagrams(host, container):
    """UDP datagrams the container has received (RFC 4113 udpInDatagrams)."""
    code, out = host.exec(container, "/bin/cat", "/proc/net/snmp")
    names, values = [line.split() for line in out.splitlines() if line.startswith("Udp:")]
    return int(values[names.index("InDatagrams")])


def test_udp_stays_in_its_scope_and_a_spoofed_source_goes_nowhere(host):
    path = write_manifest(host, "echo", "services:\n  echo:\n    image: jaco/test:1\n"
                          "    command: [udp]\n    expose: ['9000/udp']\n"
                          "  ask:\n    image: jaco/test:1\n    command: [pause]\n",
                          "deployment: echo\nacme: off\n")
    host.apply(path)
    there = host.replicas("echo/echo")[0]["address"]
    host.probe("echo-ask-0", "udp", there, "9000", "hello")
    code, out = host.exec("hello-web-0", "/bin/kit", "probe", "udp", there, "9000", "hello")
    assert code != 0, out
    # datagrams from hello that claim to come from inside the scope must not arrive
    friend = host.replicas("echo/ask")[0]["address"]
    before = datagrams(host, "echo-echo-0")
    for _ in range(5):
        code, out = host.exec("hello-web-0", "/bin/kit", "probe", "spoof", friend, there, "9000")
        assert code == 0, out
    sent = 0

    def marker():
        nonlocal sent
        sent += 1
        return host.exec("echo-ask-0", "/bin/kit", "probe", "udp", there, "9000", "marker")[0] == 0
    wait_for("an answer to what is allowed", marker)
    assert datagrams(host, "echo-echo-0") == before + sent
    host.delete("echo")
