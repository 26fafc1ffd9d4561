"""Whose request is answered next."""

import collections

import pytest
from shoal.node.serving.pacing import Pacing
from shoal.node.serving.steps import RequestArrived, Source
from shoal.node.serving.waiting import MOST_BYTES, MOST_REQUESTS, Waiting
from shoal.protocol.manifest import ContentId
from shoal.protocol.messages import ChunkRequest, ManifestRequest

ID = ContentId(f"b3:{1:064x}")
TURNS = 600


class Scene:
    """A link that is always free, and askers of whom each always has two requests waiting."""

    def __init__(self, *askers: str) -> None:
        """`askers` are `address/node`, each with a connection of its own."""
        self.pacing = Pacing()
        self.waiting = Waiting(self.pacing)
        self.count = 0
        self.sources = [
            (Source(address, number), node)
            for number, (address, node) in enumerate(each.split("/") for each in askers)
        ]

    def ask(self, source: Source, node: str, size_bytes: int = 100) -> Source | None:
        self.count += 1
        request = ChunkRequest(ID, 0, node)
        return self.waiting.put(RequestArrived(self.count, source, request, size_bytes))

    def shares(self) -> dict[str, float]:
        """Return what share each node of each host gets."""
        names = dict(self.sources)
        for source, node in self.sources * 2:
            self.ask(source, node)
        counts: collections.Counter[str] = collections.Counter()
        for _ in range(TURNS):
            arrived = self.waiting.take(0.0, 0)
            assert arrived is not None
            self.waiting.charge(arrived, 1000)
            counts[f"{arrived.source.address}/{names[arrived.source]}"] += 1
            self.ask(arrived.source, names[arrived.source])
        return {asker: count / TURNS for asker, count in counts.items()}


def about(share: float) -> object:
    return pytest.approx(share, rel=0.1)


@pytest.mark.parametrize("address", ["10.0.0.1", "10.0.0.2"])
def test_many_connections_get_no_more_than_one(address: str) -> None:
    shares = Scene(*["10.0.0.1/greedy"] * 15, f"{address}/modest").shares()
    assert shares == {"10.0.0.1/greedy": about(0.5), f"{address}/modest": about(0.5)}


def test_many_names_of_one_host_get_no_more_than_another_host() -> None:
    """An address cannot be made up, a name can."""
    shares = Scene(*(f"10.0.0.1/n{number}" for number in range(15)), "10.0.0.2/modest").shares()
    assert shares.pop("10.0.0.2/modest") == about(0.5)


def test_a_host_s_share_is_shared_by_its_nodes() -> None:
    shares = Scene(*["10.0.0.1/n1"] * 6, "10.0.0.1/n2", "10.0.0.2/n3").shares()
    assert shares == {
        "10.0.0.1/n1": about(0.25),
        "10.0.0.1/n2": about(0.25),
        "10.0.0.2/n3": about(0.5),
    }


def test_a_connection_is_its_first_node_s() -> None:
    scene = Scene()
    source = Source("10.0.0.1", 1)
    for number in range(10):
        scene.ask(source, f"n{number}")
    assert len(scene.waiting._askers) == 1
    assert scene.waiting.take(0.0, 0) is not None


def test_who_asks_for_too_much_at_a_time_must_go() -> None:
    scene = Scene()
    source = Source("10.0.0.1", 1)
    assert [scene.ask(source, "n1") for _ in range(MOST_REQUESTS)] == [None] * MOST_REQUESTS
    assert scene.ask(source, "n1") == source
    scene.waiting.drop(source)
    assert len(scene.waiting) == 0
    assert scene.ask(source, "n1") is None


def test_who_takes_most_memory_of_all_must_go() -> None:
    scene = Scene()
    large, small = Source("10.0.0.1", 1), Source("10.0.0.2", 1)
    assert scene.ask(small, "n1", MOST_BYTES // 3) is None
    assert scene.ask(large, "n2", MOST_BYTES // 3) is None
    assert scene.ask(large, "n2", MOST_BYTES // 4) is None
    assert scene.ask(small, "n1", MOST_BYTES // 8) == large


def test_known_askers_count_as_well() -> None:
    scene = Scene()
    known, new = Source("10.0.0.1", 1), Source("10.0.0.2", 1)
    scene.pacing.queued(1, known, 1 << 20, 0.0)
    scene.pacing.left(1, 0.001)
    assert scene.ask(known, "n1", MOST_BYTES // 2) is None
    assert scene.ask(new, "n1", 1 + MOST_BYTES // 2) == new
    scene.waiting.drop(new)
    assert scene.ask(known, "n1", 1 + MOST_BYTES // 2) == known


def test_one_who_does_not_read_is_held_back_until_it_does() -> None:
    scene = Scene()
    lazy, other = Source("10.0.0.1", 1), Source("10.0.0.1", 2)
    scene.pacing.queued(99, lazy, 1 << 20, 0.0)
    scene.ask(lazy, "n1")
    scene.ask(lazy, "n1")
    scene.ask(other, "n2")
    taken = scene.waiting.take(9.0, 0)
    assert taken is not None
    assert taken.source == other
    assert scene.waiting.take(9.0, 0) is None
    assert len(scene.waiting) == 0
    scene.waiting.has_read(scene.pacing.left(99, 9.0))
    both = [scene.waiting.take(9.0, 0), scene.waiting.take(9.0, 0)]
    assert [one and one.number for one in both] == [1, 2]
    scene.waiting.has_read(Source("nobody", 1))


def test_a_request_for_a_manifest_names_no_node() -> None:
    scene = Scene()
    arrived = RequestArrived(1, Source("10.0.0.1", 1), ManifestRequest("a.bin"))
    assert scene.waiting.put(arrived) is None
    assert scene.waiting.take(0.0, 0) is arrived
    scene.waiting.charge(arrived, 5)
    scene.waiting.drop(arrived.source)
    scene.waiting.drop(arrived.source)
    scene.waiting.charge(arrived, 5)
