# SPDX-License-Identifier: Apache-2.0
"""Packets from inside a container's network namespace, many targets at once.

    probe TARGETS          one JSON list of those of [["tcp", "10.0.0.1", 80], ["icmp", "10.0.0.1", 0],
                           ["udp", "10.0.0.1", 9000]] that answered within a second
    watch ADDRESS...       echo requests to each, 50 a second and at least 25, until standard input ends;
                           then one JSON object: address -> {"sent": n, "got": n, "gap": longest time
                           in s over which all requests were lost, "first", "last": wall time of an
                           answer}.  An answer that comes late, because the machine is busy, is no
                           loss.
    follow SERVER NAME PORT
                           asks the DNS server for the name 50 times a second until standard input
                           ends, and connects to each address that comes up; a JSON line for each
                           [wall time, "named" | "reached" | "gone", address], at once
    ask SERVER NAME        eight queries at a time, the next eight when all are answered, until standard
                           input ends; then {"answered": n, "lost": n}.  Nothing is asked twice."""
import json
import os
import select
import socket
import struct
import sys
import time


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff


def echo_request(ident, seq):
    head = struct.pack("!BBHHH", 8, 0, 0, ident, seq)
    return struct.pack("!BBHHH", 8, 0, checksum(head), ident, seq)


class Icmp:
    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.ident = os.getpid() & 0xffff

    def ask(self, address, seq):
        try:
            self.sock.sendto(echo_request(self.ident, seq & 0xffff), (address, 0))
        except OSError:
            pass        # no route at this moment is no answer

    def answers(self):
        while True:
            try:
                data, (address, _) = self.sock.recvfrom(2048)
            except OSError:
                return
            at = (data[0] & 15) * 4
            if data[at] == 0 and struct.unpack("!H", data[at + 4:at + 6])[0] == self.ident:
                yield address, struct.unpack("!H", data[at + 6:at + 8])[0]


def probe(targets, seconds=1.5):
    icmp, waiting, found = Icmp(), {}, []
    for kind, address, port in targets:
        if kind == "icmp":
            icmp.ask(address, 1)
            continue
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
        s.setblocking(False)
        try:
            s.connect((address, port))
            if kind == "udp":
                s.send(b"ping")
        except BlockingIOError:
            pass
        except OSError:
            continue
        waiting[s] = [kind, address, port]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        tcp = [s for s, t in waiting.items() if t[0] == "tcp"]
        udp = [s for s, t in waiting.items() if t[0] == "udp"]
        readable, writable, _ = select.select(udp + [icmp.sock], tcp, [], 0.1)
        for s in readable + writable:
            if s is icmp.sock:
                found += [["icmp", a, 0] for a, _ in icmp.answers()]
                continue
            target = waiting.pop(s)
            if s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                found.append(target)
            s.close()
    print(json.dumps([t for t in targets if t in found]))


LATE_S = 3.0


def longest_loss(sent, heard):
    """@sent: when each request went out; @heard: the numbers of those that were answered."""
    gap, since = 0.0, None
    for seq, when in enumerate(sent):
        if seq in heard:
            since = None
        else:
            since = when if since is None else since
            gap = max(gap, when - since)
    return round(gap, 3)


def watch(addresses):
    icmp, sent, start = Icmp(), [], time.time()
    rows = {a: {"sent": 0, "got": 0, "gap": 0.0, "first": None, "last": start} for a in addresses}
    heard = {a: set() for a in addresses}

    def hear(address, seq, now):
        row = rows.get(address)
        if row is None or seq in heard[address]:
            return
        heard[address].add(seq)
        row["got"] += 1
        row["first"], row["last"] = row["first"] or now, now

    print("up", flush=True)
    is_open = True
    while is_open or len(sent) < 25:
        for a in addresses:
            icmp.ask(a, len(sent))
            rows[a]["sent"] += 1
        sent.append(time.monotonic())
        tick = time.monotonic() + 0.02
        while time.monotonic() < tick:
            watched = [icmp.sock, sys.stdin] if is_open else [icmp.sock]
            ready = select.select(watched, [], [], max(0, tick - time.monotonic()))[0]
            for a, seq in icmp.answers():
                hear(a, seq, time.time())
            if sys.stdin in ready and not sys.stdin.buffer.read1(64):
                is_open = False
    end = time.monotonic() + LATE_S
    while time.monotonic() < end and any(row["got"] < row["sent"] for row in rows.values()):
        select.select([icmp.sock], [], [], 0.1)
        for a, seq in icmp.answers():
            hear(a, seq, time.time())
            end = time.monotonic() + LATE_S
    for a in addresses:
        rows[a]["gap"] = longest_loss(sent, heard[a])
    print(json.dumps(rows))


