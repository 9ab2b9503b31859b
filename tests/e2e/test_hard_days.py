# SPDX-License-Identifier: Apache-2.0
"""One node on its hard days: rollouts under load, revisions that never work, images that are not
there, crash loops, commands in the wrong moment (spec/scheduling.md 4 and 5, runtime.md)."""
import json
import os
import subprocess
import sys

import pytest

import lab
from lab import begin, sh, talk, wait_for, write_manifest
from lab_load import Load


@pytest.fixture(scope="module")
def host():
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces and an engine")
    h = lab.Host(images=("test", "store"))
    try:
        h.start()
        h.init()
        yield h
    finally:
        h.close()


# --- tools ---

def inside(host, code, *argv):
    """Python in the host's namespace; its output."""
    return sh(*host.enter(sys.executable, "-c", code, *argv))


def web(env="", image="jaco/test:1", more=""):
    lines = "".join("      %s\n" % line for line in env.splitlines())
    return ("services:\n  web:\n    image: %s\n    environment:\n      SIGTERM: now\n%s%s"
            % (image, lines, more))


# What shall become healthy gets long for it, on a busy machine.  What never does is given up sooner; what
# ends by itself when its restarts are used up, after 7 s.
UNHEALTHY_S = 8


def overlay(name, replicas=1, rollout="", more="", timeout_s=100):
    return ("deployment: %s\nacme: off\nroutes:\n  - {domain: %s.localhost, service: web, port: 8080}\n"
            "services:\n  - name: web\n    replicas: %d\n"
            "    health: {http: /health, port: 8080, interval: 300ms, timeout: 10s}\n"
            "    rollout: {timeout: %ds, monitor: 500ms, drain: 5s%s}\n%s"
            % (name, name, replicas, timeout_s, rollout, more))


def deploy(host, name, compose, over):
    return host.apply(write_manifest(host, name, compose, over))


def submit(host, name, compose, over):
    host.do("apply", write_manifest(host, name, compose, over))


def container_env(host, name, service="web"):
    """The environments of the containers that run now."""
    return [c["Config"]["Env"]
            for c in host.api.inspected(jaco__deployment=name, jaco__service=service)
            if c["State"]["Status"] == "running"]


def apply_broken(host, name, compose, over):
    """An apply that ends in a failure; what it said."""
    r = host.try_apply(write_manifest(host, name, compose, over))
    assert r.returncode not in (0, 75), (r.returncode, r.stdout, r.stderr)
    return r.stdout + r.stderr


def only_have(host, name, entry, count):
    """Exactly @count containers, all with that entry of the environment."""
    envs = container_env(host, name)
    return len(envs) == count and all(entry in env for env in envs)


def drop(host, name):
    """Its containers drain while the next test begins."""
    host.do("delete", name, "--yes")


def serves(host, name):
    return host.http(name + ".localhost")[0] == 200


def rollout_of(host, name):
    return [r for r in host.get("get", "rollouts") if r["deployment"] == name]


def wait_rollout(host, name, state):
    def look():
        seen = rollout_of(host, name)
        if seen[0]["state"] != state:
            raise ValueError(seen)
        return True
    wait_for("the rollout of %s to be %s" % (name, state), look)


def logs(host, ref):
    return host.do("logs", ref, "--tail", "50")


# --- 1: rollouts nobody notices ---

def test_a_rollout_under_load_fails_no_request(host):
    deploy(host, "roll", web("COLOR: red"), overlay("roll", 3))
    load = Load(host, "roll.localhost")
    deploy(host, "roll", web("COLOR: blue"), overlay("roll", 3))
    wait_for("three blue containers", lambda: only_have(host, "roll", "COLOR=blue", 3))
    good, bad = load.finish()
    assert good > 100 and not bad, (good, len(bad), bad[:5])


def test_a_thousand_requests_after_a_scale_down_all_succeed(host):
    deploy(host, "roll", web("COLOR: blue"), overlay("roll", 3))
    load = Load(host, "roll.localhost")
    host.do("scale", "roll/web", "1")
    wait_for("one container", lambda: len(container_env(host, "roll")) == 1)
    _, bad = load.finish()
    assert not bad, bad[:5]
    out = inside(host, "import http.client as h\nn=0\nc=h.HTTPConnection('127.0.0.1',80,timeout=60)\n"
                 "for i in range(1000):\n c.request('GET','/',headers={'Host':'roll.localhost'})\n"
                 " r=c.getresponse();r.read();n+=r.status==200\nprint(n)")
    assert int(out) == 1000
    drop(host, "roll")


# --- 2: revisions that do not work ---

