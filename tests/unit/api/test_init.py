"""Which address of a host goes into a new cluster file, and what is refused."""

import ipaddress
from pathlib import Path

import pytest
from shoal.api import host_places, init
from shoal.api.host_places import Place
from shoal.config.cluster import load
from shoal.protocol.errors import OperatorError

NET = ipaddress.ip_network("10.0.0.0/24")


@pytest.mark.parametrize(
    ("found", "number"),
    [
        (("192.168.0.5", "10.0.0.5"), "10.0.0.5"),
        (("127.0.1.1", "10.0.0.5"), "10.0.0.5"),
        (("fe80::1%eth0", "fd00::1", "10.0.0.5"), "10.0.0.5"),
        (("192.168.0.5",), None),
        (("fd00::5",), None),
    ],
)
def test_the_number_in_the_network_is_taken(found: tuple[str, ...], number: str | None) -> None:
    place = host_places._place("pc1", found, NET)
    assert place.number == number
    assert (place.note is None) == (number is not None)


def test_without_a_network_the_first_number_is_taken_and_others_are_told() -> None:
    place = host_places._place("pc1", ("fd00::5", "10.0.0.5", "192.168.0.5"), None)
    assert place.number == "10.0.0.5"
    assert str(place.note).startswith("pc1 has 10.0.0.5, 192.168.0.5, fd00::5; the first is taken")
    assert host_places._place("pc1", ("fd00::5",), None) == Place("pc1", "fd00::5")
    assert Place("pc1", "fd00::5").address(1) == "tcp://[fd00::5]:1"
    assert Place("pc1").address(1) == "tcp://pc1:1"


def test_a_host_is_in_no_network_if_nobody_knows_it() -> None:
    reason = "the name service does not know pc1: unknown"
    assert host_places._place("pc1", reason, NET) == Place("pc1", None, reason)


def test_all_hosts_are_looked_up() -> None:
    places = host_places.places_of(["10.0.0.1", "no-such.invalid", "10.0.0.2"], NET)
    assert [place.number for place in places.values()] == ["10.0.0.1", None, "10.0.0.2"]


def test_two_hosts_with_one_address_are_refused() -> None:
    with pytest.raises(OperatorError, match=r"a and b both have the address 10\.0\.0\.1; correct"):
        init._require_apart([Place("a", "10.0.0.1"), Place("b", "10.0.0.1")])


def test_many_missing_hosts_are_one_line() -> None:
    places = {f"pc{n}": Place(f"pc{n}", None, f"pc{n} is unknown") for n in range(20)}
    with pytest.raises(OperatorError) as refused:
        init._require_found(places, NET)
    assert "pc7 is unknown; and 12 more; add them" in str(refused.value)


HOSTS = "10.0.[0-3].[1-200]"


def test_as_many_hosts_as_a_file_holds(tmp_path: Path) -> None:
    made = init.for_hosts(init.Wishes((HOSTS,)))
    init.write(made.file, tmp_path / "lan.yaml", force=False)
    assert len(load(tmp_path / "lan.yaml").nodes) == 800


def test_a_file_that_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    made = init.for_hosts(init.Wishes((HOSTS,), zones=(f"rack-1={HOSTS}",)))
    with pytest.raises(OperatorError, match="nothing was written, as it would be wrong: lan"):
        init.write(made.file, tmp_path / "lan.yaml", force=False)
    assert not list(tmp_path.iterdir())
