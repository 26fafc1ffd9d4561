"""Sharing from where things lie: nothing is copied there or written there, and changes are seen."""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cluster import Cluster, cluster_in, fails, noise

DATA, NEXT = noise(3_000_000), noise(2_000_000, seed=2)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Cluster]:
    with cluster_in(tmp_path / "lab", nodes=("n1", "n2")) as lab:
        lab.start("n1")
        yield lab


@pytest.fixture
def run7(tmp_path: Path) -> Path:
    """A directory that lies elsewhere, with a link in it."""
    place = tmp_path / "data/run7"
    place.mkdir(parents=True)
    (place / "a.bin").write_bytes(DATA)
    (place / "same.bin").symlink_to("a.bin")
    return place


def states(place: Path) -> dict[str, tuple[int, int, int]]:
    """Return what changes if anything is written to, or beside, what lies there."""
    found = {path: path.lstat() for path in (place.parent, place, *place.iterdir())}
    return {
        str(path): (one.st_ino, one.st_mtime_ns, one.st_ctime_ns) for path, one in found.items()
    }


def test_a_directory_is_served_from_where_it_lies(lab: Cluster, run7: Path) -> None:
    before = states(run7)
    done = lab.run("share", str(run7), "--as", "n1", "--link")
    assert done.exit_code == 0, done
    assert (lab.folder("n1") / "run7").readlink() == run7
    assert lab.fetch("run7", node="n2").exit_code == 0
    assert (lab.folder("n2") / "run7/a.bin").read_bytes() == DATA
    assert (lab.folder("n2") / "run7/same.bin").readlink() == Path("a.bin")
    stored = sum(path.lstat().st_size for path in lab.folder("n1").rglob("*"))
    assert stored < len(DATA) / 2  # Nothing of it, but the node's own notes.
    assert states(run7) == before
    assert lab.run("share", str(run7), "--as", "n1", "--link").exit_code == 0  # Again.
    assert lab.run("forget", "run7", "--as", "n1", "--delete").exit_code == 0
    assert lab.names("n1") == []
    assert states(run7) == before


def test_a_change_there_is_the_next_version(lab: Cluster, run7: Path) -> None:
    file = run7 / "a.bin"
    assert lab.run("share", str(file), "--as", "n1", "--link").exit_code == 0
    assert lab.run("share", str(run7), "--as", "n1", "--link").exit_code == 0
    file.write_bytes(NEXT)
    lab.wait(lambda: lab.run("ls").stdout.count("v2") == 2, "both have a next version")
    assert lab.fetch("a.bin", "run7", node="n2").exit_code == 0
    assert lab.files("n2") == {"a.bin": NEXT, "run7/a.bin": NEXT, "run7/same.bin": NEXT}
    file.unlink()
    lab.wait(lambda: not lab.holders("a.bin").get("n1"), "it is withdrawn")


def overwritten(file: Path) -> bytes:
    """Overwrite some bytes of a file, and set its time back; return what it has now."""
    status = file.stat()
    with file.open("r+b") as opened:
        opened.seek(1000)
        opened.write(b"rot")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    return file.read_bytes()


def test_a_change_that_sets_the_time_back_is_the_next_version_too(lab: Cluster, run7: Path) -> None:
    file = run7 / "a.bin"
    for what in (run7, file):
        assert lab.run("share", str(what), "--as", "n1", "--link").exit_code == 0
    data = overwritten(file)
    lab.wait(lambda: lab.run("ls").stdout.count("v2") == 2, "both have a next version")
    assert lab.fetch("a.bin", "run7", node="n2").exit_code == 0
    assert lab.files("n2") == {"a.bin": data, "run7/a.bin": data, "run7/same.bin": data}


def test_what_has_moved_there_is_not_hashed_again(lab: Cluster, run7: Path) -> None:
    for what in (run7, run7 / "a.bin"):
        assert lab.run("share", str(what), "--as", "n1", "--link").exit_code == 0
    before = {name: lab.run("where", name, "--json").json["id"] for name in ("a.bin", "run7")}
    (run7.parent / "b").mkdir()
    moved = run7.rename(run7.parent / "b/run7")
    lab.wait(lambda: not lab.announced("n1"), "both are withdrawn")
    done = lab.run("share", str(moved), "--as", "n1", "--link", "--json")
    assert done.json["id"] == before["run7"]
    overwritten(moved / "a.bin")  # Only hashing could tell.
    alone = (moved / "a.bin").rename(run7.parent / "a.bin")
    done = lab.run("share", str(alone), "--as", "n1", "--link", "--json")
    assert done.json["id"] == before["a.bin"]


