"""Versions of things, and what a node does with those it holds: forgets, verifies, heals."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cluster import Cluster, cluster_in, fails, noise
from tests.unit.node.sample_trees import Items, file, make, run, seen
from tests.unit.node.things import id_of, plain

BOTH = ("n1", "n4")  # n1 runs, n4 does not.
OLD: Items = {
    "large.bin": file(noise(8 << 20)),
    "other.bin": file(noise(4 << 20, 2)),
    "notes.txt": file(b"old"),
    "run.sh": run(b"#!/bin/sh\n"),
}
NEW: Items = {
    "large.bin": OLD["large.bin"],
    "other.bin": file(OLD["other.bin"][1][:-1] + b"x"),
    "notes.txt": file(b"new notes"),
    "sub/more.txt": file(b"more"),
}

as_both = pytest.mark.parametrize("node", BOTH)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """n1, n2 and n3 run; n3 holds the old version of `tree`, and n2 the new one."""
    folder = tmp_path_factory.mktemp("versions") / "cluster"
    with cluster_in(folder, nodes=("n1", "n2", "n3", "n4", "n5", "n6")) as cluster:
        make(cluster.folder("n2") / "tree", OLD)
        cluster.start("n1", "n2", "n3")
        assert cluster.fetch("tree", node="n3").exit_code == 0
        make(folder / "tree", NEW)
        refused = cluster.run("share", "tree", "--as", "n2")
        fails(
            refused, 2, "already has a different tree", "--force publishes this as the next version"
        )
        done = cluster.run("share", "tree", "--as", "n2", "--force", "--json")
        assert done.exit_code == 0, done.stderr
        assert seen(cluster.folder("n2") / "tree") == NEW
        yield cluster


@pytest.fixture(autouse=True)
def nothing_is_left(lab: Cluster) -> Iterator[None]:
    """After each test, n1 and n4 have nothing, and the tracker knows."""
    yield
    lab.forget_all(*BOTH)


def ids(lab: Cluster, name: str) -> list[str]:
    """Return the versions of a name, the newest first."""
    return [one["id"] for one in lab.run("ls", "--json").json if one["name"] == name]


def rot(path: Path) -> None:
    """Flip a bit, and let nothing tell of it."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    with path.open("r+b") as damaged:
        damaged.write(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


# Versions.


def test_ls_and_where_tell_of_all_versions(lab: Cluster) -> None:
    listed = [one for one in lab.run("ls", "--json").json if one["name"] == "tree"]
    assert [one["newest"] for one in listed] == [True, False]
    assert [[holder["node"] for holder in one["holders"]] for one in listed] == [["n2"], ["n3"]]
    told = lab.run("where", "tree", "--json").json
    assert told["id"] == listed[0]["id"]
    assert [one["id"] for one in told["versions"]] == [listed[1]["id"]]
    spoken = lab.run("where", "tree").stderr
    assert re.search(rf"another version: .*\d+ s old, {listed[1]['id']}", spoken)
    assert "tree (older)" in lab.run("ls").stdout


@as_both
def test_a_name_means_the_newest_version(lab: Cluster, node: str) -> None:
    assert lab.fetch("tree", node=node).json["id"] == ids(lab, "tree")[0]
    assert seen(lab.folder(node) / "tree") == NEW


@as_both
def test_an_older_version_is_had_by_the_beginning_of_its_id(lab: Cluster, node: str) -> None:
    new, old = ids(lab, "tree")
    for what in (f"tree@{old[3:11]}", f"tree@{old}"):
        told = lab.fetch(what, node=node).json
        assert (told["name"], told["id"]) == ("tree", old)
        assert seen(lab.folder(node) / "tree") == OLD
        assert lab.fetch(f"tree@{new[3:11]}", node=node).json["id"] == new  # And back again.
        assert seen(lab.folder(node) / "tree") == NEW
    told = lab.fetch(f"tree@{old[3:11]}/notes.txt", node="n5", options=OUTPUT).json
    assert Path(told["path"]).read_bytes() == b"old"
    Path(told["path"]).unlink()  # It would not be replaced.


OUTPUT = ("--output", "notes", "--json")


def test_a_version_that_is_none_is_not_found(lab: Cluster) -> None:
    for node in BOTH:
        unknown = lab.fetch("tree@00000000", node=node)
        fails(unknown, 3, "tree has no version whose id begins with 00000000", "`shoal where tree`")
        fails(lab.fetch("nothing@00000000", node=node), 3, "no such file was found")


def test_a_version_must_be_the_only_one_that_begins_so(lab: Cluster) -> None:
    one, other = alike()
    for node, content in (("n2", one), ("n3", other)):
        (lab.path / "alike.txt").write_bytes(content)
        done = lab.run("share", "alike.txt", "--as", node, "--force")
        assert done.exit_code == 0, done.stderr
    prefix = id_of(plain(one))[3:7]
    for node in BOTH:
        ambiguous = lab.fetch(f"alike.txt@{prefix}", node=node)
        fails(ambiguous, 2, f"alike.txt has 2 versions that begin with {prefix}: b3:{prefix}")
        assert lab.fetch(f"alike.txt@{id_of(plain(one))[3:19]}", node=node).exit_code == 0
        assert lab.files(node)["alike.txt"] == one


def alike() -> tuple[bytes, bytes]:
    """Return two contents whose ids begin with the same four digits."""
    known: dict[str, bytes] = {}
    for number in range(1 << 16):
        content = b"%d" % number
        other = known.setdefault(id_of(plain(content))[:7], content)
        if other != content:
            return other, content
    raise AssertionError


@as_both
def test_only_what_has_changed_is_moved(lab: Cluster, node: str) -> None:
    new, old = ids(lab, "tree")
    assert lab.fetch(old, node=node).exit_code == 0
    told = lab.fetch("tree", node=node).json
    assert told["id"] == new
    assert told["fetched_bytes"] < 1 << 20
    assert told["reused_bytes"] > 11 << 20
    assert seen(lab.folder(node) / "tree") == NEW
    told = lab.fetch(f"tree@{old}", node=node, options=("--in-place", "--json")).json
    assert told["fetched_bytes"] < 1 << 20
    assert seen(lab.folder(node) / "tree") == OLD


def test_insertions_move_little_where_the_content_says_where_to_cut(lab: Cluster) -> None:
    first, later = noise(6 << 20, 3), noise(1000, 4) + noise(6 << 20, 3)
    for content, force in ((first, ()), (later, ("--force",))):
        (lab.path / "by-content.bin").write_bytes(content)
        options = ("--chunking", "content", *force)
        done = lab.run("share", "by-content.bin", "--as", "n2", *options)
        assert done.exit_code == 0, done.stderr
        fetched_bytes = lab.fetch("by-content.bin", node="n1").json["fetched_bytes"]
        assert lab.files("n1")["by-content.bin"] == content
        assert fetched_bytes < (2 << 20 if force else 7 << 20)


# Forget.


@as_both
def test_what_is_forgotten_is_not_shared_and_can_be_shared_again(lab: Cluster, node: str) -> None:
    content_id = lab.fetch("tree", node=node).json["id"]
    told = lab.run("forget", "tree", "--as", node, "--json").json
    assert told == {"name": "tree", "id": content_id, "deleted": False}
    assert node not in lab.holders("tree")
    assert seen(lab.folder(node) / "tree") == NEW
    assert lab.run("forget", "tree", "--as", node).exit_code == 0
    done = lab.run("share", str(lab.folder(node) / "tree"), "--as", node, "--json")
    assert (done.json["id"], done.json["announced"]) == (content_id, True)
    assert node in lab.holders("tree")


def test_what_is_forgotten_stays_so_over_a_restart(lab: Cluster) -> None:
    lab.put("kept.txt", b"kept", "n5")
    lab.put("other.txt", b"other", "n5")
    assert lab.run("forget", "kept.txt", "--as", "n5").exit_code == 0
    node = lab.launch("node", "n5")
    lab.wait(lambda: "1 thing is ready to serve" in node.stderr, "n5 is ready")
    lab.wait(lambda: lab.announced("n5") == {"other.txt"}, "n5 has said so")
    lab.stop("node", "n5")
    assert lab.names("n5") == ["kept.txt", "other.txt"]


@as_both
def test_what_is_deleted_is_gone(lab: Cluster, node: str) -> None:
    for what in ("tree", "tree/notes.txt"):  # A part of it is deleted as well.
        assert lab.fetch(what, node=node).exit_code == 0
        told = lab.run("forget", "tree", "--delete", "--as", node, "--json").json
        assert (told["name"], told["deleted"]) == ("tree", True)
        assert lab.things(node) == []
        assert node not in lab.holders("tree")
    missing = lab.run("forget", "tree", "--delete", "--as", node)
    fails(missing, 3, f"{node} has no tree", "shoal ls")


# Verify.


def verified(lab: Cluster, node: str, *what: str) -> tuple[int, dict[str, Any]]:
    done = lab.run("verify", *what, "--as", node, "--json")
    return done.exit_code, {one["name"]: one for one in done.json}


@as_both
def test_what_is_right_is_said_to_be(lab: Cluster, node: str) -> None:
    lab.put("a.txt", b"a", node)
    assert lab.fetch("tree", node=node).exit_code == 0
    code, things = verified(lab, node)
    assert code == 0
    assert sorted(things) == ["a.txt", "tree"]
    assert [one["damaged"] for one in things.values()] == [0, 0]
    done = lab.run("verify", "a.txt", "--as", node)
    assert (done.exit_code, done.stdout) == (0, "a.txt: right, all 1 chunks\n")
    fails(lab.run("verify", "nothing", "--as", node), 3, f"{node} has no nothing")


@as_both
def test_what_has_rotted_is_healed_from_another_node(lab: Cluster, node: str) -> None:
    content_id = lab.fetch("tree", node=node).json["id"]
    (lab.folder(node) / "tree" / "ours.txt").symlink_to("/etc/hostname")  # It is not shared.
    rot(lab.folder(node) / "tree" / "large.bin")
    code, things = verified(lab, node, "tree")
    assert (code, things["tree"]["damaged"], things["tree"]["healed"]) == (0, 1, True), things
    assert 0 < things["tree"]["fetched_bytes"] < 1 << 20
    (lab.folder(node) / "tree" / "ours.txt").unlink()
    assert seen(lab.folder(node) / "tree") == NEW
    told = lab.run("where", content_id, "--json").json
    assert node in [holder["node"] for holder in told["holders"]]


@as_both
def test_what_nobody_else_has_is_not_shared_any_more(lab: Cluster, node: str) -> None:
    name = f"only-{node}.bin"
    lab.put(name, noise(2 << 20, 5), node)
    lab.put("right.txt", b"right", node)
    shared = lab.run("share", str(lab.folder(node) / name), "--as", node)
    assert shared.exit_code == 0
    rot(lab.folder(node) / name)
    code, things = verified(lab, node)
    assert code == 5
    assert (things[name]["damaged"], things[name]["healed"]) == (1, False)
    assert things[name]["trouble"] == "no other node has a good copy"
    assert things["right.txt"]["damaged"] == 0
    fails(lab.run("where", name), 3, name)
    assert name in lab.names(node)
    done = lab.run("verify", "--as", node)
    assert (done.exit_code, done.stdout) == (0, "right.txt: right, all 2 chunks\n")


def test_what_has_rotted_in_a_node_that_serves_it_goes_nowhere(lab: Cluster) -> None:
    lab.put("served.bin", noise(2 << 20, 6), "n2", "n3")
    lab.wait(lambda: len(lab.holders("served.bin")) == 2, "both have announced it")
    rot(lab.folder("n2") / "served.bin")
    told = lab.fetch("served.bin", node="n4").json
    assert lab.files("n4")["served.bin"] == noise(2 << 20, 6)
    assert told["wrong_chunks"] <= 1
    lab.run("verify", "served.bin", "--as", "n2")  # It may be at it already, as it was told.
    lab.wait(lambda: lab.files("n2")["served.bin"] == noise(2 << 20, 6), "n2 has healed it")


@pytest.mark.parametrize("is_running", [True, False])
def test_verify_ends_soon_when_it_is_told_to(lab: Cluster, *, is_running: bool) -> None:
    for number in range(64):  # 4 GiB of holes: to hash them takes seconds, and no disk.
        with (lab.folder("n6") / f"{number}").open("wb") as hole:
            hole.truncate((64 << 20) + number)
    if is_running:
        lab.start_node("n6")
    command = lab.launch("verify", "--as", "n6")
    lab.wait(lambda: "n6" in lab.alive(), "n6 is there")
    if is_running:
        time.sleep(0.7)  # Nothing tells when a command has given its order.
    assert command.exit_code is None
    done = lab.stop("verify", "--as", "n6")
    assert (done.exit_code, done.stdout) == (143, "")
    if is_running:
        lab.stop("node", "n6")
