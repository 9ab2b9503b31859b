# SPDX-License-Identifier: Apache-2.0
"""A host with both examples deployed, shared by the tests of one file."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lab  # noqa: E402
import lab_net  # noqa: E402

EXAMPLES = os.path.join(lab.TOP, "contrib", "examples")


@pytest.fixture(autouse=True)
def nothing_goes_on():
    """What a test that failed in the middle would leave to the next ones."""
    yield
    while lab.at_end_of_test:
        lab.at_end_of_test.pop()()


@pytest.fixture(scope="module")
def host():
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces and an engine")
    h = lab.Host(images=("test", "hello", "web", "api", "worker", "store"))
    try:
        h.start()
        h.init()
        h.apply(os.path.join(EXAMPLES, "hello", "jaco.yaml"))
        h.apply(os.path.join(EXAMPLES, "shop", "jaco.yaml"))
        yield h
    finally:
        h.close()


@pytest.fixture(scope="session")
def cluster():
    """Three hosts for test_three_nodes_net.py and test_three_nodes_wire.py, which are the last files: no
    other test runs beside them."""
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces and an engine")
    c = lab_net.make()
    yield c
    c.close()
