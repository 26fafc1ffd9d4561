"""Which files of a folder are shared, and what is said of the others."""

import os
import subprocess
from pathlib import Path

import pytest

from node.folder import Folder
from node.hashing import Signature
from protocol.manifest import MAX_SIZE_BYTES


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_finds_files_in_all_subdirectories(tmp_path: Path) -> None:
    write(tmp_path, "a", "b/c", "b/d/e f", "ü", ".hidden", ".shoal-notes")
    folder = Folder(tmp_path)
    names = ["a", "b/c", "b/d/e f", "ü", ".hidden", ".shoal-notes"]
    assert sorted(folder.files()) == sorted(names)
    assert folder.files()["b/c"] == Signature.of((tmp_path / "b/c").stat())


def test_leaves_its_own_things_out(tmp_path: Path) -> None:
    write(tmp_path, ".shoal/cache.db", ".shoal/partial/x/data", "a/.shoal/b")
    assert list(Folder(tmp_path).files()) == ["a/.shoal/b"]


def test_says_once_what_cannot_be_shared(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:  # fault 82
    write(tmp_path, "good", "a\nb", "\x1b[31m", "back\\slash", ".SHOAL/a")
    bad = os.fsencode(tmp_path) + b"/\xff\xfe"
    with open(bad, "wb"):  # noqa: PTH123 (a Path is text)
        pass
    folder = Folder(tmp_path)
    for _ in range(2):
        assert list(folder.files()) == ["good"]
    assert len(caplog.messages) == 5
    assert all(line.isprintable() for line in caplog.messages)
    assert r"\udcff\udcfe is not shared: its name is not valid UTF-8" in caplog.messages


def test_follows_links_to_files_but_not_to_directories(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "out", "data")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "out/data")
    (folder / "circle").symlink_to(folder)
    (folder / "dangling").symlink_to(tmp_path / "nowhere")
    (folder / "self").symlink_to(folder / "self")
    assert list(Folder(folder).files()) == ["link"]
    told = {line.split(" is not")[0] for line in caplog.messages}
    assert told == {"dangling", "self"}


def test_leaves_out_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "empty").mkdir()
    folder = Folder(tmp_path)
    assert folder.files() == {}
    assert folder.signature_of("fifo") is None
    assert folder.signature_of("empty") is None


def test_leaves_out_what_is_too_large(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(MAX_SIZE_BYTES + 1)
    folder = Folder(tmp_path)
    assert folder.files() == {}
    assert folder.signature_of("huge") is None
    assert caplog.messages == [f"huge is not shared: it is larger than {MAX_SIZE_BYTES} bytes"]
    os.truncate(path, MAX_SIZE_BYTES)
    assert list(folder.files()) == ["huge"]


def test_a_folder_that_is_gone_is_empty(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert Folder(tmp_path / "nowhere").files() == {}
    (line,) = caplog.messages
    assert line.endswith("nowhere is not shared: No such file or directory")


def test_goes_as_deep_as_names_may(tmp_path: Path) -> None:
    deep = "/".join(["d"] * 1100)
    script = f"mkdir -p {deep} && echo x > {deep}/file"
    try:
        subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True)
        assert list(Folder(tmp_path).files()) == [f"{deep}/file"]
    finally:
        subprocess.run(["rm", "-rf", "d"], cwd=tmp_path, check=True)


@pytest.mark.parametrize("name", ["../out", "/etc/hostname", "", "a/../b", ".shoal/lock", "a\0b"])
def test_looks_at_no_file_outside(tmp_path: Path, name: str) -> None:  # fault 79
    write(tmp_path, "out", "in/b", "in/.shoal/lock", "in/a/c")
    assert Folder(tmp_path / "in").signature_of(name) is None


def test_the_signature_of_one_file(tmp_path: Path) -> None:
    write(tmp_path, "a/b")
    folder = Folder(tmp_path)
    assert folder.signature_of("a/b") == Signature.of((tmp_path / "a/b").stat())
    assert folder.signature_of("a/c") is None
