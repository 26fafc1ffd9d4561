"""Names, versions and holders, and what is saved of them."""

from shoal.broker.tracking.catalogue import Catalogue, Member
from shoal.broker.tracking.records import (
    UNPUBLISHED,
    Change,
    ForgetHolder,
    ForgetVersion,
    HolderRecord,
    Publication,
    VersionRecord,
)

from tests.unit.broker.scene import content_id


def member(node: str) -> Member:
    return Member(node, "tcp://127.0.0.1:11001", epoch=1, sequence=1)


def test_says_what_is_to_be_saved() -> None:
    changes: list[Change] = []
    catalogue = Catalogue(changes)
    n1 = member("n1")
    version = catalogue.announce("a", content_id(1), 10, UNPUBLISHED, now=5)
    assert catalogue.announce("a", content_id(1), 99, UNPUBLISHED, now=6) is version
    assert version.size_bytes == 10
    assert catalogue.add_holder(version, n1, complete=False)
    assert catalogue.add_holder(version, n1, complete=True)
    assert not catalogue.add_holder(version, n1, complete=True)
    catalogue.remove_holder(version, n1, now=7)
    catalogue.forget_unheld(since=6.9)
    assert catalogue.find("a", content_id(1)) is version
    catalogue.forget_unheld(since=7)
    assert catalogue.find("a", content_id(1)) is None
    assert changes == [
        VersionRecord(1, "a", content_id(1), 10, 0),
        HolderRecord(1, "n1", complete=False),
        HolderRecord(1, "n1", complete=True),
        ForgetHolder(1, "n1"),
        ForgetVersion(1),
    ]


def test_counts_what_it_knows() -> None:
    catalogue = Catalogue([])
    n1, n2 = member("n1"), member("n2")
    versions = [
        catalogue.announce(name, content_id(1), 10, UNPUBLISHED, now=0) for name in ("b", "a")
    ]
    for version in versions:
        catalogue.add_holder(version, n1, complete=True)
    catalogue.add_holder(versions[0], n2, complete=False)
    assert (catalogue.version_count, catalogue.holding_count) == (2, 3)
    assert list(catalogue.names_after("")) == ["a", "b"]
    assert [each.name for each in catalogue.versions_with(content_id(1))] == ["b", "a"]
    catalogue.remove_holder(versions[1], n1, now=1)
    assert list(catalogue.names_after("")) == ["b"]
    catalogue.forget_unheld(since=1)
    assert (catalogue.version_count, catalogue.holding_count) == (1, 2)


def test_takes_up_what_was_saved_and_goes_on_counting() -> None:
    changes: list[Change] = []
    catalogue = Catalogue(changes)
    records = (
        VersionRecord(3, "a", content_id(1), 10, 60, 1, "n1"),
        VersionRecord(8, "a", content_id(2), 10, 5, 2, "n2"),
    )
    versions = catalogue.restore(records, now=100)
    for version in versions.values():
        catalogue.restore_holder(version, member("n1"), complete=True)
    assert [each.serial for each in catalogue.versions("a")] == [8, 3]
    assert versions[3].announced == 40
    assert changes == []
    assert catalogue.announce("a", content_id(3), 10, UNPUBLISHED, now=100).serial == 9


def test_an_older_version_that_nobody_takes_up_again_is_forgotten() -> None:
    changes: list[Change] = []
    catalogue = Catalogue(changes)
    catalogue.restore((VersionRecord(3, "a", content_id(1), 10, age_s=60),), now=100)
    catalogue.forget_unheld(since=100)
    assert changes == [ForgetVersion(3)]
    assert catalogue.version_count == 0


def test_saves_a_number_when_it_is_given() -> None:
    changes: list[Change] = []
    catalogue = Catalogue(changes)
    version = catalogue.announce("a", content_id(1), 10, Publication(2, "n1"), now=5)
    catalogue.announce("a", content_id(1), 10, Publication(1, "n2"), now=6)
    catalogue.announce("a", content_id(1), 10, Publication(2, "n2"), now=6)
    catalogue.announce("a", content_id(1), 10, Publication(3, "n3"), now=7)
    catalogue.publish(version, Publication(3, "n3"), now=8)
    assert changes == [
        VersionRecord(1, "a", content_id(1), 10, 0, 2, "n1"),
        VersionRecord(1, "a", content_id(1), 10, 2, 3, "n3"),
    ]
