"""One seed: a history of what users, nodes and faults do, and what must be so at its end."""

from functools import partial
from random import Random
from typing import NamedTuple

import msgspec
from shoal.broker.tracking.changes import Change, Gone, Published, Unwished, Wished
from shoal.broker.tracking.dump import dump
from shoal.broker.tracking.initial import Initial, InitialNode
from shoal.broker.tracking.settings import TrackerSettings
from shoal.broker.tracking.state import State
from shoal.broker.tracking.tracker import Tracker
from shoal.node.serving.announcer import confirmed
from shoal.protocol.messages import Ok, TrackerReply, Update
from shoal.protocol.pushing import Push, Target, Unpush

from tests.simulation.trackers.node import SIZE_BYTES, Node
from tests.simulation.trackers.peer import ASKER, Peer, Said
from tests.simulation.trackers.store import Log
from tests.simulation.trackers.world import World

NAMES = ("a", "b", "c")
NODES = ("n1", "n2", "n3", "n4")
LISTED = NODES[:3]  # In the cluster file; the other one is a stranger.
HISTORY_S = 15.0
ACTS = 25
SETTLE_S = 26.0  # Two renewals.
PATIENCE_S = 30.0
APART_S = 2.5  # Two pushes of one name; ages are in seconds.


def content_id(number: int) -> str:
    return f"b3:{number:064x}"


def address_of(node: str) -> str:
    return f"tcp://127.0.0.1:1100{node[1:]}"


class Outcome(NamedTuple):
    """What is wrong at the end, if anything, and what happened."""

    finding: str
    lines: list[str]


