"""Host names: looked up beside everything else, remembered, and never waited for for long."""

import time

import pytest
from shoal.wire import host_names
from shoal.wire.host_names import HOST_NAMES, HostNameError, HostNames

from tests.unit.wire.name_service import NameService
from tests.unit.wire.places import eventually


@pytest.mark.parametrize(
    "address", ["tcp://10.0.0.1:4000", "tcp://[::1]:4000", "tcp://[::ffff:10.0.0.1]:4000"]
)
def test_numbers_are_looked_up_nowhere(address: str) -> None:
    service = NameService()
    assert service.names.find(address) == service.names.wait(address) == address
    assert service.asked == []


def test_a_name_is_looked_up_once_whoever_asks() -> None:
    service = NameService(far="10.0.0.1 10.0.0.2")
    service.may_answer.clear()
    assert service.names.find("tcp://far:4000") is None
    assert service.names.find("tcp://FAR:4001") is None
    service.may_answer.set()
    eventually(lambda: service.names.find("tcp://far:4000") == "tcp://10.0.0.1:4000")
    assert service.names.find("tcp://far:4001") == "tcp://10.0.0.1:4001"
    assert service.names.wait_for_all("far") == ("10.0.0.1", "10.0.0.2")
    assert service.asked == ["far"]


def test_waits_until_the_name_is_known() -> None:
    assert NameService(far="fd00::1").names.wait("tcp://far:4000") == "tcp://[fd00::1]:4000"


def test_says_that_nobody_knows_a_name() -> None:
    with pytest.raises(HostNameError, match="does not know far: Name or service not known"):
        NameService().names.wait("tcp://far:4000")


def test_a_name_that_was_unknown_is_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_names, "RETRY_S", 0.0)
    service = NameService()
    with pytest.raises(HostNameError):
        service.names.wait("tcp://far:4000")
    service.known["far"] = "10.0.0.1"
    eventually(lambda: _found(service.names) == "tcp://10.0.0.1:4000")


def test_old_numbers_hold_until_there_are_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    service = NameService(far="10.0.0.1")
    service.names.wait("tcp://far:4000")
    monkeypatch.setattr(host_names, "KEEP_S", 0.0)
    monkeypatch.setattr(host_names, "RETRY_S", 0.0)
    del service.known["far"]
    for _ in range(20):
        assert service.names.find("tcp://far:4000") == "tcp://10.0.0.1:4000"
        time.sleep(0.001)
    service.known["far"] = "10.0.0.9"
    eventually(lambda: _found(service.names) == "tcp://10.0.0.9:4000")


def test_a_service_that_does_not_answer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_names, "LIMIT_S", 0.1)
    service = NameService(far="10.0.0.1")
    service.may_answer.clear()
    with pytest.raises(HostNameError, match="does not answer for far"):
        service.names.wait("tcp://far:4000")
    with pytest.raises(HostNameError, match="does not answer for far"):
        service.names.find("tcp://far:4000")
    assert service.asked == ["far"]
    service.may_answer.set()
    eventually(lambda: _found(service.names) == "tcp://10.0.0.1:4000")


def test_no_more_lookups_at_a_time_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_names, "MOST_LOOKUPS", 2)
    service = NameService(h0="10.0.0.1", h1="10.0.0.1", h2="10.0.0.1")
    service.may_answer.clear()
    for number in range(3):
        assert service.names.find(f"tcp://h{number}:4000") is None
    eventually(lambda: len(service.asked) == 2)
    service.may_answer.set()
    assert service.names.wait("tcp://h2:4000") == "tcp://10.0.0.1:4000"


@pytest.mark.parametrize("name", ["..", "a..b", "-", "x" * 250, "_", "xn--a"])
def test_odd_names_are_unknown_and_no_more(name: str) -> None:
    with pytest.raises(HostNameError):
        HOST_NAMES.wait(f"tcp://{name}:4000")


def test_this_machine_s_own_name_is_known() -> None:
    assert HOST_NAMES.wait("tcp://localhost:4000") in {
        "tcp://127.0.0.1:4000",
        "tcp://[::1]:4000",
    }


def _found(names: HostNames) -> str | None:
    try:
        return names.find("tcp://far:4000")
    except HostNameError:
        return None
