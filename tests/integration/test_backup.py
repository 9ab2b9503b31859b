# SPDX-License-Identifier: Apache-2.0
"""A backup under write load restores to exactly the state of its revision, on another host; what is
damaged, cut short or foreign is refused (issue 3, claim 7)."""
import gzip
import hashlib
import io
import json
import os
import random
import tarfile
import threading
import zlib

import pytest

from jacorpc import RpcError
from lab_raftds import Cluster, get, put, three, wait  # noqa: F401
from lab_remote import Person, Remote, api, deploy, fixture_person, issue  # noqa: F401

STRIDE = int(os.environ.get("JACO_BACKUP_STRIDE", "400"))


class Load:
    """Writers through every node while something else happens; what was acknowledged, in order."""

    def __init__(self, nodes):
        self.stop = threading.Event()
        self.acknowledged = {n.name: 0 for n in nodes}
        self.threads = [threading.Thread(target=self.write, args=(n,)) for n in nodes]

    def write(self, node):
        number = 0
        while not self.stop.is_set():
            number += 1
            try:
                put(node, "load-" + node.name, number)
                self.acknowledged[node.name] += 1
            except RpcError:
                pass  # a busy machine elects anew

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.wait_more(20)
        return self

    def wait_more(self, count):
        """Until each node has acknowledged so many more."""
        want = {name: had + count for name, had in self.acknowledged.items()}
        wait(lambda: all(self.acknowledged[name] >= n for name, n in want.items()))

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def empty_node(tmp_path, name):
    """A configured node that was never started."""
    made = Cluster(tmp_path)
    node = made.add(name)
    node.stop()
    for entry in os.listdir(node.root + "/lib/raftd"):
        os.remove(os.path.join(node.root, "lib/raftd", entry))
    return made, node


def restore(person, node, path, *more):
    return person.run("--root", node.root, "restore", "--input", path, "--name", node.name, "-o", "json",
                      *more)


@pytest.mark.parametrize("sealed", [False, True])
def test_under_write_load_it_restores_to_its_revision_elsewhere(three, person, tmp_path, sealed):
    deploy(three.nodes[0], "shop")
    token = issue(three.nodes[0], "survivor%d" % sealed)
    path, how = str(tmp_path / "b.bak"), []
    if sealed:
        with open(person.home + "/p", "w", encoding="ascii") as file:
            file.write("correct horse\n")
        how = ["--passphrase-file", person.home + "/p"]
    person.context(three.nodes[1], "far", issue(three.nodes[1], "keeper%d" % sealed))
    with Load(three.nodes) as load:
        got = person.run("backup", "--output", path, "-o", "json", *how)
        assert got.returncode == 0, got.stderr
        load.wait_more(1)  # it never stopped
        after = [get(n, "load-" + n.name) for n in three.nodes]
    assert ("not sealed" in got.stderr) == (not sealed)
    assert os.stat(path).st_mode & 0o777 == 0o600
    meta = json.loads(got.stdout)["meta"]
    assert json.loads(person.ok("backup", "verify", path, "-o", "json", *how))["meta"] == meta
    made, node = empty_node(tmp_path / "second", "phoenix")
    done = restore(person, node, path, *how)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert json.loads(done.stdout)["cluster_epoch"] == meta["cluster_epoch"] + 1
    node.start()
    wait(lambda: node.status().get("is_leader"))
    status = node.status()
    assert status["cluster_id"] == meta["cluster_id"] and status["cluster_epoch"] > 1
    assert list(node.members()) == ["phoenix"] and node.members()["phoenix"]["voter"]
    rpc = node.rpc()
    events = [e["event"] for page in rpc.stream("audit.list") for e in page["events"]]
    assert "restore_completed" in [e["type"] for e in events]
    assert "backup_taken" in [e["type"] for e in events]
    # exactly that revision: every acknowledged number up to it and nothing behind it
    for other, newest in zip(three.nodes, after):
        assert 0 < get(node, "load-" + other.name) <= newest
    assert put(node, "life", 1)["succeeded"] and get(node, "life", linearizable=True) == 1
    assert Remote(node, token).welcome["identity"] == "survivor%d" % sealed
    node.kill()
    node.start()
    wait(lambda: node.status().get("is_leader"))
    assert get(node, "life") == 1
    # what exists is not overwritten
    again = restore(person, node, path, *how)
    assert again.returncode == 1 and "stop it first" in again.stderr
    node.stop()
    again = restore(person, node, path, *how)
    assert again.returncode == 1 and "nothing is overwritten" in again.stderr
    node.start()
    assert get(node, "life") == 1
    # others join again
    joined = made.add("late")
    joined.join(node.token())
    wait(lambda: "late" in node.members())
    made.stop()


@pytest.fixture(name="backup", scope="module")
def fixture_backup(tmp_path_factory):
    root = tmp_path_factory.mktemp("small")
    made = Cluster(root / "c").grow(1)
    person = Person(root / "home")
    with open(person.home + "/p", "w", encoding="ascii") as file:
        file.write("correct horse\n")
    plain, sealed = str(root / "plain.bak"), str(root / "sealed.bak")
    person.ok("--socket", made.nodes[0].path(), "backup", "--output", plain)
    person.ok("--socket", made.nodes[0].path(), "backup", "--output", sealed, "--passphrase-file",
              person.home + "/p")
    made.stop()
    yield plain, sealed, person


