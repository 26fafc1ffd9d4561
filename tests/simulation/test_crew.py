"""Actors in one process or in several: they hear the same, in the same order."""

from typing import Any

import msgspec
import pytest

from tests.simulation.crew import Crew, Mail, together
from tests.simulation.world import Actor, World

ACTORS = 4
DELAY_S = 1.0
LIMIT_S = 20.0
AT_LEAST = 3

Word = tuple[int, bytes]  # Of whom, and ballast.


class Talker(Actor):
    """Tells all others whatever it hears, a while later; all hear it at the same moment."""

    def __init__(self, number: int, part: "Talk") -> None:
        super().__init__(number, part.world)
        self.heard: list[tuple[float, int]] = []
        self._part = part

    def hear(self, teller: int) -> None:
        self.heard.append((self.world.now, teller))
        if teller == (self.number + 1) % ACTORS:
            for name in range(ACTORS):
                at = self.world.now + DELAY_S
                what = self.number, self._part.ballast
                self._part.carry((at, self.next_order(), str(name), what))


class Talk:
    """One worker's share of the talkers."""

    def __init__(self, worker: int, workers: int, ballast: bytes = b"") -> None:
        self.world = World()
        self.mail = msgspec.msgpack.Decoder(list[Mail[Word]])
        self.ballast = ballast
        self._workers = workers
        self._mail: dict[int, list[Mail[Word]]] = {other: [] for other in range(workers)}
        mine = range(worker, ACTORS, workers)
        self.talkers = {str(number): Talker(number, self) for number in mine}
        for talker in self.talkers.values():
            talker.at(0.0, talker.hear, (talker.number + 1) % ACTORS)

    def carry(self, mail: Mail[Word]) -> None:
        at, order, name, what = mail
        if name in self.talkers:
            self.world.put(at, order, self.talkers[name].hear, what[0])
        else:
            self._mail[int(name) % self._workers].append(mail)

    def take_in(self, mail: list[Mail[Word]]) -> None:
        for each in mail:
            self.carry(each)

    def take_out(self, worker: int) -> list[Mail[Word]]:
        mail, self._mail[worker] = self._mail[worker], []
        return mail

    def is_over(self) -> bool:
        return False


def talk(workers: int, limit_s: float = LIMIT_S, ballast: bytes = b"") -> list[Any]:
    """Return what each talker heard, and when."""

    def work(crew: Crew, part: Talk) -> None:
        crew.run(part, DELAY_S, limit_s)

    def tell(part: Talk) -> list[Any]:
        return [(name, talker.heard) for name, talker in part.talkers.items()]

    told = together(workers, lambda worker: Talk(worker, workers, ballast), work, tell)
    return sorted(one for part in told for one in part)


@pytest.mark.parametrize("workers", [2, 3, ACTORS])
def test_all_hear_the_same_in_the_same_order(workers: int) -> None:
    heard = talk(1)
    assert all(len(words) > AT_LEAST for _, words in heard)
    assert talk(workers) == heard


def test_long_messages_both_ways_keep_nobody_waiting() -> None:
    assert talk(3, ballast=bytes(1 << 20)) == talk(1)


def test_nothing_happens_after_the_limit() -> None:
    times = [at for _, words in talk(2, limit_s=4.5) for at, _ in words]
    assert max(times) == 4.0


def test_the_failure_of_one_ends_all() -> None:
    def begin(worker: int) -> Talk:
        assert worker == 0
        return Talk(worker, 2)

    with pytest.raises((EOFError, OSError)):
        together(2, begin, lambda crew, part: crew.run(part, DELAY_S, LIMIT_S), lambda _: None)
