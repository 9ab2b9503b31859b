# SPDX-License-Identifier: Apache-2.0
"""One compose file, two programs, one engine: what `jaco apply` makes of every honoured key against
what Debian's docker-compose makes of it, by the engine's own inspection.

compose-keys.tsv has one row per key and the field that shows it.  Beyond the rows, everything the engine
tells about a container's configuration is compared; what differs must be in EVERYWHERE or HERE with its
reason, and a reason that no longer applies fails as well."""
import os
import re
import subprocess

import pytest

import lab
from lab import COMMAND_S, wait_for, write_manifest

KEYS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "compose-keys.tsv")

EVERYWHERE = {
    r"Config\.Labels\.com\.docker\.compose\..*": "marks of the reference",
    r"Config\.Labels\.jaco\..*": "marks of JACO (manifests.md 6)",
    r"HostConfig\.RestartPolicy\..*": "the scheduler restarts (manifests.md 3.4)",
    r"HostConfig\.Dns\.\d+": "dnsd answers at the gateways and asks the servers (network.md 4)",
    r"HostConfig\.PortBindings\..*": "proxyd publishes, not the engine (manifests.md 3.5)",
    r"Config\.Volumes\..*": "the reference names each mount a second time",
}
DEFAULTS = {
    r"HostConfig\.LogConfig\.Config\.max-(size|file)": "10 MB x 3 unless written (runtime.md 2)",
    r"HostConfig\.NetworkMode": "networks are named jaco_<deployment>_<network>",
    r"Config\.Hostname": "the replica's id, where the reference leaves the container's",
}
HERE = {
    ("files", r"Mounts\./(data|ro|nocopy|v)\.source"): "volumes are named jaco_<deployment>_<volume>",
    ("files", r"Mounts\./anonymous\.source"): "the engine names it",
    ("guest", r"HostConfig\.NetworkMode"): "the container of `owner`, which each side has its own of",
}

