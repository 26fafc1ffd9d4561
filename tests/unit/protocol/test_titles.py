"""Which version a thing is, by what was known of it before."""

from shoal.protocol.titles import Title, entitled, published_over

OLD, NEW = "b3:" + 64 * "0", "b3:" + 64 * "1"


def test_what_nobody_knows_is_claimed_as_the_first_version() -> None:
    assert entitled(None, NEW, "me") == Title(NEW, 1, "me", claims=True)


def test_what_has_not_changed_keeps_its_title() -> None:
    for title in (
        Title(OLD, 3, "other"),
        Title(OLD, 3, "me"),
        Title(OLD),
        Title(OLD, 1, "me", claims=True),
    ):
        assert entitled(title, OLD, "me") == title


def test_what_its_publisher_changes_is_the_next_version() -> None:
    assert entitled(Title(OLD, 3, "me"), NEW, "me") == Title(NEW, 4, "me", claims=True)


def test_a_copy_that_changes_is_no_version() -> None:
    assert entitled(Title(OLD, 3, "other"), NEW, "me") is None
    assert entitled(Title(OLD), NEW, "me") is None  # Whoever published it, it was not us.


def test_what_is_published_by_force_comes_after_all_that_is_known() -> None:
    def number(newest: tuple[int, str | None], known: Title | None) -> int:
        return published_over(newest, known, NEW, "me").version

    assert number((0, None), None) == 1
    assert number((7, OLD), None) == 8
    assert number((7, OLD), Title(OLD, 9, "other")) == 10
    assert number((7, OLD), Title(NEW, 3, "other")) == 8  # What was v3 is v8 too.


def test_the_newest_version_is_not_published_once_more() -> None:
    known = Title(NEW, 7, "other")
    assert published_over((7, NEW), known, NEW, "me") == known
    assert published_over((0, None), known, NEW, "me") == known  # As far as anybody knows.
