"""The requests that are out: which chunks each of them claims, and until when. Sends nothing.

A request is prompt; then overdue: its chunk may be requested from others, and its reply still
counts; then written off: it no longer takes a place in its holder's window.
"""

import functools
import math
import operator
from collections.abc import Callable, Iterator

import msgspec


class Request(msgspec.Struct, eq=False):
    """One request that is out, for chunk `index` of `size_bytes`."""

    request_id: int
    node: str
    index: int
    size_bytes: int
    sent_at: float
    due: float
    written_off_at: float
    ahead_bytes: int = 0  # What all requests out at that time ask for, including this one.
    is_guess: bool = False  # Nothing says that its holder has the chunk.
    is_overdue: bool = False
    is_hedged: bool = False  # The chunk was requested from another holder as well, …
    hedges: int | None = None  # … by a request that has this one's id here.
    is_written_off: bool = False
    bits: int = 0  # The chunk, as a set, …
    claims: int = 0  # … and with all that have the same bytes.

    def __post_init__(self) -> None:
        self.bits = self.claims = 1 << self.index

    @property
    def may_be_hedged(self) -> bool:
        """Whether it is the last request for its chunk; an overdue one's is free anyway."""
        return not self.is_overdue and not self.is_hedged


class Outstanding:
    """All requests of one download, the oldest first."""

    def __init__(self) -> None:
        self.prompt = 0  # How many are not overdue, …
        self.prompt_bytes = 0  # … and how many bytes they ask for.
        self.guesses = 0  # How many of the prompt ones are; an overdue guess takes no place.
        self.retries = 0  # How many chunks were requested again because a reply took long.
        self.due = math.inf  # The earliest time at which `turn` has something to do.
        self._requests: dict[int, Request] = {}

    def __iter__(self) -> Iterator[Request]:
        return iter(self._requests.values())

    def get(self, request_id: int) -> Request | None:
        return self._requests.get(request_id)

    def add(self, request: Request) -> None:
        self._requests[request.request_id] = request
        self.prompt += 1
        self.prompt_bytes += request.size_bytes
        request.ahead_bytes = self.prompt_bytes
        self.guesses += request.is_guess
        self.retries += request.hedges is not None
        self.due = min(self.due, request.due)

    def pop(self, request_id: int) -> tuple[Request, int]:
        """Take a request off; return it, and the chunks that no request claims any more."""
        request = self._requests.pop(request_id)
        is_alone = request.may_be_hedged and request.hedges is None
        if not request.is_overdue:
            self._no_longer_prompt(request)
        # Only the chunk of an overdue or hedged request can be claimed by another one too.
        return request, request.claims if is_alone else self._unclaimed(request.claims)

    def count(self, chunks: int) -> int:
        """Return how many prompt requests ask for any of these."""
        return sum(not one.is_overdue and one.bits & chunks > 0 for one in self)

    def asked_for(self) -> int:
        """Return the chunks that they ask for."""
        return functools.reduce(operator.or_, (one.bits for one in self), 0)

    def reconsider(self, patience_s: Callable[[Request], float]) -> None:
        """Set anew when each request is due, as more is known now than when it was sent."""
        for request in self:
            request.due = request.sent_at + patience_s(request)
            self.due = min(self.due, request.due)

    def turn(self, now: float) -> tuple[list[Request], list[Request], int]:
        """Let time pass: return what became overdue, what to write off, and the freed chunks."""
        overdue = [one for one in self if not one.is_overdue and one.due <= now]
        freed = 0
        self.retries += len(overdue)
        for request in overdue:
            request.is_overdue = True
            self._no_longer_prompt(request)
            freed |= request.claims
        written_off = [one for one in self if not one.is_written_off and one.written_off_at <= now]
        times = (one.written_off_at if one.is_overdue else one.due for one in self)
        self.due = min((time for time in times if time > now), default=math.inf)
        return overdue, written_off, self._unclaimed(freed)

    def _no_longer_prompt(self, request: Request) -> None:
        self.prompt -= 1
        self.guesses -= request.is_guess
        self.prompt_bytes -= request.size_bytes
        if request.hedges is not None and request.hedges in self._requests:
            self._requests[request.hedges].is_hedged = False

    def _unclaimed(self, bits: int) -> int:
        """Return which of the chunks no prompt request claims."""
        for other in self._requests.values():
            if not other.is_overdue:
                bits &= ~other.claims
        return bits
