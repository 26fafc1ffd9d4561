"""Several processes that simulate one world together, each some of its actors.

No message is there sooner than `lookahead_s` after it was sent. So time passes in steps of half of
that, and what is sent in one of them is needed before the next but one: a process that has more to
do in one step, and less in the next, keeps nobody waiting (a conservative parallel simulation;
Fujimoto, "Parallel discrete event simulation", 1990).
"""

import multiprocessing
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, NamedTuple, Protocol, TypeVar

from tests.simulation.world import World

STEP = 0.499  # Of the lookahead: less than a half, as times are rounded.
ROOM_BYTES = 32 << 10  # Two such messages fit into a pipe.

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


class _Told(NamedTuple):
    """What a process says after each step."""

    soonest: float  # Nothing happens before this to its actors, or to those it wrote to.
    is_over: bool
    mail: list[Mail]


class Crew:
    """How one process talks to the others."""

    def __init__(self, pipes: "dict[int, Connection[Any, Any]]") -> None:
        self._ends = {other: _End(pipe) for other, pipe in pipes.items()}

    def run(self, part: Part, lookahead_s: float, limit_s: float) -> None:
        """Let time pass until all are over, nothing is left to do, or `limit_s` is reached."""
        width_s = STEP * lookahead_s
        step, mine = 0, _Told(0.0, is_over=False, mail=[])
        while True:
            part.world.run(min((step + 1) * width_s, limit_s))
            # What all said before this step: that is the same for all, and so is the next step.
            told = [mine, *(end.hear() for end in self._ends.values() if step > 0)]
            for each in told:
                part.take_in(each.mail)
            soonest = min(each.soonest for each in told)
            if all(each.is_over for each in told) or soonest >= limit_s:
                return
            mine = self._tell(part)
            step = max(step + 1, int(soonest / width_s))

    def _tell(self, part: Part) -> _Told:
        mail = {other: part.take_out(other) for other in self._ends}
        written = [each[0] for mails in mail.values() for each in mails]
        soonest, is_over = min([part.world.next_at, *written]), part.is_over()
        for other, end in self._ends.items():
            end.tell(_Told(soonest, is_over, mail[other]))
        return _Told(soonest, is_over, [])


class _End:
    """This process's end of a pipe. Nothing that is told makes it wait for the other one."""

    def __init__(self, pipe: "Connection[Any, Any]") -> None:
        self._pipe = pipe
        self._telling: threading.Thread | None = None

    def hear(self) -> _Told:
        told: _Told = self._pipe.recv()
        return told

    def tell(self, told: _Told) -> None:
        data = ForkingPickler.dumps(told)
        if self._telling is not None:  # The other one has read it before it told what we heard.
            self._telling.join()
            self._telling = None
        if len(data) < ROOM_BYTES:
            self._pipe.send_bytes(data)
        else:
            self._telling = threading.Thread(target=self._pipe.send_bytes, args=(data,))
            self._telling.start()


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
        work(Crew(pipes[worker]), part)
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
