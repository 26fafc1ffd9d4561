"""What users do: put, change, move and remove things in their folders, and give orders.

A user who is refused does what the message says, and whose order failed gives it again.
"""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoal.node.agent import Agent
from shoal.protocol.control import (
    Fetched,
    FetchOrder,
    ForgetOrder,
    Report,
    ShareOrder,
    Task,
    VerifyOrder,
)
from shoal.protocol.errors import OperatorError

from tests.simulation.faults import content
from tests.simulation.faults.content import Version, look, put
from tests.simulation.faults.hosts import NodeHost, Order
from tests.simulation.faults.threads import Thread
from tests.simulation.faults.trace import Finding
from tests.simulation.faults.waiting import stir
from tests.unit.node.sample_trees import Items

if TYPE_CHECKING:
    from tests.simulation.faults.cluster import Cluster

AGAIN_S = (1.0, 4.0)  # Until a failed order is given again.
WATCHED_S = 3.0
HASHED_S = 3.0


_IN_THE_WAY = "already has", "already exists", "; move it", "; put it elsewhere"


def is_in_the_way(refusal: str) -> bool:
    """Say whether something has to be moved: in the folder, or where it was to be fetched to."""
    return any(one in refusal for one in _IN_THE_WAY)


class User:
    """The user of one host."""

    def __init__(self, cluster: "Cluster", host: NodeHost, rng: random.Random) -> None:
        self.host = host
        self.done: dict[str, str] = {}  # What has been fetched since `begin_anew`, by name.
        self.reads = 0  # Files that are open, or are about to be.
        self._cluster = cluster
        self._rng = rng
        self._aside = cluster.scratch / f"{host.name}-aside"
        self._aside.mkdir()
        self._count = 0
        self._touched: dict[str, float] = {}  # When this user last did something to a thing.

    # In the folder.

    def publish(self, name: str, items: Items) -> None:
        """Put a version of something there, in place of what is there."""
        made = self._new_path()
        put(made, items)
        version = content.described(name, made, items)
        self._cluster.archive.add(version)
        self._remove(name)
        self._place(made, name, items)
        self._note(f"puts {name} there, {version.id[:11]}")

    def lay(self, name: str, items: Items) -> None:
        """Put something of the user's own there, which is not meant to be a version."""
        made = self._new_path()
        put(made, items)
        self._cluster.archive.add(content.described(name, made, items))
        self._place(made, name, items)
        self._note(f"has another {name} of their own")

    def lay_beside(self, name: str) -> None:
        """Put a file into a directory that is there."""
        top = self.host.folder / name
        if top.is_dir() and not top.is_symlink():
            inside = f"own{self._rng.randrange(3)}"
            path = self.host.folder / name / inside
            if not path.exists():
                items = {"": ("f", self._rng.randbytes(50))}
                put(path, items)
                self._cluster.checks.put(self.host.name, f"{name}/{inside}", items)
                self._touch(name)
                self._share_as_it_is(name)
                self._note(f"puts a file into {name}")

    def remove(self, name: str) -> None:
        if self._remove(name):
            self._note(f"removes {name}")

    def rename(self, name: str) -> None:
        """Give something another name in the same folder."""
        old, new = self.host.folder / name, self.host.folder / f"{name}-old"
        found = look(old)
        if found is None or new.exists():
            return
        old.rename(new)
        self._touch(name)
        self._cluster.checks.let_go(self.host.name, name)
        for items in (found, self._cluster.checks.before_rot(self.host.name, name, found)):
            self._cluster.archive.note_own(self.host.name, new.name, items)
        self._note(f"renames {name}")

    def move_away(self, name: str) -> None:
        """Take what is in the way out of the folder."""
        path = self.host.named(name)
        if path.exists() or path.is_symlink():
            path.rename(self._new_path())
            self._touch(name)
            self._cluster.checks.let_go(self.host.name, name)
            self._note(f"moves {name} away")

    def _place(self, made: Any, name: str, items: Items) -> None:
        made.rename(self.host.folder / name)
        self._touch(name)
        self._cluster.checks.put(self.host.name, name, items)

    def is_done_with(self, name: str) -> bool:
        """Say whether a thing has been let alone for so long that it has been hashed as it is."""
        return self._cluster.loop.now - self._touched.get(name, -HASHED_S) >= HASHED_S

    def _touch(self, name: str) -> None:
        self._touched[name] = self._cluster.loop.now
        stir()

    def _share_as_it_is(self, name: str) -> None:
        """Note that what is there now may be shared as a version."""
        found = look(self.host.folder / name)
        if found is not None:
            version = content.described(name, self.host.folder / name, found)
            self._cluster.archive.add(version)

    def _remove(self, name: str) -> bool:
        self._touch(name)
        self._cluster.checks.let_go(self.host.name, name)
        both = {self.host.named(name): None, self.host.folder / name: None}
        there = [one for one in both if os.path.lexists(one)]
        for path in there:  # A link may be elsewhere, and hide what is in the folder.
            if path.is_dir() and not path.is_symlink():
                gone = self._new_path()
                path.rename(gone)
                shutil.rmtree(gone)
            else:
                path.unlink(missing_ok=True)
        return bool(there)

    def _new_path(self) -> Any:
        self._count += 1
        return self._aside / str(self._count)

    def new_place(self, name: str) -> Path:
        """Return where nothing is, outside of the folder, under that name."""
        above = self._new_path()
        above.mkdir()
        return Path(above, name)

    # Orders.

    def begin(self, name: str, **options: Any) -> None:
        """Fetch something, however often that takes."""
        Thread(target=lambda: self.fetch(name, **options), name=f"{self.host.name}-user").start()

    def order(self, task: Task) -> None:
        """Give an order once."""
        Thread(target=lambda: self._order(task), name=f"{self.host.name}-user").start()

    def fetch(self, name: str, **options: Any) -> None:
        """Give the order until it is carried out, or the next part of the story begins."""
        cluster = self._cluster
        was_calm = cluster.is_calm
        while cluster.is_calm == was_calm:
            began = cluster.loop.now
            outcome = self._fetch_once(name, options)
            if isinstance(outcome, Fetched) and not options:
                self._require_whole(name, outcome, began)
            if isinstance(outcome, Fetched) and self._is_done(name, outcome):
                if not was_calm:
                    return
                while self.done[name] in cluster.checks.newest(name):
                    cluster.loop.pass_time(WATCHED_S)  # Somebody may share a newer one again.
            if isinstance(outcome, OperatorError):
                self._give_way(name, outcome)
            cluster.loop.pass_time(self._rng.uniform(*AGAIN_S))

    def _fetch_once(self, name: str, options: dict[str, Any]) -> object:
        checks, mine = self._cluster.checks, (self.host.name, name)
        if not options.get("force"):
            return self._order(FetchOrder(name, **options, **self._elsewhere(name, options)))
        checks.forced.add(mine)
        outcome = self._order(FetchOrder(name, **options))
        checks.forced.discard(mine)
        checks.let_go(*mine)
        return outcome

    def _elsewhere(self, name: str, options: dict[str, Any]) -> dict[str, Any]:
        """Return what else to say if nothing can be written into the folder."""
        if not self.host.read_only or os.path.lexists(self.host.folder / name) or options:
            return {}
        link = self.host.named(name)
        path = link.readlink() if link.is_symlink() else self.new_place(name)
        self._cluster.outside.fetched(self.host.name, name, path)
        self._cluster.outside.goes_to(self.host.name, name, path)
        return {"output": str(path), "linked": True}

    def fetch_outside(self, what: str, version: Version) -> None:
        """Fetch one version to an output, once."""
        place = self._new_path()
        outcome = self._order(FetchOrder(what, output=str(place)))
        has_rotted = any(host == self.host.name for host, _ in self._cluster.checks.rotten_parts)
        if has_rotted:
            return  # Perhaps what was verified already, and is not read again.
        if isinstance(outcome, Fetched):
            self._cluster.hits["fetched to an output"] += 1
            if look(place) != version.items:
                raise Finding("bytes", f"{self.host.name}: {what} is not what was asked for")
        elif place.exists() and look(place) != version.items:  # It may fail after the rename.
            raise Finding("early", f"{self.host.name}: {what} failed, and is there in part")

    def _give_way(self, name: str, refusal: OperatorError) -> None:
        self._cluster.hits[f"refused: {type(refusal).__name__}"] += 1
        held = self.host.agent.inventory.whole(name) if self.host.agent else None
        if held is not None and self._cluster.checks.keeps(self.host.name, name):
            self.done[name] = held.id  # Others have one of that number, or had a newer one.
        elif self._cluster.is_calm and is_in_the_way(str(refusal)):
            self.move_away(name)

    def _is_done(self, name: str, fetched: Fetched) -> bool:
        """Look at what has been fetched; say whether it is what is wanted in the end."""
        self._cluster.hits["fetched"] += 1
        self._note(f"has fetched {name}, {fetched.id[:11]}")
        self.done[name] = fetched.id
        newest = self._cluster.checks.newest(name)
        return not self._cluster.is_calm or fetched.id in newest or not newest

    def _require_whole(self, name: str, fetched: Fetched, began: float) -> None:
        """Require that all of it is there, unless somebody else has done something to it."""
        version = self._cluster.archive.by_id.get(fetched.id)
        was_touched = self._touched.get(name, 0.0) >= began
        if version is None or was_touched or fetched.offline:
            return
        found = look(self.host.place(name))
        if found != version.items and fetched.fetched_bytes and not self._cluster.checks.bad_disks:
            raise Finding("bytes", f"{self.host.name}: {name} is not {fetched.id} as reported")

    def verify(self) -> None:
        """Have everything looked at, and healed."""
        for _ in range(3):
            if isinstance(self._order(VerifyOrder()), OperatorError):
                self._cluster.loop.pass_time(2.0)
                continue
            return

    def _order(self, task: Task) -> object:
        """Give an order as soon as the node is up; return what came of it, None if it died."""
        self.host.wait_until_up()
        return self._outcome_of(self.host.order(task))

    def do(self, work: Callable[[Agent], Report]) -> object:
        """Do something in the node's process, as soon as it is up; otherwise as `_order`."""
        self.host.wait_until_up()
        return self._outcome_of(self.host.do(work))

    def _outcome_of(self, order: Order) -> object:
        loop = self._cluster.loop
        while not order.is_over:
            loop.park()
        outcome = order.outcome
        if isinstance(outcome, OperatorError):
            self._note(f"is told: {outcome}")
        return outcome

    def share(self, name: str) -> None:
        self.order(ShareOrder(name, force=True))

    def forget(self, name: str, *, delete: bool) -> None:
        def work() -> None:
            self.host.wait_until_up()
            if delete:
                self._touch(name)
                self._cluster.checks.let_go(self.host.name, name)
            self._order(ForgetOrder(name, delete))
            self._touch(name)

        Thread(target=work, name=f"{self.host.name}-user").start()

    def _note(self, text: str) -> None:
        self._cluster.trace.note(f"user of {self.host.name} {text}")
