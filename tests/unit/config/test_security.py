"""Which public keys a cluster file may have, and what it may not say of them."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shoal.config import cluster
from shoal.config.security import Keys, ReaderEntry
from shoal.protocol.errors import OperatorError
from shoal.protocol.keys import public_text, secret_text
from shoal.protocol.permits import Publish, Role, Who

KEYS = {name: bytes([number]) * 32 for number, name in enumerate("abcdefgh", start=1)}
A, B, C, D, E = (public_text(KEYS[name]) for name in "abcde")
SECURED = f"""\
tracker: {{address: tcp://10.0.0.1:12000, key: {A}}}
nodes:
  n1: {{address: tcp://10.0.0.2:11001, folder: one, key: {B}}}
  n2: {{address: tcp://10.0.0.3:11001, folder: two}}
admins:
  ann: {C}
readers:
  laptop: {{key: {D}, folder: files}}
  phone: {{folder: more}}
publish: members
"""
WITHOUT = "\n".join(
    line for line in SECURED.replace(f", key: {A}", "").replace(f", key: {B}", "").split("\n")[:4]
)


def loaded(folder: Path, text: str) -> Keys | None:
    path = folder / "lab.yaml"
    path.write_text(text)
    return cluster.load(path).keys


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(OperatorError) as caught:
        loaded(folder, text)
    return str(caught.value).removeprefix(f"{folder}/")


def test_all_keys_are_read(tmp_path: Path) -> None:
    assert loaded(tmp_path, SECURED) == Keys(
        KEYS["a"],
        {"n1": KEYS["b"]},
        {
            "laptop": ReaderEntry(KEYS["d"], tmp_path / "files"),
            "phone": ReaderEntry(None, tmp_path / "more"),
        },
        {"ann": KEYS["c"]},
        Publish.MEMBERS,
    )


def test_without_a_key_there_is_no_security(tmp_path: Path) -> None:
    assert loaded(tmp_path, WITHOUT) is None


def test_by_default_a_name_s_first_publisher_publishes_it(tmp_path: Path) -> None:
    keys = loaded(tmp_path, SECURED.replace("publish: members\n", ""))
    assert keys is not None
    assert keys.publish == Publish.FIRST


def test_the_table_has_everybody_that_asks(tmp_path: Path) -> None:
    keys = loaded(tmp_path, SECURED)
    assert keys is not None
    assert keys.table() == {
        KEYS["b"]: Who("n1", Role.NODE),
        KEYS["c"]: Who("ann", Role.ADMIN),
        KEYS["d"]: Who("laptop", Role.READER),
    }


def test_keys_are_found_by_name(tmp_path: Path) -> None:
    keys = loaded(tmp_path, SECURED)
    assert keys is not None
    found = [keys.of(name) for name in ("tracker", "n1", "ann", "laptop", "n2", "phone", "x")]
    assert found == [*(KEYS[name] for name in "abcd"), None, None, None]


# Each: what is replaced in SECURED by what; the error.
REFUSED = f"""
key: {B} -> key: curve:12
3: nodes.n1.key: found no public key; expected a public key, curve: and 64 of 0-9, a-f; take it out\
 and run `shoal keys`, which makes one for n1

key: {B} -> key: {B.upper()}
3: nodes.n1.key: found no public key; expected a public key, curve: and 64 of 0-9, a-f; take it out\
 and run `shoal keys`, which makes one for n1

key: {B} -> key: 5
3: nodes.n1.key: found no public key; expected a public key, curve: and 64 of 0-9, a-f; take it out\
 and run `shoal keys`, which makes one for n1

key: {B} -> key: {A}
3: nodes.n1.key: found the key of tracker; expected one of its own; take it out and run `shoal\
 keys`, which makes one for n1

ann: {C} -> ann: {B}
6: admins.ann: found the key of n1; expected one of its own; take it out and run `shoal\
 keys`, which makes one for ann

ann: -> n2:
6: admins.n2: found the name n2, which line 4 has, too (nodes.n2); expected a name of its own

laptop: -> tracker:
8: readers.tracker: found the name tracker, which line 1 has, too (tracker); expected a name\
 of its own

laptop: -> ann:
6: admins.ann: found the name ann, which line 8 has, too (readers.ann); expected a name of its own

n2: -> tracker:
4: nodes.tracker: found a node called tracker, and there are keys; expected another name for it

laptop: -> a/b:
8: readers.a/b: not a reader's name; expected 1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `-`

ann: -> a/b:
6: admins.a/b: not an admin's name; expected 1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `-`

{{key: {D}, folder: files}} -> {{key: {D}}}
8: readers.laptop: no key folder; expected the keys folder

publish: members -> publish: member
10: publish: found member; expected one of first, members, admins; did you mean members?

publish: members -> publish: yes
10: publish: found the truth value yes; expected one of first, members, admins; if a text is meant,\
 quote it: "yes"

, key: {A} ->
1: tracker: no key, and others have one; expected a key for the tracker; run `shoal keys`, which\
 makes what is missing
"""


@pytest.mark.parametrize("case", REFUSED.strip().split("\n\n"))
def test_what_makes_no_sense_is_refused_with_line_and_remedy(tmp_path: Path, case: str) -> None:
    change, error = case.split("\n")
    old, new = change.split(" ->")
    assert old in SECURED
    assert refusal(tmp_path, SECURED.replace(old, new.strip(), 1)) == f"lab.yaml:{error}"


@pytest.mark.parametrize(
    ("section", "error"),
    [
        ("publish: first", "5: publish"),
        ("readers: {laptop: {folder: files}}", "5: readers.laptop"),
    ],
)
def test_what_needs_keys_is_refused_without_them(tmp_path: Path, section: str, error: str) -> None:
    said = "needs keys, and this file has none; expected a key for the tracker; run `shoal keys`"
    expected = f"lab.yaml:{error}: {said}, which makes what is missing"
    assert refusal(tmp_path, f"{WITHOUT}\n{section}\n") == expected


def test_an_admin_s_key_alone_is_a_key(tmp_path: Path) -> None:
    error = refusal(tmp_path, f"{WITHOUT}\nadmins: {{ann: {C}}}\n")
    assert error.startswith("lab.yaml:1: tracker: no key, and others have one")


@pytest.mark.parametrize(
    "put", [secret_text(KEYS["e"]), f"'{secret_text(KEYS['e'])} '", f"[{secret_text(KEYS['e'])}]"]
)
@pytest.mark.parametrize("where", [A, B, C, D])
def test_a_secret_in_the_cluster_file_is_not_shown(tmp_path: Path, put: str, where: str) -> None:
    assert KEYS["e"].hex() not in refusal(tmp_path, SECURED.replace(where, put))


LINES = st.sampled_from(
    [
        *SECURED.splitlines(),
        f"  {secret_text(KEYS['e'])}: x",
        f"{secret_text(KEYS['e'])}: {{}}",
        f"  bob: {secret_text(KEYS['e'])}",
        f"publish: {secret_text(KEYS['e'])}",
        f"holdings: {{a: [{secret_text(KEYS['e'])}]}}",
        f"limits: {{{secret_text(KEYS['e'])}: 1}}",
        "readers:",
        "admins:",
    ]
)


def outcome(text: str) -> str:
    """Return the error that a cluster file gives; empty if it is valid."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lab.yaml")
        path.write_text(text)
        try:
            cluster.load(path)
        except OperatorError as error:
            return str(error)
    return ""


@given(lines=st.lists(LINES, max_size=12), dropped=st.integers(0, 12))
def test_no_mistake_shows_a_secret(lines: list[str], dropped: int) -> None:
    text = "\n".join([*SECURED.splitlines()[: 12 - dropped], *lines])
    said = outcome(text)
    assert len(said.splitlines()) <= 1
    assert KEYS["e"].hex()[:8] not in said


def test_without_keys_a_node_may_be_called_tracker(tmp_path: Path) -> None:
    assert loaded(tmp_path, WITHOUT.replace("n2:", "tracker:")) is None


def test_a_draft_may_lack_keys(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(f"{WITHOUT}\nreaders: {{laptop: {{folder: files}}}}\npublish: admins\n")
    _, draft = cluster.load_draft(path)
    assert (draft.tracker, draft.nodes) == (None, {"n1": None, "n2": None})
    assert draft.readers == {"laptop": ReaderEntry(None, tmp_path / "files")}
