# SPDX-License-Identifier: Apache-2.0
"""Whoever is not on a node: TLS and a token on listen_addr, a command line with a home of its own."""
import os
import re
import socket
import ssl
import subprocess

import msgpack
import pytest

from jacorpc import BUILD, Rpc

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

    def __init__(self, node, token=None, timeout=60):  # pylint: disable=super-init-not-called
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


def plain(node, timeout=60):
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
        return subprocess.run([JACO, *args], input=stdin, capture_output=True, text=True, timeout=120,
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


@pytest.fixture(name="person")
def fixture_person(tmp_path):
    return Person(tmp_path / "home")


def deploy(node, name):
    jaco = "deployment: %s\n" % name
    return node.rpc().call("deploy.apply", jaco=jaco.encode(), compose=COMPOSE.encode())
