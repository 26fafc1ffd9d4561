"""The command: many inputs for each decoder, on all processors; findings are kept in corpus/."""

import argparse
import multiprocessing
import os
import sys

from tests.fuzz.decoders import DECODERS
from tests.fuzz.run import found_in


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("decoder", nargs="*", help="which of them; all if none is named")
    parser.add_argument("--count", type=int, default=100_000, help="inputs for each decoder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--list", action="store_true", help="list the decoders and exit")
    options = parser.parse_args()
    unknown = set(options.decoder) - DECODERS.keys()
    if unknown or options.list:
        print(*DECODERS, sep="\n")
        return 2 if unknown else 0
    chosen = options.decoder or list(DECODERS)
    work = [(name, options.count, options.seed) for name in chosen]
    with multiprocessing.get_context("spawn").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        found = sum(pool.imap_unordered(found_in, work, chunksize=1))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
