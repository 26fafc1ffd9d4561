"""Which addresses are this machine's, and which nodes are refused here."""

from pathlib import Path

import pytest
from shoal.api.here import is_here, require_apart, require_here
from shoal.config.cluster import Cluster, NodeEntry, TrackerEntry
from shoal.protocol.errors import OperatorError

ELSEWHERE = "tcp://192.0.2.1:11001"  # RFC 5737: nobody has it.


def entry(address: str, folder: Path) -> NodeEntry:
    return NodeEntry("n1", address, folder)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("tcp://127.0.0.1:1", True),
        ("tcp://localhost:1", True),
        ("tcp://[::1]:1", True),
        (ELSEWHERE, False),
        ("tcp://no-such-host.invalid:1", False),
    ],
)
def test_an_address_is_here_if_it_can_be_bound(address: str, expected: bool) -> None:  # noqa: FBT001
    assert is_here(address) is expected


def test_a_node_that_is_clearly_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError) as refused:
        require_here(entry(ELSEWHERE, tmp_path), tmp_path / "lan.yaml")
    assert str(refused.value) == (
        "node n1 is on another machine: 192.0.2.1 is not an address of this one; "
        f"run this command there, or correct the address in {tmp_path / 'lan.yaml'}"
    )
    assert type(refused.value) is OperatorError


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "no-such-host.invalid"])
def test_what_is_not_clear_is_let_through(tmp_path: Path, host: str) -> None:
    require_here(entry(f"tcp://{host}:11001", tmp_path), tmp_path / "lan.yaml")


@pytest.mark.parametrize(("inside", "is_refused"), [("a/b", True), ("a", True), ("c", False)])
def test_folders_that_links_lead_into_one_another_are_refused(
    tmp_path: Path,
    inside: str,
    is_refused: bool,  # noqa: FBT001
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / inside)
    first = NodeEntry("n1", "tcp://127.0.0.1:11001", tmp_path / "a")
    second = NodeEntry("n2", "tcp://127.0.0.1:11002", tmp_path / "link")
    elsewhere = NodeEntry("n3", "tcp://192.0.2.1:11001", tmp_path / "link")
    nodes = {one.name: one for one in (first, second, elsewhere)}
    cluster = Cluster(tmp_path / "lan.yaml", TrackerEntry("tcp://127.0.0.1:1", tmp_path), nodes, {})
    if not is_refused:
        require_apart(second, cluster)
        return
    with pytest.raises(OperatorError, match="n2 and n1 are inside one another"):
        require_apart(second, cluster)
    require_apart(elsewhere, cluster)
