# SPDX-License-Identifier: Apache-2.0
"""What test_dns.py needs of DNS: queries as bytes, replies as values, an upstream that misbehaves on
request, and jaco-dnsd --standalone as a process."""
import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import threading
import time

from ports import free_port

A, NS, SOA, PTR, TXT, AAAA, SRV, OPT, ANY = 1, 2, 6, 12, 16, 28, 33, 41, 255
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
BUILD = os.environ.get("JACO_BUILD") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "..", "build")
DNSD = os.path.join(BUILD, "daemons", "dnsd", "jaco-dnsd")
LIMIT = 30  # seconds for what takes milliseconds on a machine that has time


def wire_name(name):
    labels = [x for x in name.split(".") if x]
    return b"".join(bytes([len(x)]) + x.encode() for x in labels) + b"\0"


def query(name, qtype=A, qid=None, edns=None, do=False, rd=True, options=b""):
    qid = random.randrange(65536) if qid is None else qid
    msg = struct.pack(">HHHHHH", qid, 0x0100 if rd else 0, 1, 0, 0, 1 if edns else 0)
    msg += wire_name(name) + struct.pack(">HH", qtype, 1)
    if edns:
        msg += b"\0" + struct.pack(">HHIH", OPT, edns, 0x8000 if do else 0, len(options)) + options
    return msg


def read_name(msg, at):
    labels, end, hops = [], None, 0
    while msg[at]:
        if msg[at] >= 0xc0:
            end = at + 2 if end is None else end
            at = struct.unpack(">H", msg[at:at + 2])[0] & 0x3fff
            hops += 1
            assert hops < 64
            continue
        labels.append(msg[at + 1:at + 1 + msg[at]].decode("latin-1"))
        at += 1 + msg[at]
    return ".".join(labels), (at + 1 if end is None else end)


class Record:
    def __init__(self, name, rtype, rclass, ttl, data):
        self.name, self.type, self.rclass, self.ttl, self.data = name, rtype, rclass, ttl, data


class Message:
    """A message, read; every section must parse and nothing may be left over."""

    def __init__(self, raw):
        self.raw = raw
        self.id, self.flags, nq, na, nn, nr = struct.unpack(">HHHHHH", raw[:12])
        self.rcode = self.flags & 15
        at, self.question = 12, None
        for _ in range(nq):
            name, at = read_name(raw, at)
            self.question = (name,) + struct.unpack(">HH", raw[at:at + 4])
            at += 4
        self.sections = [[], [], []]
        for section, n in enumerate((na, nn, nr)):
            for _ in range(n):
                name, at = read_name(raw, at)
                rtype, rclass, ttl, size = struct.unpack(">HHIH", raw[at:at + 10])
                at += 10
                self.sections[section].append(Record(name, rtype, rclass, ttl, raw[at:at + size]))
                at += size
        assert at == len(raw), "bytes left over"

    answers = property(lambda self: self.sections[0])
    authority = property(lambda self: self.sections[1])
    tc = property(lambda self: bool(self.flags & 0x0200))
    aa = property(lambda self: bool(self.flags & 0x0400))
    ad = property(lambda self: bool(self.flags & 0x0020))
    opt = property(lambda self: next((r for r in self.sections[2] if r.type == OPT), None))

    @property
    def addresses(self):
        return [socket.inet_ntoa(r.data) for r in self.answers if r.type == A]


def record(rtype, ttl, data, name=b"\xc0\x0c"):
    return name + struct.pack(">HHIH", rtype, 1, ttl, len(data)) + data


def reply(raw, rcode=NOERROR, answers=(), authority=(), flags=0, opt=True):
    """The reply of an ordinary server to the query @raw."""
    asked = Message(raw)
    end = 12 + len(wire_name(asked.question[0])) + 4
    with_opt = opt and asked.opt is not None
    head = struct.pack(">HHHHHH", asked.id, 0x8080 | (asked.flags & 0x0110) | flags | rcode, 1,
                       len(answers), len(authority), 1 if with_opt else 0)
    tail = b"\0" + struct.pack(">HHIH", OPT, 1232, asked.opt.ttl & 0x8000, 0) if with_opt else b""
    return head + raw[12:end] + b"".join(answers) + b"".join(authority) + tail


def addr(text, ttl=300):
    return record(A, ttl, socket.inet_aton(text))


def soa(ttl=300, minimum=60):
    return record(SOA, ttl, b"\xc0\x0c\xc0\x0c" + struct.pack(">IIIII", 1, 2, 3, 4, minimum))


