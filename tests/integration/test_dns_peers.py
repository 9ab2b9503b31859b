# SPDX-License-Identifier: Apache-2.0
"""The same questions to jaco-dnsd, Unbound, Knot and NSD, answer by answer.  What differs is listed with its
reason; nothing else may, and nothing listed may cease to."""
import contextlib
import time

import pytest

from dns_peers import (CNAME, MX, ask, differences, knot_authority, knot_proxy, nsd_authority,
                       rcode_or_silence, unbound_forwarder, unmatched)
from dnslib import (A, AAAA, ANY, FORMERR, NOERROR, NOTIMP, NXDOMAIN, OPT, PTR, REFUSED, SERVFAIL, SOA, SRV, TXT, Dnsd,
                    Message, Upstream, addr, query, record, replicas, reply, soa)
from ports import free_port

ZONE = """$ORIGIN example.test.
$TTL 300
@ IN SOA ns host 1 3600 600 86400 60
@ IN NS ns
@ IN MX 10 mail
ns IN A 192.0.2.53
mail IN A 192.0.2.25
one IN A 192.0.2.1
many IN A 192.0.2.1
many IN A 192.0.2.2
many IN A 192.0.2.3
both IN A 192.0.2.4
both IN AAAA 2001:db8::4
c1 IN CNAME c2
c2 IN CNAME c3
c3 IN CNAME both
toempty IN CNAME one
tonothing IN CNAME nosuch
deep.empty IN A 192.0.2.5
*.wild IN A 192.0.2.6
_http._tcp IN SRV 1 2 80 one
""" + "mid IN TXT %s\n" % " ".join('"%s"' % (c * 200) for c in "abcd") \
    + "big IN TXT %s\n" % " ".join('"%s"' % (c * 250) for c in "abcdefghijkl") \
    + "odd IN TYPE65280 \\# 4 01020304\n"


def case(name, qtype=A, transport="udp", **how):
    return name, qtype, transport, how


HERE = "%s.example.test"
QUESTIONS = {
    "A": case(HERE % "one"),
    "several A": case(HERE % "many"),
    "AAAA": case(HERE % "both", AAAA),
    "chain to A": case(HERE % "c1"),
    "chain to AAAA": case(HERE % "c1", AAAA),
    "a CNAME itself": case(HERE % "c1", CNAME),
    "chain to no data": case(HERE % "toempty", AAAA),
    "chain to NXDOMAIN": case(HERE % "tonothing"),
    "NXDOMAIN": case(HERE % "nosuch"),
    "NXDOMAIN below a name": case(HERE % "a.one"),
    "no data": case(HERE % "one", AAAA),
    "no data at an empty name": case(HERE % "empty"),
    "wildcard": case(HERE % "x.wild"),
    "MX": case("example.test", MX),
    "SOA": case("example.test", SOA),
    "SRV": case(HERE % "_http._tcp", SRV),
    "unknown type": case(HERE % "odd", 65280),
    "case": case("OnE.eXaMpLe.TeSt"),
    "case of NXDOMAIN": case("nOsUcH.example.TEST"),
    "ANY": case(HERE % "both", ANY),
    "EDNS": case(HERE % "one", edns=1232),
    "EDNS 512": case(HERE % "mid", TXT, edns=512),
    "EDNS 300 counts as 512": case(HERE % "many", edns=300),
    "EDNS 4096": case(HERE % "mid", TXT, edns=4096),
    "800 bytes without EDNS": case(HERE % "mid", TXT),
    "800 bytes by TCP": case(HERE % "mid", TXT, "tcp"),
    "3000 bytes": case(HERE % "big", TXT, edns=1232),
    "3000 bytes, EDNS 4096": case(HERE % "big", TXT, edns=4096),
    "3000 bytes by TCP": case(HERE % "big", TXT, "tcp"),
    "3000 bytes by TCP with EDNS": case(HERE % "big", TXT, "tcp", edns=1232),
    "DO": case(HERE % "one", edns=1232, do=True),
    "DO, NXDOMAIN": case(HERE % "nosuch", edns=1232, do=True),
    "DO, no data": case(HERE % "one", AAAA, edns=1232, do=True),
    "DO by TCP": case(HERE % "c1", A, "tcp", edns=1232, do=True),
    "NXDOMAIN by TCP": case(HERE % "nosuch", A, "tcp"),
}

