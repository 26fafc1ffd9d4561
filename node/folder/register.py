"""Which versions the things in a node's folder are, kept across restarts, and which are not shared.

Losing it is safe: content that nobody has published is claimed again, and the tracker names the
versions of the rest. May be used from any thread.
"""

import logging
import threading

import msgspec
from shoal.node.folder.cache import Cache
from shoal.protocol.messages import Told
from shoal.protocol.names import display
from shoal.protocol.titles import Published, Title, entitled, published_over

log = logging.getLogger("shoal.node")


class Withheld(msgspec.Struct, frozen=True):
    """Content that is not shared: a changed copy, or other content than was published.

    `version` and `publisher` are those of what was published under its name.
    """

    name: str
    id: str
    version: int
    publisher: str | None
    is_copy: bool
    allowed: bool = True  # Else the cluster file says who may publish under that name.

    def reason(self, node: str) -> str:
        """Return the reason and the remedy, as a sentence for the operator of `node`."""
        name, published = display(self.name), published_as(self.version, self.publisher)
        force = "`shoal share --force` publishes what is here now as the next version"
        if self.is_copy:
            heal = f"`shoal verify {name} --as {node}` puts back what was fetched"
            return f"{name} has changed here since it was fetched ({published}); {heal}, {force}"
        if not self.allowed:
            message = f"{node} may not publish {name} ({published}), as `publish` in the cluster"
            return f"{message} file has it; rename it, or run `shoal share --force` as an admin"
        return (
            f"{name} is not what was published under that name ({published}); rename it, or {force}"
        )


class Register:
    """The titles of one folder's things, by name."""

    def __init__(self, cache: Cache, node: str) -> None:
        self.node = node
        self._cache = cache
        self._lock = threading.Lock()
        self._withheld: dict[str, Withheld] = {}

    def title(self, name: str) -> Title | None:
        """Return the title last known under that name, even if the content has changed since."""
        return self._cache.title_of(name)

    def withheld(self, name: str) -> Withheld | None:
        """Return the content under that name that is not shared, if there is any."""
        with self._lock:
            return self._withheld.get(name)

    def all_withheld(self) -> list[Withheld]:
        """Return all content that is not shared, ordered by name."""
        with self._lock:
            return [self._withheld[name] for name in sorted(self._withheld)]

    def entitle(self, name: str, content_id: str, over: Published | None = None) -> Title | None:
        """Return the title of what is there now; None if it must not be shared.

        With `over` it is published over that.
        """
        known, withheld = self._cache.title_of(name), self.withheld(name)
        if over is not None:
            title = published_over(over, known, content_id, self.node)
            self.note(name, title)
            return title
        found = entitled(known, content_id, self.node)
        if found is None:
            assert known is not None
            copy = Withheld(name, content_id, known.version, known.publisher, is_copy=True)
            self._withhold(copy)
            return None
        if withheld is not None and not withheld.is_copy and withheld.id == content_id:
            return None
        self.note(name, found)
        return found

    def note(self, name: str, title: Title) -> None:
        """Record, durably, that the content under that name has this title."""
        self._release(name)
        if title != self._cache.title_of(name):
            self._cache.entitle(name, title)

    def refuse(self, told: Told) -> None:
        """Note that the tracker did not take a claim: others have published under that name."""
        self._cache.forget_title(told.name)
        published = told.version, told.publisher
        self._withhold(
            Withheld(told.name, told.id, *published, is_copy=False, allowed=told.allowed)
        )

    def reconsider(self, name: str) -> None:
        """Have what was not allowed claimed once more: by now it may be."""
        with self._lock:
            withheld = self._withheld.get(name)
            if withheld is not None and not withheld.allowed:
                del self._withheld[name]

    def gone(self, name: str) -> None:
        """Note that there is nothing under that name any more.

        The publisher goes on counting if something does again; of a copy nothing is remembered.
        """
        self._release(name)
        known = self._cache.title_of(name)
        if known is not None and known.publisher != self.node:
            self._cache.forget_title(name)

    def _withhold(self, found: Withheld) -> None:
        with self._lock:
            is_known = self._withheld.get(found.name) == found
            self._withheld[found.name] = found
        if not is_known:
            log.warning("not shared: %s", found.reason(self.node))

    def _release(self, name: str) -> None:
        with self._lock:
            self._withheld.pop(name, None)


def published_as(version: int, publisher: str | None) -> str:
    """Return `v3, published by a`, as far as that is known."""
    number = f"v{version}" if version else "no version known"
    return f"{number}, published by {publisher}" if publisher else number
