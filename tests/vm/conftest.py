# SPDX-License-Identifier: Apache-2.0
"""The machine of this directory's tests."""
import os
import shutil
import subprocess

import pytest

import machine as vm


@pytest.fixture(scope="session")
def machine(tmp_path_factory):
    """One machine for all tests, switched on."""
    if os.geteuid() != 0 or not shutil.which("qemu-system-x86_64") or not shutil.which("mmdebstrap"):
        pytest.skip("needs root and the vm line of contrib/packages")
    image = os.path.join(vm.BUILD, "vm")
    subprocess.run([os.path.join(vm.HERE, "build-image"), image], check=True)
    made = vm.Machine(image, tmp_path_factory.mktemp("machine"))
    try:
        made.start()
        yield made
    finally:
        made.close()
