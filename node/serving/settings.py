"""The limits of serving and announcing, each with its reason."""

import msgspec


class NodeSettings(msgspec.Struct, frozen=True):
    """How a node serves and announces."""

    renew_s: float = 10.0  # A third of the tracker's lease.
    renew_jitter: float = 0.2  # So that 1,000 nodes started at once do not stay in step.
    tracker_patience_s: float = 1.0  # For one try of one request.
    say_s: float = (
        1.0  # After the first lines, "Uploading" is logged once in so long for each node.
    )
