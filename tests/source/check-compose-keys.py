#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every key of a compose service has a row in tests/e2e/compose-keys.tsv: with the outcome that
compose_service.c gives it, an engine field that create*.c writes, and a test that exists.  Every error code
of manifests has a golden case."""
import re

import source

TABLE = "tests/e2e/compose-keys.tsv"
OUTCOMES = {"HONOURED": "honoured", "DIFFERENCE": "difference", "IGNORED": "ignored",
            "REFUSED": "refused", "LEGACY": "legacy"}
# fields that a request names otherwise, or not at all
ELSEWHERE = {"Platform": "platform", "Mounts": "Mounts"}

verdict = source.Verdict()
keys = dict(re.findall(r'\t\{"(\w+)", JACO_(\w+),',
                       source.text("libjaco/model/manifest/compose_service.c").split("service_rows[]")[1]))
requests = "".join(source.text(n) for n in source.tracked(".c", under="daemons/runtimed/")
                   if re.search("/(create|engine_docker)", n))
parity = source.text("tests/e2e/test_compose_parity.py")
seen = set()
for number, line in enumerate(source.text(TABLE).split("\n"), 1):
    if not line or line.startswith("#"):
        continue
    where = "%s:%d" % (TABLE, number)
    cells = line.split("\t")
    verdict.checked += 1
    if len(cells) != 5:
        verdict.wrong(where, "not five columns")
        continue
    key, outcome, field, test, _ = cells
    seen.add(key)
    top = key.split(".")[0]
    if top not in keys:
        verdict.wrong(where, "compose_service.c has no row for %s" % top)
    elif outcome != OUTCOMES[keys[top]]:
        verdict.wrong(where, "%s is %s in compose_service.c" % (key, OUTCOMES[keys[top]]))
    name = field.split(".")[1 if "." in field else 0]
    if field != "-" and '"%s"' % name not in requests and ELSEWHERE.get(name, "") + "=" not in requests:
        verdict.wrong(where, "no create*.c writes %s" % name)
    if test.startswith("parity:"):
        if "\n  %s:\n" % test[7:] not in parity:
            verdict.wrong(where, "the parity file has no service %s" % test[7:])
    else:
        path, _, function = test.partition("::")
        text = source.text(path) if (source.ROOT / path).is_file() else None
        if text is None or (function and "def %s(" % function not in text):
            verdict.wrong(where, "no such test: " + test)
        elif not function and key.split(".")[-1] not in text:
            verdict.wrong(where, "%s does not have %s" % (test, key))
for key in sorted(set(keys) - seen):
    verdict.wrong(TABLE, "no row for " + key)

# cluster.md 4: every code that a manifest can be refused with has a golden case with its exact text.
goldens = "".join(source.text(n) for n in source.tracked(".ok", under="tests/golden/manifest/"))
codes = re.findall(r'X\(\w+,\s*"(\w+)",\s*65\b', source.text("libjaco/base/err.h"))
for code in codes + ["limit_exceeded", "permission_denied"]:
    verdict.checked += 1
    if not re.search(r'^%s |"code": ?"%s"' % (code, code), goldens, re.M):
        verdict.wrong("tests/golden/manifest", "no case ends with " + code)
if len(codes) < 12:
    verdict.wrong("libjaco/base/err.h", "only %d codes of exit 65 were found" % len(codes))
verdict.end(least=100)
