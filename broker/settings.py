"""The limits of the tracker's process, each with its reason."""

from dataclasses import dataclass, field

from shoal.wire.connections import Bounds


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How the ROUTER treats its connections, and the process its disk and log.

    Settings that all listening sockets share are in wire.sockets.
    """

    most_waiting: int = 256  # Requests of one connection: twice the 128 that it may have out.
    most_waiting_bytes: int = 16 << 20  # Of all; more, and who has most of them is cut off.
    linger_ms: int = 500  # For the last replies when the tracker stops.
    round_requests: int = 16  # These share one commit, …
    round_s: float = 0.002  # … if they are answered in this time: others wait for a round's end.
    take_in_s: float = 0.002  # For messages between two rounds: who sends faster waits.
    poll_s: float = 1.0  # How late a failed save is retried when no requests come.
    retry_save_s: float = 5.0
    warn_every_s: float = 60.0
    bounds: Bounds = field(default_factory=Bounds)  # Of what its connections take.
    max_unsaved_changes: int = 200_000  # About 50 MiB; nodes announce the rest again.
    exchange_every_s: float = 0.05  # So late does a tracker hear of what others have decided.
    exchange_patience_s: float = 0.04  # A round waits so long for a store that others share.
    retry_exchange_s: float = 0.5
    away_after_s: float = 1.0  # Without an answer, such a store counts as away.
    tell_renewed_s: float = 1.0  # Others hear so late who renewed; leases last 30 s.
    log_lines_per_s: float = (
        100.0  # A line costs 20 us: a flood of requests must not become one of lines.
    )
    log_burst_lines: int = 1000  # A node's two updates of 500 files each are logged completely.