COMPOSE = r"""
x-base: &base
  image: jaco/test:1
  entrypoint: [/bin/sleep, "600"]
services:
  owner:
    <<: *base
  process:
    image: jaco/test:1
    entrypoint: [/bin/sh, -c, 'exec sleep 600', x]
    command: ['a b', "it's", '']
    environment: {A: b, N: 1, T: 'true', E: '', FROM_FILE: , PATH: , B: '${FROM_FILE}', C: '${NOPE-}y',
                  D: '$$HOME', F: '${NOPE:-d}'}
    user: '65534:65534'
    working_dir: /tmp
    hostname: myself
    domainname: example.test
    labels: {com.example.a: b, com.example.empty: '', com.example.number: 1}
    stop_signal: SIGINT
    stop_grace_period: 1m30s
    init: true
    ipc: shareable
    tty: true
    stdin_open: true
    group_add: [nogroup, 1234]
    platform: linux/amd64
    runtime: runc
    mac_address: '02:42:ac:11:65:43'
    dns: [10.9.9.9, 10.9.9.8]
    dns_search: [example.test]
    dns_opt: [use-vc, 'ndots:2']
    extra_hosts: ['a.test:10.1.2.3', 'b.test:10.1.2.4', 'a.test:10.1.2.5']
    healthcheck: {test: [CMD, 'true', 'a b'], interval: 1m30s, timeout: 10s, retries: 3, start_period: 40s}
    logging: {driver: json-file, options: {max-size: 1m, max-file: '2', tag: x}}
  text:
    image: jaco/test:1
    entrypoint: /bin/sh -c 'exec sleep 600'
    command: one 'two  three' "fo\"ur" fi\ ve $$HOME
    environment: [A=b, 'S= two words ', E=, FROM_FILE, 'Q="x"', D=$$HOME=1, WINS=explicit]
    env_file: [one.env, two.env]
    labels: [com.example.b=c, com.example.empty, 'com.example.c=d=e']
    user: nobody
    init: false
    tmpfs: /scratch
    dns: 10.9.9.9
    sysctls: [net.core.somaxconn=1024]
    extra_hosts: {a.test: 10.1.2.3}
    expose: ['3000', '4000-4002', '53/udp']
    healthcheck: {test: 'true || exit 1', interval: 1h}
    logging: {driver: none}
  rights:
    <<: *base
    cap_add: [NET_ADMIN, SYS_TIME]
    cap_drop: [MKNOD, AUDIT_WRITE]
    security_opt: ['no-new-privileges:true']
    devices: ['/dev/null:/dev/xnull:rw', /dev/zero]
    device_cgroup_rules: ['c 1:3 mr']
    sysctls: {net.core.somaxconn: 1024}
    ulimits: {nproc: 1024, nofile: {soft: 100, hard: 200}}
    healthcheck: {test: [CMD-SHELL, 'true'], interval: 1h}
  namespaces:
    <<: *base
    privileged: true
    network_mode: host
    ipc: host
    pid: host
    userns_mode: host
  alone:
    <<: *base
    network_mode: none
  guest:
    <<: *base
    network_mode: 'service:owner'
  resources:
    <<: *base
    mem_limit: 64m
    mem_reservation: 32m
    memswap_limit: 128m
    mem_swappiness: 10
    cpus: 0.5
    cpu_shares: 73
    cpuset: '0'
    pids_limit: 100
    blkio_config: {weight: 300}
    oom_score_adj: 500
    oom_kill_disable: true
    cgroup_parent: /jaco-parity
    healthcheck: {disable: true}
  quota:
    <<: *base
    cpu_quota: 50000
    cpu_period: 100000
    mem_limit: 64m
    memswap_limit: -1
  deploy:
    <<: *base
    deploy: {resources: {limits: {cpus: '0.25', memory: 48M}, reservations: {memory: 16M}}}
  gpu:
    <<: *base
    deploy: {resources: {reservations: {devices: [
      {driver: nvidia, count: 2, capabilities: [gpu, utility], options: {a: b}}]}}}
  files:
    <<: *base
    read_only: true
    shm_size: 32m
    tmpfs: ['/run:size=1m,mode=755', /scratch]
    volumes:
      - data:/data
      - data:/ro:ro
      - data:/nocopy:nocopy
      - literal:/literal
      - there:/there
      - /anonymous
      - @DIR@/bind:/bind
      - @DIR@/bind:/bindro:ro
      - ./rel:/rel
      - {type: volume, source: data, target: /v, read_only: true, volume: {nocopy: true}}
      - {type: bind, source: @DIR@/bind, target: /b, bind: {propagation: rslave}}
      - {type: tmpfs, target: /t, tmpfs: {size: 1048576}}
    healthcheck: {test: [NONE]}
  ports:
    <<: *base
    profiles: [extra]
    ports: ['18080:8080', '18081-18083:81-83', '18053:53/udp', '127.0.0.1:18084:84', '85',
            {target: 86, published: 18090, protocol: udp, mode: host}]
  extends:
    <<: *base
    extends: {file: base.yaml, service: base}
    labels: [mine=1]
volumes:
  data: {labels: {kept: daily}}
  literal: {name: parity-literal}
  there: {external: true, name: parity-there}
"""
FILES = {
    ".env": "FROM_FILE=from the file\n",
    "one.env": "ONE=1\nWINS=one\nBOTH=one\n",
    "two.env": "# a comment\nTWO=2\nBOTH=two\n",
    "base.yaml": "services:\n  base:\n    environment: {BASE: '1'}\n    labels: [from=base, mine=0]\n"
                 "    cap_add: [NET_RAW]\n",
    "rel/keep": "",
    "bind/keep": "",
}


def rows():
    with open(KEYS) as f:
        for line in f:
            if not line.startswith("#"):
                key, _, field, test, _ = line.rstrip("\n").split("\t")
                if test.startswith("parity:"):
                    yield key, test.split(":")[1], field


# --- an inspection as a flat map: what has no order is sorted, requests for mounts are merged ---

def flatten(value, path, out):
    if isinstance(value, dict):
        for k, v in value.items():
            flatten(v, "%s.%s" % (path, k), out)
        if not value and ("ExposedPorts." in path or "Config.Volumes." in path):
            out[path] = "set"  # {"80/tcp": {}}
    elif isinstance(value, list):
        for i, v in enumerate(value):
            flatten(v, "%s.%d" % (path, i), out)
    elif value not in (None, "", False, 0) or path.endswith(".Init") or ".Tmpfs." in path:
        out[path] = value


def options(value):
    """What was asked of each mount, from both forms of the engine's request."""
    found = {}
    for bind in value.get("Binds") or []:
        source, target, words = (bind.split(":") + [""])[:3]
        words = set(words.split(",")) - {"rw", ""}
        found[target] = {"asked": ",".join(sorted(words - {"ro"})), "source": source}
    for m in value.get("Mounts") or []:
        o = dict(m.get("VolumeOptions") or {}, **(m.get("BindOptions") or {}))
        words = [o.get("Propagation", ""), "nocopy" if o.get("NoCopy") else ""]
        found[m["Target"]] = {"asked": ",".join(w for w in words if w), "source": m.get("Source"),
                              "tmpfs": m.get("TmpfsOptions")}
    return found


