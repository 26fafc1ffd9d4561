"""Several trackers in a cluster file, and the key that they share."""

from pathlib import Path

import pytest
from shoal.api.here import tracker_here
from shoal.api.keys import KeyWishes, make_keys
from shoal.config.cluster import Cluster, TrackerEntry, load
from shoal.config.keys import own_pair
from shoal.config.store import StoreEntry
from shoal.config.units import unit_of
from shoal.protocol.errors import OperatorError

TEXT = """\
trackers:
  - address: tcp://192.0.2.1:12000
  - {address: 'tcp://192.0.2.2:12000', state_folder: /two, limits: {lease_s: 60}}
store: redis://192.0.2.9/3
nodes:
  n1: {address: 'tcp://192.0.2.2:11001', folder: one}
"""
TWO = "tcp://192.0.2.2:12000"


def loaded(folder: Path, old: str = "", new: str = "") -> Cluster:
    assert old in TEXT
    (folder / "lab.yaml").write_text(TEXT.replace(old, new))
    return load(folder / "lab.yaml")


def test_each_has_its_own_limits_and_all_have_one_store(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    first, second = found.trackers
    assert first == TrackerEntry("tcp://192.0.2.1:12000", tmp_path / ".shoal")
    assert (second.address, second.state_folder, second.limits.lease_s) == (TWO, Path("/two"), 60)
    assert found.store == StoreEntry("redis://192.0.2.9/3")


def test_one_tracker_may_have_a_store_and_a_list_may_have_one_tracker(tmp_path: Path) -> None:
    head, _, tail = TEXT.partition("store:")
    listed = f"trackers: [{{address: '{TWO}'}}]\n"
    assert loaded(tmp_path, head, listed).tracker_addresses == (TWO,)
    assert loaded(tmp_path, f"{head}store:{tail.splitlines()[0]}", listed).store is None
    assert loaded(tmp_path, head, f"tracker: {{address: '{TWO}'}}\n").store is not None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("nodes:", "tracker: {address: 'tcp://h:1'}\nnodes:", "5: tracker: found beside trackers;"),
        (
            "store: redis://192.0.2.9/3\n",
            "",
            "1: trackers: found 2 trackers and no store; expected",
        ),
        (
            "192.0.2.2:12000",
            "192.0.2.1:12000",
            "3: trackers.address: found tcp://192.0.2.1:12000, alr",
        ),
        (
            "192.0.2.2:11001",
            "192.0.2.2:12000",
            "found tcp://192.0.2.2:12000, already taken by the tr",
        ),
        ("limits:", "key: a, limits:", "3: trackers.key: unknown key; expected one of address,"),
        (
            TEXT[: TEXT.index("store")],
            "trackers: []\n",
            "1: trackers: found 0 trackers; expected 1 ",
        ),
        ("store:", "tracker_key: x\nstore:", "4: tracker_key: found no public key"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(OperatorError) as caught:
        loaded(tmp_path, old, new)
    assert words in str(caught.value)


def test_all_share_one_key(tmp_path: Path) -> None:
    path = loaded(tmp_path).path
    made = make_keys(path, KeyWishes()).made
    assert [party.name for party in made] == ["tracker", "n1", "admin"]
    assert "tracker_key: curve:" in path.read_text()
    assert own_pair(load(path), "tracker")


def test_the_one_that_is_on_this_machine_is_meant_or_it_is_named(tmp_path: Path) -> None:
    here = loaded(
        tmp_path,
        TEXT[: TEXT.index("nodes")],
        TEXT[: TEXT.index("nodes")].replace("192.0.2.2", "127.0.0.1"),
    )
    assert tracker_here(here) == here.trackers[1]
    assert tracker_here(here, "tcp://192.0.2.1:12000") == here.trackers[0]
    with pytest.raises(
        OperatorError, match=f"has no tracker at {TWO}; expected tcp://192.0.2.1:12"
    ):
        tracker_here(here, TWO)
    with pytest.raises(
        OperatorError, match=r"no tracker of .* has an address of this machine; run"
    ):
        tracker_here(loaded(tmp_path, "192.0.2.2", "192.0.2.3"))
    both = loaded(tmp_path, "tcp://192.0.2.", "tcp://127.0.0.")
    with pytest.raises(OperatorError, match=r"2 trackers of .* are on this machine; name one of"):
        tracker_here(both)


def test_a_unit_says_which_of_several_it_runs(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    unit = unit_of(found, found.trackers[1], ["/bin/shoal"], "ann", "shoal-lab-tracker-2")
    assert f"ExecStart=/bin/shoal tracker --at {TWO} --config {found.path}" in unit.text
    assert unit.folders == (Path("/two"),)
