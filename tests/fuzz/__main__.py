"""The command: many inputs for each decoder, on all processors; findings are kept in corpus/."""

import argparse
import importlib.util
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.fuzz.decoders import DECODERS
from tests.fuzz.run import found_in


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("decoder", nargs="*", help="which of them; all if none is named")
    parser.add_argument("--count", type=int, default=100_000, help="inputs for each decoder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="so many at a time")
    parser.add_argument(
        "--blind", action="store_true", help="not led by the code: ten times as quick"
    )
    parser.add_argument("--list", action="store_true", help="list the decoders and exit")
    options = parser.parse_args()
    unknown = set(options.decoder) - DECODERS.keys()
    if unknown or options.list:
        print(*DECODERS, sep="\n")
        return 2 if unknown else 0
    if not options.blind and importlib.util.find_spec("atheris") is None:
        parser.error("atheris is missing; pip install 'shoal[fuzz]', or use --blind")
    chosen = options.decoder or list(DECODERS)
    how = options.count, options.seed, "blind" if options.blind else "engine"
    with ThreadPoolExecutor(options.jobs) as pool:
        found = sum(pool.map(lambda name: found_in(name, *how), chosen))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
