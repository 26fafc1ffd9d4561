"""What the commands promise to scripts: exit codes, JSON, the same with a running node or none."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cluster import (
    BIG_BYTES,
    STOP_S,
    Cluster,
    cluster_in,
    frozen_in_the_middle,
    noise,
)

BIG = "big.bin"
BOTH = ("n1", "n4")  # n1 runs, n4 does not: what a command promises is the same.
ASKERS = ("a", "b", "c", "d", "e")
DATA = {
    "one.txt": b"one",
    "two.txt": b"".join(b"%06d" % line for line in range(500)),
    "three.txt": b"",
}

as_both = pytest.mark.parametrize("node", BOTH)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """n1, n2 and n3 run; n2 and n3 hold all of DATA and big.bin."""
    folder = tmp_path_factory.mktemp("commands") / "cluster"
    with cluster_in(folder, nodes=("n1", "n2", "n3", "n4", *ASKERS)) as cluster:
        for name, data in DATA.items():
            cluster.put(name, data, "n2", "n3")
        cluster.put(BIG, noise(BIG_BYTES), "n2")
        cluster.start("n3")  # First: it publishes what n2 has too.
        for node in ("n1", "n2"):
            cluster.start_node(node)
        yield cluster


def without(lab: Cluster, node: str, *names: str) -> None:
    """Take files away, and wait until a running node has noticed."""
    for name in names:
        (lab.folder(node) / name).unlink(missing_ok=True)
    if node == "n1":
        lab.wait(lambda: not {*names} & lab.announced(node), "n1 has noticed")


def shape(value: Any) -> Any:
    """Return what a document looks like: its keys and the kinds of its values."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value)


def holds(found: Any, promised: Any) -> bool:
    """Say whether a shape has all that was promised; more keys are welcome."""
    if isinstance(promised, dict):
        return all(key in found and holds(found[key], each) for key, each in promised.items())
    if isinstance(promised, list):
        return len(found) == 1 and holds(found[0], promised[0])
    return bool(found == promised)


HOLDER = {"node": str, "address": str, "complete": bool}
FILE = {"name": str, "id": str, "size_bytes": int, "holders": [HOLDER]}
STATUS = {
    "tracker": {"address": str, "uptime_s": float},
    "nodes": [{"node": str, "address": str, "alive": bool, "files": int}],
}
FETCHED = {
    "name": str,
    "id": str,
    "size_bytes": int,
    "elapsed_s": float,
    "fetched_bytes": int,
    "reused_bytes": int,
    "path": str,
}


def test_ls_where_and_status_print_what_is_promised(lab: Cluster) -> None:
    assert holds(shape(lab.run("ls", "--json").json), [FILE])
    assert holds(shape(lab.run("where", "one.txt", "--json").json), FILE)
    assert holds(shape(lab.run("status", "--json").json), STATUS)
    nodes = {one["node"]: one["alive"] for one in lab.run("status", "--json").json["nodes"]}
    assert [nodes[node] for node in ("n1", "n2", "n3", "n4")] == [True, True, True, False]


def test_where_takes_an_id_too(lab: Cluster) -> None:
    by_name = lab.run("where", "two.txt", "--json").json
    by_id = lab.run("where", by_name["id"], "--json").json
    assert by_id["holders"] == by_name["holders"]


@as_both
def test_fetch_prints_what_is_promised(lab: Cluster, node: str) -> None:
    without(lab, node, "two.txt")
    told = lab.fetch_from("n2", "n3", name="two.txt", node=node).json
    assert holds(shape(told), FETCHED)
    assert {"n2", "n3"} <= set(told["holders"])
    assert sum(told["holders"].values()) == told["fetched_bytes"] == told["size_bytes"] == 3000
    assert Path(told["path"]).read_bytes() == DATA["two.txt"]


@as_both
def test_fetch_takes_an_id_too(lab: Cluster, node: str) -> None:
    without(lab, node, "two.txt")
    content_id = lab.run("where", "two.txt", "--json").json["id"]
    assert lab.fetch(content_id, node=node).json["name"] == "two.txt"
    assert lab.files(node)["two.txt"] == DATA["two.txt"]


@as_both
def test_several_names_are_fetched_one_by_one(lab: Cluster, node: str) -> None:
    done = lab.fetch(*DATA, node=node)
    assert done.exit_code == 0
    assert [one["name"] for one in done.json] == list(DATA)
    assert DATA.items() <= lab.files(node).items()


