"""Several processes that simulate one world together, each some of its actors.

No message is there sooner than `lookahead_s` after it was sent. So all can go on for so long after
the next thing that happens to anybody, without a word from each other; then they exchange what was
sent (a conservative parallel simulation in steps; Fujimoto, "Parallel discrete event simulation",
1990).
"""

import dataclasses
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Protocol, TypeVar

from tests.simulation.world import World

Mail = tuple[float, int, str, Any]  # When it comes, its order, to whom, what.


class Part(Protocol):
    """What one process simulates."""

    world: World

    def take_in(self, mail: list[Mail]) -> None:
        """Put what others sent into the world."""

    def take_out(self, worker: int) -> list[Mail]:
        """Return what was sent to the actors of `worker` since the last time."""

    def is_over(self) -> bool:
        """Say whether nothing more is wanted of these actors."""


P = TypeVar("P", bound=Part)


@dataclasses.dataclass
class Crew:
    """How one process, `worker`, talks to the others."""

    worker: int
    pipes: "dict[int, Connection[Any, Any]]"

    def run(self, part: Part, lookahead_s: float, limit_s: float) -> None:
        """Let time pass until all are over, nothing is left to do, or `limit_s` is reached."""
        world, end = part.world, 0.0
        while True:
            world.run(end)
            soonest, is_over = self._exchange(part)
            if is_over or soonest >= limit_s:
                return
            end = soonest + lookahead_s

    def _exchange(self, part: Part) -> tuple[float, bool]:
        """Give and take mail; return when the next thing happens to anybody, and if all is over."""
        out = {other: part.take_out(other) for other in self.pipes}
        mine = [mail[0] for mails in out.values() for mail in mails]
        soonest, is_over = min([part.world.next_at, *mine]), part.is_over()
        told = soonest, is_over
        for other, pipe in sorted(self.pipes.items()):
            if self.worker < other:  # The one speaks first, the other hears first: no pipe fills.
                pipe.send((*told, out[other]))
            their_soonest, they_are_over, mail = pipe.recv()
            if self.worker > other:
                pipe.send((*told, out[other]))
            soonest, is_over = min(soonest, their_soonest), is_over and they_are_over
            part.take_in(mail)
        return soonest, is_over


def together(
    count: int, begin: Callable[[int], P], work: Callable[[Crew, P], None], tell: Callable[[P], Any]
) -> list[Any]:
    """Have `count` processes each `begin` a part, `work` at it and `tell` of it; return what."""
    context = multiprocessing.get_context("fork")
    pipes: list[dict[int, Connection[Any, Any]]] = [{} for _ in range(count)]
    for one in range(count):
        for other in range(one):
            pipes[one][other], pipes[other][one] = context.Pipe()

    def process(worker: int, result: "Connection[Any, Any] | None" = None) -> Any:
        for each in (pipe for one in range(count) if one != worker for pipe in pipes[one].values()):
            each.close()  # Or nobody would notice the end of one that fails.
        part = begin(worker)
        work(Crew(worker, pipes[worker]), part)
        return tell(part) if result is None else result.send(tell(part))

    others, results = [], []
    for worker in range(1, count):
        reader, writer = context.Pipe(duplex=False)
        results.append(reader)
        others.append(context.Process(target=process, args=(worker, writer), daemon=True))
        others[-1].start()
        writer.close()
    told = [process(0), *(reader.recv() for reader in results)]
    for each in others:
        each.join()
    return told
