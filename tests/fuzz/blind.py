"""The process that feeds one decoder with changes of what it begins with, led by nothing.

python -m tests.fuzz.blind DECODER COUNT SEED FOLDER

Some ten times as quick as tests.fuzz.engine, as nothing is instrumented. Inputs that seem to break
a promise go into FOLDER.
"""

import logging
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random

from blake3 import blake3

from tests.fuzz.decoder import Decoder
from tests.fuzz.decoders import DECODERS
from tests.fuzz.mutation import mutated
from tests.fuzz.watch import Finding, Watch


def feed(
    decoder: Decoder, count: int, rng: Random, scratch: Path, tell: Callable[[Finding], None]
) -> None:
    """Have so many inputs decoded, and look whether they break a promise."""
    watch = Watch(decoder, decoder.open_in(scratch), tell)
    for _ in range(count):
        watch.take(mutated(rng, decoder.seeds, decoder.most_bytes))
    watch.end()


def main(name: str, count: int, seed: int, found: Path) -> None:
    logging.disable()  # What the decoders of files say of each damaged one.
    warnings.simplefilter("ignore")

    def keep(finding: Finding) -> None:
        (found / f"{blake3(finding.data).hexdigest()[:16]}.found").write_bytes(finding.data)

    scratch = Path(tempfile.mkdtemp(dir=found))
    feed(DECODERS[name](), count, Random(f"{name} {seed}"), scratch, keep)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
