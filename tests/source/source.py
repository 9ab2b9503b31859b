# SPDX-License-Identifier: Apache-2.0
"""What the checks of suite `source` share: the tree, its text without comments, the verdict."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DAEMONS = ("raftd", "schedd", "ipamd", "meshd", "fwd-nft", "dnsd", "proxyd", "runtimed")


def tracked(*suffixes, under=""):
    """Files git knows or could add, as paths relative to the root; without git, all of the tree."""
    try:
        names = subprocess.run(
            ["git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard"], cwd=ROOT,
            check=True, capture_output=True, text=True).stdout.split("\n")
    except (OSError, subprocess.CalledProcessError):
        names = [str(p.relative_to(ROOT)) for top in
                 ("libjaco", "daemons", "cli", "tests", "systemd", "man", "contrib")
                 for p in (ROOT / top).rglob("*")]
    return sorted(n for n in names
                  if n.startswith(under) and n.endswith(suffixes) and (ROOT / n).is_file())


def text(name):
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


def code(name):
    """The C text of a file with comments and the inside of strings blanked; lines stay lines."""
    def blank(match):
        found = match.group(0)
        if found.startswith('"'):
            return '""'
        return re.sub(r"[^\n]", " ", found)
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\''
    return re.sub(pattern, blank, text(name), flags=re.S)


def includes(name):
    """(line, path) of each include of ours."""
    for n, line in enumerate(text(name).split("\n"), 1):
        match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if match:
            yield n, match.group(1)


class Verdict:
    """Collects complaints; prints them as file:line: sentence and ends with the status."""

    def __init__(self):
        self.n = 0
        self.checked = 0

    def wrong(self, where, sentence):
        self.n += 1
        print(f"{where}: {sentence}")

    def end(self, least=1):
        if self.checked < least:
            self.wrong("suite source", f"only {self.checked} things were checked, not {least}")
        print(f"{self.checked} checked, {self.n} wrong")
        sys.exit(1 if self.n else 0)
