"""`python -m tests.dashboard`: pictures of the page for the docs, and what it costs.

`pictures` draws docs/use/pictures/dashboard-*.png; `measure` prints the first paint of a page with
500 nodes and 100 things, and what it takes of a processor core while it is open. Both fill a real
tracker through its protocol, and need Chromium.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
from shoal.protocol.pushing import Push

from tests.benchmark import usage
from tests.dashboard.browser import browser_here
from tests.dashboard.crowd import GB, Chunks, Crowd, busy, crowd_in, filled, id_of
from tests.integration.cluster import CLI, ROOT, environment

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PICTURES = ROOT / "docs" / "use" / "pictures"
THING = f"#thing/win11-lab.img%40{id_of(9001)}"
VIEWS = {  # Name: where, window, theme.
    "dashboard-nodes": ("#nodes", (1200, 780), "dark"),
    "dashboard-swarm": (THING, (1200, 980), "light"),
    "dashboard-phone": ("#nodes", (390, 780), "light"),
}
STEP_S = 2.0
MOST_RATE = 117_000_000  # Of 1 Gbit/s.
READY = "#status[data-state=live]"
PAINTED = """() => {
    const paint = performance.getEntriesByName("first-contentful-paint")[0];
    return [paint ? paint.startTime : null, performance.now()];
}"""


class Renewing(threading.Thread):
    """Has the nodes that are on renew every two seconds, while their fetches go on."""

    def __init__(self, crowd: Crowd, nodes: list[str]) -> None:
        super().__init__(daemon=True)
        self._crowd = crowd
        self._nodes = nodes
        self._is_over = threading.Event()

    def run(self) -> None:
        rng = Random(3)
        while not self._is_over.wait(STEP_S):
            for node in self._nodes:
                fetching = tuple(_grown(one, rng) for one in self._crowd.doing[node].fetching)
                self._crowd.set(node, fetching=fetching)
            self._crowd.renew(self._nodes)

    def stop(self) -> None:
        self._is_over.set()
        self.join()


def _grown(one: Any, rng: Random) -> Any:
    """Return how far a fetch is after one step; its rate goes up and down a little."""
    have_bytes = min(one.size_bytes, one.have_bytes + int(one.rate * STEP_S))
    rate = min(MOST_RATE, int(one.rate * rng.uniform(0.85, 1.19)))
    return msgspec.structs.replace(one, have_bytes=have_bytes, rate=rate)


@contextlib.contextmanager
def scene(nodes: int, things: int, share: float) -> Iterator[tuple[Crowd, str, int]]:
    """Give a crowd in the middle of a push, the URL of its dashboard, and that process's id."""
    with (
        tempfile.TemporaryDirectory() as folder,
        crowd_in(Path(folder), nodes, zones=max(1, nodes // 25)) as crowd,
    ):
        rng = Random(7)
        filled(crowd, things, share, rng)
        busy(crowd, rng)
        on = crowd.nodes[: -max(1, nodes // 40)]
        crowd.announce(on)
        crowd.ask(Push("win11-lab.img", id_of(9001), 24 * GB))
        renewing, chunks = Renewing(crowd, on), Chunks(crowd, 5722)
        renewing.start()
        chunks.start()
        line = [*CLI, "dashboard", "--config", str(crowd.file), "--link", "1000"]
        process = subprocess.Popen(
            [*line, "--listen", "127.0.0.1:0"],
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        try:
            assert process.stderr is not None
            url = process.stderr.readline().split()[-1]
            yield crowd, url, process.pid
        finally:
            process.terminate()
            process.wait(10.0)
            chunks.stop()
            renewing.stop()


def pictures(seconds: float) -> None:
    """Draw the pictures, after so many seconds of history."""
    with scene(60, 30, 0.3) as (_, url, _), browser_here() as browser:
        watching = browser.new_page()
        watching.goto(url)
        time.sleep(seconds)
        for name, (place, (width, height), theme) in VIEWS.items():
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme=theme,  # type: ignore[arg-type]
            )
            page.goto(url + place)
            page.wait_for_selector(READY)
            page.wait_for_timeout(3000)
            page.screenshot(path=PICTURES / f"{name}.png")
            page.close()


def measure(nodes: int, things: int, seconds: float) -> dict[str, float]:
    """Return what a page costs, with all nodes holding all things, while it is open."""
    with scene(nodes, things, 1.0) as (crowd, url, pid), browser_here() as browser:
        time.sleep(5.0)
        figures: dict[str, float] = {"nodes": nodes, "things": things}
        pids = {"tracker": crowd.tracker_pid, "dashboard": pid}
        before = _cores(pids, seconds)
        figures |= {f"{name} closed, cores": cores for name, cores in before.items()}
        for view in ("#nodes", "#things", THING):
            painted = [_painted(browser, url + view) for _ in range(3)]
            figures[f"first paint of {view[:7]}, s"] = min(paint for paint, _ in painted)
            figures[f"first rows of {view[:7]}, s"] = min(rows for _, rows in painted)
        for view in ("#nodes", "#things", THING):
            page = browser.new_page()
            page.goto(url + view)
            page.wait_for_selector("tbody tr")
            time.sleep(5.0)
            told = _cores(pids, seconds).items()
            figures |= {f"{name} with {view[:7]}, cores": cores for name, cores in told}
            page.close()
        return figures


def _painted(browser: "Browser", url: str) -> tuple[float, float]:
    """Return after how many seconds something is painted, and the rows are there."""
    page = browser.new_page()
    page.goto(url)
    page.wait_for_selector("tbody tr")
    paint, now = page.evaluate(PAINTED)
    page.close()
    return round(paint / 1000, 3), round(now / 1000, 3)


def _cores(pids: dict[str, int], seconds: float) -> dict[str, float]:
    began, cpu = time.monotonic(), {name: usage.cpu_s([pid]) for name, pid in pids.items()}
    time.sleep(seconds)
    took_s = time.monotonic() - began
    return {name: round((usage.cpu_s([pid]) - cpu[name]) / took_s, 4) for name, pid in pids.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["pictures", "measure"])
    parser.add_argument("--nodes", type=int, default=500)
    parser.add_argument("--things", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    if options.what == "pictures":
        pictures(options.seconds)
    else:
        told = measure(options.nodes, options.things, options.seconds)
        print(json.dumps(told, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
