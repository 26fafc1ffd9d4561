"""The operator's rules for the things in a node's folder: what of them to share, and how.

Kept in `.shoal/rules.json`, which is no cache: a thing that was to be forgotten must not come back.
"""

import logging
import os
import threading
from pathlib import Path

import msgspec
from shoal.node.files.directories import opened
from shoal.node.files.placing import remove
from shoal.node.files.raw_files import read_at
from shoal.node.trees.selection import EVERYTHING, Selection
from shoal.protocol.control import Chunking
from shoal.protocol.errors import DiskError, OperatorError

log = logging.getLogger("shoal.node")

DEFAULT_CHUNKING: Chunking = "fixed"
MAX_BYTES = 64 << 20  # Half a million rules.

FORGOTTEN = "it was to be forgotten"
FETCHING = "it is being fetched"
REPLACING = "another version of it is being fetched to its place"
PART = "only a part of it was fetched"
DAMAGED = "its bytes have rotted"


class Damage(msgspec.Struct, frozen=True):
    """What a thing was before its bytes rotted, and its state when that was noticed."""

    id: str
    seen: str  # Signature.text
    chunks: int
    damaged: int  # Of the chunks.


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """The rule for one name. `withheld` is the reason why it is not shared, if it is not."""

    withheld: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    chunking: Chunking | None = None
    damage: Damage | None = None
    follow_links: bool = False
    linked: bool = False  # It is a link of its user's to where it lies.

    @property
    def to_heal(self) -> Damage | None:
        """Return what to restore; None if it is not damaged, or its user has forgotten it."""
        return self.damage if self.withheld == DAMAGED else None

    @property
    def selection(self) -> Selection:
        if not self.include and not self.exclude and not self.follow_links:
            return EVERYTHING
        return Selection(self.include, self.exclude, follow_links=self.follow_links)


NO_RULE = Rule()


class Rules:
    """The rules of one folder. May be used from any thread."""

    def __init__(self, state: Path) -> None:
        """`state` is the folder's `.shoal`.

        Raises:
            OperatorError: the rules cannot be read; without them too much would be shared.
        """
        self._path = state / "rules.json"
        self._lock = threading.Lock()
        self._rules = self._load()

    def of(self, name: str) -> Rule:
        return self._rules.get(name, NO_RULE)

    def damaged(self) -> list[str]:
        """Return the names of what is to be healed."""
        return sorted(name for name, rule in self._rules.items() if rule.to_heal)

    def heals_from(self, content_id: str) -> bool:
        """Return whether a thing with that id is needed to heal a damaged one."""
        damages = (self.of(name).to_heal for name in self.damaged())
        return any(damage is not None and damage.id == content_id for damage in damages)

    def set(self, name: str, rule: Rule) -> None:
        """Have `rule` hold for `name`, durably; raise OperatorError if the disk refuses."""
        with self._lock:
            if self.of(name) == rule:
                return
            rules = self._rules | {name: rule}
            if rule == NO_RULE:
                del rules[name]
            try:
                self._save(rules)
            except OSError as error:
                message = f"cannot write {self._path}: {error.strerror}"
                raise DiskError(f"{message}; check the disk and run it again") from None
            self._rules = rules

    def set_or_hold(self, name: str, rule: Rule) -> None:
        """Have `rule` hold for `name`; in this process alone if the disk refuses to keep it."""
        try:
            self.set(name, rule)
        except OperatorError as error:
            log.warning("%s", error)
            with self._lock:
                self._rules = self._rules | {name: rule}

    def _load(self) -> dict[str, Rule]:
        try:
            data = read_at(os.fsencode(self._path), 0, MAX_BYTES)
            return msgspec.json.decode(data, type=dict[str, Rule])
        except FileNotFoundError:
            return {}
        except OSError as error:
            message = f"cannot read {self._path}: {error.strerror}"
            remedy = "change its permissions, or remove it if it is not a file"
            raise DiskError(f"{message}; {remedy}") from None
        except (ValueError, RecursionError) as error:  # No JSON, or no UTF-8.
            message = f"{self._path} is damaged: {error}"
            remedy = "repair it, or delete it and run `shoal forget` again for what was forgotten"
            raise OperatorError(f"{message}; {remedy}") from None

    def _save(self, rules: dict[str, Rule]) -> None:
        aside = self._path.with_suffix(".new")
        remove(aside)  # Whatever it is: nothing is written through a link.
        with aside.open("xb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(rules)))
            file.flush()
            os.fsync(file.fileno())
        aside.rename(self._path)
        with opened(self._path.parent) as directory:
            os.fsync(directory)  # Or a loss of power brings the old rules back.