def shape(c):
    config, host, mounts = dict(c["Config"]), dict(c["HostConfig"]), options(c["HostConfig"])
    for m in c["Mounts"]:
        mounts.setdefault(m["Destination"], {}).update(
            type=m["Type"], rw=m["RW"], driver=m.get("Driver"), propagation=m.get("Propagation"),
            source=m.get("Name") or m["Source"])
    config["Env"] = sorted(config["Env"])
    for key in ("GroupAdd", "CapAdd", "CapDrop", "SecurityOpt"):
        host[key] = sorted(host.get(key) or [])
    host["Ulimits"] = sorted(host.get("Ulimits") or [], key=lambda u: u["Name"])
    host["ExtraHosts"] = sorted(host.get("ExtraHosts") or [], key=lambda h: h.split(":")[0])
    for key in ("Binds", "Mounts"):
        host.pop(key, None)
    out = {}
    if host.get("Init") is None:
        host.pop("Init", None)  # a false one is written, an absent one is the engine's choice
    flatten({"Config": config, "HostConfig": host, "Mounts": mounts, "Platform": c["Platform"]}, "", out)
    return {k[1:]: v for k, v in out.items()}


# --- the two sides ---

@pytest.fixture(scope="module")
def host():
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces and an engine")
    h = lab.Host(images=("test",))
    try:
        h.start()
        h.init()
        yield h
    finally:
        h.close()


def put(host, name, compose, files, env=True):
    path = write_manifest(host, name, "", "deployment: %s\nacme: off\n%s" % (
        name, "environment: .env\n" if env else ""))
    where = os.path.dirname(path)
    for file, text in dict(files, **{"compose.yaml": compose.replace("@DIR@", where)}).items():
        os.makedirs(os.path.dirname(os.path.join(where, file)), exist_ok=True)
        with open(os.path.join(where, file), "w") as f:
            f.write(text)
    return path


def containers(host, deployment, count):
    """service -> inspection of its first container, however short its life."""
    seen = {}

    def look():
        for c in host.api.inspected(jaco__deployment=deployment):
            seen.setdefault(c["Config"]["Labels"]["jaco.service"], c)
        return len(seen) == count
    wait_for("a container of every service", look)
    return seen


@pytest.fixture(scope="module")
def both(host):
    path = put(host, "parity", COMPOSE, FILES)
    host.api.call("POST", "/volumes/create", {"Name": "parity-there"})
    for verb in (["up", "-d", "owner"], ["up", "--no-start"]):
        # an empty environment, so that names without a value are unset on both sides
        r = subprocess.run(
            ["/usr/bin/docker-compose", "-H", "unix://" + host.socket, "-p", "parity", "--profile",
             "extra", "-f", os.path.dirname(path) + "/compose.yaml"] + verb,
            capture_output=True, text=True, cwd=os.path.dirname(path), timeout=COMMAND_S, env={})
        assert r.returncode == 0, r.stdout[-2000:] + r.stderr[-4000:]
    theirs = {c["Config"]["Labels"]["com.docker.compose.service"]: c
              for c in host.api.inspected(com__docker__compose__project="parity")}
    host.do("apply", path, "--no-wait", "--profile", "extra")
    ours = containers(host, "parity", len(theirs))
    host.do("delete", "parity", "--yes")
    return {s: shape(c) for s, c in ours.items()}, {s: shape(c) for s, c in theirs.items()}


def below(flat, field):
    return {k: v for k, v in flat.items() if k == field or k.startswith(field + ".")}


def reason(service, path):
    for (s, pattern) in HERE:
        if s == service and re.fullmatch(pattern, path):
            return (s, pattern)
    return next((p for p in list(EVERYWHERE) + list(DEFAULTS) if re.fullmatch(p, path)), None)


@pytest.mark.parametrize("key,service,field", list(rows()), ids=lambda v: str(v))
def test_the_field_of_a_key_is_the_references(both, key, service, field):
    ours, theirs = (below(side[service], field) for side in both)
    assert theirs, "the reference sets nothing: the row shows nothing"
    for path in set(ours) | set(theirs):
        if ours.get(path) != theirs.get(path):
            assert reason(service, path) in set(EVERYWHERE) | set(HERE), (
                path, ours.get(path), theirs.get(path))


