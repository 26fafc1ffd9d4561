"""The faults: what the code says, what is put there instead, and the tests that must see it."""

from typing import NamedTuple

UNIT = "tests/unit/"
NODE = UNIT + "node/"


class Fault(NamedTuple):
    """One planted fault: edits of the file at `path`, and the tests, for pytest, that see it.

    An edit is what occurs once in the file, and what comes instead. Where one line stands behind
    another, so that neither alone keeps the promise, there are several.
    """

    name: str
    path: str
    edits: tuple[tuple[str, str], ...]
    tests: tuple[str, ...]


def _fault(name: str, path: str, right: str, wrong: str, *tests: str) -> Fault:
    return Fault(name, path, ((right, wrong),), tests)


FAULTS = (
    # Wrong bytes.
    _fault(
        "chunk digest is not checked",
        "node/fetching/gathering.py",
        "reply.size_bytes == thing.chunk_size(index) and reply.digest == thing.digest(index)",
        "reply.size_bytes == thing.chunk_size(index)",
        NODE + "fetching",
    ),
    _fault(
        "any chunk is taken for the one requested",
        "node/fetching/gathering.py",
        "if reply.index != index:",
        "if reply.index < 0:",
        NODE + "fetching",
    ),
    _fault(
        "the tracker's id is taken for the manifest's",
        "node/fetching/manifest_requests.py",
        "if expected not in {None, id_of(data)}:",
        "if expected is not None and len(data) == 0:",
        NODE + "fetching",
    ),
    _fault(
        "what was staged before is trusted",
        "node/staging/staged_file.py",
        "return verified_chunks(self._read, self.manifest, list(bitmap.indices(candidates)))",
        "return candidates",
        NODE + "staging",
    ),
    _fault(
        "a changed file is sent as it was hashed",
        "node/files/signature.py",
        "is_as_known = was_as_known and fits(os.fstat(descriptor))\n    finally:\n"
        "        os.close(descriptor)\n    if not is_as_known or len(data) != size_bytes:",
        "is_as_known = was_as_known or True\n    finally:\n"
        "        os.close(descriptor)\n    if not is_as_known or len(data) != size_bytes:",
        NODE + "files",
    ),
    _fault(
        "reused chunks are not verified",
        "node/staging/reuse.py",
        "            if blake3(data).digest() == whole.manifest.digest(index):\n",
        "            if data:\n",
        NODE + "staging",
    ),
    # Early, lost or replaced.
    Fault(
        "published after a write that failed",
        "node/staging/intake.py",
        (
            (
                (
                    "self._behind.settle()\n            if self._trouble is not None:\n"
                    "                return self._trouble\n            if self._staged.needed"
                ),
                "if self._staged.needed",
            ),
            (
                "self._staged.write(index, payload)\n            self._have |= 1 << index",
                "self._have |= 1 << index\n            self._staged.write(index, payload)",
            ),
        ),
        (NODE + "staging",),
    ),
    _fault(
        "published with a chunk missing",
        "node/staging/intake.py",
        "if self._staged.needed & ~self._have:",
        "if self._staged is None:",
        NODE + "staging",
    ),
    _fault(
        "no fsync before the rename",
        "node/staging/staged_file.py",
        "        os.fsync(self._descriptor)\n",
        "",
        NODE + "staging",
    ),
    _fault(
        "no fsync of the directory",
        "node/files/placing.py",
        "            os.fsync(directory)\n",
        "            pass\n",
        NODE + "files",
        NODE + "staging",
    ),
    _fault(
        "rules are not durable",
        "node/folder/rules.py",
        "            os.fsync(file.fileno())\n",
        "",
        NODE + "folder/test_rules.py",
    ),
    _fault(
        "whatever has the name is replaced",
        "node/files/placing.py",
        "        if not may_go(there):\n            raise InTheWayError\n        try:",
        "        try:",
        NODE + "files",
        NODE + "staging",
    ),
    _fault(
        "not looked at again after the exchange",
        "node/files/placing.py",
        "        if may_go(made):\n            return True\n",
        "        return True\n",
        NODE + "files",
        NODE + "staging",
    ),
    _fault(
        "rot found during a fetch is published",
        "node/staging/intake.py",
        "if self._partial is not None and self._partial.corrupt:",
        "if self._partial is None:",
        NODE + "staging",
    ),
    _fault(
        "two processes own one folder",
        "node/folder/lock.py",
        "fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)",
        NODE + "folder/test_lock.py",
    ),
    # Paths and links.
    _fault(
        "names may lead up",
        "protocol/names.py",
        'if component in {".", ".."}:',
        'if component in {"."}:',
        UNIT + "protocol",
    ),
    _fault(
        "links may lead out of the tree",
        "protocol/listing.py",
        'return target.split("/").count("..") <= path.count("/")',
        'return target.split("/").count("..") <= path.count("/") + 1',
        UNIT + "protocol",
    ),
    _fault(
        "files are opened through links",
        "node/files/raw_files.py",
        "_OPEN = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK",
        "_OPEN = os.O_CLOEXEC | os.O_NONBLOCK",
        NODE + "files",
    ),
    _fault(
        "directories are opened through links",
        "node/files/paths.py",
        "_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC",
        "_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC",
        NODE + "files",
    ),
    # Requests and replies.
    _fault(
        "the request's id is ignored",
        "wire/tracker_client.py",
        'case [tag, b"", body] if tag == self._tag:',
        'case [tag, b"", body]:',
        UNIT + "wire",
    ),
    _fault(
        "the tracker forgets the reply on an error",
        "broker/server.py",
        'return _failed(WireCode.INTERNAL, "the tracker failed; see its log")',
        "raise",
        "tests/integration/test_tracker_faults.py",
    ),
    _fault(
        "the high-water mark is the window",
        "wire/sockets.py",
        "REPLY_HIGH_WATER = 4 * MAX_OUTSTANDING",
        "REPLY_HIGH_WATER = MAX_OUTSTANDING",
        UNIT + "wire",
        NODE + "network",
    ),
    _fault(
        "replies of any size are taken in",
        "wire/sockets.py",
        "    sock.setsockopt(zmq.MAXMSGSIZE, MAX_CHUNK_BYTES + FRAME_SLACK_BYTES)\n",
        "",
        UNIT + "wire",
    ),
    _fault(
        "the tracker waits for clients that do not read",
        "broker/server.py",
        "router.send_multipart(frames, zmq.NOBLOCK)",
        "router.send_multipart(frames)",
        "tests/integration/test_tracker.py",
        "tests/integration/test_tracker_faults.py",
    ),
    _fault(
        "a message's nesting and count are not limited",
        "protocol/codec.py",
        "if self._count > MAX_VALUES:",
        "if self._count > MAX_VALUES * MAX_VALUES:",
        UNIT + "protocol",
    ),
    # Holders.
    _fault(
        "liars are not banned",
        "node/fetching/roster.py",
        "            self._banned[node] = trouble.reason\n",
        "            pass\n",
        NODE + "fetching",
    ),
    _fault(
        "holders whose lease has expired are handed out",
        "broker/tracking/answers.py",
        "if not has_lease(holder.node)}",
        "if has_lease(holder.node) is None}",
        UNIT + "broker",
    ),
    _fault(
        "an overfull holder goes on accepting",
        "node/serving/server.py",
        "if self._pacing.is_overfull:",
        "if self._pacing is None:",
        NODE + "serving",
    ),
    # Versions and state.
    _fault(
        "the newest version is the last that arrived",
        "broker/tracking/catalogue.py",
        "return self.published.number, -self.order",
        "return 0, self.order",
        UNIT + "broker",
    ),
    _fault(
        "changes are answered and never saved",
        "broker/server.py",
        "        self._saver.save(changes, now)\n",
        "",
        "tests/integration/test_tracker.py",
        "tests/integration/test_tracker_faults.py",
    ),
    _fault(
        "a lost update is not said again",
        "node/serving/announcer.py",
        "                self._announced[item.name, item.id] = None\n",
        "                pass\n",
        NODE + "serving",
    ),
    _fault(
        "a tracker that lost everything is not told again",
        "node/serving/announcer.py",
        "return count == len(self._announced) or not self._has_said_all",
        "return True",
        NODE + "serving",
    ),
    _fault(
        "damaged rows are believed",
        "broker/rows.py",
        "zlib.crc32(ascii((table, *values, flag)).encode()) & _CHECKSUM",
        "7",
        UNIT + "broker",
    ),
    _fault(
        "chunks that have come are requested again",
        "node/scheduling/wanted.py",
        "        self.missing &= ~came\n",
        "",
        NODE + "scheduling",
    ),
)  # fmt: skip
