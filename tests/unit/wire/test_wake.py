"""Ending another thread's poll."""

import threading

import pytest
import zmq
from shoal.wire.wake import Wake


def poll(wake: Wake, timeout_ms: int) -> bool:
    poller = zmq.Poller()
    poller.register(wake, zmq.POLLIN)
    return bool(poller.poll(timeout_ms))


def test_is_readable_from_set_until_clear() -> None:
    wake = Wake()
    assert not poll(wake, 0)
    wake.set()
    wake.set()
    assert poll(wake, 0)
    assert poll(wake, 0)
    wake.clear()
    assert not poll(wake, 0)
    wake.clear()
    wake.close()


def test_ends_a_poll_in_another_thread() -> None:
    wake = Wake()
    woken: list[bool] = []
    thread = threading.Thread(target=lambda: woken.append(poll(wake, 10_000)))
    thread.start()
    wake.set()
    thread.join(5)
    assert woken == [True]
    wake.close()


def test_can_be_set_as_often_as_one_likes() -> None:
    wake = Wake()
    for _ in range(100_000):
        wake.set()
    assert poll(wake, 0)
    wake.clear()
    assert not poll(wake, 0)
    wake.close()


def test_setting_it_when_it_is_closed_does_no_harm() -> None:
    wake = Wake()
    wake.close()
    wake.set()
    with pytest.raises(OSError, match="descriptor"):
        wake.clear()
