# SPDX-License-Identifier: Apache-2.0
"""The units under systemd as PID 1: installed, started, confined, and back after a reboot and a power
cut."""
import re

import pytest

DAEMONS = ("raftd", "schedd", "ipamd", "meshd", "fwd-nft", "dnsd", "proxyd", "runtimed")
IMAGE = ("docker import --change 'ENTRYPOINT [\"/bin/kit\"]' --change 'CMD [\"http\"]' --change 'ENV PATH=/bin' "
         "/jaco/images/test-1.tar jaco/hello:1")
COMPOSE = "services:\n  web:\n    image: jaco/hello:1\n    expose: ['8080']\n"
JACO = ("deployment: hello\nacme: off\nroutes:\n  - {domain: hello.localhost, service: web, port: 8080}\n"
        "services:\n  - {name: web, replicas: 2}\n")
PAGE = "curl -s -m 10 -H 'Host: hello.localhost' http://127.0.0.1/ | grep -q '\"replica\":\"hello-web-'"


@pytest.fixture(scope="module")
def node(machine):
    """This build installed, one member, one application of two replicas."""
    machine.run("cp -a /jaco/install/. / && systemd-sysusers && systemd-tmpfiles --create && "
                "systemctl daemon-reload && systemctl enable docker && systemctl start docker", 300)
    machine.run(IMAGE)
    machine.run("systemctl start jaco.target")
    machine.wait("test -S /run/jaco/jaco.sock")
    machine.run("jaco cluster init --name vm")
    machine.run("mkdir -p /root/hello && cd /root/hello && printf %%s \"%s\" >docker-compose.yaml && "
                "printf %%s \"%s\" >jaco.yaml" % (COMPOSE, JACO))
    machine.run("cd /root/hello && jaco apply")
    machine.wait(PAGE, 600)
    return machine


def addresses(node):
    return re.findall(r"hello-web-\d+ .*?(\d+\.\d+\.\d+\.\d+)", node.run("jaco status"))


def test_every_daemon_is_ready(node):
    for name in DAEMONS:
        assert node.run("systemctl is-active jaco-" + name).strip() == "active"
    node.wait("! jaco daemons | tail -n +2 | grep -vq ' ready '")
    assert "kernel WireGuard" in node.run("jaco daemons")


def test_every_unit_is_confined(node):
    levels = {name: float(re.search(r"jaco-%s.service: ([\d.]+)" % name, node.run(
        "systemd-analyze security --no-pager jaco-" + name)).group(1)) for name in DAEMONS}
    print(levels)
    assert max(levels.values()) <= 2.0, levels


@pytest.mark.parametrize("how", ["reboot", "cut"])
def test_everything_returns(node, how):
    before = addresses(node)
    assert len(before) == 2
    if how == "cut":
        node.run("sync")        # what the test itself has copied
        node.cut()
        node.start()
    else:
        node.reboot()
    node.wait(PAGE, 600)
    node.wait("jaco status | grep -q '^all is well'", 600)
    assert addresses(node) == before
