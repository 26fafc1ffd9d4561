"""What a cluster file may say, and what it may not."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shoal.config import cluster
from shoal.config.cluster import NodeEntry, TrackerEntry
from shoal.protocol.errors import OperatorError

VALID = """\
tracker:
  address: tcp://10.0.0.1:12000
nodes:
  n1: {address: tcp://10.0.0.2:11001, folder: one, zone: rack-1}
  n2: {address: "tcp://[fd00::2]:11001", folder: ../two}
  n3:
    address: tcp://third.example:11001
    folder: /srv/three
holdings:
  net.txt: [n1, n2]
  data/seeds.txt: [n3]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "lan.yaml"
    path.write_text(text)
    return path


def refusal(folder: Path, old: str, new: str) -> str:
    """Return the error that VALID gives with `old` replaced, without the path of its folder."""
    assert old in VALID
    with pytest.raises(OperatorError) as caught:
        cluster.load(written(folder, VALID.replace(old, new)))
    assert type(caught.value) is OperatorError
    return str(caught.value).removeprefix(f"{folder}/")


def test_a_cluster_file_is_loaded_whole(tmp_path: Path) -> None:
    path = written(tmp_path, VALID)
    loaded = cluster.load(path)
    assert loaded.path == path
    assert loaded.trackers == (TrackerEntry("tcp://10.0.0.1:12000", tmp_path / ".shoal"),)
    assert list(loaded.nodes.values()) == [
        NodeEntry("n1", "tcp://10.0.0.2:11001", tmp_path / "one", "rack-1"),
        NodeEntry("n2", "tcp://[fd00::2]:11001", tmp_path.parent / "two"),
        NodeEntry("n3", "tcp://third.example:11001", Path("/srv/three")),
    ]
    assert loaded.holdings == {"net.txt": ("n1", "n2"), "data/seeds.txt": ("n3",)}


def test_paths_are_absolute_whatever_path_the_file_is_given_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, VALID)
    monkeypatch.chdir(tmp_path)
    assert cluster.load(Path("lan.yaml")) == cluster.load(tmp_path / "lan.yaml")


def test_a_tilde_stands_for_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    text = VALID.replace("12000", "12000\n  state_folder: ~/state").replace("one,", "~/one,")
    loaded = cluster.load(written(tmp_path, text))
    assert loaded.trackers[0].state_folder == Path("/home/someone/state")
    assert loaded.nodes["n1"].folder == Path("/home/someone/one")


def test_holdings_may_be_left_out(tmp_path: Path) -> None:
    assert cluster.load(written(tmp_path, VALID.partition("holdings")[0])).holdings == {}


@pytest.mark.parametrize(
    ("written_as", "quota_bytes"),
    [("500", 500_000_000_000), ("0.5", 500_000_000), ("1.25", 1_250_000_000)],
)
def test_a_quota_is_told_in_gigabytes(tmp_path: Path, written_as: str, quota_bytes: int) -> None:
    text = VALID.replace("rack-1", f"rack-1, quota_gb: {written_as}")
    loaded = cluster.load(written(tmp_path, text))
    assert (loaded.nodes["n1"].quota_bytes, loaded.nodes["n2"].quota_bytes) == (quota_bytes, None)


def test_the_same_folder_on_two_hosts_is_two_folders(tmp_path: Path) -> None:
    loaded = cluster.load(written(tmp_path, VALID.replace("../two", "/srv/three")))
    assert loaded.nodes["n2"].folder == loaded.nodes["n3"].folder


