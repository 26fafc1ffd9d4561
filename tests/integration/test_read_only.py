"""A folder that is only read: it is served, its state is elsewhere, and nothing comes into it."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cluster import Cluster, cluster_in, fails, noise

DATA, NEXT = noise(3_000_000), noise(200_000, seed=2)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """What the owner of the folder has in it."""
    folder = tmp_path / "data"
    (folder / "tree").mkdir(parents=True)
    (folder / "a.bin").write_bytes(DATA)
    (folder / "tree/b.bin").write_bytes(NEXT)
    return folder


@pytest.fixture
def lab(tmp_path: Path, data: Path) -> Iterator[Cluster]:
    """Node n1's folder is mounted read-only; without the right to do so, the file says so."""
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    own = f"folder: {mounted}, state_folder: {tmp_path / 'state'}"
    is_root = os.geteuid() == 0
    if is_root:
        _mount("--bind", str(data), str(mounted))
        _mount("-o", "remount,ro,bind", str(mounted))
    else:
        own = own.replace(str(mounted), str(data)) + ", read_only: true"
    try:
        with cluster_in(tmp_path / "lab", nodes=("n1", "n2")) as lab:
            lab.file.write_text(lab.file.read_text().replace("folder: n1", own))
            lab.start_tracker()
            yield lab
    finally:
        if is_root:
            subprocess.run(["umount", "-l", str(mounted)], check=True)


def states(folder: Path) -> dict[Path, tuple[int, int]]:
    found = {path: path.lstat() for path in (folder, *folder.rglob("*"))}
    return {path: (one.st_mtime_ns, one.st_ctime_ns) for path, one in found.items()}


def test_a_folder_that_is_only_read_is_served(lab: Cluster, data: Path, tmp_path: Path) -> None:
    before = states(data)
    lab.launch("node", "n1")
    lab.wait(lambda: lab.announced("n1") == {"a.bin", "tree"}, "both are served")
    assert lab.fetch("a.bin", "tree", node="n2").exit_code == 0
    assert lab.files("n2") == {"a.bin": DATA, "tree/b.bin": NEXT}
    assert lab.run("fetch", "a.bin", "--as", "n1").exit_code == 0  # It is here.
    lab.put("c.bin", NEXT, "n2")
    assert lab.run("share", str(lab.folder("n2") / "c.bin"), "--as", "n2").exit_code == 0
    lab.start_node("n2")
    fails(lab.run("fetch", "c.bin", "--as", "n1"), 8, "is read-only", "--to PATH")
    fails(lab.run("share", str(lab.file), "--as", "n1"), 8, "is read-only", "--link")
    fails(lab.run("forget", "tree", "--delete", "--as", "n1"), 8, "is read-only")
    to = str(tmp_path / "c.bin")
    assert lab.run("fetch", "c.bin", "--as", "n1", "--to", to).exit_code == 0
    assert lab.announced("n1") == {"a.bin", "tree", "c.bin"}
    assert lab.run("check").exit_code == 0
    lab.stop("node", "n1")
    lab.launch("node", "n1")
    lab.wait(lambda: lab.announced("n1") == {"a.bin", "tree", "c.bin"}, "all are served again")
    assert lab.run("forget", "c.bin", "--delete", "--as", "n1").exit_code == 0
    assert states(data) == before
    assert Path(to).read_bytes() == NEXT
    (data / "a.bin").write_bytes(NEXT)  # Its owner may write.
    lab.wait(lambda: "v2" in lab.run("ls").stdout, "there is a next version")
