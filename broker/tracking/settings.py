"""The tracker's limits, each with its reason. Not the cluster file, which says who is where."""

from dataclasses import dataclass

from shoal.protocol import messages


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """What the tracker's state may grow to, and how much of it one answer tells."""

    lease_s: float = 30.0  # Three renewals of 10 s: two may be lost before a node counts as silent.
    forget_s: float = 86_400.0  # Not in the cluster file and silent for a day: gone, or renamed.
    max_nodes: int = 100_000  # Five times the largest cluster aimed at; about 40 MiB.
    max_versions: int = 1_000_000  # All versions of all names; about 1 GiB.
    max_holdings: int = 4_000_000  # 200 files on each of 20,000 nodes; about 350 MiB.
    max_holdings_per_node: int = 100_000  # No single node may use up what all share (fault 66).
    max_handout: int = messages.MAX_HANDOUT
    considered_per_handout: int = 4  # For each handed out; a sample of 200 spares 20,000 look-ups.
    max_other_versions: int = 50  # In one answer; older ones are still found by their id.
    page_files: int = 100  # A page takes a few milliseconds, in which everybody else waits.
    page_holders: int = 1000  # Twice as many at the most: under 2 MiB, however long the names are.
    page_nodes: int = 500
