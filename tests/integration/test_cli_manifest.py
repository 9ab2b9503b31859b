# SPDX-License-Identifier: Apache-2.0
"""jaco validate, config, diff and apply on manifests: every flag that says what is read, findings as data,
plans.  The checks against the cluster are in test_raftd.py, their exact texts in tests/golden/manifest."""
import json
import os
import subprocess

import msgpack
import pytest

from jacorpc import BUILD, Raftd, RpcError

FILES = {
    "jaco.yaml": "deployment: shop\nenvironment: .env\n",
    "compose.yaml": """services:
  web: {image: "x:${TAG}", environment: {A: "${A:-default}", CALLER: }, container_name: boss}
  extra: {image: y, profiles: [more]}
""",
    "over.yaml": "services:\n  web: {environment: {B: two}, ports: ['8080:80']}\n",
    ".env": "TAG=1\n",
    "other.env": "TAG=2\n",
}


@pytest.fixture
def work(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def jaco(where, *argv, stdin="", root=None, **env):
    more = ["--root", str(root)] if root else []
    return subprocess.run([os.path.join(BUILD, "cli/jaco"), *more, *argv], cwd=where, input=stdin,
                          capture_output=True, text=True, timeout=120, env=dict(os.environ, **env))


def config(where, *argv, **kw):
    r = jaco(where, "config", "-q", *argv, **kw)
    assert r.returncode == 0, r.stderr
    return r.stdout


def test_findings_are_lines_or_data(work):
    r = jaco(work, "validate")
    assert r.returncode == 0 and r.stderr == (
        "warning: compose.yaml:2:73: services.web.container_name: container_name becomes an extra DNS "
        "name; containers are named after their replica\n")
    assert jaco(work, "validate", "-q").stderr == ""
    strict = jaco(work, "validate", "--strict", "-o", "json")
    found = json.loads(strict.stdout)
    assert strict.returncode == 65 and found["valid"] is False
    finding, = found["findings"]
    assert finding["severity"] == "error" and finding["file"] == "compose.yaml"
    assert (finding["line"], finding["column"]) == (2, 73)
    assert finding["field"] == "services.web.container_name"
    (work / "compose.yaml").write_text("services:\n  web:\n    image: x\n    prots: []\n    net: host\n")
    found = json.loads(jaco(work, "validate", "-o", "json").stdout)["findings"]
    assert [(f["code"], f["line"], f.get("remedy"), f.get("details")) for f in found] == [
        ("validation_failed", 4, 'did you mean "ports"?', None),
        ("legacy_compose_field", 5, 'use "network_mode"', {"modern_equivalent": "network_mode"})], found


def test_what_follows_from_an_unread_jaco_yaml_is_not_told(work):
    r = jaco(work, "validate", "nope.yaml")
    assert r.returncode == 65 and r.stderr == (
        "error: validation_failed: no such file: nope.yaml\nError: validation_failed: not valid, 1 error\n"), r
    r = jaco(work, "validate", "-q", "--strict", "--profile", "mroe")
    assert r.returncode == 65 and "compose.yaml:2:3: services: --profile mroe: no service has that profile" in r.stderr


def test_findings_cannot_drive_the_terminal(work):
    (work / "compose.yaml").write_text('services:\n  "a\\e[2Jb":\n    image: x\n    "\\u009bk": 1\n')
    for argv in (["validate"], ["config"]):
        r = jaco(work, *argv)
        assert r.returncode == 65 and "compose.yaml:4:5" in r.stderr, r.stderr
        assert not set(r.stderr) & {"\x1b", "\x9b"}, r.stderr


def test_relative_sources_are_those_of_compose_wherever_one_stands(work):
    (work / "compose.yaml").write_text(
        "services: {web: {image: x, volumes: ['./d:/d', '../up:/u', '~/h:/h',\n"
        "  {type: bind, source: ./l, target: /l}]}}\n")
    (work / "jaco.yaml").write_text("deployment: shop\n")
    beside = work.parent
    wanted = ["%s/d:/d" % work, "%s/up:/u" % beside, "/home/x/h:/h", "source: %s/l" % work]
    for where, argv in ((work, ["jaco.yaml"]), (work, []), (beside, [work.name + "/jaco.yaml"]),
                        (beside, [str(work / "jaco.yaml")])):
        out = config(where, *argv, HOME="/home/x")
        assert all(path in out for path in wanted), (argv, out)
    assert "%s/e:/e" % work in config(work, "-f", "-", stdin="services: {web: {image: x, volumes: ['./e:/e']}}")
    r = jaco(work, "validate")
    assert r.returncode == 0 and "compose.yaml:1:38: services.web.volumes: the relative source is" in r.stderr


def test_the_resolved_document_as_json(work):
    (work / "compose.yaml").write_text(
        "services: {web: {image: x, tty: true, cpus: 0.5, environment: {A: 1.10, B: 0644, C: 7, D: 'true'}}}\n")
    assert json.loads(config(work, "-o", "json")) == {"services": {"web": {
        "image": "x", "tty": True, "cpus": "0.5",
        "environment": {"A": "1.10", "B": "0644", "C": 7, "D": "true"}}}}


def test_a_document_that_grows_beyond_what_can_be_read_is_refused_as_json(work):
    (work / "compose.yaml").write_text("services: {web: {image: x, environment: {%s}}}\n" % ", ".join(
        "A%d: '%s'" % (i, '"' * 4000) for i in range(150)))
    assert len(config(work)) > 1 << 20
    r = jaco(work, "config", "-o", "json")
    assert r.returncode == 65 and "at most 1048576 are read" in r.stderr, (r.returncode, r.stderr)


def test_every_source_of_variables_and_their_order(work):
    assert "image: x:1\n" in config(work) and "A: default" in config(work)
    assert "image: x:2\n" in config(work, "--env-file", "other.env")
    assert "image: x:3\n" in config(work, "--env-file", "other.env", "--set", "TAG=3", "--host-env", TAG="4")
    assert "A: default" in config(work, A="from the caller")
    assert 'A: "from the caller"' in config(work, "--host-env", A="from the caller")
    assert "CALLER: null" in config(work, CALLER="1")
    assert 'CALLER: "1"' in config(work, "--host-env", CALLER="1")


def test_several_files_standard_input_and_profiles(work):
    both = config(work, "-f", "compose.yaml", "-f", "over.yaml")
    assert "B: two" in both and "8080:80" in both and "extra" not in both
    assert "extra:" in config(work, "--profile", "more")
    assert "image: z" in config(work, "-f", "-", stdin="services: {web: {image: z}}\n")
    r = jaco(work, "config", "-f", "-", stdin="services: {web: {image: z, env_file: a}}\n")
    assert r.returncode == 65 and (
        "env_file_unresolved: -:1:38: services.web.env_file: env_file has no directory when compose comes "
        "from stdin; apply from a file") in r.stderr, r.stderr


def test_what_cannot_be_read_is_named(work):
    for argv, part in ((["nowhere.yaml"], "nowhere.yaml"), (["-f", "missing.yaml"], "missing.yaml"),
                       (["--env-file", "none.env"], "none.env"), (["--set", "bad"], "NAME=value")):
        r = jaco(work, "validate", *argv)
        assert r.returncode == 65 and part in r.stderr, (argv, r.stderr)


def test_a_plan_is_shown_demanded_and_refused_when_it_changed(work, tmp_path):
    (tmp_path / "node").mkdir()
    raftd = Raftd(tmp_path / "node").start()
    try:
        raftd.rpc().call("cluster.init", name="test")

        def run(*argv):
            return jaco(work, *argv, root=raftd.root)
        r = run("apply", "--dry-run", "--exit-code", "-o", "json")
        assert r.returncode == 10, r.stderr
        plan = json.loads(r.stdout)
        assert {c["object"] for c in plan["changes"]} >= {"service web"}
        assert run("diff", "--exit-code").returncode == 10
        assert run("diff").stdout.endswith("; plan %s\n" % plan["plan"][:12])
        r = run("apply", "--dry-run", "--plan", "0" * 12)
        assert r.returncode == 1 and "conflict" in r.stderr, r.stderr
        for odd in (plan["plan"][:11], "", plan["plan"][:12].upper() + "G"):
            r = run("apply", "--dry-run", "--plan", odd)
            assert r.returncode == 65 and "is no plan: give the 12 or more digits" in r.stderr, (odd, r.stderr)
        assert run("apply", "--dry-run", "--timeout", "soon").returncode == 65
        assert run("apply", "--dry-run", "--plan", plan["plan"][:12]).returncode == 0
        (work / ".env").write_text("TAG=5\n")
        r = run("apply", "--plan", plan["plan"], "--no-wait")
        assert r.returncode == 1 and "conflict" in r.stderr, r.stderr
        plan = json.loads(run("diff", "-o", "json").stdout)
        r = run("apply", "--plan", plan["plan"], "--no-wait", "-m", "why")
        assert r.returncode == 0, r.stderr
        assert run("diff", "--exit-code").returncode == 0
        (work / ".env").write_text("TAG=6\n")
        changed = json.loads(run("diff", "-o", "json").stdout)["changes"]
        assert [(c["object"], c["kind"]) for c in changed] == [("service web", "changed")], changed
        assert "image" in json.dumps(changed[0]["fields"])
    finally:
        raftd.stop()


def test_an_error_is_printed_once_and_then_counted(work):
    (work / "jaco.yaml").write_text("deployment: shop\nfoo: 1\n")
    for command, what in (("apply", "not applied"), ("diff", "not valid"), ("validate", "not valid")):
        r = jaco(work, command, "-q")
        assert r.returncode == 65 and r.stderr.count("unknown key") == 1, r.stderr
        assert r.stderr.endswith("Error: validation_failed: %s, 1 error\n" % what), r.stderr
    found = json.loads(jaco(work, "apply", "-o", "json").stdout)
    assert "unknown key" in found["message"] and found["details"]["line"] == "2"


def test_a_directory_is_its_jaco_yaml_and_a_compose_file_is_none(work):
    assert jaco(work.parent, "validate", work.name).stdout.startswith("valid: shop, 1 service, 0 routes, ")
    r = jaco(work, "apply", "compose.yaml")
    assert r.returncode == 65 and r.stderr.count("error: ") == 1, r.stderr
    assert "compose.yaml:2:3: this looks like a compose file; give its jaco.yaml" in r.stderr


@pytest.fixture
def run(work, tmp_path):
    """jaco beside the files, on a cluster that has a raftd and nothing that would run a container."""
    (tmp_path / "node").mkdir()
    raftd = Raftd(tmp_path / "node").start()
    raftd.rpc().call("cluster.init", name="test")
    yield lambda *argv: jaco(work, *argv, root=raftd.root)
    raftd.stop()


def test_a_number_set_by_hand_is_told_until_the_manifest_changes_it(work, run):
    compose = (work / "compose.yaml").read_text()
    (work / "compose.yaml").write_text(compose.replace("web: {", "web: {scale: 3, "))
    assert run("apply", "--no-wait").returncode == 0
    assert "by hand" not in run("diff").stdout
    r = run("scale", "shop/web", "0", "--wait")
    assert r.returncode == 0 and "all replicas run" not in r.stdout, r
    told = "web: scaled to 0 by hand, the manifest says 3; jaco scale shop/web --reset undoes it\n"
    assert told in run("diff").stdout
    (work / ".env").write_text("TAG=7\n")
    for command in ("diff", "apply"):
        r = run(command, *["--no-wait"] * (command == "apply"))
        assert r.returncode == 0 and told in r.stdout, r
    assert "scaled to 0 by hand" in run("status").stdout
    (work / "compose.yaml").write_text(compose.replace("web: {", "web: {scale: 2, "))
    for command in ("diff", "apply"):
        r = run(command, *["--no-wait"] * (command == "apply"))
        assert r.returncode == 0 and "by hand" not in r.stdout, r


def test_a_wait_that_runs_out_says_for_what(run):
    r = run("apply", "--timeout", "100ms")
    assert r.returncode == 124, r
    assert "Error: timeout: shop is not converged yet: web: 0 of 1 replicas ready" in r.stderr, r


@pytest.mark.parametrize("status, code, argv", [
    (66, "deployment_not_found", "logs nope"), (65, "unknown_service", "logs shop/wbe"),
    (66, "deployment_not_found", "logs nope/web"), (66, "replica_not_found", "logs shop-web-77"),
    (66, "deployment_not_found", "get replicas nope"), (65, "unknown_service", "get replicas shop/wbe"),
    (65, "unknown_service", "status shop/nope"), (66, "deployment_not_found", "status nope"),
    (66, "replica_not_found", "get replica shop-web-77")])
def test_what_is_not_there_is_an_error(run, status, code, argv):
    assert run("apply", "--no-wait").returncode == 0
    r = run(*argv.split())
    assert r.returncode == status and r.stderr.startswith("Error: %s: " % code), r


TAKEN = {"jaco.yaml": "deployment: first\nroutes: [{domain: a.test, service: web, port: 80, tls: off}]\n",
         "compose.yaml": "services: {web: {image: x, ports: ['6000:1', '6001:1/udp']}}\n"}
REFUSED = [
    ("reserved_port", "deployment: d\n", "services: {a: {image: x, ports: ['7000:1']}}"),
    ("reserved_port", "deployment: d\n", "services: {a: {image: x, ports: ['7001:1']}}"),
    ("reserved_port", "deployment: d\n", "services: {a: {image: x, ports: ['51820:1/udp']}}"),
    ("reserved_port", "deployment: d\n", "services: {a: {image: x, ports: ['80:1']}}"),
    ("port_conflict", "deployment: d\n", "services: {a: {image: x, ports: ['6000:1']}}"),
    ("port_conflict", "deployment: d\n", "services: {a: {image: x, ports: ['6001:1/udp']}}"),
    ("route_conflict", "deployment: d\nroutes: [{domain: a.test, service: a, port: 1, tls: off}]\n",
     "services: {a: {image: x}}"),
    ("route_tls_mixed", "deployment: d\nroutes: [{domain: a.test, path: /b, service: a, port: 1}]\n",
     "services: {a: {image: x}}"),
    ("unknown_host", "deployment: d\nservices: [{name: a, placement: hosts, hosts: [n9]}]\n",
     "services: {a: {image: x}}"),
    ("replicas_exceed_pinned_hosts", "deployment: d\nservices: [{name: a, placement: hosts, hosts: [n1], "
     "replicas: 2}]\n", "services: {a: {image: x}}"),
    ("limit_exceeded", "deployment: d\n",
     "services: {" + ",".join("s%d: {image: x}" % i for i in range(500)) + "}"),
    ("limit_exceeded", "deployment: d\nservices: [{name: a, replicas: 10000}]\n", "services: {a: {image: x}}"),
    ("limit_exceeded", "deployment: d\nroutes: [{domain: b.test, service: a, port: 1, path: /%s}]\n" % ("p" * 600),
     "services: {a: {image: x}}"),
    ("limit_exceeded", "deployment: d\n#%s\n" % ("x" * 500000), "services: {a: {image: x}}\n#%s\n" % ("x" * 500000)),
    ("permission_denied", "deployment: d\n", "services: {a: {image: x, privileged: true}}"),
]
ADMITTED = [  # the same number on the other protocol; the fence opened by its label; one's own again
    ("deployment: d\n", "services: {a: {image: x, ports: ['6000:1/udp', '6001:1']}}"),
    ("deployment: d\n", "services: {a: {image: x, privileged: true, "
     "labels: {jaco.io/allow-privileged: 'true'}}}"),
    ("deployment: d\nroutes: [{domain: a.test, path: /b, service: a, port: 1, tls: off}]\n",
     "services: {a: {image: x}}"),
    ("deployment: d\nroutes: [{domain: b.test, service: a, port: 1}]\n",
     "services: {a: {image: x, ports: ['80:1', '443:2', '443:2/udp']}}"),
    (TAKEN["jaco.yaml"], TAKEN["compose.yaml"]),
]


@pytest.fixture(scope="module")
def fenced(tmp_path_factory):
    root = tmp_path_factory.mktemp("fenced")
    raftd = Raftd(root)
    with open(root / "jacod.yaml", "a") as f:
        f.write("require_privileged_label: true\n")
    raftd.start()
    raftd.rpc().call("cluster.init", name="test")
    raftd.rpc().call("deploy.apply", jaco=TAKEN["jaco.yaml"].encode(),
                     compose=TAKEN["compose.yaml"].encode())
    yield raftd
    raftd.stop()


@pytest.mark.parametrize("code,overlay,compose", REFUSED,
                         ids=["%s-%d" % (row[0], i) for i, row in enumerate(REFUSED)])
def test_the_cluster_refuses_and_changes_nothing(fenced, code, overlay, compose):
    before = fenced.rpc().call("cluster.status")["state_hash"]
    with pytest.raises(RpcError) as caught:
        fenced.rpc().call("deploy.apply", jaco=overlay.encode(), compose=compose.encode())
    assert caught.value.code == code, str(caught.value)
    assert caught.value.details.get("line"), caught.value.details
    assert fenced.rpc().call("cluster.status")["state_hash"] == before


def test_what_the_cluster_refuses_is_shown_where_it_was_written(fenced, work):
    (work / "jaco.yaml").write_text("deployment: d\n")
    (work / "compose.yaml").write_text(
        "x-any:  # nothing of this is sent as it stands\n  - 1\ninclude: [more.yaml]\nservices:\n"
        "  a:\n    image: x\n    # the port is taken\n    ports: ['6000:1']\n")
    (work / "more.yaml").write_text("services:\n  # reserved\n  b: {image: y, ports: ['7000:1']}\n")
    r = jaco(work, "apply", "--no-wait", "-o", "json", root=fenced.root)
    assert r.returncode == 65 and "compose.yaml:8:13: services.a.ports: port 6000/tcp" in r.stderr, r.stderr
    details = json.loads(r.stdout)["details"]
    assert (details["file"], details["line"], details["column"]) == ("compose.yaml", "8", "13")
    assert details["owner"] == "first" and "more.yaml:3:25: services.b.ports" in details["finding_2"], details


TOO_LARGE = [  # each limit by itself: tests/unit/wire/test_fits.c
    ("deployment: d\n", "services: {a: {image: x}}\nconfigs: {c: {content: %s}}\n" % ("x" * 600000)),
    ("deployment: d\n#%s\n" % ("x" * 500000),
     "services: {a: {image: x}}\nconfigs: {c: {content: %s}}\n" % ("x" * 500000)),
    ("deployment: d\nroutes: [{domain: a.example, service: a, port: 1, path: /%s}]\n" % ("p" * 600),
     "services: {a: {image: x}}\n"),
    ("deployment: d\n", "services: {%s}\n" % ", ".join(
        "s%d: {image: x, ports: ['%d-%d:1-200']}" % (i, 10000 + 200 * i, 10199 + 200 * i)
        for i in range(10))),
]


@pytest.mark.parametrize("overlay,compose", TOO_LARGE, ids=["document", "both", "path", "ports"])
def test_what_has_no_room_in_the_store_is_told_before_anything_is_sent(fenced, work, overlay, compose):
    (work / "jaco.yaml").write_text(overlay)
    (work / "compose.yaml").write_text(compose)
    said = {jaco(work, *argv, root=fenced.root).stderr.split("\nError:")[0]
            for argv in (["validate"], ["diff"], ["apply", "--dry-run"], ["apply", "--no-wait"])}
    assert len(said) == 1 and said.pop().startswith("error: limit_exceeded: "), said


def test_a_plan_larger_than_a_message_is_answered_all_the_same(fenced):
    def wide(word):
        env = ", ".join("%s_A_NAME_OF_SOME_LENGTH_%02d: x" % (word, i) for i in range(32))
        return ("services:\n" + "".join("  s%d: {image: x, network_mode: none, environment: {%s}}\n" % (i, env)
                                        for i in range(300))).encode()
    rpc, jaco_yaml = fenced.rpc(), b"deployment: wide\n"
    rpc.call("deploy.apply", jaco=jaco_yaml, compose=wide("OLD"))
    got = rpc.call("deploy.apply", jaco=jaco_yaml, compose=wide("NEW"))
    assert got["revision"] == 2 and len(got["changes"]) + got["omitted"] == 300, got["omitted"]
    rpc.call("deploy.delete", deployment="wide")


def test_what_an_engine_is_too_old_for_is_told_by_who_knows_it(fenced, work):
    (work / "jaco.yaml").write_text("deployment: aged\n")
    (work / "compose.yaml").write_text("# first\nservices:\n  web:\n    image: x\n    annotations: {a: b}\n")
    host = fenced.rpc().call("cluster.status")["host"]
    key = "/obs/node/%s/engine" % host
    fenced.rpc("runtimed").call("obs.put", key=key, value=msgpack.packb(
        {"state": "ready", "kind": "docker", "version": "20.10", "api_version": "1.41"}))
    told = ("warning: compose.yaml:3:3: services.web.annotations: left out on %s, whose engine speaks API 1.41: "
            "it is known from 1.43 on; upgrade the engine, or leave the key out\n" % host)
    assert jaco(work, "validate").stderr == ""
    assert jaco(work, "diff", root=fenced.root).stderr == told
    assert jaco(work, "diff", "-q", root=fenced.root).stderr == ""
    finding, = json.loads(jaco(work, "diff", "-o", "json", root=fenced.root).stdout)["findings"]
    assert (finding["severity"], finding["file"], finding["line"]) == ("warning", "compose.yaml", 3), finding
    r = jaco(work, "apply", "--no-wait", "--strict", root=fenced.root)
    assert r.returncode == 65 and r.stderr.startswith(told), r
    assert jaco(work, "get", "deployment", "aged", root=fenced.root).returncode == 66
    r = jaco(work, "apply", "--no-wait", root=fenced.root)
    assert r.returncode == 0 and r.stderr == told, r
    fenced.rpc("runtimed").call("obs.put", key=key)
    assert jaco(work, "diff", root=fenced.root).stderr == ""
    fenced.rpc().call("deploy.delete", deployment="aged")


@pytest.mark.parametrize("overlay,compose", ADMITTED)
def test_the_cluster_admits(fenced, overlay, compose):
    fenced.rpc().call("deploy.apply", jaco=overlay.encode(), compose=compose.encode(), dry_run=True)
