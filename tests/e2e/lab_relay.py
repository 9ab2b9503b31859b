# SPDX-License-Identifier: Apache-2.0
"""A cable that takes its time: frames between two interfaces, each a while later, none lost, in order.

    lab_relay.py MILLISECONDS INTERFACE INTERFACE

The kernel of the rig has no netem (testing.md, "The host rig").  Headers of the virtual device travel
with the frames (packet(7), PACKET_VNET_HDR), so unfinished checksums and large segments stay what they
are."""
import collections
import select
import socket
import sys
import time

SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 263, 15, 23
ETH_P_ALL = 3


def tap(interface):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    s.bind((interface, 0))
    s.setblocking(False)
    return s


def main():
    late = float(sys.argv[1]) / 1000
    ends = [tap(name) for name in sys.argv[2:4]]
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    waiting = collections.deque()
    print("up", flush=True)
    while True:
        left = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        for end in select.select(ends, [], [], left)[0]:
            try:
                waiting.append((time.monotonic() + late, other[end], end.recv(1 << 17)))
            except BlockingIOError:
                pass
        while waiting and waiting[0][0] <= time.monotonic():
            _, end, frame = waiting.popleft()
            try:
                end.send(frame)
            except OSError:
                pass        # the interface is gone or full: a cable does not repeat


if __name__ == "__main__":
    main()