# Each: what is replaced in VALID by what; where and what was found; what is expected.
REFUSED = """
{address: tcp://10.0.0.2 -> {adress: tcp://10.0.0.2
4: nodes.n1.adress: unknown key
one of address, folder, zone, quota_gb, limits, in_place, key, listen, metrics, links, state_folder, read_only; did you mean address?

nodes: -> node:
3: node: unknown key
one of tracker, nodes, limits, holdings, readers, admins, publish, accept_pushes, metrics, store, trackers; did you mean nodes?

address: tcp://10.0.0.1:12000 -> {}
1: tracker: no key address
the keys address

folder: one, ->
4: nodes.n1: no key folder
the keys address, folder

rack-1 -> rack-1, read_only: true
4: nodes.n1.read_only: found true, and no state_folder
a state_folder too, elsewhere

rack-1 -> rack-1, state_folder: one/state
4: nodes.n1.state_folder: found one/state, which is within the folder of n1
a folder apart from it

folder: one -> folder: ""
4: nodes.n1.folder: found an empty text
the path of a folder

folder: one -> folder: ~nobody-here/x
4: nodes.n1.folder: found ~nobody-here/x, and there is no such home folder
the path of a folder

rack-1 -> " "
4: nodes.n1.zone: found an empty text
the name of a zone, as in rack-1

rack-1 -> a-zone-with-a-name-of-more-than-the-sixty-four-characters-there-are
4: nodes.n1.zone: found 67 characters
a zone of at most 64

rack-1 -> rack-1, quota_gb: 0
4: nodes.n1.quota_gb: found 0
more than 0 gigabytes and less than 1e+09

rack-1 -> rack-1, quota_gb: -3.5
4: nodes.n1.quota_gb: found -3.5
more than 0 gigabytes and less than 1e+09

rack-1 -> rack-1, quota_gb: 1000000000
4: nodes.n1.quota_gb: found 1e+09
more than 0 gigabytes and less than 1e+09

rack-1 -> rack-1, quota_gb: 5 GB
4: nodes.n1.quota_gb: found the text 5 GB
a number of gigabytes, as in 500 or 0.5

rack-1 -> rack-1, quota_gb: "5"
4: nodes.n1.quota_gb: found the text 5
a number of gigabytes, as in 500 or 0.5

rack-1 -> rack-1, quota_gb: [5]
4: nodes.n1.quota_gb: found a list
a number of gigabytes, as in 500 or 0.5

n1: { -> no: {
4: nodes: found the truth value no
a text as key; if a text is meant, quote it: "no"

n1: { -> n/1: {
4: nodes.n/1: not a node's name
1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `-`

n1: { -> a-node-with-a-name-of-more-than-the-sixty-four-characters-there-are: {
4: nodes.a-node-with-a-name-of-more-than-the-sixty-four-characters-there-are: not a node's name
1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `-`

[n1, n2] -> 2
10: holdings.net.txt: found the number 2
a list of node names, as in [n1, n2]

[n1, n2] -> [n1, N3]
10: holdings.net.txt: unknown node N3
one of n1, n2, n3; did you mean n3?

[n1, n2] -> [n1, no]
10: holdings.net.txt: found the truth value no
a node's name; if a text is meant, quote it: "no"

[n1, n2] -> [n1, n1]
10: holdings.net.txt: found n1 twice
each node once

net.txt: [ -> ../net.txt: [
10: holdings.../net.txt: the file name has '..' as a part
one such as data/net.txt
"""  # noqa: E501 (a message)


@pytest.mark.parametrize("case", REFUSED.strip().split("\n\n"))
def test_what_the_schema_does_not_allow_is_refused_with_line_and_key(
    tmp_path: Path, case: str
) -> None:  # wrong types
    change, found, expected = case.split("\n")
    old, new = change.split(" ->")
    assert refusal(tmp_path, old, new.strip()) == f"lan.yaml:{found}; expected {expected}"


def test_a_file_without_nodes_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "tracker: {address: tcp://h:1}\nnodes: {}\n")
    with pytest.raises(OperatorError, match="2: nodes: found no nodes; expected at least one"):
        cluster.load(path)


