"""The text of a new cluster file: it loads, says what it was given, and is aligned."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shoal.config.cluster import load
from shoal.config.new_file import NewFile, NewNode, text_of

TRACKER = "tcp://10.0.0.1:12000"


def written(tmp_path: Path, file: NewFile) -> Path:
    path = tmp_path / "new.yaml"
    path.write_text(text_of(file))
    return path


def test_values_are_below_one_another() -> None:
    nodes = [
        NewNode("pc9", "tcp://10.0.0.9:11001", "/srv", "rack-1"),
        NewNode("pc10", "tcp://10.0.0.10:11001", "/srv"),
    ]
    text = text_of(NewFile("pc9", TRACKER, nodes))
    assert (
        "nodes:\n"
        "  pc9:  {address: tcp://10.0.0.9:11001,  folder: /srv, zone: rack-1}\n"
        "  pc10: {address: tcp://10.0.0.10:11001, folder: /srv}\n"
    ) in text
    assert max(map(len, text.splitlines())) <= 100


def test_pushes_are_accepted_on_loopback_alone(tmp_path: Path) -> None:
    here = [NewNode("n1", "tcp://127.0.0.1:11001", "n1")]
    there = [NewNode("n1", "tcp://10.0.0.1:11001", "~/shoal")]
    on_loopback = NewFile("this machine", "tcp://127.0.0.1:12000", here, is_on_loopback=True)
    assert load(written(tmp_path, on_loopback)).accepts_pushes
    several = written(tmp_path, NewFile("pc1", TRACKER, there))
    assert not load(several).accepts_pushes
    assert "`shoal keys`" in several.read_text()


@pytest.mark.parametrize("name", ["1", "yes", "no", "null", "1e3", "0x10", "2026-01-01", "-", "."])
def test_names_that_yaml_would_read_otherwise_are_quoted(tmp_path: Path, name: str) -> None:
    file = NewFile("pc1", TRACKER, [NewNode(name, "tcp://[fd00::2]:11001", "/srv/a: b#c", name)])
    (node,) = load(written(tmp_path, file)).nodes.values()
    assert (node.name, node.zone, str(node.folder)) == (name, name, "/srv/a: b#c")


TEXTS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=64)


@given(folder=TEXTS, zone=TEXTS)
def test_any_folder_and_zone_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, folder: str, zone: str
) -> None:
    file = NewFile("pc1", TRACKER, [NewNode("n1", "tcp://10.0.0.2:11001", f"/{folder}x", zone)])
    path = written(tmp_path_factory.mktemp("new"), file)
    assert load(path).nodes["n1"].zone == zone
