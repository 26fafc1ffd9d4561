"""Short attacks: memory stays bounded, honest clients are answered, and nobody gets in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks import connections, handshakes, memory
from tests.attacks.scene import NODE, Scene, scene
from tests.attacks.strangers import ATTACKS
from tests.unit.wire.places import free_address, port_of

SECONDS = 1.5
TRIES = 3
HANDSHAKES = 40
CONNECTIONS, RATE = 1500, 1000.0
TARGETS = ("tracker", NODE)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("attacks")) as made:
        yield made


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", ATTACKS)
def test_memory_is_bounded(made: Scene, target: str, kind: str) -> None:
    """A busy machine cuts off late: the best of some tries counts, from the first one's begin."""
    watched, first_bytes = made.targets[target], None
    grown = []
    for _ in range(TRIES):
        done = memory.attack(made, watched, kind, SECONDS)
        assert done.connections, done
        assert done.attacked.answers, done
        first_bytes = watched.before_bytes if first_bytes is None else first_bytes
        grown.append(done.growth_bytes + watched.before_bytes - first_bytes)
        if grown[-1] <= memory.MOST_GROWTH_BYTES:
            break
    assert min(grown) <= memory.MOST_GROWTH_BYTES, grown


@pytest.mark.parametrize("target", TARGETS)
def test_connections_take_no_room_of_others(made: Scene, target: str) -> None:
    done = connections.attack(made.targets[target], CONNECTIONS, RATE, idle_s=0.5)
    assert done.let_in, done
    assert done.cut_off > CONNECTIONS // 2, done
    assert done.growth_bytes <= memory.MOST_GROWTH_BYTES, done
    assert done.attacked.answers, done


def test_no_handshake_with_a_wrong_key_succeeds(tmp_path: Path) -> None:
    with scene(tmp_path, is_secured=True) as made:
        for done in handshakes.against(made, HANDSHAKES):
            expected = done.tried if done.kind == handshakes.KNOWN else 0
            assert (done.refused + done.let_in, done.let_in) == (done.tried, expected), done


def test_nobody_gets_in_while_nobody_says_who_may() -> None:
    done = handshakes.without_handler(("127.0.0.1", port_of(free_address())), HANDSHAKES // 4)
    assert done.let_in == 0
