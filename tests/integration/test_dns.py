# SPDX-License-Identifier: Apache-2.0
"""jaco-dnsd --standalone with real sockets: what a name means, and what happens to all other names when
upstreams are dead, slow, wrong or short of room."""
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from dnslib import (A, AAAA, ANY, DNSD, FORMERR, NOERROR, NOTIMP, NXDOMAIN, REFUSED, SERVFAIL, SOA, SRV,
                    TXT, LIMIT, Dnsd, Message, Upstream, addr, query, read_framed, record, replicas, reply,
                    send_framed, soa)
from ports import free_port


@pytest.fixture
def made(tmp_path):
    """Things to be closed when the test is over."""
    things = []

    class Make:
        def upstream(self, behave=None, **how):
            things.append(Upstream(behave, **how))
            return things[-1]

        def dnsd(self, *upstreams, **how):
            names = [u if isinstance(u, str) else "127.0.0.1:%d" % u.port for u in upstreams]
            things.append(Dnsd(tmp_path, names, **how))
            return things[-1]

    yield Make()
    for thing in reversed(things):
        thing.close()


def failing(rcode):
    return lambda raw, transport: reply(raw, rcode)


def silent(raw, transport):
    return None


# --- names of the scope ---

def test_a_service_is_answered_over_both_transports(made):
    d = made.dnsd()
    for got in (d.ask("web"), d.ask_tcp("Web.Shop.Jaco.Internal")):
        assert got.rcode == NOERROR and got.aa and not got.tc
        assert sorted(got.addresses) == ["10.1.0.2", "10.1.0.3"]
        assert all(r.ttl == 5 for r in got.answers)
    assert d.ask_tcp("wEb.shop").question[0] == "wEb.shop"


def test_dig_and_kdig_read_our_answers(made):
    d = made.dnsd()
    ran = 0
    for tool in ("dig", "kdig"):
        if not shutil.which(tool):
            continue
        for extra in ([], ["+tcp"], ["+dnssec"], ["+noedns"]):
            out = subprocess.run([tool, "@127.0.0.1", "-p", str(d.port), "+short", "web.shop", "A"] + extra,
                                 capture_output=True, text=True, timeout=60)
            assert sorted(out.stdout.split()) == ["10.1.0.2", "10.1.0.3"], out
            ran += 1
        full = subprocess.run([tool, "@127.0.0.1", "-p", str(d.port), "nosuch.jaco.internal", "A"],
                              capture_output=True, text=True, timeout=60).stdout
        assert "NXDOMAIN" in full and "SOA" in full
    assert ran >= 4


def test_absence_is_told_at_once_and_never_asked_of_upstreams(made):
    u = made.upstream()
    d = made.dnsd(u, services=[{"name": "idle"}])
    for name in ("nosuch", "api", "api.blog", "0.api.blog", "api.blog.jaco.internal", "x.jaco.internal",
                 "_80._tcp.nosuch"):
        assert d.ask(name).rcode == NXDOMAIN, name
    got = d.ask("idle")
    assert got.rcode == NOERROR and not got.answers
    assert got.authority[0].type == SOA and got.authority[0].ttl <= 5
    assert struct.unpack(">I", got.authority[0].data[-4:])[0] <= 5
    assert u.count() == 0


def test_order_of_answers_changes(made):
    d = made.dnsd(services=[{"name": "web", "replicas": replicas(*["10.1.0.%d" % i for i in range(2, 8)])}])
    assert len({d.ask("web").addresses[0] for _ in range(100)}) == 6


