"""One fetch from its name to its end, of a file and of a tree."""

from blake3 import blake3
from shoal.node.fetching import steps
from shoal.protocol import bitmap, manifest
from shoal.protocol.errors import DiskError, IntegrityError, WireCode
from shoal.protocol.messages import Holders

from tests.unit.node.fetching.scene import DATA, ID, THING, Scene
from tests.unit.node.fetching.test_roster import holders
from tests.unit.node.things import chunk, digits, id_of, thing


def test_a_fetch_from_its_name_to_its_end() -> None:
    scene = Scene()
    assert scene.wait() == "query a.bin"
    assert scene.found("n1 n2") == "connect n1; connect n2; n1:manifest"
    assert scene.send_manifest("n1") == "openstaging"
    assert scene.feed(steps.StagingOpened(0, 0b1111)) == "n1:0; n2:1"
    assert scene.send("n1") == "store 0; n1:2; n1:3"
    assert scene.send("n2") == "store 1"
    assert scene.send("n1") == "store 2"
    assert scene.send("n1") == "store 3; publish"
    assert scene.feed(steps.Published("/f/a.bin")) == "finish"
    assert scene.wait(100) == ""
    assert scene.download.tally.by_holder == {"n1": 30, "n2": 10}
    assert scene.download.tally.have_bytes == 40


def test_asks_only_for_what_is_not_on_the_disk_already() -> None:
    scene = Scene()
    assert scene.begin("n1", have=0b1101) == "n1:1"
    assert scene.download.tally.reused_bytes == 30
    assert scene.send("n1") == "store 1; publish"


def test_what_somebody_reads_comes_first() -> None:
    scene = Scene()
    assert scene.begin("n1") == "n1:0"
    assert scene.feed(steps.ChunksUrged(((3, 4),))) == ""
    assert scene.send("n1") == "store 0; n1:3; n1:1"


def test_what_somebody_waits_for_before_there_is_room_comes_first_too() -> None:
    scene = Scene()
    scene.feed(steps.ChunksUrged(((2, 4),)))
    assert scene.begin("n1") == "n1:2"


def test_publishes_at_once_what_is_all_there() -> None:
    assert Scene().begin("n1", have=0b1111) == "publish"


def test_fetches_by_id() -> None:
    scene = Scene(ID)
    assert scene.wait() == "query ID"
    assert scene.found("n1") == "connect n1; n1:manifest"
    assert (scene.download.name, scene.download.id) == ("a.bin", ID)


def test_takes_the_id_from_the_manifest_when_the_tracker_has_none() -> None:
    scene = Scene()
    scene.wait()
    scene.found("n1", content_id=None)
    assert scene.send_manifest("n1") == "openstaging"
    assert scene.download.id == ID


def test_fails_when_nobody_has_it() -> None:
    scene = Scene()
    scene.wait()
    assert scene.feed(steps.NotFound()) == "fail not_found"
    assert scene.download.deadline(scene.now) is None


def test_fails_when_the_tracker_cannot_be_reached() -> None:
    """However long that takes to find out: nobody else is to blame."""
    scene = Scene()
    scene.wait()
    assert scene.wait(2.99) == scene.wait(0.02) == scene.wait(1) == ""
    assert scene.feed(steps.TrackerLost("it does not answer")) == "fail tracker"


def test_fails_when_the_tracker_refuses_at_first() -> None:
    refused = steps.TrackerLost("it does not accept our key", is_refusal=True)
    assert Scene().feed(refused) == "fail not_allowed"


def test_goes_on_without_the_tracker_once_holders_are_known() -> None:
    scene = Scene()
    scene.begin("n1")
    assert scene.wait(3) == "query again ID"
    assert scene.feed(steps.TrackerLost("it does not answer")) == ""
    assert scene.wait(3) == "query again ID"
    assert scene.feed(steps.NotFound()) == ""
    assert scene.send("n1").startswith("store 0")


def test_waits_a_moment_for_nodes_that_are_starting() -> None:
    scene = Scene()
    scene.wait()
    scene.now = 2.9  # So long took the tracker's answer.
    assert scene.found("", offline="n1") == ""
    assert scene.jump() == "query a.bin"
    assert scene.found("n1").startswith("connect n1")


