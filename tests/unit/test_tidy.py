"""The house's rules, and that docs/build/protocol.md says what the code does."""

import ast
import itertools
import json
import re
import tomllib
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgpack  # type: ignore[import-untyped]  # It ships no stubs.
import msgspec
import pytest
from blake3 import blake3
from shoal.protocol import codec, fields, listing, manifest, messages, names, pushing
from shoal.protocol.errors import WireCode
from shoal.protocol.listing import Entry
from shoal.protocol.size_cutting import file_cut, tree_cut

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(
    path.parent.name for path in ROOT.glob("*/__init__.py") if path.parts[-2] != "tests"
)

MAX_SOURCE_LINES = 400  # 250 cut one idea into fragments (downloads, most of all).
MAX_TEST_LINES = 400
MAX_FUNCTION_LINES = 40
UNFINISHED = re.compile(r"\b(FIXME|TODO|XXX)\b")
FORBIDDEN = {  # fault 125
    "pickle": re.compile(r"^\s*(import|from)\s+(pickle|dill|shelve|marshal)\b", re.MULTILINE),
    "eval": re.compile(r"(?<![\w.])(eval|exec)\("),
    "unsafe YAML": re.compile(r"yaml\.(unsafe_|full_)?load(_all)?\("),
    "a shell": re.compile(r"shell\s*=\s*True|\bos\.(system|popen)\("),
    "recv_pyobj": re.compile(r"\b(recv|send)_(pyobj|serialized)\b"),
}


def python_files(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


SOURCES = [*ROOT.glob("*.py"), *(path for package in PACKAGES for path in python_files(package))]
TESTS = python_files("tests")
MODULES = [path for path in SOURCES if path.stat().st_size]


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def each_file(check: Callable[[Path], None]) -> Callable[[], None]:
    """Have a test look at all files: one for each of them would make thousands of tests."""

    def test() -> None:
        failed = {}
        for path in [*SOURCES, *TESTS]:
            try:
                check(path)
            except AssertionError as error:
                failed[shown(path)] = str(error)
        assert failed == {}

    test.__doc__ = check.__doc__
    return test


@each_file
def test_a_file_is_short(path: Path) -> None:
    limit = MAX_TEST_LINES if path in TESTS else MAX_SOURCE_LINES
    assert len(path.read_text().splitlines()) <= limit


@each_file
def test_a_function_is_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < MAX_FUNCTION_LINES, node.name


@each_file
def test_a_file_says_what_it_is_for(path: Path) -> None:
    text = path.read_text()
    assert not text or ast.get_docstring(ast.parse(text))


@each_file
def test_nothing_is_left_unfinished_or_unsafe(path: Path) -> None:
    if path == Path(__file__):
        return  # It has to name them.
    text = path.read_text()
    assert not UNFINISHED.search(text)
    for what, pattern in FORBIDDEN.items():
        assert not pattern.search(text), what


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("pickle", "from pickle import loads"),
        ("eval", "x = eval(text)"),
        ("unsafe YAML", "yaml.load(text)"),
        ("a shell", "run(command, shell=True)"),
        ("recv_pyobj", "sock.recv_pyobj()"),
    ],
)
def test_would_see_what_is_unsafe(what: str, line: str) -> None:
    assert FORBIDDEN[what].search(line)


def test_the_command_line_is_all_there_is_at_the_top() -> None:
    at_the_top = {path.name for path in ROOT.glob("*.py")}
    assert at_the_top == {"__init__.py", "__main__.py", "cli.py"}


def test_every_package_ships() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = {
        path.parent for package in PACKAGES for path in (ROOT / package).rglob("__init__.py")
    }
    found = {"shoal", *("shoal." + ".".join(path.relative_to(ROOT).parts) for path in folders)}
    assert set(project["tool"]["setuptools"]["packages"]) == found
    assert set(PACKAGES) >= {"broker", "commands", "config", "node", "protocol"}


# A package's tests are in a folder of the same path. That each line is tested, the coverage says.


FOLDERS = sorted({path.parent for path in MODULES if path.parent != ROOT})


