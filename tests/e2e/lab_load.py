# SPDX-License-Identifier: Apache-2.0
"""Requests through the ingress of a host while something happens to those who answer."""
import json
import signal
import subprocess
import sys

from lab import WAIT_S, begin

THREADS = 2     # one on a kept connection, one on new ones

REQUESTS = r"""
import http.client, json, os, signal, sys, threading, time
domain, stop, out, guard = sys.argv[1], threading.Event(), [], threading.Lock()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
def one(link):
    link.request("GET", "/", headers={"Host": domain})
    answer = link.getresponse()
    body = answer.read()
    return answer.status, body
def run(keep):
    link = None
    while True:
        try:
            if not link or not keep:
                link = http.client.HTTPConnection("127.0.0.1", 80, timeout=60)
            status, body = one(link)
            if status != 200:
                link = None
        except (OSError, http.client.HTTPException) as e:
            status, body, link = 0, repr(e).encode(), None
        with guard:
            out.append((status, body[:120].decode("ascii", "replace") if status != 200 else ""))
        if stop.wait(0.01):
            break
threads = [threading.Thread(target=run, args=(i % 2 == 0,)) for i in range(int(sys.argv[2]))]
[t.start() for t in threads]
print("on", flush=True)
[t.join() for t in threads]
print(json.dumps({"good": sum(s == 200 for s, _ in out), "bad": [o for o in out if o[0] != 200]}))
"""


class Load:
    """Requests on new and on kept connections until finish(); every answer is counted."""

    def __init__(self, host, domain):
        self.process = begin(*host.enter(sys.executable, "-c", REQUESTS, domain, str(THREADS)),
                             stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "on\n"

    def finish(self):
        """How many were 200, and the others."""
        self.process.send_signal(signal.SIGTERM)
        counted = json.loads(self.process.communicate(timeout=WAIT_S)[0])
        return counted["good"], counted["bad"]
