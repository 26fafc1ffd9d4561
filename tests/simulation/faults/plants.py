"""Faults that are planted in the running product, to see that the checkers find them."""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from shoal.broker.sqlite_store import SqliteStore
from shoal.broker.stores import Exchanged
from shoal.broker.tracking import lending
from shoal.broker.tracking.changes import Change, Wished
from shoal.broker.tracking.members import Members
from shoal.broker.tracking.pushes import Pushes
from shoal.broker.tracking.speakers import Speakers
from shoal.broker.tracking.wishes import Wanted as WantedByAll
from shoal.broker.tracking.wishes import Wishes
from shoal.node.fetching import steps
from shoal.node.fetching.download import Download
from shoal.node.fetching.gathering import Gathering
from shoal.node.fetching.patience import Lookup
from shoal.node.fetching.roster import Roster, Trouble
from shoal.node.folder.register import Register
from shoal.node.network import fetcher
from shoal.node.network.rates import RateLimits, Rates, SharedBucket
from shoal.node.orders import standing
from shoal.node.scheduling.requests import Outstanding
from shoal.node.scheduling.wanted import Wanted
from shoal.node.serving import wished as serving_wished
from shoal.node.serving.announcer import Announcer
from shoal.node.serving.pacing import Pacing
from shoal.node.staging.intake import Intake
from shoal.node.staging.spare import Spare
from shoal.node.staging.staged_file import StagedFile
from shoal.protocol import permits
from shoal.protocol.bucket import Bucket
from shoal.protocol.keyring import Keyring
from shoal.protocol.permits import Role, Who
from shoal.protocol.pushing import Verdict, Wish

from tests.simulation.faults import limits, tracker_plants
from tests.simulation.faults.plant import Plant
from tests.simulation.faults.plants_elsewhere import PLACES

# Published after a write that failed: past all that stands in its way.


def _written_first(intake: Any, places: list[int], payload: memoryview) -> None:
    for index in places:
        intake._have |= 1 << index
        intake._partial.have = intake._have
        intake._staged.write(index, payload)


def _published_at_once(intake: Any) -> steps.Event:
    place: Path = intake._publication.publish(intake._staged, intake._admission.spare)
    return steps.Published(str(place))


def _driven_on(handle: Any, carry_out: Any, event: steps.Event) -> None:
    waiting = [event]
    for each in waiting:
        for action in handle(each):
            answer = carry_out(action)
            if answer is not None:
                waiting.append(answer)


# Others.


def _lied(roster: Any, node: str, trouble: Trouble, now: float) -> Any:
    return _part_with(roster, node, Trouble(trouble.reason, lied=True), now)


_part_with = Roster.part_with


def _forgetting_turn(out: Any, now: float) -> Any:
    told = _turn(out, now)
    for request in told[0]:
        out._requests.pop(request.request_id, None)
    return told[0][:0], told[1][:0], told[2]


_turn = Outstanding.turn


def _replied_mostly(front: Any, action: Any) -> Any:
    if action.number % 7 == 3:
        front._letters.pop(action.number, None)
        return None
    return _reply(front, action)


_reply = limits._reply


def _never_left(pacing: Any, number: int, now: float) -> Any:
    return pacing._unsent[number][0]


def _gone_for_good(announcer: Any, now: float) -> None:
    announcer._next_at, announcer._out = math.inf, None


def _reads_title_of_another(register: Any, name: str) -> None:
    raise KeyError(name)


# Pushes.


def _without_wishes(store: Any, changes: Sequence[Change]) -> Exchanged:
    return _exchange(store, [change for change in changes if not isinstance(change, Wished)])


_exchange = SqliteStore.exchange


def _done_already(_: Any, node: str, wanted: WantedByAll) -> Verdict:
    return Verdict(node, "done", wanted.size_bytes)


def _ever_more(wished: Any, wishes: list[Wish]) -> None:
    _take(wished, [*wished._wishes.values(), *wishes])


def _as_others(wished: Any, wishes: list[Wish]) -> None:
    _of_all.update(dict.fromkeys(wishes))
    _take(wished, list(_of_all))


_of_all: dict[Wish, None] = {}
_take = serving_wished.Wished.take


def _never_again(wished: Any, wish: Wish, reason: str, kind: Any, now: float) -> None:
    _failed(wished, wish, reason, kind, now)
    for one, trouble in wished._troubles.items():
        wished._troubles[one] = trouble._replace(due=now + 1e6, is_disk=False)


_failed = serving_wished.Wished.failed


# Keys.


def _anybody(ring: Keyring, key: bytes) -> Who:
    return ring._table.get(key, Who("n1", Role.NODE))


def _ever_known(ring: Keyring, tracker: bytes, nodes: Any, table: Any) -> None:
    _replace(ring, tracker, nodes, {**ring._table, **table})


_replace = Keyring.replace


# Rates.


def _all_to_each(budget: int, wants: Mapping[str, int]) -> dict[str, int]:
    return dict.fromkeys(wants, budget)