BROKEN = {
    "exits at once": ("FAIL_UNTIL: /nowhere/x", "failing once", 100),
    "never healthy": ("UNHEALTHY: '1'", "503", UNHEALTHY_S),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_revision_is_rolled_back_and_the_old_one_serves(host, how):
    env, word, timeout_s = BROKEN[how]
    name = "bad-" + how.split()[0]
    deploy(host, name, web("COLOR: red"), overlay(name, 2))
    load = Load(host, name + ".localhost")
    said = apply_broken(host, name, web("COLOR: blue\n" + env), overlay(name, 2, timeout_s=timeout_s))
    assert word in said, said
    wait_for("the old content to be the current revision",
             lambda: host.get("get", "deployment", name)["revision"] == 3)
    wait_for("the old containers alone", lambda: only_have(host, name, "COLOR=red", 2))
    good, bad = load.finish()
    assert good > 50 and not bad, (good, bad[:5])
    wait_rollout(host, name, "rolled_back")
    drop(host, name)


HALF = """    entrypoint: [/bin/sh, -c]
    command: ['case $$(hostname) in *-1) echo not on me; exit 1;; esac; exec kit http']
"""


def test_a_revision_that_fails_on_its_second_replica_leaves_none_of_the_first(host):
    deploy(host, "half", web("COLOR: red"), overlay("half", 2))
    load = Load(host, "half.localhost")
    said = apply_broken(host, "half", web("COLOR: blue", more=HALF), overlay("half", 2))
    assert "not on me" in said, said
    wait_for("red alone", lambda: only_have(host, "half", "COLOR=red", 2))
    wait_rollout(host, "half", "rolled_back")
    wait_for("both again", lambda: host.running("half/web", 2))
    old = {r["id"]: r["generation"] for r in host.replicas("half")}
    host.do("restart", "half")  # not held back by what has ended
    wait_for("both started again", lambda: host.running("half/web", 2) and all(
        r["generation"] > old[r["id"]] for r in host.replicas("half/web")))
    good, bad = load.finish()
    assert good > 50 and not bad, (good, bad[:5])
    drop(host, "half")


def test_on_failure_pause_waits_for_a_person_and_a_good_apply_goes_on(host):
    over = overlay("pausing", 2, ", on_failure: pause")
    deploy(host, "pausing", web("COLOR: red"), over)
    load = Load(host, "pausing.localhost")
    said = apply_broken(host, "pausing", web("COLOR: blue\nUNHEALTHY: '1'"),
                        overlay("pausing", 2, ", on_failure: pause", timeout_s=UNHEALTHY_S))
    assert "paused" in said, said
    wait_rollout(host, "pausing", "paused")
    deploy(host, "pausing", web("COLOR: green"), over)
    wait_for("green", lambda: only_have(host, "pausing", "COLOR=green", 2))
    good, bad = load.finish()
    assert good > 50 and not bad, (good, bad[:5])
    drop(host, "pausing")


# --- 3: no such image ---

def test_a_missing_image_says_so_and_a_corrected_apply_recovers(host):
    submit(host, "nopull", web(image="127.0.0.1:5998/no/such:1"), overlay("nopull"))
    row = wait_for("the engine's refusal", lambda: [
        r for r in host.replicas("nopull/web") if r.get("code") == "image_pull_failed"])[0]
    assert "no/such" in row["message"] or "5998" in row["message"], row
    assert row["state"] in ("pending", "pulling", "failed"), row
    deploy(host, "nopull", web(), overlay("nopull"))
    wait_for("the page", lambda: serves(host, "nopull"))
    drop(host, "nopull")


def test_a_missing_image_in_a_new_revision_leaves_the_old_one_alone(host):
    deploy(host, "pull2", web(), overlay("pull2", 2))
    load = Load(host, "pull2.localhost")
    submit(host, "pull2", web(image="127.0.0.1:5998/no/such:1"), overlay("pull2", 2))
    wait_for("the engine's words in the report", lambda: "image_pull_failed" in json.dumps(
        [host.replicas("pull2"), rollout_of(host, "pull2")]))
    deploy(host, "pull2", web("COLOR: green"), overlay("pull2", 2))
    wait_for("green", lambda: only_have(host, "pull2", "COLOR=green", 2))
    good, bad = load.finish()
    assert good > 50 and not bad, (good, bad[:5])
    drop(host, "pull2")


# --- 4: the restart budget ---

def test_a_crash_loop_ends_in_failed_and_restart_tries_again(host):
    compose = ("services:\n  boom:\n    image: jaco/test:1\n    command: [exit, '3', '100']\n"
               "    restart: on-failure:1\n")
    said = apply_broken(host, "boom", compose, "deployment: boom\nacme: off\n")
    assert "exiting with 3" in said, said

    def failed():
        return [r for r in host.replicas("boom") if r["state"] == "failed" and
                r["code"] == "restart_exhausted"]
    seen = wait_for("the budget's end", failed)[0]["generation"]
    for _ in range(2):
        host.do("restart", "boom")
        rows = wait_for("a further try", lambda: [r for r in host.replicas("boom")
                                                  if r["generation"] > seen])
        seen = rows[0]["generation"]
        wait_for("the end of that one, too", lambda: failed() and
                 len(host.replicas("boom")) == 1 and
                 rollout_of(host, "boom")[0]["state"] == "paused")
    drop(host, "boom")


# --- 5: one-shot services ---

ONCE = """services:
  seed:
    image: jaco/test:1
    command: [exit, "%d", "700"]
    restart: "no"
  web:
    image: jaco/test:1
    depends_on:
      seed:
        condition: service_completed_successfully
"""


def test_a_dependent_starts_after_the_one_shot_service_has_completed(host):
    deploy(host, "once", ONCE % 0, overlay("once"))
    seed, = host.replicas("once/seed")
    assert seed["state"] == "completed", seed
    ended = host.api.inspect("once-seed-0")["State"]["FinishedAt"]
    began = host.api.inspect("once-web-0")["State"]["StartedAt"]
    assert began > ended, (began, ended)
    drop(host, "once")


def test_a_dependent_of_a_failed_one_shot_service_does_not_start(host):
    said = apply_broken(host, "once2", ONCE % 4, overlay("once2"))
    assert "exiting with 4" in said, said
    row, = host.replicas("once2/web")
    assert row["state"] == "pending" and "seed" in row.get("waits_for", ""), row
    assert not container_env(host, "once2")
    deploy(host, "once2", ONCE % 0, overlay("once2"))
    drop(host, "once2")


# --- 6: commands and deaths at the wrong moment ---

def start_rollout(host, name, replicas=2):
    """A rollout whose first replacement takes 1.5 s to become healthy; returns in the middle."""
    deploy(host, name, web("COLOR: red"), overlay(name, replicas))
    submit(host, name, web("COLOR: blue\nSTART_DELAY_MS: '1500'"), overlay(name, replicas))
    wait_for("a blue container beside a red one", lambda: any(
        "COLOR=blue" in env for env in container_env(host, name)))


def test_delete_in_the_middle_of_a_rollout_leaves_nothing(host):
    start_rollout(host, "del")
    host.delete("del")
    wait_for("no container", lambda: not host.containers(jaco__deployment="del"))
    assert not rollout_of(host, "del")
    wait_for("the route to be gone", lambda: host.http("del.localhost")[0] == 404)


def test_apply_in_the_middle_of_a_delete_ends_with_the_applied(host):
    deploy(host, "again", web("COLOR: red"), overlay("again", 2))
    host.do("delete", "again", "--yes")
    deploy(host, "again", web("COLOR: blue"), overlay("again", 2))
    wait_for("blue alone", lambda: only_have(host, "again", "COLOR=blue", 2))
    wait_for("the page", lambda: serves(host, "again"))
    drop(host, "again")


@pytest.mark.parametrize("count", [1, 4])
def test_scale_in_the_middle_of_a_rollout_converges(host, count):
    name = "scale%d" % count
    start_rollout(host, name)
    load = Load(host, name + ".localhost")
    host.do("scale", name + "/web", str(count))
    wait_for("the wanted number of blue ones", lambda: only_have(host, name, "COLOR=blue", count))
    wait_rollout(host, name, "completed")
    good, bad = load.finish()
    assert good > 20 and not bad, (good, bad[:5])
    drop(host, name)


@pytest.mark.parametrize("daemon", ["schedd", "runtimed"])
def test_kill_9_in_the_middle_of_a_rollout_converges(host, daemon):
    name = "kill-" + daemon
    start_rollout(host, name)
    load = Load(host, name + ".localhost")
    host.kill(daemon)
    wait_for("blue alone", lambda: only_have(host, name, "COLOR=blue", 2))
    wait_rollout(host, name, "completed")
    good, bad = load.finish()
    assert good > 20 and not bad, (good, bad[:5])
    drop(host, name)


# --- 7: traffic that is not plain GET; data ---

def test_a_published_udp_port_answers(host):
    deploy(host, "dgram", "services:\n  echo:\n    image: jaco/test:1\n    command: [udp, '9000']\n"
           "    ports: ['17001:9000/udp']\n", "deployment: dgram\nacme: off\n")
    out = wait_for("an answer", lambda: inside(
        host, "import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.settimeout(5)\n"
        "s.sendto(b'hello',('127.0.0.1',17001))\nprint(s.recv(999).decode())"))
    assert out.strip().endswith(" hello"), out
    drop(host, "dgram")


UPGRADE = r"""
import socket
s = socket.create_connection(("127.0.0.1", 80), timeout=60)
s.sendall(b"GET / HTTP/1.1\r\nHost: ws.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
got = b""
while b"\r\n\r\n" not in got:
    got += s.recv(999) or exit("closed: %r" % got)
head, _, rest = got.partition(b"\r\n\r\n")
s.sendall(b"\x81\x05hello\n")
while len(rest) < 8:
    rest += s.recv(999) or exit("closed after %r" % rest)
print(head.split(b"\r\n")[0].decode(), rest == b"\x81\x05hello\n")
"""

WS = """services:
  web:
    image: jaco/test:1
    entrypoint: [/bin/sh, -c, "exec nc -ll -p 8080 -e /bin/sh /data/ws"]
    configs:
      - source: ws
        target: /data/ws
configs:
  ws:
    content: |
      while read line && [ "$${#line}" -gt 1 ]; do :; done
      printf 'HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n'
      exec cat
"""


def test_an_upgraded_connection_passes_bytes_both_ways(host):
    deploy(host, "ws", WS, "deployment: ws\nacme: off\nroutes:\n"
           "  - {domain: ws.localhost, service: web, port: 8080}\n")
    # It runs, and listens a moment later: it has no health check.
    wait_for("both ways", lambda: inside(host, UPGRADE).strip() == "HTTP/1.1 101 Switching Protocols True")
    drop(host, "ws")


def test_host_headers_in_any_spelling_find_the_route(host):
    # and the ports of the ingress may stand in the compose file of who is routed
    deploy(host, "spelt", web(more="    ports: ['80:8080', '443:8443']\n"), overlay("spelt"))
    for header in ("spelt.localhost", "SPELT.localhost", "spelt.localhost:80", "spelt.localhost."):
        assert host.http(header)[0] == 200, header
    for header in ("xspelt.localhost", "spelt.localhost.evil.example", "spelt"):
        assert host.http(header)[0] == 404, header
    drop(host, "spelt")


def test_a_volume_keeps_its_data_across_a_recreate(host):
    compose = ("services:\n  store:\n    image: jaco/store:1\n    environment: {COLOR: %s}\n"
               "    volumes: ['data:/data']\n    ports: ['17002:6379']\nvolumes:\n  data:\n")
    over = ("deployment: keep\nacme: off\nservices:\n  - name: store\n    rollout: {monitor: 300ms}\n"
            "    health: {tcp: 6379, interval: 300ms}\n")

    def answers(line, wanted):
        wait_for(wanted, lambda: talk(host, 17002, line) == wanted)
    deploy(host, "keep", compose % "red", over)
    answers("SET k precious", "+OK")
    deploy(host, "keep", compose % "blue", over)
    assert "COLOR=blue" in container_env(host, "keep", "store")[0]
    answers("GET k", "+precious")
    drop(host, "keep")


# --- 8: scopes ---

# TCP on 8000, and names: every address is 203.0.113.7.
OUTSIDE = r"""
import socket, threading
def names():
    while 1:
        q, peer = udp.recvfrom(4096)
        end = q.index(b"\0", 12) + 5
        ok = q[end-4:end] == b"\0\1\0\1"
        udp.sendto(q[:2] + b"\x81\x80\0\1" + (b"\0\1" if ok else b"\0\0") + b"\0\0\0\0" + q[12:end] +
                   (b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xcb\0\x71\7" if ok else b""), peer)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("", 53))
threading.Thread(target=names, daemon=True).start()
s = socket.create_server(("", 8000))
print("on", flush=True)
while 1:
    s.accept()[0].close()
"""


@pytest.fixture
def outside(host):
    """A machine beyond the host: 10.98.0.2 with OUTSIDE."""
    ns = host.ns + "o"
    sh("ip", "netns", "add", ns)
    try:
        sh("ip", "-n", host.ns, "link", "add", "out0", "type", "veth", "peer", "name", "eth0",
           "netns", ns)
        sh("ip", "-n", host.ns, "addr", "add", "10.98.0.1/24", "dev", "out0")
        sh("ip", "-n", host.ns, "link", "set", "out0", "up")
        sh("ip", "-n", ns, "addr", "add", "10.98.0.2/24", "dev", "eth0")
        sh("ip", "-n", ns, "link", "set", "eth0", "up")
        server = begin("nsenter", "--net=/run/netns/" + ns, sys.executable, "-c", OUTSIDE,
                       stdout=subprocess.PIPE, text=True)
        assert server.stdout.readline() == "on\n"
        yield "10.98.0.2"
    finally:
        # both ends at once; a namespace that a process is still in would keep them for the next test
        subprocess.run(["ip", "-n", host.ns, "link", "del", "out0"], capture_output=True)
        sh("ip", "netns", "del", ns)


def test_a_service_with_servers_of_its_own(host, outside):
    def ask(service, name):
        return host.exec("resolve-%s-0" % service, "/bin/kit", "probe", "dns", name)[1]

    compose = "services:\n  web: {image: jaco/test:1}\n  own: {image: jaco/test:1, dns: [%s]}\n"
    over = "deployment: resolve\nacme: off\n"
    deploy(host, "resolve", compose % outside, over)
    before = [c["Id"] for c in host.containers(jaco__deployment="resolve")]
    assert "203.0.113.7" in ask("own", "name.outside.test") and "10." in ask("own", "web")
    assert "203.0.113.7" not in ask("web", "name.outside.test")
    # other servers are another answer for a container that stays as it is
    deploy(host, "resolve", compose % "10.98.0.9", over)
    wait_for("the other server", lambda: "203.0.113.7" not in ask("own", "other.outside.test"))
    assert [c["Id"] for c in host.containers(jaco__deployment="resolve")] == before
    drop(host, "resolve")


def test_internal_networks_and_mode_none_have_no_way_out(host, outside):
    deploy(host, "caged", """services:
  free: {image: jaco/test:1}
  caged: {image: jaco/test:1, networks: [cage]}
  friend: {image: jaco/test:1, networks: [cage]}
  alone: {image: jaco/test:1, command: [pause], network_mode: none}
networks:
  cage: {internal: true}
""", "deployment: caged\nacme: off\n")
    host.probe("caged-free-0", "tcp", outside, "8000")
    out = {name: host.exec("caged-%s-0" % name, "/bin/kit", "probe", "tcp", outside, "8000")[0]
           for name in ("caged", "alone")}
    assert out["caged"] != 0 and out["alone"] != 0, out
    assert host.exec("caged-caged-0", "/bin/ping", "-c1", "-W1", outside)[0] != 0
    host.probe("caged-caged-0", "tcp", "friend", "8080")
    _, links = host.exec("caged-alone-0", "/bin/ip", "-o", "link")
    assert [line.split(":")[1].strip() for line in links.splitlines()] == ["lo"], links
    drop(host, "caged")


def test_the_same_service_name_in_two_deployments_is_two_services(host):
    for name in ("twin-a", "twin-b"):
        deploy(host, name, web("NAME: " + name, more="  client: {image: jaco/test:1}\n"),
               overlay(name))
    for name in ("twin-a", "twin-b"):
        assert name in host.probe(name + "-client-0", "http", "web", "8080", "/")
        assert json.loads(host.http(name + ".localhost")[1])["replica"] == name + "-web-0"
    for name in ("twin-a", "twin-b"):
        drop(host, name)


# --- 9: the first packet ---

def test_first_packets_of_thirty_starts_arrive_where_they_may_and_nowhere_else(host):
    def server(name):
        return deploy(host, name, "services:\n  echo: {image: jaco/test:1, command: [udp, '9000']}\n",
                      "deployment: %s\nacme: off\n" % name)
    server("victim")
    server("first")
    victim = host.replicas("victim/echo")[0]["address"]
    own = host.replicas("first/echo")[0]["address"]
    compose = "services:\n  echo: {image: jaco/test:1, command: [udp, '9000']}\n"
    for service, target in (("mine", own), ("theirs", victim)):
        compose += ("  %s:\n    image: jaco/test:1\n    restart: 'no'\n    entrypoint: [/bin/sh, -c]\n"
                    "    command: ['kit probe udp %s 9000 %s; exit 0']\n"
                    "    deploy: {replicas: 15}\n" % (service, target, service))
    deploy(host, "first", compose, "deployment: first\nacme: off\nservices:\n"
           "  - {name: mine, rollout: {timeout: 5m}}\n  - {name: theirs, rollout: {timeout: 5m}}\n")
    rows = host.replicas("first/mine") + host.replicas("first/theirs")
    assert len(rows) == 30 and {r["state"] for r in rows} == {"completed"}, rows
    assert logs(host, "victim/echo").count("datagram") == 0
    # The engine writes its log a moment after the container did.
    wait_for("every first packet", lambda: logs(host, "first/echo").count(" mine") == 15)
    for name in ("first", "victim"):
        drop(host, name)
