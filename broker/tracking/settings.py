"""The tracker's limits, each with its reason. Has nothing to do with the cluster file."""

from dataclasses import dataclass

from shoal.protocol import messages


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """How large the tracker's state may grow, and how much of it one answer contains."""

    lease_s: float = 30.0  # Three renewals of 10 s: two may be lost before a node counts as silent.
    forget_s: float = (
        86_400.0  # A node outside the cluster file that is silent for a day is gone, or renamed.
    )
    max_nodes: int = 100_000  # Five times the largest cluster that is supported; about 40 MiB.
    max_versions: int = 1_000_000  # All versions of all names; about 1 GiB.
    max_holdings: int = 4_000_000  # 200 files on each of 20,000 nodes; about 350 MiB.
    max_holdings_per_node: int = 100_000  # So that no single node uses up what all share.
    bytes_per_name: int = 320  # With its id, on average: of 1,000,000 names of 4 KiB, 70,000 fit.
    max_strangers_per_host: int = 64  # Nodes that the cluster file does not have.
    max_handout: int = messages.MAX_HANDOUT
    considered_per_handout: int = (
        4  # Per place in the answer: a sample of 200 saves 20,000 look-ups.
    )
    max_other_versions: int = 50  # In one answer; older ones can still be found by id.
    page_files: int = 100  # A page takes a few milliseconds, during which everybody else waits.
    page_holders: int = 1000  # At most twice as many: under 2 MiB, however long the names are.
    page_nodes: int = 500
    page_looks: int = 100_000  # At nodes, in a page of the pushes: some 10 ms.
    max_wishes: int = 1000  # Pushes that are kept.
