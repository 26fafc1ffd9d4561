"""What a node tells the tracker: `+a=1` is held, `-a=1` is not any more, `!` nothing else is."""

from collections.abc import Iterator

import hypothesis.strategies as st
from hypothesis import given, settings
from msgspec.structs import replace
from shoal.node.serving.announcer import Announcer, confirmed
from shoal.node.serving.settings import NodeSettings
from shoal.protocol import messages
from shoal.protocol.errors import WireCode
from shoal.protocol.message import Message
from shoal.protocol.messages import Error, Holding, Leave, Ok, Renew, Told, Update

from tests.unit.node.things import rng

ADDRESS = "tcp://10.0.1.1:11000"
SETTINGS = NodeSettings(renew_s=10, renew_jitter=0.2, tracker_patience_s=1)
SOON_S = 2.0


def holding(text: str) -> Holding:
    """`a=1` is version 1 of a; `a=1~` is part of it."""
    name, _, version = text.rstrip("~").partition("=")
    return Holding(name, f"b3:{int(version):064x}", 10, complete=not text.endswith("~"))


def drawn(message: Message | None) -> str:
    match message:
        case None:
            return ""
        case Renew(holdings=count, sequence=sequence):
            assert sequence > 0
            return f"renew {count}"
        case Update():
            parts = ["!"] if message.replace else []
            parts += [f"+{_key(one)}{'' if one.complete else '~'}" for one in message.holdings]
            parts += [f"-{_key(one)}" for one in message.withdrawn]
            return " ".join(parts) or "hello"
        case _:
            return type(message).__name__.lower()


def _key(one: Holding | messages.Withdrawal) -> str:
    return f"{one.name}={int(one.id[3:], 16)}"


def tell(announcer: Announcer, before: list[Holding], now: list[Holding], at: float) -> None:
    """Tell an announcer how what is held differs from what was held before."""
    for one in now:
        announcer.added(one, at)
    kept = {(one.name, one.id) for one in now}
    for one in before:
        if (one.name, one.id) not in kept:
            announcer.removed((one.name, one.id), at)


class Scene:
    """An announcer and its clock."""

    def __init__(self, holds: str = "", *, is_all: bool = True) -> None:
        self.now = 100.0
        self.announcer = Announcer("n1", ADDRESS, 5, rng(), SETTINGS)
        self._held: list[Holding] = []
        self.hold(holds, is_all=is_all)

    def hold(self, holds: str, *, is_all: bool = True) -> None:
        self.take([holding(text) for text in holds.split()], is_all=is_all)

    def take(self, holdings: list[Holding], *, is_all: bool = True) -> None:
        """Tell the announcer how this differs from what was held before."""
        tell(self.announcer, self._held, holdings, self.now)
        self._held = holdings
        if is_all:
            self.announcer.all_known(self.now)

    def says(self) -> str:
        return drawn(self.announcer.next_message(self.now))

    def jump(self) -> str:
        """Go on to the deadline, and return what is said then."""
        deadline = self.announcer.deadline
        assert deadline is not None
        self.now = max(self.now, deadline)
        return self.says()

    def ok(self, count: int = 0) -> None:
        self.announcer.answered(Ok(lease_ms=30_000, holdings=count), self.now)

    def refused(self, code: WireCode) -> None:
        self.announcer.answered(Error(code, "no"), self.now)

    def lost(self) -> None:
        self.now += 1
        self.announcer.unanswered(self.now)


def in_step(holds: str) -> Scene:
    """Return a scene in which the tracker knows all that is held."""
    scene = Scene(holds)
    scene.says()
    scene.ok(len(holds.split()))
    assert scene.announcer.is_in_step
    return scene


def test_says_everything_at_first() -> None:
    scene = Scene("a=1 b=2~")
    assert scene.says() == "! +a=1 +b=2~"
    assert not scene.announcer.is_in_step
    scene.ok(2)
    assert scene.announcer.is_in_step


def test_says_that_it_is_there_before_the_folder_is_looked_through() -> None:
    scene = Scene("", is_all=False)
    assert scene.says() == "hello"
    scene.ok()
    scene.hold("a=1", is_all=False)
    assert scene.says() == "+a=1"
    scene.ok(7)  # What it held before its start is remembered …
    scene.hold("a=1")
    assert scene.says() == "! +a=1"  # … until this.


def test_says_one_thing_at_a_time() -> None:
    scene = Scene("a=1")
    assert scene.says() == "! +a=1"
    assert scene.announcer.deadline is None
    scene.hold("b=1")
    assert scene.says() == ""
    scene.ok(1)
    assert scene.says() == "+b=1 -a=1"


def test_then_says_only_what_changes() -> None:
    scene = in_step("a=1 b=1~")
    scene.hold("b=1 c=1")
    assert scene.says() == "+b=1 +c=1 -a=1"


def test_renews_again_when_no_answer_came() -> None:
    scene = in_step("a=1")
    assert scene.jump() == "renew 1"
    scene.lost()
    assert scene.jump() == "renew 1"


