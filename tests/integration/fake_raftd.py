# SPDX-License-Identifier: Apache-2.0
"""A raftd in a hundred lines for tests of one daemon: the transactional store, watches, the observed
plane, leadership - one node, in memory, over the real wire.  Several role sockets, in several run
directories, share one store, so a cluster of several hosts' daemons can meet in it."""
import os
import socket
import threading
import time

import msgpack


class Store:
    def __init__(self):
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.data = {}        # key -> (packed value, revision)
        self.revision = 0
        self.log = []         # (revision, [(key, packed or None)])
        self.audits = []
        self.txns = 0
        self.conflicts = 0
        self.rollbacks = []
        self.is_leader = True

    def get(self, key):
        with self.lock:
            at = self.data.get(key)
            return msgpack.unpackb(at[0]) if at else None

    def keys(self, prefix):
        with self.lock:
            return sorted(k for k in self.data if k.startswith(prefix))

    def put(self, key, value):
        self.commit([(key, msgpack.packb(value))])

    def delete(self, key):
        self.commit([(key, None)])

    def commit(self, changes):
        with self.lock:
            self.revision += 1
            for key, value in changes:
                if value is None:
                    self.data.pop(key, None)
                else:
                    self.data[key] = (value, self.revision)
            self.log.append((self.revision, changes))
            self.changed.notify_all()
            return self.revision

    def txn(self, req):
        with self.lock:
            self.txns += 1
            for c in req.get("compares", []):
                have = self.data.get(c["key"], (None, 0))[1]
                if have != c["revision"]:
                    self.conflicts += 1
                    return {"succeeded": False, "revision": self.revision, "failed_key": c["key"]}
            if "audit" in req:
                self.audits.append(req["audit"])
            changes = [(p["key"], p["value"]) for p in req.get("puts", [])]
            changes += [(k, None) for k in req.get("deletes", [])]
            for prefix in req.get("delete_prefixes", []):
                changes += [(k, None) for k in list(self.data) if k.startswith(prefix)]
            return {"succeeded": True, "revision": self.commit(changes)}

    def wait(self, what, seconds=30, why="condition"):
        """Until what() is true, woken by every change."""
        end = time.monotonic() + seconds
        with self.lock:
            while not what():
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError("not in %s s: %s" % (seconds, why))
                self.changed.wait(min(left, 0.2))


class FakeRaftd:
    """Serves <run>/raftd/<role>.sock for every role."""

    def __init__(self, run, host, store, roles=("ipamd", "schedd", "meshd")):
        self.store, self.host, self.run = store, host, run
        self.closing = False
        self.conns = []
        self.listeners = []
        os.makedirs(os.path.join(run, "raftd"), exist_ok=True)
        for role in roles:
            path = os.path.join(run, "raftd", role + ".sock")
            if os.path.exists(path):
                os.unlink(path)
            s = socket.socket(socket.AF_UNIX)
            s.bind(path)
            s.listen(16)
            self.listeners.append(s)
            threading.Thread(target=self.accept, args=(s,), daemon=True).start()

    def accept(self, s):
        while not self.closing:
            try:
                conn, _ = s.accept()
            except OSError:
                return
            self.conns.append(conn)
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def close(self):
        self.closing = True
        for s in self.listeners + self.conns:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def serve(self, conn):
        unpacker = msgpack.Unpacker(raw=False, max_buffer_size=1 << 24)
        lock = threading.Lock()

        def send(msg):
            with lock:
                conn.sendall(msgpack.packb(msg))
        try:
            while True:
                data = conn.recv(65536)
                if not data:
                    return
                unpacker.feed(data)
                for kind, mid, method, params in unpacker:
                    assert kind == 0
                    self.answer(send, mid, method, params[0] if params else {})
        except OSError:
            return

    def answer(self, send, mid, method, req):
        store = self.store
        if method == "kv.txn":
            send([1, mid, None, store.txn(req)])
        elif method == "kv.get":
            with store.lock:
                at = store.data.get(req["key"])
                out = {"revision": store.revision}
                if at:
                    out["entry"] = {"key": req["key"], "value": at[0], "revision": at[1]}
            send([1, mid, None, out])
        elif method == "obs.put":
            store.commit([(req["key"], req.get("value"))])
            send([1, mid, None, {}])
        elif method == "kv.watch":
            threading.Thread(target=self.watch, args=(send, mid, req), daemon=True).start()
        elif method == "leader.watch":
            threading.Thread(target=self.leader, args=(send, mid), daemon=True).start()
        elif method == "cluster.status":
            send([1, mid, None, {"initialised": True, "host": self.host, "version": "0",
                                 "is_leader": store.is_leader, "quorum": True}])
        elif method == "deploy.rollback":
            with store.lock:
                store.rollbacks.append(req)
            send([1, mid, None, {"deployment": req["deployment"], "revision": 1, "changed": True}])
        else:
            send([1, mid, {"code": "unknown_method", "message": method}, None])

    def watch(self, send, mid, req):
        store, prefixes = self.store, tuple(req["prefixes"])

        def event(kind, revision, entries):
            send([2, "kv.watch", [{"id": mid, "event": {
                "kind": kind, "revision": revision, "entries": entries}}]])
        try:
            with store.lock:
                seen = len(store.log)
                revision = store.revision
                entries = [{"key": k, "value": v, "revision": r}
                           for k, (v, r) in sorted(store.data.items()) if k.startswith(prefixes)]
            event("snapshot", revision, entries)
            event("synced", revision, [])
            while not self.closing:
                with store.lock:
                    if len(store.log) == seen:
                        store.changed.wait(1)
                    todo, seen = store.log[seen:], len(store.log)
                for revision, changes in todo:
                    entries = []
                    for key, value in changes:
                        if key.startswith(prefixes):
                            entry = {"key": key, "revision": revision}
                            if value is not None:
                                entry["value"] = value
                            entries.append(entry)
                    event("change", revision, entries)
        except OSError:
            return

    def leader(self, send, mid):
        store, told = self.store, None
        try:
            while not self.closing:
                with store.lock:
                    if told == store.is_leader:
                        store.changed.wait(1)
                    now = store.is_leader
                if now != told:
                    told = now
                    send([2, "leader.watch", [{"id": mid, "event": {
                        "is_leader": now, "term": 1, "leader": self.host if now else "other"}}]])
        except OSError:
            return


class Rpc:
    """A plain client: one call at a time."""

    def __init__(self, path, seconds=30):
        end = time.monotonic() + seconds
        while True:
            self.sock = socket.socket(socket.AF_UNIX)
            try:
                self.sock.connect(path)
                break
            except OSError:
                self.sock.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
        self.sock.settimeout(60)
        self.unpacker = msgpack.Unpacker(raw=False)
        self.next = 0

    def send(self, method, **params):
        self.next += 1
        self.sock.sendall(msgpack.packb([0, self.next, method, [params]]))
        return self.next

    def receive(self):
        while True:
            for msg in self.unpacker:
                return msg
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionError("closed")
            self.unpacker.feed(data)

    def call(self, method, **params):
        mid = self.send(method, **params)
        kind, got, error, result = self.receive()
        assert (kind, got) == (1, mid)
        if error:
            raise RpcError(error)
        return result

    def close(self):
        self.sock.close()


class RpcError(Exception):
    def __init__(self, error):
        super().__init__("%s: %s" % (error["code"], error["message"]))
        self.code, self.message = error["code"], error["message"]
        self.details = error.get("details", {})
