"""`shoal dashboard` as a process, asked without a browser."""

import base64
import contextlib
import http.client
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from shoal.dashboard.streams import MOST_STREAMS

from tests.dashboard.browser import launched
from tests.integration.cluster import (
    BIG_BYTES,
    Cluster,
    cluster_in,
    fails,
    frozen_in_the_middle,
    noise,
)

EVERYWHERE = "0.0.0.0:0"
DASHBOARD = ("dashboard", "--listen", "127.0.0.1:0")


@contextlib.contextmanager
def asked(url: str, path: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
    """Give the answer, which may go on, until the block ends."""
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=20.0)
    try:
        connection.request("GET", path, headers=headers)
        with connection.getresponse() as answer:
            yield answer
    finally:
        connection.close()


def first_event(url: str) -> str:
    with asked(url, "/events") as answer:
        return "".join(line.decode() for line in iter(answer.readline, b"\n"))


def test_tells_pages_what_the_tracker_says_and_lets_in_no_more_than_so_many(
    cluster: Cluster,
) -> None:
    cluster.put("a.txt", b"a", "n1")
    cluster.start("n1")
    url = launched(cluster)
    event = first_event(url)
    assert event.startswith("event: whole\ndata: ")
    assert '"n1":{"state":"alive"' in event
    with asked(url, "/events", Host="evil.example") as answer:
        assert answer.status == 421
    with contextlib.ExitStack() as pages:
        for _ in range(MOST_STREAMS):
            assert pages.enter_context(asked(url, "/events")).status == 200
        with asked(url, "/events") as answer:
            assert answer.status == 503
        done = cluster.stop(*DASHBOARD, number=signal.SIGTERM)
    assert done.exit_code == 0
    assert "the dashboard has stopped" in done.stderr


@pytest.mark.parametrize("has_keys", [False, True])
def test_shows_which_chunks_a_node_has_that_is_fetching(
    cluster: Cluster, *, has_keys: bool
) -> None:
    cluster.put("big.bin", noise(BIG_BYTES), "n1")
    if has_keys:
        cluster.secure()
    cluster.start("n1", "n2")
    cluster.launch_fetch("big.bin", "n2")
    with frozen_in_the_middle(cluster, "big.bin", "n2", "n1"):
        (thing,) = cluster.run("ls", "--json").json
        topic = quote(f"thing:big.bin@{thing['id']}")
        url = launched(cluster)
        with asked(url, f"/events?about={topic}") as answer:
            for line in answer:
                if line.startswith(b"data: ") and b'"levels"' in line:
                    break
    rows = json.loads(line.removeprefix(b"data: "))["rows"]
    assert rows["n2"]["state"] == "part"
    assert 0 < rows["n2"]["have"] < rows["n2"]["size"] == BIG_BYTES
    columns = base64.b64decode(rows["n2"]["levels"])
    assert len(columns) == rows[""]["columns"]
    assert 0 < sum(columns) < 255 * len(columns)


def test_with_keys_it_asks_as_anybody_whose_secret_is_here(cluster: Cluster) -> None:
    cluster.secure()
    cluster.start("n1")
    url = launched(cluster, "--as", "n2")
    assert '"n1":{"state":"alive"' in first_event(url)
    cluster.put("b.txt", b"b", "n1")
    fails(cluster.run("dashboard", "--as", "n9"), 2, "n9")


def test_waits_for_a_tracker_that_is_not_there(cluster: Cluster) -> None:
    port = launched(cluster, place=EVERYWHERE).strip("/").rsplit(":", 1)[1]
    assert "does not answer" in first_event(f"http://127.0.0.1:{port}/")
    said = cluster.process("dashboard", "--listen", EVERYWHERE).stderr
    assert "warning: whoever reaches this address can see names, sizes and nodes" in said
    taken = cluster.run("dashboard", "--listen", f"127.0.0.1:{port}")
    fails(taken, 11, f"127.0.0.1:{port}", "Address already in use", "--listen")
    fails(cluster.run("dashboard", "--listen", "here"), 2, "expected HOST:PORT")


def test_without_its_packages_it_says_how_to_get_them(tmp_path: Path) -> None:
    for name in ("starlette", "uvicorn"):
        (tmp_path / f"{name}.py").mkdir()
    hidden = "import sys; sys.modules.update(starlette=None, uvicorn=None)\n"
    (tmp_path / "sitecustomize.py").write_text(hidden)
    with cluster_in(tmp_path / "cluster") as cluster:
        done = cluster.run("dashboard", env={"PYTHONPATH": str(tmp_path)})
    fails(done, 2, "pip install starlette uvicorn")