def test_a_renewal_names_the_last_update() -> None:
    announcer = Announcer("n1", ADDRESS, 7, rng(), SETTINGS)
    announcer.all_known(0.0)
    for at, name in enumerate(("a=1", "b=1")):
        announcer.added(holding(name), float(at))
        said = announcer.next_message(float(at))
        assert isinstance(said, Update)
        announcer.answered(Ok(30_000, at + 1), float(at))
        renewal = announcer.next_message(at + 100.0)
        assert isinstance(renewal, Renew)
        assert (renewal.holdings, renewal.sequence) == (at + 1, said.sequence)
        announcer.answered(Ok(30_000, at + 1), at + 100.0)


def test_renews_with_jitter() -> None:
    scene = in_step("a=1")
    gaps = []
    for _ in range(50):
        before = scene.now
        assert scene.jump() == "renew 1"
        gaps.append(scene.now - before)
        scene.ok(1)
    assert 8 <= min(gaps) < 9
    assert 11 < max(gaps) <= 12


def test_news_that_come_while_a_renewal_is_out_are_told_right_after_it() -> None:
    scene = in_step("a=1")
    assert scene.jump() == "renew 1"
    scene.hold("a=1 b=1")
    scene.ok(1)
    assert scene.says() == "+b=1"


def test_says_the_same_again_when_no_answer_comes_less_and_less_often() -> None:
    scene = Scene("a=1")
    pauses = []
    for _ in range(8):
        assert scene.jump() == "! +a=1"
        scene.lost()
        assert scene.announcer.deadline is not None
        pauses.append(scene.announcer.deadline - scene.now)
    assert 1 <= pauses[0] <= 1.5
    assert 2 <= pauses[1] <= 3
    assert 10 <= pauses[-1] <= 15


def test_takes_back_what_was_said_when_the_answer_was_lost() -> None:
    """The tracker may have heard it: the count alone would not show two such errors."""
    scene = in_step("a=1")
    scene.hold("b=1")
    assert scene.says() == "+b=1 -a=1"
    scene.lost()
    scene.hold("a=1")
    assert scene.jump() == "+a=1 -b=1"


def test_says_all_again_when_the_tracker_has_forgotten_it() -> None:
    scene = in_step("a=1 b=1")
    assert scene.jump() == "renew 2"
    scene.refused(WireCode.NOT_FOUND)
    assert scene.says() == "! +a=1 +b=1"


def test_says_all_again_when_the_tracker_knows_of_another_number() -> None:
    scene = in_step("a=1 b=1")
    assert scene.jump() == "renew 2"
    scene.ok(1)
    assert scene.says() == "! +a=1 +b=1"


def test_goes_on_trying_in_peace_when_it_is_refused() -> None:
    scene = Scene("a=1")
    scene.says()
    scene.refused(WireCode.CONFLICT)
    assert scene.announcer.trouble == "no"
    scene.hold("b=1")
    assert scene.says() == ""
    before = scene.now
    assert scene.jump() == "! +b=1"
    assert scene.now - before >= 8
    scene.ok(1)
    assert scene.announcer.trouble is None


def test_an_answer_to_nothing_does_no_harm() -> None:
    scene = in_step("a=1")
    scene.ok(9)
    assert scene.announcer.is_in_step


def test_says_goodbye_if_it_may_be_known() -> None:
    scene = Scene("a=1")
    assert scene.announcer.farewell() is None
    scene.announcer.next_message(scene.now)  # Its answer is still out.
    assert scene.announcer.farewell() == in_step("a=1").announcer.farewell() == Leave("n1", 5)


def test_many_holdings_are_told_in_messages_that_may_be_sent() -> None:
    names = [f"{number:04}" + "x" * 250 + "/" + "y" * 250 for number in range(1200)]
    scene = Scene(" ".join(f"{name}=1" for name in names))
    told: list[str] = []
    while not scene.announcer.is_in_step:
        message = scene.announcer.next_message(scene.now)
        assert isinstance(message, Update)
        assert message.replace == (not told)
        assert len(messages.encode(message)) <= messages.MAX_REQUEST_BYTES
        messages.decode(messages.encode(message), messages.TrackerRequest)
        told += [one.name for one in message.holdings]
        scene.ok(len(told))
    assert told == names


def claimed(text: str) -> Holding:
    one = holding(text)
    return Holding(one.name, one.id, one.size_bytes, version=1, publisher="n1", claims=True)


def told(text: str, version: int, publisher: str, *, taken: bool = True) -> Told:
    one = holding(text)
    return Told(one.name, one.id, version, publisher, taken)


class Claims(Scene):
    """An announcer that claims to publish a=1 and b=1, and has said so."""

    def __init__(self) -> None:
        super().__init__()
        self.claims = [claimed("a=1"), claimed("b=1")]
        self.take(self.claims)
        assert self.says() == "! +a=1 +b=1"

    def answered(self, count: int, *answers: Told) -> list[Told]:
        self.announcer.answered(Ok(30_000, count, answers), self.now)
        return self.announcer.taken_told()


