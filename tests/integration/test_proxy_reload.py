# SPDX-License-Identifier: Apache-2.0
"""jaco-proxyd under load while its tables, its process or its file change."""
import signal
import subprocess
import threading
import time

from lab_proxy import GET, LIMIT, PROXYD, lab, ok  # noqa: F401


def test_reload_under_load_fails_no_request(lab):
    replicas = [lab.replica() for _ in range(3)]
    p = lab.proxy(*replicas)
    counts = {"ok": 0, "bad": 0}
    stop = threading.Event()
    lock = threading.Lock()

    def load(keep):
        peer = None
        while not stop.is_set():
            try:
                if peer is None:
                    peer = p.connect()
                peer.send(GET)
                good = peer.response()[0] == 200
            except (OSError, EOFError):
                good = False
                peer = None
            with lock:
                counts["ok" if good else "bad"] += 1
            if peer and not keep:
                peer.close()
                peer = None

    threads = [threading.Thread(target=load, args=(i % 2 == 0,)) for i in range(4)]
    for t in threads:
        t.start()
    i = 0
    while (i < 30 or counts["ok"] <= 100) and not counts["bad"]:
        i += 1
        p.doc["routes"] = [{"domain": "a.test", "service": "a/web"}] + [
            {"domain": "n%d-%d.test" % (i, k), "service": "a/web"} for k in range(50)]
        p.doc["services"]["a/web"]["replicas"][i % 3]["state"] = "running"
        p.doc["services"]["a/web"]["replicas"][(i + 1) % 3]["state"] = "draining"
        p.reload()
    stop.set()
    for t in threads:
        t.join()
    print("requests", counts)
    assert counts["bad"] == 0


def test_a_broken_file_keeps_the_old_tables(lab):
    p = lab.proxy(lab.replica())
    with open(p.path, "w") as f:
        f.write("{\"routes\": 1}")
    p.process.send_signal(signal.SIGHUP)
    end = time.monotonic() + LIMIT
    while "old tables kept" not in p.text():
        assert time.monotonic() < end
        time.sleep(0.02)
    assert p.ask(GET)[0] == 200
    p.write()


def test_stop_finishes_requests_under_way(lab):
    came, go = threading.Event(), threading.Event()

    def serve(peer, n):
        peer.head()
        came.set()
        assert go.wait(LIMIT)
        peer.send(ok(b"late"))

    p = lab.proxy(lab.replica(serve))
    peer = p.connect()
    idle = p.connect()
    peer.send(GET)
    assert came.wait(LIMIT)
    p.process.terminate()
    assert idle.is_closed()
    go.set()
    status, head, body = peer.response()
    assert (status, body) == (200, b"late")
    assert p.process.wait(LIMIT) == 0


def test_three_restarts_under_load_fail_no_request(lab):
    """The next process listens beside the old one, which then takes what waits and finishes."""
    p = lab.proxy(lab.replica())
    counts = {"ok": 0, "bad": 0}
    stop = threading.Event()

    def load():
        peer = p.connect()
        while not stop.is_set():
            try:
                peer.send(GET)
                status, head, _ = peer.response()
                counts["ok" if status == 200 else "bad"] += 1
                if "Connection: close" in head:
                    peer = p.connect()
            except (OSError, EOFError):
                counts["bad"] += 1
                peer = p.connect()

    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    for restart in range(3):
        while counts["ok"] <= 40 * restart and not counts["bad"]:
            time.sleep(0.01)
        old, before = p.process, p.text().count("serving")
        p.process = subprocess.Popen([PROXYD, "--standalone", p.path], stderr=p.log, stdout=p.log)
        end = time.monotonic() + LIMIT
        while p.text().count("serving") == before:
            assert time.monotonic() < end
            time.sleep(0.01)
        old.terminate()
        assert old.wait(LIMIT) == 0
    stop.set()
    for t in threads:
        t.join()
    print("requests", counts)
    assert counts["bad"] == 0


def test_check_option_names_the_place(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"routes": [{"domain": "a", "service": "none"}]}')
    out = subprocess.run([PROXYD, "--standalone", str(path), "--check"], capture_output=True, text=True)
    assert out.returncode == 65 and "routes[0].service" in out.stderr
    path.write_text('{"routes": []}')
    assert subprocess.run([PROXYD, "--standalone", str(path), "--check"], capture_output=True).returncode == 0
