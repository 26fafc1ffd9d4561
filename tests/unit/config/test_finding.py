"""Where a cluster file is looked for, the ones that ship, and how a node is found in one."""

from pathlib import Path

import pytest
from shoal.config import cluster
from shoal.protocol.errors import OperatorError


def written(folder: Path) -> Path:
    path = folder / "lan.yaml"
    path.touch()
    return path


def test_the_example_serves_where_it_is_named_and_no_other_is_here(tmp_path: Path) -> None:
    assert cluster.find("lan.yaml", {}, tmp_path) == cluster.EXAMPLE
    here = written(tmp_path)
    assert cluster.find("lan.yaml", {}, tmp_path) == here


def test_the_example_serves_by_default_only_in_a_clone(tmp_path: Path) -> None:
    assert cluster.find(None, {}, tmp_path, in_clone=True) == cluster.EXAMPLE
    for environ, in_clone in (({}, False), ({"SHOAL_CONFIG": "lan.yaml"}, True)):
        with pytest.raises(OperatorError, match="; make one with `shoal init`"):
            cluster.find(None, environ, tmp_path, in_clone=in_clone)
    here = written(tmp_path)
    assert cluster.find(None, {}, tmp_path, in_clone=True) == here


def test_a_name_with_a_slash_is_looked_for_here_only(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="no such cluster file"):
        cluster.find("./lan.yaml", {}, tmp_path)
    assert cluster.find(str(written(tmp_path)), {}, Path("/")) == tmp_path / "lan.yaml"


def test_the_option_beats_the_environment_which_beats_the_default(tmp_path: Path) -> None:
    for name in ("lan.yaml", "environment.yaml", "option.yaml"):
        (tmp_path / name).touch()
    environ = {"SHOAL_CONFIG": "environment.yaml"}
    assert cluster.find("option.yaml", environ, tmp_path).name == "option.yaml"
    assert cluster.find(None, environ, tmp_path).name == "environment.yaml"
    assert cluster.find(None, {}, tmp_path).name == "lan.yaml"
    assert cluster.find(None, {"SHOAL_CONFIG": ""}, tmp_path).name == "lan.yaml"


def test_a_missing_file_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(OperatorError) as caught:
        cluster.find(None, {"SHOAL_CONFIG": "lab.yaml"}, tmp_path)
    assert type(caught.value) is OperatorError
    remedy = "make one with `shoal init`"
    assert str(caught.value) == (
        f"lab.yaml: no such cluster file (named by $SHOAL_CONFIG); {remedy}, or name another"
    )
    with pytest.raises(OperatorError) as caught:
        cluster.find(None, {}, tmp_path)
    assert str(caught.value) == (
        f"there is no cluster file lan.yaml in {tmp_path}; {remedy}, or name one with --config"
    )


@pytest.mark.parametrize("path", sorted(cluster.SHIPPED_FOLDER.glob("*.yaml")), ids=str)
def test_every_shipped_cluster_file_is_valid(path: Path) -> None:
    cluster.load(path)


def test_the_built_in_example_has_every_file_where_its_holdings_say() -> None:
    example = cluster.load(cluster.SHIPPED_FOLDER / "lan.yaml")
    assert example.holdings == {
        "net.txt": ("n1", "n2"),
        "network.txt": ("n1", "n3"),
        "seeds.txt": ("n2", "n3"),
    }
    for file_name, holders in example.holdings.items():
        assert all((example.nodes[holder].folder / file_name).is_file() for holder in holders)


def test_a_node_is_found_by_its_name_or_the_nearest_is_named() -> None:
    example = cluster.load(cluster.SHIPPED_FOLDER / "lan.yaml")
    assert cluster.node_named(example, "n2") is example.nodes["n2"]
    with pytest.raises(OperatorError) as caught:
        cluster.node_named(example, "N3")
    expected = "no node N3; expected one of n1, n2, n3; did you mean n3?"
    assert str(caught.value) == f"{example.path}: {expected}"
