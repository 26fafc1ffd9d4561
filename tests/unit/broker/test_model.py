"""The tracker against a plain model of it: a dictionary and a clock. And against its own log."""

from dataclasses import dataclass, field
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from shoal.broker.sqlite_store import SqliteStore

from tests.unit.broker.scene import EXAMPLE, Scene, address_of, content_id
from tests.unit.broker.states import check, replayed, shown_state, shown_timeless

LEASE_S = 30
NODES = st.sampled_from(["n1", "n2", "n3", "n4"])  # The cluster file does not have n4.
KEYS = st.sampled_from([f"{name}={version}" for name in EXAMPLE for version in (1, 2)])
SAID = ["", "", "~", ":1/n1", ":2/n2", ":3/n3", "~:2/n1", "!0", "!1", "!1", "!2", "!3", "~!2"]
HELD = st.dictionaries(KEYS, st.sampled_from(SAID), max_size=4)  # as the scene's holdings
ELSEWHERE = "tcp://127.0.0.1:11999"

DAY_S = 86_400


@dataclass
class ModelNode:
    """What a node said last."""

    address: str
    epoch: int
    sequence: int
    seen: float
    left: bool = False
    has_spoken: bool = True  # Since the tracker was started.
    silent_since: float | None = None

    def heard(self, now: float) -> None:
        self.seen, self.has_spoken, self.silent_since = now, True, None


@dataclass
class Model:
    """Who holds what, as plainly as can be said."""

    now: float = 0
    nodes: dict[str, ModelNode] = field(default_factory=dict)
    held: dict[str, dict[str, bool]] = field(default_factory=dict)  # in order of announcement
    published: dict[str, tuple[int, str]] = field(default_factory=dict)  # number and publisher
    unheld_since: dict[str, float] = field(default_factory=dict)
    initial: set[tuple[str, str]] = field(
        default_factory=lambda: {(name, node) for name in EXAMPLE for node in EXAMPLE[name]}
    )

    def is_alive(self, node: str) -> bool:
        known = self.nodes.get(node)
        return known is not None and not known.left and self.now < known.seen + LEASE_S

    def forget(self) -> None:
        """Forget what nobody holds any more, and strangers who are gone with nothing."""
        for key, since in list(self.unheld_since.items()):
            if since + LEASE_S <= self.now:
                del self.held[key], self.unheld_since[key]
                self.published.pop(key, None)
        self._note_silence()
        stranger = self.nodes.get("n4")
        if stranger is None or stranger.silent_since is None:
            return
        if stranger.silent_since + DAY_S <= self.now:
            for key in self.holdings("n4"):
                self.remove(key, "n4")
        if not self.holdings("n4"):
            del self.nodes["n4"]

    def _note_silence(self) -> None:
        for node, known in self.nodes.items():
            if not self.is_alive(node) and known.silent_since is None:
                known.silent_since = self.now

    def holdings(self, node: str) -> list[str]:
        return [key for key, holders in self.held.items() if node in holders]

    def remove(self, key: str, node: str) -> None:
        del self.held[key][node]
        if not self.held[key]:
            self.unheld_since[key] = self.now

    def add(self, key: str, node: str, *, whole: bool) -> None:
        self.held.setdefault(key, {})[node] = whole
        self.unheld_since.pop(key, None)

    def announce(self, key: str, said: str, node: str) -> None:
        """Take a holding, if it is not a claim that is to be refused."""
        number, publisher = self.said(said, node)
        is_claim = "!" in said and "~" not in said
        if not is_claim:
            if ":" in said and number > self.number(key):
                self.published[key] = number, publisher
        elif key in (versions := self.versions(key[:-2])):
            if max(1, number) > self.number(versions[0]):
                self.published[key] = max(1, number), node
        else:
            rivals = [each for each in versions if self.number(each) >= max(1, number)]
            if any(self.published[each][1] != node for each in rivals):
                return
            number = self.number(rivals[0]) + 1 if rivals else max(1, number)
            if self.published.get(key, (0, ""))[1] == node:
                number = max(number, self.number(key))
            self.published[key] = number, node
        self.add(key, node, whole="~" not in said)

    def said(self, said: str, node: str) -> tuple[int, str]:
        """Return number and publisher as a holding has them."""
        if "!" in said:
            return int(said.rpartition("!")[2]), node
        number, _, publisher = said.partition(":")[2].partition("/")
        return int(number or 0), publisher

    def number(self, key: str) -> int:
        return self.published.get(key, (0, ""))[0]

    def told(self, held: dict[str, str], node: str) -> list[str]:
        """Return what the tracker tells of these holdings."""
        told = []
        for key, said in held.items():
            versions = self.versions(key[:-2])
            if node in self.held.get(key, {}):
                if self.said(said, node) != self.published.get(key, (0, "")):
                    told.append(self.shown(key))
            elif "!" in said and "~" not in said and versions and versions[0] != key:
                told.append(f"not {key}{self.shown(versions[0])[len(key) :]}")
        return told

    def shown(self, key: str) -> str:
        number, publisher = self.published.get(key, (0, ""))
        return f"{key}:{number}/{publisher}" if number else key

    def versions(self, name: str, prefix: int | None = None) -> list[str]:
        """Return the held versions, newest first."""
        name = f"{name}={prefix or ''}"
        found = [key for key in self.held if key.startswith(name) and self.held[key]]
        return sorted(found, key=self.number, reverse=True)  # In order of announcement, if equal.

    def answer(self, name: str, asker: str | None, prefix: int | None = None) -> str:
        told = {
            node: f"{node}?"
            for held, node in self.initial
            if held == name and node != asker and not prefix
        }
        versions = self.versions(name, prefix)
        for key in versions:
            others = {node: whole for node, whole in self.held[key].items() if node != asker}
            if others:
                others_told = [self.shown(each) for each in versions if each != key]
                return self._answer_with(key, others, told, others_told)
        if told:
            parts = ["=?", *(told[node] for node in sorted(told))]
            shown = [self.shown(key)[len(name) :] for key in versions]
            return " ".join(parts + (["other", *shown] if shown else []))
        at = f"@{content_id(prefix)[3:]}" if prefix else ""
        return f"NOT_FOUND no such file: {name}{at}"

    def _answer_with(
        self, key: str, holders: dict[str, bool], told: dict[str, str], others: list[str]
    ) -> str:
        shown = {node: node if whole else f"{node}~" for node, whole in holders.items()}
        alive = {
            node: text if self.nodes[node].has_spoken else f"{text}?"
            for node, text in shown.items()
            if self.is_alive(node)
        } | told
        silent = [f"{shown[node]}?" for node in sorted(shown) if not self.is_alive(node)]
        name = key[:-2]
        parts = [self.shown(key)[len(name) :], *(alive[node] for node in sorted(alive))]
        parts += ["silent", *silent] if silent else []
        return " ".join(
            parts + (["other", *(each[len(name) :] for each in others)] if others else [])
        )


