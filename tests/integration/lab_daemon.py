# SPDX-License-Identifier: Apache-2.0
"""One daemon of ours as a process below its own --root, and what went to its log."""
import os
import signal
import subprocess
import time

from fake_raftd import Rpc

BUILD = os.environ.get("JACO_BUILD") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "..", "build")


class Daemon:
    def __init__(self, name, root, config="", netns=None, env=None):
        self.name, self.root, self.netns = name, str(root), netns
        # LeakSanitizer traces its own process at exit, which the system-call filter refuses
        self.env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0", **(env or {}))
        self.process = None
        os.makedirs(self.root, exist_ok=True)
        if config is not None:
            self.configure(config)

    def configure(self, config):
        with open(os.path.join(self.root, "jacod.yaml"), "w") as f:
            f.write(config)

    @property
    def log_path(self):
        return os.path.join(self.root, self.name + ".log")

    def start(self):
        argv = [os.path.join(BUILD, "daemons", self.name, "jaco-" + self.name), "--root", self.root]
        if self.netns:
            argv = ["nsenter", "--net=/run/netns/" + self.netns] + argv
        self.process = subprocess.Popen(argv, env=self.env, stdout=subprocess.DEVNULL,
                                        stderr=open(self.log_path, "a"))
        self.rpc().close()
        return self

    def rpc(self):
        return Rpc(os.path.join(self.root, "run", self.name, self.name + ".sock"))

    def call(self, method, **params):
        rpc = self.rpc()
        try:
            return rpc.call(method, **params)
        finally:
            rpc.close()

    def wait(self, what, seconds=30, why="condition"):
        end = time.monotonic() + seconds
        while not what():
            assert self.process.poll() is None, "%s died: %s" % (self.name, self.log())
            assert time.monotonic() < end, "not in %s s: %s\n%s" % (seconds, why, self.log())
            time.sleep(0.02)

    def wait_status(self, text, seconds=30):
        self.wait(lambda: text in str(self.call("status")), seconds, "status has %r" % text)

    def wait_saved(self, *texts):
        """Until the view it would start from without raftd holds all of @texts."""
        path = os.path.join(self.root, "cache", self.name, "view")

        def holds():
            if not os.path.exists(path):
                return False
            with open(path, "rb") as f:
                raw = f.read()
            return all(text.encode() in raw for text in texts)
        self.wait(holds, 30, "the saved view has %s" % (texts,))

    def log(self):
        with open(self.log_path) as f:
            return f.read()

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        if self.process:
            self.process.wait()
        self.process = None

    def stop(self):
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        self.process = None
        return status
