# SPDX-License-Identifier: Apache-2.0
"""Between runtimed and its engine: hands everything on, but answers to chosen requests are late or an
error, as they are from an engine that has too much to do."""
import os
import socket
import threading

BROKEN = (b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
          b"Content-Length: 18\r\n\r\n{\"message\":\"busy\"}")


class Relay:
    """Serves @path for the engine at @engine.  A request is known by a part of its first line."""

    def __init__(self, path, engine):
        self.path, self.engine = str(path), engine
        self.lock = threading.Condition()
        self.held = set()       # wait for release()
        self.broken = set()     # answered with BROKEN
        self.asked = []         # first lines, in order
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(self.path)
        self.sock.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def hold(self, part):
        with self.lock:
            self.held.add(part)

    def fail(self, part):
        with self.lock:
            self.broken.add(part)

    def release(self):
        """Everything is as it should be from now on."""
        with self.lock:
            self.held.clear()
            self.broken.clear()
            self.lock.notify_all()

    def wait_asked(self, part, count=1, seconds=30):
        """Until as many requests came whose first line has @part."""
        with self.lock:
            assert self.lock.wait_for(lambda: sum(part in line for line in self.asked) >= count, seconds), self.asked

    def accept(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def serve(self, conn):
        engine = socket.socket(socket.AF_UNIX)
        try:
            engine.connect(self.engine)
            threading.Thread(target=copy, args=(engine, conn), daemon=True).start()
            while True:
                data = conn.recv(65536)
                if not data:
                    break
                if self.is_answered(conn, data.split(b"\r\n", 1)[0].decode("latin-1")):
                    continue
                engine.sendall(data)
        except OSError:
            pass
        finally:
            shut(engine)
            shut(conn)

    def is_answered(self, conn, line):
        with self.lock:
            self.asked.append(line)
            self.lock.notify_all()
            if any(part in line for part in self.broken):
                conn.sendall(BROKEN)
                return True
            self.lock.wait_for(lambda: not any(part in line for part in self.held))
            return False

    def close(self):
        self.release()
        shut(self.sock)
        os.unlink(self.path)


def copy(source, to):
    try:
        while True:
            data = source.recv(65536)
            if not data:
                break
            to.sendall(data)
    except OSError:
        pass
    shut(to)


def shut(sock):
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    sock.close()
