#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every source file opens with its SPDX line and, for ours, says what it is for."""
import re

import source

SPDX = "SPDX-License-Identifier: Apache-2.0"


def is_script(name):
    with open(source.ROOT / name, "rb") as file:
        return file.read(2) == b"#!"


def has_purpose(name):
    """A comment besides the SPDX line before the first line of code."""
    top = source.text(name)[:4000]
    if name.endswith(".py") or re.match(r"#!.*python", top):
        top = re.sub(r"^#!.*\n", "", top)
        top = re.sub(r"^#.*SPDX.*\n", "", top)
        return bool(re.match(r'\s*(r?"""|#\s*\S)', top))
    if name.endswith((".c", ".h", ".def")):
        comments = re.match(r"(\s|/\*.*?\*/)*", top, re.S).group(0)
        words = re.sub(r"SPDX-License-Identifier: \S+|[/*\s]", "", comments)
        if len(words) > 10 or not name.endswith(".c"):
            return len(words) > 10
        own = next((path for _, path in source.includes(name)), "")
        return own == name[:-1] + "h" and has_purpose(own)  # said once, in its header
    lines = [l for l in top.split("\n") if not l.startswith("#!") and "SPDX" not in l]
    return bool(lines) and lines[0].startswith("#") and len(lines[0].strip("# ")) > 5


def main():
    verdict = source.Verdict()
    for name in source.tracked(""):
        is_source = name.endswith((".c", ".h", ".def", ".py", ".sh"))
        if not is_source and not is_script(name):
            continue
        if name.startswith(("tests/fuzz/corpus/", "tests/corpus/cases/")):
            continue
        verdict.checked += 1
        first = "\n".join(source.text(name).split("\n")[:3])
        if SPDX not in first:
            verdict.wrong(name, "the SPDX line is missing at the top")
        is_test = name.startswith("tests/unit/")  # its name is its purpose: test_<module>
        if not is_test and not has_purpose(name):
            verdict.wrong(name, "does not say what it is for")
    verdict.end(least=300)


main()