def test_what_has_rotted_there_is_left_to_its_owner(lab: Cluster, run7: Path) -> None:
    for what in (run7, run7 / "a.bin"):
        assert lab.run("share", str(what), "--as", "n1", "--link").exit_code == 0
    assert lab.fetch("run7", "a.bin", node="n2").exit_code == 0  # Others could heal it.
    lab.start_node("n2")
    lab.stop("node", "n1")
    file = run7 / "a.bin"
    rotten = overwritten(file)
    with contextlib.closing(sqlite3.connect(lab.folder("n1") / ".shoal/cache.db")) as cache:
        cache.execute("UPDATE manifests SET ctime = ''")  # A disk that rots tells nothing of it.
        cache.commit()
    lab.start_node("n1")
    for name in ("run7", "a.bin"):
        done = lab.run("verify", name, "--as", "n1", "--json")
        (found,) = done.json
        assert (found["damaged"], found["healed"]) == (1, False), done
        assert "it is a link; restore " in found["trouble"]
    assert file.read_bytes() == rotten
    assert (lab.folder("n1") / "run7").is_symlink()


@pytest.mark.parametrize("options", [(), ("--in-place",), ("--force",), ("--force", "--in-place")])
def test_the_next_version_is_not_written_there(
    lab: Cluster, run7: Path, options: tuple[str, ...]
) -> None:
    assert lab.run("share", str(run7), "--as", "n1", "--link").exit_code == 0
    before = states(run7)
    lab.put("run7/a.bin", NEXT, "n2")
    assert lab.run("share", str(lab.folder("n2") / "run7"), "--as", "n2", "--force").exit_code == 0
    lab.start_node("n2")
    done = lab.run("fetch", "run7", "--as", "n1", *options)
    assert done.exit_code in {2, 8}, done
    assert states(run7) == before
    assert (run7 / "a.bin").read_bytes() == DATA


def test_what_is_fetched_to_a_place_is_served_from_there(
    lab: Cluster, run7: Path, tmp_path: Path
) -> None:
    assert lab.run("share", str(run7), "--as", "n1").exit_code == 0
    done = lab.fetch("run7", node="n2", options=("--to", str(tmp_path / "here"), "--json"))
    assert done.json["path"] == str(tmp_path / "here")
    lab.start_node("n2")
    lab.wait(lambda: lab.announced("n2") == {"run7"}, "it is served")
    done = lab.run("fetch", "run7", "--as", "n2", "--to", str(tmp_path / "there"))
    fails(done, 2, "already has run7, a link to", "`shoal forget run7 --delete --as n2`")
    assert lab.run("forget", "run7", "--delete", "--as", "n2").exit_code == 0
    assert (tmp_path / "here/a.bin").read_bytes() == DATA


def test_something_else_of_that_name_stays(lab: Cluster, run7: Path) -> None:
    lab.put("run7/mine.bin", NEXT, "n1")
    lab.wait(lambda: "run7" in lab.run("ls").stdout, "it is shared")
    for force in ((), ("--force",)):
        done = lab.run("share", str(run7), "--as", "n1", "--link", *force)
        fails(done, 2, "already has a", "run7")
    assert lab.files("n1") == {"run7/mine.bin": NEXT}


def test_the_cluster_file_may_name_links(tmp_path: Path, run7: Path) -> None:
    with cluster_in(tmp_path / "other", nodes=("n1", "n2")) as lab:
        links = json.dumps([str(run7), str(run7 / "a.bin"), "nowhere"])
        text = lab.file.read_text().replace("folder: n1", f"folder: n1, links: {links}")
        lab.file.write_text(text)
        lab.start_tracker()
        lab.launch("node", "n1")
        lab.wait(lambda: lab.announced("n1") == {"run7", "a.bin"}, "both are shared")
        assert lab.fetch("run7", node="n2").exit_code == 0
        lab.file.write_text(text.replace("nowhere", "elsewhere/run7"))
        fails(lab.run("ls"), 2, "nodes.n1.links", "expected paths that end in different names")
