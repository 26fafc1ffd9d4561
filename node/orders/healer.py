"""The thread that checks chunks that peers complained about, and has damaged things healed.

A complaint proves nothing: the chunk is read and hashed here, which costs no more than to send it.
"""

import collections
import contextlib
import logging
import queue
import threading
import time

from blake3 import blake3
from shoal.node.files.signature import GoneError
from shoal.node.folder.whole import Whole
from shoal.node.orders.home import Home
from shoal.node.orders.verifying import Verifying
from shoal.node.staging.partial import PartialFile
from shoal.protocol.control import Examined
from shoal.protocol.errors import OperatorError
from shoal.protocol.names import display

log = logging.getLogger("shoal.node")

MAX_WAITING = 64  # Complaints that wait; more are dropped, as the next peer will complain too.
MAX_RECENT = 4096  # Chunks that were complained about recently, …
RECENT_S = 60.0  # … each of which is checked only this often.
FIRST_RETRY_S = 10.0  # Failed healing is retried after this, doubled each time …
MOST_RETRY_S = 320.0  # … up to this.

Complaint = tuple[str, int]
Work = Complaint | str  # Or the name of what was withheld.


class Healer:
    """Takes complaints and works on them one by one, from `start` to `stop`."""

    def __init__(self, home: Home, verifying: Verifying) -> None:
        self._home = home
        self._verifying = verifying
        self._complaints: queue.Queue[Work | None] = queue.Queue(MAX_WAITING)
        self._recent: collections.OrderedDict[Complaint, float] = collections.OrderedDict()
        self._retries: dict[str, tuple[float, float]] = {}  # When, and after which pause.
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="heal", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End; healing that is under way must have been cancelled."""
        self._is_stopping = True
        try:
            self._complaints.put_nowait(None)
        except queue.Full:
            pass  # It checks whether to stop before it takes the next one.
        if self._thread.ident is not None:
            self._thread.join()

    def take(self, content_id: str, index: int) -> None:
        """Take the complaint that chunk `index` was wrong. Only for the serving thread."""
        complaint, now = (content_id, index), time.monotonic()
        if now - self._recent.get(complaint, -RECENT_S) < RECENT_S:
            return
        try:
            self._complaints.put_nowait(complaint)
        except queue.Full:
            return
        self._recent[complaint] = now
        self._recent.move_to_end(complaint)
        if len(self._recent) > MAX_RECENT:
            self._recent.popitem(last=False)

    def take_in(self, name: str) -> None:
        """Take a thing that was withheld as it has lost bytes. May be called from any thread."""
        with contextlib.suppress(queue.Full):  # Then it is healed after the next start.
            self._complaints.put_nowait(name)

    def _run(self) -> None:
        for name in self._home.rules.damaged():
            self._later(name, FIRST_RETRY_S)
        while not self._is_stopping:
            try:
                self._work()
            except OperatorError as error:  # It is being verified already, or the disk refuses.
                if not self._is_stopping:
                    log.warning("cannot heal: %s", display(str(error)))
            except Exception:
                log.exception("cannot look into a complaint")

    def _work(self) -> None:
        due = min((at for at, _ in self._retries.values()), default=None)
        try:
            timeout_s = None if due is None else max(0.0, due - time.monotonic())
            complaint = self._complaints.get(timeout=timeout_s)
        except queue.Empty:
            self._try_again()
            return
        if isinstance(complaint, str):
            self._later(complaint, FIRST_RETRY_S)
        elif complaint is not None and not self._is_stopping:
            self._look_into(*complaint)

    def _look_into(self, content_id: str, index: int) -> None:
        inventory = self._home.inventory
        part = next((one for one in inventory.fetched() if one.id == content_id), None)
        if isinstance(part, PartialFile) and not part.is_right(index):
            place = f"chunk {index + 1} of {part.chunk_count}"
            log.warning("%s: %s is corrupt on this disk; fetching it again", part.name, place)
        for thing in inventory.wholes():
            if thing.id == content_id and not self._is_right(thing, index):
                name = display(thing.name)
                place = f"chunk {index + 1} of {thing.chunk_count}"
                log.warning(
                    "%s: %s is corrupt on this disk; not sharing it until it is healed",
                    name,
                    place,
                )
                self._later(thing.name, FIRST_RETRY_S)
                self._note(thing.name, self._verifying.heal(thing, 1 << index))

    def _is_right(self, thing: Whole, index: int) -> bool:
        """Return whether a chunk is right, or was changed on purpose (the watcher sees to that).

        What cannot be read now, for want of descriptors or memory, is not taken for wrong.
        """
        try:
            return blake3(thing.read(index)).digest() == thing.manifest.digest(index)
        except (GoneError, OSError):
            return True

    def _try_again(self) -> None:
        now = time.monotonic()
        for name, (at, pause_s) in sorted(self._retries.items()):
            if at > now or self._is_stopping:
                continue
            self._later(name, min(2 * pause_s, MOST_RETRY_S))
            if self._home.rules.of(name).to_heal is None:
                del self._retries[name]  # Its user has dealt with it.
            else:
                self._note(name, self._verifying.heal_again(name), is_news=False)

    def _later(self, name: str, pause_s: float) -> None:
        """Retry within `pause_s`, at a time by the clock that is a multiple of it.

        Two nodes whose copies are damaged in different places need each other's chunks, which each
        serves only while it tries: so they try at the same times, however long each has failed.
        """
        now_s = time.time()  # noqa: TID251 (the clock that nodes have in common)
        self._retries[name] = time.monotonic() + pause_s - now_s % pause_s, pause_s

    def _note(self, name: str, found: Examined | None, *, is_news: bool = True) -> None:
        """Log what became of a thing; `found` is None if it is not damaged but changed."""
        if found is None:
            del self._retries[name]
        elif found.healed or not found.damaged:
            del self._retries[name]
            log.info("%s: healed; sharing it again", display(name))
        elif is_news:
            damaged = f"{found.damaged} of {found.chunks} chunks corrupt"
            parts = display(name), damaged, display(found.trouble)
            log.warning("%s: cannot heal it, %s: %s; will retry", *parts)
