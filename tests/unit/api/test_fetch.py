"""What is refused before a node is asked to fetch."""

import os
from pathlib import Path

import pytest
from shoal.api.fetch import FetchOptions, check
from shoal.protocol.errors import OperatorError


def test_an_output_is_a_new_path_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    for force in (False, True):
        check("a", FetchOptions(tmp_path / "new", force))
        for name, words in (
            ("", "exists and is a directory"),
            ("no/where", "is in no directory"),
            ("pipe", "is not a regular file"),
        ):
            with pytest.raises(OperatorError, match=words):
                check("a", FetchOptions(tmp_path / name, force))
    check("a", FetchOptions(tmp_path / "file", force=True))
    with pytest.raises(OperatorError, match=r"already exists; .*--force") as refused:
        check("a", FetchOptions(tmp_path / "file"))
    assert type(refused.value) is OperatorError


@pytest.mark.parametrize(
    ("options", "option"),
    [
        (FetchOptions(Path("new"), in_place=True), "--in-place"),
        (FetchOptions(Path("new"), offline=True), "--offline"),
    ],
)
def test_what_is_about_the_folder_fits_no_output(options: FetchOptions, option: str) -> None:
    with pytest.raises(OperatorError, match=f"{option} applies to the node's folder, and"):
        check("a", options)


def test_patterns_and_names_are_looked_at(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="'a//b' cannot be a name"):
        check("a//b", FetchOptions())
    with pytest.raises(OperatorError, match=r"--exclude '\[' is not a valid pattern"):
        check("a", FetchOptions(exclude=("[",)))
    assert not list(tmp_path.iterdir())
