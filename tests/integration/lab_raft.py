# SPDX-License-Identifier: Apache-2.0
"""Three raftd, each in a network namespace and on a disk of its own, joined by veth to a bridge in a
namespace of their own, and what may be done to them: kill, stop, cut, lose, fill.  Names carry the
pid of the test; sweep() of fwd_lab removes what a crash left."""
import os
import signal
import time

import msgpack

from fwd_lab import Netns, run, sweep
from jacorpc import Raftd, Rpc, RpcError

WAIT_S = 60
DOWN = (OSError, EOFError, ValueError)  # the connection, not the answer


def wait(what, condition, timeout=WAIT_S):
    """The condition's first true value; asks often, gives up loudly."""
    deadline, last = time.monotonic() + timeout, None
    while time.monotonic() < deadline:
        try:
            last = condition()
            if last:
                return last
        except (RpcError,) + DOWN as error:
            last = error
        time.sleep(0.02)
    raise AssertionError("%s: not within %s s (last: %r)" % (what, timeout, last))


class Member(Raftd):
    """One raftd.  `lock` is held by whoever starts, kills or stops it."""

    def __init__(self, cluster, number):
        self.name, self.number, self.cluster = "n%d" % number, number, cluster
        self.address = "10.98.0.%d" % number
        self.ns = Netns(self.name)
        root = cluster.root + "/" + self.name
        os.makedirs(root + "/lib")
        super().__init__(root, enter=("nsenter", "--net=" + self.ns.path))
        self.plug()
        with open(root + "/jacod.yaml", "w") as file:
            file.write("node_name: %s\ncluster_addr: %s:7001\nlisten_addr: %s:7000\n"
                       "unreachable_after: 2s\n" % (self.name, self.address, self.address))
        if cluster.disk:
            run("mount", "-t", "tmpfs", "-o", "size=%dk" % cluster.disk, "none", root + "/lib")
        self.is_paused = False

    def plug(self):
        wire, port = self.cluster.wire, "p%d" % self.number
        wire.ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", self.ns.name)
        wire.ip("link", "set", port, "master", "br0", "up")
        self.ns.ip("addr", "add", self.address + "/24", "dev", "eth0")
        self.ns.ip("link", "set", "eth0", "up")

    # --- looking ---

    def call(self, method, role=None, timeout=10, **params):
        rpc = Rpc(self.path(role), timeout)
        try:
            return rpc.call(method, **params)
        finally:
            rpc.close()

    def status(self):
        return self.call("cluster.status")

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    # --- faults ---

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)
        self.is_paused = True

    def resume(self):
        self.is_paused = False
        self.process.send_signal(signal.SIGCONT)

    def drop(self, rules):
        """Make these the rules for what comes in from other members."""
        text = "table inet nemesis\ndelete table inet nemesis\n"
        if rules:
            text += ("table inet nemesis { chain in { type filter hook input priority 0; %s; }\n}\n"
                     % "; ".join(rules))
        self.ns.do("nft", "-f", "-", input=text)

    def cut_from(self, *others):
        self.drop(["ip saddr %s drop" % o.address for o in others])

    def lose(self, percent):
        self.drop(["ip saddr 10.98.0.0/24 numgen random mod 100 < %d drop" % percent])

    def fill_disk(self):
        """The last byte of the disk goes to somebody else."""
        path = self.root + "/lib/filler"
        with open(path, "wb", buffering=0) as file:
            for piece in (1 << 20, 65536, 4096):
                try:
                    while True:
                        file.write(b"f" * piece)
                except OSError:
                    pass

    def free_disk(self):
        try:
            os.unlink(self.root + "/lib/filler")
        except FileNotFoundError:
            pass

    def start(self, env=None):
        super().start(env)
        self.is_paused = False
        return self

    def close(self):
        if self.is_running():
            self.process.send_signal(signal.SIGCONT)
            self.kill()
        if self.cluster.disk:
            run("umount", "-l", self.root + "/lib", check=False)
        self.ns.close()


class Cluster:
    """@disk: KiB of each member's own disk, 0: the machine's."""

    def __init__(self, root, size=3, disk=0, env=None):
        sweep()
        self.root, self.disk = str(root), disk
        self.wire = Netns("wire")
        self.members = []
        try:
            self.wire.ip("link", "add", "br0", "type", "bridge")
            self.wire.ip("link", "set", "br0", "up")
            for number in range(1, size + 1):
                self.add(number, env or {})
        except BaseException:
            self.close()
            raise

    def add(self, number, env):
        member = Member(self, number)
        self.members.append(member)
        member.start(env={k: v % member.name if "%s" in v else v for k, v in env.items()})
        first = self.members[0]
        if member is first:
            member.call("cluster.init", name="nemesis")
            return
        token = first.call("node.issue_join_token")["token"]
        member.call("node.join", token=token, timeout=60)
        want = number if number != 2 else 1
        wait("%s is counted" % member.name, lambda: self.voters() == want)

    def voters(self):
        return sum(m["voter"] for m in self.members[0].status()["members"])

    def leader(self):
        def look():
            for member in self.members:
                if member.is_running() and not member.is_paused and \
                        member.status().get("is_leader"):
                    return member
        return wait("a leader", look)

    def others(self, member):
        return [m for m in self.members if m is not member]

    def heal(self):
        """Everything runs, hears everybody and has room."""
        for member in self.members:
            member.drop([])
            member.free_disk()
            if member.is_paused:
                member.resume()
            if not member.is_running():
                member.start()

    def agree(self):
        """All hold one state: the hash that all gave at one revision."""
        def look():
            seen = {(s["revision"], s["state_hash"]) for s in (m.status() for m in self.members)}
            return seen.pop() if len(seen) == 1 else None
        return wait("all members hold one state", look)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for member in self.members if kind else ():
            with open(member.root + "/raftd.log") as file:
                print("--- the log of %s\n%s" % (member.name, "".join(file.readlines()[-25:])))
        self.close()

    def close(self):
        for member in self.members:
            member.close()
        self.wire.close()


def entries(member, prefix):
    """Everything below @prefix as this member has it: key -> (value, revision)."""
    rpc, found, more = Rpc(member.path("schedd"), WAIT_S), {}, {}
    while True:
        page = rpc.call("kv.range", prefix=prefix, **more)
        for entry in page.get("entries", []):
            found[entry["key"]] = (msgpack.unpackb(entry["value"]), entry["revision"])
        if not page.get("more"):
            rpc.close()
            return found
        more = {"after": page["entries"][-1]["key"]}
