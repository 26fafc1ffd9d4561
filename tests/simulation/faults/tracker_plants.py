"""Faults that only several trackers can have. Those of the log itself are the other simulator's."""

from typing import Any

from shoal.broker.shared_saver import SharedSaver
from shoal.broker.tracking.sharing import Sharing
from shoal.protocol.trackers import Trackers
from shoal.wire.tracker_client import TrackerClient

from tests.simulation.faults.plant import Plant
from tests.simulation.trackers import plants as others


def _changed(name: str) -> list[tuple[Any, str, Any]]:
    """Return a change of the product that is planted in the simulator of trackers, too."""
    plant = others.PLANTS[name]
    return [(plant.place, plant.attribute, plant.wrong)]


def _looks_once(saver: Any, now: float) -> None:
    saver._take_in(now, 0.0)
    saver._hand_over(now)


PLANTS: dict[str, Plant] = {
    "what other trackers decided comes last": Plant(
        _changed("what others decided comes last"), {"agreement"}, first=6
    ),
    "late claims count": Plant(_changed("late claims count"), {"numbers"}, first=23),
    "what the store lost is not said again": Plant(
        _changed("what was lost is not said again"), {"wishes", "agreement"}, first=117
    ),
    "pushes are answered before they are saved": Plant(
        _changed("pushes are not waited for"), {"wishes"}, first=10
    ),
    "nobody hears who renewed with other trackers": Plant(
        [(Sharing, "hear", lambda *_: None)], {"verdicts", "expired"}, first=23
    ),
    "leases run on as if the store were away": Plant(
        [(Sharing, "suspends", lambda *_: True)], {"expired"}, first=28
    ),
    "a tracker that does not answer is asked again and again": Plant(
        [(Trackers, "failed", lambda *_: None)], {"failover"}, first=10
    ),
    "a tracker that is dead is waited for": Plant(
        [(TrackerClient, "_moves_on", lambda *_: False)], {"failover"}, first=10
    ),
    "nobody says that a node is alive after all": Plant(
        [(Sharing, "falsely_gone", lambda *_: [])], {"expired"}, first=89
    ),
    "after a pause, answers go by what was known before": Plant(
        [(SharedSaver, "catch_up", _looks_once)], {"stale"}, first=74
    ),
}
