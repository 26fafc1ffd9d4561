"""The tracker against a plain model of it: a dictionary and a clock."""

from dataclasses import dataclass, field

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from broker.state import State
from tests.unit.broker.scene import EXAMPLE, Scene, address_of

LEASE_S = 30
NODES = st.sampled_from(["n1", "n2", "n3", "n4"])  # The cluster file does not have n4.
KEYS = st.sampled_from([f"{name}={version}" for name in EXAMPLE for version in (1, 2)])
HELD = st.dictionaries(KEYS, st.booleans(), max_size=4)  # whether it is whole
ELSEWHERE = "tcp://127.0.0.1:11999"


@dataclass
class ModelNode:
    """What a node said last."""

    address: str
    epoch: int
    sequence: int
    seen: float
    left: bool = False


@dataclass
class Model:
    """Who holds what, as plainly as can be said."""

    now: float = 0
    nodes: dict[str, ModelNode] = field(default_factory=dict)
    held: dict[str, dict[str, bool]] = field(default_factory=dict)  # in order of announcement
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
        if "n4" in self.nodes and not self.is_alive("n4") and not self.holdings("n4"):
            del self.nodes["n4"]

    def holdings(self, node: str) -> list[str]:
        return [key for key, holders in self.held.items() if node in holders]

    def remove(self, key: str, node: str) -> None:
        del self.held[key][node]
        if not self.held[key]:
            self.unheld_since[key] = self.now

    def add(self, key: str, node: str, *, whole: bool) -> None:
        self.held.setdefault(key, {})[node] = whole
        self.unheld_since.pop(key, None)

    def versions(self, name: str) -> list[str]:
        """Return the held versions, newest first."""
        found = [key for key in self.held if key.startswith(f"{name}=") and self.held[key]]
        return found[::-1]

    def answer(self, name: str, asker: str | None) -> str:
        told = {node: f"{node}?" for held, node in self.initial if held == name and node != asker}
        for key in self.versions(name):
            others = {node: whole for node, whole in self.held[key].items() if node != asker}
            if others:
                return self._answer_with(key, others, told)
        if told:
            return " ".join(["=?", *(told[node] for node in sorted(told))])
        return f"NOT_FOUND no such file: {name}"

    def _answer_with(self, key: str, holders: dict[str, bool], told: dict[str, str]) -> str:
        shown = {node: node if whole else f"{node}~" for node, whole in holders.items()}
        alive = {node: text for node, text in shown.items() if self.is_alive(node)} | told
        silent = [f"{shown[node]}?" for node in sorted(shown) if not self.is_alive(node)]
        other = [f"={each[-1]}" for each in self.versions(key[:-2]) if each != key]
        parts = [f"={key[-1]}", *(alive[node] for node in sorted(alive))]
        return " ".join(
            parts + (["silent", *silent] if silent else []) + (["older", *older] if older else [])
        )


class TrackerAgainstModel(RuleBasedStateMachine):
    """Does the same to both, and compares what they answer."""

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene(EXAMPLE)
        self.model = Model(now=self.scene.now)

    @rule(seconds=st.sampled_from([0, 1, 10, 29, 30, 100]))
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
        held: dict[str, bool],
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
            " ".join(key if whole else f"{key}~" for key, whole in held.items()),
            without=" ".join(sorted(without)),
            replace=replace,
            epoch=epoch,
            sequence=sequence,
            address=address,
        )
        if known and model.is_alive(node) and (address != known.address or epoch < known.epoch):
            assert reply.startswith("CONFLICT")
            return
        if known and epoch == known.epoch and sequence <= known.sequence:
            if sequence == known.sequence and not known.left:
                known.seen = model.now
        else:
            self._accepted(node, ModelNode(address, epoch, sequence, model.now), held)
            self._dropped(node, set(model.holdings(node)) if replace else without, held)
        assert reply == f"ok {len(model.holdings(node))}"

    def _accepted(self, node: str, said: ModelNode, held: dict[str, bool]) -> None:
        model = self.model
        if node not in model.nodes:
            model.initial = {each for each in model.initial if each[1] != node}
        model.nodes[node] = said
        for key, whole in held.items():
            model.add(key, node, whole=whole)

    def _dropped(self, node: str, without: set[str], held: dict[str, bool]) -> None:
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
            known.seen = self.model.now
            assert reply == f"ok {len(self.model.holdings(node))}"

    @rule(node=NODES)
    def leave(self, node: str) -> None:
        self.model.forget()
        known = self.model.nodes.get(node)
        reply = self.scene.leave(node, known.epoch if known else 1)
        assert reply.startswith("ok" if known else "NOT_FOUND")
        if known:
            known.left = True

    @rule(name=st.sampled_from(sorted(EXAMPLE)), node=NODES, partial=st.booleans())
    def ask(self, name: str, node: str, partial: bool) -> None:  # noqa: FBT001
        model = self.model
        model.forget()
        if not partial:
            model.initial.discard((name, node))
            for key in model.versions(name):
                others = model.held[key].keys() - {node}
                if node in model.held[key]:
                    model.remove(key, node)
                if others:
                    break
        assert self.scene.ask(name, node, partial=partial) == model.answer(name, node)

    @precondition(lambda self: self.model.nodes)
    @rule()
    def restart(self) -> None:
        model = self.model
        self.scene.expire()
        model.forget()
        self.scene.restart()
        for node in model.nodes.values():
            node.seen = model.now
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


def check(state: State) -> None:
    """Assert that the state's parts agree with one another."""
    catalogue = state.catalogue
    versions = [each for ids in catalogue._by_name.values() for each in ids.values()]
    assert len(versions) == catalogue.version_count
    assert sum(each.holder_count() for each in versions) == catalogue.holding_count
    assert sorted(catalogue._by_name) == catalogue._sorted_names
    assert {each.serial for each in versions if not each.holder_count()} == set(catalogue._unheld)
    assert not any(each.whole.keys() & each.partial.keys() for each in versions)
    for version in versions:
        assert catalogue._by_id[version.id][version.name] is version
        for node, member in (version.whole | version.partial).items():
            assert state.members[node] is member
            assert member.holdings[version.serial] is version
    assert catalogue.holding_count == sum(len(each.holdings) for each in state.members.values())
    assert not any(state.leases.is_alive(node) for node, each in state.members.items() if each.left)


TrackerAgainstModel.TestCase.settings = settings(stateful_step_count=30)
test_answers_as_the_model_does = TrackerAgainstModel.TestCase
