"""One decoder's share of the command: feeds it in a process of its own, and judges the findings."""

import logging
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from blake3 import blake3

from tests.fuzz.decoders import DECODERS
from tests.fuzz.watch import Finding, Watch

CORPUS = Path(__file__).with_name("corpus")
MAX_KEPT = 20  # Findings of one kind look alike.


def found_in(name: str, count: int, seed: int, engine: str) -> int:
    """Fuzz one decoder, given its name, a count of inputs and a seed; return how many it found.

    `engine` is the module that makes them.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=_quick_folder()) as folder:
        command = [
            sys.executable,
            "-m",
            f"tests.fuzz.{engine}",
            name,
            str(count),
            str(seed),
            folder,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = judged(name, Path(folder))
    if done.returncode:  # It was killed, or crashed.
        found.append(Finding(b"", f"ended with {done.returncode}: {done.stderr[-500:]}"))
    for finding in found[:MAX_KEPT]:
        print(f"{name}: {finding.trouble}; kept as {_kept(name, finding)}", flush=True)
    took_s = time.monotonic() - began
    print(f"{name}: {count} inputs, {len(found)} findings, {took_s:.0f} s", flush=True)
    return len(found)


def judged(name: str, folder: Path) -> list[Finding]:
    """Return which of the inputs in a folder break a promise indeed."""
    logging.disable()  # What the decoders of files say of each damaged one.
    decoder, found = DECODERS[name](), list[Finding]()
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        read = decoder.open_in(Path(scratch))
        for path in sorted(folder.glob("*.found")):
            watch = Watch(decoder, read, found.append)
            watch.take(path.read_bytes())
            watch.end()
    logging.disable(logging.NOTSET)
    return found


def _kept(name: str, finding: Finding) -> Path:
    path = CORPUS / name / blake3(finding.data).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(finding.data)
    return path.relative_to(CORPUS.parent)


def _quick_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - only for scratch files