@as_both
def test_some_of_several_names_may_fail(lab: Cluster, node: str) -> None:
    done = lab.fetch("nothing.txt", "one.txt", node=node)
    assert done.exit_code == 6
    failure, fetched = done.json
    assert failure == {"error": done.errors[0].removeprefix("error: "), "exit_code": 3}
    assert fetched["name"] == "one.txt"
    assert lab.fetch("nothing.txt", "nor this", node=node).exit_code == 3


@as_both
def test_what_is_here_and_whole_is_not_fetched_again(lab: Cluster, node: str) -> None:
    assert lab.fetch("one.txt", node=node).exit_code == 0
    told = lab.fetch("one.txt", node=node).json
    assert (told["fetched_bytes"], told["reused_bytes"], told["holders"]) == (0, 3, {})
    spoken = lab.fetch("one.txt", node=node, options=())
    assert spoken.stdout.startswith("one.txt v1, published by n3, is already here: 3 B in ")


@as_both
def test_a_quiet_fetch_says_nothing_but_failures(lab: Cluster, node: str) -> None:
    without(lab, node, "one.txt")
    done = lab.fetch("one.txt", node=node, options=("--quiet",))
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    done = lab.fetch("nothing.txt", node=node, options=("-q",))
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (3, "", 1)


@as_both
def test_output_puts_it_elsewhere(lab: Cluster, node: str) -> None:
    without(lab, node, "two.txt")
    target = lab.path / f"elsewhere-{node}"
    told = lab.fetch("two.txt", node=node, options=("--output", target.name, "--json")).json
    assert told["path"] == str(target)
    assert target.read_bytes() == DATA["two.txt"]
    assert "two.txt" not in lab.names(node)
    assert node not in lab.holders("two.txt")


def test_a_fetch_that_takes_too_long_is_given_up(lab: Cluster) -> None:
    lab.start_node("b")
    for asker in ("a", "b"):  # Without a running node, and with one.
        fetch = lab.launch_fetch(BIG, asker, "--timeout", "4")  # n2 may have been frozen just now.
        with frozen_in_the_middle(lab, BIG, asker, "n2"):
            done = lab.finish(fetch, 4 + STOP_S)
        assert done.exit_code == done.json["exit_code"] == 7, done.stderr
        assert lab.names(asker) == []
    lab.stop("node", "b")


def test_a_second_fetch_in_a_folder_waits_for_the_first(lab: Cluster) -> None:
    first = lab.launch_fetch(BIG, "c")
    with frozen_in_the_middle(lab, BIG, "c", "n2"):
        second = lab.launch_fetch("one.txt", "c")
        lab.wait(lambda: "waiting for it to end" in second.stderr, "it says that it waits")
        impatient = lab.fetch("one.txt", node="c", options=("--timeout", "0.1"))
        assert impatient.exit_code == 7
    assert lab.finish(first).exit_code == lab.finish(second).exit_code == 0
    assert lab.names("c") == [BIG, "one.txt"]


def test_a_node_carries_out_two_orders_at_once(lab: Cluster) -> None:
    lab.start_node("d")
    first = lab.launch_fetch(BIG, "d")
    with frozen_in_the_middle(lab, BIG, "d", "n2"):
        assert lab.fetch("one.txt", node="d").exit_code == 0
        again = lab.launch_fetch(BIG, "d", "--quiet")
        impatient = lab.fetch(BIG, node="d", options=("--timeout", "0.5"))
        assert impatient.exit_code == 7  # Which stops nobody else.
    assert lab.finish(first).exit_code == lab.finish(again).exit_code == 0
    lab.stop("node", "d")


def test_a_change_in_a_running_nodes_folder_is_noticed(lab: Cluster) -> None:
    def is_held(content: bytes | None) -> bool:
        told = lab.run("where", "live.txt", "--json")
        holders = [one["node"] for one in told.json.get("holders", ())]
        size_bytes = told.json.get("size_bytes")
        return ("n3" in holders and size_bytes == len(content)) if content else holders == []

    for content in (b"first", b"second!"):
        lab.put("live.txt", content, "n3")
        lab.wait(lambda content=content: is_held(content), "n3 has announced it")  # type: ignore[misc]
        without(lab, "n1", "live.txt")
        assert lab.fetch("live.txt", node="n1").exit_code == 0
        assert lab.files("n1")["live.txt"] == content
    without(lab, "n1", "live.txt")
    (lab.folder("n3") / "live.txt").unlink()
    lab.wait(lambda: is_held(None), "n3 has withdrawn it")


