"""Directories: shared, fetched in whole and in part, and whole or not there at all."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from shoal.node.folder.quota import bytes_below

from tests.integration.cluster import (
    LIMIT_S,
    Cluster,
    cluster_in,
    fails,
    frozen_in_the_middle,
    noise,
)
from tests.unit.node.sample_trees import FOLDER, Items, file, link, make, run, seen

BOTH = ("n1", "n4")  # n1 runs, n4 does not: what a command promises is the same.
ASKERS = ("a", "b", "c", "d", "e", "small")
TREE: Items = {
    "a/b/c.txt": file(b"c"),
    "a/empty": file(),
    "a/run.sh": run(b"#!/bin/sh\n"),
    "data/large.bin": file(noise(3 << 20)),
    "data/nothing here": FOLDER,
    "köln 🐟.txt": file("größer".encode()),
    "log.tmp": file(b"log"),
    "to data": link("data"),
    "a/up": link("../log.tmp"),
}
LARGE: Items = {  # 192 MiB: there is a middle to catch.
    "first/small.txt": file(b"small"),
    **{f"many/{number:03}": file(noise(1 << 20, number)) for number in range(64)},
    "one.bin": file(noise(128 << 20)),
    "other/none": FOLDER,
    "other/run": run(b"run"),
}
LARGE_BYTES = sum(len(content) for kind, content in LARGE.values() if kind in "fx")

as_both = pytest.mark.parametrize("node", BOTH)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """n1 and n2 run; n2 holds `tree`, from outside, and `large`."""
    folder = tmp_path_factory.mktemp("trees") / "cluster"
    nodes = ("n1", "n2", "n4", *ASKERS)
    with cluster_in(folder, nodes=nodes, quotas_gb={"small": 0.001}) as cluster:
        make(cluster.folder("n2") / "large", LARGE)
        cluster.start("n1", "n2")
        done = cluster.run("share", str(make(folder / "tree", TREE)), "--as", "n2", "--json")
        assert (done.exit_code, done.json["announced"], done.json["served"]) == (0, True, True)
        yield cluster


@pytest.fixture(autouse=True)
def nothing_is_left(lab: Cluster) -> Iterator[None]:
    """After each test, n1 and n4 have nothing, and the tracker knows."""
    yield
    lab.forget_all(*BOTH)


def at(path: str, items: Items) -> dict[str, object]:
    """Return what of a tree lies at or below a path."""
    return {key: item for key, item in items.items() if f"{key}/".startswith(f"{path}/")}


# Whole.


@as_both
def test_a_directory_arrives_as_it_was(lab: Cluster, node: str) -> None:
    told = lab.fetch("tree", node=node).json
    assert seen(lab.folder(node) / "tree") == TREE
    assert (told["name"], told["path"]) == ("tree", str(lab.folder(node) / "tree"))
    assert told["size_bytes"] == sum(len(TREE[path][1]) for path in TREE if TREE[path][0] in "fx")
    assert told["fetched_bytes"] >= told["size_bytes"]  # Its listing too.
    assert sum(told["holders"].values()) == told["fetched_bytes"]
    assert lab.holders("tree") == {"n2": True, node: True}
    again = lab.fetch("tree", node=node).json
    assert (again["id"], again["fetched_bytes"]) == (told["id"], 0)


@as_both
def test_a_directory_is_shared_where_it_lies(lab: Cluster, node: str) -> None:
    make(lab.folder(node) / "own", {"x/y": file(b"y"), "z": FOLDER})
    done = lab.run("share", str(lab.folder(node) / "own"), "--as", node, "--json")
    assert (done.exit_code, done.json["announced"], done.json["served"]) == (0, True, node == "n1")
    assert done.json["name"] == "own"
    assert lab.holders("own") == {node: True}
    if node == "n1":
        assert lab.fetch("own", node="n4").exit_code == 0
        assert seen(lab.folder("n4") / "own") == {"x/y": file(b"y"), "z": FOLDER}


def test_a_directory_that_appears_in_the_folder_is_shared(lab: Cluster) -> None:
    make(lab.path / "aside" / "new", TREE).rename(lab.folder("n1") / "new")
    lab.wait(lambda: "new" in lab.announced("n1"), "n1 has announced it")
    ids = {one["name"]: one["id"] for one in lab.run("ls", "--json").json}
    assert ids["new"] == ids["tree"]  # It is the same.


def test_the_current_directory_can_be_shared(lab: Cluster) -> None:
    here = make(lab.path / "here", {"x": file(b"x")})
    for name, path in (("here", "."), ("here", "../here"), ("here", f"{here}/")):
        done = lab.run("share", path, "--as", "n1", "--json", prefix=in_directory(here))
        assert done.exit_code == 0, done.stderr
        assert done.json["name"] == name
    fails(
        lab.run("share", ".", "--as", "n1", prefix=in_directory(lab.folder("n1"))),
        2,
        "is the node's folder",
    )


def in_directory(path: Path) -> list[str]:
    return ["sh", "-c", f'cd "{path}" && exec "$@"', "sh"]


@as_both
def test_links_that_lead_out_are_left_out_with_a_warning(lab: Cluster, node: str) -> None:
    tree = {"x": file(b"x"), "in": link("x"), "out": link("../../n2"), "abs": link("/etc/passwd")}
    for path in (lab.path / f"copied-{node}", lab.folder(node) / f"there-{node}"):
        done = lab.run("share", str(make(path, tree)), "--as", node, "--json")
        assert done.exit_code == 6, done.stderr
        assert [one["path"] for one in done.json["left_out"]] == ["abs", "out"]
        assert done.json["left_out_count"] == 2
        for name in ("out", "abs"):
            warning = f"warning: {path.name}/{name} is not shared: it is a link that may lead out"
            assert done.stderr.count(warning) == 1
    if node == "n1":
        for name in ("copied-n1", "there-n1"):
            assert lab.fetch(name, node="n4").exit_code == 0
            assert sorted(seen(lab.folder("n4") / name)) == ["in", "x"]
    assert sorted(seen(lab.folder(node) / f"there-{node}")) == ["abs", "in", "out", "x"]


@as_both
def test_what_links_lead_to_is_shared_if_that_is_wanted(lab: Cluster, node: str) -> None:
    """A snapshot in the cache of Hugging Face is nothing but links to blobs."""
    name = f"snapshot-{node}"
    make(lab.path / "aside/blobs", {"1": file(b"config"), "2": file(b"model")})
    links = {"config": link("../blobs/1"), "onnx/model": link("../../blobs/2")}
    path = make(lab.path / "aside" / name, links)
    done = lab.run("share", str(path), "--as", node)
    assert done.exit_code == 6, done.stderr
    assert "`shoal share` with --follow-links --force shares" in done.stderr
    assert seen(lab.folder(node) / name) == {"onnx": FOLDER}
    done = lab.run("share", str(path), "--as", node, "--follow-links", "--force", "--json")
    assert (done.exit_code, done.json["size_bytes"], done.json["left_out"]) == (0, 11, [])
    expected = {"config": file(b"config"), "onnx/model": file(b"model")}
    assert seen(lab.folder(node) / name) == expected


def test_names_are_utf_8_whatever_the_locale_says(lab: Cluster) -> None:
    c = ["env", "LC_ALL=C", "PYTHONUTF8=0", "PYTHONCOERCECLOCALE=0"]
    items = {"köln/🐟": file(b"fish"), "caf\udce9": file(b"latin")}
    path = make(lab.path / "ü", items)
    done = lab.run("share", str(path), "--as", "n4", "--json", prefix=c)
    assert (done.exit_code, done.json["name"]) == (6, "ü")
    expected = {"path": "caf\\xe9", "reason": "its name is not valid UTF-8"}
    assert done.json["left_out"] == [expected]
    assert "warning: ü/caf" not in done.stderr  # It goes in the terminal's character set.
    assert r"warning: \xfc/caf\xe9 is not shared: its name is not valid UTF-8" in done.stderr
    assert seen(lab.folder("n4") / "ü") == {"köln/🐟": file(b"fish")}


# In part.


@as_both
def test_what_is_included_and_not_excluded_is_shared(lab: Cluster, node: str) -> None:
    options = ("--include", "a/", "--include", "*.tmp", "--exclude", "*.sh")
    name = f"some-{node}"
    done = lab.run("share", str(make(lab.path / name, TREE)), "--as", node, *options)
    assert done.exit_code == 0, done.stderr
    expected = {path: TREE[path] for path in ("a/b/c.txt", "a/empty", "a/up", "log.tmp")}
    assert seen(lab.folder(node) / name) == expected
    assert node in lab.holders(name)


def test_what_is_not_selected_of_a_directory_in_the_folder_stays_and_is_not_shared(
    lab: Cluster,
) -> None:
    path = make(lab.folder("n1") / "some", TREE)
    done = lab.run("share", str(path), "--as", "n1", "--exclude", "data", "--exclude", "*.tmp")
    assert done.exit_code == 0, done.stderr
    assert lab.fetch("some", node="n4").exit_code == 0
    there = seen(lab.folder("n4") / "some")
    assert sorted(there) == ["a/b/c.txt", "a/empty", "a/run.sh", "a/up", "köln 🐟.txt", "to data"]
    assert seen(path) == TREE


@as_both
def test_a_path_in_a_directory_can_be_fetched(lab: Cluster, node: str) -> None:
    told = lab.fetch("tree/a", node=node).json
    assert (told["name"], told["path"]) == ("tree", str(lab.folder(node) / "tree" / "a"))
    assert told["fetched_bytes"] < 1 << 20
    linked = {"log.tmp": TREE["log.tmp"]}  # From a/up.
    assert seen(lab.folder(node) / "tree") == at("a", TREE) | linked
    assert lab.fetch("tree/köln 🐟.txt", node=node).exit_code == 0
    assert seen(lab.folder(node) / "tree") == {
        **at("a", TREE),
        **linked,
        "köln 🐟.txt": TREE["köln 🐟.txt"],
    }
    assert lab.holders("tree") == {"n2": True}  # A part is not announced.
    fails(lab.fetch("tree/nothing", node=node), 3, "no such file was found: tree/nothing")
    fails(lab.fetch("nothing/a", node=node), 3, "no such file was found: nothing/a")


@as_both
def test_patterns_choose_what_is_fetched_and_the_rest_may_follow(lab: Cluster, node: str) -> None:
    parts = ("--include", "data", "--exclude", "*.bin", "--json")
    assert lab.fetch("tree", node=node, options=parts).exit_code == 0
    assert seen(lab.folder(node) / "tree") == {"data/nothing here": FOLDER}
    fails(lab.fetch("tree", node=node, options=("--include", "*.none")), 3, "nothing in tree")
    done = lab.fetch("tree", node=node)
    assert done.exit_code == 0, done.stderr
    assert seen(lab.folder(node) / "tree") == TREE
    assert lab.holders("tree") == {"n2": True, node: True}


@as_both
def test_output_puts_it_elsewhere(lab: Cluster, node: str) -> None:
    fails(
        lab.fetch("tree/a", node=node, options=("--output", f"out-{node}")),
        2,
        "tree/a/up leads to tree/log.tmp, which is not in tree/a",
    )
    for number, what in enumerate(("tree", "tree/data", "tree/data/large.bin", "tree/a/up")):
        target = lab.path / f"output-{node}-{number}"
        told = lab.fetch(what, node=node, options=("--output", target.name, "--json")).json
        assert told["path"] == str(target)
        inside = what.partition("/")[2].replace("a/up", "log.tmp")  # What it leads to.
        if inside in TREE:
            path = make(lab.path / "expected", {f"{node}-{number}": TREE[inside]})
            assert seen(target.parent)[target.name] == seen(path)[f"{node}-{number}"]
        else:
            expected = at(inside, TREE) if inside else TREE
            start = len(f"{inside}/") if inside else 0
            assert seen(target) == {path[start:]: item for path, item in expected.items()}
    assert lab.things(node) == []
    assert lab.holders("tree") == {"n2": True}


# Whole, or not there.


@as_both
def test_a_directory_appears_whole(lab: Cluster, node: str) -> None:
    path, looks, is_over = lab.folder(node) / "large", set[int](), threading.Event()

    def look() -> None:
        while not is_over.is_set():
            found = [os.path.join(*each) for each in files_below(path)]  # noqa: PTH118
            looks.add(len(found))

    thread = threading.Thread(target=look)
    thread.start()
    done = lab.fetch("large", node=node)
    is_over.set()
    thread.join(LIMIT_S)
    assert done.exit_code == 0, done.stderr
    assert looks <= {0, sum(kind in "fx" for kind, _ in LARGE.values())}
    assert seen(path) == LARGE


def files_below(path: Path) -> list[tuple[str, str]]:
    return [(place, name) for place, _, names in os.walk(path) for name in names]


def test_a_fetch_that_is_killed_leaves_nothing_and_goes_on(lab: Cluster) -> None:
    fetch = lab.launch_fetch("large", "a")
    with frozen_in_the_middle(lab, "large", "a", "n2"):
        lab.kill("fetch", "large", "--as", "a", "--json")
        assert lab.things("a") == []
        assert fetch.exit_code is not None
    told = lab.fetch("large", node="a").json
    assert told["reused_bytes"] > 0
    assert LARGE_BYTES <= told["fetched_bytes"] + told["reused_bytes"] < LARGE_BYTES + (1 << 20)
    assert seen(lab.folder("a") / "large") == LARGE


def test_in_place_each_file_appears_whole(lab: Cluster) -> None:
    lab.launch_fetch("large", "b", "--in-place")
    place = lab.folder("b") / "large"
    lab.wait(lambda: len(files_below(place)) > 3, "some of it is there")
    lab.kill("fetch", "large", "--as", "b", "--json", "--in-place")
    there = seen(place)
    assert len(there) < len(LARGE)
    assert there.items() <= LARGE.items()
    node = lab.launch("node", "b")  # It does not share the half of it.
    lab.wait(lambda: "0 things are ready to serve" in node.stderr, "b is ready")
    lab.wait(lambda: lab.alive().get("b") == 0, "b has said so")
    told = lab.fetch("large", node="b").json  # It goes on as it began.
    lab.stop("node", "b")
    assert LARGE_BYTES <= told["fetched_bytes"] + told["reused_bytes"] < LARGE_BYTES + (1 << 20)
    assert told["reused_bytes"] >= sum(len(content) for _, content in there.values())
    assert seen(place) == LARGE


def test_in_place_it_is_shared_when_it_is_whole(lab: Cluster) -> None:
    done = lab.fetch("tree", node="n4", options=("--in-place",))
    assert done.exit_code == 0, done.stderr
    assert seen(lab.folder("n4") / "tree") == TREE
    assert lab.holders("tree") == {"n2": True, "n4": True}


def test_a_fetch_that_is_interrupted_goes_on(lab: Cluster) -> None:
    lab.launch_fetch("large", "c")
    with frozen_in_the_middle(lab, "large", "c", "n2"):
        done = lab.stop("fetch", "large", "--as", "c", "--json")
    assert done.exit_code == 143
    assert lab.things("c") == []
    assert lab.fetch("large", node="c").json["reused_bytes"] > 0
    assert seen(lab.folder("c") / "large") == LARGE


def test_what_is_being_fetched_is_served_meanwhile(lab: Cluster) -> None:
    def has_some(node: str) -> bool:
        partial = lab.folder(node) / ".shoal" / "partial"
        return any(map(bytes_below, partial.glob("*/tree")))

    first = lab.launch_fetch("large", "d")
    with frozen_in_the_middle(lab, "large", "d", "n2", is_enough=lambda: has_some("d")):
        lab.wait(lambda: lab.holders("large").get("d") is False, "d has announced its part")
        second = lab.launch_fetch("large", "e")
        lab.wait(lambda: has_some("e"), "d serves e")
    for fetch in (first, second):
        assert lab.finish(fetch).exit_code == 0
    assert seen(lab.folder("e") / "large") == LARGE


# Room.


def test_a_quota_is_kept(lab: Cluster) -> None:
    for what in ("tree", "tree/data"):  # 3 MiB where 1 MB may be.
        done = lab.fetch(what, node="small")
        fails(done, 8, "is more than the quota of small leaves", "raise quota_gb")
        assert done.json["exit_code"] == 8
    fails(
        lab.run("share", str(lab.folder("n2") / "tree"), "--as", "small"),
        8,
        "is more than the quota of small leaves",
    )
    assert lab.things("small") == []
    assert lab.fetch("tree/a", node="small").exit_code == 0
    done = lab.run(
        "share", str(lab.folder("n2") / "large"), "--as", "small", "--include", "other", "--force"
    )
    assert done.exit_code == 0, done.stderr
