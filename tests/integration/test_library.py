"""The library, with real processes: with a running node, as the node, in threads and forks."""

import json
import os
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import shoal

from tests.integration.cluster import Cluster, cluster_in, environment, free_address, noise

NAME, DATA = "some.bin", noise(3_000_000)
LIMIT_S = 60.0
RANK = """
import json, sys, shoal
with shoal.connect(sys.argv[1], as_="n2") as session:
    path = session.fetch(sys.argv[2], timeout=50)
    print(json.dumps([path.stat().st_size, session.node]))
    sys.stdin.read()
"""
FORKED = """
import os, sys, shoal
with shoal.connect(sys.argv[1], as_="n2") as session:
    session.fetch("first.bin")
    children = []
    for _ in range(2):
        if (child := os.fork()) == 0:
            size = session.fetch(sys.argv[2]).stat().st_size
            os._exit(0 if size == int(sys.argv[3]) else 1)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0, 0], codes
    session.fetch("last.bin")
"""
IMPORTED = """
import json, sys
before = set(sys.modules)
import shoal
names = {name.split(".")[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(names - sys.stdlib_module_names)))
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Cluster]:
    """n1 has something; it and the tracker run."""
    with cluster_in(tmp_path) as lab:
        metrics = free_address().removeprefix("tcp://")
        text = lab.file.read_text().replace("folder: n1", f"folder: n1, metrics: {metrics}")
        lab.file.write_text(f"accept_pushes: true\n{text}")
        lab.put(NAME, DATA, "n1")
        lab.start("n1")
        yield lab


@pytest.fixture
def session(lab: Cluster) -> Iterator[shoal.Session]:
    with shoal.connect(lab.file, as_="n2") as session:
        yield session


def python(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate("", LIMIT_S)
    assert (process.returncode, err) == (0, ""), (out, err)
    return out


def test_this_process_is_the_node_meanwhile(lab: Cluster, session: shoal.Session) -> None:
    seen: list[shoal.Progress] = []
    assert session.node == "n2"
    path = session.fetch(NAME, on_progress=seen.append)
    assert (path, path.read_bytes()) == (lab.folder("n2") / NAME, DATA)
    assert seen[-1].done <= len(DATA)
    assert {one.name for one in seen} == {NAME}
    lab.wait(lambda: lab.holders(NAME) == {"n1": True, "n2": True}, "it is announced")
    assert lab.fetch(NAME, node="n3").exit_code == 0  # From either: both serve it.
    done = lab.fetch(NAME, node="n2")  # By a command: this process takes its order.
    assert (done.exit_code, done.json["fetched_bytes"]) == (0, 0)
    session.close()
    lab.wait(lambda: "n2" not in lab.alive(), "it has left")
    with pytest.raises(shoal.Stopped, match="closed; open another"):
        session.fetch(NAME)


def test_a_running_node_is_given_the_orders(lab: Cluster, session: shoal.Session) -> None:
    lab.start_node("n2")
    assert session.fetch(NAME).read_bytes() == DATA
    session.close()
    assert "n2" in lab.alive()


def test_what_is_asked_and_shared(lab: Cluster, session: shoal.Session, tmp_path: Path) -> None:
    mine = tmp_path / "mine.bin"
    mine.write_bytes(DATA[:1000])
    shared = session.share(mine)
    assert (shared.name, shared.size, shared.version, shared.publisher) == (
        "mine.bin",
        1000,
        1,
        "n2",
    )
    listed = {thing.name: thing for thing in session.ls()}
    assert listed.keys() == {NAME, "mine.bin"}
    assert listed["mine.bin"] == shared
    places = {place.node: place for place in session.where(NAME)}
    assert (places["n1"].complete, places["n2"].state) == (True, "none")
    pushed = session.push(NAME, to="n1,n2")
    assert (pushed.thing.name, pushed.thing.version, set(pushed.states)) == (NAME, 1, {"n1", "n2"})
    counts: list[int] = []
    done = session.wait(
        NAME, on="n2", timeout=LIMIT_S, on_progress=lambda told: counts.append(told.done)
    )
    assert (done.done, counts[-1], done.reasons) == (1, 1, {})
    assert (lab.folder("n2") / NAME).read_bytes() == DATA
    session.forget("mine.bin", delete=True)
    assert not (session.folder / "mine.bin").exists()


def test_what_goes_wrong_is_also_a_built_in_exception(
    lab: Cluster, session: shoal.Session, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError, match="no such file was found: nothing"):
        session.fetch("nothing")
    with pytest.raises(shoal.NotFound):
        session.push("nothing")
    with pytest.raises(TimeoutError, match="nobody has announced nothing after"):
        session.wait("nothing", timeout=0.1)
    with pytest.raises(TimeoutError, match=r"0 of 1 have some\.bin after"):
        session.wait(NAME, on="n3", timeout=0.1)
    with pytest.raises(ValueError, match="share is 2; expected"):
        session.wait(NAME, share=2)
    with pytest.raises(ValueError, match="no node n9"):
        shoal.connect(lab.file, as_="n9")
    with pytest.raises(shoal.Invalid, match="no such file or directory"):
        session.share(tmp_path / "nothing")
    with pytest.raises(OSError, match=r"cannot write some\.bin in /proc"):
        session.fetch(NAME, to="/proc/nowhere")
    lab.kill("tracker")
    with pytest.raises(shoal.Unreachable):
        session.ls()
    lab.kill("node", "n1")
    with pytest.raises(shoal.Unreachable, match="does not answer"):
        session.fetch("other.bin")


def test_the_time_may_be_limited(lab: Cluster, session: shoal.Session) -> None:
    lab.put("large.bin", noise(60_000_000), "n1")
    lab.wait(lambda: "large.bin" in lab.run("ls").stdout, "it is announced")
    with pytest.raises(shoal.TimedOut, match=r"the data fetched so far is kept|the time is up"):
        session.fetch("large.bin", timeout=0.01)
    assert session.fetch("large.bin", timeout=LIMIT_S).stat().st_size == 60_000_000


def test_threads_that_want_the_same_share_one_fetch(lab: Cluster, session: shoal.Session) -> None:
    paths: list[Path] = []
    threads = [threading.Thread(target=lambda: paths.append(session.fetch(NAME))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert paths == [lab.folder("n2") / NAME] * 4
    assert sent_bytes(lab) == len(DATA)


def sent_bytes(lab: Cluster) -> float:
    """Return what n1 has sent in all."""
    metrics = lab.file.read_text().partition("metrics: ")[2].partition("}")[0]
    with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=LIMIT_S) as answer:
        text = answer.read().decode()
    sent = re.findall(r"^shoal_sent_bytes_total\b.* ([\d.e+]+)$", text, re.MULTILINE)
    return sum(map(float, sent))


def test_ranks_on_one_host_move_each_chunk_once(lab: Cluster) -> None:
    """Nobody runs the node: the first rank is it, and the others give it their orders."""
    ranks = [python(RANK, lab.file, NAME) for _ in range(4)]
    assert [json.loads(told(rank)) for rank in ranks] == [[len(DATA), "n2"]] * 4
    assert sent_bytes(lab) == len(DATA)


def test_after_a_fork_the_child_goes_on(lab: Cluster) -> None:
    for seed, name in enumerate(("first.bin", "last.bin")):
        lab.put(name, noise(1000, seed=seed), "n1")
    lab.wait(lambda: "last.bin" in lab.run("ls").stdout, "all is announced")
    assert told(python(FORKED, lab.file, NAME, len(DATA))) == ""
    assert sent_bytes(lab) == len(DATA) + 2 * 1000


def test_another_becomes_the_node_when_it_stops(lab: Cluster, session: shoal.Session) -> None:
    """Whatever was under way is given again: here, to this process itself."""
    lab.put("large.bin", noise(200_000_000), "n1")
    lab.wait(lambda: "large.bin" in lab.run("ls").stdout, "it is announced")
    lab.start_node("n2")
    begun = threading.Event()
    paths: list[Path] = []

    def fetch() -> None:
        paths.append(session.fetch("large.bin", on_progress=lambda _: begun.set()))

    thread = threading.Thread(target=fetch)
    thread.start()
    assert begun.wait(LIMIT_S)
    lab.kill("node", "n2")
    thread.join(LIMIT_S)
    assert [path.stat().st_size for path in paths] == [200_000_000]


def test_importing_it_brings_nothing_that_nobody_asked_for() -> None:
    assert json.loads(told(python(IMPORTED))) == ["shoal"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        shoal.nothing  # noqa: B018 (that is the point)
    assert set(shoal.__all__) <= {*dir(shoal), *shoal.__all__}
    for name in shoal.__all__:
        assert getattr(shoal, name) is not None


def test_it_is_usable_without_a_place_of_its_own(
    lab: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOAL_CONFIG", str(lab.file))
    with pytest.raises(shoal.Invalid, match=r"nodes of .* are on this machine"):
        shoal.connect()
    assert os.environ["SHOAL_CONFIG"] == str(lab.file)
