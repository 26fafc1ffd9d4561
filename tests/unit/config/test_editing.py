"""Entries put into the text of a cluster file, of which nothing else changes."""

import difflib
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from shoal.config.editing import Entries, UnusualFormError, with_entries

WANTED: Entries = {
    "tracker": {"key": "curve:aa"},
    "nodes": {"n1": {"key": "curve:bb"}, "n2": {"key": "curve:cc"}},
    "admins": {"ann": "curve:dd"},
}
COMMENTED = """\
# The lab.
tracker:
    address: tcp://10.0.0.1:12000   # here

nodes:
    # The first rack.
    n1: {address: tcp://10.0.0.2:11001,   folder: one}   # fast
    n2: {
        address: 'tcp://10.0.0.3:11001',  # slow
        folder: two,  # spacious
    }

# What they hold.
holdings:
    net.txt:
    - n1
    - n2
    # Nobody else.
"""
KEYED = """\
# The lab.
tracker:
    address: tcp://10.0.0.1:12000   # here
    key: curve:aa

nodes:
    # The first rack.
    n1: {address: tcp://10.0.0.2:11001,   folder: one, key: curve:bb}   # fast
    n2: {
        address: 'tcp://10.0.0.3:11001',  # slow
        folder: two, key: curve:cc,  # spacious
    }

# What they hold.
holdings:
    net.txt:
    - n1
    - n2

admins:
    ann: curve:dd
    # Nobody else.
"""


def edited(text: str, wanted: Entries = WANTED) -> str:
    """Return what becomes of the text, of which every character is kept, in its order."""
    result = with_entries(text, wanted)
    matcher = difflib.SequenceMatcher(None, text, result, autojunk=False)
    assert all(code[0] in {"equal", "insert"} for code in matcher.get_opcodes())
    return result


def test_comments_order_quotes_and_style_stay() -> None:
    assert edited(COMMENTED) == KEYED


def test_line_ends_stay() -> None:
    assert edited(COMMENTED.replace("\n", "\r\n")) == KEYED.replace("\n", "\r\n")


def test_a_byte_order_mark_stays() -> None:
    assert edited("\ufeff" + COMMENTED) == "\ufeff" + KEYED


def test_a_last_line_may_have_no_end() -> None:
    text = "tracker:\n  a: 1\nnodes:\n  n1: {a: 2}\n  n2:\n    a: 3"
    assert edited(text) == (
        "tracker:\n  a: 1\n  key: curve:aa\nnodes:\n  n1: {a: 2, key: curve:bb}\n"
        "  n2:\n    a: 3\n    key: curve:cc\nadmins:\n  ann: curve:dd"
    )


def test_json_stays_json() -> None:
    text = '{"tracker": {"a": 1}, "nodes": {"n1": {"a": {"b": [2]}}, "n2": {"a": 3}}}\n'
    assert edited(text) == (
        '{"tracker": {"a": 1, "key": "curve:aa"}, "nodes": {"n1": {"a": {"b": [2]}, "key":'
        ' "curve:bb"}, "n2": {"a": 3, "key": "curve:cc"}}, "admins": {"ann": "curve:dd"}}\n'
    )


def test_a_document_s_marks_stay() -> None:
    text = "%YAML 1.1\n---\na: 1\n...\n"
    assert edited(text, {"b": "c"}) == "%YAML 1.1\n---\na: 1\nb: c\n...\n"


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("admins: {}\n", "admins: {ann: curve:dd}\n"),
        ("admins: {bob: x,}\n", "admins: {bob: x, ann: curve:dd,}\n"),
        ("admins:\n  bob: x # B\n\n\n", "admins:\n  bob: x # B\n  ann: curve:dd\n\n\n"),
        (
            "admins:\n  bob: >-\n    x\n\nz: 1\n",
            "admins:\n  bob: >-\n    x\n  ann: curve:dd\n\nz: 1\n",
        ),
        ("admins:\n  bob: |\n    x\n", "admins:\n  bob: |\n    x\n  ann: curve:dd\n"),
        ("admins:\n  bob: x\n    y\nz: 1\n", "admins:\n  bob: x\n    y\n  ann: curve:dd\nz: 1\n"),
        ("admins:\n  'bob': \"x\"\n", "admins:\n  'bob': \"x\"\n  ann: curve:dd\n"),
        ("admins: # A\n# B\n  bob: [x,\n   y] # C\n", None),
    ],
)
def test_every_style_of_a_mapping_takes_one_more(text: str, result: str | None) -> None:
    found = edited(text, {"admins": {"ann": "curve:dd"}})
    assert result is None or found == result


def test_a_key_is_replaced_where_it_is() -> None:
    text = "admins:\n  ann: curve:01  # Ann's\n  bob: 'curve:02'\n"
    found = with_entries(text, {"admins": {"ann": "curve:aa", "bob": "curve:bb"}})
    assert found == "admins:\n  ann: curve:aa  # Ann's\n  bob: curve:bb\n"


def test_a_form_that_takes_no_entry_is_refused() -> None:
    tab = "admins:\n  ann: x \t # with a tab\n"  # Which libyaml lets pass.
    for text in ("admins: [ann]\n", "admins: ann\n", "? a\n: {b: c}\nadmins: 5\n", tab):
        with pytest.raises(UnusualFormError):
            with_entries(text, {"admins": {"ann": "curve:dd"}})


PLAIN = st.sampled_from(["x", "tcp://h:1", "it's", "a # b", "two words", "12", "no", "ü"])
DOCUMENTS = st.dictionaries(
    st.sampled_from("abcdef"),
    st.recursive(
        PLAIN | st.lists(PLAIN, max_size=3),
        lambda inner: st.dictionaries(st.sampled_from("abcdef"), inner, max_size=3),
        max_leaves=8,
    ),
    min_size=1,
)


@given(
    document=DOCUMENTS,
    flow=st.sampled_from([True, False, None]),
    indent=st.integers(2, 6),
    comments=st.booleans(),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_any_document_takes_entries(
    document: dict[str, Any], *, flow: bool | None, indent: int, comments: bool, line_end: str
) -> None:
    width = 10_000 if comments else 60
    text = yaml.safe_dump(document, default_flow_style=flow, indent=indent, width=width)
    if comments:
        text = "".join(f"{line}  # why\n\n" for line in text.splitlines())
    text = text.replace("\n", line_end)
    new: Entries = {"new": {"one": {"key": "curve:aa"}}, "other": "x"}
    inner = {name: {"new": "y"} for name, value in document.items() if isinstance(value, dict)}
    result = edited(text, {**new, **inner})
    assert result.count("\r\n") == (result.count("\n") if line_end == "\r\n" else 0)
