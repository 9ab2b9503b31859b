#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the corpus: one compose file per shape and combination that catalogues of real applications
contain (frequencies in spec/manifests.md section 1).  Deterministic; run it after a change here, then
JACO_UPDATE_GOLDEN=1 meson test --suite golden and review the diff of shapes.txt."""
import itertools
import os
import random

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "shapes")
files = {}


def put(name, text):
    assert name not in files, name
    files[name] = text.strip("\n") + "\n"


def service(body, name="app", image="nginx:1.25", top=""):
    lines = "".join("    " + line + "\n" if line else "\n" for line in body.strip("\n").split("\n"))
    return f"services:\n  {name}:\n    image: {image}\n{lines}{top}"


# -- one key at a time: (group, [bodies]) ------------------------------------------------------------
KEYS = {
    "environment": [
        "environment:\n  - TZ=Europe/Berlin\n  - PUID=1000\n  - PGID=1000",
        "environment:\n  TZ: Europe/Berlin\n  DEBUG: true\n  PORT: 8080\n  RATIO: 1.10\n  MODE: 0644",
        "environment:\n  - INHERITED\n  - SET=1",
        "environment:\n  EMPTY:\n  QUOTED: \"\"\n  TILDE: ~",
        "environment:\n  - URL=postgres://u:p@db:5432/x?sslmode=disable",
        "environment:\n  - 'JSON={\"a\": [1, 2]}'\n  - \"SPACE= a b \"",
        "environment:\n  DATABASE_URL: \"postgres://${DB_USER:-app}:${DB_PASS:-secret}@db/${DB_NAME:-app}\"",
        "environment:\n  - HASH=$$2y$$10$$abcdef",
        "environment:\n  MULTI: |\n    line one\n    line two",
        "environment:\n  FOLDED: >-\n    one\n    two",
        "environment: {A: '1', B: 2}",
        "environment: []",
        "environment:\n  - A=${B-}${C:+x}",
        "environment:\n  - A=$B",
    ],
    "restart": ["restart: always", "restart: unless-stopped", "restart: \"no\"", "restart: no",
                "restart: on-failure", "restart: on-failure:5", "restart: ${RESTART:-always}"],
    "ports": [
        "ports:\n  - \"8080:80\"", "ports:\n  - 8080:80", "ports:\n  - 3000", "ports:\n  - \"3000\"",
        "ports:\n  - 8080:80/tcp\n  - 5353:53/udp", "ports:\n  - \"127.0.0.1:8080:80\"",
        "ports:\n  - \"0.0.0.0:8080:80\"", "ports:\n  - \"[::1]:8080:80\"",
        "ports:\n  - \"8000-8005:8000-8005\"", "ports:\n  - \"49160-49200:49160-49200/udp\"",
        "ports:\n  - target: 80\n    published: 8080\n    protocol: tcp\n    mode: host",
        "ports:\n  - target: 80\n    published: \"8080\"", "ports:\n  - target: 9000",
        "ports:\n  - \"${PORT:-8080}:80\"", "ports:\n  - \"${PORT}:80\"",
        "ports:\n  - \"${BIND:-127.0.0.1}:8080:80\"", "ports: [\"8080:80\", \"8443:443\"]",
        "ports:\n  - \"6881:6881\"\n  - \"6881:6881/udp\"", "ports:\n  - :80",
        "ports:\n  - name: web\n    target: 80\n    published: 8081\n    app_protocol: http",
        "ports:\n  - \"80:80\"", "ports:\n  - \"443:443\"", "ports:\n  - \"443:443/udp\"",
        "ports:\n  - \"22222:22\"\n  - \"3306:3306\"\n  - \"5432:5432\"", "ports: []",
    ],
    "volumes": [
        "volumes:\n  - data:/data", "volumes:\n  - ./data:/data", "volumes:\n  - ./conf.yml:/conf.yml:ro",
        "volumes:\n  - /srv/media:/media", "volumes:\n  - /etc/localtime:/etc/localtime:ro",
        "volumes:\n  - /var/run/docker.sock:/var/run/docker.sock", "volumes:\n  - ../shared:/shared",
        "volumes:\n  - ~/app:/app", "volumes:\n  - /anonymous", "volumes:\n  - ${DATA:-./data}:/data",
        "volumes:\n  - ${DATA}:/data", "volumes:\n  - ${DATA}/config:/config",
        "volumes:\n  - type: bind\n    source: ./x\n    target: /x\n    read_only: true",
        "volumes:\n  - type: volume\n    source: data\n    target: /data\n    volume:\n      nocopy: true",
        "volumes:\n  - type: tmpfs\n    target: /cache\n    tmpfs:\n      size: 1000000",
        "volumes:\n  - data:/data:z\n  - other:/o:rw,Z", "volumes:\n  - .:/app:cached",
        "volumes:\n  - data:/data:nocopy", "volumes:\n  - /dev/bus/usb:/dev/bus/usb",
        "volumes:\n  - /proc:/host/proc:ro\n  - /sys:/host/sys:ro\n  - /:/rootfs:ro",
        "volumes:\n  - /mnt:/mnt:rslave", "volumes:\n  - my-data_1.x:/data", "volumes: []",
        "volumes:\n  - type: bind\n    source: /mnt\n    target: /mnt\n    bind:\n      propagation: rshared",
    ],
    "depends": [
        "depends_on:\n  - db", "depends_on:\n  db:\n    condition: service_healthy",
        "depends_on:\n  db:\n    condition: service_started\n    restart: true",
        "depends_on:\n  db:\n    condition: service_completed_successfully",
        "depends_on: [db]", "depends_on:\n  db:\n    condition: service_healthy\n    required: false",
        "links:\n  - db", "links:\n  - db:database",
    ],
    "healthcheck": [
        "healthcheck:\n  test: [\"CMD\", \"curl\", \"-f\", \"http://localhost\"]\n  interval: 30s\n  timeout: 10s\n  retries: 3",
        "healthcheck:\n  test: [\"CMD-SHELL\", \"pg_isready -U $${POSTGRES_USER}\"]\n  start_period: 20s",
        "healthcheck:\n  test: curl -f http://localhost || exit 1\n  interval: 1m30s",
        "healthcheck:\n  disable: true", "healthcheck:\n  test: [\"NONE\"]",
        "healthcheck:\n  test: \"wget -q --spider http://localhost:80/ || exit 1\"\n  start_interval: 2s",
        "healthcheck:\n  test: >-\n    curl -f\n    http://localhost\n  retries: \"5\"",
        "healthcheck:\n  interval: 10s",
    ],
    "network": [
        "networks:\n  - front", "networks:\n  - front\n  - back", "networks:\n  front:\n    aliases:\n      - www",
        "networks:\n  front:\n    ipv4_address: 172.20.0.10", "networks:\n  front:\n  default:",
        "networks:\n  - default", "network_mode: host", "network_mode: bridge", "network_mode: none",
        "network_mode: \"service:db\"", "network_mode: default", "networks:\n  front: {}\n  back: null",
        "networks:\n  front:\n    priority: 100\n    mac_address: 02:42:ac:11:00:02",
    ],
    "command": [
        "command: npm start", "command: [\"npm\", \"start\"]", "command: sh -c \"a && b\"",
        "command: --config /etc/x.yml --flag='a b'", "command: >\n  --one\n  --two=2",
        "command: |\n  sh -c 'echo \"x\"'", "command:\n  - --log.level=DEBUG\n  - --x=y",
        "command: bash -c \"echo $$HOME; exec ${CMD:-run}\"", "command: []", "command: \"\"", "command:",
        "entrypoint: /docker-entrypoint.sh", "entrypoint: [\"/bin/sh\", \"-c\"]\ncommand: [\"echo hi\"]",
        "entrypoint: \"\"", "entrypoint: []", "working_dir: /app\nuser: node\ncommand: node server.js",
    ],
    "user": ["user: root", "user: 1000:1000", "user: \"${UID:-1000}:${GID:-1000}\"", "user: 0", "group_add:\n  - video\n  - \"109\""],
    "labels": [
        "labels:\n  - \"traefik.enable=true\"\n  - \"traefik.http.routers.app.rule=Host(`app.example.com`)\"",
        "labels:\n  com.centurylinklabs.watchtower.enable: \"true\"", "labels:\n  - bare",
        "labels:\n  - \"traefik.http.routers.app.rule=Host(`${DOMAIN}`) && PathPrefix(`/x`)\"",
        "labels:\n  traefik.http.middlewares.a.redirectregex.regex: ^https://(.*)$$", "labels: {}",
        "labels:\n  - \"homepage.name=App\"\n  - 'homepage.weight=10'",
    ],
    "deploy": [
        "deploy:\n  replicas: 3", "deploy:\n  mode: global", "deploy:\n  resources:\n    limits:\n      cpus: '0.50'\n      memory: 50M\n    reservations:\n      cpus: '0.25'\n      memory: 20M",
        "deploy:\n  placement:\n    constraints: [node.role == manager]", "deploy:\n  placement:\n    constraints:\n      - node.labels.disk == ssd",
        "deploy:\n  restart_policy:\n    condition: on-failure\n    delay: 5s\n    max_attempts: 3\n    window: 120s",
        "deploy:\n  update_config:\n    parallelism: 2\n    delay: 10s\n    order: start-first\n    failure_action: rollback",
        "deploy:\n  rollback_config:\n    parallelism: 0", "deploy:\n  labels:\n    - traefik.enable=true",
        "deploy:\n  resources:\n    reservations:\n      devices:\n        - driver: nvidia\n          count: all\n          capabilities: [gpu]",
        "deploy:\n  resources:\n    reservations:\n      devices:\n        - driver: nvidia\n          device_ids: ['0', '3']\n          capabilities: [gpu]",
        "deploy:\n  mode: replicated\n  replicas: 2\n  endpoint_mode: vip", "deploy:\n  resources:\n    limits:\n      memory: ${MEM:-512m}",
        "deploy: {}", "scale: 2", "gpus: all",
    ],
    "limits": ["mem_limit: 512m", "mem_limit: 1g\nmemswap_limit: 2g\nmem_reservation: 128m", "cpus: 0.5", "cpus: '1.5'",
               "cpu_shares: 512", "cpuset: 0,1", "pids_limit: 100", "shm_size: 2gb", "shm_size: '64m'", "shm_size: 1073741824",
               "ulimits:\n  nofile:\n    soft: 65536\n    hard: 65536\n  memlock: -1", "ulimits:\n  nproc: 65535", "oom_kill_disable: true",
               "oom_score_adj: -500", "cpu_quota: 50000\ncpu_period: 100000", "mem_swappiness: 0", "mem_limit: ${UNSET_LIMIT}"],
    "rights": ["privileged: true", "cap_add:\n  - NET_ADMIN", "cap_add:\n  - SYS_ADMIN\n  - SYS_MODULE", "cap_drop:\n  - ALL",
               "security_opt:\n  - no-new-privileges:true", "security_opt:\n  - seccomp:unconfined\n  - apparmor:unconfined",
               "read_only: true\ntmpfs:\n  - /tmp", "tmpfs: /run:size=64m", "devices:\n  - /dev/dri:/dev/dri", "devices:\n  - /dev/ttyUSB0",
               "devices:\n  - \"/dev/net/tun:/dev/net/tun:rwm\"", "sysctls:\n  - net.ipv6.conf.all.disable_ipv6=0", "sysctls:\n  net.core.somaxconn: 1024",
               "pid: host", "ipc: host", "userns_mode: host", "device_cgroup_rules:\n  - 'c 189:* rmw'", "runtime: nvidia", "ipc: shareable"],
    "names": ["container_name: my-app", "hostname: app.local", "hostname: app\ndomainname: example.com", "extra_hosts:\n  - \"host.docker.internal:host-gateway\"",
              "extra_hosts:\n  myhost: 10.0.0.5", "extra_hosts:\n  - \"a=10.0.0.1\"", "extra_hosts:\n  - \"v6:[::1]\"", "dns: 1.1.1.1", "dns:\n  - 1.1.1.1\n  - 8.8.8.8",
              "dns_search: example.com", "dns_opt:\n  - ndots:1", "mac_address: 02:42:ac:11:65:43", "container_name: ${NAME:-app}"],
    "log": ["logging:\n  driver: json-file\n  options:\n    max-size: \"10m\"\n    max-file: \"3\"", "logging:\n  driver: none", "logging:\n  driver: syslog\n  options:\n    syslog-address: \"tcp://1.2.3.4:514\"",
            "logging:\n  options:\n    max-size: 10m", "log_driver: syslog", "log_opt:\n  max-size: 1m"],
    "life": ["init: true", "tty: true\nstdin_open: true", "stop_signal: SIGINT\nstop_grace_period: 1m30s", "stop_grace_period: 30s", "platform: linux/amd64", "platform: linux/arm64/v8",
             "pull_policy: always", "pull_policy: if_not_present", "pull_policy: build", "pull_policy: daily", "expose:\n  - \"3000\"\n  - 8000-8010", "expose:\n  - 53/udp", "annotations:\n  a.b/c: d", "profiles:\n  - debug",
             "attach: false", "develop:\n  watch:\n    - action: sync\n      path: .\n      target: /app", "exclude_from_hc: true", "x-custom:\n  a: 1", "storage_opt:\n  size: 10G", "cgroup_parent: m-parent", "stop_grace_period: 20"],
    "build": ["build: .", "build: ./app", "build:\n  context: .\n  dockerfile: Dockerfile.prod\n  args:\n    - V=1", "build:\n  context: https://github.com/a/b.git\n  target: x", "build:\n  context: .\n  cache_from: [a]\n  platforms: [linux/amd64]"],
    "old": ["external_links:\n  - other", "volumes_from:\n  - db", "net: host", "volume_driver: local", "dockerfile: X", "network_mode: \"container:abc\"", "isolation: hyperv", "credential_spec:\n  file: x"],
}
TOP_DB = "  db:\n    image: postgres:16\n"
TOP = {
    "volumes": "volumes:\n  data:\n  other: {}\n  my-data_1.x: {driver: local}\n",
    "network": TOP_DB + "networks:\n  front:\n  back:\n",
    "depends": TOP_DB, "old": TOP_DB,
}
for group, bodies in KEYS.items():
    for i, body in enumerate(bodies):
        put(f"{group}-{i + 1:02d}", service(body, top=TOP.get(group, "")))

# -- top level ----------------------------------------------------------------------------------------
BODY = "services:\n  app:\n    image: a\n"
TOPS = [
    "version: '3.8'\n" + BODY, "version: 2\n" + BODY, "name: myproject\n" + BODY, "---\n" + BODY, BODY + "...\n",
    "# comment only above\n\n" + BODY, "\ufeff" + BODY, BODY.replace("\n", "\r\n"), "x-common: &c\n  restart: always\n" + BODY + "    <<: *c\n",
    "x-a: &a\n  A: 1\nx-b: &b\n  B: 2\n" + BODY + "    environment:\n      <<: [*a, *b]\n      C: 3\n",
    "x-l: &l\n  - A=1\n" + BODY + "    environment: *l\n", BODY + "volumes:\n  data:\n    external: true\n", BODY + "volumes:\n  data:\n    external:\n      name: real\n",
    BODY + "volumes:\n  data:\n    name: literal\n    labels:\n      a: b\n", BODY + "volumes:\n  data:\n    driver: local\n    driver_opts:\n      type: nfs\n      o: addr=10.0.0.1,rw\n      device: ':/x'\n",
    BODY + "volumes:\n  data:\n    driver: rexray\n", BODY + "networks:\n  front:\n    driver: bridge\n", BODY + "networks:\n  front:\n    driver: overlay\n    attachable: true\n",
    BODY + "networks:\n  front:\n    internal: true\n", BODY + "networks:\n  proxy:\n    external: true\n", BODY + "networks:\n  proxy:\n    external: true\n    name: traefik\n",
    BODY + "networks:\n  proxy:\n    external:\n      name: traefik\n", BODY + "networks:\n  default:\n    name: shared\n", BODY + "networks:\n  default:\n    external: true\n    name: proxy\n",
    BODY + "networks:\n  n:\n    ipam:\n      driver: default\n      config:\n        - subnet: 172.28.0.0/16\n", BODY + "networks:\n  n:\n    enable_ipv6: true\n", BODY + "networks:\n  n:\n    driver: macvlan\n    driver_opts:\n      parent: eth0\n",
    BODY + "networks:\n  n:\n    driver_opts:\n      com.docker.network.bridge.name: br0\n", BODY + "secrets:\n  s:\n    environment: S\n", BODY + "    secrets: [s]\nsecrets:\n  s:\n    environment: S\n",
    BODY + "    configs:\n      - source: c\n        target: /c\n        mode: 0440\nconfigs:\n  c:\n    content: |\n      a=1\n", BODY + "    configs: [c]\nconfigs:\n  c:\n    external: true\n", BODY + "    secrets: [nowhere]\n",
    "services: {}\n", "{}\n", "", "version: '3'\n", "services:\n", "services:\n  app:\n", "services:\n  app: text\n", "app:\n  image: a\n", "- a\n", "just text\n",
    "services:\n  app:\n    image: a\n   bad: indent\n", "services:\n\tapp:\n", "services:\n  app:\n    image: 'a\n", "services:\n  app:\n    image: a\n    image: b\n", "services:\n  app:\n    imgae: a\n",
    "services:\n  app:\n    image: *nope\n", "services: &s\n  app: {image: a}\n  b: *s\n", "services:\n  app: {image: a}\n---\nservices:\n  b: {image: b}\n", "services:\n  app: {image: !vault a}\n",
    "services:\n  my_app_1: {image: a}\n  My.App-2: {image: a}\n", "services:\n  'a b': {image: a}\n", "services:\n  app: {image: ''}\n", "services:\n  app: {image: 'a:${TAG}'}\n", "services:\n  app: {image: 'a:${TAG:-latest}'}\n",
    "services:\n  app: {image: 'a:${TAG:?required}'}\n", "services:\n  app: {image: 'ghcr.io/a/b@sha256:" + "0" * 64 + "'}\n", "services:\n  app: {image: registry.example.com:5000/a/b:1}\n", "services:\n  app: {build: .}\n", "services:\n  app: {restart: always}\n",
    "services:\n  app: {image: 'a$'}\n", "services:\n  app: {image: UPPER/Case}\n", "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n", "services:\n  a: {image: x, depends_on: [a]}\n",
    "services:\n  a: {image: x, depends_on: [nobody]}\n", "services:\n  a: {image: x, ports: ['1000:1']}\n  b: {image: x, ports: ['1000:2']}\n", "include:\n  - other.yaml\n" + BODY,
    "services:\n  base: {image: x, environment: {A: 1}}\n  app: {extends: base, environment: {B: 2}}\n", "services:\n  base: {image: x}\n  app:\n    extends:\n      service: base\n",
]
for i, text in enumerate(TOPS):
    files[f"top-{i + 1:02d}"] = text  # byte for byte: line ends and marks matter here

# -- whole applications: combinations, seeded ---------------------------------------------------------
APPS = [("web", "nginx:alpine"), ("db", "postgres:16"), ("redis", "redis:7"), ("worker", "app/worker:1"), ("mail_server", "mail:2"), ("search", "elastic:8")]
USABLE = {g: [b for b in bodies if not b.startswith("log_")] for g, bodies in KEYS.items() if g not in ("old", "network", "depends", "build")}


def application(seed):
    rng = random.Random(seed)
    n = rng.choice([1, 2, 2, 3, 3, 4, 6])
    lines = ["services:"]
    names = [name for name, _ in APPS[:n]]
    for i, (name, image) in enumerate(APPS[:n]):
        lines += [f"  {name}:", f"    image: {image}"]
        for group in sorted(USABLE):
            if rng.random() > {"environment": .84, "volumes": .87, "restart": .7, "ports": .4, "names": .35, "healthcheck": .3}.get(group, .1):
                continue
            body = rng.choice(USABLE[group])
            if group == "ports":
                body = f"ports:\n  - \"{9000 + i * 10 + rng.randrange(10)}:80\""
            lines += ["    " + line for line in body.split("\n")]
        if i and rng.random() < .35:
            lines += ["    depends_on:", f"      - {rng.choice(names[:i])}"]
        if rng.random() < .24:
            lines += ["    networks:", "      - internal"]
    lines += ["volumes:", "  data:", "  other:", "  my-data_1.x:", "networks:", "  internal:"]
    return "\n".join(lines)


for seed in range(60):
    put(f"app-{seed + 1:02d}", application(seed))

os.makedirs(OUT, exist_ok=True)
for old in os.listdir(OUT):
    os.unlink(os.path.join(OUT, old))
for name, text in files.items():
    with open(os.path.join(OUT, name + ".yaml"), "w", encoding="utf-8", newline="") as f:
        f.write(text)
print(len(files), "shapes")
