"""Keys that are made: for whom, where, and what is left when making them is interrupted."""

import os
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from shoal.api.keys import KeysMade, KeyWishes, make_keys
from shoal.config import cluster, keys
from shoal.config.cluster import SHIPPED_FOLDER
from shoal.protocol.errors import OperatorError

TEXT = """\
tracker:
  address: tcp://10.0.0.1:12000  # here
nodes:
  n1: {address: tcp://10.0.0.2:11001, folder: one}
  n2: {address: tcp://10.0.0.3:11001, folder: two}
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    path = tmp_path / "lab.yaml"
    path.write_text(TEXT)
    return path


def make(path: Path, **wishes: tuple[str, ...]) -> list[str]:
    """Make keys; return for whom."""
    return [party.name for party in make_keys(path, KeyWishes(**wishes)).made]


def everything(path: Path) -> dict[str, bytes]:
    """Return all files beside a cluster file, and itself."""
    return {
        str(each.relative_to(path.parent)): each.read_bytes()
        for each in path.parent.rglob("*")
        if each.is_file()
    }


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(OperatorError) as caught:
        call()
    return str(caught.value)


def check_pairs(path: Path) -> None:
    """Check that everybody in a cluster file can use the secret that is here."""
    loaded = cluster.load(path)
    assert loaded.keys is not None
    for name in ["tracker", *loaded.nodes, *loaded.keys.readers, *loaded.keys.admins]:
        keys.own_pair(loaded, name)


def test_the_tracker_each_node_and_an_admin_get_keys(lab: Path) -> None:
    assert make(lab) == ["tracker", "n1", "n2", "admin"]
    check_pairs(lab)
    found = {each.name for each in (lab.parent / "lab.keys").iterdir()}
    assert found == {"admin.key", "n1.key", "n2.key", "tracker.key"}
    assert stat.S_IMODE((lab.parent / "lab.keys").stat().st_mode) == 0o700


def test_a_second_time_nothing_changes(lab: Path) -> None:
    make(lab)
    before = everything(lab)
    done = make_keys(lab, KeyWishes())
    assert (done.made, [party.name for party in done.kept]) == (
        [],
        ["tracker", "n1", "n2", "admin"],
    )
    assert everything(lab) == before


def test_what_is_missing_is_made_and_no_other(lab: Path) -> None:
    make(lab)
    before = everything(lab)
    lab.write_text(lab.read_text() + "readers:\n  laptop: {folder: files}\n")
    lab.write_text(
        lab.read_text().replace("admins:", "  n3: {address: tcp://h:11001, folder: a}\nadmins:")
    )
    assert make(lab) == ["n3", "laptop"]
    check_pairs(lab)
    assert {name: everything(lab)[name] for name in before if name != "lab.yaml"} == {
        name: content for name, content in before.items() if name != "lab.yaml"
    }


def test_readers_and_admins_are_added_by_name(lab: Path) -> None:
    wishes = {"readers": ("laptop",), "admins": ("ann", "bob")}
    assert make(lab, **wishes) == ["tracker", "n1", "n2", "laptop", "ann", "bob"]
    check_pairs(lab)
    assert make(lab, **wishes) == []


def test_a_key_is_replaced_on_request(lab: Path) -> None:
    make(lab)
    before = everything(lab)
    assert make(lab, new=("n1",)) == ["n1"]
    check_pairs(lab)
    after = everything(lab)
    assert {name for name in after if after[name] != before[name]} == {
        "lab.yaml",
        "lab.keys/n1.key",
    }


@pytest.mark.parametrize("content", ["", "# The secret key of", "curve-secret:0123\n"])
def test_a_secret_that_a_kill_has_left_half_written_is_no_obstacle(lab: Path, content: str) -> None:
    make(lab)
    before = everything(lab)
    (lab.parent / "lab.keys" / "n1.key.new").write_text(content)
    assert make(lab) == []
    assert everything(lab) == before


def test_a_secret_whose_key_was_taken_out_never_comes_back(lab: Path) -> None:
    make(lab)
    secret = (lab.parent / "lab.keys" / "n1.key").read_bytes()
    line = next(line for line in lab.read_text().splitlines() if "n1:" in line)
    lab.write_text(lab.read_text().replace(line, TEXT.splitlines()[3]))
    assert make(lab) == ["n1"]
    assert (lab.parent / "lab.keys" / "n1.key").read_bytes() != secret


def test_a_secret_that_is_elsewhere_is_left_there(lab: Path) -> None:
    make(lab)
    (lab.parent / "lab.keys" / "n2.key").unlink()
    before = everything(lab)
    done = make_keys(lab, KeyWishes())
    assert (done.made, done.elsewhere) == ([], ["n2"])
    assert everything(lab) == before


def test_a_secret_of_another_key_is_told_and_nothing_changes(lab: Path) -> None:
    make(lab)
    folder = lab.parent / "lab.keys"
    (folder / "n2.key").write_bytes((folder / "n1.key").read_bytes())
    lab.write_text(lab.read_text() + "readers: {laptop: {folder: files}}\n")
    before = everything(lab)
    assert "n2.key does not belong to the key of n2 in" in refusal(lambda: make(lab))
    assert everything(lab) == before
    assert make(lab, new=("n2",)) == ["n2", "laptop"]
    check_pairs(lab)


def test_the_shipped_examples_are_not_written_to(tmp_path: Path) -> None:
    link = tmp_path / "lan.yaml"
    link.symlink_to(SHIPPED_FOLDER / "lan.yaml")
    for path in (SHIPPED_FOLDER / "lan.yaml", SHIPPED_FOLDER / "hosts.yaml", link):
        assert "is an example that ships with shoal" in refusal(lambda path=path: make(path))  # type: ignore[misc]


@pytest.mark.parametrize("example", ["lan.yaml", "hosts.yaml"])
def test_the_shipped_examples_get_one_line_more_for_each_key(tmp_path: Path, example: str) -> None:
    text = (SHIPPED_FOLDER / example).read_text()
    path = tmp_path / example
    path.write_text(text)
    make(path)
    changed = [line for line in path.read_text().splitlines() if line not in text.splitlines()]
    assert all("curve:" in line or line == "admins:" for line in changed)
    assert set(text.splitlines()) - set(path.read_text().splitlines()) == (
        {line for line in text.splitlines() if "folder: n" in line}
    )
    check_pairs(path)


def test_through_a_link_its_target_is_written(tmp_path: Path, lab: Path) -> None:
    link = tmp_path / "links" / "other.yaml"
    link.parent.mkdir()
    link.symlink_to(lab)
    make(link)
    assert link.is_symlink()
    assert "key: curve:" in lab.read_text()
    check_pairs(link)  # The secrets are beside the link, by which the file is used.


REFUSED: list[tuple[dict[str, tuple[str, ...]], str]] = [
    ({"new": ("n3",)}, "has no n3; expected one of tracker, n1, n2"),
    ({"readers": ("n1",)}, "--reader: the node is called n1 already; name another"),
    ({"admins": ("tracker",)}, "--admin: the tracker is called tracker already"),
    ({"readers": ("a",), "admins": ("a",)}, "--admin: the reader is called a already"),
    ({"readers": ("a/b",)}, "--reader: a/b: not a name; expected 1 to 64"),
]


@pytest.mark.parametrize(("wishes", "error"), REFUSED)
def test_a_wish_that_names_nobody_or_somebody_else_is_refused(
    lab: Path, wishes: dict[str, tuple[str, ...]], error: str
) -> None:
    assert error in refusal(lambda: make(lab, **wishes))
    assert lab.read_text() == TEXT


def test_a_node_called_as_the_tracker_or_the_admin_is_told(lab: Path) -> None:
    lab.write_text(TEXT.replace("n1:", "tracker:"))
    assert "found a node called tracker, and there are keys" in refusal(lambda: make(lab))
    lab.write_text(TEXT.replace("n1:", "admin:"))
    assert "--admin: the node is called admin already; name another" in refusal(lambda: make(lab))
    assert make(lab, admins=("ann",)) == ["tracker", "admin", "n2", "ann"]


def test_a_file_too_large_for_keys_is_left_as_it_is(lab: Path) -> None:
    more = "".join(
        f"  m{index}: {{address: 'tcp://h{index}:11001', folder: f}}\n" for index in range(800)
    )
    lab.write_text(TEXT + more)
    error = refusal(lambda: make(lab))
    assert error.startswith(f"with the keys in it, {lab}:")
    assert "found more than 5000 keys and values" in error
    assert lab.read_text() == TEXT + more


def test_a_folder_that_others_may_change_is_refused(lab: Path) -> None:
    make(lab)
    (lab.parent / "lab.keys").chmod(0o770)
    assert "others may change it; run `chmod go-w " in refusal(lambda: make(lab))


def test_a_folder_that_another_user_has_put_there_is_refused(lab: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives a folder away")
    (lab.parent / "lab.keys").mkdir()
    os.chown(lab.parent / "lab.keys", 12345, 12345)
    assert "lab.keys: belongs to another user, who may change it" in refusal(lambda: make(lab))
    os.chown(lab, 12345, 12345)  # Root makes the keys of that user.
    assert make(lab) == ["tracker", "n1", "n2", "admin"]
    assert (lab.parent / "lab.keys" / "n1.key").stat().st_uid == 12345
    assert make(lab) == []
    check_pairs(lab)


def killed_at(count: int, call: Callable[[], KeysMade], folder: Path) -> bool:
    """Return whether a process was killed as it did the count-th thing to the folder's files."""
    child = os.fork()
    if child == 0:
        left = [count]

        def watch(event: str, arguments: tuple[object, ...]) -> None:
            is_ours = str(folder) in str(arguments) or isinstance(arguments[0], int)
            if event.startswith(("os.", "open")) and is_ours:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        call()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("new", [(), ("n1",)])
def test_killed_at_any_moment_the_next_run_completes_it(
    tmp_path: Path, new: tuple[str, ...]
) -> None:
    for count in range(1, 1000):
        lab = tmp_path / str(count) / "lab.yaml"
        lab.parent.mkdir()
        lab.write_text(TEXT)
        if new:
            make(lab)
        wishes = KeyWishes(new=new, readers=("laptop",))
        if not killed_at(count, lambda lab=lab, wishes=wishes: make_keys(lab, wishes), lab.parent):  # type: ignore[misc]
            assert count > 20
            break
        cluster.load(lab)
        make_keys(lab, KeyWishes(readers=("laptop",)))
        check_pairs(lab)
        assert not [name for name in everything(lab) if name.endswith(".new")]
