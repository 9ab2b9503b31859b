#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Messages stay compatible: field names are unique, none is dropped, none becomes required.

defs.frozen holds what was released.  A new message or a new optional field is added to it by
`tests/source/check-defs.py --freeze`, which refuses what would break a peer.  Before the first release a message may
still be turned round: remove the file and freeze again."""
import re
import sys

import source

FROZEN = source.ROOT / "tests/source/defs.frozen"
ROW = re.compile(r"^\s*(STR|BIN|U32|U64|TIME|I64|BOOL|ENUM|STRS|DICT|SUB|LIST)\s*"
                 r"\(\s*(\w+)\s*,\s*(\w+)\s*,\s*(REQ|OPT)\b")


def read_defs(verdict):
    """{(message, field): "KIND REQ|OPT"} and the set of messages."""
    fields, messages = {}, {}
    for name in source.tracked(".def", under="libjaco/wire/def/"):
        current = None
        for n, line in enumerate(source.text(name).split("\n"), 1):
            where = f"{name}:{n}"
            begins = re.match(r"^\s*MSG\((\w+),", line)
            if begins:
                current = begins.group(1)
                if current in messages:
                    verdict.wrong(where, f"message {current} is defined twice")
                messages[current] = where
            row = ROW.match(line)
            if not row:
                continue
            kind, message, field, need = row.groups()
            verdict.checked += 1
            if message != current:
                verdict.wrong(where, f"row of {message} stands in {current}")
            if (message, field) in fields:
                verdict.wrong(where, f"{message}.{field} is given twice")
            fields[message, field] = f"{kind} {need}"
    return fields, messages


def read_frozen():
    frozen = {}
    for line in FROZEN.read_text().split("\n") if FROZEN.exists() else []:
        if line and not line.startswith("#"):
            message, field, kind, need = line.split()
            frozen[message, field] = f"{kind} {need}"
    return frozen


def compare(verdict, fields, frozen):
    known = {message for message, _ in frozen}
    for (message, field), old in frozen.items():
        new = fields.get((message, field))
        if new is None:
            verdict.wrong("libjaco/wire/def", f"{message}.{field} was released and is gone")
        elif new.split()[0] != old.split()[0]:
            verdict.wrong("libjaco/wire/def", f"{message}.{field} was {old} and is {new}")
        elif old.endswith("OPT") and new.endswith("REQ"):
            verdict.wrong("libjaco/wire/def", f"{message}.{field} became required")
    for (message, field), new in fields.items():
        if message in known and (message, field) not in frozen and new.endswith("REQ"):
            verdict.wrong("libjaco/wire/def",
                          f"{message}.{field} is a new required field of a released message")


def main():
    verdict = source.Verdict()
    fields, _ = read_defs(verdict)
    frozen = read_frozen()
    compare(verdict, fields, frozen)
    if sys.argv[1:] == ["--freeze"] and verdict.n == 0:
        rows = "".join(f"{m} {f} {what}\n" for (m, f), what in sorted(fields.items()))
        FROZEN.write_text("# SPDX-License-Identifier: Apache-2.0\n"
                          "# Fields of released messages: message field kind need (check-defs.py)\n"
                          + rows)
    verdict.end(least=300)


main()
