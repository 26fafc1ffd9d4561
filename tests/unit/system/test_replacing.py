"""Files that are replaced: what stays, what a link leads to, and what is left after a failure."""

import os
import stat
from pathlib import Path

import pytest
from shoal.system.replacing import replace_file, write_secret


def accept(new: Path) -> None:
    """Find nothing wrong with the new file."""
    assert new.exists()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_mode_and_owner_stay(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    if os.geteuid() == 0:
        os.chown(path, 1234, 5678)
    path.chmod(mode)
    before = path.stat()
    replace_file(path, b"new", accept)
    after = path.stat()
    assert path.read_bytes() == b"new"
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "file", tmp_path / "link"
    target.write_text("old")
    link.symlink_to("elsewhere/file")
    replace_file(link, b"new", accept)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert [each.name for each in target.parent.iterdir()] == ["file"]


def test_what_the_check_refuses_is_not_put_in_place(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def refuse(new: Path) -> None:
        assert new.read_bytes() == b"new"
        raise ValueError("not so")

    with pytest.raises(ValueError, match="not so"):
        replace_file(path, b"new", refuse)
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_what_a_kill_has_left_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    (tmp_path / ".file.new").write_text("half")
    replace_file(path, b"new", accept)
    assert path.read_text() == "new"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_secret_is_its_user_s_alone_whatever_the_umask(tmp_path: Path) -> None:
    owner = tmp_path.stat()
    for umask in (0o000, 0o777):
        before = os.umask(umask)
        try:
            write_secret(tmp_path / "secret", b"s", owner)
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_a_secret_replaces_a_link_and_not_its_target(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("other")
    (tmp_path / "secret").symlink_to("target")
    write_secret(tmp_path / "secret", b"s", tmp_path.stat())
    assert (tmp_path / "target").read_text() == "other"
    assert not (tmp_path / "secret").is_symlink()


def test_root_gives_a_secret_to_its_owner(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives a file away")
    os.chown(tmp_path, 1234, 5678)
    write_secret(tmp_path / "secret", b"s", tmp_path.stat())
    assert (tmp_path / "secret").stat().st_uid == 1234
