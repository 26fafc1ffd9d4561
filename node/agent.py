"""A node, all of it together: its folder, its server, its word with the tracker, its fetches.

The command `node` keeps one running; `fetch` and `share` are one for as long as they take.
"""

import logging
import random
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import zmq

from node.announcer import Announcer
from node.cache import Cache
from node.chunk_server import ChunkServer
from node.fetcher import Fetcher, Surroundings
from node.intake import Destination
from node.inventory import Inventory, WholeFile
from node.lock import FolderLock
from node.session import Session
from node.settings import NodeSettings
from node.watcher import Watcher
from protocol.control import Fetched, Sharing, Working
from protocol.errors import ExitCode, OperatorError
from protocol.messages import Holders, Holding, Query
from protocol.names import display
from wire.memory import keep_freed_memory
from wire.tracker_client import TrackerClient

log = logging.getLogger("shoal.node")

LOOK_S = 1.0  # A command does not hash a whole folder that it has never seen.
ANNOUNCE_S = 3.0  # How long a finished order waits for the tracker to know.


class Identity(msgspec.Struct, frozen=True):
    """Who the node is, and where the tracker."""

    name: str
    address: str
    folder: Path
    tracker_address: str


class Agent:
    """One node from `start` to `stop`. Owns the folder's lock, which the caller has taken."""

    def __init__(self, identity: Identity, lock: FolderLock) -> None:
        keep_freed_memory()
        settings = NodeSettings()
        state = identity.folder / ".shoal"
        rng = random.Random()  # noqa: S311 (jitter, not secrets)
        self.identity = identity
        self._lock = lock
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._context.set(zmq.MAX_SOCKETS, 4096)
        self.inventory = Inventory(self._changed)
        self._cache = Cache(state / "cache.db")
        self._watcher = Watcher(
            identity.folder, self.inventory, self._cache, settings, self._changed
        )
        self._server = ChunkServer(self._context, self.inventory, self._watcher.forget, settings)
        epoch = self._cache.next_epoch()
        announcer = Announcer(identity.name, identity.address, epoch, rng, settings)
        self._session = Session(self._context, identity.tracker_address, announcer, self._holdings)
        self._guard = threading.Lock()
        self._fetchers: dict[str, Fetcher] = {}
        self._stop_code: ExitCode | None = None

    def start(self) -> None:
        """Serve, announce and look after the folder.

        Raises:
            OperatorError: the address cannot be bound.
        """
        self._server.start(self.identity.address)
        self._watcher.start()
        self._session.start()

    def start_for_one_fetch(self) -> None:
        """The same, for a command: without a free address it fetches, but serves nobody."""
        try:
            self._server.start(self.identity.address)
        except OperatorError as error:
            log.warning("%s; fetching without serving", error)
        self._session.start()

    def wait_for_first_look(self, timeout_s: float | None = None) -> bool:
        """Wait until all files that lay in the folder at the start are served."""
        return self._watcher.wait_for_first_look(timeout_s)

    def look_once(self) -> None:
        """For a command at its end: have the tracker told of the whole folder, if that is quick."""
        self._watcher.look_once(LOOK_S)
        self._announce()

    def fetch(
        self,
        what: str,
        on_progress: Callable[[Working], None],
        output: Path | None = None,
        *,
        force: bool = False,
    ) -> Fetched:
        """Fetch `what` into the folder, or to `output`, and announce it.

        Raises:
            OperatorError: it could not be had.
        """
        fetcher = self._new_fetcher(what, on_progress, output)
        try:
            here = None if output else self._already_here(what, fetcher.check, force=force)
            if here is not None:
                return here
            fetched = fetcher.run()
        finally:
            with self._guard:
                del self._fetchers[what]
            fetcher.close()
        if output is None:
            self._announce()
        return fetched

    def share(self, name: str) -> Sharing:
        """Hash and announce a file that was just put into the folder.

        Raises:
            OperatorError: it is not there.
        """
        file = self._watcher.look_at(name)
        if file is None:
            message = f"{display(name)} is not in {self.identity.folder}, or keeps changing"
            raise OperatorError(f"{message}; put it there and run it again", ExitCode.DISK)
        return Sharing(file.name, file.id, file.size_bytes, announced=self._announce())

    def cancel(self, what: str, exit_code: ExitCode) -> None:
        """Stop one fetch; what it has is kept."""
        with self._guard:
            fetcher = self._fetchers.get(what)
        if fetcher is not None:
            fetcher.stop(exit_code)

    def cancel_all(self, exit_code: ExitCode) -> None:
        """Stop all fetches, and those that would begin later. For signal handlers too."""
        self._stop_code = exit_code
        self._watcher.interrupt()
        for fetcher in list(self._fetchers.values()):
            fetcher.stop(exit_code)

    def stop(self) -> None:
        """Stop serving, say goodbye to the tracker, let go of the folder."""
        self._server.stop()
        self._watcher.stop()
        self._session.stop()
        self._cache.close()
        self._context.term()
        self._lock.release()

    def _new_fetcher(
        self, what: str, on_progress: Callable[[Working], None], output: Path | None
    ) -> Fetcher:
        surroundings = Surroundings(
            self._context,
            self.identity.name,
            self.identity.tracker_address,
            Destination(self.identity.folder, self.inventory, self._cache.remember, output),
        )
        with self._guard:
            if what in self._fetchers:
                raise OperatorError(f"{display(what)} is being fetched already; wait for it")
            fetcher = Fetcher(what, surroundings, on_progress)
            self._fetchers[what] = fetcher
        if self._stop_code is not None:
            fetcher.stop(self._stop_code)
        return fetcher

    def _already_here(self, what: str, check: Callable[[], None], *, force: bool) -> Fetched | None:
        """Return the result at once if the folder has what the tracker would send us to.

        Raises:
            OperatorError: another file stands under the name, which is no version of it.
        """
        answer = self._ask_without_wanting(what, check)
        if answer is None:
            known = self.inventory.find(what)
            here = self._watcher.look_at(known.name) if isinstance(known, WholeFile) else None
            return _here(here, self.identity.folder) if here else None
        name = answer.name
        file = self._watcher.examine(name)  # What is refused below shall not be announced either.
        if file is None:
            return None
        if answer.id in {None, file.id}:
            self._watcher.look_at(name)
            return _here(file, self.identity.folder)
        if force or file.id in {version.id for version in answer.versions}:
            return None
        message = f"another {display(name)} lies in {self.identity.folder}, which nobody else has"
        raise OperatorError(f"{message}; move it away, or let --force replace it")

    def _ask_without_wanting(self, what: str, check: Callable[[], None]) -> Holders | None:
        client = TrackerClient(self._context, self.identity.tracker_address)
        try:
            reply = client.ask(Query(what), check)
        finally:
            client.close()
        return reply if isinstance(reply, Holders) else None

    def _announce(self) -> bool:
        self._session.changed()
        announced = self._session.flush(ANNOUNCE_S)
        if not announced:
            log.warning("the tracker has not been told yet")
        return announced

    def _changed(self) -> None:
        self._session.changed()

    def _holdings(self) -> tuple[list[Holding], bool]:
        return self.inventory.holdings(), self._watcher.has_looked


def _here(file: WholeFile, folder: Path) -> Fetched:
    return Fetched(
        name=file.name,
        id=file.id,
        size_bytes=file.size_bytes,
        elapsed_s=0.0,
        fetched_bytes=0,
        reused_bytes=file.size_bytes,
        holders={},
        path=str(folder / file.name),
    )
