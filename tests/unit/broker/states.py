"""A tracker's state as tests compare it, and check it for consistency."""

from collections.abc import Sequence

from shoal.broker.tracking.changes import Change
from shoal.broker.tracking.state import State

from tests.unit.broker.scene import Scene


def replayed(scene: Scene, log: Sequence[tuple[float, Change]]) -> State:
    """Return the state that a log leads to, of which each change has its time."""
    state = State(scene.initial, scene.settings)
    for decided_at, change in log:
        state.apply(change, decided_at)
    return state


def shown_state(state: State) -> dict[str, object]:
    """Return everything that the log says of a state: leases are in memory only."""
    catalogue, initial = state.catalogue, state.initial_holdings
    return {
        "nodes": {
            node: (
                each.address,
                each.epoch,
                each.sequence,
                each.left,
                each.silent_since,
                each.has_gap,
            )
            for node, each in state.members.by_node.items()
        },
        "tokens": {node: each.tokens.text for node, each in state.members.by_node.items()},
        "silences": dict(state.members._silences._ends),
        "versions": [
            (each.order, each.name, each.id, each.size_bytes, each.announced, each.published)
            for of_name in map(catalogue._by_name.__getitem__, catalogue._sorted_names)
            for each in of_name
        ],
        "holders": {
            (each.name, each.id): (sorted(each.whole), sorted(each.partial))
            for of_name in catalogue._by_name.values()
            for each in of_name
        },
        "unheld": {(each.name, each.id): since for each, since in catalogue._unheld.items()},
        "refused": {(each.name, each.id) for each in catalogue._refused},
        "initial": {name: sorted(initial.holders(name)) for name in state.initial.holdings},
        "disowned": set(initial.disowned),
        "pushes": (list(state.wishes.after("")), state.wishes.ended()),
    }


def shown_timeless(state: State) -> dict[str, object]:
    """Return what a store keeps of a state, whose clock is another, and which forgets orders."""
    catalogue, initial = state.catalogue, state.initial_holdings
    return {
        "nodes": {
            node: (each.address, each.epoch, each.sequence, each.left, each.has_lease)
            for node, each in state.members.by_node.items()
        },
        "tokens": {node: each.tokens.text for node, each in state.members.by_node.items()},
        "versions": {
            name: [
                (each.id, each.size_bytes, each.published, set(each.whole), set(each.partial))
                for each in of_name
            ]
            for name, of_name in catalogue._by_name.items()
        },
        "same content": {
            each.id: [same.name for same in catalogue.versions_with(each.id)]
            for of_name in catalogue._by_name.values()
            for each in of_name
        },
        "initial": {name: sorted(initial.holders(name)) for name in state.initial.holdings},
        "disowned": set(initial.disowned),
    }


def check(state: State) -> None:
    """Assert that the state's parts agree with one another."""
    catalogue, members = state.catalogue, state.members
    versions = [each for of_name in catalogue._by_name.values() for each in of_name]
    assert len(versions) == catalogue.version_count
    assert sum(each.holder_count() for each in versions) == catalogue.holding_count
    assert sorted(catalogue._by_name) == catalogue._sorted_names
    for of_name in catalogue._by_name.values():
        assert of_name
        assert of_name == sorted(of_name, key=lambda each: (each.published[0], -each.order))
    assert {each for each in versions if not each.holder_count()} == set(catalogue._unheld)
    assert catalogue._refused <= set(catalogue._unheld)
    assert not any(each.whole.keys() & each.partial.keys() for each in versions)
    assert len({each.order for each in versions}) == len(versions)
    for version in versions:
        assert catalogue.find(version.name, version.id) is version
        for node in version.whole | version.partial:
            assert version in catalogue.held_by(node)
    assert catalogue.holding_count == sum(map(len, catalogue._by_node.values()))
    assert catalogue.size_bytes == sum(each.room_bytes for each in versions)
    for node, held in catalogue._by_node.items():
        assert catalogue.bytes_of(node) == sum(each.room_bytes for each in held)
    strangers = members.by_node.keys() - state.initial.nodes.keys()
    assert members._all_strangers.keys() == strangers
    at_hosts = [node for nodes in members._strangers.values() for node in nodes]
    assert sorted(at_hosts) == sorted(strangers)
    assert all(members._strangers.values())
    assert all(catalogue._by_node.values())
    assert catalogue._by_node.keys() <= members.by_node.keys()
    with_lease = {node for node, each in members.by_node.items() if each.has_lease}
    assert members._leases._ends.keys() == with_lease
    silent = members.by_node.keys() - with_lease - state.initial.nodes.keys()
    assert members._silences._ends.keys() == silent
    assert not any(each.left and each.has_lease for each in members.by_node.values())
