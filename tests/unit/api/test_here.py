"""Which addresses are this machine's, and which nodes are refused here."""

from pathlib import Path

import pytest
from shoal.api.here import has_place_here, is_here, only_node_here, require_apart, require_here
from shoal.config.cluster import Cluster, NodeEntry, TrackerEntry
from shoal.protocol.errors import OperatorError, UnavailableError

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
        f"run this command there, or correct the address in {tmp_path / 'lan.yaml'}; "
        "behind NAT or in a container, add `listen`"
    )
    assert type(refused.value) is UnavailableError


@pytest.mark.parametrize(
    ("address", "listen", "is_here", "is_refused"),
    [
        (ELSEWHERE, "tcp://0.0.0.0:1", False, False),  # Nobody can tell.
        ("tcp://127.0.0.1:1", "tcp://[::]:1", True, False),
        (ELSEWHERE, "tcp://127.0.0.1:1", True, False),
        ("tcp://127.0.0.1:1", ELSEWHERE, False, True),
    ],
)
def test_a_node_is_where_it_listens(
    tmp_path: Path,
    address: str,
    listen: str,
    is_here: bool,  # noqa: FBT001
    is_refused: bool,  # noqa: FBT001
) -> None:
    one = NodeEntry("n1", address, tmp_path, listen=listen)
    assert has_place_here(one) is is_here
    if not is_refused:
        require_here(one, tmp_path / "lan.yaml")
        return
    with pytest.raises(
        OperatorError, match=r"192\.0\.2\.1 is not an address of this one"
    ) as refused:
        require_here(one, tmp_path / "lan.yaml")
    assert "add `listen`" not in str(refused.value)


def test_behind_nat_links_lead_to_folders_of_different_machines(tmp_path: Path) -> None:
    first = NodeEntry("n1", ELSEWHERE, tmp_path / "a", listen="tcp://0.0.0.0:1")
    second = NodeEntry("n2", "tcp://192.0.2.1:11002", tmp_path / "a")
    tracker = TrackerEntry("tcp://192.0.2.1:1", tmp_path)
    cluster = Cluster(tmp_path / "lan.yaml", (tracker,), {"n1": first, "n2": second}, {})
    require_apart(first, cluster)
    require_apart(second, cluster)


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
    cluster = Cluster(
        tmp_path / "lan.yaml", (TrackerEntry("tcp://127.0.0.1:1", tmp_path),), nodes, {}
    )
    if not is_refused:
        require_apart(second, cluster)
        return
    with pytest.raises(OperatorError, match="n2 and n1 are inside one another"):
        require_apart(second, cluster)
    require_apart(elsewhere, cluster)


def of_nodes(folder: Path, *addresses: str) -> Cluster:
    nodes = {
        f"n{number}": NodeEntry(f"n{number}", address, folder / str(number))
        for number, address in enumerate(addresses, 1)
    }
    return Cluster(folder / "lan.yaml", (TrackerEntry("tcp://127.0.0.1:1", folder),), nodes, {})


def test_the_only_node_here_needs_no_name(tmp_path: Path) -> None:
    cluster = of_nodes(tmp_path, ELSEWHERE, "tcp://127.0.0.1:11001", "tcp://no-such.invalid:11001")
    assert only_node_here(cluster, "--as NAME").name == "n2"


@pytest.mark.parametrize(
    ("addresses", "message"),
    [
        (
            [ELSEWHERE],
            (
                "no node of {} has an address of this machine; "
                "run this on the machine of one, or name it (--as NAME): n1"
            ),
        ),
        (
            ["tcp://127.0.0.1:11001", ELSEWHERE, "tcp://localhost:11003"],
            "2 nodes of {} are on this machine: n1, n3; name one of them (--as NAME)",
        ),
    ],
)
def test_none_here_or_several_must_be_named(
    tmp_path: Path, addresses: list[str], message: str
) -> None:
    with pytest.raises(OperatorError) as refused:
        only_node_here(of_nodes(tmp_path, *addresses), "--as NAME")
    assert str(refused.value) == message.format(tmp_path / "lan.yaml")