def test_fails_when_everybody_stays_offline() -> None:
    scene = Scene()
    scene.wait()
    scene.found("", offline="n1")
    told = ""
    while "fail" not in told:
        told = scene.jump()
        if "query" in told:
            told = scene.found("", offline="n1")
    assert told == "fail nobody_alive"
    assert scene.now == 3
    (fail,) = scene.wants
    assert isinstance(fail, steps.Fail)
    assert "offline: n1" in fail.message


def test_uses_a_holder_that_appears_meanwhile() -> None:
    scene = Scene()
    scene.begin("n1")
    assert scene.wait(3) == "query again ID"
    assert scene.found("n1 n2") == "connect n2; n2:1"


def test_another_version_s_holders_are_not_asked() -> None:
    scene = Scene()
    scene.begin("n1")
    scene.wait(3)
    assert scene.found("n2", content_id=id_of(thing([9]))) == ""


def test_asks_the_next_for_the_manifest_when_one_takes_long() -> None:
    scene = Scene()
    scene.wait()
    scene.found("n1 n2")
    assert scene.jump() == "n2:manifest"
    assert scene.send_manifest("n2") == "openstaging"


def test_does_not_spin_while_it_waits_for_the_second_manifest() -> None:
    scene = Scene()
    scene.wait()
    scene.found("n1 n2")
    assert scene.jump() == "n2:manifest"
    assert scene.now == 0.1
    assert scene.jump() == ""
    assert scene.jump() == "query again ID"
    assert scene.now == 3


def test_takes_a_manifest_that_comes_after_the_next_was_asked() -> None:
    scene = Scene()
    scene.wait()
    scene.found("n1 n2")
    scene.jump()
    assert scene.send_manifest("n1") == "openstaging"
    assert scene.send_manifest("n2") == ""
    assert scene.download.tally.late_replies == 1


def test_a_reply_under_a_wrong_id_does_not_end_the_question() -> None:
    """Otherwise it would be asked again at once, and again, and nobody else would be."""
    scene = Scene()
    scene.wait()
    scene.found("n1 n2")
    wrong = scene.asked["n1"][0].request_id + 1
    assert scene.feed(steps.ManifestReceived("n1", wrong, DATA)) == ""
    assert scene.jump() == "n2:manifest"


def test_a_false_manifest_is_a_lie() -> None:
    scene = Scene()
    scene.wait()
    scene.found("n1 n2")
    another = manifest.encode(thing([9]))
    assert scene.send_manifest("n1", another) == "leave n1; n2:manifest"
    assert scene.wait(100).count("n1") == 0


def test_one_that_refuses_the_manifest_is_tried_again_later() -> None:
    scene = Scene()
    scene.wait()
    scene.found("n1")
    assert scene.refuse("n1") == "leave n1"
    assert scene.jump() == "connect n1; n1:manifest"


def test_what_answers_with_a_chunk_to_the_question_for_the_manifest_is_left() -> None:
    scene = Scene()
    scene.wait()
    scene.found("n1 n2")
    event = steps.ChunkReceived("n1", scene.request_id("n1"), 0, 10, THING.digest(0), b"")
    assert scene.feed(event) == "leave n1; n2:manifest"


def test_a_lost_holder_is_tried_again() -> None:
    scene = Scene()
    scene.begin("n1 n2")
    assert scene.feed(steps.HolderLost("n1", "closed the connection")) == "leave n1"
    assert scene.feed(steps.HolderLost("n1", "closed the connection")) == ""
    assert scene.jump() == "connect n1; n1:0"
    assert scene.download.tally.lost_holders == 1


def test_one_that_speaks_nonsense_is_left_for_good() -> None:
    scene = Scene()
    scene.begin("n1 n2")
    assert scene.feed(steps.HolderLost("n1", "sent what is no message", lied=True)) == "leave n1"
    assert "n1" not in scene.wait(100)


def test_leaves_a_silent_holder_and_comes_back_to_it() -> None:
    scene = Scene()
    scene.begin("n1")
    told: list[str] = []
    while "connect n1" not in "".join(told):
        told.append(scene.jump())
        if "query" in told[-1]:
            scene.found("n1")
    assert scene.now == 60.3
    assert "leave n1" in "".join(told)


