"""Which holders a download asks for the manifest, and which replies it accepts as one."""

import dataclasses
import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from shoal.node.fetching.steps import RequestManifest
from shoal.node.scheduling.holders import GIVE_UP_S
from shoal.protocol.errors import MalformedMessageError
from shoal.protocol.manifest import ContentId, Manifest, decode, id_of

if TYPE_CHECKING:
    from random import Random


@dataclasses.dataclass(frozen=True)
class _Question:
    request_id: int
    due: float  # When another holder is asked too, …
    lost_at: float  # … and when no answer is expected any more.


@dataclasses.dataclass(frozen=True)
class _Rest:
    count: int  # So often a holder has told us to ask others, …
    until: float  # … and until then it is not asked again.


_NO_REST = _Rest(0, -math.inf)
_KNOWN = (False, False)
FIRST_S = 0.1  # Then a second holder is asked too, and so on, after twice as long each time …
MOST_S = 2.0  # … up to this.
PATIENT = 4  # So many strangers are asked like that; then one after this, while nobody sends.
STRANGER_S = 0.02
MOST_RESTS = 3  # In a row; after that it has to send it to us too.


class ManifestRequests:
    """The requests for a manifest that are out, at most one to each holder."""

    def __init__(self, rng: "Random") -> None:
        self._rng = rng
        self._ids = itertools.count(rng.getrandbits(32) << 16)  # A stranger cannot guess them.
        self._questions: dict[str, _Question] = {}
        self._rests: dict[str, _Rest] = {}
        self._sending: set[str] = set()  # Bytes have come from these.

    def next(
        self,
        give_up_s: dict[str, float],
        what: str,
        now: float,
        order: Mapping[str, tuple[bool, bool]] = {},
    ) -> list[RequestManifest]:
        """Return the request for the manifest of `what` to send now, if any; it counts as sent.

        `give_up_s` says who can be asked, and for how long each may be silent. When the last takes
        long another holder is asked: of the first in `order` (Roster.order) a random one, as many
        nodes may start at the same time.
        """
        if any(now < question.due for question in self._questions.values()):
            return []
        nodes = sorted(
            node
            for node in give_up_s
            if node not in self._questions and self._rest(node).until <= now
        )
        if not nodes:
            return []
        first = min(order.get(node, _KNOWN) for node in nodes)
        node = self._rng.choice([node for node in nodes if order.get(node, _KNOWN) == first])
        request_id = next(self._ids)
        patience_s = min(FIRST_S * 2 ** len(self._questions), MOST_S)
        if first[1] and len(self._questions) >= PATIENT and not self._sending:
            patience_s = STRANGER_S  # All of them may be silent: there is no end of strangers.
        due = now + min(patience_s, give_up_s[node])
        self._questions[node] = _Question(request_id, due, now + give_up_s[node])
        may_wait = self._rest(node).count < MOST_RESTS
        return [RequestManifest(node, request_id, what, may_wait)]

    def is_out(self, node: str, request_id: int) -> bool:
        """Return whether that request is out to `node`."""
        question = self._questions.get(node)
        return question is not None and question.request_id == request_id

    def is_sending(self, node: str, now: float) -> None:
        """Note that bytes arrive from `node`: most likely a manifest over a very slow link."""
        question = self._questions.get(node)
        if question is not None:
            self._sending.add(node)
            lost_at = max(question.lost_at, now + GIVE_UP_S)
            self._questions[node] = dataclasses.replace(question, lost_at=lost_at)

    def is_busy(self, node: str, now: float) -> None:
        """Note that `node` told us to ask others, who may have the manifest soon."""
        self.forget(node)
        count = self._rest(node).count
        self._rests[node] = _Rest(count + 1, now + min(FIRST_S * 2**count, MOST_S))

    def _rest(self, node: str) -> _Rest:
        return self._rests.get(node, _NO_REST)

    def forget(self, node: str) -> None:
        self._questions.pop(node, None)
        self._sending.discard(node)

    def forget_all(self) -> None:
        self._questions.clear()

    def silent(self, now: float) -> list[str]:
        """Return the holders that have not answered for too long."""
        return sorted(node for node, one in self._questions.items() if one.lost_at <= now)

    def deadline(self, now: float) -> float | None:
        """Return when something is due after `now` without any event, None if never."""
        times = [time for one in self._questions.values() for time in (one.due, one.lost_at)]
        times += [rest.until for rest in self._rests.values()]
        return min((time for time in times if now < time), default=None)


def manifest_in(data: bytes, expected: ContentId | None) -> Manifest | str:
    """Return the manifest in `data`, or what is wrong with it, as a phrase.

    Without an `expected` id any manifest will do: only the cluster file says that there is one.
    """
    if expected not in {None, id_of(data)}:
        return "sent a different manifest"
    try:
        return decode(data)
    except MalformedMessageError as error:
        return f"sent {error}"
