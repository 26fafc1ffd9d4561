"""One decoder's share of the command, in a process of its own, and the corpus of findings."""

import logging
import tempfile
import time
from pathlib import Path
from random import Random

from blake3 import blake3

from tests.fuzz.decoders import DECODERS
from tests.fuzz.loop import Finding, fuzzed

CORPUS = Path(__file__).with_name("corpus")
MAX_KEPT = 20  # Findings of one kind look alike.


def found_in(work: tuple[str, int, int]) -> int:
    """Fuzz one decoder, given its name, a count of inputs and a seed; return how many it found."""
    name, count, seed = work
    logging.disable()  # What the decoders of files say of each damaged one.
    began, kept = time.monotonic(), 0
    decoder = DECODERS[name]()
    with tempfile.TemporaryDirectory(dir=_quick_folder()) as folder:
        read = decoder.open_in(Path(folder))
        for finding in fuzzed(decoder, read, count, Random(f"{name} {seed}")):
            kept += 1
            if kept <= MAX_KEPT:
                print(f"{name}: {finding.trouble}; kept as {_kept(name, finding)}", flush=True)
    took_s = time.monotonic() - began
    print(f"{name}: {count} inputs, {kept} findings, {took_s:.0f} s", flush=True)
    return kept


def _kept(name: str, finding: Finding) -> Path:
    path = CORPUS / name / blake3(finding.data).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(finding.data)
    return path.relative_to(CORPUS.parent)


def _quick_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - only for scratch files
