"""The titles of a folder's things, over restarts, and what is withheld."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from shoal.node.folder.cache import Cache
from shoal.node.folder.register import Register, published_as
from shoal.protocol.messages import Told
from shoal.protocol.titles import Title

OLD, NEW = "b3:" + 64 * "0", "b3:" + 64 * "1"


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    cache = Cache(tmp_path / "cache.db")
    yield cache
    cache.close()


def test_titles_survive_a_restart(cache: Cache) -> None:
    first = Register(cache, "me")
    assert first.entitle("a", OLD) == Title(OLD, 1, "me", claims=True)
    first.note("b", Title(OLD, 3, "other"))
    first.note("c", Title(OLD))
    again = Register(cache, "me")
    assert again.title("a") == Title(OLD, 1, "me", claims=True)
    assert again.entitle("a", NEW) == Title(NEW, 2, "me", claims=True)
    assert again.entitle("b", OLD) == Title(OLD, 3, "other")
    assert again.entitle("b", NEW) is None
    assert again.entitle("c", NEW) is None


def test_a_copy_that_changes_is_withheld_until_it_is_as_it_was(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    register = Register(cache, "me")
    register.note("a", Title(OLD, 3, "other"))
    for _ in range(3):
        assert register.entitle("a", NEW) is None
    assert len(caplog.records) == 1  # It is said once.
    assert "a has changed here since it was fetched (v3, published by other)" in caplog.text
    assert "`shoal verify a --as me` puts back what was fetched" in caplog.text
    assert "`shoal share --force` publishes what is here now" in caplog.text
    assert [one.name for one in register.all_withheld()] == ["a"]
    assert register.entitle("a", OLD) == Title(OLD, 3, "other")
    assert register.withheld("a") is None


def test_what_others_published_first_is_withheld(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    register = Register(cache, "me")
    register.entitle("a", NEW)
    register.refuse(Told("a", NEW, 2, "other", taken=False))
    assert "a is not what was published under that name (v2, published by other)" in caplog.text
    assert register.entitle("a", NEW) is None
    assert register.entitle("a", OLD) == Title(OLD, 1, "me", claims=True)  # It may be theirs now.
    assert register.withheld("a") is None
    again = Register(cache, "me")  # After a restart the tracker is asked once more.
    assert again.entitle("a", NEW) is not None


def test_what_is_withheld_can_be_published_over_what_was(cache: Cache) -> None:
    register = Register(cache, "me")
    register.note("a", Title(OLD, 3, "other"))
    assert register.entitle("a", NEW) is None
    assert register.entitle("a", NEW, over=(4, OLD)) == Title(NEW, 5, "me", claims=True)
    assert register.withheld("a") is None
    register.refuse(Told("a", NEW, 5, "third", taken=False))
    assert register.entitle("a", NEW, over=(5, None)) == Title(NEW, 6, "me", claims=True)


def test_who_published_is_remembered_when_it_has_gone_a_copy_is_not(cache: Cache) -> None:
    register = Register(cache, "me")
    register.note("ours", Title(OLD, 3, "me"))
    register.note("copy", Title(OLD, 3, "other"))
    register.gone("ours")
    register.gone("copy")
    register.gone("nothing")
    assert register.entitle("ours", NEW) == Title(NEW, 4, "me", claims=True)
    assert register.entitle("copy", NEW) == Title(NEW, 1, "me", claims=True)  # The tracker decides.


@pytest.mark.parametrize(
    ("version", "publisher", "text"),
    [(3, "a", "v3, published by a"), (3, None, "v3"), (0, None, "no version known")],
)
def test_a_version_is_called_so(version: int, publisher: str | None, text: str) -> None:
    assert published_as(version, publisher) == text
