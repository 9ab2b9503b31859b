# SPDX-License-Identifier: Apache-2.0
"""From the record of tests/tools/power-cut.c: every state in which a power cut may leave a disk.

The model is what POSIX promises and no more.  A write may be on the disk from the moment it is
asked for; it must be once a flush of its file that began after it is done.  Until then any 512-byte
sector of it may be there or not, whatever came before or after.  The same holds for names: they are
certain once their directory was flushed.  Nothing else orders anything."""
import bisect
import mmap
import os
import struct

OPENED, WRITTEN, SIZED, FLUSHING, FLUSHED, RENAMED, REMOVED, MADE = range(1, 9)
HEAD = struct.Struct("=QIIQQ")
SECTOR = 512
RECORD_BYTES = 1 << 30  # address space: the file has holes


class Recorder:
    """What a raftd is started with."""

    def __init__(self, path, root, build):
        self.path, self.root = path, root
        with open(path, "wb") as file:
            file.truncate(RECORD_BYTES)
        self.env = {"LD_PRELOAD": build + "/tests/tools/libpower-cut.so", "POWER_CUT_LOG": path,
                    "POWER_CUT_ROOT": root, "POWER_CUT_BYTES": str(RECORD_BYTES)}

    def events(self):
        """(place, time, kind, handle, offset, bytes), in order."""
        with open(self.path, "rb") as file:
            record = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        at, used, events = 8, struct.unpack_from("=Q", record)[0], []
        while at < used:
            when, kind, handle, offset, n = HEAD.unpack_from(record, at)
            data = record[at + HEAD.size:at + HEAD.size + n]
            events.append((at, when, kind, handle, offset, data))
            at += (HEAD.size + n + 7) // 8 * 8
        return events


