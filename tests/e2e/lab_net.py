# SPDX-License-Identifier: Apache-2.0
"""What the tests of the network between three hosts share: two deployments on one cluster, packets from
inside containers, and the matrix of who may reach whom (network.md 3)."""
import concurrent.futures
import json
import os
import subprocess
import threading
import time

import msgpack

from jacorpc import Rpc
from lab import WAIT_S, at_end_of_test, begin, sh, wait_for, write_manifest
from lab_cluster import Cluster

# The goal is 1 s, on a machine with nothing else to do.  30 s is what a lost event costs: the next pass over
# everything (architecture.md 3).
LATE_S = 20.0
PINGER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pinger.py")

ALPHA = """services:
  both: {image: "jaco/test:1", networks: [front, back], expose: ["8080"]}
  front: {image: "jaco/test:1", networks: [front], expose: ["8080"]}
  back: {image: "jaco/test:1", networks: [back], expose: ["8080"]}
  udp: {image: "jaco/test:1", networks: [front], command: ["udp"]}
networks: {front: {}, back: {}}
"""
ALPHA_JACO = """deployment: alpha
services:
  - {name: both, replicas: 3, rollout: {timeout: 5m}}
  - {name: front, replicas: 3, rollout: {timeout: 5m}}
  - {name: back, replicas: 3, rollout: {timeout: 5m}}
  - {name: udp, replicas: 3, rollout: {timeout: 5m}}
"""
BETA = """services:
  one: {image: "jaco/test:1", networks: [front], expose: ["8080"]}
networks: {front: {}}
"""
BETA_JACO = "deployment: %s\nservices:\n  - {name: one, replicas: %d, rollout: {timeout: 5m}}\n"


class Box:
    """A container somewhere: its addresses by network, and packets from inside it."""

    def __init__(self, cluster, row):
        self.id, self.service, self.deployment = row["id"], row["service"], row["deployment"]
        self.addresses = {a["network"]: a["address"] for a in row["addresses"]}
        self.host, self.container = cluster.container(row["id"])
        self.pid = self.host.api.inspect(self.container)["State"]["Pid"]

    def inside(self, *argv):
        return ["nsenter", "--net=/proc/%d/ns/net" % self.pid, "/usr/bin/python3", PINGER] + list(argv)

    def reaches(self, targets):
        r = subprocess.run(self.inside("probe", json.dumps(targets)), capture_output=True, text=True)
        assert r.returncode == 0, r.stderr
        return [tuple(t) for t in json.loads(r.stdout)]

    def may(self, other, network):
        return self.deployment == other.deployment and network in self.addresses


