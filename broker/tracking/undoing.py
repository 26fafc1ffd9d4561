"""How changes are taken back, when others turn out to come before them. Decides nothing.

Before a change is applied, what it will change is remembered as it is. Only the last change that is
still applied can be taken back, and others bring nothing back that leases alone know.
"""

from collections.abc import Callable, Iterator
from functools import partial

from shoal.broker.tracking.changes import (
    Change,
    Disowned,
    Dropped,
    Entrusted,
    Forgotten,
    Gone,
    Held,
    Published,
    Seen,
    Unwished,
    Wished,
    Withdrawn,
)
from shoal.broker.tracking.state import State

Step = Callable[[], None]


def remembered(state: State, change: Change) -> tuple[Step, ...]:
    """Return the steps that make the state what it is now, once the change has been applied."""
    match change:
        case Held(name, content_id, node) | Withdrawn(name, content_id, node):
            return (state.catalogue.holder_before(name, content_id, node),)
        case Published(name, content_id) | Dropped(name, content_id):
            return (state.catalogue.version_before(name, content_id),)
        case Wished(name) | Unwished(name):
            return (state.wishes.before(name),)
        case Disowned(name, node):
            return _disowned(state, name, node)
        case _:
            return _of_node(state, change)


def _disowned(state: State, name: str, node: str) -> tuple[Step, ...]:
    if (name, node) in state.initial_holdings.disowned:
        return ()
    return (partial(state.initial_holdings.own_again, name, node),)


def _of_node(state: State, change: Seen | Entrusted | Gone | Forgotten) -> tuple[Step, ...]:
    node = change.node
    before, is_known = state.members.before(node), state.members.find(node) is not None
    match change:
        case Seen() if not is_known:
            return before, partial(state.initial_holdings.reinstate, node)
        case Seen(replaces=True):
            return before, *_held(state, node)
        case Forgotten() if is_known:
            again = partial(state.initial_holdings.supersede, node)
            return again, before, *_held(state, node)
        case _:
            return (before,)


def _held(state: State, node: str) -> Iterator[Step]:
    held = state.catalogue.held_by(node)
    return (state.catalogue.holder_before(one.name, one.id, node) for one in held)
