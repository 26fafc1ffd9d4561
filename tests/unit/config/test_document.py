"""What config.document refuses, and how its errors read."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from shoal.config import document
from shoal.protocol.errors import OperatorError

PLAIN = "expected one plain YAML document"


@pytest.fixture(autouse=True, params=["CSafeLoader", "SafeLoader"])
def parser(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run each test with libyaml and without it: a PyYAML that was built without has none."""
    chosen, document.PARSER = document.PARSER, getattr(yaml, request.param)
    yield
    document.PARSER = chosen


def refusal(tmp_path: Path, content: bytes | str) -> str:
    """Return the error that reading `content` gives, without the path of its folder."""
    path = tmp_path / "lan.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(OperatorError) as caught:
        document.read(path).fields(required=("a",), optional=("address",))["a"].text("a name")
    assert type(caught.value) is OperatorError
    return str(caught.value).removeprefix(f"{tmp_path}/")


@pytest.mark.parametrize(
    ("text", "line", "cause"),
    [
        ("a: !!python/object/apply:os.system [id]", 1, "tag tag:yaml.org,2002:python/object"),
        ("\na: !local b", 2, "the tag !local"),
        ("a: &x b\nc: *x", 1, "the anchor &x"),
        ("a: b\nc: *x", 2, "the alias *x"),
        ("\n\na: [", 3, "while parsing a flow node"),
        ("a: b\n---\na: c", 2, "found a second document"),
        ("a: " + "[" * 100_000, 1, "nested more than 8 deep"),
        ("a: b\nc: \0", 2, "the character U+0000 is not allowed"),
        ('a: "\\UFFFFFFFF"', 1, ""),
        ("a: [" + 5000 * "1,", 1, "found more than 5000 keys and values"),
        ("a:\n\t- b", 2, "cannot start any token"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_with_its_line(
    tmp_path: Path, text: str, line: int, cause: str
) -> None:  # tags, aliases, deep nesting
    error = refusal(tmp_path, text)
    assert error.startswith(f"lan.yaml:{line}: ")
    assert cause in error
    assert error.endswith(PLAIN)


def test_a_text_that_is_no_text_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, 'a: "\\uD800"').startswith("lan.yaml:1: ")


def test_bytes_that_are_not_utf8_are_refused_with_their_line(tmp_path: Path) -> None:
    expected = f"lan.yaml:2: the byte 0xff is not UTF-8; {PLAIN}"
    assert refusal(tmp_path, b"a: b\nc: \xff") == expected


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        ("a: no", "1: a: found the truth value no", 'a name; if a text is meant, quote it: "no"'),
        ("a: 5", "1: a: found the number 5", 'a name; if a text is meant, quote it: "5"'),
        ("a: 1:3", "1: a: found the number 1:3", 'a name; if a text is meant, quote it: "1:3"'),
        ("a: =", "1: a: found the special value =", 'a name; if a text is meant, quote it: "="'),
        (
            "on: b",
            "1: found the truth value on",
            'a text as key; if a text is meant, quote it: "on"',
        ),
        ("a:", "1: a: found nothing", "a name"),
        ("a: ''", "1: a: found an empty text", "a name"),
        ("a: [b]", "1: a: found a list", "a name"),
        ("a: {b: c}", "1: a: found a mapping", "a name"),
        ('a: "b\\nc"', "1: a: found a control character in b\\nc", "a name"),
        ("a: b\na: c", "2: a: found a second time, after line 1", "once"),
        ("<<: {a: b}", "1: found the merge key <<", "each key written out"),
        ("? [a]\n: b", "1: found a list", "a text as key"),
        ("a: b\nadres: c", "2: adres: unknown key", "one of a, address; did you mean address?"),
        ("address: b", "1: no key a", "the keys a"),
        ("- a", "1: found a list", "a mapping with the keys a, address"),
        ("two words", "1: found the text two words", "a mapping with the keys a, address"),
    ],
)
def test_what_is_not_expected_is_refused_with_line_and_key(
    tmp_path: Path, text: str, found: str, expected: str
) -> None:  # duplicate keys, wrong types
    assert refusal(tmp_path, text) == f"lan.yaml:{found}; expected {expected}"


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "null"])
def test_an_empty_file_is_refused(tmp_path: Path, text: str) -> None:
    assert refusal(tmp_path, text) == "lan.yaml:1: the file is empty; expected a cluster file"


