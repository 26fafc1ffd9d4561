"""The thread that keeps the inventory true to the folder: hashes what is new, drops what is gone.

A file that is still being written is left alone until it has been quiet for a moment.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from node.cache import Cache
from node.folder import Folder
from node.hashing import FileChangedError, Signature, hash_file
from node.inventory import Inventory, WholeFile
from node.settings import NodeSettings
from protocol.manifest import encode
from protocol.names import RESERVED_FOLDER, display

log = logging.getLogger("shoal.node")

SAY_HASHING_S = 2.0


class Watcher:
    """Looks after one folder, from `start` to `stop`."""

    def __init__(
        self,
        folder: Path,
        inventory: Inventory,
        cache: Cache,
        settings: NodeSettings,
        on_looked: Callable[[], None],
    ) -> None:
        """`on_looked` is called when everything that lay there at the start is in the inventory."""
        self._on_looked = on_looked
        self._folder = Folder(folder)
        self._inventory = inventory
        self._cache = cache
        self._settings = settings
        self._stopping = threading.Event()
        self._looking = threading.Lock()
        self._last_seen: dict[str, Signature] | None = None
        self._first_look_is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._progress = _HashProgress()

    def start(self) -> None:
        self._thread.start()

    def interrupt(self) -> None:
        """Have what is being hashed given up, for good. For signal handlers too."""
        self._stopping.set()

    def stop(self) -> None:
        self.interrupt()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def has_looked(self) -> bool:
        """Say whether all that lay in the folder at the start is in the inventory."""
        return self._first_look_is_over.is_set()

    def look_once(self, limit_s: float) -> None:
        """Look through the folder in the caller's thread, for at most about `limit_s`."""
        timer = threading.Timer(limit_s, self._stopping.set)
        timer.start()
        try:
            if self._look() and not self._stopping.is_set():
                self._first_look_is_over.set()
        finally:
            timer.cancel()

    def wait_for_first_look(self, timeout_s: float | None = None) -> bool:
        """Wait until everything that lay in the folder at the start is in the inventory."""
        return self._first_look_is_over.wait(timeout_s)

    def look_at(self, name: str) -> WholeFile | None:
        """Bring one file up to date now, in the caller's thread; return it if it is there."""
        with self._looking:
            signature = self._folder.signature_of(name)
            if signature is None:
                self._inventory.remove(name)
            else:
                self._progress.begin({name: signature})
                self._take_in(name, signature)
        return self._inventory.whole(name)

    def examine(self, name: str) -> WholeFile | None:
        """Return the file of that name as it is now, without taking it into the inventory."""
        with self._looking:
            signature = self._folder.signature_of(name)
            if signature is None:
                return None
            self._progress.begin({name: signature})
            try:
                return self._examined(name, signature)
            except FileChangedError:
                return None

    def forget(self, name: str) -> None:
        """Note that a file was found to be not what it was; it is hashed again if it is there."""
        self._inventory.remove(name)

    def _run(self) -> None:
        self._look()
        self._first_look_is_over.set()
        self._on_looked()
        for _ in self._occasions():
            while not self._look():
                if self._stopping.wait(self._settings.stable_s):
                    return

    def _look(self) -> bool:
        """Compare the inventory with the folder; say whether all files were at rest."""
        with self._looking:
            seen = self._folder.files()
            for name in self._inventory.names():
                if name not in seen:
                    self._inventory.remove(name)
                    self._cache.forget(name)
                    log.info("%s is gone from the folder", display(name))
            at_rest = True
            new = {name: sign for name, sign in seen.items() if not self._is_known(name, sign)}
            self._progress.begin(new)
            for name, signature in new.items():
                if self._stopping.is_set():
                    return True
                is_steady = self._last_seen is None or self._last_seen.get(name) == signature
                at_rest &= is_steady and self._take_in(name, signature)
            self._last_seen = seen
            return at_rest

    def _is_known(self, name: str, signature: Signature) -> bool:
        known = self._inventory.whole(name)
        return known is not None and known.signature == signature

    def _take_in(self, name: str, signature: Signature) -> bool:
        """Have `name` in the inventory as it is now; say whether that could be done."""
        if self._is_known(name, signature):
            return True
        try:
            file = self._examined(name, signature)
        except FileChangedError:
            return False
        if file is not None:
            self._inventory.put(file)
        return True

    def _examined(self, name: str, signature: Signature) -> WholeFile | None:
        """Return the file as it is now, None if it cannot be read."""
        path = self._folder.path / name
        data = self._cache.manifest_of(name, signature)
        try:
            if data is None:
                manifest, signature = hash_file(path, self._progress.hashed, self._stopping.is_set)
                data = encode(manifest)
                self._cache.remember(name, signature, data)
        except OSError as error:
            log.warning("%s cannot be read: %s", display(name), error.strerror)
            return None
        return WholeFile(path, name, data, signature)

    def _occasions(self) -> Iterator[None]:
        """Yield whenever the folder may have changed."""
        try:
            yield from self._reported_changes()
        except OSError as error:
            log.warning("changes are not reported here (%s); will look every second", error)
        while not self._stopping.wait(self._settings.poll_s):
            yield

    def _reported_changes(self) -> Iterator[None]:
        import watchfiles  # noqa: PLC0415 (takes 0.1 s, and a mere fetch does not need it)

        reserved = str(self._folder.path / RESERVED_FOLDER)
        reports = watchfiles.watch(
            self._folder.path,
            watch_filter=lambda _, path: not path.startswith(reserved),
            debounce=200,
            step=50,
            stop_event=self._stopping,
            rust_timeout=int(1000 * self._settings.poll_s),
            yield_on_timeout=True,
            raise_interrupt=False,
        )
        quiet_s = self._settings.rescan_s  # The first look was before the watch: look again soon.
        for changes in reports:
            quiet_s = quiet_s + self._settings.poll_s
            if changes or quiet_s >= self._settings.rescan_s:
                quiet_s = 0.0
                yield


class _HashProgress:
    """Says how far the hashing is, when it takes long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total_bytes = 0
        self._done_bytes = 0
        self._said_at = time.monotonic()

    def begin(self, files: dict[str, Signature]) -> None:
        self._total_bytes = sum(signature.size_bytes for signature in files.values())
        self._done_bytes = 0
        self._said_at = time.monotonic()

    def hashed(self, size_bytes: int) -> None:
        with self._lock:
            self._done_bytes += size_bytes
            now = time.monotonic()
            if now - self._said_at < SAY_HASHING_S:
                return
            self._said_at = now
            done, total = self._done_bytes, max(self._total_bytes, self._done_bytes)
        log.info("hashing: %.1f of %.1f GB, %d %%", done / 1e9, total / 1e9, 100 * done // total)
