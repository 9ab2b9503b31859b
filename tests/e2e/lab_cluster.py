# SPDX-License-Identifier: Apache-2.0
"""Three hosts on one wire: a bridge in a namespace of its own, where links are cut, one way or both,
or lose packets, by nftables, or get longer, by lab_relay.py (testing.md, "The host rig").

    with Cluster() as c:
        c.n1.apply(path)                   any method of lab.Host, on any node
        c.wire.cut("n3"); ...; c.wire.mend()
"""
import concurrent.futures
import os
import subprocess
import tempfile

from lab import Host, at_end_of_test, sh, sweep, wait_for

NET = "10.99.0."
RELAY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lab_relay.py")
# Faults are noticed and acted on in seconds; the defaults would make every test wait for minutes.
SWIFT = "unreachable_after: 3s\nreschedule_after: 5s\n"


class Wire:
    """The cable between the hosts.  Each fault stays until mend(), or the end of the test."""

    def __init__(self):
        sweep()
        self.ns = "je%dwire" % os.getpid()
        # The directory is what the sweep finds after a crash.
        self.dir = tempfile.mkdtemp(prefix="jaco-e2e-%d-wire-" % os.getpid(), dir="/tmp")
        sh("ip", "netns", "add", self.ns)
        sh("ip", "-n", self.ns, "link", "set", "lo", "up")
        sh("ip", "-n", self.ns, "link", "add", "br0", "type", "bridge")
        sh("ip", "-n", self.ns, "link", "set", "br0", "up")
        self.names = []
        self.faults = []
        self.always = []        # faults that mend() leaves
        self.relays = {}

    def plug(self, ns, name):
        """A port called @name whose other end is eth0 of namespace @ns."""
        sh("ip", "-n", self.ns, "link", "add", name, "type", "veth", "peer", "name", "eth0",
           "netns", ns)
        sh("ip", "-n", self.ns, "link", "set", name, "master", "br0", "up")
        self.names.append(name)

    def cut(self, *names):
        """These hosts hear nobody and nobody hears them."""
        for name in names:
            self.faults += ['iifname "%s" drop' % name, 'oifname "%s" drop' % name]
        self._load()

    def split(self, side, other):
        """No frame passes between the two groups; within each all is well."""
        for a in side:
            for b in other:
                self.faults += ['iifname "%s" oifname "%s" drop' % (a, b),
                                'iifname "%s" oifname "%s" drop' % (b, a)]
        self._load()

    def cut_one_way(self, source, target):
        """Nothing of @source reaches @target; the other direction works."""
        self.faults.append('iifname "%s" oifname "%s" drop' % (source, target))
        self._load()

    def lose(self, percent, source=None, target=None):
        """Drop that share of the frames, at random; by default of all."""
        who = "".join([' iifname "%s"' % source if source else "",
                       ' oifname "%s"' % target if target else ""])
        self.faults.append("%s numgen random mod 100 < %d drop" % (who, percent))
        self._load()

    def drop(self, match):
        """Any nft match of the bridge family: drop("ip protocol icmp")."""
        self.faults.append(match + " drop")
        self._load()

    def delay(self, name, milliseconds):
        """Every frame to and from this host takes that long."""
        at_end_of_test.append(self.mend)
        near, far = name + "near", name + "far"
        sh("ip", "-n", self.ns, "link", "add", near, "type", "veth", "peer", "name", far)
        sh("ip", "-n", self.ns, "link", "set", far, "master", "br0", "up")
        sh("ip", "-n", self.ns, "link", "set", near, "up")
        sh("ip", "-n", self.ns, "link", "set", name, "nomaster")
        self.relays[name] = subprocess.Popen(
            ["nsenter", "--net=/run/netns/" + self.ns, "/usr/bin/python3", RELAY, str(milliseconds), name, near],
            stdout=subprocess.PIPE, text=True)
        assert self.relays[name].stdout.readline() == "up\n"

    def hole(self, bytes, source, target):
        """For good: larger datagrams of the mesh vanish between the two, and nobody is told."""
        for a, b in ((source, target), (target, source)):
            self.always.append('iifname "%s" oifname "%s" udp dport 51820 meta length > %d drop' % (a, b, bytes))
        self._load()

    def mend(self):
        if not self.faults and not self.relays:
            return
        for name, relay in self.relays.items():
            relay.kill()
            relay.wait()
            sh("ip", "-n", self.ns, "link", "del", name + "near")
            sh("ip", "-n", self.ns, "link", "set", name, "master", "br0")
        self.relays = {}
        self.faults = []
        self._load()

    def _load(self):
        if self.faults:
            at_end_of_test.append(self.mend)
        rules = ("table bridge wire\ndelete table bridge wire\ntable bridge wire {\n chain cut {\n"
                 "  type filter hook forward priority 0; policy accept;\n  %s\n }\n}\n"
                 % "\n  ".join(self.always + self.faults))
        r = subprocess.run(["nsenter", "--net=/run/netns/" + self.ns, "nft", "-f", "-"],
                           input=rules, capture_output=True, text=True)
        assert r.returncode == 0, r.stderr

    def close(self):
        self.mend()
        sh("ip", "netns", "del", self.ns)
        os.rmdir(self.dir)


