# SPDX-License-Identifier: Apache-2.0
"""The rig of mesh-ours.sh: two hosts of tests/integration/test_mesh.py with their meshd, and beside them on
the same wire a tunnel that is set up by wg(8) alone."""
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import test_mesh as mesh        # noqa: E402
from fake_raftd import Store    # noqa: E402

WG, PID = os.environ["WG"], os.getpid()


class Lab:
    def __init__(self, tmp):
        self.store, self.tmp, self.hosts, self.backend = Store(), tmp, [], WG
        self.bridge = "jm%d-wire" % PID
        mesh.run("ip", "netns", "add", self.bridge)
        mesh.run("ip", "-n", self.bridge, "link", "add", "br0", "type", "bridge")
        mesh.run("ip", "-n", self.bridge, "link", "set", "br0", "up")

    def host(self, name, number):
        self.hosts.append(mesh.Host(self, name, number))
        return self.hosts[-1]


def enter(host, *argv, **more):
    return subprocess.run(["nsenter", "--net=/run/netns/" + host.netns, *argv], check=True, text=True,
                          capture_output=True, **more).stdout


def plain(a, b):
    """The same tunnel without us: 10.9.0.1 and 10.9.0.2.  Returns the programs that hold it."""
    children, keys = [], {}
    for h in (a, b):
        name = "pl%d%s" % (PID % 100000, h.name)
        if WG == "kernel":
            h.ip("link", "add", name, "type", "wireguard")
        else:
            children.append(subprocess.Popen(["nsenter", "--net=/run/netns/" + h.netns, "wireguard-go", "-f", name],
                                             env=dict(os.environ, LOG_LEVEL="error",
                                                      WG_PROCESS_FOREGROUND="1")))
            while subprocess.run(["nsenter", "--net=/run/netns/" + h.netns, "wg", "show", name],
                                 capture_output=True).returncode:
                time.sleep(0.05)
        private = mesh.run("wg", "genkey").stdout.strip()
        (h.root / "plain.key").write_text(private)
        keys[h.name] = (name, subprocess.run(["wg", "pubkey"], input=private, text=True, capture_output=True,
                                             check=True).stdout.strip())
    for h, other in ((a, b), (b, a)):
        name = keys[h.name][0]
        enter(h, "wg", "set", name, "private-key", str(h.root / "plain.key"), "listen-port", "51899", "peer",
              keys[other.name][1], "endpoint", other.underlay + ":51899", "allowed-ips",
              "10.9.0.%d/32" % other.number)
        h.ip("addr", "add", "10.9.0.%d/24" % h.number, "dev", name)
        h.ip("link", "set", name, "up", "mtu", "1420")
    return children


def throughput(a, b, address, seconds):
    server = subprocess.Popen(["nsenter", "--net=/run/netns/" + b.netns, "iperf3", "-s", "-1", "--forceflush", "-B", address],
                              stdout=subprocess.PIPE, text=True)
    server.stdout.readline()
    server.stdout.readline()    # "Server listening on"
    out = json.loads(enter(a, "iperf3", "-J", "-c", address, "-t", str(seconds)))
    server.communicate(timeout=30)
    return out["end"]["sum_received"]["bits_per_second"] / 1e6


def main():
    rounds, seconds = int(sys.argv[1]), float(sys.argv[2])
    children, found = [], {"ours": [], "plain": []}
    with tempfile.TemporaryDirectory() as tmp:
        lab = Lab(pathlib.Path(tmp))
        try:
            a, b = lab.host("n1", 1), lab.host("n2", 2)
            for h in (a, b):
                h.join().daemon.start()
            gateway = b.subnet("10.203.1.0/24")
            a.reaches(gateway, 60)
            children = plain(a, b)
            ways = [("ours", gateway), ("plain", "10.9.0.2")]
            for i in range(rounds):
                for name, address in ways if i % 2 == 0 else ways[::-1]:
                    found[name].append(throughput(a, b, address, seconds))
                print("%s, round %d: plain %.0f Mbit/s, ours %.0f Mbit/s" % (
                    WG, i + 1, found["plain"][-1], found["ours"][-1]), flush=True)
            plain_median, ours = (statistics.median(found[k]) for k in ("plain", "ours"))
            print("%s: plain %.0f Mbit/s, ours %.0f Mbit/s, ratio %.2f (%.2f to %.2f)" % (
                WG, plain_median, ours, ours / plain_median,
                min(o / p for o, p in zip(found["ours"], found["plain"])),
                max(o / p for o, p in zip(found["ours"], found["plain"]))))
        finally:
            for child in children:
                child.send_signal(signal.SIGTERM)
                child.wait()
            for h in lab.hosts:
                h.close()
            mesh.run("ip", "netns", "del", lab.bridge)


main()
