"""`shoal keys`, and readers, with real processes."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cluster import Cluster, cluster_in, fails

NAME, DATA = "some.bin", os.urandom(3_000_000)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of two nodes, of which nothing runs yet."""
    with cluster_in(tmp_path, nodes=("n1", "n2")) as lab:
        yield lab


@pytest.fixture
def secured(lab: Cluster) -> Cluster:
    """One with keys and a reader, whose tracker and n1 run; n1 has a file."""
    assert lab.run("keys", "--reader", "laptop").exit_code == 0
    text = lab.file.read_text()
    lab.file.write_text(text.replace("~/shoal", "laptop"))
    lab.put(NAME, DATA, "n1")
    lab.start_tracker()
    lab.launch("node", "n1")
    lab.wait(lambda: nodes(lab).get("n1") == 1, "n1 has announced its file")
    return lab


def nodes(lab: Cluster) -> dict[str, int]:
    """Return how many files each live node has announced."""
    told = lab.run("status", "--json")
    if told.exit_code != 0:
        return {}
    return {one["node"]: one["files"] for one in told.json["nodes"] if one["alive"]}


def test_keys_says_what_it_made_and_what_to_do_next(lab: Cluster) -> None:
    made = lab.run("keys")
    assert made.exit_code == 0
    assert "made the keys of tracker, n1, n2, admin: secrets in " in made.stdout
    assert "copy cluster.yaml to every machine, and to each its own cluster.keys/" in made.stderr
    assert "then restart the tracker and all nodes" in made.stderr
    again = lab.run("keys")
    assert again.stdout.startswith("nothing to do: all 4 have keys in ")
    assert again.stderr == ""


def test_keys_prints_json_and_never_a_secret(lab: Cluster) -> None:
    made = lab.run("keys", "--json", "--reader", "laptop", "--admin", "ann").json
    assert [(one["name"], one["role"]) for one in made["made"]] == [
        ("tracker", "tracker"),
        ("n1", "node"),
        ("n2", "node"),
        ("laptop", "reader"),
        ("ann", "admin"),
    ]
    text = lab.file.read_text()
    for one in made["made"]:
        assert one["key"] in text
        secret = Path(one["secret"]).read_text().split("curve-secret:")[1].strip()
        assert secret not in text + str(made)
    replaced = lab.run("keys", "--json", "--new", "n1").json
    assert [one["name"] for one in replaced["made"]] == ["n1"]
    assert replaced["made"][0]["key"] != made["made"][1]["key"]
    assert replaced["kept"] == ["tracker", "n2", "laptop", "ann"]


def test_keys_refuses_what_does_not_match(lab: Cluster) -> None:
    lab.run("keys")
    keys = lab.path / "cluster.keys"
    (keys / "n1.key").write_bytes((keys / "n2.key").read_bytes())
    fails(lab.run("keys"), 2, "n1.key does not belong to the key of n1", "shoal keys --new n1")


def test_a_reader_fetches_and_is_no_node(secured: Cluster) -> None:
    done = secured.run("fetch", NAME, "--as", "laptop", "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["holders"] == {"n1": len(DATA)}
    assert (secured.path / "laptop" / NAME).read_bytes() == DATA
    assert "unreachable" not in done.stderr
    assert nodes(secured) == {"n1": 1}
    assert secured.holders(NAME) == {"n1": True}
    again = secured.run("fetch", NAME, "--as", "laptop", "--json")
    assert (again.exit_code, again.json["fetched_bytes"]) == (0, 0)


@pytest.mark.parametrize(
    "command",
    [
        ("node", "laptop"),
        ("share", NAME, "--as", "laptop"),
        ("forget", NAME, "--as", "laptop"),
        ("verify", "--as", "laptop"),
    ],
)
def test_a_reader_does_nothing_else(lab: Cluster, command: tuple[str, ...]) -> None:
    lab.run("keys", "--reader", "laptop")
    fails(lab.run(*command), 10, "laptop is a reader, which fetches and lists and never serves")


def test_an_admin_has_no_folder(lab: Cluster) -> None:
    lab.run("keys")
    fails(lab.run("fetch", NAME, "--as", "admin"), 10, "admin is an admin and has no folder")


def test_a_reader_s_folder_is_not_a_node_s(lab: Cluster) -> None:
    lab.run("keys", "--reader", "laptop")
    lab.file.write_text(lab.file.read_text().replace("~/shoal", "n1/inside"))
    done = lab.run("fetch", NAME, "--as", "laptop")
    fails(done, 2, "the folders of laptop and n1 are inside one another")
