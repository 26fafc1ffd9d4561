"""Which paths a disk may take for one."""

import pytest
from shoal.node.trees.namesakes import namesakes


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        ("a b", None),
        ("Makefile makefile", "Makefile makefile"),
        ("a/x b/X", None),
        ("a/x A/y", "a A"),  # One directory would have what is in both.
        ("d/a/x d/a/y D", "d D"),
        ("STRASSE stra\N{LATIN SMALL LETTER SHARP S}e", ...),
        ("e\N{COMBINING ACUTE ACCENT} \N{LATIN CAPITAL LETTER E WITH ACUTE}", ...),
        ("a a", None),
    ],
)
def test_finds_two_that_differ_in_case_or_spelling_alone(paths: str, found: object) -> None:
    expected = paths if found is ... else found
    told = namesakes(path.encode() for path in paths.split(" "))
    assert (told and " ".join(path.decode() for path in told)) == expected
