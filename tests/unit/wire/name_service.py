"""A name service that answers when a test lets it."""

import threading

from shoal.wire.host_names import HostNames

from tests.unit.wire.places import LIMIT_S


class NameService:
    """Knows the names it was told; the numbers of one are separated by blanks."""

    def __init__(self, **known: str) -> None:
        self.known = known
        self.asked: list[str] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.names = HostNames(self.look_up)

    def look_up(self, name: str) -> tuple[str, ...]:
        self.asked.append(name)
        assert self.may_answer.wait(LIMIT_S)
        if name not in self.known:
            raise OSError(1, "Name or service not known")
        return tuple(self.known[name].split())