class TrackerAgainstModel(RuleBasedStateMachine):
    """Does the same to both, and compares what they answer."""

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene(EXAMPLE)
        self.model = Model(now=self.scene.now)

    @rule(seconds=st.sampled_from([0, 1, 10, 29, 30, 100, 80_000]))
    def wait(self, seconds: int) -> None:
        self.scene.wait(seconds)
        self.model.now += seconds

    @rule(
        node=NODES,
        held=HELD,
        without=st.sets(KEYS, max_size=2),
        replace=st.booleans(),
        steps=st.tuples(st.sampled_from([0, 0, 0, 1, -1]), st.sampled_from([1, 1, 1, 0, -1])),
        elsewhere=st.sampled_from([None, None, None, ELSEWHERE]),
    )
    def update(
        self,
        node: str,
        held: dict[str, str],
        without: set[str],
        replace: bool,  # noqa: FBT001 - hypothesis passes it by name
        steps: tuple[int, int],  # of epoch and sequence
        elsewhere: str | None,
    ) -> None:
        model = self.model
        model.forget()
        known = model.nodes.get(node)
        address = elsewhere or (known.address if known else address_of(node))
        epoch = max(0, (known.epoch if known else 1) + steps[0])
        sequence = max(0, (known.sequence if known else 1) + steps[1])
        reply = self.scene.update(
            node,
            " ".join(map("".join, held.items())),
            without=" ".join(sorted(without)),
            replace=replace,
            epoch=epoch,
            sequence=sequence,
            address=address,
        )
        if elsewhere and node != "n4":  # The cluster file says where the others are.
            assert reply.startswith("NOT_ALLOWED")
            return
        if known and model.is_alive(node) and (address != known.address or epoch < known.epoch):
            assert reply.startswith("CONFLICT")
            return
        if known and epoch == known.epoch and sequence < known.sequence:
            held = {}
        elif known and epoch == known.epoch and sequence == known.sequence:
            if not known.left:
                known.heard(model.now)
        else:
            self._dropped(node, set(model.holdings(node)) if replace else without, held)
            self._accepted(node, ModelNode(address, epoch, sequence, model.now), held)
        told = model.told(held, node)
        assert reply == " ".join([f"ok {len(model.holdings(node))}", *told])

    def _accepted(self, node: str, said: ModelNode, held: dict[str, str]) -> None:
        model = self.model
        if node not in model.nodes:
            model.initial = {each for each in model.initial if each[1] != node}
        model.nodes[node] = said
        for key, each in held.items():
            model.announce(key, each, node)

    def _dropped(self, node: str, without: set[str], held: dict[str, str]) -> None:
        for key in without - held.keys():
            if node in self.model.held.get(key, {}):
                self.model.remove(key, node)

    @rule(node=NODES, epoch_step=st.sampled_from([0, 0, 0, 1]))
    def renew(self, node: str, epoch_step: int) -> None:
        self.model.forget()
        known = self.model.nodes.get(node)
        reply = self.scene.renew(node, (known.epoch if known else 1) + epoch_step)
        if known is None or known.left or epoch_step:
            assert reply.startswith("NOT_FOUND")
        else:
            known.heard(self.model.now)
            assert reply == f"ok {len(self.model.holdings(node))}"

    @rule(node=NODES)
    def leave(self, node: str) -> None:
        self.model.forget()
        known = self.model.nodes.get(node)
        reply = self.scene.leave(node, known.epoch if known else 1)
        assert reply.startswith("ok" if known else "NOT_FOUND")
        if known and not known.left:
            known.left, known.silent_since = True, self.model.now

    @rule(
        name=st.sampled_from(sorted(EXAMPLE)),
        node=NODES,
        partial=st.booleans(),
        prefix=st.sampled_from([None, None, 1, 2]),
    )
    def ask(self, name: str, node: str, partial: bool, prefix: int | None) -> None:  # noqa: FBT001
        model = self.model
        model.forget()
        if not partial:
            if not prefix:
                model.initial.discard((name, node))
            for key in model.versions(name, prefix):
                others = model.held[key].keys() - {node}
                if node in model.held[key]:
                    model.remove(key, node)
                if others:
                    break
        digits = content_id(prefix)[3:] if prefix else ""
        answer = self.scene.ask(name, node, partial=partial, prefix=digits)
        assert answer == model.answer(name, node, prefix)

    @precondition(lambda self: self.model.nodes)
    @rule()
    def restart(self) -> None:
        model = self.model
        self.scene.expire()
        model.forget()
        self.scene.restart()
        for node, known in model.nodes.items():
            if model.is_alive(node):
                known.seen, known.has_spoken = model.now, False
        for key in model.unheld_since:
            model.unheld_since[key] = model.now

    @invariant()
    def answers_mere_questions_alike(self) -> None:
        self.model.forget()
        for name in EXAMPLE:
            assert self.scene.ask(name) == self.model.answer(name, None)

    @invariant()
    def is_consistent(self) -> None:
        check(self.scene.tracker._state)

    @invariant()
    def is_what_its_log_says(self) -> None:
        scene = self.scene
        assert shown_state(replayed(scene, scene.log)) == shown_state(scene.tracker._state)

    def teardown(self) -> None:
        """Compare with the log as a store keeps it: the last change of each key."""
        scene = self.scene
        store = SqliteStore(Path("in memory"))
        store._connect(":memory:")
        for change in scene.changes():
            store.exchange([change])
        saved = [(scene.now, change) for change in store._read()]
        store.close()
        assert shown_timeless(replayed(scene, saved)) == shown_timeless(scene.tracker._state)


TrackerAgainstModel.TestCase.settings = settings(stateful_step_count=30)
test_answers_as_the_model_does = TrackerAgainstModel.TestCase
