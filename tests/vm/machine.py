# SPDX-License-Identifier: Apache-2.0
"""A virtual machine without KVM and without a network to the outside: build-image's Debian with this
build beside it on a second disk, and a serial line on which agent.py runs commands."""
import json
import os
import select
import shutil
import socket
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, "..", "..")
BUILD = os.path.abspath(os.environ.get("JACO_BUILD") or os.path.join(SOURCE, "build"))
BOOT_S = 300    # 15 s on two free cores


def stage(where):
    """What the machine sees below /jaco: the tests, the build's programs, an installation."""
    for name in ("integration", "images", "bench"):
        shutil.copytree(os.path.join(SOURCE, "tests", name), os.path.join(where, "tests", name),
                        ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["meson", "install", "-C", BUILD, "--quiet", "--no-rebuild", "--destdir", where + "/install"],
                   check=True, stdout=subprocess.DEVNULL)
    subprocess.run([os.path.join(SOURCE, "tests", "images", "build"), "-o", where + "/images", "test"], check=True)
    for name in os.listdir(os.path.join(BUILD, "daemons")):
        program = os.path.join("daemons", name, "jaco-" + name)
        if os.path.isfile(os.path.join(BUILD, program)):
            os.makedirs(os.path.join(where, "build", "daemons", name))
            shutil.copy(os.path.join(BUILD, program), os.path.join(where, "build", program))


class Machine:
    def __init__(self, image, work):
        self.work, self.process, self.n = str(work), None, 0
        self.kernel, self.initrd = image + "/vmlinuz", image + "/initrd"
        self.root, self.tree = self.work + "/root.img", self.work + "/tree.img"
        subprocess.run(["cp", "--sparse=always", image + "/root.img", self.root], check=True)
        stage(self.work + "/tree")
        subprocess.run(["truncate", "-s", "256M", self.tree], check=True)
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", self.work + "/tree", self.tree], check=True)
        shutil.rmtree(self.work + "/tree")

    def start(self):
        """Power on; returns when commands are run."""
        line = self.work + "/line"
        if os.path.exists(line):
            os.unlink(line)
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2",
             "-m", "1536", "-display", "none", "-nodefaults", "-no-user-config", "-nic", "none",
             "-kernel", self.kernel, "-initrd", self.initrd,
             "-append", "root=/dev/vda rw console=ttyS0 quiet panic=-1 mitigations=off apparmor=0",
             "-drive", "file=%s,format=raw,if=virtio,cache=writeback" % self.root,
             "-drive", "file=%s,format=raw,if=virtio,readonly=on" % self.tree,
             "-device", "virtio-rng-pci",
             "-serial", "file:%s/console" % self.work,
             "-serial", "unix:%s,server=on,wait=off" % line],
            stdin=subprocess.DEVNULL, stderr=open(self.work + "/qemu.log", "a"))
        end = time.monotonic() + 30
        while not os.path.exists(line):
            assert self.process.poll() is None and time.monotonic() < end, open(self.work + "/qemu.log").read()
            time.sleep(0.02)
        self.line = socket.socket(socket.AF_UNIX)
        self.line.connect(line)
        self.rest = b""
        self.await_up()

    def await_up(self):
        while not self.receive(BOOT_S).get("up"):
            pass

    def receive(self, seconds):
        end = time.monotonic() + seconds
        while b"\n" not in self.rest:
            assert self.process.poll() is None, "the machine ended: " + self.console()
            left = end - time.monotonic()
            assert left > 0, "no answer in %d s: %s" % (seconds, self.console())
            if select.select([self.line], [], [], min(left, 1))[0]:
                self.rest += self.line.recv(65536)
        text, self.rest = self.rest.split(b"\n", 1)
        try:
            return json.loads(text)
        except ValueError:
            return {}

    def run(self, command, seconds=120, check=True):
        """Output of a shell command, both streams; with check=False its status and output."""
        self.n += 1
        self.line.sendall(json.dumps({"id": self.n, "command": command, "timeout": seconds}).encode() + b"\n")
        while True:
            answer = self.receive(seconds + 60)
            if answer.get("id") == self.n:
                break
        if not check:
            return answer["rc"], answer["out"]
        assert answer["rc"] == 0, "%s: %d\n%s" % (command, answer["rc"], answer["out"])
        return answer["out"]

    def wait(self, command, seconds=120):
        """Until @command succeeds."""
        end = time.monotonic() + seconds
        while True:
            rc, out = self.run(command, check=False)
            if rc == 0:
                return out
            assert time.monotonic() < end, "not in %d s: %s\n%s" % (seconds, command, out)
            time.sleep(0.5)

    def reboot(self):
        """An orderly one."""
        self.line.sendall(json.dumps({"id": 0, "command": "systemctl reboot", "timeout": 60}).encode() + b"\n")
        self.await_up()

    def cut(self):
        """The power, without a word to anybody; start() brings it back."""
        self.process.kill()
        self.process.wait()
        self.line.close()

    def console(self):
        with open(self.work + "/console", errors="replace") as f:
            return f.read()[-3000:]

    def close(self):
        if self.process and self.process.poll() is None:
            self.cut()
        for name in (self.root, self.tree):
            os.unlink(name)
