"""The place where everything is measured: a temporary folder, the file to move, free ports."""

import itertools
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

from tests.benchmark.processes import BenchmarkError, Children
from tests.benchmark.warm_memory import SPARE_BYTES, keep_warm

PAYLOAD = "big.bin"
BLOCK_BYTES = 4 << 20
RAM_DISK = Path("/dev/shm")  # noqa: S108 -- it is the RAM disk that is wanted
FIRST_PORT = 24_000  # below 32768, where Linux begins to hand out ports to outgoing connections


def default_folder() -> Path:
    return RAM_DISK if RAM_DISK.is_dir() else Path(tempfile.gettempdir())


@dataclass
class Workspace:
    folder: Path
    size_bytes: int
    children: Children
    digest: bytes = b""
    _ports: Iterator[int] = field(default_factory=lambda: itertools.count(FIRST_PORT))

    @property
    def payload(self) -> Path:
        return self.folder / PAYLOAD

    def make_payload(self) -> None:
        """Write `size_bytes` random bytes, in which no contender can find anything to save."""
        free_bytes = shutil.disk_usage(self.folder).free
        needed_bytes = 2 * self.size_bytes + SPARE_BYTES
        if free_bytes < needed_bytes:
            raise BenchmarkError(
                f"{self.folder} has {free_bytes >> 20} MiB free, but the file and its copy need "
                f"{needed_bytes >> 20} MiB; choose a smaller --size-mib or another --folder"
            )
        with self.payload.open("wb") as file:
            for offset in range(0, self.size_bytes, BLOCK_BYTES):
                file.write(os.urandom(min(BLOCK_BYTES, self.size_bytes - offset)))
        self.digest = _digest(self.payload)
        keep_warm(self.folder / "warm", self.size_bytes + SPARE_BYTES)

    def holder_folder(self, name: str) -> Path:
        """Make a folder that holds the file: a hard link, so all holders share the same RAM."""
        folder = self.empty_folder(name)
        os.link(self.payload, folder / PAYLOAD)
        return folder

    def empty_folder(self, name: str) -> Path:
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def check_copy(self, copy: Path) -> None:
        """Raise unless `copy` has the file's very bytes: a fast wrong answer is no answer."""
        if not copy.is_file() or _digest(copy) != self.digest:
            raise BenchmarkError(f"{copy.relative_to(self.folder)} is not the file that was sent")

    def free_port(self) -> int:
        for port in self._ports:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return port
        raise AssertionError("the count of ports never ends")


@contextmanager
def open_workspace(parent: Path, size_bytes: int) -> Iterator[Workspace]:
    """Open a workspace on `parent`; on the way out its processes end, then its files go."""
    with tempfile.TemporaryDirectory(prefix="shoal-benchmark-", dir=parent) as name:
        logs = Path(name) / "logs"
        logs.mkdir()
        with Children(logs) as children:
            yield Workspace(Path(name), size_bytes, children)


def _digest(path: Path) -> bytes:
    hasher = blake3(max_threads=blake3.AUTO)
    hasher.update_mmap(path)
    return hasher.digest()
