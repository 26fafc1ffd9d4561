"""Links at the top of a node's folder: followed where they show nobody more than is theirs."""

import os
from pathlib import Path

import pytest
from shoal.node.folder.links import why_not_followed

STRANGER, OTHER = 12345, 12346

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")


def linked(
    folder: Path, *, owner: int = -1, target_owner: int = -1, mode: int = 0o600, above: int = 0o755
) -> Path:
    """Make a link of one user to a file of another, in a directory beside it."""
    (folder / "secret").mkdir(exist_ok=True)
    target, path = folder / "secret/file", folder / "link"
    target.write_bytes(b"secret")
    path.symlink_to("secret/file")
    os.chown(path, owner, -1, follow_symlinks=False)
    os.chown(target, target_owner, -1)
    target.chmod(mode)
    target.parent.chmod(above)
    return path


def why_not(path: Path) -> str | None:
    return why_not_followed(path, path.stat())


@pytest.fixture(autouse=True)
def everybody_may_pass(tmp_path: Path) -> None:
    """Open the way to the test's folder, as that to a shared one is."""
    for folder in (tmp_path, *tmp_path.parents):
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o111)


def test_one_s_own_link_is_followed_anywhere(tmp_path: Path) -> None:
    assert why_not(linked(tmp_path)) is None


@as_root
def test_a_stranger_s_link_leads_to_what_is_private(tmp_path: Path) -> None:
    reason = why_not(linked(tmp_path, owner=STRANGER))
    assert reason is not None
    assert reason.startswith(f"it is a link that user {STRANGER} made to a file that not everybody")
    assert reason.endswith("; create the link yourself, or make the file readable for everybody")


@as_root
@pytest.mark.parametrize(
    ("target_owner", "mode", "above", "is_followed"),
    [
        (STRANGER, 0o600, 0o700, True),  # It is its own file.
        (OTHER, 0o600, 0o755, False),
        (0, 0o644, 0o755, True),  # All may read it.
        (0, 0o644, 0o700, False),  # Or could, if they came to it.
        (0, 0o640, 0o755, False),
        (0, 0o644, 0o711, True),
    ],
)
def test_a_stranger_s_link_is_followed_to_what_the_stranger_may_read(
    tmp_path: Path, target_owner: int, mode: int, above: int, *, is_followed: bool
) -> None:
    path = linked(tmp_path, owner=STRANGER, target_owner=target_owner, mode=mode, above=above)
    assert (why_not(path) is None) == is_followed


@as_root
def test_a_link_by_way_of_another_link_is_the_same(tmp_path: Path) -> None:
    linked(tmp_path, owner=STRANGER)
    (tmp_path / "other").symlink_to("link")
    os.chown(tmp_path / "other", STRANGER, -1, follow_symlinks=False)
    assert why_not(tmp_path / "other") is not None


def test_of_a_link_that_was_exchanged_nothing_is_said(tmp_path: Path) -> None:
    path = linked(tmp_path)
    was = path.stat()
    (tmp_path / "other").write_bytes(b"")
    path.unlink()
    path.symlink_to("other")
    assert why_not_followed(path, was) == "it is a link that keeps changing"


def test_a_link_to_nowhere_is_an_error(tmp_path: Path) -> None:
    path = linked(tmp_path)
    was = path.stat()
    (tmp_path / "secret/file").unlink()
    with pytest.raises(FileNotFoundError):
        why_not_followed(path, was)


@as_root
@pytest.mark.parametrize(("target_owner", "is_followed"), [(STRANGER, True), (0, False)])
def test_a_stranger_s_link_to_a_directory_leads_to_the_stranger_s_alone(
    tmp_path: Path, target_owner: int, *, is_followed: bool
) -> None:
    """That everybody may list a directory does not say that of the files in it."""
    (tmp_path / "there").mkdir(0o755)
    os.chown(tmp_path / "there", target_owner, -1)
    (tmp_path / "link").symlink_to("there")
    os.chown(tmp_path / "link", STRANGER, -1, follow_symlinks=False)
    reason = why_not(tmp_path / "link")
    assert (reason is None) == is_followed
    assert is_followed or "another user's directory" in str(reason)
