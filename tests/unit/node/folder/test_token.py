"""The token in the state folder."""

import stat
from pathlib import Path

import pytest
from shoal.node.folder import token


def test_a_token_is_kept_for_the_owner_alone(tmp_path: Path) -> None:
    assert token.load(tmp_path) == ""
    token.save(tmp_path, "0af1")
    token.save(tmp_path, "7c-_Z")
    assert token.load(tmp_path) == "7c-_Z"
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


@pytest.mark.parametrize("data", [b"", b"0af1", b"two words\n", b"x" * 65 + b"\n", b"\xff\n"])
def test_what_is_no_token_is_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "token").write_bytes(data)
    assert token.load(tmp_path) == ""


def test_a_disk_that_refuses_is_worth_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "token").mkdir()
    assert token.load(tmp_path) == ""
    token.save(tmp_path, "0af1")
    assert "if this node is restarted, it may have to wait" in caplog.text
