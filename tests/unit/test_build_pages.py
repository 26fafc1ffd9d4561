"""The pages for those who change the code name packages, settings and constants that there are.

Settings are found in any `settings.py` of a node or a tracker, constants in the pure packages of
a fetch.
"""

import importlib
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(ROOT.glob("docs/build/**/*.md"))
PAGE = (ROOT / "docs/build/requests.md").read_text()
MAP = (ROOT / "docs/build/architecture.md").read_text().split("## Map\n")[1].split("```")[1]
CODE = re.compile(r"`([^`]+)`")
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "%": 0.01}


def settings() -> dict[str, float]:
    """Return the default of each setting, by name."""
    defaults: dict[str, float] = {}
    for path in sorted([*ROOT.glob("node/**/settings.py"), *ROOT.glob("broker/**/settings.py")]):
        dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for name, kind in vars(importlib.import_module(f"shoal.{dotted}")).items():
            if name.endswith("Settings"):
                defaults |= {one: getattr(kind(), one) for one in kind.__annotations__}
    return defaults


def constants() -> dict[str, float]:
    """Return the numbers that the packages of a fetch have as constants, by name."""
    found: dict[str, float] = {}
    for path in sorted([*ROOT.glob("node/fetching/*.py"), *ROOT.glob("node/scheduling/*.py")]):
        module = importlib.import_module(f"shoal.node.{path.parent.name}.{path.stem}")
        found |= {name: value for name, value in vars(module).items() if name.isupper()}
    return found


def rows() -> list[tuple[str, str, list[str]]]:
    """Return the situation, the value, and the settings of each row that names any."""
    cells = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
    told = [row for row in cells if row[-1].startswith("`")]
    return [(row[0], row[1], re.findall(r"`([a-z_]+|[A-Z_]+)`", row[-1])) for row in told]


def numbers(value: str) -> set[float]:
    """Return the numbers in a cell, in the unit of the settings."""
    found = re.findall(r"(\d+(?:\.\d+)?) ?(KiB|MiB|%)?", value)
    return {float(number) * UNITS.get(unit, 1) for number, unit in found}


VALUES = settings() | constants()


@pytest.mark.parametrize(("situation", "value", "names"), rows())
def test_the_page_gives_the_values_of_settings(
    situation: str, value: str, names: list[str]
) -> None:
    assert {VALUES[name] for name in names} <= numbers(value), situation


def test_there_are_rows() -> None:
    assert len(rows()) > 30


def test_a_wrong_value_would_be_seen() -> None:
    assert numbers("5 s for each 160 KiB, ± 20 %") == {5, 160 << 10, 0.2}


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\b[A-Z]+_[A-Z_]+\b", PAGE))))
def test_the_pages_constants_are_there(name: str) -> None:
    texts = (
        path.read_text() for folder in ("node", "wire") for path in ROOT.glob(f"{folder}/**/*.py")
    )
    assert any(re.search(rf"^{name}\b", text, re.MULTILINE) for text in texts)


# The map and the tree.


def packages_on_the_map() -> dict[str, bool]:
    """Return the folders on the map, and whether they are marked as pure."""
    found: dict[str, bool] = {}
    outer = ""
    for line in MAP.splitlines():
        if match := re.match(r"( *)([a-z]+)/(?: |$)", line):
            name = match[2] if not match[1] else f"{outer}/{match[2]}"
            outer = outer if match[1] else name
            found[name] = "  PURE  " in line
    return found


def test_every_package_is_on_the_map() -> None:
    places = [path.parent.relative_to(ROOT) for path in ROOT.glob("*/**/__init__.py")]
    packages = {
        str(place) for place in places if place.parts[0][0] != "." and "tests" not in str(place)
    }
    assert packages <= packages_on_the_map().keys()


def test_those_are_pure_on_the_map_that_are_by_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (core,) = (one for one in contracts["contracts"] if "no I/O" in one["name"])
    by_contract = {one.removeprefix("shoal.").replace(".", "/") for one in core["source_modules"]}
    assert {name for name, is_pure in packages_on_the_map().items() if is_pure} == by_contract


def paths_in(text: str) -> list[str]:
    tops = "broker|commands|config|node|protocol|system|tests|wire"
    return re.findall(rf"`((?:{tops})/[\w/]+(?:\.py)?)`", text)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_packages_and_modules_on_a_page_are_there(path: Path) -> None:
    assert not [place for place in paths_in(path.read_text()) if not (ROOT / place).exists()]


def test_would_see_a_module_that_has_moved() -> None:
    assert paths_in("in `node/gone.py` and `wire/` or `node/files`") == [
        "node/gone.py",
        "node/files",
    ]


def test_the_tests_that_the_page_on_reliability_names_exist() -> None:
    page = (ROOT / "docs/build/reliability.md").read_text()
    named = [
        path for row in page.splitlines() if row.startswith("| ") for path in CODE.findall(row)
    ]
    assert len(named) > 50
    assert [path for path in named if "/" in path and not (ROOT / "tests" / path).exists()] == []


# The numbered faults. A row without a number goes on with the fault of the row above.

FAULT_PAGES = [
    path
    for what in ("messages", "trackers", "hosts")
    if (path := ROOT / f"docs/build/faults-of-{what}.md").exists()
]


def faults_in(text: str) -> dict[int, list[str]]:
    """Return the tests of each fault on a page, as they are named there."""
    found: dict[int, list[str]] = {}
    number = 0
    for line in text.splitlines():
        if row := re.match(r"\| (\d+)? *\|", line):
            number = int(row[1] or number)
            assert not (row[1] and number in found), number
            found.setdefault(number, []).extend(re.findall(r"`([^` ]+::[^` ]+)`", line))
    return found


def is_there(named: str) -> bool:
    """Tell if one file alone has a path that ends so, and defines the test."""
    path, _, function = named.partition("::")
    files = sorted((ROOT / "tests").rglob(path))
    defined = re.compile(rf"^def {function}\(", re.MULTILINE)
    return len(files) == 1 and defined.search(files[0].read_text()) is not None


def test_no_fault_is_left_out_and_all_their_tests_exist() -> None:
    faults = [one for path in FAULT_PAGES for one in faults_in(path.read_text()).items()]
    assert [number for number, _ in faults] == list(range(1, len(faults) + 1))
    named = [one for _, tests in faults for one in tests]
    assert [one for one in named if not is_there(one)] == []
    assert len([number for number, tests in faults if not tests]) < 0.1 * len(faults)


def test_would_see_a_fault_without_a_test() -> None:
    rows = "| 7 | a | b | `test_x.py::test_a`,\n| | | | `test_y.py::test_b` |\n| 8 | c | d | no |\n"
    assert faults_in(rows) == {7: ["test_x.py::test_a", "test_y.py::test_b"], 8: []}
    assert is_there("unit/test_build_pages.py::test_would_see_a_fault_without_a_test")
    assert not is_there("unit/test_build_pages.py::test_that_is_gone")
    assert not is_there("test_strangers.py::test_tls_at_the_ports_changes_nothing")  # Which one?
