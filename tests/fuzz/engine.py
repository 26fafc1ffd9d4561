"""The process that feeds one decoder: libFuzzer, by atheris, guided by the lines that inputs reach.

python -m tests.fuzz.engine DECODER COUNT SEED FOLDER

Inputs that seem to break a promise go into FOLDER. Whether they do is for others to say: here the
code is instrumented, and slower.
"""

import logging
import os
import random
import sys
import tempfile
import warnings
from pathlib import Path

import atheris
from blake3 import blake3

with atheris.instrument_imports(include=["shoal"]):
    from tests.fuzz.decoders import DECODERS

from tests.fuzz.mutation import BEYOND_BYTES, mutated
from tests.fuzz.watch import Finding, Watch


def main(name: str, count: int, seed: int, found: Path) -> None:
    logging.disable()  # What the decoders of files say of each damaged one.
    warnings.simplefilter("ignore")
    decoder, scratch = DECODERS[name](), Path(tempfile.mkdtemp(dir=found))
    corpus = Path(tempfile.mkdtemp(dir=found))
    for number, data in enumerate(decoder.seeds):
        (corpus / str(number)).write_bytes(data)

    def keep(finding: Finding) -> None:
        (found / f"{blake3(finding.data).hexdigest()[:16]}.found").write_bytes(finding.data)

    watch, left = Watch(decoder, decoder.open_in(scratch), keep), count

    def take(data: bytes) -> None:
        nonlocal left
        watch.take(data)
        left -= 1
        if not left:
            watch.end()
            os._exit(0)  # libFuzzer would do that too.

    def mutate(data: bytes, most_bytes: int, number: int) -> bytes:
        """Change bits as libFuzzer does, or repeat and move much at once."""
        rng = random.Random(number)
        if rng.randrange(2):
            return bytes(atheris.Mutate(data, most_bytes))
        pool = [data, rng.choice(decoder.seeds)][: 1 + rng.randrange(2)]
        return mutated(rng, pool, most_bytes - BEYOND_BYTES)[:most_bytes]

    most_bytes = decoder.most_bytes + BEYOND_BYTES
    options = [f"-seed={seed}", f"-max_len={most_bytes}", "-len_control=0", "-rss_limit_mb=0"]
    options.append(f"-artifact_prefix={found}/")  # What libFuzzer itself takes for slow.
    atheris.Setup([sys.argv[0], *options, "-verbosity=0", str(corpus)], take, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
