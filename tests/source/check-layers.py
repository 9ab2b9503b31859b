#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Include lines obey the layers: base <- model <- io <- wire <- daemon <- daemons (style.md D)."""
import re

import source

LAYERS = ["base", "model", "io", "wire", "daemon"]


def layer_of(path):
    """Rank of the layer a file lives in; daemons, cli and tests stand above all."""
    match = re.match(r"libjaco/(\w+)/", path)
    return LAYERS.index(match.group(1)) if match else len(LAYERS)


def pure_modules():
    """The lines `pure: DIR file file ...` of HACKING.md."""
    for directory, names in re.findall(r"^\s*pure: (\S+) (.+)$", source.text("HACKING.md"), re.M):
        for name in names.split():
            yield directory, name


def check_file(verdict, name):
    mine = layer_of(name)
    owner = re.match(r"daemons/([^/]+)/", name)
    for line, path in source.includes(name):
        where = f"{name}:{line}"
        verdict.checked += 1
        if not (source.ROOT / path).exists():
            if not name.startswith("tests/"):
                verdict.wrong(where, f"{path} is not a path from the root")
            continue
        if layer_of(path) > mine:
            verdict.wrong(where, f"a lower layer includes {path}")
        other = re.match(r"daemons/([^/]+)/", path)
        if other and owner and other.group(1) != owner.group(1):
            verdict.wrong(where, f"{owner.group(1)} includes another daemon's header {path}")
        if other and name.startswith("cli/"):
            verdict.wrong(where, f"the command line includes a daemon's header {path}")


def check_pure(verdict, directory, name):
    """A pure module reaches only base, model and its own directory's headers."""
    files = [f"{directory}/{name}{suffix}" for suffix in (".c", ".h")]
    present = [f for f in files if (source.ROOT / f).exists()]
    if not present:
        verdict.wrong("HACKING.md", f"pure module {directory}/{name} does not exist")
    for file in present:
        for line, path in source.includes(file):
            verdict.checked += 1
            if not path.startswith(("libjaco/base/", "libjaco/model/", "daemons/")):
                verdict.wrong(f"{file}:{line}", f"a pure module includes {path}")


def main():
    verdict = source.Verdict()
    for name in source.tracked(".c", ".h", under=""):
        if name.startswith(("libjaco/", "daemons/", "cli/")):
            check_file(verdict, name)
    for directory, name in pure_modules():
        check_pure(verdict, directory, name)
    verdict.end(least=500)


main()
