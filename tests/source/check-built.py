#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every file below tests/unit and tests/fuzz stands in a meson.build: a test nobody builds says nothing."""
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
    verdict.end(least=100)


main()
