# SPDX-License-Identifier: Apache-2.0
"""Hosts on one kernel: a network namespace, an engine and eight daemons each (testing.md, "The host
rig").  Names carry the pid of the test; a sweep removes what belongs to dead ones."""
import glob
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from lab_engine import Api, EngineError, IMAGES, clean, running  # noqa: E402

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BUILD = os.path.join(TOP, os.environ.get("JACO_BUILD", "build")) if not os.path.isabs(
    os.environ.get("JACO_BUILD", "build")) else os.environ["JACO_BUILD"]
JACO = os.path.join(BUILD, "cli", "jaco")
WAIT_S = 120
COMMAND_S = 320


class Refused(AssertionError):
    """A command that had to succeed and did not."""


NOT_YET = (OSError, subprocess.SubprocessError, http.client.HTTPException, EngineError, Refused, ValueError,
           KeyError, IndexError)


def wait_for(what, probe, seconds=WAIT_S):
    """Poll an observable until it holds: an event, never a sleep of a guessed length.  A refusal is none
    of its answers yet; an assertion of the probe's own fails at once."""
    end = time.monotonic() + seconds
    while True:
        is_last = time.monotonic() >= end
        try:
            last = probe()
            if last:
                return last
        except NOT_YET as e:
            last = e
        if is_last:
            raise AssertionError("%s did not happen in %d s (last: %r)" % (what, seconds, last))
        time.sleep(0.05)


at_end_of_test = []     # what ends that a test began and may not have ended itself (conftest.py calls it)


def begin(*argv, **kw):
    """A process that lives no longer than the test."""
    process = subprocess.Popen(argv, **kw)

    def end():
        process.kill()
        process.wait()
    at_end_of_test.append(end)
    return process


