"""Asks the tracker what there is, as often as it can bear, and tells the open pages.

One thread, which is on a line of its own to the tracker. While nobody looks, it asks for little, so
that a page that is opened can show the last minutes.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from shoal.api import push
from shoal.api.asking import Line, trackers_of
from shoal.api.ls import listed
from shoal.api.status import Overview, overview
from shoal.config.cluster import Cluster
from shoal.dashboard import picture
from shoal.dashboard.cadence import Cadence
from shoal.dashboard.closeups import Closeups
from shoal.dashboard.picture import Rows
from shoal.dashboard.streams import Document, Streams
from shoal.dashboard.throughput import History, sample
from shoal.protocol.errors import OperatorError
from shoal.protocol.keyring import Keyring, towards_tracker
from shoal.protocol.messages import File
from shoal.protocol.pushing import Pushed

IDLE_S = 10.0  # Between two looks while nobody looks at the page.
LEAST_PAUSE_S = 0.05
SECTIONS = ("nodes", "things", "pushes")


class Watch:
    """Looks, and tells `streams` in the thread of their loop."""

    def __init__(
        self,
        cluster: Cluster,
        ring: Keyring | None,
        link_rate: int,
        streams: Streams,
        call: Callable[..., object],
    ) -> None:
        """Prepare to watch a cluster.

        Args:
            cluster: whose tracker to ask.
            ring: has our keys and those of others; None if the cluster file has none.
            link_rate: of hosts that do not tell their card's, in bytes/s; 0 if that is unknown.
            streams: whom to tell.
            call: has the streams' thread call a function with arguments.
        """
        self._cluster = cluster
        self._towards = towards_tracker(ring)
        self._closeups = Closeups(cluster, ring)
        self._link_rate = link_rate
        self._streams = streams
        self._call = call
        self._line: Line | None = None
        self._wake = threading.Event()
        self._is_over = False
        self._history = History()
        self._overview: Overview | None = None
        self._files: list[File] = []
        self._pushed: list[Pushed] = []
        self._cadences = {
            "nodes": Cadence(least_s=1.0, share=0.02),
            "things": Cadence(least_s=1.0, share=0.03),
            "pushes": Cadence(least_s=1.0, share=0.02),
        }
        self._closely = Cadence(least_s=1.0, share=0.03)
        self._rows: dict[str, Rows] = {name: {} for name in SECTIONS}
        self._trackers = trackers_of(cluster)
        self._tracker: Document = {"address": self._trackers.addresses[0], "away": None}

    def start(self) -> None:
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def stop(self) -> None:
        """End soon. May be called from any thread."""
        self._is_over = True
        self._wake.set()

    def hurry(self) -> None:
        """Look now: somebody has opened a page. May be called from any thread."""
        self._closely.due = 0.0
        self._wake.set()

    def _run(self) -> None:
        try:
            while not self._is_over:
                self._look(time.monotonic())
                self._wake.wait(self._pause_s(time.monotonic()))
                self._wake.clear()
        finally:
            self._hang_up()
            self._closeups.close()

    def _pause_s(self, now: float) -> float:
        if not self._streams.viewers:
            return IDLE_S
        due = min(one.due for one in self._cadences.values())
        return max(
            LEAST_PAUSE_S, (min(due, self._closely.due) if self._streams.topics else due) - now
        )

    def _look(self, now: float) -> None:
        try:
            changed = self._asked(now)
        except OperatorError as error:
            self._hang_up()
            for cadence in self._cadences.values():
                cadence.failed(time.monotonic())
            changed = self._tracker["away"] != str(error)
            self._tracker = {**self._tracker, "away": str(error)}
        if changed:
            self._tell(time.monotonic())
        self._look_closely()

    def _asked(self, now: float) -> bool:
        """Ask for whatever is due; return whether anything was.

        Raises:
            OperatorError: the tracker does not answer, does not let us in, or makes no sense.
        """
        if self._line is None:
            self._line = Line(self._trackers, self._towards)
        line, is_watched = self._line, self._streams.viewers > 0
        due = [name for name, one in self._cadences.items() if one.is_due(now)]
        for name in due if is_watched else ["nodes"]:
            with self._cadences[name].timed():
                self._ask_for(name, line)
        back = self._tracker["away"] is not None
        if self._overview is not None:
            since = picture.steady(now - self._overview.uptime_s, self._tracker.get("since"))
            self._tracker = {"address": line.address, "away": None, "since": since}
        return bool(due) or back

    def _ask_for(self, name: str, line: Line) -> None:
        match name:
            case "nodes":
                self._overview = overview(line)
            case "things":
                self._files = listed(line)
            case _:
                self._pushed = push.pushes(line)

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _tell(self, now: float) -> None:
        before = self._rows
        statuses = self._overview.nodes if self._overview is not None else ()
        self._rows = {
            "nodes": picture.nodes(statuses, self._cluster, now, before["nodes"]),
            "things": picture.things(self._files, now, before["things"]),
            "pushes": picture.pushes(self._pushed, now, before["pushes"]),
        }
        taken = sample(self._rows["nodes"].values(), self._link_rate, now)
        is_new = self._tracker["away"] is None and self._history.add(taken)
        head = {"now": now, "tracker": self._tracker}
        news: dict[str, Any] = {**head, "load": [taken] if is_new else []}
        for name, rows in self._rows.items():
            news[name] = picture.changes(before[name], rows)
        whole = {**head, "load": list(self._history.samples), **self._rows}
        self._post(self._streams.take, whole, news)

    def _look_closely(self) -> None:
        """Tell pages of the thing or node that they show in detail; waiting for it is no work."""
        topics, now = self._streams.topics, time.monotonic()
        self._closeups.keep(topics)
        if not topics or self._line is None or not self._closely.is_due(now):
            return
        began = time.thread_time()
        files = picture.keyed(self._files)
        try:
            for topic in sorted(topics):
                rows = self._closeups.of(topic, self._line, files, self._rows)
                self._post(self._streams.take_detail, topic, rows)
        except OperatorError:
            self._hang_up()  # The next look says why.
        took_s = time.thread_time() - began
        self._closely.answered(now, now + took_s)

    def _post(self, function: Callable[..., None], *args: object) -> None:
        try:
            self._call(function, *args)
        except RuntimeError:  # The loop has ended: the process is about to.
            self._is_over = True
