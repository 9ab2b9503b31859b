#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Manual pages lint clean and hold every command, option, key and error code there is.

usage: check-man.py [BUILT-PAGE...]     pages made by the build are linted too"""
import os
import re
import shutil
import subprocess
import sys

import source


def lint(verdict, page):
    got = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], cwd=source.ROOT,
                         capture_output=True, text=True, check=False)
    verdict.checked += 1
    for line in (got.stdout + got.stderr).strip().split("\n"):
        if line:
            verdict.wrong(page, line)



def need(verdict, page, words, found, what):
    verdict.checked += 1
    if not found:
        verdict.wrong(page, f"does not tell about {what} {words}")


def check_cli(verdict):
    page, main = "man/jaco.1", source.text("cli/main.c")
    lines = source.text(page).split("\n")
    table = main[main.index("cli_commands[]"):]
    for words in re.findall(r'^\t\{"([a-z -]+)",', table, re.M):
        need(verdict, page, words, any(re.match(rf"\.It Ic {words}( Ar |$)", l) for l in lines),
             "command")
    options = main[:main.index("cli_commands[]")]
    for name in set(re.findall(r'\{"([\w-]+)", (?:0|\'.\'), ', options)):
        need(verdict, page, name, any(re.search(rf"Fl -{name}\b", l) for l in lines), "option --")


def check_daemon(verdict, name):
    page = f"man/jaco-{name}.8"
    if not (source.ROOT / page).exists():
        verdict.wrong(page, "is missing")
        return
    text = source.text(page)
    main = source.text(f"daemons/{name}/main.c")
    table = re.search(r"struct jaco_option \w+\[\] = \{(.*?)\n\};", main, re.S)
    options = re.findall(r'\{"([\w-]+)",', table.group(1)) if table else []
    options += ["standalone"] if "has_standalone = true" in main else []
    common = re.search(r"jaco_option common_options\[\] = \{(.*?)\n\};",
                       source.text("libjaco/daemon/daemon.c"), re.S).group(1)
    for option in options + re.findall(r'\{"([\w-]+)",', common):
        need(verdict, page, option, re.search(rf"(Fl|Fl -help \|) -{option}\b", text), "option --")


def check_rows(verdict):
    page = "man/jacod.yaml.5"
    rows = re.findall(r'\{"([\w.]+)", JACO_CONFIG_KIND_(?:[^{}]*?)(true|false), (true|false),',
                      re.sub(r"\s+", " ", source.text("libjaco/daemon/config.c")))
    text = source.text(page)
    for key, _, hidden in rows:
        if hidden == "false":
            need(verdict, page, key, re.search(rf"^\.It Cm {re.escape(key)} ", text, re.M), "key")
    if len(rows) < 30:
        verdict.wrong("tests/source/check-man.py", f"sees only {len(rows)} rows of config.c")


def check_codes(verdict):
    page = "man/jaco.7"
    text = source.text(page)
    header = source.text("libjaco/base/err.h").replace("\\\n", " ")
    for code, status in re.findall(r'X\(\w+, "(\w+)", (\d+),', header):
        need(verdict, page, f"{code} with status {status}",
             f".It Cm {code}\n.Pq {status}\n" in text, "error")
    for states in ("replica_state", "node_state"):
        block = re.search(rf"JACO_WORDS_{states}\(W\)(.*?)\n#define",
                          source.text("libjaco/model/enums.h"), re.S).group(1)
        for word in re.findall(r'"(\w+)"', block):
            need(verdict, page, word, f".It Cm {word}\n" in text, f"{states} word")


def main():
    if not shutil.which("mandoc"):
        print("mandoc is not installed")
        sys.exit(77)  # meson: skipped
    verdict = source.Verdict()
    for page in source.tracked(*(f".{n}" for n in range(1, 9)), under="man/"):
        lint(verdict, page)
    for page in map(os.path.abspath, sys.argv[1:]):
        lint(verdict, page)
    check_cli(verdict)
    for name in source.DAEMONS:
        check_daemon(verdict, name)
    check_rows(verdict)
    check_codes(verdict)
    verdict.end(least=200)


main()