class Host:
    """One machine: ns + dockerd + jaco supervise, everything below self.dir."""

    def __init__(self, name="n1", address="10.99.0.1", images=("test",), config="", wire=None):
        """Alone, or plugged into a lab_cluster.Wire."""
        sweep()
        self.name = name
        self.ns = "je%d%s" % (os.getpid(), name)
        self.dir = tempfile.mkdtemp(prefix="jaco-e2e-%d-%s-" % (os.getpid(), name), dir="/tmp")
        self.address = address
        self.root = self.dir + "/j"
        self.socket = self.dir + "/docker.sock"
        self.api = Api(self.socket)
        self.engine = None
        self.supervisor = None
        os.makedirs(self.root)
        try:
            self.set_up(address, images, config, wire)
        except BaseException:
            self.close()
            raise

    def set_up(self, address, images, config, wire):
        sh("ip", "netns", "add", self.ns)
        sh("ip", "-n", self.ns, "link", "set", "lo", "up")
        if wire:
            wire.plug(self.ns, self.name)
        else:
            sh("ip", "-n", self.ns, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0wire")
            sh("ip", "-n", self.ns, "link", "set", "eth0wire", "up")
        sh("ip", "-n", self.ns, "addr", "add", address + "/24", "dev", "eth0")
        sh("ip", "-n", self.ns, "link", "set", "eth0", "up")
        with open(self.root + "/jacod.yaml", "w") as f:
            f.write("node_name: %s\nengine_socket: %s\nwg_interface: wg%d%s\n"
                    "dns:\n  forwarders: [\"127.0.0.1:5399\"]\n%s"
                    % (self.name, self.socket, os.getpid() % 100000, self.name[:4], config))
        if not wire:
            self.start_engine()
            self.images(*images)

    def images(self, *names):
        """Build these into the engine."""
        sh(IMAGES, "-H", "unix://" + self.socket, *names)

    def enter(self, *argv):
        return ["nsenter", "--net=/run/netns/" + self.ns] + list(argv)

    # --- engine ---

    def start_engine(self):
        log = open(self.dir + "/dockerd.log", "a")
        # Not `ip netns exec`: it remounts /sys and hides the cgroups from the engine.
        self.engine = subprocess.Popen(
            self.enter("dockerd", "-H", "unix://" + self.socket, "--data-root", self.dir + "/data",
                       "--exec-root", self.dir + "/exec", "--pidfile", self.dir + "/pid",
                       "--containerd-namespace", self.ns,
                       "--containerd-plugins-namespace", self.ns + "p", "--bridge", "none"),
            stdout=log, stderr=log)
        wait_for("the engine's answer", lambda: self.engine.poll() is not None or
                 self.api.call("GET", "/version"))
        assert self.engine.poll() is None, open(log.name).read()[-2000:]

    def stop_engine(self, signo=signal.SIGTERM):
        self.engine.send_signal(signo)
        self.engine.wait(WAIT_S)

    def containers(self, **labels):
        return self.api.containers(**labels)

    # --- daemons ---

    def start(self):
        log = open(self.dir + "/supervise.log", "a")
        self.supervisor = subprocess.Popen(
            self.enter(JACO, "supervise", "--root", self.root), stdout=log, stderr=log)
        wait_for("the control socket", lambda: self.jaco("cluster", "status").returncode == 0)

    def stop(self):
        if self.supervisor and self.supervisor.poll() is None:
            self.supervisor.send_signal(signal.SIGTERM)
            self.supervisor.wait(WAIT_S)

    def is_up(self):
        return self.supervisor is not None and self.supervisor.poll() is None

    def power_cut(self):
        """Supervisor, daemons, engine and containers end at once; what lives in memory is gone: the
        engine's run directory, its mounts, the namespace's interfaces and rules."""
        pids = [c["State"]["Pid"] for c in self.api.inspected() if c["State"]["Pid"]]
        self.supervisor.kill()
        self.supervisor.wait()
        self.engine.kill()
        self.engine.wait()
        pids += processes_of(self.dir, self.ns)
        for pid in pids:
            kill(pid)
        wait_for("the end of all processes", lambda: not any(running(p) for p in pids))
        unmount_below(self.dir)
        shutil.rmtree(self.dir + "/exec", ignore_errors=True)
        for name in ("/pid", "/docker.sock"):
            if os.path.exists(self.dir + name):
                os.unlink(self.dir + name)
        shutil.rmtree(self.root + "/run", ignore_errors=True)
        for link in json.loads(sh("ip", "-n", self.ns, "-j", "link", "show")):
            if link["ifname"] not in ("lo", "eth0", "eth0wire"):
                subprocess.run(["ip", "-n", self.ns, "link", "del", link["ifname"]])
        subprocess.run(self.enter("nft", "flush", "ruleset"))

    def power_on(self):
        self.start_engine()
        self.start()

    def pids(self):
        """Daemon name -> pid of the children of the supervisor."""
        found = {}
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(path) as f:
                    text = f.read()
                with open(os.path.dirname(path) + "/cmdline") as f:
                    argv = f.read().split("\0")
            except OSError:
                continue
            if int(text.rsplit(")", 1)[1].split()[1]) == self.supervisor.pid:
                found[os.path.basename(argv[0]).replace("jaco-", "", 1)] = int(
                    path.split("/")[2])
        return found

    def pid(self, daemon):
        """Also of one that is just being started."""
        return wait_for("a " + daemon, lambda: self.pids()[daemon])

    def end(self, daemon, signo=signal.SIGKILL):
        """One daemon ends, the supervisor starts it again."""
        old = self.pid(daemon)
        os.kill(old, signo)
        wait_for(daemon + " to be started again", lambda: self.pids()[daemon] != old)

    def kill(self, daemon, signo=signal.SIGKILL):
        """end() one daemon and wait until the next one answers."""
        self.end(daemon, signo)
        wait_for(daemon + " to answer", lambda: self.ask(daemon).returncode == 0)

    def pause(self, daemon):
        """The pid of what SIGCONT wakes."""
        pid = self.pid(daemon)
        os.kill(pid, signal.SIGSTOP)
        return pid

    def ask(self, daemon):
        if daemon == "raftd":
            return self.jaco("rpc", "status")
        return self.jaco("rpc", "status", "--daemon", daemon)

    def log(self, daemon):
        with open("%s/log/%s.log" % (self.root, daemon)) as f:
            return f.read()

    # --- command line ---

    def jaco(self, *argv):
        return subprocess.run(self.enter(JACO, "--root", self.root, *argv), capture_output=True,
                              text=True, timeout=COMMAND_S)

    def persist(self, *argv):
        """75 (EX_TEMPFAIL): an election came in between.  To try again is harmless and asked for."""
        end = time.monotonic() + WAIT_S
        while True:
            r = self.jaco(*argv)
            if r.returncode != 75 or time.monotonic() > end:
                return r

    def do(self, *argv):
        """A command that must succeed; its output."""
        r = self.persist(*argv)
        if r.returncode != 0:
            raise Refused("jaco %s: %d\n%s%s" % (" ".join(argv), r.returncode, r.stdout, r.stderr))
        return r.stdout

    def get(self, *argv):
        return json.loads(self.do(*argv, "-o", "json"))

    def init(self):
        self.do("cluster", "init", "--no-systemd-enable")
        wait_for("the firewall to be loaded", lambda: self.get("rpc", "kv.get", json.dumps(
            {"key": "/obs/node/%s/firewall" % self.name})).get("entry"))

    def try_apply(self, path):
        return self.persist("apply", path, "--wait", "--timeout", "%ds" % (COMMAND_S - 20))

    def apply(self, path):
        r = self.try_apply(path)
        assert r.returncode == 0, "jaco apply: %d\n%s%s" % (r.returncode, r.stdout, r.stderr)
        return r.stdout

    def replicas(self, ref=None):
        return self.get("get", "replicas", *([ref] if ref else []))

    def running(self, ref, count):
        rows = self.replicas(ref)
        good = [r for r in rows if r["state"] == "running" and r["healthy"]]
        return good if len(good) == count and len(rows) == count else None

    def delete(self, name):
        self.do("delete", name, "--yes", "--wait")

    # --- traffic ---

    def http(self, host, path="/", port=80, timeout=30):
        """(status, body) through the ingress, from the host itself."""
        r = subprocess.run(self.enter("curl", "-s", "-m", str(timeout), "-w", "\n%{http_code}",
                                      "-H", "Host: " + host,
                                      "http://127.0.0.1:%d%s" % (port, path)),
                           capture_output=True, text=True)
        body, _, code = r.stdout.rpartition("\n")
        return int(code or 0), body

    def exec(self, container, *argv):
        """(exit code, output) of a command inside a container."""
        r = subprocess.run(["docker", "-H", "unix://" + self.socket, "exec", container] + list(argv),
                           capture_output=True, text=True, timeout=COMMAND_S)
        return r.returncode, r.stdout + r.stderr

    def probe(self, container, *argv):
        """What kit's probe prints that must succeed.  Each has a second or three for its answer, which is
        not much on a busy machine: again until it has it."""
        def look():
            code, out = self.exec(container, "/bin/kit", "probe", *argv)
            if code != 0:
                raise ValueError(out)
            return out
        return wait_for("%s in %s" % (" ".join(argv), container), look)

    def close(self):
        if self.engine is None:
            self.stop()
            self.end_left()
            clean(self.ns, self.dir)
            return
        try:
            self.stop()
            if self.engine.poll() is not None:
                self.start_engine()
            for c in self.api.call("GET", "/containers/json?all=1"):
                # 500: a busy engine could not unmount the container; clean() does.
                self.api.call("DELETE", "/containers/%s?force=1&v=1" % c["Id"], ok=(204, 404, 409, 500))
        finally:
            self.stop_engine()
            self.end_left()
            if os.environ.get("JACO_KEEP"):
                print("kept", self.dir)
            else:
                clean(self.ns, self.dir)

    def end_left(self):
        """meshd's stop leaves its wireguard-go to the next start."""
        for pid in processes_of(self.dir, self.ns):
            kill(pid)


def sh(*argv):
    r = subprocess.run(argv, capture_output=True, text=True)
    if r.returncode != 0:
        raise Refused("%s: %s%s" % (" ".join(argv), r.stdout, r.stderr))
    return r.stdout


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def processes_of(path, ns=None):
    """Every process that was started with @path in its arguments, is in a container whose file
    system is below it, or is in network namespace @ns."""
    inside = subprocess.run(["ip", "netns", "pids", ns], capture_output=True, text=True) if ns else None
    found = {int(pid) for pid in inside.stdout.split()} if inside else set()
    own = os.readlink("/proc/self/ns/mnt")
    for name in glob.glob("/proc/[0-9]*"):
        pid = int(name.split("/")[2])
        try:
            with open(name + "/cmdline") as f:
                if path in f.read() and pid != os.getpid():
                    found.add(pid)
            if os.readlink(name + "/ns/mnt") != own:
                with open(name + "/mountinfo") as f:
                    if path + "/" in f.read():
                        found.add(pid)
        except OSError:
            pass
    return sorted(found)


def unmount_below(path):
    with open("/proc/mounts") as f:
        mounts = [line.split()[1] for line in f if line.split()[1].startswith(path + "/")]
    for mount in sorted(mounts, reverse=True):
        subprocess.run(["umount", "-l", mount])


def sweep():
    """What a test that died left behind."""
    for path in glob.glob("/tmp/jaco-e2e-*"):
        pid, name = os.path.basename(path).split("-")[2:4]
        if os.path.exists("/proc/" + pid):
            continue
        ns = "je%s%s" % (pid, name)
        left = processes_of(path, ns)
        for one in left:
            kill(one)
        wait_for("the end of what a dead test left", lambda: not any(running(p) for p in left))
        clean(ns, path)


def write_manifest(host, name, compose, overlay):
    """A pair of files below the host's directory; returns the overlay's path."""
    path = os.path.join(host.dir, "app-" + name)
    os.makedirs(path, exist_ok=True)
    with open(path + "/compose.yaml", "w") as f:
        f.write(compose)
    with open(path + "/jaco.yaml", "w") as f:
        f.write(overlay)
    return path + "/jaco.yaml"


def talk(host, port, line):
    """The line that a TCP service on the host's own address answers to a line."""
    return sh(*host.enter(sys.executable, "-c", TALK, str(port), line)).strip()


TALK = """import socket, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 30)
s.sendall(sys.argv[2].encode() + b'\\n')
print(s.makefile().readline())"""
