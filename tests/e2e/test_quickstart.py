# SPDX-License-Identifier: Apache-2.0
"""The first command of the README, run as a newcomer runs it, in a namespace of its own."""
import glob
import json
import os
import subprocess
import tempfile

import pytest

from lab import BUILD, TOP, processes_of, sh


@pytest.fixture
def machine():
    """A network namespace without an engine, and a directory for the script's state."""
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces and an engine")
    ns = "jq%d" % os.getpid()
    path = tempfile.mkdtemp(prefix="jaco-quickstart-%d-" % os.getpid()) + "/q"
    sh("ip", "netns", "add", ns)
    sh("ip", "-n", ns, "link", "set", "lo", "up")
    yield ns, path
    quickstart(ns, path, "--down")
    sh("ip", "netns", "del", ns)


def enter(ns, *argv, **env):
    return subprocess.run(["nsenter", "--net=/run/netns/" + ns] + list(argv), capture_output=True,
                          text=True, timeout=900, env=dict(os.environ, **env), cwd=TOP)


def quickstart(ns, path, *argv):
    return enter(ns, "contrib/quickstart", *argv, QUICKSTART_DIR=path, BUILD_DIR=BUILD)


def dump(ns):
    """What a program could leave behind on a machine."""
    return (enter(ns, "ip", "-o", "link").stdout, enter(ns, "ip", "route").stdout,
            enter(ns, "nft", "list", "ruleset").stdout,
            enter(ns, "cat", "/proc/sys/net/ipv4/ip_forward").stdout)


def test_up_twice_and_down_leaves_nothing(machine):
    ns, path = machine
    before = dump(ns)
    r = quickstart(ns, path)
    assert r.returncode == 0, r.stdout + r.stderr
    assert r.stdout.splitlines()[-1].startswith("quickstart: JACO runs, http://hello.localhost:80/")
    assert '{"replica":"hello-web-' in r.stdout and "all is well" in r.stdout
    again = quickstart(ns, path)
    assert again.returncode == 0 and again.stdout.splitlines()[-1] == r.stdout.splitlines()[-1]
    down = quickstart(ns, path, "--down")
    assert down.returncode == 0 and down.stdout.splitlines()[-1] == "== down: nothing of JACO is left"
    assert dump(ns) == before
    assert_nothing_is_left(path)


def assert_nothing_is_left(path):
    assert not processes_of(path) and not os.path.exists(path)
    assert not [m for m in open("/proc/mounts") if path in m]
    assert not glob.glob("/run/jaco*/%s*" % os.path.basename(path))


def runs(pid):
    """Not one that ended and that its parent has not collected yet."""
    try:
        with open("/proc/%s/stat" % pid) as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_three_hosts_up_twice_and_down_leaves_nothing(machine):
    ns, path = machine
    before = dump(ns)
    spaces, tunnels = set(os.listdir("/run/netns")), set(glob.glob("/var/run/wireguard/jq*"))
    r = quickstart(ns, path, "--nodes", "3")
    assert r.returncode == 0, r.stdout + r.stderr
    assert r.stdout.splitlines()[-1].startswith("quickstart: JACO runs on 3 nodes, ")
    for n in ("n1", "n2", "n3"):
        page = r.stdout.split("== the page, through the ingress of %s:\n" % n)[1]
        assert page.startswith('{"replica":"hello-web-'), page[:200]
    status = subprocess.run([os.path.join(BUILD, "cli", "jaco"), "--root", path + "/n2/root", "get",
                             "replicas", "-o", "json"], capture_output=True, text=True).stdout
    assert sorted(row["node"] for row in json.loads(status)) == ["n1", "n2", "n3"]
    again = quickstart(ns, path, "--nodes", "3")
    assert again.returncode == 0 and again.stdout.splitlines()[-1] == r.stdout.splitlines()[-1]
    other = quickstart(ns, path)
    assert other.returncode == 1 and "contrib/quickstart --down first" in other.stderr
    assert dump(ns) == before
    mine = {s for s in set(os.listdir("/run/netns")) - spaces if s.startswith("jq") and "-" in s}
    left = [p for s in mine for p in sh("ip", "netns", "pids", s).split()]
    assert len(mine) == 4 and left
    down = quickstart(ns, path, "--down")
    assert down.returncode == 0, down.stdout + down.stderr
    assert down.stdout.splitlines()[-1] == "== down: nothing of JACO is left"
    assert dump(ns) == before
    assert not mine & set(os.listdir("/run/netns"))
    assert not [p for p in left if runs(p)]
    assert not set(glob.glob("/var/run/wireguard/jq*")) - tunnels
    assert_nothing_is_left(path)
