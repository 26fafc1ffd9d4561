"""The limits of the tracker's process, each with its reason."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How the ROUTER treats its connections, and the process its disk and log.

    Settings that all listening sockets share are in wire.sockets.
    """

    receive_queue: int = (
        256  # Messages of one connection: 64 MiB at most, if all are as large as can be.
    )
    send_queue: int = 256  # Twice the 128 requests a client may have on its way (libzmq#4750).
    linger_ms: int = 500  # For the last replies when the tracker stops.
    round_requests: int = (
        16  # These share one commit. A flood delays others by a round, about 1 ms.
    )
    poll_s: float = 1.0  # How late a failed save is retried when no requests come.
    spare_descriptors: int = 64  # Never given to connections: the database, the log, the rest.
    retry_save_s: float = 5.0
    warn_every_s: float = 60.0
    max_unsaved_changes: int = 200_000  # About 50 MiB; nodes announce the rest again.
    log_lines_per_s: float = (
        100.0  # A line costs 20 us: a flood of requests must not become one of lines.
    )
    log_burst_lines: int = 1000  # A node's two updates of 500 files each are logged completely.
