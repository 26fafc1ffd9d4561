"""`scraper.py HOST:PORT…`: reads the metrics of processes each second until it is ended.

Prints after each round how many it has read, as Prometheus would: over HTTP, all of the text.
"""

import sys
import time
from urllib.request import urlopen

EVERY_S = 1.0
LIMIT_S = 5.0


def main(places: list[str]) -> None:
    due = time.monotonic()
    while True:
        read = sum(b"shoal_build_info" in _text(place) for place in places)
        print(f"{read} of {len(places)}", flush=True)
        due += EVERY_S
        time.sleep(max(0.0, due - time.monotonic()))


def _text(place: str) -> bytes:
    try:
        with urlopen(f"http://{place}/metrics", timeout=LIMIT_S) as reply:
            text: bytes = reply.read()
    except OSError:
        return b""
    return text


if __name__ == "__main__":
    main(sys.argv[1:])
