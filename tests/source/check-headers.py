#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every header compiles alone.

One compiler run per group of headers: each is included twice, alone at the top of a translation unit
of its own given on the compiler's command line, so that a forgotten include cannot hide.

usage: check-headers.py COMPILER [ARGUMENT...]"""
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile

import source

# included in the middle of passes, not headers by themselves
PARTS = {"libjaco/wire/pass_end.h", "libjaco/wire/pass_methods.h"}


def compile_some(files):
    got = subprocess.run(sys.argv[1:] + ["-std=gnu17", "-D_GNU_SOURCE", "-w", "-fsyntax-only",
                                         f"-I{source.ROOT}", *files],
                         capture_output=True, text=True, check=False)
    return got.returncode, got.stderr


def main():
    verdict = source.Verdict()
    names = [n for n in source.tracked(".h")
             if n.startswith(("libjaco/", "daemons/", "cli/")) and n not in PARTS]
    with tempfile.TemporaryDirectory() as directory:
        files = []
        for name in names:
            verdict.checked += 1
            if not re.search(r"^#pragma once$", source.text(name), re.M):
                verdict.wrong(name, "has no #pragma once")
            path = os.path.join(directory, name.replace("/", "_") + ".c")
            with open(path, "w", encoding="utf-8") as file:
                file.write(f'#include "{name}"\n#include "{name}"\n')
            files.append(path)
        groups = [files[i::4] for i in range(4)]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for status, errors in pool.map(compile_some, groups):
                if status:
                    verdict.wrong("headers", errors)
    verdict.end(least=100)


main()
