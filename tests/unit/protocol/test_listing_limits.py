"""Listings: how deep and how many their directories may be, and that reading one can be stopped."""

import pytest
from shoal.protocol import listing, names
from shoal.protocol.listing import FILE, FOLDER, LINK, Entry, Listing


def read(*entries: Entry) -> Listing:
    return listing.decode(listing.encode(entries))


def chains(count: int, depth: int, name: str = "d") -> list[Entry]:
    """Return folders at the ends of so many chains, each of so many folders."""
    return [
        Entry(f"{number:05}/{name}" + f"/{name}" * (depth - 1), FOLDER) for number in range(count)
    ]


def test_few_entries_may_not_lie_in_very_many_folders() -> None:
    """Of 256 KiB half a million would be made, one inode each."""
    for fine in (chains(8, 500), chains(1000, 68), chains(10_000, 60)):
        assert len(read(*fine).paths) == len(fine)
    for deep in (chains(10, 500), chains(100, 500), chains(1000, 70)):
        with pytest.raises(ValueError, match="folders for"):
            listing.encode(deep)


def test_there_may_not_be_more_folders_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_FOLDERS", 600)
    assert len(read(*chains(10, 60)).paths) == 10
    with pytest.raises(ValueError, match="more than 600 folders for 11"):
        listing.encode(chains(11, 60))


def test_a_path_has_no_more_parts_than_so_many() -> None:
    deepest = "/".join(["d"] * names.MAX_PARTS)
    assert read(Entry(deepest, FILE)).paths == [deepest.encode()]
    with pytest.raises(ValueError, match="which has more than 512 parts"):
        listing.encode([Entry(f"{deepest}/d", FILE)])


class StopHereError(Exception):
    """Raised by a check."""


def test_reading_can_be_stopped_at_any_time() -> None:
    data = listing.encode([Entry(f"{number:05}", LINK, target="x") for number in range(9000)])
    times = 0

    def count() -> None:
        nonlocal times
        times += 1

    listing.decode(data, count)
    assert times >= 2 * 9000 // listing.CHECK_ENTRIES
    for last in range(times):
        left = last

        def stop() -> None:
            nonlocal left
            if left == 0:
                raise StopHereError
            left -= 1

        with pytest.raises(StopHereError):
            listing.decode(data, stop)


def test_entries_may_lie_very_deep_together() -> None:
    deep = "/".join(["d"] * 500)
    together = [Entry(f"{deep}/{number:05}", FILE) for number in range(2000)]
    assert len(read(*together).paths) == 2000
