"""What `where` makes of what the tracker and the nodes say."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from shoal.api.where import Place
from shoal.commands import where
from shoal.commands.exit_codes import ExitCode
from shoal.commands.where import run_where
from shoal.config.cluster import Cluster, NodeEntry, TrackerEntry
from shoal.node.folder.inventory import Inventory
from shoal.node.network.chunk_server import ChunkServer
from shoal.node.network.rates import Rates
from shoal.node.serving.settings import NodeSettings
from shoal.protocol.errors import NotFoundError, OperatorError, TrackerError, WireCode
from shoal.protocol.message import Message
from shoal.protocol.messages import (
    Error,
    Holder,
    Holders,
    NodeStatus,
    Ok,
    OtherVersion,
    Query,
    State,
    Status,
    TrackerStatus,
)

from tests.unit.api.trackers import Answer, tracker
from tests.unit.wire.places import free_address

ID = "b3:0123456789ab" + 52 * "0"
N1 = Holder("n1", "tcp://127.0.0.1:11001", complete=True, alive=True)
FOUND = Holders(
    name="a",
    id=ID,
    size_bytes=4_700_000_000,
    holders=(N1,),
    versions=(OtherVersion(ID, 1, 61, 1, 2, "n2"), OtherVersion(ID, 1, 5, 1)),
    version=3,
    publisher="n1",
)


def cluster(address: str, **nodes: str) -> Cluster:
    entries = {name: NodeEntry(name, place, Path("/")) for name, place in nodes.items()}
    return Cluster(Path("/lan.yaml"), (TrackerEntry(address, Path("/")),), entries, {})


def says(found: Holders | Error, *nodes: NodeStatus) -> Answer:
    def answer(request: Message) -> Message:
        if isinstance(request, Status):
            return TrackerStatus("tcp://127.0.0.1:1", 1, nodes)
        return found

    return answer


def node(
    name: str, *, alive: bool = True, address: str = "", silent_ms: int | None = 1
) -> NodeStatus:
    address = address or f"tcp://127.0.0.1:{11000 + int(name[1:])}"
    return NodeStatus(name, address, alive, 0, silent_ms, spoke=silent_ms is not None)


class Nodes:
    """Nodes that say in what state a thing is there."""

    def __init__(self) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.servers: list[ChunkServer] = []

    def start(self, state: State) -> str:
        told = (lambda _: None), (lambda *_: None), (lambda *_: state)
        server = ChunkServer(Inventory(lambda _: None), *told, NodeSettings(), Rates())
        address = free_address()
        server.start(address)
        self.servers.append(server)
        return address

    def close(self) -> None:
        for server in self.servers:
            server.stop()
        self.context.term()


def test_it_says_which_version_it_is_and_which_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with tracker(says(FOUND)) as address:
        run_where(cluster(address), "a", as_json=False)
        run_where(cluster(address), "a", as_json=True)
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        f"a v3, published by n1: 4.7 GB, {ID}",
        f"another version: v2, published by n2, 1 min old, {ID}",
        f"another version: no number, 5 s old, {ID}",
    ]
    document = json.loads(said.out.splitlines()[-1])
    assert (document["version"], document["publisher"]) == (3, "n1")
    assert [(one["version"], one["publisher"]) for one in document["versions"]] == [
        (2, "n2"),
        (0, None),
    ]


def test_it_takes_no_answer_about_something_else() -> None:
    with tracker(says(FOUND)) as address:
        for what in ("b", "b3:" + 64 * "1"):
            with pytest.raises(OperatorError, match="it answered about something else"):
                run_where(cluster(address), what, as_json=True)
        run_where(cluster(address), ID, as_json=True)


SAID = {
    "n2": State("part", 17, 100),
    "n4": State("changed"),
    "n5": State("hashing", 34, 100),
    "n6": State("none"),
    "n7": State("other"),
}
IN_WORDS = """
n1 has it (published)
n10 has it (copy)
n11 never seen
n2 17 %
n3 offline, has it
n4 changed here
n5 being hashed, 34 %
n6 does not have it
n7 has another version
n8 never seen
n9 offline
"""
IN_JSON = "published copy never_seen part offline changed hashing none other never_seen offline"


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    nodes = Nodes()
    yield nodes
    nodes.close()


def everything(nodes: Nodes) -> Answer:
    """Return a tracker's answers about nodes in all the states there are."""
    places = {name: nodes.start(state) for name, state in SAID.items()}
    part = Holder("n2", places["n2"], complete=False, alive=True)
    copy = Holder("n10", "tcp://127.0.0.1:11010", complete=True, alive=True)
    gone = Holder("n3", "tcp://127.0.0.1:11003", complete=True, alive=False)
    found = Holders("a", ID, 100, (N1, part, copy), (gone,), publisher="n1", version=1)
    known = [node(name, address=place) for name, place in places.items()]
    known += [node("n1"), node("n10"), node("n3", alive=False), node("n9", alive=False)]
    known += [node("n8", alive=False, silent_ms=None)]
    return says(found, *sorted(known, key=lambda one: one.node))


