#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each daemon's spec in main.c, its unit, its user, its manual page and jaco.target agree."""
import re

import source

# the order in which settings stand in every unit; a unit may leave some out
CAGE = ["CapabilityBoundingSet", "AmbientCapabilities", "NoNewPrivileges", "ProtectSystem",
        "RestrictAddressFamilies", "RestrictNamespaces", "MemoryDenyWriteExecute",
        "SystemCallFilter", "SystemCallErrorNumber"]
NEEDED = {"Type": "notify", "Restart": "always", "WatchdogSec": "30", "NoNewPrivileges": "yes",
          "ProtectSystem": "strict", "MemoryDenyWriteExecute": "yes", "UMask": "0077"}
ROLES = {"fwd-nft": "FWD"}


def settings(unit):
    """[(section, key, value)] in order."""
    section, out = "", []
    for line in unit.split("\n"):
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            out.append((section, key, value))
    return out


def spec_of(name):
    return re.search(r"struct jaco_daemon_spec \w+ = \{(.*?)\n\};",
                     source.text(f"daemons/{name}/main.c"), re.S).group(1)


def check_spec(verdict, name, unit, where):
    spec = spec_of(name)
    caps = set(re.findall(r"JACO_CAP_(\w+)", spec)) - {"NONE"}
    for key in ("CapabilityBoundingSet", "AmbientCapabilities"):
        given = {c.removeprefix("CAP_") for _, k, v in unit if k == key for c in v.split()}
        verdict.checked += 1
        if given != caps:
            verdict.wrong(where, f"{key} is {sorted(given)}, main.c says {sorted(caps)}")
    if f'.name = "{name}"' not in spec:
        verdict.wrong(f"daemons/{name}/main.c", f'.name is not "{name}"')
    role = ROLES.get(name, name.upper())
    if f".role = ROLE_{role}," not in spec:
        verdict.wrong(f"daemons/{name}/main.c", f".role is not ROLE_{role}")


# Who calls whom on its own socket: a directory of mode 0750 that belongs to the daemon's group.
ASKS = {"raftd": [name for name in source.DAEMONS if name != "raftd"],
        "runtimed": ["ipamd", "fwd-nft", "dnsd"]}


def check_form(verdict, name, unit, where):
    values = {key: value for _, key, value in unit}
    expected = dict(NEEDED, User=f"jaco-{name}", Group=f"jaco-{name}", PartOf="jaco.target",
                    WantedBy="jaco.target", ExecStart=f"@libexecdir@/jaco-{name}",
                    Documentation=f"man:jaco-{name}(8)")
    for key, value in expected.items():
        verdict.checked += 1
        if values.get(key) != value:
            verdict.wrong(where, f"{key} is {values.get(key)!r}, expected {value!r}")
    sections = list(dict.fromkeys(section for section, _, _ in unit))
    if sections != ["Unit", "Service", "Install"]:
        verdict.wrong(where, f"sections are {sections}")
    order = [CAGE.index(key) for _, key, _ in unit if key in CAGE]
    if order != sorted(order):
        verdict.wrong(where, "the settings of the cage are not in the order of the other units")
    if set(CAGE) - set(values):
        verdict.wrong(where, f"has no {sorted(set(CAGE) - set(values))}")
    calls = [value for _, key, value in unit if key == "SystemCallFilter"]
    if calls[-1:] != ["capset seccomp"]:
        verdict.wrong(where, "the last SystemCallFilter does not allow capset and seccomp")
    # without it chown(2) is refused and every daemon stands before a socket that is not its own
    if name == "raftd" and "@chown" not in calls:
        verdict.wrong(where, "the filter does not let it give its sockets to their groups")
    groups = " ".join(v for _, k, v in unit if k == "SupplementaryGroups").split()
    missing = {"jaco-" + peer for peer in ASKS.get(name, ())} - set(groups)
    if missing:
        verdict.wrong(where, f"cannot reach the sockets of {sorted(missing)}")
    after = [v for _, k, v in unit if k in ("After", "Requires", "Before") and "jaco-" in v]
    if after:
        verdict.wrong(where, f"depends on the order of daemons: {after}")


def main():
    verdict = source.Verdict()
    target = source.text("systemd/jaco.target")
    users = source.text("systemd/sysusers.d/jaco.conf")
    for name in source.DAEMONS:
        where = f"systemd/jaco-{name}.service.in"
        if not (source.ROOT / where).exists():
            verdict.wrong(where, "is missing")
            continue
        unit = settings(source.text(where))
        check_spec(verdict, name, unit, where)
        check_form(verdict, name, unit, where)
        if f"jaco-{name}.service" not in target:
            verdict.wrong("systemd/jaco.target", f"does not want jaco-{name}.service")
        if not re.search(rf"^u jaco-{name} ", users, re.M):
            verdict.wrong("systemd/sysusers.d/jaco.conf", f"has no user jaco-{name}")
        if not (source.ROOT / f"man/jaco-{name}.8").exists():
            verdict.wrong(f"man/jaco-{name}.8", "is missing")
    verdict.end(least=100)


main()
