"""system/boot.py: the same within one run of the machine."""

from pathlib import Path

import pytest
from shoal.system import boot


def test_is_the_same_until_the_machine_is_started_again() -> None:
    assert boot.boot_id() == boot.boot_id() != ""


def test_where_it_is_unknown_nothing_is_taken_for_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot, "_BOOT_ID", tmp_path / "none")
    assert boot.boot_id() != boot.boot_id()
