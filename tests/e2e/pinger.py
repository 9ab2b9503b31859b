# SPDX-License-Identifier: Apache-2.0
"""Packets from inside a container's network namespace, many targets at once.

    probe TARGETS          one JSON list of those of [["tcp", "10.0.0.1", 80], ["icmp", "10.0.0.1", 0],
                           ["udp", "10.0.0.1", 9000]] that answered within a second
    watch ADDRESS...       echo requests to each, 50 a second and at least 25, until standard input ends;
                           then one JSON object: address -> {"sent": n, "got": n, "gap": longest time
                           in s over which all requests were lost, "first", "last": wall time of an
                           answer}.  An answer that comes late, because the machine is busy, is no
                           loss."""
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
    for a in addresses:
        rows[a]["gap"] = longest_loss(sent, heard[a])
    print(json.dumps(rows))


if __name__ == "__main__":
    if sys.argv[1] == "probe":
        probe(json.loads(sys.argv[2]))
    else:
        watch(sys.argv[2:])
