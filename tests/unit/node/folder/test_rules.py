"""What is to hold for the things in a folder, and lasts."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from shoal.node.folder.rules import DAMAGED, FORGOTTEN, NO_RULE, PART, Damage, Rule, Rules
from shoal.node.trees.selection import EVERYTHING, Selection
from shoal.protocol.errors import DiskError, OperatorError

ALL_OF_IT = Rule(PART, ("*.txt",), ("tmp/", "ü\n"), "content")


def test_what_was_never_said_is_no_rule(tmp_path: Path) -> None:
    assert Rules(tmp_path).of("a") == NO_RULE
    assert not list(tmp_path.iterdir())


def test_a_rule_outlives_the_process(tmp_path: Path) -> None:
    rules = Rules(tmp_path)
    rules.set("a", ALL_OF_IT)
    rules.set("ü/\u202e", Rule(FORGOTTEN))
    later = Rules(tmp_path)
    assert (later.of("a"), later.of("ü/\u202e")) == (ALL_OF_IT, Rule(FORGOTTEN))
    assert [path.name for path in tmp_path.iterdir()] == ["rules.json"]


def test_a_rule_is_on_the_disk_before_it_replaces_the_others_and_that_is_durable_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules, synced = Rules(tmp_path), list[bool]()
    monkeypatch.setattr(os, "fsync", lambda _: synced.append((tmp_path / "rules.json").exists()))
    rules.set("a", ALL_OF_IT)
    assert synced == [False, True]


def test_a_rule_that_is_taken_back_leaves_nothing(tmp_path: Path) -> None:
    rules = Rules(tmp_path)
    rules.set("a", Rule(DAMAGED))
    rules.set("b", Rule(DAMAGED))
    rules.set("a", NO_RULE)
    rules.set("c", NO_RULE)
    assert Rules(tmp_path).of("a") == NO_RULE
    assert list(json.loads((tmp_path / "rules.json").read_bytes())) == ["b"]


def test_what_holds_already_is_not_written_again(tmp_path: Path) -> None:
    rules = Rules(tmp_path)
    rules.set("a", ALL_OF_IT)
    before = (tmp_path / "rules.json").stat().st_ino
    rules.set("a", ALL_OF_IT)
    assert (tmp_path / "rules.json").stat().st_ino == before


def test_a_selection_is_made_of_the_patterns() -> None:
    assert ALL_OF_IT.selection == Selection(("*.txt",), ("tmp/", "ü\n"))
    assert Rule(exclude=("a",)).selection == Selection((), ("a",))
    assert NO_RULE.selection is EVERYTHING


def test_threads_do_not_lose_each_others_rules(tmp_path: Path) -> None:
    rules = Rules(tmp_path)
    names = [f"{number}" for number in range(20)]
    threads = [threading.Thread(target=rules.set, args=(name, ALL_OF_IT)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(Rules(tmp_path).of(name) == ALL_OF_IT for name in names)


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"a": 5}', b'{"a": {"chunking": "x"}}', b"\xff"]
)
def test_rules_that_cannot_be_read_are_not_taken_for_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rules.json"
    path.write_bytes(content)  # To share what was to be forgotten would be worse than to stop.
    with pytest.raises(OperatorError, match=r"rules\.json is damaged: .*; repair it"):
        Rules(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(OperatorError, match=r"cannot read .*rules\.json") as unreadable:
        Rules(tmp_path)
    assert isinstance(unreadable.value, DiskError)


def test_a_disk_that_refuses_is_told_and_nothing_is_changed(tmp_path: Path) -> None:
    rules = Rules(tmp_path)
    rules.set("a", ALL_OF_IT)
    (tmp_path / "rules.json").rename(tmp_path / "kept")
    (tmp_path / "rules.json").mkdir()  # In the way.
    with pytest.raises(
        OperatorError, match=r"cannot write .*rules\.json: .*; check the disk"
    ) as no:
        rules.set("a", NO_RULE)
    assert isinstance(no.value, DiskError)
    (tmp_path / "rules.json").rmdir()
    (tmp_path / "kept").rename(tmp_path / "rules.json")
    assert rules.of("a") == Rules(tmp_path).of("a") == ALL_OF_IT


def test_what_is_damaged_is_to_be_healed_unless_its_user_forgets_it(tmp_path: Path) -> None:
    damage = Damage(f"b3:{0:064x}", "1 2 3 4", chunks=8, damaged=1)
    rules = Rules(tmp_path)
    rules.set("b", Rule(DAMAGED, damage=damage))
    rules.set("a", Rule(DAMAGED, damage=damage))
    rules.set("c", Rule(FORGOTTEN, damage=damage))
    rules.set("d", Rule(DAMAGED))  # By an earlier version of shoal.
    later = Rules(tmp_path)
    assert later.damaged() == ["a", "b"]
    assert (later.of("a").to_heal, later.of("c").to_heal) == (damage, None)


@pytest.mark.parametrize(
    "data", [b"{oops", b'{"a": 5}', b"[" * 100_000, b'{"\xff": {}}', b"\xff", b"[]"]
)
def test_what_is_no_rules_is_one_line_with_a_remedy(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "rules.json").write_bytes(data)
    with pytest.raises(OperatorError, match=r"rules\.json is damaged: .*; repair it"):
        Rules(tmp_path)


@pytest.mark.parametrize("what", ["link", "fifo", "directory"])
def test_what_is_no_file_is_not_read(tmp_path: Path, what: str) -> None:
    (tmp_path / "real").write_bytes(b"{}")
    path = tmp_path / "rules.json"
    make: dict[str, Callable[[], object]] = {
        "link": lambda: path.symlink_to("real"),
        "fifo": lambda: os.mkfifo(path),
        "directory": path.mkdir,
    }
    make[what]()
    with pytest.raises(OperatorError, match=r"cannot read .*rules\.json: .*; .*remove it") as no:
        Rules(tmp_path)
    assert isinstance(no.value, DiskError)


@pytest.mark.parametrize("put", [Path.symlink_to, Path.hardlink_to])
def test_nothing_is_written_through_a_link(
    tmp_path: Path, put: Callable[[Path, Path], None]
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    put(tmp_path / "rules.new", victim)
    Rules(tmp_path).set("a", ALL_OF_IT)
    assert Rules(tmp_path).of("a") == ALL_OF_IT
    assert victim.read_bytes() == b"mine"
