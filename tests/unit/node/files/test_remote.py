"""Which file systems are a network's."""

import os
import subprocess
from pathlib import Path

import pytest
from shoal.node.files import libc, remote


@pytest.mark.parametrize("path", ["/proc", "/", "/dev"])
def test_the_kind_is_what_stat_says(path: str) -> None:
    command = ["stat", "-f", "-c", "%t", path]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert libc.file_system_type(os.fsencode(path)) == int(told, 16)


def test_a_local_one_is_none_and_neither_is_nothing(tmp_path: Path) -> None:
    assert remote.kind_of(Path("/proc")) is None
    assert remote.kind_of(tmp_path / "nowhere") is None
