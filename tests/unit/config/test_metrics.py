"""Where the processes of a cluster file serve their figures."""

from pathlib import Path

import pytest
from shoal.config import cluster
from shoal.config.metrics import MetricsPlace, place_in
from shoal.protocol.errors import OperatorError

FILE = """\
{top}
tracker: {{address: 'tcp://{tracker}:12000'{of_tracker}}}
nodes:
  n1: {{address: 'tcp://{n1}:11001', folder: a}}
  n2: {{address: 'tcp://{n2}:11002', folder: b{of_n2}}}
"""
APART = {"tracker": "10.0.0.1", "n1": "10.0.0.2", "n2": "10.0.0.3"}
TOGETHER = dict.fromkeys(APART, "127.0.0.1")


def places(folder: Path, hosts: dict[str, str], top: str = "", **own: str) -> str:
    """Return the places of the tracker, n1 and n2."""
    given = {name: f", metrics: '{place}'" for name, place in own.items()}
    told = {"of_tracker": "", "of_n2": ""} | given
    path = folder / "lan.yaml"
    path.write_text(FILE.format(top=f"metrics: '{top}'" * bool(top), **hosts, **told))
    found = cluster.load(path)
    every = [found.trackers[0].metrics, *(node.metrics for node in found.nodes.values())]
    return " ".join(map(str, every))


def test_by_default_nothing_is_served(tmp_path: Path) -> None:
    assert places(tmp_path, APART) == "None None None"


def test_each_machine_serves_at_the_same_port(tmp_path: Path) -> None:
    told = places(tmp_path, APART, "0.0.0.0:9109")
    assert told == "0.0.0.0:9109 0.0.0.0:9109 0.0.0.0:9109"


def test_on_one_machine_each_process_has_the_next_port_that_is_free(tmp_path: Path) -> None:
    assert places(tmp_path, TOGETHER, "127.0.0.1:9109") == (
        "127.0.0.1:9109 127.0.0.1:9110 127.0.0.1:9111"
    )
    told = places(tmp_path, TOGETHER, "127.0.0.1:11000")
    assert told == "127.0.0.1:11000 127.0.0.1:11002 127.0.0.1:11003"
    told = places(tmp_path, TOGETHER, "[::1]:9109", of_tracker="127.0.0.1:9110")
    assert told == "127.0.0.1:9110 [::1]:9109 [::1]:9111"


def test_a_process_may_have_a_place_of_its_own(tmp_path: Path) -> None:
    assert places(tmp_path, APART, of_n2="10.0.0.3:80") == "None None 10.0.0.3:80"


@pytest.mark.parametrize(
    ("top", "own", "words"),
    [
        ("9109", {}, "metrics: found 9109, which is not of the form HOST:PORT"),
        ("localhost:0", {}, "not of the form"),
        ("127.0.0.1:65534", {}, "found 127.0.0.1:65534, after which no port is left for n2"),
        ("", {"of_tracker": "a:1", "of_n2": "b:1"}, "taken by the metrics of the tracker"),
    ],
)
def test_says_what_cannot_be(tmp_path: Path, top: str, own: dict[str, str], words: str) -> None:
    with pytest.raises(OperatorError, match=words):
        places(tmp_path, TOGETHER, top, **own)


def test_a_machine_can_ask_itself() -> None:
    assert str(place_in("0.0.0.0:1").within_reach) == "127.0.0.1:1"
    assert str(place_in("[::]:1").within_reach) == "[::1]:1"
    assert place_in("lab-7:1").within_reach == MetricsPlace("lab-7", 1)
