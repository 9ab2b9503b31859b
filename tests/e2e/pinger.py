# SPDX-License-Identifier: Apache-2.0
"""Packets from inside a container's network namespace, many targets at once.

    probe TARGETS          one JSON list of those of [["tcp", "10.0.0.1", 80], ["icmp", "10.0.0.1", 0],
                           ["udp", "10.0.0.1", 9000]] that answered within a second
    watch ADDRESS...       echo requests to each, 50 a second, until standard input ends; then one JSON
                           object: address -> {"sent": n, "got": n, "gap": longest silence in s,
                           "first", "last": wall time of an answer}"""
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
                yield address


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
                found += [["icmp", a, 0] for a in icmp.answers()]
                continue
            target = waiting.pop(s)
            if s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                found.append(target)
            s.close()
    print(json.dumps([t for t in targets if t in found]))


def watch(addresses):
    icmp, seq, start = Icmp(), 0, time.time()
    rows = {a: {"sent": 0, "got": 0, "gap": 0.0, "first": None, "last": start} for a in addresses}

    def hear(address, now):
        row = rows.get(address)
        if row is None:
            return
        row["got"] += 1
        row["gap"] = max(row["gap"], now - row["last"])
        row["first"], row["last"] = row["first"] or now, now

    print("up", flush=True)
    while True:
        for a in addresses:
            icmp.ask(a, seq)
            rows[a]["sent"] += 1
        seq += 1
        tick = time.monotonic() + 0.02
        while time.monotonic() < tick:
            ready = select.select([icmp.sock, sys.stdin], [], [], max(0, tick - time.monotonic()))[0]
            for a in icmp.answers():
                hear(a, time.time())
            if sys.stdin in ready and not sys.stdin.buffer.read1(64):
                end = time.time()
                for row in rows.values():
                    row["gap"] = round(max(row["gap"], end - row["last"]), 3)
                print(json.dumps(rows))
                return


if __name__ == "__main__":
    if sys.argv[1] == "probe":
        probe(json.loads(sys.argv[2]))
    else:
        watch(sys.argv[2:])