@pytest.mark.parametrize("folder", FOLDERS, ids=shown)
def test_a_package_has_its_tests(folder: Path) -> None:
    assert list((ROOT / "tests/unit" / folder.relative_to(ROOT)).glob("test_*.py"))


def test_all_tests_are_run() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    alone = re.findall(r"pytest .*(tests/\w+)", (ROOT / "check").read_text())
    folders = {path.relative_to(ROOT).parts[1] for path in TESTS if path.name.startswith("test_")}
    assert {f"tests/{folder}" for folder in folders} == {*options["testpaths"], *alone}


# The page and the code.

PAGE = (ROOT / "docs/build/protocol.md").read_text()
HEADING = re.compile(r"^#{3,4} `(\w+)`, (.+)$", re.MULTILINE)
WAYS: dict[str, Any] = {
    "to the tracker": messages.TrackerRequest,
    "from the tracker": messages.TrackerReply,
    "to a node": messages.NodeRequest,
    "from a node": messages.NodeReply,
}
IN_MESSAGES = (
    messages.Holder,
    messages.OtherVersion,
    messages.File,
    messages.NodeStatus,
    messages.Holding,
    messages.Withdrawal,
    messages.Told,
    pushing.Target,
    pushing.Doing,
    pushing.Transfer,
    pushing.Failure,
    pushing.Pushed,
    pushing.Wish,
    pushing.Verdict,
)
WORDS: dict[Any, str] = {
    fields.Node: "node",
    fields.Address: "address",
    fields.Id: "id",
    fields.What: "name or id",
    fields.Count: "count",
    fields.Index: "index",
    fields.Have: "bitmap",
    fields.Token: "token",
    pushing.State: "state",
    WireCode: "code",
    bool: "flag",
    str: "text",
    int: "number",
}


def rows(text: str) -> list[tuple[str, ...]]:
    """Return the cells of the table rows in `text`, without those of the headings."""
    lines = (line for line in text.splitlines() if line.startswith("| ") and "---" not in line)
    cells = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    return [row for row in cells if row[0] not in {"field", "limit", "code"}]


def section(heading: re.Match[str]) -> str:
    following = re.search(r"^#{1,4} (?!`error`)", PAGE[heading.end() :], re.MULTILINE)
    end = heading.end() + following.start() if following else len(PAGE)
    return PAGE[heading.end() : end].split("\n| code | name |")[0]


def word(hint: Any) -> str:
    """Return what the page calls a type."""
    if hint in WORDS:
        return WORDS[hint]
    if get_origin(hint) is Annotated:
        return word(get_args(hint)[0])
    if get_origin(hint) is tuple:
        return f"list of {word(get_args(hint)[0])}"
    if get_origin(hint) is dict:
        return "map of " + " to ".join(map(word, get_args(hint)))
    if get_origin(hint) in {types.UnionType, typing.Union}:
        return f"{word(get_args(hint)[0])} or nil"
    return f"`{hint.__name__}`"


def default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return json.dumps(msgspec.to_builtins(value))


def told_by_code(kind: type[msgspec.Struct]) -> list[tuple[str, ...]]:
    hints = get_type_hints(kind, include_extras=True)
    return [
        (f"`{field.name}`", word(hints[field.name]), default(field))
        for field in msgspec.structs.fields(kind)
    ]


def types_by_heading() -> Iterator[tuple[tuple[str, str], type[msgspec.Struct]]]:
    for way, union in WAYS.items():
        for kind in get_args(union):
            yield (kind.__struct_config__.tag, way), kind
    for kind in IN_MESSAGES:
        yield (kind.__name__, "in a message"), kind


def test_the_page_tells_every_field_of_every_message() -> None:
    kinds = dict(types_by_heading())
    headings = {match.group(1, 2): section(match) for match in HEADING.finditer(PAGE)}
    assert headings.keys() == kinds.keys()
    for heading, kind in kinds.items():
        told = [row[:3] for row in rows(headings[heading]) if row[0].startswith("`")]
        said = [  # Where the code takes a name or an id, only one may make sense.
            (field, "name or id" if words == "name" else words, value)
            for field, words, value in told
        ]
        assert said == told_by_code(kind), heading


