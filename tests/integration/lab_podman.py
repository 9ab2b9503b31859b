# SPDX-License-Identifier: Apache-2.0
"""A private Podman in a network namespace of its own: its service speaks Docker's API and its own on one
socket, containers live on beside it under conmon."""
import glob
import os
import signal
import subprocess
import tempfile
import time

from lab_engine import IMAGES, Api, clean, empty, running, wait_version


class Podman:
    def __init__(self):
        sweep()
        self.name = "jpm%d" % os.getpid()
        self.dir = tempfile.mkdtemp(prefix="jaco-podman-%d-" % os.getpid())
        self.socket = self.dir + "/podman.sock"
        self.api = Api(self.socket)
        self.process = None
        with open(self.dir + "/containers.conf", "w") as f:     # it asks for a million where one may not
            f.write('[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n')
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        subprocess.run(["ip", "-n", self.name, "link", "set", "lo", "up"], check=True)
        self.start()
        subprocess.run([IMAGES, "-H", "unix://" + self.socket, "test"], check=True, stdout=subprocess.DEVNULL)

    def argv(self):
        """The program with everything of its own.  No systemd here to keep its cgroups, and the kernel's
        are of both kinds, which crun refuses."""
        d = self.dir
        return ["env", "CONTAINERS_CONF=" + d + "/containers.conf",
                "nsenter", "--net=/run/netns/" + self.name, "podman", "--root", d + "/data", "--runroot",
                d + "/run", "--tmpdir", d + "/tmp", "--network-config-dir", d + "/networks",
                "--cgroup-manager", "cgroupfs", "--runtime", "runc", "--events-backend", "file"]

    def start(self):
        log = open(self.dir + "/log", "a")
        self.process = subprocess.Popen(self.argv() + ["system", "service", "--time=0", "unix://" + self.socket],
                                        stdout=log, stderr=log)
        wait_version(self)

    def stop(self, signo=signal.SIGTERM):
        self.process.send_signal(signo)
        self.process.wait(60)

    def tidy(self):
        """Every container and network of tests away; images stay."""
        empty(self.api, ("bridge", "podman"))

    def close(self):
        try:
            self.tidy()
        finally:
            self.stop()
            end_rest(self.dir)
            clean(self.name, self.dir)


def end_rest(path):
    """What holds a container of this engine, and the engine; known by the directory in their arguments."""
    for cmdline in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(cmdline, "rb") as f:
                words = f.read().split(b"\0")
        except OSError:
            continue
        if words[0].endswith((b"conmon", b"podman")) and any(w.startswith(path.encode() + b"/") for w in words):
            pid = int(cmdline.split("/")[2])
            os.kill(pid, signal.SIGKILL)
            while running(pid):
                time.sleep(0.02)


def sweep():
    """What a test that died left behind."""
    for path in glob.glob(os.path.join(tempfile.gettempdir(), "jaco-podman-*")):
        pid = os.path.basename(path).split("-")[2]
        if pid.isdigit() and not os.path.exists("/proc/" + pid):
            end_rest(path)
            clean("jpm" + pid, path)
