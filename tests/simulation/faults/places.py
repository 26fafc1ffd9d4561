"""Things outside of the folders: shared by link and changed there, or fetched to there."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from shoal.protocol.control import Fetched, FetchOrder

from tests.simulation.faults import altering, content
from tests.simulation.faults.acts import unless_calm
from tests.simulation.faults.content import look, put
from tests.simulation.faults.linking import link
from tests.simulation.faults.threads import Thread
from tests.simulation.faults.trace import Finding
from tests.simulation.faults.users import User
from tests.unit.node.sample_trees import Items

if TYPE_CHECKING:
    from tests.simulation.faults.story import Story

NAMES = {"linked-file": False, "linked-tree": True}  # Whether they are trees.
SHARE = 1 / 4  # Of the seeds.
STATE_SHARE = 0.25  # Of the nodes in these: half of them have folders that are only read.
AGAIN_S = (1.0, 4.0)
TRIES = 4


def draw(story: "Story") -> None:
    """Put things outside of the folders into the story, in a share of the seeds."""
    rng, loop = story.cluster.places_rng, story.cluster.loop
    if rng.random() >= SHARE:
        return
    for host in story.cluster.nodes.values():
        if rng.random() < STATE_SHARE:
            host.keep_state_elsewhere(read_only=rng.random() < 0.5)
    for name in rng.sample(sorted(NAMES), rng.choice((1, 1, 2))):
        story.names[name] = NAMES[name]
        linker = rng.choice(sorted(story.users))
        loop.at(rng.uniform(0.0, 4.0), unless_calm, story, Linking(name, linker))
        for user in story.users.values():
            if rng.random() < 0.7:
                loop.at(rng.uniform(0.5, 15.0), unless_calm, story, Fetching(user, name))
    for _ in range(rng.choice((2, 5, 10))):
        loop.at(rng.uniform(2.0, 40.0), unless_calm, story, rng.choice(ACTS))


class Linking:
    """The first time that something is shared by link."""

    __name__ = "share by link"

    def __init__(self, name: str, linker: str) -> None:
        self._name = name
        self._linker = linker

    def __call__(self, story: "Story") -> None:
        user, items = story.users[self._linker], _items(story, self._name)
        _do(lambda: link(user, self._name, items))


class Fetching:
    """Somebody wants what is shared by link."""

    __name__ = "fetch linked"

    def __init__(self, user: User, name: str) -> None:
        self._user = user
        self._name = name

    def __call__(self, _: "Story") -> None:
        self._user.begin(self._name)


def _do(work: Callable[[], None]) -> None:
    Thread(target=work, name="user").start()


def share_by_link(story: "Story") -> None:
    rng = story.cluster.places_rng
    user, name = _user(story), rng.choice(sorted(story.names))
    versions = story.cluster.archive.by_name.get(name, [])
    is_same = versions and rng.random() < 0.4
    items = versions[-1].items if is_same else _items(story, name)
    if os.path.lexists(user.host.named(name)):
        return
    for host in story.cluster.nodes if is_same else ():
        story.cluster.checks.let_go(host, name)  # What is a version is a copy, whoever put it.
    _do(lambda: link(user, name, items))


# Fetching to somewhere.


def fetch_to(story: "Story") -> None:
    """Fetch something to a place outside, where something of the user's own may be."""
    rng = story.cluster.places_rng
    user, name = _user(story), rng.choice(sorted(story.names))
    path = user.new_place(name)
    own = _items(story, name) if rng.random() < 0.2 else None
    _do(lambda: _fetch_to(user, name, path, own))


def _fetch_to(user: User, name: str, path: Path, own: Items | None) -> None:
    cluster, host = user._cluster, user.host.name
    if own is not None:
        put(path, own)
        cluster.archive.add(content.described(name, path, own))
        cluster.outside.put(host, name, path)
    is_taken = path.exists()
    cluster.outside.goes_to(host, name, path)
    for _ in range(TRIES):
        outcome = user._order(FetchOrder(name, output=str(path), linked=True))
        if is_taken or cluster.is_calm:
            break
        _require_whole(user, name, path, outcome)
        if isinstance(outcome, Fetched):
            cluster.hits["fetched to a place"] += 1
            return
        cluster.loop.pass_time(user._rng.uniform(*AGAIN_S))
    if is_taken:
        cluster.hits["refused: something is in the way outside"] += 1


def _require_whole(user: User, name: str, path: Path, outcome: object) -> None:
    """Require that all of a version is there, or nothing: it may fail after the rename."""
    found, archive = look(path), user._cluster.archive
    if found is not None:
        user._cluster.outside.fetched(user.host.name, name, path)
    version = archive.by_id.get(outcome.id) if isinstance(outcome, Fetched) else None
    if version is not None and found != version.items and not user._cluster.checks.bad_disks:
        raise Finding("bytes", f"{user.host.name}: {path} is not what was fetched")
    if found is not None and not archive.is_some_version(name, found):
        raise Finding("early", f"{user.host.name}: {path} is there in part")


def _user(story: "Story") -> User:
    return story.users[story.cluster.places_rng.choice(sorted(story.users))]


def _items(story: "Story", name: str) -> content.Thing:
    return content.random_thing(story.cluster.places_rng, is_tree=story.names[name])


ACTS = (share_by_link, share_by_link, fetch_to, fetch_to, fetch_to, fetch_to, *altering.ACTS)