@pytest.mark.parametrize(
    ("address", "cause"),
    [
        ("11001", "found the number 11001; expected tcp://HOST:PORT"),
        ("'11001'", "found 11001, which is not of the form tcp://HOST:PORT"),
        ("10.0.0.2:11001", "not of the form"),
        ("udp://10.0.0.2:11001", "not of the form"),
        ("tcp://10.0.0.2", "not of the form"),
        ("tcp://10.0.0.2:0", "not of the form"),
        ("tcp://10.0.0.2:65536", "not of the form"),
        ("tcp://10.0.0.2:011", "a port that is not plain digits"),
        ("tcp://:11001", "not of the form"),
        ("tcp://*:11001", "others cannot connect to"),
        ("tcp://0.0.0.0:11001", "others cannot connect to"),
        ("'tcp://[::]:11001'", "others cannot connect to"),
        ("tcp://10.0.0.256:11001", "10.0.0.256 as host, which is not an IP address"),
        ("'tcp://[fd00::2::3]:11001'", "fd00::2::3 as host, which is not an IP address"),
        ("tcp://-a:11001", "neither a host name nor an IP address"),
        (f"tcp://{'a.' * 127}a:11001", "neither a host name nor an IP address"),
    ],
)
def test_an_address_that_nobody_can_connect_to_is_refused(
    tmp_path: Path, address: str, cause: str
) -> None:
    assert cause in refusal(tmp_path, "tcp://10.0.0.1:12000", address)
    assert cause in refusal(tmp_path, "tcp://10.0.0.2:11001", address)


@pytest.mark.parametrize("address", ["tcp://10.0.0.2:80", "tcp://127.0.0.1:11001"])
def test_a_node_that_fetchers_would_refuse_to_connect_to_is_refused(
    tmp_path: Path, address: str
) -> None:
    error = refusal(tmp_path, "tcp://10.0.0.2:11001", address)
    assert f"nodes.n1.address: found {address}, to which other nodes will not connect" in error


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("tcp://10.0.0.9:11001", "tcp://10.0.0.9:11001"),
        ("tcp://HOST:11001", "tcp://host:11001"),
        ("'tcp://[fd00::9]:11001'", "'tcp://[fd00:0::9]:11001'"),
    ],
)
def test_two_processes_at_one_address_are_refused(tmp_path: Path, first: str, second: str) -> None:
    text = VALID.replace("tcp://10.0.0.2:11001", first)
    two_nodes = text.replace('"tcp://[fd00::2]:11001"', second)
    with pytest.raises(
        OperatorError, match=r"5: nodes\.n2\.address: found .*, already taken by n1"
    ):
        cluster.load(written(tmp_path, two_nodes))
    node_and_tracker = text.replace("tcp://10.0.0.1:12000", second)
    with pytest.raises(OperatorError, match=r"n1\.address: found .*, already taken by the tracker"):
        cluster.load(written(tmp_path, node_and_tracker))


def test_two_nodes_of_one_host_in_one_folder_are_refused(tmp_path: Path) -> None:
    text = (
        "tracker: {address: tcp://127.0.0.1:12000}\n"
        "nodes:\n"
        "  n1: {address: tcp://127.0.0.1:11001, folder: same}\n"
        "  n2: {address: tcp://localhost:11002, folder: ./other/../same}\n"
    )
    error = r"4: nodes\.n2\.folder: found .*same, already taken by n1; expected one of its own"
    with pytest.raises(OperatorError, match=error):
        cluster.load(written(tmp_path, text))


LINES = st.sampled_from([*VALID.splitlines(), "  n1: [", "  : {}", "- n1", "nodes: 5", "  ? x"])


def outcome(content: bytes) -> str:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        try:
            return " ".join(cluster.load(Path(file.name)).nodes)
        except OperatorError as error:
            return str(error)