def test_the_page_tells_every_error_code() -> None:
    table = PAGE.split("\n| code | name |")[1].split("\n\n")[0]
    assert [row[:2] for row in rows(table)] == [(str(int(code)), code.name) for code in WireCode]


def test_the_page_tells_every_limit() -> None:
    table = PAGE.split("\n## Limits\n")[1].split("\n## ")[0]
    assert {limit: int(value) for limit, value in rows(table)} == {
        "bytes of a request to the tracker": messages.MAX_REQUEST_BYTES,
        "bytes of a request to a node": messages.MAX_CHUNK_REQUEST_BYTES,
        "bytes of a reply's body": messages.MAX_REPLY_BYTES,
        "bytes of a manifest": manifest.MAX_MANIFEST_BYTES,
        "components of a name": names.MAX_PARTS,
        "bytes of a listing": manifest.MAX_LISTING_BYTES,
        "directories of a listing": listing.MAX_FOLDERS,
        "entries of a listing": listing.MAX_ENTRIES,
        "directories for each entry of a listing": listing.MAX_FOLDERS_PER_ENTRY,
        "directories of a listing besides": listing.SPARE_FOLDERS,
        "bytes of a chunk": manifest.MAX_CHUNK_BYTES,
        "bytes of a thing": manifest.MAX_SIZE_BYTES,
        "chunks of a thing": manifest.MAX_CHUNKS,
        "items in one list or map": messages.MAX_ITEMS,
        "values in one request": codec.MAX_REQUEST_VALUES,
        "values in one reply": codec.MAX_VALUES,
        "holdings, or withdrawals, in one update": messages.MAX_UPDATE_HOLDINGS,
        "holders in one answer to a query": messages.MAX_HANDOUT,
        "bytes of a name": names.MAX_NAME_BYTES,
        "bytes of a component of a name": names.MAX_COMPONENT_BYTES,
    }


EXAMPLES = re.findall(r"```msgpack\n(.*?)\n=\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize(("written", "packed"), EXAMPLES)
def test_the_pages_examples_are_messages(written: str, packed: str) -> None:
    plain = ast.literal_eval(written)
    data = bytes.fromhex(packed)
    assert msgpack.packb(plain) == data
    decoded = [
        messages.decode(data, union)
        for union in WAYS.values()
        if plain["type"] in {kind.__struct_config__.tag for kind in get_args(union)}
        and is_of(plain, union)
    ]
    assert len(decoded) == 1


def is_of(plain: dict[str, Any], union: Any) -> bool:
    """Say whether the keys fit: `manifest` and `chunk` are both requests and replies."""
    kinds = {kind.__struct_config__.tag: kind for kind in get_args(union)}
    return plain.keys() - {"v", "type"} <= set(kinds[plain["type"]].__struct_fields__)


def digests(data: bytes, sizes: list[int]) -> bytes:
    ends = list(itertools.accumulate(sizes, initial=0))
    return b"".join(blake3(data[start:end]).digest() for start, end in itertools.pairwise(ends))


def test_the_pages_manifest_is_one() -> None:
    assert len(EXAMPLES) >= 12
    of_file, of_tree = map(bytes.fromhex, re.findall(r"```hex\n(.*?)```", PAGE, re.DOTALL))
    cut, content = file_cut(10), b"0123456789"
    assert manifest.decode(of_file) == manifest.of_file(
        manifest.PLAIN_MODE, cut, digests(content, cut)
    )
    assert f"its id is `{manifest.id_of(of_file)}`" in PAGE
    assert f"Its manifest has {len(of_file)} bytes" in PAGE
    assert list(listing.decode(of_tree).entries()) == [
        Entry("bin/digits", listing.LINK, target="../digits.txt"),
        Entry("bin/run", listing.EXECUTABLE, 5),
        Entry("digits.txt", listing.FILE, 10),
        Entry("old", listing.FOLDER),
    ]
    assert f"Its listing has {len(of_tree)} bytes" in PAGE
    cut = tree_cut(len(of_tree), [5, 10])
    tree = manifest.of_tree(len(of_tree), cut, digests(of_tree + b"date\n" + content, cut))
    assert f"its id is `{manifest.id_of(manifest.encode(tree))}`" in PAGE
