"""One timed transfer by one client process, and what it cost both sides. Not who wins."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmark import usage
from tests.benchmark.processes import RUN_LIMIT_S, BenchmarkError, Child, Children

SAMPLE_S = 0.05  # a dozen reads of /proc each time: under 1 % of a core


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one client process took, from its start to its exit, and what its servers spent."""

    process_s: float
    client_cpu_s: float
    server_cpu_s: float
    client_peak_bytes: int
    server_peak_bytes: int


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """The bytes moved, the cost, and how long it took without the client's start and end."""

    size_bytes: int
    transfer_s: float  # as the client itself reports it
    cost: Cost


def run_client(
    children: Children, name: str, argv: Sequence[str], servers: Sequence[Child]
) -> tuple[Cost, str]:
    """Run a client to its successful end; gives the cost and its stdout."""
    server_pids = [server.pid for server in servers]
    server_cpu_s = usage.cpu_s(server_pids)
    started = time.monotonic()
    client = children.start(name, argv)
    try:
        client_peak, server_peak = _watch(client, server_pids)
        process_s = time.monotonic() - started
        used = client.reap()
    finally:
        children.stop([client])  # if it hangs, it must not disturb those who come next
    client.expect_success()
    cost = Cost(
        process_s=process_s,
        client_cpu_s=used.ru_utime + used.ru_stime,
        server_cpu_s=usage.cpu_s(server_pids) - server_cpu_s,
        client_peak_bytes=client_peak,
        server_peak_bytes=server_peak,
    )
    return cost, client.output()


def _watch(client: Child, server_pids: Sequence[int]) -> tuple[int, int]:
    """Wait for the client's exit; gives the peak memory in bytes of the client and the servers."""
    client_peak = server_peak = 0
    give_up = time.monotonic() + RUN_LIMIT_S
    while not client.exits_within(SAMPLE_S):
        client_peak = max(client_peak, usage.anonymous_bytes([client.pid]))
        server_peak = max(server_peak, usage.anonymous_bytes(server_pids))
        if time.monotonic() > give_up:
            raise BenchmarkError(f"{client.name} did not end within {RUN_LIMIT_S:.0f} s")
    return client_peak, server_peak