# What differs and why: (case, peer, field).  A difference that is not here fails the test, and so does an
# entry that is not seen any more.
AS_IT_CAME = "relayed as it came (network.md 4); the peer resolves and builds a reply of its own"
EXPLAINED = {
    ("*", "unbound", "ra"): AS_IT_CAME + ": our upstream here is authoritative and does not recurse",
    ("*", "unbound", "aa"): AS_IT_CAME,
    ("*", "unbound", "courtesy"): AS_IT_CAME + " without records nobody asked for",
    ("*ANY", "unbound", "*"): AS_IT_CAME + " from all it knows",
}
# Of Knot's mod-dnsproxy as of the authority itself: it keeps nothing and asks again.
for _who in ("authority", "knot"):
    for _case in ("again: *", "case", "case of NXDOMAIN", "NXDOMAIN by TCP"):
        EXPLAINED[(_case, _who, "aa")] = "out of our cache, so not authoritative (RFC 1034 4.3.1)"
LOCAL_EXPLAINED = {
    ("*", "*", "ra"): "these two serve nothing but their zones; we forward other names",
    ("*", "nsd", "courtesy"): "NSD adds the zone's NS records",
    ("ANY*", "*", "answer"): "one HINFO instead of everything (RFC 8482 4.2), on TCP too",
    ("PTR of nothing", "*", "authority"): "we have addresses, no reverse zone: each is its own apex",
}
ODD_EXPLAINED = {
    ("AXFR by UDP", "*", "rcode"): "REFUSED as over TCP; they say NOTIMP.  RFC 5936 4.2 leaves it open",
    ("type OPT", "*", "rcode"): "no type one can ask for (RFC 6891 6.1.1): FORMERR, not an empty NOERROR",
    ("bytes left over", "nsd", "rcode"): "FORMERR as of Knot; NSD reads over them",
    ("an answer in the query", "nsd", "rcode"): "read over, as Knot does",
    ("OPT not of the root", "knot", "rcode"): "FORMERR (RFC 6891 6.1.2: MUST be the root), as of NSD",
    ("a label of 64", "knot", "rcode"): "FORMERR where a header can be read, as of NSD; Knot is silent",
    ("a name of 256", "knot", "rcode"): "as before",
    ("a pointer as name", "knot", "rcode"): "as before",
    ("a question too few", "knot", "rcode"): "as before",
    ("question cut", "knot", "rcode"): "as before",
    ("two questions", "knot", "rcode"): "as before",
}

# The same names for the peers: a zone file, and the names of a deployment.
LOCAL_ZONE = """$ORIGIN jaco.internal.
$TTL 5
@ IN SOA jaco.internal. jaco.internal. 1 5 5 60 5
@ IN NS jaco.internal.
web.shop IN A 10.1.0.2
web.shop IN A 10.1.0.3
_80._tcp.web.shop IN SRV 0 0 80 0.web.shop
_80._tcp.web.shop IN SRV 0 0 80 1.web.shop
0.web.shop IN A 10.1.0.2
1.web.shop IN A 10.1.0.3
""" + "".join("many.shop IN A 10.1.0.%d\n" % i for i in range(10, 60))
POINTERS = """$ORIGIN 0.1.10.in-addr.arpa.
$TTL 5
@ IN SOA jaco.internal. jaco.internal. 1 5 5 60 5
@ IN NS jaco.internal.
2 IN PTR 0.web.shop.jaco.internal.
"""
WEB = "web.shop.jaco.internal"
LOCAL = {
    "A": case(WEB),
    "case": case("wEb.ShOp.jAcO.internal"),
    "A with EDNS": case(WEB, edns=4096),
    "A with DO": case(WEB, edns=1232, do=True),
    "A without RD": case(WEB, rd=False),
    "A by TCP": case(WEB, A, "tcp"),
    "AAAA": case(WEB, AAAA),
    "TXT": case(WEB, TXT),
    "unknown type": case(WEB, 65280),
    "NXDOMAIN": case("nosuch.shop.jaco.internal"),
    "NXDOMAIN, AAAA": case("nosuch.shop.jaco.internal", AAAA),
    "NXDOMAIN with EDNS": case("nosuch.shop.jaco.internal", edns=1232),
    "NXDOMAIN by TCP": case("nosuch.shop.jaco.internal", A, "tcp"),
    "below a name": case("x." + WEB),
    "one of them": case("1." + WEB),
    "SRV": case("_80._tcp." + WEB, SRV),
    "A of a port": case("_80._tcp." + WEB),
    "above the ports": case("_tcp." + WEB, SRV),
    "PTR": case("2.0.1.10.in-addr.arpa", PTR),
    "PTR of nothing": case("9.0.1.10.in-addr.arpa", PTR),
    "ANY": case(WEB, ANY),
    "ANY by TCP": case(WEB, ANY, "tcp"),
    "SOA": case("jaco.internal", SOA),
    "50 addresses": case("many.shop.jaco.internal"),
    "50 addresses, EDNS 600": case("many.shop.jaco.internal", edns=600),
    "50 addresses, EDNS": case("many.shop.jaco.internal", edns=1232),
    "50 addresses by TCP": case("many.shop.jaco.internal", A, "tcp"),
}


