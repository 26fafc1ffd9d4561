"""How long messages take over virtual links, from link to link and side by side."""

import pytest

from tests.simulation.network import QUEUE_S, Place, place, receive, send

MB = 1_000_000
LATENCY_S = 0.001


def host(rate_mb: float) -> Place:
    return place(rate_mb * MB, rate_mb * MB, LATENCY_S)


def arrivals(target: Place, *messages: tuple[Place, int]) -> list[float]:
    """Send all at time 0; return when each is there, in the order of the messages."""
    due = [
        (send(source, target, size, 0.0)[1], size, at) for at, (source, size) in enumerate(messages)
    ]
    came = {at: receive(target, size, due_at) for due_at, size, at in sorted(due)}
    return [came[at] for at in range(len(messages))]


@pytest.mark.parametrize(("up", "down"), [(10, 10), (10, 1), (1, 10)])
def test_one_message_takes_as_long_as_the_slower_link(up: float, down: float) -> None:
    source, target = host(up), host(down)
    (came,) = arrivals(target, (source, MB))
    assert came == pytest.approx(1 / min(up, down) + 2 * LATENCY_S)


def test_messages_to_one_host_share_its_link() -> None:
    target = host(10)
    came = arrivals(target, *((host(10), MB) for _ in range(4)))
    assert sorted(came) == pytest.approx([(number + 1) / 10 + 2 * LATENCY_S for number in range(4)])


def test_messages_of_one_host_leave_one_after_the_other() -> None:
    source, targets = host(10), [host(10), host(10)]
    came = [arrivals(target, (source, MB))[0] for target in targets]
    assert came == pytest.approx([0.1 + 2 * LATENCY_S, 0.2 + 2 * LATENCY_S])


def test_who_sends_slowly_holds_up_nobody_else() -> None:
    slow, quick = arrivals(host(10), (host(1), MB), (host(10), MB))
    assert quick == pytest.approx(0.1 + 2 * LATENCY_S)
    assert slow == pytest.approx(1 + 2 * LATENCY_S)


def test_a_small_message_waits_for_no_more_than_a_switch_buffers() -> None:
    source, target = host(1), host(10)
    assert send(source, host(1), MB, 0.0)[0] == 1.0
    left_at, _ = send(source, target, 100, 0.0)
    assert left_at == pytest.approx(QUEUE_S, rel=0.01)
    assert source.up.free_at == pytest.approx(1.0, rel=0.01)
    assert send(source, target, MB, 0.0)[0] == pytest.approx(2.0, rel=0.01)
