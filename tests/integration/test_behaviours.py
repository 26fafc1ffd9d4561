"""The behaviours that the system was asked for, S1 to S12, each seen from outside."""

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from shoal.api.asking import ask
from shoal.protocol import messages
from shoal.protocol.messages import Holders, Query
from shoal.protocol.trackers import Trackers

from tests.integration.cluster import (
    BIG_BYTES,
    LIMIT_S,
    ROOT,
    Cluster,
    cluster_in,
    frozen_in_the_middle,
    noise,
    port_of,
)

EXAMPLE = {"net.txt": ("n1", "n2"), "network.txt": ("n1", "n3"), "seeds.txt": ("n2", "n3")}
CHUNK = 1 << 20
SIZES = (0, 1, 2, 3, 1025, CHUNK - 1, CHUNK, CHUNK + 1, 8 * CHUNK + 5, 9 * CHUNK + 3)


def shipped(name: str) -> bytes:
    return (ROOT / "config" / EXAMPLE[name][0] / name).read_bytes()


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The user's example, with a fourth node; n1 and n4 do not run."""
    folder = tmp_path_factory.mktemp("example") / "cluster"
    with cluster_in(folder, nodes=("n1", "n2", "n3", "n4"), holdings=EXAMPLE) as cluster:
        for name, nodes in EXAMPLE.items():
            cluster.put(name, shipped(name), *nodes)
        for size_bytes in SIZES:
            cluster.put(f"{size_bytes}.bin", noise(size_bytes, size_bytes), "n1", "n2", "n3")
        cluster.start("n2", "n3")
        yield cluster


def test_s01_the_tracker_knows_addresses_and_holders_from_the_start(tmp_path: Path) -> None:
    with cluster_in(tmp_path / "cluster", holdings=EXAMPLE) as cluster:
        cluster.start()
        files = cluster.run("ls", "--json").json
    assert {file["name"] for file in files} == set(EXAMPLE)
    for file in files:
        told = {holder["node"]: holder["address"] for holder in file["holders"]}
        assert told == {node: cluster.addresses[node] for node in EXAMPLE[file["name"]]}


def test_s02_a_query_tells_the_holders_and_an_update_adds_the_sender(example: Cluster) -> None:
    example.put("new.txt", b"new", "n2")
    example.wait(lambda: "n2 holds new.txt" in example.log("tracker"), "s02")
    assert example.holders("new.txt") == {"n2": True}
    assert example.fetch("new.txt", node="n1").exit_code == 0
    assert example.holders("new.txt") == {"n1": True, "n2": True}


def test_s03_a_query_for_what_nobody_holds_fails(example: Cluster) -> None:
    done = example.fetch("nothing.txt", node="n1")
    assert (done.exit_code, done.json["exit_code"]) == (3, 3)
    assert done.errors == [
        "error: no such file was found: nothing.txt; `shoal ls` lists the files that are shared"
    ]


def test_s04_an_asker_that_is_listed_has_lost_it(example: Cluster) -> None:
    assert example.fetch("seeds.txt", node="n1").exit_code == 0  # It has spoken for itself, …
    example.wait(lambda: "n1 holds net.txt" in example.log("tracker"), "… and said what it has")
    (example.folder("n1") / "net.txt").unlink()
    assert set(example.holders("net.txt")) == {"n1", "n2"}
    done = example.fetch("net.txt", node="n1")
    assert done.json["holders"] == {"n2": len(shipped("net.txt"))}
    log = example.log("tracker")
    lost = log.index("n1 no longer holds net.txt (it requested it)")
    assert log.rindex("n1 holds net.txt") > lost
    assert example.files("n1")["net.txt"] == shipped("net.txt")
    assert set(example.holders("net.txt")) == {"n1", "n2"}


def test_s05_a_client_that_dawdles_holds_nobody_up(example: Cluster) -> None:
    answers: list[object] = []
    with contextlib.ExitStack() as dawdlers:
        for _ in range(20):  # Connected, and silent for ever.
            place = ("127.0.0.1", port_of(example.tracker_address))
            dawdlers.enter_context(socket.create_connection(place))
        context = dawdlers.enter_context(zmq.Context())
        deaf = dawdlers.enter_context(context.socket(zmq.DEALER))
        deaf.setsockopt(zmq.LINGER, 0)
        deaf.connect(example.tracker_address)
        for _ in range(500):  # Asks, and never reads.
            deaf.send_multipart([b"tag", b"", messages.encode(Query("seeds.txt"))])

        def query() -> None:
            answers.append(ask(Trackers([example.tracker_address]), Query("seeds.txt"), Holders))

        threads = [threading.Thread(target=query) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT_S)
    assert [type(answer) for answer in answers] == 30 * [Holders]


