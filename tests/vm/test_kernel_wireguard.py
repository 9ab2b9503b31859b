# SPDX-License-Identifier: Apache-2.0
"""The mesh over the kernel's WireGuard: the tests of tests/integration/test_mesh.py, whose machine of
every day has wireguard-go alone, on a kernel that has both."""
import re


def test_the_mesh_tests_pass_over_the_kernels_wireguard(machine):
    assert "wireguard" in machine.run("modprobe -v -n wireguard && echo wireguard")
    rc, out = machine.run("cd /jaco/tests/integration && PYTHONDONTWRITEBYTECODE=1 JACO_BUILD=/jaco/build "
                          "python3 -m pytest -p no:cacheprovider -q -rs --durations=5 test_mesh.py -k kernel",
                          seconds=3600, check=False)
    print(out[-3000:])
    assert rc == 0, out[-6000:]
    assert int(re.search(r"(\d+) passed", out).group(1)) >= 15 and "skipped" not in out
