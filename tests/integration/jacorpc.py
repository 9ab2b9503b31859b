# SPDX-License-Identifier: Apache-2.0
"""MessagePack-RPC over a unix socket in a few lines, and a raftd to talk to."""
import os
import signal
import socket
import subprocess
import time

import msgpack

BUILD = os.environ.get("JACO_BUILD", os.path.join(os.path.dirname(__file__), "../../build"))


class RpcError(Exception):
    def __init__(self, error):
        super().__init__("%s: %s" % (error.get("code"), error.get("message")))
        self.code = error.get("code")
        self.message = error.get("message")
        self.details = error.get("details", {})


class Rpc:
    """One connection.  call() for answers, stream() for events, send()/recv() for rude bytes."""

    def __init__(self, path, timeout=30):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout)
        self.sock.connect(path)
        self.unpacker = msgpack.Unpacker(raw=False, strict_map_key=False,
                                         max_buffer_size=64 * 1024 * 1024)
        self.next_id = 0

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def request(self, method, /, **params):
        self.next_id += 1
        self.send(msgpack.packb([0, self.next_id, method, [params]]))
        return self.next_id

    def recv(self):
        for message in self.unpacker:
            return message
        while True:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError
            self.unpacker.feed(data)
            for message in self.unpacker:
                return message

    def reply(self, want):
        while True:
            message = self.recv()
            if message[0] == 1 and message[1] == want:
                if message[2] is not None:
                    raise RpcError(message[2])
                return message[3]

    def call(self, method, /, **params):
        return self.reply(self.request(method, **params))

    def stream(self, method, /, **params):
        want = self.request(method, **params)
        while True:
            message = self.recv()
            if message[0] == 2 and message[2][0].get("id") == want:
                yield message[2][0]["event"]
            elif message[0] == 1 and message[1] == want:
                if message[2] is not None:
                    raise RpcError(message[2])
                return


class Raftd:
    """A real raftd below a directory of its own."""

    def __init__(self, root, env=None, enter=()):
        self.root = str(root)
        self.env = dict(os.environ, **(env or {}))
        self.enter = list(enter)  # what starts it elsewhere: nsenter and its options
        self.process = None

    def path(self, role=None):
        return self.root + ("/run/raftd/%s.sock" % role if role else "/run/jaco.sock")

    def start(self, env=None):
        log = open(self.root + "/raftd.log", "a")
        self.process = subprocess.Popen(
            self.enter + [os.path.join(BUILD, "daemons/raftd/jaco-raftd"), "--root", self.root],
            stdout=log, stderr=log, env=dict(self.env, **(env or {})))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                Rpc(self.path()).close()
                return self
            except OSError:
                if self.process.poll() is not None:
                    raise RuntimeError(open(self.root + "/raftd.log").read())
                time.sleep(0.01)
        raise RuntimeError("raftd does not listen")

    def rpc(self, role=None):
        return Rpc(self.path(role))

    def wait_leader(self):
        """Returns once writes are possible: the leadership stream says when."""
        rpc = self.rpc("schedd")
        for event in rpc.stream("leader.watch"):
            if event["is_leader"]:
                rpc.close()
                return self
        raise RuntimeError("leader.watch ended")

    def kill(self, signo=signal.SIGKILL):
        self.process.send_signal(signo)
        return self.process.wait(60)

    def stop(self):
        if self.process and self.process.poll() is None:
            return self.kill(signal.SIGTERM)
        return None
