"""Keys as text."""

import pytest
from shoal.protocol import keys
from shoal.protocol.keys import KeyPair

PUBLIC, SECRET = bytes(range(32)), bytes(range(32, 64))


def test_a_key_is_text_and_back() -> None:
    assert keys.public_text(PUBLIC) == "curve:" + PUBLIC.hex()
    assert keys.public_in(keys.public_text(PUBLIC)) == PUBLIC
    assert keys.secret_in(keys.secret_text(SECRET)) == SECRET


@pytest.mark.parametrize(
    "text",
    [
        "",
        "curve:",
        "curve:00",
        "curve:" + "A" * 64,
        "curve:" + "0" * 65,
        "curve:" + "0" * 64 + "\n",
    ],
)
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not of the form curve: and 64"):
        keys.public_in(text)


def test_a_secret_is_not_taken_for_a_public_key_nor_shown() -> None:
    with pytest.raises(ValueError, match="is not of the form curve:") as caught:
        keys.public_in(keys.secret_text(SECRET))
    assert SECRET.hex() not in str(caught.value)
    with pytest.raises(ValueError, match="is not of the form curve-secret:"):
        keys.secret_in(keys.public_text(PUBLIC))


def test_a_key_pair_never_shows_its_secret() -> None:
    shown = f"{KeyPair(PUBLIC, SECRET)} {KeyPair(PUBLIC, SECRET)!r}"
    assert PUBLIC.hex() in shown
    assert SECRET.hex() not in shown
