"""The limits of serving, announcing and looking after a folder, each with its reason."""

import msgspec


class NodeSettings(msgspec.Struct, frozen=True):
    """How a node serves, announces and looks after its folder."""

    renew_s: float = 10.0  # A third of the tracker's lease.
    renew_jitter: float = 0.2  # So that 1,000 nodes started at once do not stay in step.
    tracker_patience_s: float = 1.0  # One try of one request …
    tracker_tries: int = 3  # … and how many before it counts as unreachable.
    rescan_s: float = 30.0  # In case the file system reports no changes (NFS).
    poll_s: float = 1.0  # Where nothing can be watched at all.
    gather_s: float = 0.2  # What changes in so short a time is looked at together.
    stable_s: float = 0.2  # A file that changed within this is still being written.
    say_s: float = 1.0  # At most one "Uploading" line a file and second, after the first ones.
