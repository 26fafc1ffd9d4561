"""The command: what strangers can do to a tracker and a node, and what that costs others."""

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.attacks import capture, connections, handshakes, memory
from tests.attacks.scene import scene
from tests.attacks.strangers import ATTACKS
from tests.benchmark.processes import end_when_told

MOST_CHARACTERS = 4000
FREE_PLACE = "127.0.0.1", 14_999
WITHOUT_HANDLER = 20  # Each takes as long as a handshake may.


class Failed(Exception):  # noqa: N818 (it is no error of the command)
    """What was promised did not hold."""


def of_memory(options: argparse.Namespace) -> Iterator[str]:
    """Have strangers try to fill the memory, in each way for so many seconds."""
    kinds = [kind for kind in ATTACKS if any(word in kind for word in options.only or [""])]
    with _folder() as folder, scene(folder) as made:
        for done in memory.attacks(made, kinds, options.seconds):
            yield str(done)
            if done.growth_bytes > memory.MOST_GROWTH_BYTES:
                raise Failed(f"{done.growth_bytes >> 20} MiB more; at most 64 are promised")


def of_connections(options: argparse.Namespace) -> Iterator[str]:
    """Open so many connections to the tracker, and to the node."""
    with _folder() as folder, scene(folder) as made:
        for target in made.targets.values():
            done = connections.attack(target, options.count or 100_000, options.rate)
            yield str(done)
            if done.growth_bytes > connections.MOST_GROWTH_BYTES:
                raise Failed(f"{done.growth_bytes >> 20} MiB more; at most 16 are promised")


def of_handshakes(options: argparse.Namespace) -> Iterator[str]:
    """Try so many handshakes of each kind; nobody may be let in."""
    with _folder() as folder, scene(folder, is_secured=True) as made:
        for done in handshakes.against(made, options.count or 10_000):
            yield str(done)
            if done.let_in and done.kind != handshakes.KNOWN:
                raise Failed(f"{done.let_in} were let in")
    done = handshakes.without_handler(FREE_PLACE, WITHOUT_HANDLER)
    yield str(done)
    if done.let_in:
        raise Failed(f"{done.let_in} were let in")


def of_capture(_: argparse.Namespace) -> Iterator[str]:
    """Capture a fetch with keys, and one without."""
    for is_secured in (False, True):
        with _folder() as folder:
            seen = capture.capture(folder, is_secured=is_secured)
        yield f"{'with' if is_secured else 'without'} keys: {seen}"
        if is_secured and (seen.names or seen.runs):
            raise Failed("it shows what it must not")


KINDS: dict[str, Callable[[argparse.Namespace], Iterator[str]]] = {
    "memory": of_memory,
    "connections": of_connections,
    "handshakes": of_handshakes,
    "capture": of_capture,
}


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="shoal-attacks-") as made:
        yield Path(made)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each way to fill memory")
    parser.add_argument("--only", action="append", metavar="WORD", help="of the ways")
    parser.add_argument("--count", type=int, help="of connections, or of each kind of handshake")
    parser.add_argument("--rate", type=float, default=1000.0, help="connections in a second")
    options = parser.parse_args()
    end_when_told()
    began = time.monotonic()
    try:
        for line in KINDS[options.kind](options):
            print(f"{time.monotonic() - began:6.0f} s  {line}", flush=True)
    except (AssertionError, TimeoutError, Failed) as error:
        print(f"failed: {str(error)[:MOST_CHARACTERS]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