class History:
    """One run. Without losses of the store, deaths and silence, one tracker tells what is right."""

    def __init__(self, seed: int, tracker_count: int) -> None:
        world = self.world = World(seed)
        self.rng = Random(world.rng.random())
        self.is_calm = seed % 3 == 0
        self.may_lose = seed % 3 == 1
        listed = {node: InitialNode(address_of(node)) for node in LISTED}
        holdings = {"a": ("n1", "n2"), "b": ("n3",)}
        self.initial = Initial("tcp://127.0.0.1:12000", listed, holdings, accepts_pushes=True)
        lease_s = 1000.0 if self.is_calm else 15.0
        self.settings = TrackerSettings(lease_s=lease_s, forget_s=1000.0)
        self.log = Log(world)
        told = self.log, self.initial, self.settings
        self.peers = [Peer(world, f"t{nth}", *told) for nth in range(tracker_count)]
        self.nodes = [Node(world, name, address_of(name), self.peers) for name in NODES]
        self.pushed_at: dict[str, float] = {}
        self.unsure: dict[str, list[str | None]] = {name: [] for name in NAMES}
        self.wishes: dict[str, set[str | None]] = {name: {None} for name in NAMES}

    def run(self) -> None:
        for _ in range(ACTS):
            self.world.after(self.rng.uniform(0.0, HISTORY_S), self._act)
        self.world.run(self.world.now + HISTORY_S)
        self._heal()
        self.world.run(self.world.now + SETTLE_S)
        self.world.run(self.world.now + PATIENCE_S, self.is_over)

    def is_over(self) -> bool:
        """Say whether all has been said and heard."""
        nodes = (node.announcer.is_in_step for node in self.nodes if node.is_up)
        return all(nodes) and all(peer.is_even() for peer in self.peers)

    def _act(self) -> None:
        acts = [self._publish, self._race, self._copy, self._copy, self._drop, self._lose_thing]
        acts += [self._move, self._move, self._push, self._push, self._push]
        acts += [self._cut_node, self._cut_store, self._slow, self._pause, self._away]
        acts += [self._restart_node]
        if self.may_lose:
            acts += [self._lose_tail, self._lose_tail]
        elif not self.is_calm:
            acts += [self._kill, self._kill]
        act = self.rng.choice(acts)
        self.world.tell(act.__name__.strip("_"))
        act()

    def _node(self) -> Node:
        node = self.rng.choice(self.nodes)
        self.world.tell(f"  {node.name} at {node.peer.name}")
        return node

    def _peer(self) -> Peer:
        peer = self.rng.choice(self.peers)
        self.world.tell(f"  {peer.name}")
        return peer

    def _publish(self) -> None:
        self._node().publish(self.rng.choice(NAMES), content_id(self.rng.randrange(1, 5)))

    def _race(self) -> None:
        """Have several nodes publish other content under one name, perhaps at other trackers."""
        name, numbers = self.rng.choice(NAMES), [1, 2, 3, 4]
        for node in self.rng.sample(self.nodes, 3):
            wish = content_id(numbers.pop(self.rng.randrange(len(numbers))))
            self.world.after(self.rng.uniform(0.0, 0.05), partial(node.publish, name, wish))

    def _copy(self) -> None:
        self._node().copy(self.rng.choice(NAMES), is_whole=self.rng.random() < 0.8)

    def _drop(self) -> None:
        self._node().drop()

    def _lose_thing(self) -> None:
        if not self.is_calm:  # One tracker would have the same, but with what it knew then.
            self._node().ask_for_what_is_lost(self.rng.choice(NAMES))

    def _move(self) -> None:
        self._node().move()

    def _restart_node(self) -> None:
        node = self._node()
        if node.is_up:
            node.stop(says_so=self.rng.random() < 0.5)
            self.world.after(self.rng.uniform(0.1, 3.0), node.start)

    def _push(self) -> None:
        name = self.rng.choice(NAMES)
        if self.world.now < self.pushed_at.get(name, 0.0) + APART_S:
            return
        self.pushed_at[name] = self.world.now
        peer = self._peer()
        newest = peer.tracker._state.catalogue.newest(name)
        wish = newest.id if newest is not None and self.rng.random() < 0.7 else None
        request = Unpush(name) if wish is None else Push(name, wish, SIZE_BYTES, Target())
        allowed, unsure = self.wishes[name], self.unsure[name]
        unsure.append(wish)  # Until it is confirmed: it may get into the log after later ones.
        allowed.add(wish)  # It may count, whatever the answer is.

        def answer(reply: TrackerReply) -> None:
            self.world.tell(f"push of {name}: {type(reply).__name__}")
            if isinstance(reply, Ok):
                unsure.remove(wish)
                if self.wishes[name] is allowed:
                    self.wishes[name] = {wish, *unsure}

        peer.ask(request, answer)

    def _cut_node(self) -> None:
        node = self._node()
        node.lost_share = self.rng.choice([0.2, 1.0])
        self.world.after(self.rng.uniform(0.5, 4.0), lambda: setattr(node, "lost_share", 0.0))

    def _cut_store(self) -> None:
        access = self._peer().access
        access.is_cut = True
        self.world.after(self.rng.uniform(0.5, 6.0), lambda: setattr(access, "is_cut", False))

    def _slow(self) -> None:
        self.log.delay_s = self.rng.choice([(0.001, 0.05), (0.01, 0.3), (0.5, 2.5)])
        self.log.lost_share = self.rng.choice([0.0, 0.1])
        self.world.after(self.rng.uniform(0.5, 4.0), self._quick)

    def _quick(self) -> None:
        self.log.delay_s, self.log.lost_share = (0.0002, 0.002), 0.0

    def _away(self) -> None:
        self.log.is_away = True
        self.world.after(self.rng.uniform(0.2, 5.0), lambda: setattr(self.log, "is_away", False))

    def _pause(self) -> None:
        self._peer().paused_until = self.world.now + self.rng.uniform(0.1, 5.0)

    def _kill(self) -> None:
        peer = self._peer()
        if peer.is_up:
            peer.kill()
            self.world.after(self.rng.uniform(0.2, 3.0), peer.start)

    def _lose_tail(self) -> None:
        count = self.rng.choice([0, 1, 2, 5, len(self.log.batches)])
        self.log.lose(min(count, len(self.log.batches)))

    def _heal(self) -> None:
        self.world.tell("all is well again")
        self.log.is_away = False
        self._quick()
        for peer in self.peers:
            peer.access.is_cut = False
        for node in self.nodes:
            node.lost_share = 0.0


