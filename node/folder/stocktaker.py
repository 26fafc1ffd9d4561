"""Brings the inventory up to date with the folder, thing by thing. Does not look for things."""

import logging

from shoal.node.files.signature import GoneError, Signature
from shoal.node.folder.cache import Cache
from shoal.node.folder.examining import Examiner
from shoal.node.folder.hashing import HashProgress
from shoal.node.folder.inventory import Inventory
from shoal.node.folder.register import Register
from shoal.node.folder.rules import Rules
from shoal.node.folder.source import Source
from shoal.protocol.errors import OperatorError
from shoal.protocol.names import display
from shoal.protocol.titles import Published

log = logging.getLogger("shoal.node")


class Stocktaker:
    """Takes in and drops the things of one folder. Each thing is for one thread at a time."""

    def __init__(
        self,
        inventory: Inventory,
        cache: Cache,
        rules: Rules,
        register: Register,
        examiner: Examiner,
    ) -> None:
        self._inventory = inventory
        self._cache = cache
        self._rules = rules
        self._register = register
        self._examiner = examiner
        self._refused: dict[str, Signature] = {}  # Things that could not be taken in, as they were.

    def needs(self, name: str, source: Source) -> bool:
        """Say whether a thing is not in the inventory as it is now, and could be."""
        known = self._inventory.whole(name)
        is_known = known is not None and known.signature == source.signature
        return not is_known and self._refused.get(name) != source.signature

    def take_in(
        self, name: str, source: Source, progress: HashProgress, *, over: Published | None = None
    ) -> bool:
        """Have a thing in the inventory as it is now, if it may be shared; False if it changed.

        If it is published `over` what is published under its name, it becomes the next version.
        """
        try:
            self._take_in(name, source, progress, over)
        except GoneError:
            return False
        except OperatorError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, all others are shared)
            self._refused[name] = source.signature
            log.warning("%s is not shared: %s: %s", display(name), type(error).__name__, error)
        else:
            self._refused.pop(name, None)
        return True

    def _take_in(
        self, name: str, source: Source, progress: HashProgress, over: Published | None
    ) -> None:
        known = self._inventory.whole(name)
        if known is not None and known.signature == source.signature:
            known.source = source  # The list of what is left out may have changed.
            return
        thing = self._examiner.examined(name, source, progress, known)
        if thing is None or self._rules.of(name).withheld:  # Since it was looked at.
            return
        title = self._register.entitle(name, thing.id, over=over)
        if title is None:
            self._inventory.remove(name)
            return
        thing.title = title
        self._inventory.put(thing)

    def drop(self, name: str, *, is_there: bool) -> None:
        """Stop sharing a thing, which has gone, or `is_there` but must not be shared."""
        self._inventory.remove(name)
        self._refused.pop(name, None)
        self._cache.gone(name)
        if not is_there:
            self._register.gone(name)
            self._examiner.gone(name)
            log.info("%s is gone from the folder", display(name))
