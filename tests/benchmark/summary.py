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

    rate_bytes_per_s: float
    slowest_bytes_per_s: float
    fastest_bytes_per_s: float
    elapsed_s: float
    process_s: float
    reported_s: float
    client_cpu_s_per_gib: float
    server_cpu_s_per_gib: float
    client_peak_bytes: int
    server_peak_bytes: int

    @classmethod
    def of(cls, transfers: Sequence[Transfer]) -> Self:
        def typical(number: Callable[[Transfer], float]) -> float:
            return median(number(transfer) for transfer in transfers)

        rates = [transfer.rate_bytes_per_s for transfer in transfers]
        return cls(
            rate_bytes_per_s=median(rates),
            slowest_bytes_per_s=min(rates),
            fastest_bytes_per_s=max(rates),
            elapsed_s=typical(lambda t: t.elapsed_s),
            process_s=typical(lambda t: t.cost.process_s),
            reported_s=typical(lambda t: t.reported_s),
            client_cpu_s_per_gib=typical(lambda t: t.cost.client_cpu_s * GIB / t.size_bytes),
            server_cpu_s_per_gib=typical(lambda t: t.cost.server_cpu_s * GIB / t.size_bytes),
            client_peak_bytes=max(t.cost.client_peak_bytes for t in transfers),
            server_peak_bytes=max(t.cost.server_peak_bytes for t in transfers),
        )


def ratio(ours: Sequence[Transfer], theirs: Sequence[Transfer]) -> float:
    """How many times faster: the median of the rounds' own ratios, as noise comes in rounds."""
    pairs = zip(ours, theirs, strict=True)
    return median(our.rate_bytes_per_s / their.rate_bytes_per_s for our, their in pairs)


def ratios(transfers: Mapping[str, Sequence[Transfer]]) -> dict[str, dict[str, float]]:
    """Every contender against every other: `ratios[ours][theirs]`."""
    return {
        ours: {
            theirs: ratio(transfers[ours], transfers[theirs])
            for theirs in transfers
            if theirs != ours
        }
        for ours in transfers
    }