class Inside:
    """A mode of pinger.py that runs in a container until end(), which returns what it saw."""

    def __init__(self, box, *argv):
        self.process = begin(*box.inside(*argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "up\n"

    def stop(self):
        """Ahead of end(), for several that shall end at once."""
        self.process.stdin.close()

    def end(self):
        self.stop()
        rows = json.loads(self.process.stdout.read())
        self.process.wait()
        return rows


class Watch(Inside):
    """Echo requests from one container to many addresses while something happens."""

    def __init__(self, box, addresses):
        super().__init__(box, "watch", *addresses)


class Follow(Inside):
    """What a name stands for on one node, and when each of its addresses was reached from there."""

    def __init__(self, box, gateway_, name, port):
        super().__init__(box, "follow", gateway_, name, str(port))
        self.node, self.events = box.host.name, []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def when(self, what, address, since=0):
        """Waits for it; its wall time."""
        wait_for("%s to be %s at %s" % (address, what, self.node),
                 lambda: first(self.events, what, address, since))
        return first(self.events, what, address, since)

    def end(self):
        self.stop()
        self.reader.join()
        self.process.wait()
        return self.events


class Observer(threading.Thread):
    """look()s again and again, until end() or the end of the test.  What it dies of, end() tells."""

    def __init__(self, every_s):
        super().__init__(daemon=True)
        self.every_s, self.stopping, self.failure = every_s, threading.Event(), None
        at_end_of_test.append(self.stopping.set)
        self.start()

    def run(self):
        try:
            while not self.stopping.wait(self.every_s):
                self.look()
        except Exception as e:
            self.failure = e

    def end(self):
        self.stopping.set()
        self.join()
        if self.failure:
            raise self.failure


class Seen(Observer):
    """What the stores of these hosts say of the replicas whose id begins like that: [(wall time, whether
    it may be used from now on, address)]."""

    def __init__(self, hosts, replica):
        self.stores = [Rpc(host.root + "/run/jaco.sock") for host in hosts]
        self.prefix, self.changes, self.before = "/obs/replica/" + replica, [], [set() for _ in hosts]
        super().__init__(0.005)

    def usable(self, store):
        good = set()
        for entry in store.call("kv.range", prefix=self.prefix).get("entries", []):
            for one in msgpack.unpackb(entry["value"])["generations"]:
                if one["state"] == "running" and one.get("healthy"):
                    good |= {a["address"] for a in one["addresses"]}
        return good

    def look(self):
        for i, store in enumerate(self.stores):
            good, now = self.usable(store), time.time()
            self.changes += [(now, True, a) for a in good - self.before[i]]
            self.changes += [(now, False, a) for a in self.before[i] - good]
            self.before[i] = good

    def when(self, usable, address, since=0):
        """Waits for it; its wall time."""
        wait_for("%s to be seen" % address, lambda: first(self.changes, usable, address, since))
        return first(self.changes, usable, address, since)


def first(events, what, address, since=0):
    """When that was first seen of an address; IndexError: never."""
    return [when for when, kind, a in list(events) if (kind, a) == (what, address) and when >= since][0]


class Places(Observer):
    """Who holds which address, by the engines: an address that two containers had is kept in @wrong."""

    def __init__(self, cluster):
        self.hosts, self.owner, self.wrong = list(cluster), {}, []
        super().__init__(0.05)

    def look(self):
        for host in self.hosts:
            for c in host.containers():
                replica = (host.name, c["Labels"].get("jaco.replica_id"))
                for net in c["NetworkSettings"]["Networks"].values():
                    had = self.owner.setdefault(net["IPAddress"], replica)
                    if net["IPAddress"] and had != replica:
                        self.wrong.append((net["IPAddress"], had, replica))

    def end(self):
        super().end()
        assert len(self.owner) > 1 and not self.wrong, self.wrong


def boxes(cluster, ref=None):
    """One for each replica, all of which run."""
    def all_running():
        rows = cluster.n1.replicas(ref)
        return rows if rows and all(r["state"] == "running" and r["healthy"] for r in rows) else None
    return [Box(cluster, row) for row in wait_for("all to run", all_running)]


def on(all_boxes, service, node):
    return [b for b in all_boxes if b.service == service and b.host.name == node][0]


def gateway(cluster, deployment, network, node):
    return [s["gateway"] for s in cluster.n1.get("get", "subnets")
            if (s["deployment"], s["network"], s["host"]) == (deployment, network, node)][0]


def targets_of(box, network):
    address = box.addresses[network]
    port = ("udp", address, 9000) if box.service == "udp" else ("tcp", address, 8080)
    return [port, ("icmp", address, 0)]


def expect_row(all_boxes, source, is_lossy):
    want, targets = [], []
    for other in all_boxes:
        for network in other.addresses:
            if other is not source:
                targets += targets_of(other, network)
                want += targets_of(other, network) if source.may(other, network) else []
    end, got = time.monotonic() + WAIT_S, set()
    while True:
        now = set(source.reaches(targets))
        # The first answer of a path may be on its way still: what is refused must stay refused.
        assert not now - set(want), (source.id, "reaches", now - set(want))
        got = now | got if is_lossy else now
        if got == set(want):
            return
        assert time.monotonic() < end, (source.id, source.host.name, "lacks", set(want) - got)


def expect_matrix(all_boxes, sources, is_lossy=False):
    """Each of @sources reaches by TCP or UDP and by ICMP whom it may, and nobody else.  @is_lossy: not all
    at once."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(expect_row, all_boxes, source, is_lossy) for source in sources]:
            done.result()


def verdicts(cluster, by=None):
    return {(r["from"], r["to"]): r for r in (by or cluster.n1).get("mesh")}


def wait_mesh(cluster):
    def look():
        rows = verdicts(cluster)
        bad = {p: (r["verdict"], r.get("message")) for p, r in rows.items() if r["verdict"] not in ("ok", "lossy")}
        if bad or len(rows) < 6:
            raise ValueError(bad)
        return True
    wait_for("a whole mesh", look)


def iface(host):
    return "wg%d%s" % (os.getpid() % 100000, host.name)


def public_key(host):
    return sh(*host.enter("wg", "show", iface(host), "public-key")).strip()


# --- while things happen ---

class Disturbed:
    """Two watchers on n1: what must pass has no gap longer than @gap, what must not pass never does."""

    def __init__(self, cluster, gap):
        every = boxes(cluster)
        self.gap = gap
        both, back, one = on(every, "both", "n1"), on(every, "back", "n1"), on(every, "one", "n1")
        self.good = Watch(both, [on(every, "front", "n2").addresses["front"],
                                 on(every, "back", "n3").addresses["back"]])
        self.bad = [Watch(back, [on(every, "front", n).addresses["front"] for n in ("n1", "n2", "n3")]),
                    Watch(one, [on(every, "both", n).addresses["back"] for n in ("n1", "n2", "n3")])]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for watch in [self.good] + self.bad:
            watch.stop()
        good, bad = self.good.end(), [w.end() for w in self.bad]
        if kind:
            return
        for address, row in good.items():
            assert row["got"] and row["gap"] <= self.gap, (address, row)
        for rows in bad:
            assert all(row["sent"] > 10 and row["got"] == 0 for row in rows.values()), rows


# --- the cluster ---

OWN = """table inet own {
 chain in {
  type filter hook input priority 0; policy accept;
  ip saddr 203.0.113.1 counter drop comment "of the administrator"
 }
}
"""


def load_own(host):
    """A table of the host's administrator."""
    subprocess.run(host.enter("nft", "-f", "-"), input=OWN, text=True, check=True)


def own_table(host):
    return sh(*host.enter("nft", "list", "table", "inet", "own"))


def rules_of_others(host):
    """Every rule but those of table inet jaco and what the engine itself writes about bridges of ours:
    the administrator's table with its counters, all others (the engine's, iptables') without."""
    lines, is_ours = [], False
    for line in sh(*host.enter("nft", "-s", "list", "ruleset")).splitlines():
        if line.startswith("table "):
            is_ours = line.startswith("table inet jaco ")
        if not is_ours and '"jaco-' not in line:
            lines.append(line)
    assert any("DOCKER" in line for line in lines) and "table inet own {" in lines
    return own_table(host) + "\n".join(lines)


def make():
    """Three hosts, two deployments.  Between n2 and n3 nothing larger than 1400 bytes passes, and no
    ICMP tells so, in all tests: what is not found out by probing breaks.  Nothing is placed elsewhere
    because a node is busy or was restarted."""
    c = Cluster(images=("test",), config="unreachable_after: 3s\nreschedule_after: 10m\n")
    try:
        c.wire.hole(1400, "n2", "n3")
        c.n1.apply(write_manifest(c.n1, "alpha", ALPHA, ALPHA_JACO))
        c.n1.apply(write_manifest(c.n1, "beta", BETA, BETA_JACO % ("beta", 3)))
        for host in c:
            load_own(host)
    except BaseException:
        c.close()
        raise
    return c
