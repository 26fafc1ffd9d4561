"""A tracker and a node as targets: real processes, how much memory they take, whom they answer."""

import contextlib
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from shoal.protocol import messages
from shoal.protocol.addresses import split
from shoal.protocol.messages import ManifestRequest, Query

from tests.attacks.zmtp import Place
from tests.integration.cluster import ROOT, Cluster, cluster_in, noise
from tests.multihost.host_process import HostProcess

NODE = "n1"
FILE, FILE_BYTES = "big.bin", 16 << 20
MORE_FILES, LONG_NAME = 300, 200 * "n"  # A list of them is not short.
__all__ = ["FILE", "NODE", "ROOT", "Scene", "Target", "scene"]


@dataclasses.dataclass
class Target:
    """One process that strangers can reach; `question` is what an honest client asks it."""

    name: str
    place: Place
    process: HostProcess
    question: bytes
    before_bytes: int = 0  # What it had when it was begun to watch.

    def begin(self) -> None:
        """Begin to watch the memory."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")  # proc(5): VmHWM, from here.
        self.before_bytes = self._field_bytes("VmRSS")

    @property
    def growth_bytes(self) -> int:
        """How much more memory it had at most than when it was begun to watch."""
        return self._field_bytes("VmHWM") - self.before_bytes

    @property
    def is_alive(self) -> bool:
        return self.process.exit_code is None

    def _field_bytes(self, field: str) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
        assert match is not None, f"{self.name} has ended: {self.process}"
        return int(match[1]) << 10


@dataclasses.dataclass
class Scene:
    """What runs, and the id of the file that the node has."""

    cluster: Cluster
    content_id: str

    @property
    def targets(self) -> dict[str, Target]:
        """The tracker and the node, by their names."""
        process, cluster = self.cluster.process, self.cluster
        asked = messages.encode(Query(FILE)), messages.encode(ManifestRequest(self.content_id))
        return {
            "tracker": Target(
                "tracker", split(cluster.tracker_address), process("tracker"), asked[0]
            ),
            NODE: Target(NODE, split(cluster.addresses[NODE]), process("node", NODE), asked[1]),
        }


@contextlib.contextmanager
def scene(folder: Path, *, is_secured: bool = False) -> Iterator[Scene]:
    """Give a tracker and a node that has a file; n2 is in the cluster file, but does not run."""
    with cluster_in(folder / "cluster", nodes=(NODE, "n2")) as cluster:
        cluster.put(FILE, noise(FILE_BYTES), NODE)
        for number in range(MORE_FILES):
            cluster.put(f"{LONG_NAME}{number}", b"", NODE)
        if is_secured:
            cluster.secure()
        cluster.start(NODE)
        yield Scene(cluster, cluster.run("where", FILE, "--json").json["id"])
