#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No call that style.md C.12 bans; libevent is wrapped once; no unfinished work is left as a note."""
import re

import source

BANNED = r"\b(strcpy|strcat|sprintf|vsprintf|atoi|atol|strtol|strtoul|gets|system|popen|" \
         r"gethostbyname|rand|srand|malloc|calloc|realloc|free|alloca)\s*\("
# file, call: why it may
ALLOWED = {
    ("libjaco/io/proc.c", "signal"): "resets SIGPIPE between fork and exec",
    ("libjaco/daemon/daemon.c", "signal"): "ignores SIGPIPE; no handler is installed",
}
ONLY_IN = {
    r'[<"](event2/[^>"]*|event\.h|evutil\.h)[>"]': "libjaco/io/loop.c",
    r"[<\"]msgpack[./]": "libjaco/wire/cursor.c libjaco/wire/codec.c",
}
UNFINISHED = r"\b(TODO|FIXME|XXX|HACK)\b"


def check_calls(verdict, name):
    for n, line in enumerate(source.code(name).split("\n"), 1):
        verdict.checked += 1
        found = [m.group(1) for m in re.finditer(BANNED, line)]
        if re.search(r"\btime\s*\(\s*NULL\s*\)", line):
            found.append("time(NULL)")
        if re.search(r"(?<![\w.>])signal\s*\(", line):
            found.append("signal")
        for call in found:
            if (name, call) not in ALLOWED:
                verdict.wrong(f"{name}:{n}", f"{call} is banned here (style.md C.12)")


def check_text(verdict, name):
    for n, line in enumerate(source.text(name).split("\n"), 1):
        if re.search(UNFINISHED, line):
            verdict.wrong(f"{name}:{n}", "a note of unfinished work")
        if not line.lstrip().startswith("#"):
            continue
        for pattern, home in ONLY_IN.items():
            if re.search(r"include\s*" + pattern, line) and name not in home.split():
                verdict.wrong(f"{name}:{n}", f"this header is included only by {home}")


def main():
    verdict = source.Verdict()
    for name in source.tracked(".c", ".h", ".def"):
        if not name.startswith(("libjaco/", "daemons/", "cli/")):
            continue
        if not name.startswith("libjaco/base/"):
            check_calls(verdict, name)
        check_text(verdict, name)
    verdict.end(least=20000)


main()