class File:
    """@image: what is certain.  @pending: (place, offset, bytes or None, size) that is not."""

    def __init__(self):
        self.image, self.pending = bytearray(), []

    def settle(self, until):
        """What was asked for before @until is certain now."""
        n = bisect.bisect_left([p[0] for p in self.pending], until)
        for _, offset, data, size in self.pending[:n]:
            put(self.image, offset, data, size)
        del self.pending[:n]

    def settle_one(self, place):
        """A write with a flush of its own is certain, with what was under it; what was asked for
        elsewhere before is not."""
        n = next(i for i, p in enumerate(self.pending) if p[0] == place)
        mine, kept = set(covered(*self.pending[n][1:3])), []
        for change in self.pending[:n]:
            if change[2] is not None and mine.isdisjoint(covered(*change[1:3])):
                kept.append(change)
            else:
                put(self.image, *change[1:])
        put(self.image, *self.pending[n][1:])
        self.pending[:n + 1] = kept

    def guess(self, rng, mood):
        """A sector that was written twice is as it was after one of them: what the second did to
        it is not there without the first."""
        image, missing = bytearray(self.image), set()
        if mood == "none":
            return image
        for _, offset, data, size in self.pending:
            fate = mood if mood != "mixed" else rng.choice(("all", "none", "torn"))
            if data is None:
                if fate == "all" or fate == "torn" and rng.random() < 0.5:
                    put(image, offset, data, size)
                continue
            for at, piece in sectors(offset, data):
                if at // SECTOR not in missing and (
                        fate == "all" or fate == "torn" and rng.random() < 0.5):
                    put(image, at, piece, None)
                else:
                    missing.add(at // SECTOR)
        return image


def covered(offset, data):
    return range(offset // SECTOR, (offset + len(data) - 1) // SECTOR + 1)


def sectors(offset, data):
    at = 0
    while at < len(data):
        n = SECTOR - (offset + at) % SECTOR
        yield offset + at, data[at:at + n]
        at += n


def put(image, offset, data, size):
    if data is None:
        if size is not None and len(image) < size[0]:
            image.extend(bytes(size[0] - len(image)))
        elif size is not None and size[1]:
            del image[size[0]:]
        return
    if len(image) < offset + len(data):
        image.extend(bytes(offset + len(data) - len(image)))
    image[offset:offset + len(data)] = data


class Dir:
    """Names.  A change is (place, removed names, {name: node})."""

    def __init__(self):
        self.image, self.pending = {}, []

    def settle(self, until):
        n = bisect.bisect_left([p[0] for p in self.pending], until)
        for change in self.pending[:n]:
            rename(self.image, change)
        del self.pending[:n]

    def guess(self, rng, mood):
        image = dict(self.image)
        if mood == "journal":  # like most file systems: in order, up to some moment
            chosen = self.pending[:rng.randrange(len(self.pending) + 1)]
        else:
            chosen = [c for c in self.pending if mood == "all" or
                      (mood == "mixed" and rng.random() < 0.5)]
        for change in chosen:
            rename(image, change)
        return image


def rename(names, change):
    _, removed, node, added = change
    if removed is not None and names.get(removed) is node:
        del names[removed]
    if added is not None:
        names[added] = node


class Disk:
    """Follows the record: what exists now, what of it is certain."""

    def __init__(self, root):
        self.root, self.top = root, Dir()
        self.live = {root: self.top}  # path -> node, as the running process sees it
        self.handles = {}

    def change(self, place, path, removed, added):
        """A name in the directory of @path."""
        parent = self.live.get(os.path.dirname(path))
        node = self.live.get(path)
        parent.pending.append((place, removed and os.path.basename(removed), node,
                               added and os.path.basename(added)))

    def see(self, event):
        place, _, kind, handle, offset, data = event
        if kind == OPENED:
            path = data.decode().rstrip("/")
            if path not in self.live:
                self.live[path] = Dir() if offset & os.O_DIRECTORY else File()
                self.change(place, path, None, path)
            node = self.handles[handle] = self.live[path]
            if offset & os.O_TRUNC and isinstance(node, File):
                node.pending.append((place, 0, None, (0, True)))
        elif kind == WRITTEN:
            self.handles[handle].pending.append((place, offset, data, None))
        elif kind == SIZED:
            self.handles[handle].pending.append((place, 0, None, (offset, bool(data))))
        elif kind == FLUSHED:
            node = self.handles[handle]
            if isinstance(node, File) and any(p[0] == offset for p in node.pending):
                node.settle_one(offset)
            else:
                node.settle(offset)
        elif kind == MADE:
            path = data.decode()
            if path != self.root:
                self.live[path] = Dir()
                self.change(place, path, None, path)
        elif kind == REMOVED:
            path = data.decode()
            if path in self.live:
                self.change(place, path, path, None)
                del self.live[path]
        elif kind == RENAMED:
            old, new = data.decode().split("\0")
            self.live[new] = self.live.pop(old)
            self.change(place, new, old, new)

    def after_the_cut(self, rng, into, mood=None):
        """One state the disk may be in now, made below @into."""
        mood = mood or rng.choice(("none", "all", "mixed", "mixed", "mixed"))
        names = rng.choice(("none", "all", "journal", "journal", "mixed"))
        make(self.top, into, rng, mood, names)
        return "writes %s, names %s" % (mood, names)


def make(node, path, rng, mood, names):
    os.makedirs(path, mode=0o700, exist_ok=True)
    for name, child in node.guess(rng, names).items():
        if isinstance(child, Dir):
            make(child, path + "/" + name, rng, mood, names)
        elif name != "lock.mdb":  # shared memory of those that have the map open
            with open(path + "/" + name, "wb") as file:
                file.write(child.guess(rng, mood))
            os.chmod(path + "/" + name, 0o600)


def cuts(recorder, moments, rng, into, obeys=True):
    """For each moment (ns, rising): (moment, directory with a state after a cut there, its kind).
    Not @obeys: a disk that forgets what it was told to flush."""
    disk, events, at = Disk(recorder.root), recorder.events(), 0
    if not obeys:
        logs = {e[3] for e in events if e[2] == OPENED and b"/wal/" in e[5]}
        events = [e for e in events if e[2] != FLUSHED or e[3] not in logs]
    for number, moment in enumerate(moments):
        while at < len(events) and events[at][1] <= moment:
            disk.see(events[at])
            at += 1
        path = "%s/cut%d" % (into, number)
        yield moment, path, disk.after_the_cut(rng, path, None if obeys else "none")


def moments_of(events, rng, n):
    """Where something happens: half of them just before a flush is done."""
    times = [e[1] for e in events]
    flushed = [e[1] - 1 for e in events if e[2] == FLUSHED] or times
    return [rng.choice(flushed if rng.random() < 0.5 else times) for _ in range(n)]
