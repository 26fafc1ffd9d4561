"""What a node tells a tracker that loses and forgets: in the end the tracker knows the truth."""

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from shoal.node.serving.announcer import Announcer
from shoal.protocol.errors import WireCode
from shoal.protocol.message import Message
from shoal.protocol.messages import Error, Holding, Ok, Renew, Update

from tests.unit.node.serving.test_announcer import ADDRESS, SETTINGS, SOON_S, holding, tell
from tests.unit.node.things import rng

TEXTS = ["a=1", "a=2", "b=1", "b=1~", "c=3"]


class ForgetfulTracker(RuleBasedStateMachine):
    """A tracker that loses messages and answers, forgets, and takes off its lists what it likes.

    After a loss of power it may know what it knew some updates ago.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.announcer = Announcer("n1", ADDRESS, 5, rng(), SETTINGS)
        self.truth: list[Holding] = []
        self.known: dict[tuple[str, str], Holding] | None = None
        self.sequence = 0
        self.saved: list[tuple[int, dict[tuple[str, str], Holding]]] = []
        self.out: Message | None = None

    @rule(texts=st.lists(st.sampled_from(TEXTS), unique_by=lambda text: text.rstrip("~")))
    def change(self, texts: list[str]) -> None:
        before, self.truth = self.truth, list(map(holding, texts))
        tell(self.announcer, before, self.truth, self.now)

    @rule()
    def look_through_the_folder(self) -> None:
        self.announcer.all_known(self.now)

    @rule(seconds=st.sampled_from([0.0, 0.5, 3.0, 15.0]))
    def speak(self, seconds: float) -> None:
        self.now += seconds
        if self.out is None:
            self.out = self.announcer.next_message(self.now)

    @precondition(lambda self: self.out is not None)
    @rule(is_heard=st.booleans(), is_answered=st.booleans())
    def answer(self, is_heard: bool, is_answered: bool) -> None:  # noqa: FBT001 (drawn)
        said, self.out = self.out, None
        assert said is not None
        reply = self.hear(said) if is_heard else None
        if reply is None or not is_answered:
            self.now += 1
            self.announcer.unanswered(self.now)
        else:
            self.announcer.answered(reply, self.now)

    @rule()
    def forget_all(self) -> None:
        self.known = None

    @precondition(lambda self: self.saved)
    @rule(count=st.integers(1, 3))
    def lose_the_last_updates(self, count: int) -> None:
        del self.saved[len(self.saved) - min(count, len(self.saved) - 1) :]
        self.sequence, self.known = self.saved[-1][0], dict(self.saved[-1][1])

    @precondition(lambda self: self.known)
    @rule()
    def forget_one(self) -> None:
        assert self.known
        self.known.popitem()

    def hear(self, said: Message) -> Message:
        match said:
            case Update() if self.known is None or said.sequence > self.sequence:
                self.sequence = said.sequence
                self.known = {} if said.replace or self.known is None else self.known
                for gone in said.withdrawn:
                    self.known.pop((gone.name, gone.id), None)
                self.known |= {(one.name, one.id): one for one in said.holdings}
                self.saved.append((self.sequence, dict(self.known)))
            case Renew() if self.known is None or said.sequence > self.sequence:
                return Error(WireCode.NOT_FOUND, "who?")
            case _:
                pass
        assert self.known is not None
        return Ok(lease_ms=30_000, holdings=len(self.known))

    @invariant()
    def has_a_deadline_unless_it_waits(self) -> None:
        assert (self.announcer.deadline is None) == (self.out is not None)

    def teardown(self) -> None:
        """From now on all goes well: within two renewals the tracker knows the truth."""
        self.look_through_the_folder()
        until = self.now + 2 * 12 + SOON_S
        while self.now < until:
            if self.out is not None:
                self.answer(is_heard=True, is_answered=True)
            deadline = self.announcer.deadline
            assert deadline is not None
            self.now = max(self.now, deadline)
            self.out = self.announcer.next_message(self.now)
        assert self.known == {(one.name, one.id): one for one in self.truth}


ForgetfulTracker.TestCase.settings = settings(max_examples=60, stateful_step_count=25)
test_the_tracker_knows_the_truth_in_the_end = ForgetfulTracker.TestCase
