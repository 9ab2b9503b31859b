#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The form of a line, whatever editor wrote it: at most 100 columns with tabs of 8, tabs for every
eight columns of indentation, no blank at the end.  Where a line breaks is .clang-format's word and the
writer's eye; tables between "clang-format off" and "on" may be wider."""
import re

import source

COLUMNS = 100


def main():
    verdict = source.Verdict()
    for name in source.tracked(".c", ".h", ".def"):
        verdict.checked += 1
        is_table = name.endswith(".def")
        for number, line in enumerate(source.text(name).split("\n"), 1):
            where = "%s:%d" % (name, number)
            is_table = "clang-format off" in line or is_table and "clang-format on" not in line
            if len(line.expandtabs(8)) > COLUMNS and not is_table:
                verdict.wrong(where, "is longer than %d columns" % COLUMNS)
            if re.match(r"\t*( {8}| +\t)", line):
                verdict.wrong(where, "is indented with blanks where a tab belongs")
            if line != line.rstrip():
                verdict.wrong(where, "ends with blanks")
    verdict.end(least=500)


main()