@given(lines=st.lists(LINES, max_size=12), junk=st.binary(max_size=8))
def test_arbitrary_bytes_raise_only_errors_of_one_line(lines: list[str], junk: bytes) -> None:
    assert len(outcome("\n".join(lines).encode() + junk).splitlines()) == 1


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        ("/srv", "/srv/b", "found /srv/b, which is within the folder of n1"),
        ("/srv/a/b", "/srv", "found /srv, which has the folder of n1 in it"),
        ("data", "data/../data/x", "found data/../data/x, which is within the folder of n1"),
    ],
)
def test_a_node_s_folder_is_not_within_another_s(
    tmp_path: Path, first: str, second: str, found: str
) -> None:
    path = tmp_path / "lan.yaml"
    entries = (("n1", 11001, first), ("n2", 11002, second), ("n3", 11003, "/elsewhere"))
    lines = [
        f"  {name}: {{address: 'tcp://127.0.0.1:{port}', folder: {folder}}}"
        for name, port, folder in entries
    ]
    text = "tracker: {address: 'tcp://127.0.0.1:12000'}\nnodes:\n" + "\n".join(lines) + "\n"
    path.write_text(text)
    with pytest.raises(OperatorError) as refused:
        cluster.load(path)
    assert f"nodes.n2.folder: {found}; expected a folder apart from it" in str(refused.value)
    path.write_text(
        text.replace("127.0.0.1:11002", "192.0.2.2:11002").replace("127.0.0.1", "192.0.2.1")
    )
    assert len(cluster.load(path).nodes) == 3  # On another machine it is another folder.


LISTENING = VALID.replace("10.0.0.1:12000", "10.0.0.1:12000\n  listen: tcp://0.0.0.0:12001")


@pytest.mark.parametrize("listen", ["0.0.0.0:11001", "10.9.9.9:80", "[::]:11001", "alpha:11001"])
def test_a_process_may_listen_elsewhere_than_at_its_address(tmp_path: Path, listen: str) -> None:
    text = LISTENING.replace("folder: one", f"folder: one, listen: 'tcp://{listen}'")
    loaded = cluster.load(written(tmp_path, text))
    assert (loaded.trackers[0].address, loaded.trackers[0].bound_to) == (
        "tcp://10.0.0.1:12000",
        "tcp://0.0.0.0:12001",
    )
    node = loaded.nodes["n1"]
    assert (node.address, node.bound_to) == ("tcp://10.0.0.2:11001", f"tcp://{listen}")
    assert loaded.nodes["n2"].bound_to == loaded.nodes["n2"].address


@pytest.mark.parametrize(
    ("listen", "reason"),
    [
        ("tcp://*:11001", "has * as host"),
        ("0.0.0.0:11001", "is not of the form tcp://HOST:PORT"),
        ("tcp://0.0.0.0:0", "is not of the form tcp://HOST:PORT"),
        ("tcp://0.0.0:11001", "has 0.0.0 as host, which is not an IP address"),
    ],
)
def test_where_nobody_can_listen_is_refused(tmp_path: Path, listen: str, reason: str) -> None:
    path = written(tmp_path, LISTENING.replace("tcp://0.0.0.0:12001", f"'{listen}'"))
    with pytest.raises(OperatorError) as refused:
        cluster.load(path)
    assert str(refused.value) == (
        f"{path}:3: tracker.listen: found {listen}, which {reason}; expected tcp://HOST:PORT, as "
        "in tcp://0.0.0.0:11001 for all addresses of the machine"
    )


def test_all_addresses_of_a_machine_are_for_listening(tmp_path: Path) -> None:
    told = refusal(tmp_path, "10.0.0.2:11001", "0.0.0.0:11001")
    assert "it means all addresses of one host, which is for `listen`; expected" in told


def test_behind_nat_hosts_with_one_address_have_folders_of_their_own(tmp_path: Path) -> None:
    text = VALID.replace(
        '"tcp://[fd00::2]:11001", folder: ../two', "tcp://10.0.0.2:11002, folder: one"
    )
    with pytest.raises(OperatorError, match="found one, already taken by n1"):
        cluster.load(written(tmp_path, text))
    text = text.replace("folder: one", "folder: one, listen: 'tcp://0.0.0.0:11001'")
    loaded = cluster.load(written(tmp_path, text))
    assert loaded.nodes["n1"].folder == loaded.nodes["n2"].folder
    with pytest.raises(OperatorError, match="found one, already taken by n1"):
        cluster.load(written(tmp_path, text.replace("10.0.0", "127.0.0")))
