"""The fetch of a tree: its listing first, then what is wanted of its files."""

from blake3 import blake3
from shoal.node.fetching import steps
from shoal.protocol import bitmap, manifest
from shoal.protocol.errors import ExitCode
from shoal.protocol.messages import Holders

from tests.unit.node.fetching.test_download import Scene
from tests.unit.node.fetching.test_roster import holders
from tests.unit.node.things import chunk, id_of

SIZES = [10] * 6
TREE = manifest.of_tree(
    20, SIZES, b"".join(blake3(chunk(index)).digest() for index in range(len(SIZES)))
)
LISTING, EVERYTHING = 0b000011, 0b111111


class TreeScene(Scene):
    """A download of the tree `photos`, whose first two chunks are its listing."""

    def begin_tree(self, have: int = 0) -> str:
        self.wait()
        answer = Holders("photos", id_of(TREE), 40, holders("n1"), ())
        self.feed(steps.HoldersFound(answer))
        self.send_manifest("n1", manifest.encode(TREE))
        return self.feed(steps.StagingOpened(have, LISTING, is_all=False))

    def send_any(self, index: int) -> str:
        """Send chunk `index` in answer to the request that offered it."""
        for at, request in enumerate(self.asked["n1"]):
            if isinstance(request, steps.RequestChunk) and index in request.offered:
                del self.asked["n1"][at]
                digest = TREE.digest(index)
                event = steps.ChunkReceived("n1", request.request_id, index, 10, digest, b"")
                return self.feed(event)
        raise AssertionError(f"{index} was not asked for")

    def offered(self) -> set[int]:
        asked = self.asked.get("n1", ())
        chunks = (one for one in asked if isinstance(one, steps.RequestChunk))
        return {index for one in chunks for index in one.offered}


def test_asks_for_the_listing_first_and_then_for_all_files() -> None:
    scene = TreeScene("photos")
    scene.begin_tree()
    assert scene.offered() == {0}
    scene.send_any(0)
    assert scene.offered() == {1}
    assert scene.send_any(1) == "store 1; layout"
    assert scene.wait(1) == ""  # Nothing is to be done before the disk has answered.
    scene.feed(steps.StagingOpened(LISTING, EVERYTHING))
    for index in (2, 3, 4):
        assert scene.send_any(index).startswith(f"store {index}")
    assert scene.send_any(5) == "store 5; publish"
    assert scene.feed(steps.Published("/n1/photos")) == "finish"
    tally = scene.download.tally
    assert (tally.fetched_bytes, tally.reused_bytes, tally.needed_bytes) == (60, 0, 60)


def test_asks_only_for_what_is_wanted_of_it() -> None:
    scene = TreeScene("photos")
    scene.begin_tree()
    scene.send_any(0)
    scene.send_any(1)
    scene.feed(steps.StagingOpened(LISTING, bitmap.of([0, 1, 3])))
    assert scene.offered() == {3}
    assert scene.send_any(3) == "store 3; publish"
    assert scene.download.tally.needed_bytes == 30


def test_what_was_there_before_is_counted_as_such() -> None:
    scene = TreeScene("photos")
    assert scene.begin_tree(have=LISTING) == "layout"
    scene.feed(steps.StagingOpened(0b011111, EVERYTHING))
    assert scene.send_any(5) == "store 5; publish"
    tally = scene.download.tally
    assert (tally.fetched_bytes, tally.reused_bytes) == (10, 50)


def test_a_reply_that_comes_between_is_too_late() -> None:
    scene = TreeScene("photos")
    scene.begin_tree()
    request_id = scene.asked["n1"][0].request_id
    scene.send_any(0)
    scene.send_any(1)
    again = steps.ChunkReceived("n1", request_id, 0, 10, TREE.digest(0), b"")
    assert scene.feed(again) == ""
    assert scene.download.tally.late_replies == 1
    assert scene.download.tally.duplicate_bytes == 10


def test_a_listing_that_is_none_ends_it() -> None:
    scene = TreeScene("photos")
    scene.begin_tree(have=LISTING)
    assert scene.feed(steps.ListingRefused("the listing has two roots")) == "fail INTEGRITY"
    (fail,) = scene.wants
    assert isinstance(fail, steps.Fail)
    assert "two roots; have whoever shared it share it again" in fail.message
    assert fail.exit_code is ExitCode.INTEGRITY


def test_a_disk_without_room_for_the_files_ends_it() -> None:
    scene = TreeScene("photos")
    scene.begin_tree(have=LISTING)
    assert scene.feed(steps.DiskFailed("full")) == "fail DISK"
