"""Files are read while they come, with real processes."""

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
from shoal.api.local_node import LocalNode
from shoal.api.reading import Reader, open_reading
from shoal.config.cluster import load

from tests.integration.cluster import Cluster, cluster_in, environment, free_address, noise

NAME, DATA = "some.bin", noise(12_000_000)
LATER = noise(12_000_000, seed=2)
RATE = 6_000_000  # In bytes/s, of n2: so all of it takes two seconds.
BLOCK_BYTES = 1 << 20
CHUNK_BYTES = 128 << 10  # Up to 32 MiB.
RANGES = (2_000_000, 2_700_000), (6_000_000, 6_700_000)  # As of a column.
SHARDS = {f"shard-{number}": noise(3_000_000, seed=number) for number in range(4)}
FORKED = """
import os, sys, shoal
with shoal.connect(sys.argv[1], as_="n2") as session:
    file = session.open(sys.argv[2])
    assert len(file.read(1000)) == 1000
    if (child := os.fork()) == 0:
        file.seek(-1000, 2)
        os._exit(0 if len(file.read()) == 1000 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert file.tell() == 1000
    assert len(file.read()) == file.size - 1000
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Cluster]:
    """n1 has a file and a directory; n2 runs, and receives slowly."""
    with cluster_in(tmp_path) as lab:
        metrics = free_address().removeprefix("tcp://")
        own = f"folder: n2, metrics: {metrics}, limits: {{down: {RATE // 1000}kB/s}}"
        lab.file.write_text(lab.file.read_text().replace("folder: n2", own))
        lab.put(NAME, DATA, "n1")
        for shard, data in SHARDS.items():
            lab.put(f"tree/{shard}", data, "n1")
        lab.start("n1", "n2")
        yield lab


@pytest.fixture
def session(lab: Cluster) -> Iterator[shoal.Session]:
    with shoal.connect(lab.file, as_="n2") as session:
        yield session


def state(session: shoal.Session, name: str = NAME) -> str:
    return {place.node: place.state for place in session.where(name)}["n2"]


def received_bytes(lab: Cluster) -> int:
    found = re.search(r"metrics: (\S+?)[,}\n]", lab.file.read_text())
    assert found is not None
    with urllib.request.urlopen(f"http://{found[1]}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    each = re.findall(r"^shoal_received_bytes_total\{.*\} (\S+)$", text, re.MULTILINE)
    return sum(int(float(one)) for one in each)


def rest_of(file: Reader) -> bytes:
    return b"".join(iter(lambda: file.read(BLOCK_BYTES), b""))


def test_what_is_read_is_there_before_the_rest(lab: Cluster, session: shoal.Session) -> None:
    with session.open(NAME) as file:
        assert (file.size, file.id, file.name) == (len(DATA), file.id, f"{NAME}@{file.id}")
        file.seek(-1000, os.SEEK_END)
        assert file.read() == DATA[-1000:]
        chunks = 1
        for start, end in RANGES:
            file.seek(start)
            assert file.read(end - start) == DATA[start:end]
            chunks += (end - 1) // CHUNK_BYTES - start // CHUNK_BYTES + 1
        some_bytes = chunks * CHUNK_BYTES
        lab.wait(lambda: received_bytes(lab) > 0.9 * some_bytes, "that is counted")
        assert received_bytes(lab) < 1.3 * some_bytes
        assert state(session) == "part"
        file.seek(0)
        assert rest_of(file) == DATA
        lab.wait(lambda: "n2" in session.ls()[0].holders, "all of it is in its place")
        file.seek(1000)
        assert file.read(1000) == DATA[1000:2000]
    assert lab.files("n2")[NAME] == DATA
    assert received_bytes(lab) == len(DATA)


def test_a_holder_that_dies_meanwhile_is_not_missed(lab: Cluster, session: shoal.Session) -> None:
    assert lab.fetch(NAME, node="n3").exit_code == 0
    lab.start_node("n3")
    with session.open(NAME) as file:
        begun = file.read(BLOCK_BYTES)
        lab.kill("node", "n1")
        assert begun + rest_of(file) == DATA


def test_those_who_read_the_same_share_one_fetch(lab: Cluster, session: shoal.Session) -> None:
    found: dict[int, bytes] = {}

    def read(number: int) -> None:
        with shoal.connect(lab.file, as_="n2") as mine, mine.open(NAME) as file:
            found[number] = rest_of(file)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    fetched = session.fetch(NAME)
    for thread in threads:
        thread.join()
    assert all(found[number] == DATA for number in range(3))
    assert fetched.read_bytes() == DATA
    assert received_bytes(lab) == len(DATA)


def test_a_new_version_is_not_mixed_into_it(lab: Cluster, session: shoal.Session) -> None:
    assert lab.fetch(NAME, node="n3").exit_code == 0
    lab.start_node("n3")
    with session.open(NAME) as file:
        begun = file.read(BLOCK_BYTES)
        lab.put(NAME, LATER, "n1")
        lab.wait(
            lambda: {thing.id for thing in session.ls() if thing.name == NAME} > {file.id},
            "the new version is announced",
        )
        assert begun + rest_of(file) == DATA
    with session.open(NAME) as file:
        assert file.read(1000) == LATER[:1000]


def test_what_came_is_kept_when_nobody_reads_any_more(lab: Cluster, session: shoal.Session) -> None:
    with session.open(NAME) as file, session.open(NAME) as other:
        file.read(BLOCK_BYTES)
        file.close()
        assert other.read(1000) == DATA[:1000]
    lab.wait(lambda: state(session) == "none", "nothing is fetched any more")
    before = received_bytes(lab)
    assert before < len(DATA)
    assert [one.name for one in (lab.folder("n2") / ".shoal/partial").iterdir()] != []
    with session.open(NAME) as file:
        assert rest_of(file) == DATA
    assert received_bytes(lab) < len(DATA) + before // 2


def test_of_a_directory_only_the_files_that_are_open_come(
    lab: Cluster, session: shoal.Session
) -> None:
    with session.open("tree/shard-3") as last, session.open("tree/shard-1") as file:
        assert last.read(1000) == SHARDS["shard-3"][:1000]
        assert rest_of(file) == SHARDS["shard-1"]
        assert SHARDS["shard-3"].endswith(rest_of(last))
        lab.wait(lambda: lab.names("n2") == ["tree/shard-1", "tree/shard-3"], "they are there")
        file.seek(5)
        assert file.read(5) == SHARDS["shard-1"][5:10]
    assert received_bytes(lab) < sum(map(len, SHARDS.values())) * 3 // 4
    with pytest.raises(FileNotFoundError, match=r"no (such )?file .*shard-9"):
        session.open("tree/shard-9")
    with pytest.raises(FileNotFoundError, match="is a directory"):
        session.open("tree")
    with pytest.raises(FileNotFoundError, match="no such file was found: nothing"):
        session.open("nothing")


def test_a_node_that_is_started_again_goes_on(lab: Cluster, session: shoal.Session) -> None:
    with session.open(NAME) as file:
        begun = file.read(BLOCK_BYTES)
        lab.stop("node", "n2")
        lab.start_node("n2")
        assert begun + rest_of(file) == DATA


def test_this_process_may_be_the_node(lab: Cluster) -> None:
    lab.stop("node", "n2")
    with shoal.connect(lab.file, as_="n2") as session, session.open(NAME) as file:
        assert rest_of(file) == DATA
    cluster = load(lab.file)
    with LocalNode(cluster, cluster.nodes["n3"]) as node, open_reading(node, NAME) as file:
        assert file.read(1000) == DATA[:1000]


def test_a_forked_child_reads_too(lab: Cluster) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED, str(lab.file), NAME],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
