"""What may be asked for."""

import pytest
from shoal.api.what import checked_what
from shoal.protocol.errors import OperatorError

ID = "b3:" + 64 * "0"


@pytest.mark.parametrize("what", ["seeds.txt", "a/b.bin", ID])
def test_names_and_ids_can_be_asked_for(what: str) -> None:
    checked_what(what)


@pytest.mark.parametrize(
    ("what", "meant"), [("photos/", "photos"), ("photos/2024//", "photos/2024"), ("a", "a")]
)
def test_a_slash_at_the_end_means_the_directory(what: str, meant: str) -> None:
    assert checked_what(what) == meant


@pytest.mark.parametrize("what", ["", "/", "..", "/x", "a//b", ".shoal/lock", "b\x1b[31m"])
def test_what_cannot_be_a_name_is_refused_with_a_remedy(what: str) -> None:
    with pytest.raises(OperatorError, match=r"cannot be a name: it .*; `shoal ls`") as refused:
        checked_what(what)
    assert "\x1b" not in str(refused.value)
