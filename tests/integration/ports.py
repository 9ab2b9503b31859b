# SPDX-License-Identifier: Apache-2.0
"""Ports of loopback for servers that are started later."""
import random
import socket

with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
    EPHEMERAL = int(f.read().split()[0])


def free_port():
    """A port free for both transports at this moment, and below those that the kernel hands out: a connection
    that somebody opens before the server binds does not take it."""
    while True:
        port = random.randrange(10000, max(EPHEMERAL, 10100))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u, socket.socket() as t:
            try:
                u.bind(("0.0.0.0", port))
                t.bind(("0.0.0.0", port))
                return port
            except OSError:
                continue