def changed(raw, at, *values):
    return raw[:at] + bytes(values) + raw[at + len(values):]


PLAIN, WITH_EDNS = query(WEB, qid=7), query(WEB, qid=7, edns=1232)
QUESTION = PLAIN[12:]
ODD = {
    "EDNS version 1": changed(WITH_EDNS, len(PLAIN) + 6, 1),
    "opcode 1": changed(PLAIN, 2, 0x09),
    "STATUS": changed(PLAIN, 2, 0x10),
    "opcode 15": changed(PLAIN, 2, 0x78),
    "class CH": changed(PLAIN, len(PLAIN) - 1, 3),
    "class 99": changed(PLAIN, len(PLAIN) - 1, 99),
    "AXFR by UDP": query(WEB, 252, qid=7),
    "type OPT": query(WEB, OPT, qid=7),
    "no question": changed(PLAIN, 4, 0, 0)[:12],
    "two questions": changed(PLAIN, 5, 2) + QUESTION,
    "a question too few": changed(PLAIN, 5, 2),
    "bytes left over": PLAIN + b"xyz",
    "two OPT": changed(WITH_EDNS, 11, 2) + WITH_EDNS[len(PLAIN):],
    "OPT cut": WITH_EDNS[:-1],
    "OPT longer than it is": changed(WITH_EDNS, len(WITH_EDNS) - 1, 9),
    "OPT not of the root": changed(PLAIN, 11, 1) + b"\1x" + WITH_EDNS[len(PLAIN):],
    "question cut": PLAIN[:-3],
    "a pointer as name": PLAIN[:12] + b"\xc0\x0c\0\1\0\1",
    "a label of 64": PLAIN[:12] + b"\x40" + b"x" * 64 + b"\0\0\1\0\1",
    "a name of 256": PLAIN[:12] + (b"\x3f" + b"x" * 63) * 4 + b"\0\0\1\0\1",
    "an answer in the query": changed(PLAIN, 7, 1) + record(A, 5, bytes(4)),
    "a reply": changed(PLAIN, 2, 0x81),
    "11 bytes": PLAIN[:11],
}


def failing(rcode, **how):
    return lambda raw, transport: reply(raw, rcode, **how)


def good(raw, transport):
    return reply(raw, answers=[addr("192.0.2.1")])


def slow(raw, transport):
    time.sleep(0.25)
    return good(raw, transport)


def silent(raw, transport):
    return None


def only_without_edns(raw, transport):
    return reply(raw, FORMERR, opt=False) if Message(raw).opt else good(raw, transport)


def forged(raw, transport):
    return [changed(good(raw, transport), 0, raw[0] ^ 255), good(raw, transport)]


DEAD = None  # nobody at that port
# What is wrong with the upstreams, in order; what network.md 4 makes of it.
FAILURES = {
    "dead, good": ([DEAD, good], NOERROR),
    "silent, good": ([silent, good], NOERROR),
    "SERVFAIL, good": ([failing(SERVFAIL), good], NOERROR),
    "REFUSED, good": ([failing(REFUSED), good], NOERROR),
    "NOTIMP, good": ([failing(NOTIMP), good], NOERROR),
    "slow": ([slow], NOERROR),
    "forged, then good": ([forged], NOERROR),
    "NXDOMAIN": ([failing(NXDOMAIN, authority=[soa()])], NXDOMAIN),
    "NXDOMAIN without SOA": ([failing(NXDOMAIN)], NXDOMAIN),
    "dead, NXDOMAIN": ([DEAD, failing(NXDOMAIN, authority=[soa()])], NXDOMAIN),
    "dead": ([DEAD], SERVFAIL),
    "silent": ([silent], SERVFAIL),
    "SERVFAIL": ([failing(SERVFAIL)], SERVFAIL),
    "REFUSED": ([failing(REFUSED)], SERVFAIL),
    "NOTIMP": ([failing(NOTIMP)], SERVFAIL),
    "SERVFAIL, REFUSED, dead": ([failing(SERVFAIL), failing(REFUSED), DEAD], SERVFAIL),
    "no EDNS": ([only_without_edns], NOERROR),
}