def test_ten_mebibytes_are_refused_at_once(tmp_path: Path) -> None:
    start = time.monotonic()
    error = refusal(tmp_path, b"a: b\n" * (2 << 20))
    assert error == "lan.yaml: is too large for a cluster file; expected at most 131072 bytes"
    assert time.monotonic() - start < 1


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"none\.yaml: cannot be read: No such file"):
        document.read(tmp_path / "none.yaml")


def test_a_long_path_is_named_whole(tmp_path: Path) -> None:
    path = tmp_path / ("long" * 30) / "lan.yaml"
    with pytest.raises(OperatorError) as caught:
        document.read(path)
    assert str(caught.value).startswith(f"{path}: cannot be read")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="is a directory; expected a cluster file"):
        document.read(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_read_permission_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lan.yaml"
    path.touch(mode=0)
    with pytest.raises(OperatorError, match="cannot be read: Permission denied"):
        document.read(path)


def test_a_file_that_fails_to_be_read_is_refused() -> None:
    with pytest.raises(OperatorError, match="cannot be read: Input/output error"):
        document.read(Path("/proc/self/mem"))


def test_a_byte_order_mark_and_crlf_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "lan.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: b\r\n")
    assert document.read(path).fields(required=("a",))["a"].text("a name") == "b"


def test_a_long_text_is_cut_short_in_messages() -> None:
    assert document.shown("x" * 1000) == "x" * 80 + "…"


def test_choices_are_bounded_and_ignore_case_when_guessing() -> None:
    names = [f"n{index}" for index in range(1, 301)]
    assert document.choices("N7", names).endswith("n19, n20 and 280 more; did you mean n7?")
    assert document.choices("zzz", ["n1"]) == "expected one of n1"


YAMLISH = st.text("abn: -\n\t[]{},&*!<>|'\"%#?~\\Uux0123456789\0\x85\u2028é", max_size=60)


def outcome(content: bytes) -> str:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        try:
            return repr(document.read(Path(file.name)).line)
        except OperatorError as error:
            return str(error)


@given(content=st.binary(max_size=200) | YAMLISH.map(str.encode))
def test_arbitrary_bytes_raise_only_errors_of_one_line(content: bytes) -> None:
    assert len(outcome(content).splitlines()) == 1


def number(tmp_path: Path, text: str) -> float:
    path = tmp_path / "lan.yaml"
    path.write_text(f"a: {text}\n")
    return document.read(path).fields(required=("a",))["a"].number("a number")


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("12", 12), ("-0.5", -0.5), ("10.0", 10)])
def test_a_number_is_read_as_it_looks(tmp_path: Path, text: str, value: float) -> None:
    assert number(tmp_path, text) == value


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("010", "the number 010"),  # 8 in YAML 1.1.
        ("0x10", "the number 0x10"),
        ("1:30", "the number 1:30"),
        ("1_000", "the number 1_000"),
        (".inf", "the number .inf"),
        (".nan", "the number .nan"),
        ("1" + 400 * "0", "the number 1000"),
        ("1e3", "the text 1e3"),
        ("yes", "the truth value yes"),
        ("", "nothing"),
        ("{b: 1}", "a mapping"),
    ],
)
def test_what_is_no_plain_number_is_refused(tmp_path: Path, text: str, found: str) -> None:
    with pytest.raises(OperatorError, match=rf"1: a: found {found}.*; expected a number"):
        number(tmp_path, text)
