"""What network cards say of their rate: `lo` stands for a card, with a folder of our own making."""

from pathlib import Path

import pytest
from shoal.system import link_rate


def card(cards: Path, speed: str, *, is_real: bool = True) -> None:
    (cards / "lo").mkdir(parents=True)
    (cards / "lo" / "speed").write_text(speed)
    if is_real:
        (cards / "lo" / "device").mkdir()


def test_tells_the_rate_of_the_card_that_has_the_address(tmp_path: Path) -> None:
    card(tmp_path, "1000\n")
    assert link_rate.of("127.0.0.1", tmp_path) == 125e6
    assert link_rate.of("192.0.2.1", tmp_path) is None


@pytest.mark.parametrize("speed", ["-1\n", "", "unknown\n"])
def test_a_card_that_does_not_know_is_not_believed(tmp_path: Path, speed: str) -> None:
    card(tmp_path, speed)
    assert link_rate.of("127.0.0.1", tmp_path) is None


def test_a_card_that_is_none_is_not_believed(tmp_path: Path) -> None:
    """A veth says 10,000 Mbit/s, whatever the wire behind it carries."""
    card(tmp_path, "10000\n", is_real=False)
    assert link_rate.of("127.0.0.1", tmp_path) is None


def test_a_card_without_a_file_or_an_address(tmp_path: Path) -> None:
    (tmp_path / "no-such-card0" / "device").mkdir(parents=True)
    (tmp_path / "lo" / "device").mkdir(parents=True)
    assert link_rate.of("127.0.0.1", tmp_path) is None
    assert link_rate.of("127.0.0.1", tmp_path / "nowhere") is None


def test_loopback_has_no_rate() -> None:
    assert link_rate.of("127.0.0.1") is None