def test_truncation_over_udp_and_the_whole_over_tcp(made):
    many = replicas(*["10.1.%d.%d" % (i // 200, i % 200 + 1) for i in range(100)])
    d = made.dnsd(services=[{"name": "many", "replicas": many}])
    plain, edns, tcp = d.ask("many"), d.ask("many", edns=4096), d.ask_tcp("many")
    assert plain.tc and len(plain.raw) <= 512 and plain.answers
    assert not edns.tc and len(edns.raw) <= 1232 and len(edns.answers) == 64
    assert not tcp.tc and len(tcp.answers) == 64


def ask_from(port, source, name, transport):
    """What the listener at @port says to a client at the address @source."""
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as s:
        s.settimeout(LIMIT)
        s.bind((source, 0))
        s.connect(("127.0.0.1", port))
        if transport == "tcp":
            send_framed(s, query(name))
            return read_framed(s)
        s.send(query(name))
        return Message(s.recv(4096))


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_container_on_two_networks_knows_the_names_of_both_at_either_gateway(made, transport):
    u, back = made.upstream(), free_port()

    def app(address, state):
        return {"name": "app", "replicas": [dict(index=0, host="n1", address=address, state=state)]}

    d = made.dnsd(u)
    d.table["listeners"].append({"address": "127.0.0.1:%d" % back, "scope": "shop/back"})
    d.table["scopes"][0]["services"].append(app("127.0.0.2", "starting"))
    d.table["scopes"].append({"deployment": "shop", "network": "back", "internal": True, "services": [
        {"name": "db", "replicas": replicas("10.3.0.2")}, app("127.0.0.3", "starting")]})
    d.write()
    d.reload()
    assert ask_from(d.port, "127.0.0.2", "db", transport).addresses == ["10.3.0.2"]
    assert sorted(ask_from(back, "127.0.0.3", "Web.Shop", transport).addresses) == ["10.1.0.2", "10.1.0.3"]
    assert ask_from(back, "127.0.0.3", "example.com", transport).addresses == ["192.0.2.1"]
    assert u.count() == 1
    for source in ("127.0.0.1", "127.0.0.4"):
        assert ask_from(d.port, source, "db", transport).rcode == NXDOMAIN
        assert ask_from(back, source, "web", transport).rcode == NXDOMAIN
        assert ask_from(back, source, "example.com", transport).rcode == REFUSED
    d.table["scopes"][-1]["services"].pop()
    d.write()
    d.reload()
    assert ask_from(back, "127.0.0.3", "web", transport).rcode == NXDOMAIN


# --- forwarding ---

def test_replies_are_relayed_as_they_came(made):
    rrsig = record(46, 300, b"\0\1\5\2\0\0\1\54" + b"\0" * 10 + b"\0sig")
    u = made.upstream(lambda raw, t: reply(raw, answers=[addr("192.0.2.7"), rrsig], flags=0x20))
    d = made.dnsd(u)
    got = d.ask("Example.COM", edns=4096, do=True)
    asked = u.asked[0][1]
    assert asked.opt.ttl & 0x8000 and asked.opt.rclass == 1232
    assert got.ad and not got.aa and got.opt.ttl & 0x8000
    assert [r.type for r in got.answers] == [A, 46] and got.answers[1].data.endswith(b"sig")
    assert got.question[0] == "Example.COM"
    assert made.dnsd(u).ask("plain.example").opt is None


@pytest.mark.parametrize("rcode", [SERVFAIL, REFUSED, NOTIMP])
def test_the_next_upstream_is_asked_when_one_fails(made, rcode):
    bad, good = made.upstream(failing(rcode)), made.upstream()
    d = made.dnsd(bad, good)
    assert d.ask("example.com").addresses == ["192.0.2.1"]
    assert bad.count() == 1 and good.count() == 1


def test_an_upstream_from_before_edns_is_asked_again_without_it(made):
    def old(raw, transport):
        return reply(raw, FORMERR, opt=False) if Message(raw).opt else good(raw, transport)

    def good(raw, transport):
        return reply(raw, answers=[addr("192.0.2.9")], flags=0x0200 if transport == "udp" else 0)

    u = made.upstream(old)
    got = made.dnsd(u).ask_tcp("example.com", edns=1232)
    assert got.addresses == ["192.0.2.9"] and got.opt is None
    assert [(t, m.opt is None) for t, m in u.asked] == [("udp", False), ("udp", True), ("tcp", True)]
    # an error that EDNS did not cause is asked of the next one, which hears EDNS again
    bad, other = made.upstream(failing(FORMERR)), made.upstream()
    assert made.dnsd(bad, other).ask("example.com", edns=1232).opt is not None
    assert bad.count() == 2 and other.count() == 1
    assert made.dnsd(bad).ask("example.com").rcode == SERVFAIL and bad.count() == 3


def test_a_dead_upstream_costs_nothing_and_a_silent_one_its_timeout(made):
    good = made.upstream()
    d = made.dnsd("127.0.0.1:%d" % free_port(), good, forwarder_timeout="60s")
    assert d.ask("example.com", limit=30).addresses, "before a timeout of the dead one"
    hush = made.upstream(silent)
    d = made.dnsd(hush, good, forwarder_timeout="1s")
    began = time.monotonic()
    assert d.ask("example.org").addresses == ["192.0.2.1"]
    assert time.monotonic() - began >= 0.99
    assert hush.count() == 1


def test_nxdomain_wins_and_is_not_asked_again(made):
    nx, other = made.upstream(lambda raw, t: reply(raw, NXDOMAIN, authority=[soa()])), made.upstream()
    got = made.dnsd(nx, other).ask("nosuch.example.com")
    assert got.rcode == NXDOMAIN and got.authority[0].type == SOA
    assert other.count() == 0


def test_all_failed_is_servfail_never_nxdomain(made):
    d = made.dnsd(made.upstream(failing(REFUSED)), made.upstream(silent),
                  "127.0.0.1:%d" % free_port(), forwarder_timeout="1s")
    got = d.ask("example.com", edns=1232)
    assert got.rcode == SERVFAIL and got.question[0] == "example.com" and got.opt is not None
    assert made.dnsd().ask("example.com").rcode == SERVFAIL


def test_nonsense_and_forgeries_are_not_taken_for_answers(made):
    def behave(raw, transport):
        forged = bytearray(reply(raw, answers=[addr("203.0.113.66")]))
        forged[0] ^= 0xff
        other = bytearray(reply(raw, answers=[addr("203.0.113.66")]))
        other[13] ^= 1  # another name
        query_back = bytearray(reply(raw, answers=[addr("203.0.113.66")]))
        query_back[2] &= 0x7f
        return [b"", b"x", bytes(forged), bytes(other), bytes(query_back), raw[:2] + b"\x80",
                reply(raw, answers=[addr("192.0.2.1")])]

    d = made.dnsd(made.upstream(behave))
    assert d.ask("example.com").addresses == ["192.0.2.1"]
    cut = made.dnsd(made.upstream(lambda raw, t: reply(raw, answers=[addr("1.2.3.4")], opt=False)[:-2]),
                    made.upstream())
    assert cut.ask("example.com").addresses == ["192.0.2.1"]


def test_upstream_ids_and_ports_are_random(made):
    peers = []

    class Noting(Upstream):
        def answer_udp(self, raw, peer):
            peers.append(peer[1])
            Upstream.answer_udp(self, raw, peer)

    u = Noting()
    d = made.dnsd(u)
    for i in range(40):
        d.ask("n%d.example.com" % i, qid=7)
    assert len({m.id for _, m in u.asked}) > 35
    assert len(set(peers)) > 35
    u.close()


def test_truncated_replies_reach_udp_clients_and_tcp_clients_get_the_whole(made):
    def behave(raw, transport):
        if transport == "udp":
            return reply(raw, flags=0x0200)
        return reply(raw, answers=[addr("192.0.2.%d" % i) for i in range(1, 200)])

    u = made.upstream(behave)
    d = made.dnsd(u)
    got = d.ask("big.example.com", edns=1232)
    assert got.tc and got.rcode == NOERROR and u.asked[-1][0] == "udp"
    got = d.ask_tcp("big.example.com", edns=1232)
    assert not got.tc and len(got.answers) == 199 and u.asked[-1][0] == "tcp"


def test_a_cached_answer_too_long_for_udp_is_cut(made):
    def behave(raw, transport):
        if transport == "udp":
            return reply(raw, flags=0x0200)
        return reply(raw, answers=[addr("192.0.2.%d" % i) for i in range(1, 60)])

    d = made.dnsd(made.upstream(behave))
    assert len(d.ask_tcp("big.example.com").answers) == 59
    got = d.ask("big.example.com")
    assert got.tc and len(got.raw) <= 512


def test_tcp_clients_are_served_by_an_upstream_without_tcp(made):
    d = made.dnsd(made.upstream(tcp=False))
    assert d.ask_tcp("example.com").addresses == ["192.0.2.1"]


def test_identical_queries_are_asked_once_and_all_answered(made):
    all_came = threading.Event()

    def behave(raw, transport):
        all_came.wait(LIMIT)
        return reply(raw, answers=[addr("192.0.2.1", ttl=0)])

    u = made.upstream(behave)
    d = made.dnsd(u, forwarder_timeout="60s")
    clients = [d.udp() for _ in range(50)]
    for i, c in enumerate(clients):
        name = "".join(x.upper() if (i >> k) & 1 else x for k, x in enumerate("slow.example.com"))
        c.send(query(name, qid=1000 + i, edns=1232, options=b"\0\x0a\0\x08" + bytes([i]) * 8))
    deadline = time.monotonic() + LIMIT
    while d.metrics()["coalesced_total"] < 49:
        assert time.monotonic() < deadline
    all_came.set()
    for i, c in enumerate(clients):
        got = Message(c.recv(4096))
        assert got.id == 1000 + i and got.addresses == ["192.0.2.1"]
        assert got.question[0] == "".join(
            x.upper() if (i >> k) & 1 else x for k, x in enumerate("slow.example.com"))
        c.close()
    assert u.count() == 1
    assert d.metrics()["coalesced_total"] == 49


# --- servers that a service has of its own ---

def with_servers(made, own, node, **table):
    """web at 127.0.0.2 asks @own, app at 127.0.0.3 the node's upstream."""
    d = made.dnsd(node)
    d.table["scopes"][0]["services"] = [
        {"name": "web", "dns": ["127.0.0.1:%d" % u.port for u in own], "replicas": replicas("127.0.0.2")},
        {"name": "app", "replicas": replicas("127.0.0.3")}]
    d.write()
    d.reload()
    return d


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_service_asks_its_own_servers_and_answers_are_kept_apart(made, transport):
    own = made.upstream(lambda raw, t: reply(raw, answers=[addr("203.0.113.7")]))
    node = made.upstream()
    d = with_servers(made, [own], node)
    for _ in range(2):  # asked, then kept
        assert ask_from(d.port, "127.0.0.2", "example.com", transport).addresses == ["203.0.113.7"]
        assert ask_from(d.port, "127.0.0.3", "Example.com", transport).addresses == ["192.0.2.1"]
        assert ask_from(d.port, "127.0.0.1", "example.com", transport).addresses == ["192.0.2.1"]
    assert (own.count(), node.count()) == (1, 1)
    assert ask_from(d.port, "127.0.0.2", "app", transport).addresses == ["127.0.0.3"]
    assert ask_from(d.port, "127.0.0.2", "nobody", transport).rcode == NXDOMAIN
    assert own.count() == 1


def test_questions_under_way_are_not_shared_between_lists(made):
    gate = threading.Event()

    def slow(address):
        return lambda raw, t: gate.wait(LIMIT) and reply(raw, answers=[addr(address)])

    own, node = made.upstream(slow("203.0.113.7")), made.upstream(slow("192.0.2.1"))
    d = with_servers(made, [own], node)
    clients = [(ip, socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for ip in ("127.0.0.2", "127.0.0.3") * 5]
    for ip, s in clients:
        s.settimeout(LIMIT)
        s.bind((ip, 0))
        s.connect(("127.0.0.1", d.port))
        s.send(query("slow.example.com"))
    end = time.monotonic() + LIMIT
    while (own.count(), node.count()) != (1, 1):
        assert time.monotonic() < end
        time.sleep(0.005)
    # a change of the lists does not take the question under way to other servers
    d.table["scopes"][0]["services"][0]["dns"] = ["127.0.0.1:%d" % node.port]
    d.write()
    d.reload()
    gate.set()
    for ip, s in clients:
        assert Message(s.recv(4096)).addresses == [{"127.0.0.2": "203.0.113.7", "127.0.0.3": "192.0.2.1"}[ip]]
        s.close()
    assert ask_from(d.port, "127.0.0.2", "slow.example.com", "udp").addresses == ["192.0.2.1"]
    assert (own.count(), node.count()) == (1, 2)  # the same server, but not the same list


def test_own_servers_fail_alone_and_in_their_order(made):
    dead, own, node = made.upstream(failing(SERVFAIL)), made.upstream(), made.upstream()
    d = with_servers(made, [dead, own], node)
    assert ask_from(d.port, "127.0.0.2", "a.example", "udp").rcode == NOERROR
    assert (dead.count(), own.count()) == (1, 1)
    own.behave = failing(REFUSED)
    assert ask_from(d.port, "127.0.0.2", "b.example", "udp").rcode == SERVFAIL and node.count() == 0
    assert ask_from(d.port, "127.0.0.3", "b.example", "udp").rcode == NOERROR
    # none that may be asked: no answer, rather than one of somebody else's servers
    d.table["scopes"][0]["services"][0]["dns"] = ["127.0.0.11", "127.0.0.1:%d" % d.port]
    d.write()
    d.reload()
    assert ask_from(d.port, "127.0.0.2", "c.example", "udp").rcode == SERVFAIL and node.count("c.example") == 0
    assert d.log_text().count("server of a service ignored") == 2


# --- cache ---

def test_an_answer_is_kept_and_grows_older(made):
    u = made.upstream(lambda raw, t: reply(raw, answers=[addr("192.0.2.1", ttl=300)]))
    d = made.dnsd(u)
    assert d.ask("example.com").answers[0].ttl == 300
    deadline = time.monotonic() + LIMIT
    while d.ask("EXAMPLE.com").answers[0].ttl == 300:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert 250 <= d.ask("example.com").answers[0].ttl < 300
    assert u.count() == 1
    assert d.ask("example.com", AAAA).rcode == NOERROR and u.count() == 2


def test_ttl_zero_servfail_and_truncated_answers_are_not_kept(made):
    u = made.upstream(lambda raw, t: reply(raw, answers=[addr("192.0.2.1", ttl=0)]))
    d = made.dnsd(u)
    d.ask("zero.example")
    d.ask("zero.example")
    assert u.count() == 2
    u.behave = failing(SERVFAIL)
    d.ask("fail.example")
    d.ask("fail.example")
    assert u.count("fail.example") == 2


def test_absence_is_kept_by_its_soa_only(made):
    u = made.upstream(lambda raw, t: reply(raw, NXDOMAIN, authority=[soa(ttl=300, minimum=60)]))
    d = made.dnsd(u)
    assert [d.ask("nx.example").rcode for _ in range(3)] == [NXDOMAIN] * 3
    assert u.count() == 1
    u.behave = failing(NXDOMAIN)
    assert [d.ask("bare.example").rcode for _ in range(2)] == [NXDOMAIN] * 2
    assert u.count("bare.example") == 2


def test_a_stale_answer_serves_when_no_upstream_does(made):
    u = made.upstream(lambda raw, t: reply(raw, answers=[addr("192.0.2.1", ttl=1)]))
    d = made.dnsd(u)
    assert d.ask("example.com").answers[0].ttl == 1
    u.behave = failing(SERVFAIL)
    end = time.monotonic() + 1.1
    while time.monotonic() < end:
        assert d.ask("example.com").addresses == ["192.0.2.1"]
        time.sleep(0.05)
    got = d.ask("example.com")
    assert got.rcode == NOERROR and got.addresses == ["192.0.2.1"] and got.answers[0].ttl <= 30
    assert d.metrics()["stale_total"] >= 1
    assert d.ask("never.example").rcode == SERVFAIL


def test_the_cache_is_bounded(made):
    d = made.dnsd(made.upstream(), cache_bytes=20000)
    for i in range(400):
        d.ask("n%d.example.com" % i)
    assert d.ask("n399.example.com").addresses
    m = d.metrics()
    assert m["cache_hits_total"] == 1
    d.ask("n0.example.com")
    assert d.metrics()["cache_hits_total"] == 1


# --- TCP ---

def test_pipelined_queries_are_answered_out_of_order(made):
    gate = threading.Event()

    def behave(raw, transport):
        gate.wait(LIMIT)
        return reply(raw, answers=[addr("192.0.2.1")])

    d = made.dnsd(made.upstream(behave), forwarder_timeout="60s")
    with d.tcp() as s:
        sent = [query("slow%d.example.com" % i, qid=i) for i in range(10)]
        sent += [query("web", qid=100 + i) for i in range(90)]
        send_framed(s, *sent)
        early = [read_framed(s) for _ in range(90)]
        assert sorted(m.id for m in early) == list(range(100, 190))
        gate.set()
        late = [read_framed(s) for _ in range(10)]
        assert sorted(m.id for m in late) == list(range(10))
        assert all(m.addresses == ["192.0.2.1"] for m in late)


def test_a_query_may_come_byte_by_byte_and_the_client_may_close_its_half(made):
    d = made.dnsd()
    with d.tcp() as s:
        raw = query("web", qid=5)
        for b in struct.pack(">H", len(raw)) + raw:
            s.send(bytes([b]))
        assert read_framed(s).id == 5
        send_framed(s, query("web", qid=6), query("web", qid=7))
        s.shutdown(socket.SHUT_WR)
        assert {read_framed(s).id, read_framed(s).id} == {6, 7}
        assert s.recv(1) == b""


def test_two_thousand_pipelined_queries_and_a_reader_that_sleeps(made):
    d = made.dnsd()
    with d.tcp() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        writer = threading.Thread(
            target=lambda: send_framed(s, *[query("web", qid=i) for i in range(2000)]))
        writer.start()
        time.sleep(0.2)
        assert sorted(read_framed(s).id for _ in range(2000)) == list(range(2000))
        writer.join()
        assert d.ask("web").addresses


def test_idle_connections_end_and_the_oldest_makes_room(made):
    d = made.dnsd(tcp_idle_timeout="300ms", tcp_connections=4)
    began = time.monotonic()
    with d.tcp() as s:
        assert s.recv(1) == b""
        assert time.monotonic() - began >= 0.29
    d.table["tcp_idle_timeout"] = "60s"
    d.write()
    d.reload()
    conns = [d.tcp() for _ in range(4)]
    for c in conns:
        send_framed(c, query("web"))
        read_framed(c)
    last = d.tcp()
    send_framed(last, query("web"))
    assert read_framed(last).addresses
    assert conns[0].recv(1) == b""
    send_framed(conns[3], query("web"))
    assert read_framed(conns[3]).addresses
    for c in conns + [last]:
        c.close()


# --- hostile input ---

def test_malformed_packets_get_formerr_or_silence_and_nothing_larger(made):
    d = made.dnsd(made.upstream())
    rng = random.Random(20261121)
    with d.udp(0.05) as s:
        for i in range(3000):
            raw = bytearray(query("web.shop", rng.choice([A, AAAA, SRV, ANY, TXT]), edns=rng.choice([None, 1232])))
            for _ in range(rng.randrange(1, 6)):
                raw[rng.randrange(len(raw))] = rng.randrange(256)
            raw = raw[:rng.randrange(len(raw) + 1)] + bytes(rng.randrange(256) for _ in range(rng.choice([0, 0, 3])))
            s.send(bytes(raw))
            if i % 50 == 0:
                assert d.ask("web").rcode == NOERROR
    with d.udp() as s:
        s.send(b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01")
        got = Message(s.recv(512))
        assert got.rcode == FORMERR and len(got.raw) == 12
        s.settimeout(0.2)
        for quiet in (b"", b"\x12", query("web")[:11], b"\x12\x34\x81\x00" + query("web")[4:]):
            s.send(quiet)
            with pytest.raises(socket.timeout):
                s.recv(512)
    assert d.process.poll() is None


def test_wrong_frames_cost_only_their_connection(made):
    d = made.dnsd()
    with d.tcp() as good:
        for junk in (b"\0\0", b"\0\5hello", b"\xff\xff" + b"x" * 65535, b"\0\x0c" + b"\x80" * 12):
            with d.tcp() as s:
                s.sendall(junk)
                s.shutdown(socket.SHUT_WR)
                while s.recv(4096):
                    pass
        send_framed(good, query("web"))
        assert read_framed(good).addresses


def test_a_datagram_of_64k_is_a_format_error(made):
    d = made.dnsd()
    with d.udp() as s:
        s.send(query("web") + b"\0" * 60000)
        assert Message(s.recv(4096)).rcode == FORMERR


# --- the file ---

def test_reload_changes_names_and_loses_no_query(made):
    d = made.dnsd()
    d.table["scopes"][0]["services"].append({"name": "new", "replicas": replicas("10.1.0.9")})
    stop, lost, n = threading.Event(), [], [0]

    def load():
        while not stop.is_set():
            try:
                assert d.ask("web").addresses
                n[0] += 1
            except (OSError, AssertionError) as e:
                lost.append(repr(e))

    thread = threading.Thread(target=load)
    thread.start()
    assert d.ask("new").rcode == NXDOMAIN
    with d.tcp() as s:
        reloads = 0
        while (reloads < 20 or n[0] <= 20) and not lost:
            d.write()
            d.reload()
            reloads += 1
        send_framed(s, query("new"))
        assert read_framed(s).addresses == ["10.1.0.9"]
    stop.set()
    thread.join()
    assert not lost
    assert d.ask("new").addresses == ["10.1.0.9"]


def test_a_wrong_file_keeps_the_old_tables(made):
    d = made.dnsd()
    with open(d.path, "w") as f:
        f.write('{"listeners": 1}')
    d.reload("not reloaded")
    assert "listeners" in d.log_text()
    assert d.ask("web").addresses


def test_listeners_come_and_go_with_the_file(made):
    d = made.dnsd()
    port = free_port()
    d.table["listeners"].append({"address": "127.0.0.1:%d" % port, "scope": "blog"})
    d.write()
    d.reload()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(LIMIT)
        s.connect(("127.0.0.1", port))
        s.send(query("api"))
        assert Message(s.recv(512)).addresses == ["10.2.0.2"]
        s.send(query("web"))
        assert Message(s.recv(512)).rcode == NXDOMAIN
        d.table["listeners"].pop()
        d.write()
        d.reload()
        s.send(query("api"))
        with pytest.raises(ConnectionRefusedError):
            s.recv(512)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=LIMIT)


def test_an_upstream_that_is_ourselves_is_refused(made, tmp_path):
    d = made.dnsd()
    d.table["forwarders"] = ["127.0.0.1:%d" % d.port, "127.0.0.11"]
    d.table["forwarder_timeout"] = "60s"
    d.write()
    d.reload()
    assert d.log_text().count("would come back to us") == 2
    assert d.log_text().count("no usable upstream") == 2
    assert d.ask("example.com", limit=30).rcode == SERVFAIL, "without waiting for anybody"


def test_check_reads_only(tmp_path):
    path = tmp_path / "bad.json"
    path.write_text('{"listeners": [{"address": "127.0.0.1:1", "scope": "x"}], "scopes": []}')
    out = subprocess.run([DNSD, "--standalone", str(path), "--check"], capture_output=True, text=True)
    assert out.returncode == 65 and "there is no scope x/default" in out.stderr


def test_it_runs_as_nobody(made, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root to become nobody")
    for part in [tmp_path] + list(tmp_path.parents):
        if str(part).startswith("/tmp/"):
            os.chmod(part, 0o755)
    assert made.dnsd(user="nobody").ask("web").addresses


def test_two_hundred_upstream_queries_at_once(made):
    u = made.upstream()
    d = made.dnsd(u, forwarder_timeout="60s")
    clients = [d.udp() for _ in range(200)]
    for i, c in enumerate(clients):
        c.send(query("n%d.example.com" % i, qid=i))
    for i, c in enumerate(clients):
        got = Message(c.recv(4096))
        assert got.id == i and got.addresses == ["192.0.2.1"]
        c.close()
    assert u.count() == 200