@pytest.fixture(scope="module")
def world(tmp_path_factory):
    directory = tmp_path_factory.mktemp("peers")
    things = []

    class World:
        dir = directory

        def add(self, thing):
            things.append(thing)
            return thing

        def file(self, name, text):
            (directory / name).write_text(text)
            return directory / name

    yield World()
    for thing in reversed(things):
        thing.close()


@pytest.fixture(scope="module", params=["knot, signed", "nsd"])
def forwarders(world, request):
    zones = [("example.test.", world.file("example.zone", ZONE))]
    probe = "one.example.test"
    up = world.add(nsd_authority(world.dir, probe, zones) if request.param == "nsd"
                   else knot_authority(world.dir, probe, zones, True))
    return {"authority": up, "dnsd": world.add(Dnsd(world.dir, ["127.0.0.1:%d" % up.port])),
            "unbound": world.add(unbound_forwarder(world.dir, probe, [up.port])),
            "knot": world.add(knot_proxy(world.dir, probe, up.port))}


@pytest.fixture(scope="module")
def locals_(world):
    zones = [("jaco.internal.", world.file("jaco.zone", LOCAL_ZONE)),
             ("0.1.10.in-addr.arpa.", world.file("ptr.zone", POINTERS))]
    services = [{"name": "web", "replicas": replicas("10.1.0.2", "10.1.0.3")},
                {"name": "many", "replicas": replicas(*["10.1.0.%d" % i for i in range(10, 60)])}]
    return {"dnsd": world.add(Dnsd(world.dir, services=services)),
            "nsd": world.add(nsd_authority(world.dir, WEB, zones)),
            "knot": world.add(knot_authority(world.dir, WEB, zones, False))}


def check(found, explained):
    wrong, gone = unmatched(found, explained)
    for key, values in sorted(wrong.items()):
        print(key, "\n   ours  ", str(values[0])[:200], "\n   theirs", str(values[1])[:200])
    assert not wrong and not gone, (sorted(wrong), gone)


def compare_all(servers, questions, turn=""):
    found = {}
    for name, (qname, qtype, transport, how) in questions.items():
        raw = query(qname, qtype, **how)
        got = {who: ask(server.port, raw, transport) for who, server in servers.items()}
        found.update(differences(turn + name, got.pop("dnsd"), got))
    return found


def test_forwarded(forwarders):
    found = compare_all(forwarders, QUESTIONS)
    found.update(compare_all(forwarders, QUESTIONS, "again: "))
    check(found, EXPLAINED)


def test_local(locals_):
    check(compare_all(locals_, LOCAL), LOCAL_EXPLAINED)


def test_odd(locals_):
    found = {}
    for name, raw in ODD.items():
        rcodes = {who: rcode_or_silence(server.port, raw) for who, server in locals_.items()}
        ours = rcodes.pop("dnsd")
        found.update({(name, who, "rcode"): (ours, theirs) for who, theirs in rcodes.items() if theirs != ours})
    check(found, ODD_EXPLAINED)


def failure_peer(directory, behaviours, ports):
    """Unbound takes up to minutes once one that never answers is in its random choice; Knot, with the last
    upstream only, is asked then."""
    if DEAD in behaviours or silent in behaviours:
        return "knot", knot_proxy(directory, "localhost", ports[-1])
    return "unbound", unbound_forwarder(directory, "localhost", ports)


@pytest.mark.parametrize("name", FAILURES)
def test_failing_upstreams(tmp_path, name):
    behaviours, wanted = FAILURES[name]
    with contextlib.ExitStack() as stack:
        def closing(thing):
            stack.callback(thing.close)
            return thing

        ports = [closing(Upstream(b)).port if b else free_port() for b in behaviours]
        patience = "1s" if silent in behaviours else "10s"
        dnsd = closing(Dnsd(tmp_path, ["127.0.0.1:%d" % p for p in ports], forwarder_timeout=patience))
        who, peer = failure_peer(tmp_path, behaviours, ports)
        closing(peer)
        raw = query("some.example.com", edns=1232)
        assert ask(dnsd.port, raw).rcode == wanted
        theirs = ask(peer.port, raw).rcode
        assert theirs == wanted, (who, theirs)