class Cluster:
    """@count hosts n1, n2, ... with an engine and eight daemons each, started at once and joined by
    the real commands.  Leader at first: n1."""

    def __init__(self, count=3, images=("test",), config=SWIFT, join=True):
        self.wire = Wire()
        self.hosts = []
        try:
            for i in range(1, count + 1):
                self.hosts.append(Host("n%d" % i, NET + str(i), (), config, self.wire))
            self.each(lambda h: h.power_on())
            self.load(*images)
            if join:
                self.n1.init()
                for host in self.hosts[1:]:
                    self.join(host)
                for host in self.hosts:
                    self.wait_state(host.name, "ready")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def __getattr__(self, name):
        for host in self.__dict__.get("hosts", ()):
            if host.name == name:
                return host
        raise AttributeError(name)

    def __iter__(self):
        return iter(self.hosts)

    def each(self, fn):
        """@fn(host) of all hosts at once; the results, in order."""
        with concurrent.futures.ThreadPoolExecutor(len(self.hosts)) as pool:
            return list(pool.map(fn, self.hosts))

    def load(self, *images):
        """Build once, load into every engine: no registry is asked."""
        first = self.hosts[0]
        first.images(*images)
        names = [tag for i in first.api.call("GET", "/images/json") for tag in i["RepoTags"] or []]
        path = self.wire.dir + "/images.tar"
        sh("docker", "-H", "unix://" + first.socket, "save", "-o", path, *names)
        self.each(lambda h: h is first or
                  sh("docker", "-H", "unix://" + h.socket, "load", "-i", path))
        os.unlink(path)

    def join(self, host, by=None):
        """@host becomes a member by a token that @by issues."""
        token = (by or self.hosts[0]).do("node", "issue-join-token", "-o", "name").strip()
        host.do("node", "join", token)
        return host

    def alive(self):
        return [h for h in self.hosts if h.is_up()]

    def members(self, by=None):
        """Name -> row of `jaco get nodes`, as @by sees it."""
        host = by or self.alive()[0]
        return {m["host"]: m for m in host.get("get", "nodes")}

    def state(self, name, by=None):
        return self.members(by)[name]["state"]

    def leader(self):
        """The host that leads; waits for one."""
        def look():
            for host in self.alive():
                for name, member in self.members(host).items():
                    if member.get("leader"):
                        return getattr(self, name)
        return wait_for("a leader", look)

    def wait_state(self, name, state, by=None):
        def look():
            now = self.state(name, by)
            if now != state:
                raise ValueError(now)
            return True
        wait_for("%s to be %s" % (name, state), look)

    def where(self, ref=None, by=None):
        """Replica id -> node, of those that run and are healthy."""
        return {r["id"]: r["node"] for r in (by or self.alive()[0]).replicas(ref)
                if r["state"] == "running" and r.get("healthy")}

    def container(self, replica):
        """(host, engine's container id) of a running replica, wherever it is."""
        for host in self.hosts:
            for c in host.containers(jaco__replica_id=replica):
                if c["State"] == "running":
                    return host, c["Id"]
        raise AssertionError("no container of " + replica)

    def close(self):
        try:
            self.each(lambda h: h.close())
        finally:
            self.wire.close()