def dns_query(name, ident):
    labels = b"".join(bytes([len(x)]) + x.encode() for x in name.split("."))
    return struct.pack("!6H", ident & 0xffff, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)


def dns_addresses(reply, query_n):
    """Of the A records behind the question, each named by a pointer to it."""
    if reply[3] & 15:
        return set()
    n = struct.unpack("!H", reply[6:8])[0]
    rows = [reply[query_n + 16 * i:query_n + 16 * (i + 1)] for i in range(n)]
    return {socket.inet_ntoa(r[12:16]) for r in rows if r[2:4] == b"\0\1"}


def dns_socket(server):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((server, 53))
    return s


class Connects:
    """A new attempt every tick until one succeeds: the kernel repeats a lost SYN only after a second."""

    def __init__(self, port):
        self.port, self.trying = port, {}

    def start(self, address):
        self.trying[address] = []

    def stop(self, address):
        for s in self.trying.pop(address, []):
            s.close()

    def tick(self):
        """Those that were reached."""
        found = []
        for address, socks in self.trying.items():
            socks.append(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            socks[-1].setblocking(False)
            try:
                socks[-1].connect((address, self.port))
            except OSError:
                pass
            ready = select.select([], socks, [], 0)[1]
            if any(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 for s in ready):
                found.append(address)
            for s in ready + socks[:-50]:
                socks.remove(s)
                s.close()
        for address in found:
            self.stop(address)
        return found


def follow(server, name, port):
    sock, connects, now, n = dns_socket(server), Connects(port), set(), 0
    sock.setblocking(False)
    print("up", flush=True)

    def tell(what, address):
        print(json.dumps([time.time(), what, address]), flush=True)

    while True:
        query = dns_query(name, n)
        n += 1
        try:
            sock.send(query)
        except OSError:
            pass
        tick = time.monotonic() + 0.02
        while time.monotonic() < tick:
            ready = select.select([sock, sys.stdin], [], [], max(0, tick - time.monotonic()))[0]
            if sys.stdin in ready and not sys.stdin.buffer.read1(64):
                return
            if sock not in ready:
                continue
            try:
                then, now = now, dns_addresses(sock.recv(2048), len(query))
            except OSError:
                continue
            for address in sorted(now - then):
                tell("named", address)
                connects.start(address)
            for address in sorted(then - now):
                tell("gone", address)
                connects.stop(address)
        for address in connects.tick():
            tell("reached", address)


def ask(server, name, limit_s=30):
    sock, result, n = dns_socket(server), {"answered": 0, "lost": 0}, 0
    sock.settimeout(limit_s)
    print("up", flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        waiting = set()
        for _ in range(8):
            sock.send(dns_query(name, n))
            waiting.add(n & 0xffff)
            n += 1
        try:
            while waiting:
                waiting.discard(struct.unpack("!H", sock.recv(2048)[:2])[0])
                result["answered"] += 1
        except OSError:
            result["lost"] += len(waiting)
    print(json.dumps(result))


if __name__ == "__main__":
    if sys.argv[1] == "probe":
        probe(json.loads(sys.argv[2]))
    elif sys.argv[1] == "follow":
        follow(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    elif sys.argv[1] == "ask":
        ask(sys.argv[2], sys.argv[3])
    else:
        watch(sys.argv[2:])
