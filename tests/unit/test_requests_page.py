"""docs/build/requests.md names the settings and constants of the code, with their values.

It finds these wherever they are: any `settings.py` of a node or a tracker, any module's constant.
"""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/build/requests.md").read_text()
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


def rows() -> list[tuple[str, str, list[str]]]:
    """Return the situation, the value, and the settings of each row that names any."""
    cells = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
    told = [row for row in cells if row[-1].startswith("`")]
    return [(row[0], row[1], re.findall(r"`([a-z_]+)`", row[-1])) for row in told]


def numbers(value: str) -> set[float]:
    """Return the numbers in a cell, in the unit of the settings."""
    found = re.findall(r"(\d+(?:\.\d+)?) ?(KiB|MiB|%)?", value)
    return {float(number) * UNITS.get(unit, 1) for number, unit in found}


SETTINGS = settings()


@pytest.mark.parametrize(("situation", "value", "names"), rows())
def test_the_page_gives_the_values_of_settings(
    situation: str, value: str, names: list[str]
) -> None:
    assert {SETTINGS[name] for name in names} <= numbers(value), situation


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
