"""What a finished download has cost, as `fetch --json` says it. Measures nothing."""

import msgspec
from shoal.node.fetching.download import Download
from shoal.node.fetching.yardstick import Measured, judge
from shoal.protocol.control import Fetched


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """What the shell has measured. Times in seconds, rates in bytes per second."""

    elapsed_s: float
    best_rate: float
    working_s: float
    disk_s: float
    link_rate: float | None


def of(download: Download, node: str, path: str | None, costs: Costs) -> Fetched:
    """Return the report on a download by `node` whose thing stands at `path`."""
    tally = download.tally
    assert download.manifest is not None
    measured = Measured(
        node=node,
        fetched_bytes=tally.fetched_bytes,
        starved_s=tally.starved_s,
        holders=len(tally.by_holder),
        askers=tally.askers,
        **msgspec.structs.asdict(costs),
    )
    bound = judge(measured)
    return Fetched(
        name=download.name,
        id=str(download.id),
        size_bytes=min(download.manifest.size_bytes, tally.needed_bytes),
        elapsed_s=round(costs.elapsed_s, 6),
        fetched_bytes=tally.fetched_bytes,
        reused_bytes=tally.reused_bytes,
        holders=dict(sorted(tally.by_holder.items())),
        path=str(path),
        duplicate_bytes=tally.duplicate_bytes,
        wrong_chunks=tally.wrong_chunks,
        lost_holders=tally.lost_holders,
        retries=tally.retries,
        bound_s=bound.bound_s,
        ratio=bound.ratio,
        bound_by=bound.bound_by,
        bound_reason=bound.reason,
    )