def run(seed: int, tracker_count: int) -> Outcome:
    """Simulate one seed and check everything."""
    history = History(seed, tracker_count)
    history.run()
    return Outcome(_finding(history), history.world.lines)


def _finding(history: History) -> str:
    now = history.world.now
    states = [peer.tracker._state for peer in history.peers]
    if not history.is_over():
        return "not all is said and heard"
    fold = State(history.initial, history.settings)
    fold.replay(history.log.changes(history.log.batches), now)
    said = shown(fold, now)
    for peer, state in zip(history.peers, states, strict=True):
        if shown(state, now) != said:
            return f"{peer.name} is not what the log says: {difference(shown(state, now), said)}"
    return (
        _of_nodes(history, states[0])
        or _of_pushes(history, states[0])
        or (_unlike_one_tracker(history, states[0]) if history.is_calm else "")
    )


def _of_nodes(history: History, state: State) -> str:
    for node in history.nodes:
        held = {(one.name, one.id) for one in state.catalogue.held_by(node.name)}
        if node.is_up and held != node.held.keys():
            return f"{node.name} is listed for {sorted(held)}, and holds {sorted(node.held)}"
    return ""


def _of_pushes(history: History, state: State) -> str:
    for name, allowed in history.wishes.items():
        wanted = state.wishes.find(name)
        if (None if wanted is None else wanted.id) not in allowed:
            return f"the push of {name} is {wanted}, and none of {allowed}"
    return ""


def _unlike_one_tracker(history: History, state: State) -> str:
    """Have one tracker take the requests in the order of the log, and compare the newest.

    A claim may be refused for a version that, by the log, was given up just before. Its node was
    told so, and goes by it; so what the one tracker hears is what the nodes were told. A claim that
    was taken may still turn out to be late; so it is a claim there, too.
    """
    one = Tracker(history.initial, Random(1), 0.0, settings=history.settings, token_rng=Random(2))
    origins = {key: said for peer in history.peers for key, said in peer.origins.items()}
    taken: set[int] = set()
    for batch in history.log.batches:
        for change in batch.changes:
            said = origins.get(id(change))
            if said is not None and id(said.request) not in taken:
                taken.add(id(said.request))
                if isinstance(said.request, Update):
                    one.handle(_as_answered(said, said.request), batch.at, ASKER)
    for name in NAMES:
        ours, theirs = (each.catalogue.newest(name) for each in (state, one._state))
        told = [each and (each.id, each.published.number) for each in (ours, theirs)]
        if told[0] != told[1]:
            return f"the newest {name} is {told[0]}; with one tracker it is {told[1]}"
    return ""


def _as_answered(said: Said, request: Update) -> Update:
    holdings = []
    for one in request.holdings:
        told = said.told.get((one.name, one.id))
        if told is None:
            holdings.append(one)
        elif told.taken:
            taken = confirmed(one, told)
            is_claim = one.claims and told.publisher == request.node
            holdings.append(msgspec.structs.replace(taken, claims=is_claim))
    return msgspec.structs.replace(request, holdings=tuple(holdings))


def shown(state: State, now: float) -> list[list[Change]]:
    """Return what a state is, without times: versions in their order, the rest in any."""
    changes: list[Change] = [_timeless(change) for change in dump(state, now)]
    versions: list[Change] = [change for change in changes if isinstance(change, Published)]
    return [versions, sorted((one for one in changes if one not in versions), key=repr)]


def difference(ours: list[list[Change]], theirs: list[list[Change]]) -> str:
    """Return what only one of two states has."""
    only = [[one for one in ours[nth] if one not in theirs[nth]] for nth in (0, 1)]
    lacks = [[one for one in theirs[nth] if one not in ours[nth]] for nth in (0, 1)]
    return f"only there: {only}, only in the log: {lacks}, order: {ours[0] != theirs[0]}"


def _timeless(change: Change) -> Change:
    match change:
        case Published() | Wished() | Unwished():
            return msgspec.structs.replace(change, age_s=0)
        case Gone():
            return msgspec.structs.replace(change, silent_s=0)
        case _:
            return change