def test_every_node_is_listed_in_order_with_its_state(
    nodes: Nodes, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracker(everything(nodes)) as address:
        of_file = cluster(address, n11="tcp://127.0.0.1:11011")
        assert run_where(of_file, "a", as_json=False) is ExitCode.DONE
        shown = capsys.readouterr().out.splitlines()
        assert run_where(of_file, "a", as_json=True, need_all=True) is ExitCode.PARTLY_DONE
    words = [" ".join(line.partition("tcp:")[0].split()) for line in shown]
    assert words == ["NODE STATE ADDRESS", *IN_WORDS.strip().splitlines()]
    told = json.loads(capsys.readouterr().out)["nodes"]
    assert " ".join(one["state"] for one in told) == IN_JSON
    by_name = {one["node"]: one for one in told}
    assert (by_name["n2"]["have_bytes"], by_name["n2"]["size_bytes"]) == (17, 100)
    assert (by_name["n3"]["complete"], by_name["n2"]["complete"]) == (True, False)


def test_all_have_it_or_the_exit_code_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with tracker(says(FOUND, node("n1"))) as address:
        here = cluster(address, n1=N1.address)
        assert run_where(here, "a", as_json=True, need_all=True) is ExitCode.DONE
        more = cluster(address, n1=N1.address, n2="tcp://127.0.0.1:11002")
        assert run_where(more, "a", as_json=True, need_all=True) is ExitCode.PARTLY_DONE
        assert run_where(more, "a", as_json=True) is ExitCode.DONE
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_what_is_being_hashed_is_no_missing_file(
    nodes: Nodes, capsys: pytest.CaptureFixture[str]
) -> None:
    place, idle = nodes.start(State("hashing", 1, 2)), nodes.start(State("none"))
    missing = Error(WireCode.NOT_FOUND, "no such file")
    with tracker(says(missing, node("n1", address=place))) as address:
        assert run_where(cluster(address), "a", as_json=False) is ExitCode.DONE
    with (
        tracker(says(missing, node("n1", address=idle))) as address,
        pytest.raises(OperatorError, match="no such file was found: a") as refused,
    ):
        run_where(cluster(address), "a", as_json=False)
    assert isinstance(refused.value, NotFoundError)
    assert "being hashed, 50 %" in capsys.readouterr().out


def test_holders_come_in_pages(capsys: pytest.CaptureFixture[str]) -> None:
    def answer(request: Message) -> Message:
        if isinstance(request, Status):
            return TrackerStatus("tcp://127.0.0.1:1", 1, ())
        assert isinstance(request, Query)
        assert request.after is not None
        number = 1 if not request.after else int(request.after[1:]) + 1
        holder = Holder(f"n{number}", "tcp://127.0.0.1:11001", complete=True, alive=True)
        return Holders("a", ID, 1, (holder,), next=holder.node if number < 4 else None)

    with tracker(answer) as address:
        run_where(cluster(address), "a", as_json=True)
    holders = json.loads(capsys.readouterr().out)["holders"]
    assert [holder["node"] for holder in holders] == ["n1", "n2", "n3", "n4"]


def test_an_answer_of_another_kind_is_the_operators_affair() -> None:
    with (
        tracker(lambda _: Ok(lease_ms=1, holdings=1)) as address,
        pytest.raises(OperatorError, match="does not make sense") as told,
    ):
        run_where(cluster(address), "a", as_json=True)
    assert isinstance(told.value, TrackerError)


def test_a_part_whose_node_does_not_answer_is_called_one() -> None:
    assert where._words(Place("n1", "", "part"), FOUND) == "has a part"
