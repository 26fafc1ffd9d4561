"""What somebody who captures all traffic of a fetch can read of it."""

from pathlib import Path
from typing import NamedTuple

from tests.integration.cluster import cluster_in, noise
from tests.integration.test_keys import Capture

NAME, SIZE_BYTES = "a-telling-name.bin", 400_000
NODES = ("telling-one", "telling-two")
RUN_BYTES = 16  # Of the content: so long a run is not there by chance.


class Seen(NamedTuple):
    """How much was captured, and what was found in it: names, and runs of the content."""

    captured_bytes: int
    names: list[str]
    runs: int

    def __str__(self) -> str:
        return (
            f"{self.captured_bytes} bytes captured; names in it: {self.names or 'none'}; "
            f"runs of {RUN_BYTES} bytes of the content: {self.runs}"
        )


def capture(folder: Path, *, is_secured: bool) -> Seen:
    """Fetch a file from one node to another, and look through all that went over the network."""
    content = noise(SIZE_BYTES)
    with cluster_in(folder / "lab", nodes=NODES) as lab:
        lab.put(NAME, content, NODES[0])
        if is_secured:
            lab.secure()
        places = (lab.tracker_address, *lab.addresses.values())
        with Capture({int(one.rpartition(":")[2]) for one in places}) as taken:
            lab.start(NODES[0])
            assert lab.fetch(NAME, node=NODES[1]).exit_code == 0
            assert lab.run("ls").exit_code == 0
    names = [name for name in (NAME, *NODES) if name.encode() in taken.data]
    return Seen(len(taken.data), names, len(_runs(content) & _runs(taken.data)))


def _runs(data: bytes) -> set[bytes]:
    return {data[at : at + RUN_BYTES] for at in range(len(data) - RUN_BYTES + 1)}
