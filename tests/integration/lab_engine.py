# SPDX-License-Identifier: Apache-2.0
"""A private Docker engine in a network namespace of its own (testing.md, "The host rig"), and the
Engine API over its socket without any client program."""
import glob
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
IMAGES = os.path.join(HERE, "..", "images", "build")


class EngineError(RuntimeError):
    """What the engine refused; @status is HTTP's."""

    def __init__(self, text, status):
        super().__init__(text)
        self.status = status


class Api:
    """Engine API, one connection per call."""

    def __init__(self, path):
        self.path = path

    def call(self, method, path, body=None, ok=(200, 201, 204, 304)):
        conn = http.client.HTTPConnection("engine", timeout=60)
        conn.sock = socket.socket(socket.AF_UNIX)
        conn.sock.settimeout(60)
        conn.sock.connect(self.path)
        data = json.dumps(body) if body is not None else None
        conn.request(method, "/v1.41" + path, data,
                     {"Content-Type": "application/json"} if data else {})
        reply = conn.getresponse()
        text = reply.read()
        conn.close()
        if reply.status not in ok:
            raise EngineError("%s %s: %d %s" % (method, path, reply.status, text[:300]),
                              reply.status)
        return json.loads(text) if text[:1] in (b"{", b"[") else text

    def containers(self, **labels):
        wanted = ["%s=%s" % (k.replace("__", "."), v) for k, v in labels.items()]
        query = urllib.parse.quote(json.dumps({"label": wanted}))
        return self.call("GET", "/containers/json?all=1&filters=" + query)

    def inspect(self, name):
        return self.call("GET", "/containers/%s/json" % name)

    def inspected(self, **labels):
        """The inspections of containers(**labels).  One that goes away between the two is left out."""
        found = []
        for c in self.containers(**labels):
            try:
                found.append(self.inspect(c["Id"]))
            except EngineError as e:
                if e.status != 404:
                    raise
        return found

    def networks(self):
        return {n["Name"]: n for n in self.call("GET", "/networks")}


def wait_version(engine):
    """Until the engine answers that was just started, as engine.process, with its log in engine.dir."""
    end = time.monotonic() + 60
    while True:
        try:
            engine.api.call("GET", "/version")
            return
        except OSError:
            assert engine.process.poll() is None, open(engine.dir + "/log").read()[-2000:]
            assert time.monotonic() < end, "the engine does not answer"
            time.sleep(0.05)


def empty(api, own):
    """Until there is no container and no network but its @own: a daemon that was just killed may have asked
    for one more, or for the end of one."""
    end = time.monotonic() + 60
    while True:
        containers = api.call("GET", "/containers/json?all=1")
        networks = [n for n in api.networks() if n not in own]
        if not containers and not networks:
            return
        assert time.monotonic() < end, (containers, networks)
        for c in containers:
            api.call("DELETE", "/containers/%s?force=1&v=1" % c["Id"], ok=(200, 204, 404, 409, 500))
        for name in networks:
            api.call("DELETE", "/networks/" + name, ok=(200, 204, 403, 404, 409, 500))


class Engine:
    def __init__(self):
        sweep()
        self.name = "jrt%d" % os.getpid()
        self.dir = tempfile.mkdtemp(prefix="jaco-engine-%d-" % os.getpid())
        self.socket = self.dir + "/docker.sock"
        self.api = Api(self.socket)
        self.process = None
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        subprocess.run(["ip", "-n", self.name, "link", "set", "lo", "up"], check=True)
        self.start()
        subprocess.run([IMAGES, "-H", "unix://" + self.socket, "test"], check=True,
                       stdout=subprocess.DEVNULL)

    def start(self):
        log = open(self.dir + "/log", "a")
        # Not `ip netns exec`: it remounts /sys and hides the cgroups from the engine.
        self.process = subprocess.Popen(
            ["nsenter", "--net=/run/netns/" + self.name, "dockerd", "-H", "unix://" + self.socket,
             "--data-root", self.dir + "/data", "--exec-root", self.dir + "/exec",
             "--pidfile", self.dir + "/pid", "--containerd-namespace", self.name,
             "--containerd-plugins-namespace", self.name + "p", "--bridge", "none"],
            stdout=log, stderr=log)
        wait_version(self)

    def stop(self, signo=signal.SIGTERM):
        """SIGKILL ends containerd too, as a power cut would; containers' shims stay orphaned."""
        self.process.send_signal(signo)
        self.process.wait(60)
        if signo == signal.SIGKILL:
            with open(self.dir + "/exec/containerd/containerd.pid") as f:
                containerd = int(f.read())
            os.kill(containerd, signal.SIGKILL)
            while running(containerd):
                time.sleep(0.02)
            for name in ("/pid", "/exec/containerd/containerd.pid", "/exec/containerd/containerd.sock",
                         "/exec/containerd/containerd.sock.ttrpc"):
                if os.path.exists(self.dir + name):
                    os.unlink(self.dir + name)

    def tidy(self):
        """Every container and network of tests away; images stay."""
        empty(self.api, ("host", "none", "bridge"))

    def close(self):
        try:
            self.tidy()
        finally:
            self.stop()
            clean(self.name, self.dir)


def running(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def clean(name, path):
    with open("/proc/mounts") as f:
        mounts = [line.split()[1] for line in f if line.split()[1].startswith(path + "/")]
    for mount in sorted(mounts, reverse=True):
        subprocess.run(["umount", "-l", mount])
    subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)
    shutil.rmtree(path, ignore_errors=True)


def sweep():
    """What a test that died left behind: names carry the pid of their test."""
    for path in glob.glob(os.path.join(tempfile.gettempdir(), "jaco-engine-*")):
        pid = os.path.basename(path).split("-")[2]
        if not pid.isdigit() or os.path.exists("/proc/" + pid):
            continue
        try:
            with open(path + "/pid") as f:
                engine = int(f.read())
            with open("/proc/%d/cmdline" % engine) as f:
                if path in f.read():
                    os.kill(engine, signal.SIGTERM)
                    while os.path.exists("/proc/%d" % engine):
                        time.sleep(0.05)
        except (OSError, ValueError):
            pass
        clean("jrt" + pid, path)
