"""Where a name leads: never out of the folder (faults 79, 83 and 84)."""

import os
from pathlib import Path

import pytest
from shoal.node.files.paths import parent_of
from shoal.protocol.errors import DiskError, OperatorError


def put(folder: Path, name: str) -> None:
    with parent_of(folder, name) as (directory, last):
        os.close(os.open(last, os.O_WRONLY | os.O_CREAT, dir_fd=directory))


def test_makes_the_directories_that_it_needs(tmp_path: Path) -> None:
    put(tmp_path, "a")
    put(tmp_path, "b/c/d")
    put(tmp_path, "b/c/e")
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert files == ["a", "b", "b/c", "b/c/d", "b/c/e"]


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "", "a//b", ".shoal/lock", "a/"])
def test_a_name_that_leads_elsewhere_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|has|lies) "):
        put(tmp_path / "in", name)
    assert list(tmp_path.iterdir()) == []


def test_does_not_follow_a_link_out_of_the_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    (inside / "a").mkdir()
    (inside / "a" / "link").symlink_to(Path("../..") / "out")
    for name in ("link/x", "link/y/x", "a/link/x"):
        with pytest.raises(OperatorError, match="link is not a directory") as refused:
            put(inside, name)
        assert isinstance(refused.value, DiskError)
    assert list(outside.iterdir()) == []


def test_a_directory_that_is_swapped_for_a_link_changes_nothing(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    (inside / "a").mkdir(parents=True)
    outside.mkdir()
    with parent_of(inside, "a/x") as (directory, last):
        (inside / "a").rename(inside / "b")
        (inside / "a").symlink_to(outside)
        os.close(os.open(last, os.O_WRONLY | os.O_CREAT, dir_fd=directory))
    assert list(outside.iterdir()) == []
    assert (inside / "b" / "x").exists()


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(OperatorError, match="a is not a directory; move it"):
        put(tmp_path, "a/b")


def test_what_is_in_the_way_is_cleared_away_if_it_may_be(tmp_path: Path) -> None:
    outside = tmp_path / "out"
    outside.mkdir()
    tree = tmp_path / "in" / "t"
    (tree / "c").mkdir(parents=True)
    (tree / "a").symlink_to(outside)
    (tree / "b").write_bytes(b"in the way")
    (tree / "c" / "kept").write_bytes(b"")
    cleared: list[str] = []

    def clear(directory: int, last: str, path: str) -> None:
        cleared.append(path)
        os.unlink(last, dir_fd=directory)
        os.mkdir(last, dir_fd=directory)

    for name in ("a/x", "b/d/x", "c/x"):
        with parent_of(tmp_path / "in", f"t/{name}", clear=clear) as (directory, last):
            os.close(os.open(last, os.O_WRONLY | os.O_CREAT, dir_fd=directory))
        assert (tree / name).is_file()
    assert list(outside.iterdir()) == []
    assert (tree / "c" / "kept").exists()
    assert cleared == ["t/a", "t/b"]
    tree.rename(tmp_path / "in" / "elsewhere")
    tree.symlink_to(outside)
    with (
        pytest.raises(OperatorError, match="t is not a directory"),
        parent_of(tmp_path / "in", "t/x", clear=clear),
    ):
        pass


@pytest.mark.parametrize("what", ["link", "dangling", "fifo"])
def test_what_is_neither_file_nor_directory_is_not_replaced(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x"
    if what == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path / ("y" if what == "dangling" else "."))
    with pytest.raises(
        OperatorError, match="what is there is neither a file nor a directory"
    ) as refused:
        put(tmp_path, "x")
    assert isinstance(refused.value, DiskError)


def test_a_folder_that_is_gone_is_the_disk_s_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        put(tmp_path / "nowhere", "a")


def test_leaves_no_descriptor_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    put(tmp_path, "a/b/c/d")
    with pytest.raises(OperatorError):
        put(tmp_path, "a/b/c/d/e/f")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
