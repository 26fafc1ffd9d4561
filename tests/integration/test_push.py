"""Pushes, with real processes: who has it, who has not and why, and who gets it later."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cluster import Cluster, Result, cluster_in, fails, noise

NAME, DATA = "some.bin", noise(3_000_000)
NEXT = noise(2_000_000, seed=2)


def accepting(lab: Cluster) -> None:
    lab.file.write_text(f"accept_pushes: true\n{lab.file.read_text()}")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Cluster]:
    """n1 has something. Tracker, n1 and n2 run, n3 does not; n2 has room for 5 MB."""
    with cluster_in(tmp_path, quotas_gb={"n2": 0.005}) as lab:
        accepting(lab)
        lab.put(NAME, DATA, "n1")
        lab.start("n1", "n2")
        yield lab


def states(done: Result) -> dict[str, str]:
    return {one["node"]: one["state"] for one in done.json["nodes"]}


def test_those_that_run_get_it_and_those_that_do_not_are_named(lab: Cluster) -> None:
    done = lab.run("push", NAME, "--wait", "--json")
    assert done.exit_code == done.json["exit_code"] == 6, done.stderr
    assert states(done) == {"n1": "done", "n2": "done", "n3": "offline"}
    assert (done.json["done"], done.json["wanted"]) == (2, 3)
    assert lab.files("n2") == {NAME: DATA}
    told = lab.run("push", NAME, "--to", "n1,n2", "--wait")
    assert (told.exit_code, told.stdout) == (0, "2 of 2 have it\n")


def test_whoever_comes_later_gets_it_too(lab: Cluster) -> None:
    told = lab.run("push", NAME).stdout
    assert told.startswith(f"{NAME} v1, published by n1: 3.0 MB pushed to 3")
    lab.launch("node", "n3")
    done = lab.run("wait", NAME, "--on", "n3", "--timeout", "30s")
    assert (done.exit_code, done.stdout) == (0, "1 of 1 have it\n"), done.stderr
    assert lab.files("n3") == {NAME: DATA}


def test_a_path_is_shared_first(lab: Cluster) -> None:
    mine = lab.path / "new.bin"
    mine.write_bytes(NEXT)
    done = lab.run("push", str(mine), "--as", "n1", "--to", "n2", "--wait", "--json-lines")
    assert done.exit_code == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["event"] == "end"
    assert {one["node"] for one in events[:-1]} == {"n2"}
    assert lab.files("n2")["new.bin"] == NEXT


def test_a_full_node_says_why_and_gets_it_when_there_is_room(lab: Cluster) -> None:
    lab.put("large.bin", noise(4_000_000), "n2")
    done = lab.run("push", NAME, "--to", "n1,n2", "--wait", "--json")
    assert done.exit_code == 6
    assert states(done) == {"n1": "done", "n2": "failed"}
    reasons = {one["node"]: one["reason"] for one in done.json["nodes"]}
    assert (
        "its quota leaves less than 0.00 GB: 0.00 of 0.01 GB are used; `shoal forget"
        in reasons["n2"]
    )
    assert "n2: its quota leaves less than 0.00 GB" in lab.run("push", NAME, "--wait").stdout
    (lab.folder("n2") / "large.bin").unlink()
    assert lab.run("wait", NAME, "--on", "n2", "--timeout", "30").exit_code == 0


def test_the_next_version_supersedes(lab: Cluster) -> None:
    assert lab.run("push", NAME, "--to", "n2", "--wait").exit_code == 0
    lab.put(NAME, NEXT, "n1")
    lab.wait(lambda: "v2" in lab.run("ls", "--long").stdout, "the next version is there")
    assert lab.run("push", NAME, "--to", "n2", "--wait").exit_code == 0
    assert lab.files("n2") == {NAME: NEXT}
    listed = lab.run("pushes", "--json").json
    assert [(one["name"], one["version"], one["have"]) for one in listed] == [(NAME, 2, 1)]
    assert "v2       n2  1 of 1" in lab.run("pushes").stdout


def test_a_directory_comes_in_place_where_the_cluster_file_says_so(tmp_path: Path) -> None:
    """The directory itself is the same one then, while its files are replaced one by one."""
    with cluster_in(tmp_path) as lab:
        accepting(lab)
        text = lab.file.read_text()
        lab.file.write_text(text.replace("folder: n2", "folder: n2, in_place: true"))
        lab.put("photos/a.jpg", DATA, "n1")
        lab.put("photos/b.jpg", DATA, "n1")
        lab.start("n1")
        for node in ("n2", "n3"):  # Copies, which the next version may replace.
            assert lab.fetch("photos", node=node).exit_code == 0
            lab.start_node(node)
        before = {node: (lab.folder(node) / "photos").stat().st_ino for node in ("n2", "n3")}
        lab.put("photos/b.jpg", NEXT, "n1")
        lab.wait(lambda: "v2" in lab.run("ls", "--long").stdout, "the next version is there")
        done = lab.run("push", "photos", "--wait")
        assert (done.exit_code, done.stdout) == (0, "3 of 3 have it\n"), done.stderr
        assert lab.files("n2") == lab.files("n3") == lab.files("n1")
        after = {node: (lab.folder(node) / "photos").stat().st_ino for node in ("n2", "n3")}
        assert after["n2"] == before["n2"]
        assert after["n3"] != before["n3"]


def test_what_is_cancelled_is_not_fetched(lab: Cluster) -> None:
    lab.run("push", NAME, "--to", "n3")
    cancelled = lab.run("push", "--cancel", NAME)
    assert cancelled.stdout == f"{NAME} is no longer pushed; who has it keeps it\n"
    lab.start_node("n3")
    assert lab.run("wait", NAME, "--on", "n3", "--timeout", "2").exit_code == 7
    assert lab.files("n3") == {}
    fails(lab.run("push", "--cancel", NAME), 3, f"'{NAME}' is not pushed")
    assert lab.run("pushes").stderr == "nothing is pushed\n"


def test_a_push_outlives_a_kill_of_the_tracker(lab: Cluster) -> None:
    lab.run("push", NAME, "--to", "n3")
    lab.kill("tracker")
    lab.start_tracker()
    lab.launch("node", "n3")
    assert lab.run("wait", NAME, "--on", "n3", "--timeout", "30").exit_code == 0


def test_an_interrupted_push_goes_on(lab: Cluster) -> None:
    watching = lab.launch("push", NAME, "--wait", "--timeout", "1h")
    lab.wait(lambda: lab.files("n2") == {NAME: DATA}, "n2 has it")
    watching.send_signal(signal.SIGINT)
    done = lab.finish(watching)
    assert done.exit_code == 130
    assert f"`shoal push --cancel {NAME}` ends it" in done.stderr
    assert len(lab.run("pushes", "--json").json) == 1


@pytest.mark.parametrize(
    ("command", "exit_code", "words"),
    [
        (("push", "./cluster.yaml"), 2, "n1, n2, n3; name one of them (--as NAME)"),
        (("push", "nothing.bin"), 3, "no node has announced nothing.bin"),
        (("push", NAME, "--to", "n9"), 2, "no node n9"),
        (("push", NAME, "--to", "zone:attic"), 2, "no node of the cluster file is in zone attic"),
        (("push", NAME, "--to", ","), 2, "nobody is meant by ,"),
        (("push", NAME, "--wait=0%"), 2, "--share 0%: expected one such as 99%"),
        (("push", NAME, "--timeout", "8h"), 2, "--timeout means nothing without --wait"),
        (("push", NAME, "--wait", "--timeout", "soon"), 2, "--timeout soon: expected one such as"),
    ],
)
def test_mistakes_are_told(
    lab: Cluster, command: tuple[str, ...], exit_code: int, words: str
) -> None:
    fails(lab.run(*command), exit_code, words)


def test_nobody_is_pushed_to_who_has_not_agreed(tmp_path: Path) -> None:
    with cluster_in(tmp_path, nodes=("n1",)) as lab:
        lab.put(NAME, DATA, "n1")
        lab.start("n1")
        fails(lab.run("push", NAME), 10, "nodes do not obey pushes here", "accept_pushes: true")


def test_a_node_that_does_not_obey_says_so(tmp_path: Path) -> None:
    with cluster_in(tmp_path, nodes=("n1", "n2")) as lab:
        lab.put(NAME, DATA, "n1")
        lab.launch("node", "n1")
        lab.launch("node", "n2")
        lab.wait(lambda: "serves" in lab.log("node", "n2"), "n2 has read the cluster file")
        accepting(lab)
        lab.start_tracker()
        lab.wait_for_node("n1")
        lab.wait_for_node("n2")
        done = lab.run("push", NAME, "--wait")
        assert done.exit_code == 6
        assert "n2: its cluster file does not accept pushes" in done.stdout


def test_with_keys_admins_push(tmp_path: Path) -> None:
    with cluster_in(tmp_path, nodes=("n1", "n2")) as lab:
        lab.secure()
        lab.put(NAME, DATA, "n1")
        lab.start("n1", "n2")
        secret = lab.path / "cluster.keys/admin.key"
        aside = secret.rename(lab.path / "admin.key")
        fails(lab.run("push", NAME), 10, "admins push, and no admin's secret is beside")
        aside.rename(secret)
        assert lab.run("push", NAME, "--wait").stdout == "2 of 2 have it\n"
        assert lab.files("n2") == {NAME: DATA}