def verify(person, path, data, *how):
    with open(path, "wb") as file:
        file.write(data)
    return person.run("backup", "verify", path, *how)


def test_what_is_in_it_is_what_operations_says(backup):
    with tarfile.open(backup[0], "r:gz") as tar:
        assert tar.getnames() == ["meta.json", "seal.key", "snapshot"]
        meta = json.load(tar.extractfile("meta.json"))
        snapshot = tar.extractfile("snapshot").read()
    assert hashlib.sha256(snapshot).hexdigest() == meta["sha256"]
    assert set(meta) >= {"cluster_id", "revision", "term", "version", "time", "leader", "state_hash"}
    with open(backup[1], "rb") as file:
        assert b"BEGIN" not in file.read()


def inflated(data):
    if data[:10] != b"\x1f\x8b\x08" + bytes(6) + b"\x03":
        return None
    try:
        return zlib.decompressobj(31).decompress(bytes(data))
    except zlib.error:
        return None


def test_every_region_of_a_damaged_file_is_noticed(backup, tmp_path):
    plain, sealed, person = backup
    rng = random.Random(7)
    for path, how in ((plain, []), (sealed, ["--passphrase-file", person.home + "/p"])):
        with open(path, "rb") as file:
            whole = file.read()
        regions = set(range(0, 32)) | set(range(len(whole) - 24, len(whole)))
        regions |= set(range(32, len(whole), STRIDE if not how else STRIDE * 8))
        if how:  # half a second of scrypt each
            regions = set(sorted(regions)[::6])
        for at in sorted(regions):
            broken = bytearray(whole)
            broken[at] ^= 1 << rng.randrange(8)
            got = verify(person, str(tmp_path / "broken"), broken, *how)
            # some flips say the same in other words (a run of zeros copied from nearer): no damage
            harmless = not how and inflated(broken) == inflated(whole)
            assert got.returncode == (0 if harmless else 65), (path, at, got.stdout, got.stderr)
        for n in [0, 1, 9, 10, 27, 28, len(whole) // 2, len(whole) - 1]:
            got = verify(person, str(tmp_path / "short"), whole[:n], *how)
            assert got.returncode == 65, (path, n, got.stdout, got.stderr)
        for more in (b"\0", b"x" * 1000, whole):
            got = verify(person, str(tmp_path / "long"), whole + more, *how)
            assert got.returncode == 65, (path, got.stdout, got.stderr)


def repack(parts):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in parts:
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(data), 0o600, 0
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(out.getvalue(), mtime=0)


def test_foreign_files_and_changed_contents_are_refused(backup, tmp_path):
    plain, sealed, person = backup
    path = str(tmp_path / "foreign")
    with tarfile.open(plain, "r:gz") as tar:
        parts = [(n, tar.extractfile(n).read()) for n in tar.getnames()]
    meta = json.loads(parts[0][1])
    for data in (b"", b"hello", os.urandom(5000), gzip.compress(b"x" * 10000), repack([]),
                 repack(parts[1:]), repack(parts[:2]), repack(parts + [("more", b"x")]),
                 repack([("../meta.json", parts[0][1])] + parts[1:]),
                 repack([("meta.json", json.dumps(dict(meta, version="7.0.0")).encode())] + parts[1:]),
                 repack([("meta.json", json.dumps(dict(meta, revision=99)).encode())] + parts[1:]),
                 repack([("meta.json", b"[]")] + parts[1:])):
        got = verify(person, path, data)
        assert got.returncode == 65, (data[:40], got.stdout, got.stderr)
    got = person.run("backup", "verify", sealed)
    assert got.returncode == 65 and "passphrase" in got.stderr
    with open(person.home + "/wrong", "w", encoding="ascii") as file:
        file.write("incorrect horse")
    got = person.run("backup", "verify", sealed, "--passphrase-file", person.home + "/wrong")
    assert got.returncode == 65 and "passphrase" in got.stderr


def test_a_refused_restore_leaves_nothing(backup, tmp_path):
    plain, _, person = backup
    made, node = empty_node(tmp_path, "phoenix")
    with open(plain, "rb") as file:
        whole = bytearray(file.read())
    whole[len(whole) // 2] ^= 4
    broken = str(tmp_path / "broken")
    with open(broken, "wb") as file:
        file.write(whole)
    assert restore(person, node, broken).returncode == 65
    got = person.run("--root", node.root, "restore", "--input", plain, "--name", "other")
    assert got.returncode == 65 and "phoenix" in got.stderr
    assert set(os.listdir(node.root + "/lib/raftd")) <= {"lock"}
    node.start()
    assert node.status()["initialised"] is False
    made.stop()


def test_an_output_that_cannot_be_written_leaves_no_file(three, person, tmp_path):
    got = person.run("--socket", three.nodes[0].path(), "backup", "--output", "/proc/nowhere/x")
    assert got.returncode != 0
    got = person.run("--socket", three.nodes[0].path(), "backup", "--output", str(tmp_path))
    assert got.returncode != 0
    assert not os.listdir(tmp_path) or os.listdir(tmp_path) == ["home"]
    assert api(three.nodes[0])
