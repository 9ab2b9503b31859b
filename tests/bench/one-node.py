#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Figures of one node, as ratios to the engine alone in the same run.  Records, asserts nothing.

usage: JACO_BUILD=build tests/bench/one-node.py [CONTAINERS [ROUNDS]]

  apply   `jaco apply` to all running, against create+start of the same containers through the engine's
          API on networks made the same way, four at a time
  idle    resident memory and CPU of each daemon over ten seconds with everything deployed
  commit  acknowledged label writes one after the other, against one fdatasync each on the same disk"""
import concurrent.futures
import json
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from lab import Host, wait_for, write_manifest  # noqa: E402
from jacorpc import Rpc  # noqa: E402

N = int(sys.argv[1]) if len(sys.argv) > 1 else 10
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3


def engine_alone(host, n):
    """Seconds for n containers of the same image on one bridge."""
    api = host.api
    net = api.call("POST", "/networks/create", {
        "Name": "bench", "Options": {"com.docker.network.bridge.enable_ip_masquerade": "false"}})
    begin = time.monotonic()

    def one(i):
        c = api.call("POST", "/containers/create?name=bench-%d" % i,
                     {"Image": "jaco/test:1", "Cmd": ["pause"], "HostConfig": {"NetworkMode": "bench"}})
        api.call("POST", "/containers/%s/start" % c["Id"])
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(n)))
    took = time.monotonic() - begin
    for i in range(n):
        api.call("DELETE", "/containers/bench-%d?force=1" % i)
    api.call("DELETE", "/networks/" + net["Id"])
    return took


def through_jaco(host, n):
    path = write_manifest(host, "bench", "services:\n  a:\n    image: jaco/test:1\n    command: [pause]\n"
                          "    scale: %d\n    healthcheck: {disable: true}\n" % n,
                          "deployment: bench\nacme: off\n")
    begin = time.monotonic()
    host.do("apply", path, "--no-wait")
    wait_for("all to run", lambda: sum(
        c["State"] == "running" for c in host.containers(jaco__deployment="bench")) == n)
    took = time.monotonic() - begin
    host.delete("bench")
    return took


def idle(host):
    tick = os.sysconf("SC_CLK_TCK")

    def cpu(pid):
        with open("/proc/%d/stat" % pid) as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / tick

    def rss(pid):
        with open("/proc/%d/status" % pid) as f:
            return [int(line.split()[1]) for line in f if line.startswith("VmRSS")][0]
    pids = host.pids()
    before = {name: cpu(pid) for name, pid in pids.items()}
    time.sleep(10)  # the measurement itself
    for name, pid in sorted(pids.items()):
        print("RESULT bench=idle daemon=%s rss_kb=%d cpu_permille=%.1f"
              % (name, rss(pid), (cpu(pid) - before[name]) * 100))


def commit(host, writes=500):
    client = Rpc(host.root + "/run/jaco.sock")
    took = []
    for i in range(writes):
        begin = time.monotonic()
        client.call("node.label", host=host.name, set={"bench": str(i)})
        took.append(time.monotonic() - begin)
    fd = os.open(host.root + "/flush", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, bytes(4096 * writes), 0)
    os.fsync(fd)
    flush = []
    for i in range(writes):
        begin = time.monotonic()
        os.pwrite(fd, b"x" * 200, 4096 * i)
        os.fdatasync(fd)
        flush.append(time.monotonic() - begin)
    ours, disk = statistics.median(took), statistics.median(flush)
    print("RESULT bench=commit p50_us=%.0f flush_us=%.0f ratio=%.2f" % (ours * 1e6, disk * 1e6, ours / disk))


host = Host(images=("test",))
try:
    host.start()
    host.init()
    ratios = []
    for i in range(ROUNDS):
        alone, ours = engine_alone(host, N), through_jaco(host, N)
        ratios.append(ours / alone)
        print("R round=%d n=%d engine_s=%.3f jaco_s=%.3f ratio=%.2f" % (i, N, alone, ours, ratios[-1]),
              flush=True)
    print("RESULT bench=apply n=%d ratio=%.2f" % (N, statistics.median(ratios)))
    commit(host)
    idle(host)
    print(json.dumps({"load": os.getloadavg()}))
finally:
    host.close()
