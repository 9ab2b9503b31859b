# SPDX-License-Identifier: Apache-2.0
"""Unbound, Knot and NSD as Debian ships them, for test_dns_peers.py: started on a port of 127.0.0.1 in a
directory of their own, and their replies brought to a form in which two servers can be compared."""
import fnmatch
import os
import socket
import struct
import subprocess
import time

from dnslib import (LIMIT, NS, OPT, PTR, SOA, SRV, Message, query, read_framed, read_name, send_framed)
from ports import free_port

CNAME, MX, RRSIG = 5, 15, 46

UNBOUND = """
server:
  num-threads: 1
  interface: 127.0.0.1@{port}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{dir}"
  pidfile: ""
  use-syslog: no
  logfile: ""
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  module-config: "iterator"
  minimal-responses: yes
  rrset-roundrobin: no
  edns-buffer-size: 1232
  max-udp-size: 1232
{more}
remote-control:
  control-enable: no
"""
KNOT = """
server:
    rundir: {dir}
    user: root:root
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    udp-max-payload: 1232
log:
  - target: stderr
    any: warning
database:
    storage: {dir}
{more}
"""
NSD = """
server:
  ip-address: 127.0.0.1@{port}
  server-count: 1
  username: root
  database: ""
  zonesdir: "{dir}"
  pidfile: "{dir}/nsd.pid"
  xfrdfile: "{dir}/xfrd"
  zonelistfile: "{dir}/zones"
  ipv4-edns-size: 1232
  rrl-ratelimit: 0
remote-control:
  control-enable: no
{more}
"""


class Server:
    """@probe is a name that is answered once the server serves: with NOERROR, or @any_rcode."""

    def __init__(self, directory, kind, config, probe, more="", any_rcode=False):
        self.any_rcode = any_rcode
        self.port = free_port()
        self.dir = os.path.join(str(directory), "%s-%d" % (kind, self.port))
        os.mkdir(self.dir)
        path = os.path.join(self.dir, "conf")
        with open(path, "w") as f:
            f.write(config.format(port=self.port, dir=self.dir, more=more))
        command = {"unbound": ["unbound", "-d", "-c"], "knot": ["knotd", "-c"], "nsd": ["nsd", "-d", "-c"]}
        self.log = os.path.join(self.dir, "log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command[kind] + [path], stdout=log, stderr=log,
                                            env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin"))
        end = time.monotonic() + LIMIT
        while not self.serves(probe):
            if self.process.poll() is not None or time.monotonic() > end:
                self.close()
                raise AssertionError(open(self.log).read())

    def serves(self, probe):
        try:
            return ask(self.port, query(probe), limit=1).rcode == 0 or self.any_rcode
        except OSError:
            time.sleep(0.02)
            return False

    def close(self):
        self.process.terminate()
        self.process.wait(LIMIT)


def unbound_forwarder(directory, probe, ports):
    more = '  local-zone: "test." nodefault\nforward-zone:\n  name: "."\n'
    return Server(directory, "unbound", UNBOUND, probe,
                  more + "".join("  forward-addr: 127.0.0.1@%d\n" % p for p in ports))


def knot_proxy(directory, probe, port):
    """Knot with nothing of its own: mod-dnsproxy passes everything on."""
    return Server(directory, "knot", KNOT, probe, """
remote:
  - id: up
    address: 127.0.0.1@%d
mod-dnsproxy:
  - id: all
    remote: up
    fallback: off
    timeout: 400
template:
  - id: default
    global-module: mod-dnsproxy/all
""" % port, any_rcode=True)


def knot_authority(directory, probe, zones, signing):
    return Server(directory, "knot", KNOT, probe, """
template:
  - id: default
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
    dnssec-signing: %s
zone:
""" % ("on" if signing else "off") + "".join("  - domain: %s\n    file: %s\n" % z for z in zones))


def nsd_authority(directory, probe, zones):
    return Server(directory, "nsd", NSD, probe,
                  "".join("zone:\n  name: %s\n  zonefile: %s\n" % z for z in zones))


def ask(port, raw, transport="udp", limit=LIMIT):
    """The reply, or None when the server closes the connection instead."""
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as s:
        s.settimeout(limit)
        s.connect(("127.0.0.1", port))
        if transport == "tcp":
            send_framed(s, raw)
            return read_framed(s)
        s.send(raw)
        while True:
            got = Message(s.recv(65536))
            if got.id == struct.unpack(">H", raw[:2])[0]:
                return got


def plain_data(message, record):
    """The record's data without compression and without what two servers may choose freely."""
    at = message.raw.index(record.data) if record.data else 0
    lead = {MX: 2, SRV: 6}.get(record.type, 0)
    if record.type in (CNAME, NS, PTR, MX, SRV):
        return record.data[:lead] + read_name(message.raw, at + lead)[0].lower().encode()
    if record.type == SOA:
        mname, at = read_name(message.raw, at)
        rname, at = read_name(message.raw, at)
        return ("%s %s" % (mname, rname)).lower().encode()
    return record.data


def section(message, i):
    """A section as a sorted list; the order within it means nothing."""
    return sorted((r.name.lower(), r.type, plain_data(message, r))
                  for r in message.sections[i] if r.type != OPT)


def is_courtesy(record):
    """NS records beside an answer: a server may add them."""
    return record[1] == NS or record[1] == RRSIG and record[2][:2] == struct.pack(">H", NS)


def compared(message):
    """What a client can see of a reply, by the names the tables of differences use."""
    if message is None:
        return {"rcode": None}
    opt = message.opt
    return {
        "rcode": message.rcode | (opt.ttl >> 24 << 4 if opt else 0),
        "aa": message.aa, "tc": message.tc, "ra": bool(message.flags & 0x80), "ad": message.ad,
        "question": message.question,
        "answer": [] if message.tc else section(message, 0),
        "authority": [] if message.tc else [r for r in section(message, 1) if not is_courtesy(r)],
        "courtesy": [] if message.tc else [r for r in section(message, 1) if is_courtesy(r)] + section(message, 2),
        "edns": (opt.rclass, bool(opt.ttl & 0x8000)) if opt else None,
    }


def unmatched(found, explained):
    """What of @found no entry of @explained tells, and what of @explained is not so (any more)."""
    def matches(key, pattern):
        return all(fnmatch.fnmatchcase(k, p) for k, p in zip(key, pattern))

    return ({k: v for k, v in found.items() if not any(matches(k, e) for e in explained)},
            [e for e in explained if not any(matches(k, e) for k in found)])


def differences(case, ours, peers):
    """(case, peer, field) of everything the peers answer otherwise, with both values."""
    mine, found = compared(ours), {}
    for peer, message in peers.items():
        theirs = compared(message)
        for field in mine.keys() | theirs.keys():
            if mine.get(field) != theirs.get(field):
                found[(case, peer, field)] = (mine.get(field), theirs.get(field))
    return found


def rcode_or_silence(port, raw):
    """What @raw brings: a return code, or None when the question sent behind it is answered first (each of
    these servers answers one socket in order)."""
    last = query("jaco.internal", SOA, qid=0x7777)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(LIMIT)
        s.connect(("127.0.0.1", port))
        s.send(raw)
        s.send(last)
        got = s.recv(65536)
        if got[:2] == last[:2]:
            return None
        return compared(Message(got))["rcode"]
