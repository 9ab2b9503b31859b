#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Inside the virtual machine: reads commands from the second serial line, one JSON object a line, runs
each with sh and answers with its status and output.  The other end is machine.py."""
import json
import os
import signal
import subprocess
import termios
import tty

PORT = "/dev/ttyS1"


def run(request):
    """Whatever a command leaves behind when its time is up goes with it."""
    child = subprocess.Popen(["sh", "-c", request["command"]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, start_new_session=True)
    try:
        return child.communicate(timeout=request["timeout"])[0], child.returncode
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        return child.communicate()[0], 124


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
                    out, rc = run(request)
                    port.write(json.dumps({"id": request["id"], "rc": rc,
                                           "out": out.decode(errors="replace")}).encode() + b"\n")


main()
