"""A database that has more in it than the tracker takes."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from shoal.broker.pruning import Most
from shoal.broker.sqlite_store import SqliteStore, _timeless
from shoal.broker.tracking.changes import Change, Entrusted, Held, Published, Seen

from tests.unit.broker.scene import address_of, content_id

ROOMY = Most(10, 10, 10, 10_000, ("n1",))
LOG: list[Change] = [
    *(Seen(node, address_of(node), 1, 1) for node in ("n1", "n4", "n5")),
    *(Published(name, content_id(1), 10) for name in ("a", "b")),
    *(Held("a", content_id(1), node, complete=True) for node in ("n1", "n4")),
    Held("b", content_id(1), "n5", complete=True),
    *(Entrusted(node, "7c0f") for node in ("n1", "n4")),
]


def loaded(path: Path, most: Most) -> Sequence[Change]:
    store = SqliteStore(path, most)
    found = [_timeless(change) for change in store.load()]
    store.close()
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    store = SqliteStore(tmp_path / "tracker.db")
    store.load()
    store.exchange(LOG)
    store.close()
    return tmp_path / "tracker.db"


def test_what_is_within_the_limits_is_read(path: Path) -> None:
    assert sorted(map(str, loaded(path, ROOMY))) == sorted(map(str, LOG))


@pytest.mark.parametrize(
    "most",
    [
        ROOMY._replace(nodes=2),
        ROOMY._replace(holdings=2),
        ROOMY._replace(versions=1),
        ROOMY._replace(name_bytes=100),
    ],
    ids=["nodes", "holdings", "versions", "bytes"],
)
def test_else_strangers_are_forgotten_for_good(
    path: Path, most: Most, caplog: pytest.LogCaptureFixture
) -> None:
    kept = [LOG[0], LOG[3], LOG[5], LOG[8]]
    assert sorted(map(str, loaded(path, most))) == sorted(map(str, kept))
    assert "had more than may be in it: forgot the strangers" in caplog.text
    assert sorted(map(str, loaded(path, ROOMY))) == sorted(map(str, kept))
