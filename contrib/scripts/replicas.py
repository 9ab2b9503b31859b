#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""List replicas and follow their states over the control socket: plain MessagePack-RPC.

usage: replicas.py [SOCKET]        needs only python3-msgpack"""
import socket
import sys

import msgpack

sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1] if len(sys.argv) > 1 else "/run/jaco/jaco.sock")
# request: [0, id, method, [params]]; notification: [2, method, [{"id", "event"}]]; reply: [1, id, error, result]
sock.sendall(msgpack.packb([0, 1, "kv.watch", [{"prefixes": ["/obs/replica/"]}]]))
unpacker = msgpack.Unpacker(raw=False)
while data := sock.recv(65536):
    unpacker.feed(data)
    for message in unpacker:
        if message[0] == 1:
            sys.exit("error: %s" % message[2])
        for entry in message[2][0]["event"].get("entries", []):
            value = entry.get("value")
            states = [g["state"] for g in msgpack.unpackb(value)["generations"]] if value else ["gone"]
            print(entry["key"][len("/obs/replica/"):], " ".join(states), flush=True)
