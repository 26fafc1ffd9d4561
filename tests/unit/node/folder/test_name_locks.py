"""One at a time for each name, and different names side by side."""

import threading

import pytest
from shoal.node.folder.name_locks import NameLocks

from tests.unit.wire.places import LIMIT_S


def test_other_names_do_not_wait() -> None:
    locks = NameLocks()
    with locks.holding("a"), locks.holding("b"):
        pass
    with locks.holding("a"):
        pass


def test_the_same_name_waits_and_is_told_so() -> None:
    locks, order = NameLocks(), list[str]()
    has_waited = threading.Event()

    def second() -> None:
        with locks.holding("a", has_waited.set):
            order.append("second")

    thread = threading.Thread(target=second)
    with locks.holding("a"):
        thread.start()
        assert has_waited.wait(LIMIT_S)
        order.append("first")
    thread.join(LIMIT_S)
    assert order == ["first", "second"]


def test_who_waits_may_give_up() -> None:
    locks = NameLocks()

    def give_up() -> None:
        raise TimeoutError

    with locks.holding("a"):
        with pytest.raises(TimeoutError), locks.holding("a", give_up):
            pytest.fail("it is held")
        with locks.holding("b"):
            pass
    with locks.holding("a"):
        pass
