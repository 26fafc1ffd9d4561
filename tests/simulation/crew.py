"""Several processes that simulate one world together, each a part of its actors.

No message is there sooner than `lookahead_s` after it was sent. So time passes in steps of half of
that, and what is sent in one of them is needed before the next but one: a process that has more to
do in one step, and less in the next, keeps nobody waiting (a conservative parallel simulation;
Fujimoto, "Parallel discrete event simulation", 1990).
"""

import multiprocessing
import os
import select
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Protocol, TypeVar

import msgspec

from tests.simulation.world import World

STEP = 0.499  # Of the lookahead: less than a half, as times are rounded.
ROOM_BYTES = 32 << 10  # Two such messages fit into a pipe.
ENCODER = msgspec.msgpack.Encoder()

L = TypeVar("L")
Mail = tuple[float, int, str, L]  # When it comes, its order, to whom, what.


class Part(Protocol[L]):
    """What one process simulates. Its actors send each other what msgspec can encode."""

    world: World
    mail: "msgspec.msgpack.Decoder[list[Mail[L]]]"

    def take_in(self, mail: list[Mail[L]]) -> None:
        """Put what others sent into the world."""

    def take_out(self, worker: int) -> list[Mail[L]]:
        """Return what was sent to the actors of `worker` since the last time."""

    def is_over(self) -> bool:
        """Say whether nothing more is wanted of these actors."""


P = TypeVar("P", bound=Part[Any])


class _Told(msgspec.Struct, array_like=True):
    """What a process says after each step."""

    soonest: float  # Nothing happens before this to its actors, or to those it wrote to.
    is_over: bool
    mail: msgspec.Raw  # For the one that it is told.


class Crew:
    """How one process talks to the others."""

    def __init__(self, pipes: "dict[int, Connection[Any, Any]]") -> None:
        self._ends = {other: _End(pipe) for other, pipe in pipes.items()}

    def run(self, part: Part[Any], lookahead_s: float, limit_s: float) -> None:
        """Let time pass until all are over, nothing is left to do, or `limit_s` is reached."""
        width_s = STEP * lookahead_s
        step, mine = 0, _Told(0.0, is_over=False, mail=msgspec.Raw())
        while True:
            part.world.run(min((step + 1) * width_s, limit_s))
            # What all said before this step: that is the same for all, and so is the next step.
            heard = [end.hear() for end in self._ends.values() if step > 0]
            for each in heard:
                part.take_in(part.mail.decode(each.mail))
            told = [mine, *heard]
            soonest = min(each.soonest for each in told)
            if all(each.is_over for each in told) or soonest >= limit_s:
                return
            mine = self._tell(part)
            step = max(step + 1, int(soonest / width_s))

    def _tell(self, part: Part[Any]) -> _Told:
        mail = {other: part.take_out(other) for other in self._ends}
        written = [each[0] for mails in mail.values() for each in mails]
        mine = _Told(min([part.world.next_at, *written]), part.is_over(), msgspec.Raw())
        for other, end in self._ends.items():
            mine.mail = msgspec.Raw(ENCODER.encode(mail[other]))
            end.tell(ENCODER.encode(mine))
        return mine


class _End:
    """This process's end of a pipe. Nothing that is told makes it wait for the other one."""

    def __init__(self, pipe: "Connection[Any, Any]") -> None:
        self._pipe = pipe
        self._telling: threading.Thread | None = None
        self._decoder = msgspec.msgpack.Decoder(_Told)
        self._poll = select.poll()
        self._poll.register(pipe, select.POLLIN)

    def hear(self) -> _Told:
        """Return what it told, when it has.

        To sleep until then costs more than to look again and again, as the other one is about to.
        Whoever else wants the processor gets it in between.
        """
        while not self._poll.poll(0):
            os.sched_yield()
        return self._decoder.decode(self._pipe.recv_bytes())

    def tell(self, data: bytes) -> None:
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
