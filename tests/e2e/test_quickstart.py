# SPDX-License-Identifier: Apache-2.0
"""The first command of the README, run as a newcomer runs it, in a namespace of its own."""
import glob
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
                          text=True, timeout=300, env=dict(os.environ, **env), cwd=TOP)


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
    assert not processes_of(path) and not os.path.exists(path)
    assert not [m for m in open("/proc/mounts") if path in m]
    assert not glob.glob("/run/jaco*/%s*" % os.path.basename(path))
