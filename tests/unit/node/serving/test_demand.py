"""Who keeps asking a whole holder for what it does not offer just now gets it after all."""

from shoal.node.serving.demand import MOST_REFUSALS, RECENT_REQUESTS

from tests.unit.node.serving.scene import Scene

OFFERED = "nothing of 123456789"


def in_a_swarm() -> Scene:
    """Return a scene in which chunk 0 has been served, and others are to be served first."""
    scene = Scene()
    scene.ask(0, node="n3")
    scene.ask(0, node="n2")
    return scene


def test_one_who_can_use_nothing_else_gets_what_it_asks_for() -> None:
    """Of a tree the listing comes first: two that fetched one from one holder waited for ever."""
    scene = in_a_swarm()
    asked = [scene.ask(0, node="n4") for _ in range(MOST_REFUSALS + 2)]
    assert asked == [OFFERED] * MOST_REFUSALS + ["0"] * 2


def test_one_who_takes_what_is_offered_is_as_patient_as_before() -> None:
    scene = in_a_swarm()
    for index in (1, 2):
        assert [scene.ask(0, node="n4")[:7] for _ in range(MOST_REFUSALS)] == ["nothing"] * 3
        assert scene.ask(index, node="n4").startswith(f"{index} of ")
    assert scene.ask(0, node="n4").startswith("nothing")


def test_refusals_are_forgotten_with_the_one_who_asked() -> None:
    scene = in_a_swarm()
    for _ in range(MOST_REFUSALS):
        scene.ask(0, node="n4")
    for number in range(RECENT_REQUESTS):
        scene.ask(1, node=f"other{number}")
    assert scene.ask(0, node="n4").startswith("nothing")
