"""Part 1: every contender moves the same file on loopback, in turn, round after round."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tests.benchmark.processes import BenchmarkError
from tests.benchmark.transfer import Transfer


class Contender(Protocol):
    """A way to move the file. Its processes stay up, idle, while the others have their turn."""

    @property
    def name(self) -> str: ...
    def version(self) -> str | None:
        """Give what is installed, or None when it is not."""

    def start(self) -> None:
        """Start the serving side and return once it can serve."""

    def transfer(self) -> Transfer:
        """Move the file once, check the copy and remove it."""


@dataclass
class Loopback:
    """What was measured: as many transfers for each contender as there were rounds."""

    versions: dict[str, str] = field(default_factory=dict)
    transfers: dict[str, list[Transfer]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def measure(contenders: Sequence[Contender], rounds: int, say: Callable[[str], None]) -> Loopback:
    """Let all contenders transfer once in every round, so that noise hits all alike.

    One round more comes first and does not count: it warms caches, and every server's memory.
    """
    result = Loopback()
    ready = [contender for contender in contenders if _starts(contender, result, say)]
    for number in range(rounds + 1):
        label = f"round {number}/{rounds}" if number else "warm-up"
        for contender in list(ready):
            try:
                transfer = contender.transfer()
            except BenchmarkError as error:
                ready.remove(contender)
                result.transfers.pop(contender.name, None)
                result.failed[contender.name] = str(error)
                say(f"{label}: {contender.name} FAILED and is out")
                continue
            rate_mb_per_s = transfer.size_bytes / transfer.cost.process_s / 1e6
            say(f"{label}: {contender.name} {rate_mb_per_s:.0f} MB/s")
            if number:
                result.transfers.setdefault(contender.name, []).append(transfer)
    return result


def _starts(contender: Contender, result: Loopback, say: Callable[[str], None]) -> bool:
    version = contender.version()
    if version is None:
        result.left_out[contender.name] = "not installed"
        return False
    say(f"starting {contender.name} ({version})")
    try:
        contender.start()
    except BenchmarkError as error:
        result.failed[contender.name] = str(error)
        return False
    result.versions[contender.name] = version
    return True