def _as_at_first(rates: Rates, limits: RateLimits) -> None:
    rates._borrowing.set_usual(limits.part)


PLANTS: dict[str, Plant] = {
    **tracker_plants.PLANTS,
    "what is sent is not counted": Plant([(Bucket, "take", lambda *_: None)], {"rates"}),
    "what is requested is not counted": Plant([(SharedBucket, "take", lambda *_: None)], {"rates"}),
    "limits hold from the next start on": Plant(
        [(Rates, "set", _as_at_first)], {"rates"}, first=41
    ),
    "everybody is lent everything": Plant([(lending, "shares", _all_to_each)], {"rates"}),
    "any key will do": Plant([(Keyring, "who", _anybody)], {"let in", "in another's name"}),
    "a key that is taken out is still good": Plant([(Keyring, "replace", _ever_known)], {"let in"}),
    "nobody looks who may say what": Plant(
        [(permits, "refusal", lambda *_: None)], {"let in", "in another's name"}
    ),
    "anybody may speak for a node": Plant(
        [
            (Speakers, "_from_elsewhere", lambda *_: None),
            (Speakers, "_misplaced", lambda *_: None),
            (Speakers, "_impostor", lambda *_, **__: None),
        ],
        {"in another's name"},
    ),
    **PLACES,
    "pushes are not saved": Plant([(SqliteStore, "exchange", _without_wishes)], {"wishes"}),
    "pushes are for everybody": Plant([(WantedByAll, "means", lambda *_: True)], {"wishes"}),
    "pushes go on when they are cancelled": Plant(
        [(serving_wished.Wished, "take", _ever_more)], {"cancelled"}
    ),
    "nodes do what others are wished to do": Plant(
        [(serving_wished.Wished, "take", _as_others)], {"unasked", "cancelled"}
    ),
    "a push that failed is never tried again": Plant(
        [(serving_wished.Wished, "failed", _never_again)], {"liveness"}, first=21
    ),
    "who joins the cluster file hears of no push": Plant(
        [(Wishes, "mean_others", lambda _: None)], {"liveness"}, first=33
    ),
    "everybody is said to have what is pushed": Plant(
        [(Pushes, "_verdict", _done_already)], {"verdicts"}
    ),
    "a failed write is published": Plant(
        [
            (Intake, "_write", _written_first),
            (Intake, "publish", _published_at_once),
            (fetcher, "drive", _driven_on),
        ],
        {"early", "bytes"},
    ),
    "no digest is checked": Plant(
        [(Gathering, "_is_right", lambda *_: True)], {"early", "bytes", "exceptions"}
    ),
    "what users have may go": Plant(
        [
            (Spare, "allows", lambda *_: True),
            (standing, "_refuse_to_replace", lambda *_: None),
        ],
        {"user's own"},
    ),
    "an older version will do": Plant(
        [(standing, "is_what_is_meant", lambda *_: True)], {"liveness", "newest"}
    ),
    "leases never run out": Plant(
        [(Members, "overdue", lambda *_: None), (Members, "deadline", None)], {"expired"}
    ),
    "overdue requests are forgotten": Plant(
        [(Outstanding, "turn", _forgetting_turn)], {"accounted", "exceptions"}
    ),
    "some requests are not answered": Plant(
        [(limits, "_reply", _replied_mostly)],  # What stands in for Front.reply calls it.
        {"accounted", "memory", "liveness"},
    ),
    "chunks are requested from everybody": Plant(
        [(Wanted, "claim", lambda *_: None)], {"duplicates", "exceptions"}
    ),
    "whoever is lost is banned": Plant([(Roster, "part_with", _lied)], {"banned", "liveness"}),
    "nothing is due in a fetch": Plant(
        [(Download, "deadline", lambda *_: None)], {"deadlock", "liveness"}
    ),
    "the tracker is never asked again": Plant(
        [(Lookup, "queries", lambda *_, **__: [])], {"deadlock", "liveness"}
    ),
    "an answer that is lost is the last": Plant(
        [(Announcer, "unanswered", _gone_for_good)], {"liveness", "exceptions"}
    ),
    "replies never count as having left": Plant(
        [(Pacing, "left", _never_left)], {"memory", "accounted", "liveness"}
    ),
    "a bug in the register": Plant([(Register, "gone", _reads_title_of_another)], {"exceptions"}),
    "a file is left open": Plant([(StagedFile, "close", lambda _: None)], {"left open"}),
}


@contextlib.contextmanager
def planted(name: str | None) -> Iterator[None]:
    """Have a fault in the product for a while; without a name none."""
    changes = PLANTS[name].changes if name else []
    kept = [(place, attribute, getattr(place, attribute)) for place, attribute, _ in changes]
    try:
        for place, attribute, wrong in changes:
            setattr(place, attribute, wrong)
        yield
    finally:
        for place, attribute, right in kept:
            setattr(place, attribute, right)
