#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Inside the virtual machine: reads commands from the second serial line, one JSON object a line, runs
each with sh and answers with its status and output.  The other end is machine.py."""
import json
import os
import subprocess
import termios
import tty

PORT = "/dev/ttyS1"


def run(request):
    try:
        done = subprocess.run(["sh", "-c", request["command"]], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=request["timeout"])
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        return 124, late.stdout or b""


def main():
    fd = os.open(PORT, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(fd, termios.TCSANOW)
    os.environ["HOME"] = "/root"
    with os.fdopen(fd, "r+b", buffering=0) as port:
        port.write(b'{"up": true}\n')
        line = b""
        while True:
            line += port.read(4096) or b""
            while b"\n" in line:
                text, line = line.split(b"\n", 1)
                if text.strip():
                    request = json.loads(text)
                    rc, out = run(request)
                    port.write(json.dumps({"id": request["id"], "rc": rc,
                                           "out": out.decode(errors="replace")}).encode() + b"\n")


main()
