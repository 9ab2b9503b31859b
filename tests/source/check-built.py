#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every file below tests/unit and tests/fuzz stands in a meson.build: a test nobody builds says nothing.  No
two files that pytest imports have one name: tests/e2e takes helpers from tests/integration, and would take
the wrong one."""
import collections
import pathlib
import re

import source


def main():
    verdict = source.Verdict()
    for name in source.tracked(".c", under="tests/"):
        found = re.match(r"tests/unit/.*/test_(\w+)\.c$|tests/fuzz/fuzz_(\w+)\.c$", name)
        if not found:
            continue
        verdict.checked += 1
        module = found.group(1) or found.group(2)
        if "'%s'" % module not in source.text(str(pathlib.PurePath(name).parent / "meson.build")):
            verdict.wrong(name, "is built by no meson.build")
    homes = collections.defaultdict(list)
    for directory in ("tests/integration/", "tests/e2e/", "tests/lib/"):
        for name in source.tracked(".py", under=directory):
            homes[pathlib.PurePath(name).name].append(name)
    for base, names in homes.items():
        verdict.checked += 1
        if len(names) > 1 and base != "conftest.py":
            verdict.wrong(names[1], "%s has that name, too" % names[0])
    verdict.end(least=150)


main()
