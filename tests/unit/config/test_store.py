"""The store that trackers share, as a cluster file has it."""

from pathlib import Path

import pytest
from shoal.config.document import read
from shoal.config.store import StoreEntry, StorePlace, store_in
from shoal.protocol.errors import OperatorError


def stored(folder: Path, text: str) -> StoreEntry:
    file = folder / "lan.yaml"
    file.write_text(f"store: {text}\n")
    return store_in(read(file).fields(("store",))["store"], folder)


def test_a_url_is_enough(tmp_path: Path) -> None:
    for url in ("redis://store", "rediss://10.0.0.1:6380/2?ssl_ca_certs=/a", "redis://[::1]:1/0"):
        assert stored(tmp_path, f"'{url}'").place({}) == StorePlace(url)


def test_the_password_is_the_environments_else_the_files_else_the_urls(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of file\n")
    entry = stored(tmp_path, "{url: 'redis://me@store:1', password_file: secret}")
    given = {"SHOAL_STORE_PASSWORD": "given"}
    assert entry.place(given) == StorePlace("redis://me@store:1", "given")
    assert entry.place({}) == StorePlace("redis://me@store:1", "of file")
    entry = stored(tmp_path, "'redis://:a%20b@store:1/0'")
    assert entry.place({"SHOAL_STORE_PASSWORD": ""}) == StorePlace("redis://store:1/0", "a b")
    entry = stored(tmp_path, "'redis://me:word@store'")
    assert entry.place({}) == StorePlace("redis://me@store", "word")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("7", "1: store: found the number 7; expected redis://HOST:PORT/0, or rediss:// for TLS"),
        ("'http://store'", "found http://store; expected redis://HOST:PORT/0"),
        ("'redis://store:70000'", "found redis://store:70000; expected"),
        ("'redis://me:my secret@store'", "found redis://…@store; expected"),
        (
            "{url: 'redis://:s3@store', password_file: a}",
            "store.url: found a password; expected it",
        ),
        ("{uri: 'redis://store'}", "store.uri: unknown key"),
    ],
)
def test_an_error_says_what_is_expected_and_shows_no_password(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(OperatorError) as caught:
        stored(tmp_path, text)
    assert words in str(caught.value)
    assert "s3" not in str(caught.value)
    assert "my secret" not in str(caught.value)


def test_a_password_file_that_is_of_no_use_is_named(tmp_path: Path) -> None:
    entry = stored(tmp_path, "{url: 'redis://store', password_file: secret}")
    with pytest.raises(OperatorError, match="secret: cannot read the store's password: No such"):
        entry.place({})
    (tmp_path / "secret").write_bytes(b"\xff")
    with pytest.raises(OperatorError, match="it is not text; correct password_file"):
        entry.place({})
    (tmp_path / "secret").write_text("\n")
    with pytest.raises(OperatorError, match="there is no password for the store in it"):
        entry.place({})