class Upstream:
    """UDP and TCP on one port.  @behave(raw, transport) -> bytes, list of bytes or None (silence)."""

    def __init__(self, behave=None, tcp=True):
        self.behave = behave or (lambda raw, transport: reply(raw, answers=[addr("192.0.2.1")]))
        self.asked = []  # (transport, Message)
        self.lock = threading.Lock()
        while True:
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind(("127.0.0.1", 0))
            self.port = self.udp.getsockname()[1]
            self.tcp = socket.socket()
            try:
                self.tcp.bind(("127.0.0.1", self.port))
                break
            except OSError:
                self.udp.close()
                self.tcp.close()
        if tcp:
            self.tcp.listen(16)
        self.wake_r, self.wake_w = os.pipe()
        self.thread = threading.Thread(target=self.run, args=(tcp,), daemon=True)
        self.thread.start()

    def note(self, transport, raw):
        with self.lock:
            self.asked.append((transport, Message(raw)))

    def run(self, tcp):
        watched = [self.udp, self.wake_r] + ([self.tcp] if tcp else [])
        while True:
            ready = select.select(watched, [], [])[0]
            if self.wake_r in ready:
                return
            if self.udp in ready:
                raw, peer = self.udp.recvfrom(65536)
                threading.Thread(target=self.answer_udp, args=(raw, peer), daemon=True).start()
            if self.tcp in ready:
                conn, _ = self.tcp.accept()
                threading.Thread(target=self.answer_tcp, args=(conn,), daemon=True).start()

    def answer_udp(self, raw, peer):
        self.note("udp", raw)
        out = self.behave(raw, "udp")
        for one in out if isinstance(out, list) else [out]:
            if one is not None:
                try:
                    self.udp.sendto(one, peer)
                except OSError:
                    pass

    def answer_tcp(self, conn):
        with conn:
            head = conn.recv(2, socket.MSG_WAITALL)
            if len(head) < 2:
                return
            raw = conn.recv(struct.unpack(">H", head)[0], socket.MSG_WAITALL)
            self.note("tcp", raw)
            out = self.behave(raw, "tcp")
            if out is not None:
                conn.sendall(struct.pack(">H", len(out)) + out)

    def count(self, name=None):
        with self.lock:
            return sum(1 for _, m in self.asked if name is None or m.question[0].lower() == name)

    def close(self):
        os.write(self.wake_w, b"x")
        self.thread.join()
        self.udp.close()
        self.tcp.close()
        os.close(self.wake_r)
        os.close(self.wake_w)


def replicas(*addresses, **more):
    return [dict(index=i, host="n1", address=a, **more) for i, a in enumerate(addresses)]


class Dnsd:
    """jaco-dnsd --standalone with one listener in the scope shop/default."""

    def __init__(self, directory, forwarders=(), services=None, user=None, **top):
        self.port = free_port()
        self.path = os.path.join(str(directory), "dnsd-%d.json" % self.port)
        self.log = os.path.join(str(directory), "dnsd-%d.log" % self.port)
        self.table = {
            "listeners": [{"address": "127.0.0.1:%d" % self.port, "scope": "shop"}],
            "scopes": [
                {"deployment": "shop", "subnets": ["10.1.0.0/24"],
                 "services": services or [{"name": "web", "replicas": replicas("10.1.0.2", "10.1.0.3")}]},
                {"deployment": "blog", "subnets": ["10.2.0.0/24"],
                 "services": [{"name": "api", "replicas": replicas("10.2.0.2")}]}],
            "forwarders": list(forwarders), "forwarder_timeout": "10s"}
        self.table.update(top)
        self.write()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([DNSD, "--standalone", self.path], stderr=log, stdout=log,
                                            user=user)
        self.wait_log("serving")

    def write(self):
        with open(self.path, "w") as f:
            json.dump(self.table, f)
        os.chmod(self.path, 0o644)

    def log_text(self):
        with open(self.log) as f:
            return f.read()

    def wait_log(self, text, times=1, limit=LIMIT):
        end = time.monotonic() + limit
        while self.log_text().count(text) < times:
            assert self.process.poll() is None, self.log_text()
            assert time.monotonic() < end, "no %r in %s" % (text, self.log_text())
            time.sleep(0.005)

    def reload(self, event="reloaded"):
        times = self.log_text().count(event) + 1
        self.process.send_signal(signal.SIGHUP)
        self.wait_log(event, times)

    def metrics(self):
        before = self.log_text().count("query_duration_seconds_count")
        self.process.send_signal(signal.SIGUSR1)
        self.wait_log("query_duration_seconds_count", before + 1)
        out = {}
        for line in self.log_text().splitlines():
            if line.startswith("jaco_dnsd_"):
                key, value = line.rsplit(" ", 1)
                out[key[len("jaco_dnsd_"):]] = float(value)
        return out

    def udp(self, limit=LIMIT):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.connect(("127.0.0.1", self.port))
        s.settimeout(limit)
        return s

    def tcp(self, limit=LIMIT):
        s = socket.create_connection(("127.0.0.1", self.port), timeout=limit)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def ask(self, name, qtype=A, limit=LIMIT, raw=None, **how):
        with self.udp(limit) as s:
            sent = raw or query(name, qtype, **how)
            s.send(sent)
            got = Message(s.recv(65536))
            assert got.id == struct.unpack(">H", sent[:2])[0]
            return got

    def ask_tcp(self, name, qtype=A, limit=LIMIT, **how):
        with self.tcp(limit) as s:
            send_framed(s, query(name, qtype, **how))
            return read_framed(s)

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
        assert self.process.wait(LIMIT) == 0, self.log_text()


def send_framed(sock, *messages):
    sock.sendall(b"".join(struct.pack(">H", len(m)) + m for m in messages))


def read_framed(sock):
    head = b""
    while len(head) < 2:
        part = sock.recv(2 - len(head))
        if not part:
            return None
        head += part
    raw, size = b"", struct.unpack(">H", head)[0]
    while len(raw) < size:
        part = sock.recv(size - len(raw))
        assert part, "closed within a message"
        raw += part
    return Message(raw)
