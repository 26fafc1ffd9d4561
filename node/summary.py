"""What a finished download has cost, as `fetch --json` says it. Measures nothing."""

from node.download import Download
from protocol.control import Fetched


def of(download: Download, path: str | None, elapsed_s: float) -> Fetched:
    """Return the report on a download whose thing stands at `path`."""
    tally = download.tally
    assert download.manifest is not None
    return Fetched(
        name=download.name,
        id=str(download.id),
        size_bytes=download.manifest.size_bytes,
        elapsed_s=round(elapsed_s, 6),
        fetched_bytes=tally.fetched_bytes,
        reused_bytes=tally.reused_bytes,
        holders=dict(sorted(tally.by_holder.items())),
        path=str(path),
        duplicate_bytes=tally.duplicate_bytes,
        wrong_chunks=tally.wrong_chunks,
        lost_holders=tally.lost_holders,
    )