def test_s06_what_lies_in_the_folder_is_served_and_lands_under_its_name(example: Cluster) -> None:
    example.put("deep/er/data.bin", b"\0\xff" * 999, "n3")  # A directory is one thing.
    example.wait(lambda: "n3 holds deep\n" in example.log("tracker"), "announced")
    done = example.fetch("deep", node="n1")
    assert done.json["path"] == str(example.folder("n1") / "deep")
    assert example.files("n1")["deep/er/data.bin"] == b"\0\xff" * 999


def test_s07_a_holder_says_which_part_it_uploads_and_goes_on(example: Cluster) -> None:
    for node in ("n1", "n4"):
        (example.folder(node) / "seeds.txt").unlink(missing_ok=True)
        assert example.fetch("seeds.txt", node=node).exit_code == 0
        uploads = example.log("node", "n2") + example.log("node", "n3")
        assert f"Uploading seeds.txt (1/2) to {node}\n" in uploads
        assert f"Uploading seeds.txt (2/2) to {node}\n" in uploads


def test_s08_every_holder_is_asked_for_a_different_part(example: Cluster) -> None:
    data = noise(5 * CHUNK, seed=8)
    example.put("parts.bin", data, "n2", "n3")
    example.wait(lambda: example.log("tracker").count("holds parts.bin") == 2, "announced")
    told = example.fetch_from("n2", "n3", name="parts.bin", node="n1").json
    assert example.files("n1")["parts.bin"] == data
    assert set(told["holders"]) == {"n2", "n3"}
    assert all(count > 0 for count in told["holders"].values())
    assert sum(told["holders"].values()) == len(data)
    assert example.holders("parts.bin") == {"n1": True, "n2": True, "n3": True}


def test_s09_any_size_arrives_whole_from_three_holders(example: Cluster) -> None:
    names = [f"{size_bytes}.bin" for size_bytes in SIZES]
    example.start_node("n1")
    done = example.fetch(*names, node="n4")
    example.stop("node", "n1")
    assert done.exit_code == 0, done.stderr
    assert [one["size_bytes"] for one in done.json] == list(SIZES)
    for size_bytes, one in zip(SIZES, done.json, strict=True):
        assert (example.folder("n4") / one["name"]).read_bytes() == noise(size_bytes, size_bytes)
        assert sum(one["holders"].values()) + one["reused_bytes"] == size_bytes
        assert one["reused_bytes"] <= 2  # Chunks of one byte may be in a smaller file.
    assert set(done.json[-1]["holders"]) == {"n1", "n2", "n3"}


def test_s10_where_things_run_is_the_cluster_files_business(tmp_path: Path) -> None:
    hosts = {"n1": "127.0.0.2", "n2": "127.0.0.3", "n3": "localhost"}
    with cluster_in(tmp_path / "cluster", hosts=hosts) as cluster:
        cluster.put("seeds.txt", shipped("seeds.txt"), "n2", "n3")
        cluster.start("n2", "n3")
        told = cluster.fetch_from("n2", "n3", name="seeds.txt", node="n1").json
    assert set(told["holders"]) == {"n2", "n3"}


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """n1 and n2 run and fetch; n3 has what takes a while, n2 something small."""
    with cluster_in(tmp_path_factory.mktemp("relay") / "cluster") as cluster:
        cluster.put("small.bin", noise(100_000), "n2")
        cluster.put("big.bin", noise(BIG_BYTES), "n3")
        cluster.start("n1", "n2", "n3")
        yield cluster


def test_s11_a_node_serves_while_it_fetches(relay: Cluster) -> None:
    slow = relay.launch_fetch("big.bin", "n2")
    with frozen_in_the_middle(relay, "big.bin", "n2", "n3"):
        done = relay.fetch("small.bin", node="n1")
        assert done.json["holders"] == {"n2": 100_000}
        assert slow.exit_code is None
        assert "big.bin" not in relay.names("n2")
    assert relay.finish(slow).exit_code == 0
    assert relay.files("n2")["big.bin"] == relay.files("n3")["big.bin"]


def test_s12_what_happens_is_seen_while_it_happens(relay: Cluster) -> None:
    (relay.folder("n2") / "big.bin").unlink(missing_ok=True)
    relay.wait(lambda: "n2" not in relay.holders("big.bin"), "n2 has withdrawn it")
    fetch = relay.launch_fetch("big.bin", "n1")
    with frozen_in_the_middle(relay, "big.bin", "n1", "n3"):
        assert re.search(r"Uploading big\.bin \(\d+/\d+\) to n1\n", relay.log("node", "n3"))
        assert "n1 asked for big.bin: sent to n3\n" in relay.log("tracker")
        in_part = "n1 holds part of big.bin\n"
        relay.wait(lambda: in_part in relay.log("tracker"), "n1 is seen to have a part")
        assert relay.holders("big.bin") == {"n1": False, "n3": True}
        assert fetch.exit_code is None
    assert relay.finish(fetch).exit_code == 0
    assert "n1 holds big.bin\n" in relay.log("tracker")
