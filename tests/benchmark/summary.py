"""Medians of what was measured, and how the contenders compare. Plain numbers, no layout."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Self

from tests.benchmark.transfer import Transfer

GIB = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Medians over the rounds of one contender; the peaks are the highest of all rounds."""

    rate_bytes_per_s: float  # of the whole process, as the next two
    slowest_bytes_per_s: float
    fastest_bytes_per_s: float
    process_s: float
    transfer_s: float
    client_cpu_s_per_gib: float
    server_cpu_s_per_gib: float
    client_peak_bytes: int
    server_peak_bytes: int

    @classmethod
    def of(cls, transfers: Sequence[Transfer]) -> Self:
        def typical(number: Callable[[Transfer], float]) -> float:
            return median(number(transfer) for transfer in transfers)

        rates = [transfer.size_bytes / transfer.cost.process_s for transfer in transfers]
        return cls(
            rate_bytes_per_s=median(rates),
            slowest_bytes_per_s=min(rates),
            fastest_bytes_per_s=max(rates),
            process_s=typical(lambda t: t.cost.process_s),
            transfer_s=typical(lambda t: t.transfer_s),
            client_cpu_s_per_gib=typical(lambda t: t.cost.client_cpu_s * GIB / t.size_bytes),
            server_cpu_s_per_gib=typical(lambda t: t.cost.server_cpu_s * GIB / t.size_bytes),
            client_peak_bytes=max(t.cost.client_peak_bytes for t in transfers),
            server_peak_bytes=max(t.cost.server_peak_bytes for t in transfers),
        )


def process_s(transfer: Transfer) -> float:
    """Return the whole client process, in seconds: what the user waits."""
    return transfer.cost.process_s


def transfer_s(transfer: Transfer) -> float:
    """Return the transfer alone, in seconds, as the client reports it."""
    return transfer.transfer_s


CLOCKS: dict[str, Callable[[Transfer], float]] = {"process": process_s, "transfer": transfer_s}


def ratio(ours: Sequence[Transfer], theirs: Sequence[Transfer], clock: str) -> float:
    """How many times faster: the median of the rounds' own ratios, as noise comes in rounds."""
    seconds = CLOCKS[clock]
    pairs = zip(ours, theirs, strict=True)
    return median(seconds(their) / seconds(our) for our, their in pairs)


def ratios(transfers: Mapping[str, Sequence[Transfer]], clock: str) -> dict[str, dict[str, float]]:
    """Every contender against every other by the same clock: `ratios[ours][theirs]`."""
    return {
        ours: {
            theirs: ratio(transfers[ours], transfers[theirs], clock)
            for theirs in transfers
            if theirs != ours
        }
        for ours in transfers
    }