def test_a_claim_that_is_taken_without_a_word_is_confirmed() -> None:
    scene = Claims()
    assert scene.answered(2) == [told("a=1", 1, "n1"), told("b=1", 1, "n1")]
    assert scene.announcer.taken_told() == []
    scene.take([confirmed(one, told("a=1", 1, "n1")) for one in scene.claims])
    assert scene.announcer.is_in_step
    assert scene.jump() == "renew 2"


def test_what_the_tracker_says_of_a_claim_is_believed() -> None:
    scene = Claims()
    assert scene.answered(2, told("b=1", 3, "n2")) == [told("a=1", 1, "n1"), told("b=1", 3, "n2")]
    assert scene.announcer.is_in_step
    scene.announcer.answered(Error(WireCode.NOT_FOUND, "who?"), scene.now)
    said = scene.announcer.next_message(scene.now + 20)
    assert isinstance(said, Update)
    titles = [(one.version, one.publisher, one.claims) for one in said.holdings]
    assert titles == [(1, "n1", False), (3, "n2", False)]  # As it was told, from now on.


def test_a_claim_that_is_refused_is_not_held_nor_said_again() -> None:
    scene = Claims()
    refused = told("b=1", 3, "n2", taken=False)
    assert scene.answered(1, refused) == [told("a=1", 1, "n1"), refused]
    assert scene.announcer.is_in_step
    assert scene.jump() == "renew 1"
    scene.ok(1)
    assert scene.jump() == "renew 1"


def test_a_claim_that_was_taken_may_turn_out_to_be_late() -> None:
    """Another tracker took a rival's claim before."""
    scene = Claims()
    scene.answered(2)
    late = [told(key, 1, "n7", taken=False) for key in ("a=1", "b=1", "other=1")]
    scene.jump()
    scene.announcer.answered(Ok(30_000, 1, (late[0], late[2])), scene.now)
    assert scene.announcer.taken_told() == late[:1]
    assert scene.jump() == "renew 1"
    scene.ok(1)
    scene.announcer.added(holding("d=4"), scene.now)
    assert scene.says() == "+d=4"
    scene.announcer.answered(Ok(30_000, 1, (late[1],)), scene.now)
    assert scene.announcer.taken_told() == late[1:2]
    assert scene.jump() == "renew 1"


def test_a_claim_whose_answer_is_lost_is_made_again() -> None:
    scene = Claims()
    scene.lost()
    assert scene.announcer.taken_told() == []
    assert scene.jump() == "! +a=1 +b=1"
    assert len(scene.answered(2)) == 2


@given(st.integers(1, 3000))
@settings(max_examples=20)
def test_never_says_more_than_may_be_said_at_once(count: int) -> None:
    scene = Scene(" ".join(f"{number}=1" for number in range(count)))
    message = scene.announcer.next_message(scene.now)
    assert isinstance(message, Update)
    assert len(message.holdings) == min(count, messages.MAX_UPDATE_HOLDINGS)


class Untouched(dict[tuple[str, str], Holding | None]):
    """What must not be gone through."""

    def __iter__(self) -> Iterator[tuple[str, str]]:
        raise AssertionError

    def __eq__(self, _: object) -> bool:
        raise AssertionError

    __hash__ = None
    items = keys = values = __iter__  # type: ignore[assignment]


def test_a_change_costs_what_changes_and_not_what_there_is() -> None:
    scene = in_step("a=1 b=1 c=1")
    announcer = scene.announcer
    announcer._wanted = Untouched(announcer._wanted)  # type: ignore[assignment]
    announcer._announced = Untouched(announcer._announced)
    announcer.added(holding("d=1"), scene.now)
    announcer.removed(("b", holding("b=1").id), scene.now)
    assert scene.says() == "+d=1 -b=1"
    scene.lost()
    assert scene.jump() == "+d=1 -b=1"
    scene.ok(3)
    announcer.removed(("b", holding("b=1").id), scene.now)  # It is not held.
    assert scene.jump() == "renew 3"


def test_what_changes_while_its_update_is_out_is_said_again() -> None:
    scene = Scene("a=1")
    assert scene.says() == "! +a=1"
    scene.hold("a=1~")
    scene.ok(1)
    assert scene.says() == "+a=1~"
    scene.hold("")
    scene.ok(1)
    assert scene.says() == "-a=1"
    scene.hold("a=1")
    scene.ok(0)
    assert scene.says() == "+a=1"


def test_a_claim_made_anew_while_it_is_refused_is_said_again() -> None:
    scene = Claims()
    over = replace(scene.claims[0], version=4)
    scene.announcer.added(over, scene.now)
    scene.answered(1, told("a=1", 3, "n2", taken=False))
    said = scene.announcer.next_message(scene.now)
    assert isinstance(said, Update)
    assert said.holdings == (over,)
