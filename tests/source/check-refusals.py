#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every sentence with which the manifest readers refuse, warn or advise stands in the expectation of some
test: a golden case, a shape or stack of the corpus, or a unit test.  So no refusal is without a case."""
import re

import source

REPORTERS = ("jaco_read_error|jaco_read_error_code|jaco_read_warn|jaco_resolve_error|jaco_resolve_warn|"
             "jaco_findings_error|jaco_findings_warn|jaco_findings_unread|report|fail|jaco_err_set")
# Reached only by documents too large for a text in the tree (tests/corpus/worst reads such), or said to
# programs.
TOO_LARGE = {
    "extend smaller services", "extends copies too much", "mount a volume",
    "the file has %zu bytes, at most %d fit", "%zu %s, at most %zu are allowed", "use a DNS server",
    "at most %d extra hosts are read", "the values are too long", "the file is larger than 1 MiB",
    "the interpolated text is too long", "more than %d networks in one deployment",
    "more than %d volumes", "split the document, or use fewer aliases", "split it",
    "the document has more than 100000 nodes (aliases counted where they are used)",
    "the file has %zu bytes, at most %d are read", "the files together have more than %u bytes",
    "the files together have too many nodes", "include fewer or smaller files", "%zu errors", "%.440s (and %zu more)",
}


def arguments(text, at):
    """The text of a call's arguments, from behind its parenthesis."""
    depth, end, quoted = 1, at, False
    while depth and end < len(text):
        if text[end] == '"' and text[end - 1] != "\\":
            quoted = not quoted
        elif not quoted:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
        end += 1
    return text[at:end - 1]


def pattern(sentence):
    """What matches the sentence with its values filled in."""
    return re.sub(r"%(?:\\?\.\d+)?(?:ll|z)?[sdufg]", ".*?", re.escape(sentence))


def joined(name):
    """The text with strings that are continued on the next line in one piece."""
    return re.sub(r'"\s*\n\s*"', "", source.text(name))


verdict = source.Verdict()
seen = "".join(joined(n) for n in source.tracked(".ok", under="tests/golden/manifest/")
               + source.tracked(".txt", under="tests/corpus/") + source.tracked(".c", under="tests/unit/model/")
               + ["tests/integration/test_cli_manifest.py"])
for name in source.tracked(".c", under="libjaco/model/manifest/"):
    text = joined(name)
    for call in re.finditer(r"\b(?:%s)\s*\(" % REPORTERS, text):
        for sentence in re.findall(r'"((?:\\.|[^"\\])*)"', arguments(text, call.end())):
            if " " not in sentence or sentence in TOO_LARGE:
                continue
            verdict.checked += 1
            if not re.search(pattern(sentence.replace('\\"', '"').replace("\\\\", "\\")), seen):
                verdict.wrong(name, "no test expects: " + sentence)
verdict.end(least=300)