def test_nothing_else_differs_and_every_reason_is_needed(both):
    ours, theirs = both
    assert set(ours) == set(theirs)
    found, used = [], set()
    for service in sorted(theirs):
        for path in sorted(set(ours[service]) | set(theirs[service])):
            a, b = ours[service].get(path), theirs[service].get(path)
            if a != b:
                why = reason(service, path)
                used.add(why)
                if not why:
                    found.append("%s %s: %r, reference %r" % (service, path, a, b))
    assert not found, "\n".join(found)
    assert not (set(EVERYWHERE) | set(DEFAULTS) | set(HERE)) - used


# --- what inspection of the two cannot show ---

ALONE = r"""
x-base: &base
  image: jaco/test:1
  entrypoint: [/bin/sleep, "600"]
  stop_signal: SIGKILL
services:
  new:
    <<: *base
    annotations: {org.example.a: b}
    cgroup: private
    uts: host
    deploy: {resources: {limits: {pids: 50}}}
    healthcheck: {test: [CMD, "true"], start_interval: 2s}
  beside:
    <<: *base
    network_mode: 'service:new'
    pid: 'service:new'
  graphics:
    <<: *base
    gpus: all
"""


def test_keys_the_reference_does_not_know(host):
    host.do("apply", put(host, "alone", ALONE, {}, env=False), "--no-wait")
    c = containers(host, "alone", 3)
    new, graphics = c["new"]["HostConfig"], c["graphics"]["HostConfig"]
    version = tuple(int(n) for n in host.api.call("GET", "/version")["ApiVersion"].split("."))
    if version >= (1, 43):
        assert new["Annotations"] == {"org.example.a": "b"}
    assert new["CgroupnsMode"] == "private"
    assert new["UTSMode"] == "host"
    assert new["PidsLimit"] == 50
    for mode in ("NetworkMode", "PidMode"):
        assert c["beside"]["HostConfig"][mode] == "container:" + c["new"]["Id"], mode
    assert c["new"]["Config"]["Healthcheck"]["Test"] == ["CMD", "true"]
    if version >= (1, 44):
        assert c["new"]["Config"]["Healthcheck"]["StartInterval"] == 2000000000
    request, = graphics["DeviceRequests"]
    assert request["Count"] == -1 and request["Capabilities"] == [["gpu"]], request
    host.delete("alone")


HELD = r"""
services:
  plain: &plain
    image: jaco/test:1
    entrypoint: [/bin/sleep, "600"]
    stop_signal: SIGKILL
    configs: [{source: motd, target: /etc/deep/er/motd, uid: "7", gid: "8", mode: 0440}, inline]
    secrets: [{source: password, target: pw, uid: "65534", mode: 0400}, password]
  tight:
    <<: *plain
    user: "65534"
    read_only: true
    tmpfs: [/run, /etc/deep]
configs:
  motd: {file: motd}
  inline: {content: "$${literal} ${FROM_FILE}\n"}
secrets:
  password: {file: password}
"""


def test_configs_and_secrets_are_files_with_owner_and_mode(host):
    path = put(host, "held", HELD, {"motd": "hello\n", "password": "hunter2", ".env": "FROM_FILE=x\n"})
    host.apply(path)
    for replica in ("held-plain-0", "held-tight-0"):
        code, out = host.exec(replica, "/bin/stat", "-c", "%a %u %g %n", "/etc/deep/er/motd", "/inline",
                              "/run/secrets/pw", "/run/secrets/password")
        assert code == 0 and out.splitlines() == [
            "440 7 8 /etc/deep/er/motd", "444 0 0 /inline", "400 65534 0 /run/secrets/pw",
            "444 0 0 /run/secrets/password"], (replica, out)
        assert host.exec(replica, "/bin/cat", "/inline", "/run/secrets/pw")[1] == "${literal} x\nhunter2"
    # also in the next life of the same container
    old = host.api.inspect("held-tight-0")["State"]["StartedAt"]
    host.api.call("POST", "/containers/held-tight-0/kill")
    wait_for("it to run again", lambda: host.running("held/tight", 1) and host.api.inspect(
        "held-tight-0")["State"]["StartedAt"] != old)
    assert host.exec("held-tight-0", "/bin/cat", "/run/secrets/pw")[1] == "hunter2"
    host.delete("held")


