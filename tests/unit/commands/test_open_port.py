"""Who is warned that anybody can reach a port."""

import logging
from pathlib import Path

import pytest
from shoal.api.keys import KeyWishes, make_keys
from shoal.commands.open_port import listening, warn_of_open_port
from shoal.config.cluster import TrackerEntry, load

TEXT = (
    "tracker: {address: tcp://192.0.2.1:12000}\nnodes: {n1: {address: tcp://h:11001, folder: a}}\n"
)


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    path = tmp_path / "lab.yaml"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize(
    "address",
    ["tcp://192.0.2.1:12000", "tcp://[fd00::1]:12000", "tcp://h:12000", "tcp://0.0.0.0:12000"],
)
def test_beyond_loopback_there_is_one_warning_with_the_remedy(
    lab: Path, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    with caplog.at_level(logging.WARNING):
        warn_of_open_port(load(lab), address, "can read it")
    (record,) = caplog.records
    assert "anybody who can reach port 12000 of " in record.getMessage()
    assert record.getMessage().endswith(f"has no keys; run `shoal keys --config {lab}`")


@pytest.mark.parametrize("address", ["tcp://127.0.0.9:12000", "tcp://[::1]:1", "tcp://localhost:1"])
def test_on_loopback_there_is_none(
    lab: Path, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    warn_of_open_port(load(lab), address, "can read it")
    assert not caplog.records


def test_with_keys_there_is_none(lab: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_keys(lab, KeyWishes())
    warn_of_open_port(load(lab), "tcp://192.0.2.1:12000", "can read it")
    assert not caplog.records


def test_the_log_says_where_a_process_listens(tmp_path: Path) -> None:
    entry = TrackerEntry("tcp://192.0.2.1:12000", tmp_path)
    assert listening(entry) == "tcp://192.0.2.1:12000"
    elsewhere = TrackerEntry("tcp://192.0.2.1:12000", tmp_path, listen="tcp://0.0.0.0:1")
    assert listening(elsewhere) == "tcp://192.0.2.1:12000, listening on tcp://0.0.0.0:1"