def test_fails_when_all_holders_are_gone() -> None:
    scene = Scene()
    scene.begin("n1")
    told = scene.feed(steps.HolderLost("n1", "closed the connection"))
    while "fail" not in told:
        told = scene.jump()
        if "query" in told and "fail" not in told:
            told = scene.found("n1")
        if "connect" in told:
            scene.now += 0.1
            told = scene.feed(steps.HolderLost("n1", "cannot be reached"))
    assert told.endswith("fail nobody_alive")
    assert scene.now < 40


def test_fails_when_everybody_is_busy_for_ever() -> None:
    scene = Scene()
    told = scene.begin("n1")
    while "fail" not in told:
        told = scene.refuse("n1", WireCode.BUSY) if "n1:" in told else scene.jump()
        if "query" in told:
            scene.feed(steps.TrackerLost("it does not answer"))
    assert told.endswith("fail timed_out")
    assert scene.now == 600


def test_fails_when_the_disk_does() -> None:
    scene = Scene()
    scene.begin("n1")
    assert scene.feed(steps.DiskFailed("the disk is full")) == "fail disk"
    assert scene.wants == [steps.Fail(DiskError, "the disk is full")]
    assert scene.send("n1") == ""


def test_stores_each_chunk_once() -> None:
    scene = Scene()
    scene.begin("n1 n2")
    request = scene.asked["n1"][0]
    scene.send("n1")
    digest = THING.digest(0)
    twice = steps.ChunkReceived("n1", request.request_id, 0, 10, digest, b"")
    assert scene.feed(twice) == ""
    assert scene.download.tally.duplicate_bytes == 10


def test_says_what_it_has_with_each_request() -> None:
    scene = Scene()
    scene.begin("n1~", have=0b0001)
    assert [action.have for action in scene.wants if isinstance(action, steps.RequestChunk)] == [
        b"\x01"
    ]
    scene.send("n1")
    requests = [action for action in scene.wants if isinstance(action, steps.RequestChunk)]
    assert [digits(int.from_bytes(request.have, "little")) for request in requests] == ["02", "02"]


def test_a_chunk_that_comes_before_any_was_asked_for_is_dropped() -> None:
    scene = Scene()
    scene.wait()
    scene.found("n2")
    event = steps.ChunkReceived("n2", 12345, 0, 10, THING.digest(0), b"")
    assert scene.feed(event) == ""
    assert scene.download.tally.late_replies == 1


# A tree: its listing first, then what is wanted of its files.

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
        """Send chunk `index` in answer to the request for it."""
        for at, request in enumerate(self.asked["n1"]):
            if isinstance(request, steps.RequestChunk) and index == request.index:
                del self.asked["n1"][at]
                digest = TREE.digest(index)
                event = steps.ChunkReceived("n1", request.request_id, index, 10, digest, b"")
                return self.feed(event)
        raise AssertionError(f"{index} was not asked for")

    def asked_for(self) -> set[int]:
        asked = self.asked.get("n1", ())
        chunks = (one for one in asked if isinstance(one, steps.RequestChunk))
        return {one.index for one in chunks}


def test_asks_for_the_listing_first_and_then_for_all_files() -> None:
    scene = TreeScene("photos")
    scene.begin_tree()
    assert scene.asked_for() == {0}
    scene.send_any(0)
    assert scene.asked_for() == {1}
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
    assert scene.asked_for() == {3}
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
    assert scene.feed(steps.ListingRefused("the listing has two roots")) == "fail integrity"
    (fail,) = scene.wants
    assert isinstance(fail, steps.Fail)
    assert "two roots; share it again on the node it came from" in fail.message
    assert fail.kind is IntegrityError


def test_a_disk_without_room_for_the_files_ends_it() -> None:
    scene = TreeScene("photos")
    scene.begin_tree(have=LISTING)
    assert scene.feed(steps.DiskFailed("full")) == "fail disk"


def test_what_has_rotted_by_the_end_is_fetched_again() -> None:
    scene = Scene()
    assert scene.begin("n1", have=0b1111) == "publish"
    assert scene.feed(steps.StagingOpened(0b1101, 0b1111)) == "n1:1"
    assert scene.send("n1") == "store 1; publish"