NAMED = r"""
x-base: &base
  image: jaco/test:1
  command: [http]
services:
  server:
    <<: *base
    container_name: the_boss
    networks: {front: {aliases: [shopfront, www.front.test]}, back: {aliases: [hidden]}}
  client:
    <<: *base
    networks: [front]
    links: ['server:linked']
networks: {front: {}, back: {}}
"""


def test_every_name_of_a_service_resolves(host):
    host.apply(put(host, "named", NAMED, {}, env=False))
    for name in ("server", "the_boss", "shopfront", "www.front.test", "linked"):
        assert "10." in host.probe("named-client-0", "dns", name), name
    # an alias of a network that the client is not in
    wait_for("the refusal of a name", lambda: "rcode 3" in host.exec(
        "named-client-0", "/bin/kit", "probe", "dns", "hidden")[1])
    host.delete("named")


OPEN = r"""
services:
  tcp:
    image: jaco/test:1
    command: [http]
    ports: ['19080:8080', '19081-19082:8080-8081', '127.0.0.1:19084:8080', '8080',
            {target: 8080, published: 19085, mode: host}, {target: 8080, published: '19086'},
            '127.0.0.3:19084:8080']
  other:
    image: jaco/test:1
    command: [http]
    ports: ['127.0.0.2:19084:8080']
  udp:
    image: jaco/test:1
    command: [udp, '9000']
    ports: ['19053:9000/udp', {target: 9000, published: 19054, protocol: udp, host_ip: 127.0.0.1}]
"""
ASK_UDP = """import socket,sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(2)
s.sendto(b"hello", (sys.argv[1], int(sys.argv[2])))
print(s.recv(999).decode())"""


def test_ports_in_every_form_answer_where_they_should(host):
    host.apply(put(host, "open", OPEN, {}, env=False))

    def http(address, port):
        r = subprocess.run(host.enter("curl", "-s", "-m", "30", "-o", "/dev/null", "-w", "%{http_code}",
                                      "http://%s:%d/" % (address, port)), capture_output=True, text=True)
        return r.stdout

    def udp(address, port):
        r = subprocess.run(host.enter("/usr/bin/python3", "-c", ASK_UDP, address, str(port)),
                           capture_output=True, text=True)
        return r.stdout.strip().endswith("hello")
    for port in (19080, 19081, 19084, 19085, 19086):
        wait_for("port %d" % port, lambda p=port: http("127.0.0.1", p) == "200")
    for port in (19080, 19085):
        wait_for("port %d from outside" % port, lambda p=port: http(host.address, p) == "200")
    for address, replica in (("127.0.0.1", "open-tcp-0"), ("127.0.0.3", "open-tcp-0"),
                             ("127.0.0.2", "open-other-0")):
        wait_for("%s:19084" % address, lambda a=address, r=replica: '"%s"' % r in subprocess.run(
            host.enter("curl", "-s", "-m", "30", "http://%s:19084/" % a), capture_output=True, text=True).stdout)
    assert http(host.address, 19084) == "000"  # these alone
    assert http("127.0.0.1", 8080) == "000"  # documented, not published
    for port in (19053, 19054):
        wait_for("port %d" % port, lambda p=port: udp("127.0.0.1", p))
    wait_for("port 19053 from outside", lambda: udp(host.address, 19053))
    assert not udp(host.address, 19054)
    host.delete("open")


# "inner" sorts before "outer": the way out must not depend on that
OUT = r"""
services:
  web: {image: 'jaco/test:1', command: [http], networks: [inner, outer]}
  shut: {image: 'jaco/test:1', command: [http], networks: [inner]}
networks: {inner: {internal: true}, outer: {}}
"""


def test_a_service_on_an_internal_and_an_open_network_has_a_way_out(host):
    host.apply(put(host, "out", OUT, {}, env=False))
    networks = host.api.inspect("out-web-0")["NetworkSettings"]["Networks"]
    assert set(networks) == {"jacoi_out_inner", "jaco_out_outer"}
    gateway, = [line.split()[2] for line in host.exec("out-web-0", "/bin/ip", "route")[1].splitlines()
                if line.startswith("default ")]
    assert gateway == networks["jaco_out_outer"]["Gateway"]
    host.probe("out-web-0", "dns", "shut")
    host.delete("out")


def test_scale_makes_replicas(host):
    host.apply(put(host, "many", "services:\n  web: {image: 'jaco/test:1', scale: 3}\n"
                   "  none: {image: 'jaco/test:1', deploy: {replicas: 0}}\n", {}, env=False))
    assert host.running("many/web", 3) and not host.replicas("many/none")
    host.delete("many")