@as_both
def test_a_shared_file_is_announced(lab: Cluster, node: str) -> None:
    source = lab.path / f"to-share-{node}.txt"
    source.write_bytes(b"shared")
    done = lab.run("share", source.name, "--as", node, "--json")
    promised = {"name": str, "id": str, "size_bytes": int, "announced": bool, "served": bool}
    assert holds(shape(done.json), promised)
    assert (done.json["announced"], done.json["served"]) == (True, node == "n1")
    assert lab.files(node)[source.name] == b"shared"
    assert node in lab.holders(source.name)
    assert source.exists()


@as_both
def test_sharing_does_not_replace_another_file(lab: Cluster, node: str) -> None:
    assert lab.fetch("one.txt", node=node).exit_code == 0
    (lab.path / "one.txt").write_bytes(b"other")
    done = lab.run("share", "one.txt", "--as", node)
    assert (done.exit_code, len(done.errors)) == (2, 1)
    assert (
        "n3 has already published a different one.txt as v1; --force publishes this as v2"
        in done.errors[0]
    )
    assert lab.files(node)["one.txt"] == b"one"


def test_fetching_does_not_replace_what_nobody_else_has(lab: Cluster) -> None:
    lab.put("one.txt", b"of my own", "e")
    done = lab.fetch("one.txt", node="e")
    assert (done.exit_code, len(done.errors)) == (2, 1)
    assert lab.files("e") == {"one.txt": b"of my own"}
    assert lab.fetch("one.txt", node="e", options=("--force",)).exit_code == 0
    assert lab.files("e") == {"one.txt": b"one"}


def test_check_finds_nothing_wrong_with_a_cluster_that_runs(lab: Cluster) -> None:
    done = lab.run("check", "--json")
    assert done.exit_code == 0
    assert {finding["state"] for finding in done.json["findings"]} <= {"ok", "note"}


def test_demo_shows_the_whole_thing(lab: Cluster) -> None:
    started = time.monotonic()
    done = lab.run_alone("demo")
    assert done.exit_code == 0, done.stderr
    assert "all three files arrived and are verified" in done.stderr
    assert time.monotonic() - started < 15


@as_both
def test_what_an_interrupted_fetch_left_is_shown_and_removed_at_a_word(
    lab: Cluster, node: str
) -> None:
    place = lab.folder(node) / ".shoal/partial" / ("7" * 64)
    place.mkdir(parents=True)
    (place / "name").write_text("left.bin")
    (place / "data").write_bytes(noise(100_000))
    shown = {(one["node"], one["name"]) for one in lab.run("status", "--json").json["unfinished"]}
    assert (node, "left.bin") in shown
    assert "left.bin" in lab.run("check").stdout
    assert "left.bin" in lab.run("status").stderr
    done = lab.run("fetch", "left.bin", "--discard", "--as", node, "--json").json
    assert (done["what"], done["count"]) == ("left.bin", 1)
    assert done["freed_bytes"] >= 100_000
    assert not place.exists()
    again = lab.run("fetch", "left.bin", "one.txt", "--discard", "--as", node)
    assert again.stdout.count("no interrupted fetch has left any data") == 2


def test_the_only_node_of_a_machine_needs_no_name(tmp_path: Path) -> None:
    with cluster_in(tmp_path, nodes=("n1",)) as alone:
        alone.start_tracker()
        alone.launch("node")
        alone.wait(lambda: alone.run("status", "--json").json["nodes"][0]["alive"], "n1 runs")
        (tmp_path / "some.txt").write_text("some")
        assert alone.run("share", str(tmp_path / "some.txt")).exit_code == 0
        fetched = alone.run("fetch", "some.txt", "--json").json
        assert fetched["path"] == f"{alone.folder('n1')}/some.txt"
        assert alone.run("verify").exit_code == 0
        assert alone.run("forget", "some.txt", "--delete").exit_code == 0
        assert not (alone.folder("n1") / "some.txt").exists()
