"""shoal:// in fsspec, and in those that read through it as far as they are installed.

`pip install -e '.[matrix]'` brings all of them.
"""

import copy
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from shoal.api import filesystem
from shoal.api.filesystem import ShoalFileSystem

from tests.integration.cluster import Cluster, cluster_in, noise

ROWS = 4000
CSV = "a,b\n" + "".join(f"{number},{number * 2}\n" for number in range(ROWS))
DATA = noise(1_500_000)
TREE = {
    "set/rows.csv": CSV.encode(),
    "set/deep/er/data.bin": DATA,
    "set/deep/small.txt": b"small",
    "plain.bin": DATA[:1000],
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster_in(tmp_path_factory.mktemp("lab"), nodes=("n1", "n2")) as lab:
        for name, data in TREE.items():
            lab.put(name, data, "n1")
        (lab.folder("n1") / "set/last.csv").symlink_to("rows.csv")
        (lab.folder("n1") / "set/below").symlink_to("deep")
        (lab.folder("n1") / "set/empty").mkdir()
        lab.start("n1")
        yield lab


@pytest.fixture(scope="module")
def options(lab: Cluster) -> Iterator[dict[str, Any]]:
    """What `storage_options` are."""
    yield {"config": str(lab.file), "as_": "n2"}
    for session in filesystem._sessions.values():
        session.close()
    filesystem._sessions.clear()


@pytest.fixture
def files(options: dict[str, Any]) -> ShoalFileSystem:
    found = fsspec.filesystem("shoal", skip_instance_cache=True, **options)
    assert isinstance(found, ShoalFileSystem)
    return found


def test_what_is_there(files: ShoalFileSystem) -> None:
    assert files.ls("", detail=False) == ["plain.bin", "set"]
    assert files.ls("shoal://set/", detail=False) == [
        "set/below",
        "set/deep",
        "set/empty",
        "set/last.csv",
        "set/rows.csv",
    ]
    assert files.ls("set/empty") == []
    assert files.ls("plain.bin")[0]["size"] == 1000
    assert files.find("set/deep") == ["set/deep/er/data.bin", "set/deep/small.txt"]
    assert files.glob("shoal://set/**/*.csv") == ["set/last.csv", "set/rows.csv"]
    assert (files.isdir("set/below"), files.isfile("set/below/small.txt")) == (True, True)
    assert files.info("set/last.csv")["size"] == len(CSV)
    assert not files.exists("set/nothing")
    assert not files.exists("nothing")
    assert files.du("set/deep") == len(DATA) + len(b"small")


def test_bytes_of_it(files: ShoalFileSystem, lab: Cluster) -> None:
    assert files.cat_file("set/deep/er/data.bin", 1000, 2000) == DATA[1000:2000]
    assert files.cat_file("set/deep/er/data.bin", start=-10) == DATA[-10:]
    assert files.cat("shoal://set/below/small.txt") == b"small"
    with files.open("set/last.csv") as file:
        assert io.TextIOWrapper(file).readlines()[-1] == CSV.splitlines(keepends=True)[-1]
    content_id = files.info("set")["id"].removeprefix("b3:")
    with files.open(f"shoal://set@{content_id[:12]}/deep/er/data.bin") as file:
        file.seek(-5, os.SEEK_END)
        assert file.read() == DATA[-5:]
        again = copy.copy(file)  # As pickling does it.
    again.seek(0)
    assert again.read(10) == DATA[:10]
    again.close()
    files.get("set/deep", str(lab.path / "got"), recursive=True)
    assert (lab.path / "got/er/data.bin").read_bytes() == DATA


def test_which_version_it_is(files: ShoalFileSystem, lab: Cluster) -> None:
    lab.put("changing.txt", b"first", "n1")
    lab.wait(lambda: "changing.txt" in lab.run("ls").stdout, "it is there")
    first = (
        files.ukey("changing.txt"),
        files.checksum("changing.txt"),
        files.modified("changing.txt"),
    )
    lab.put("changing.txt", b"second", "n1")
    lab.wait(
        lambda: "changing.txt (older)" in lab.run("ls").stdout or "v2" in lab.run("ls").stdout, "v2"
    )
    assert files.info("changing.txt")["size"] == len(b"first")  # It was settled.
    files.invalidate_cache()
    assert files.cat("changing.txt") == b"second"
    second = (
        files.ukey("changing.txt"),
        files.checksum("changing.txt"),
        files.modified("changing.txt"),
    )
    assert all(before != after for before, after in zip(first, second, strict=True))
    assert second[2] > first[2]


@pytest.mark.parametrize(
    "call",
    [
        lambda files: files.mkdir("new"),
        lambda files: files.makedirs("new/er"),
        lambda files: files.open("set/rows.csv", "wb"),
        lambda files: files.rm("set", recursive=True),
        lambda files: files.touch("new"),
        lambda files: files.pipe_file("new", b""),
        lambda files: files.mv("set", "new"),
        lambda files: files.cp_file("set/rows.csv", "new"),
    ],
)
def test_it_is_read_only(files: ShoalFileSystem, call: Any) -> None:
    with pytest.raises(OSError, match="read-only; use `shoal share`") as caught:
        call(files)
    assert caught.value.errno == 30


def test_what_is_not_there_is_not_found(files: ShoalFileSystem) -> None:
    for path in ("nothing", "set/nothing", "plain.bin/below"):
        with pytest.raises(FileNotFoundError):
            files.cat_file(path)


def test_many_threads_and_a_fork(files: ShoalFileSystem) -> None:
    found: list[bytes] = []
    path = "set/deep/er/data.bin"

    def read(start: int) -> None:
        found.append(files.cat_file(path, start, start + 10))

    threads = [threading.Thread(target=read, args=(1000 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(found) == sorted(DATA[1000 * n : 1000 * n + 10] for n in range(8))


# Those that read through it.


def test_pandas(options: dict[str, Any]) -> None:
    pandas = pytest.importorskip("pandas")
    read = pandas.read_csv("shoal://set/rows.csv", storage_options=options)
    assert (read.a.sum(), read.b.sum()) == (sum(range(ROWS)), 2 * sum(range(ROWS)))


def table(lab: Cluster) -> Path:
    """Have n1 share some columns in two files of parquet."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    place = lab.folder("n1") / "table"
    if not place.exists():
        aside = lab.path / "table"
        aside.mkdir()
        for part in range(2):
            columns = {name: [part * ROWS + n for n in range(ROWS)] for name in "abcd"}
            parquet.write_table(arrow.table(columns), aside / f"{part}.parquet", row_group_size=500)
        aside.rename(place)
        lab.wait(lambda: "table" in lab.run("ls").stdout, "it is shared")
    return place


TOTAL = sum(range(2 * ROWS))


def test_pandas_parquet(lab: Cluster, options: dict[str, Any]) -> None:
    pandas = pytest.importorskip("pandas")
    table(lab)
    url = "shoal://table/0.parquet"
    assert pandas.read_parquet(url, columns=["b"], storage_options=options).b.sum() == sum(
        range(ROWS)
    )


def test_arrow(lab: Cluster, files: ShoalFileSystem) -> None:
    dataset = pytest.importorskip("pyarrow.dataset")
    table(lab)
    found = dataset.dataset("table", filesystem=files, format="parquet").to_table(columns=["a"])
    assert sum(found["a"].to_pylist()) == TOTAL


def test_duckdb(lab: Cluster, files: ShoalFileSystem) -> None:
    duckdb = pytest.importorskip("duckdb")
    table(lab)
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.register_filesystem(files)
        found = connection.sql("select sum(a) from 'shoal://table/*.parquet'").fetchall()
    assert found == [(TOTAL,)]


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # Dask with the newest pandas.
def test_dask(lab: Cluster, options: dict[str, Any]) -> None:
    frames = pytest.importorskip("dask.dataframe")
    table(lab)
    found = frames.read_parquet("shoal://table/*.parquet", storage_options=options)
    assert found.a.sum().compute() == TOTAL


def test_datasets(lab: Cluster, options: dict[str, Any]) -> None:
    datasets = pytest.importorskip("datasets")
    table(lab)
    found = datasets.load_dataset(
        "parquet",
        data_files="shoal://table/1.parquet",
        storage_options=options,
        cache_dir=str(lab.path / "cache"),
    )
    assert found["train"].num_rows == ROWS


def test_paths(options: dict[str, Any]) -> None:
    upath = pytest.importorskip("upath")
    path = upath.UPath("shoal://set", **options)
    assert (path / "deep/small.txt").read_text() == "small"
    assert {one.name for one in path.iterdir()} >= {"deep", "rows.csv"}
